"""How to speak each dialect, for the conformance suite: read with plain json, not with our own readers."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from legion_core.gateway.dialects.anthropic_messages import AnthropicMessages
from legion_core.gateway.dialects.base import Dialect
from legion_core.gateway.dialects.gemini import GeminiGenerate
from legion_core.gateway.dialects.ollama import OllamaChat, OllamaGenerate
from legion_core.gateway.dialects.openai_chat import OpenAIChat
from legion_core.gateway.dialects.openai_completions import OpenAICompletions
from legion_core.gateway.dialects.openai_responses import OpenAIResponses
from legion_core.gateway.providers.sse import SseEvent, SseParser
from legion_core.gateway.types import Request
from legion_core.testing.dialect_conformance import ID, StreamReader

HELLO = {"role": "user", "content": "Hello"}


def wrong_messages(
    name: str, message: dict[str, Any], content: str = "content"
) -> list[tuple[dict[str, Any], str]]:
    """What can be wrong with the list of messages, wherever and under whichever name it is kept."""
    return [
        ({name: []}, name),
        ({name: 5}, name),
        ({name: [{**message, "role": "alien"}]}, f"{name}[0].role"),
        ({name: [{"role": "user"}]}, f"{name}[0].{content}"),
        ({name: [{**message, content: 5}]}, f"{name}[0].{content}"),
        ({"model": 7}, "model"),
        ({"model": "x" * 10_000}, "model"),
        ({"tools": {}}, "tools"),
    ]


def wrong_parts(name: str, message: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
    """What can be wrong with parts that say their type."""
    return [
        ({name: [{**message, "content": [{"type": "hologram"}]}]}, f"{name}[0].content[0].type"),
        ({name: [{**message, "content": [{"type": "text"}]}]}, f"{name}[0].content[0].text"),
        ({name: [{**message, "content": [{"text": "x"}]}]}, f"{name}[0].content[0].type"),
    ]


def wrong_sampling(**names: str) -> list[tuple[dict[str, Any], str]]:
    """Values out of range, under the names the dialect has for them."""
    wrong = {
        "max_tokens": (0, -5, "many", 10**30),
        "temperature": (-1, 99, "hot"),
        "top_p": (1.5,),
        "top_k": (-1,),
        "stream": ("yes", 1),
    }
    return [
        ({names.get(name, name): value}, names.get(name, name))
        for name, values in wrong.items()
        for value in values
        if names.get(name, name)
    ]


class MessagesBench:
    """What the dialects that call them messages have in common."""

    dialect: Dialect

    def body(self, **changes: Any) -> dict[str, Any]:
        return {"model": "auto", "messages": [HELLO], **changes}

    def parse(self, body: bytes, headers: Mapping[str, str]) -> Request:
        return self.dialect.parse(body, headers, request_id=ID)

    def wrong_fields(self) -> Sequence[tuple[dict[str, Any], str]]:
        return [*wrong_messages("messages", HELLO), *wrong_parts("messages", HELLO), *wrong_sampling()]

    def too_many(self) -> Sequence[dict[str, Any]]:
        crowded = {"role": "user", "content": [{"type": "text", "text": "x"}] * 2_001}
        return [self.body(messages=[HELLO] * 10_001), self.body(messages=[crowded])]

    def many(self) -> dict[str, Any]:
        return self.body(messages=[HELLO] * 2_000)

    def reader(self) -> StreamReader:
        return SseParser()

    def fault(self, body: bytes) -> str:
        error = json.loads(body)["error"]
        assert isinstance(error["type"], str)
        assert isinstance(error["message"], str)
        return error["message"]


class OpenAIBench(MessagesBench):
    def __init__(self) -> None:
        self.dialect: Dialect = OpenAIChat()

    def _deltas(self, events: Sequence[SseEvent]) -> list[dict[str, Any]]:
        chunks = [json.loads(event.data) for event in events if event.data != "[DONE]"]
        return [choice["delta"] for chunk in chunks for choice in chunk.get("choices", ())]

    def text(self, events: Sequence[SseEvent]) -> str:
        return "".join(delta.get("content") or "" for delta in self._deltas(events))

    def tool_calls(self, events: Sequence[SseEvent]) -> list[tuple[str, str, str]]:
        calls: dict[int, list[str]] = {}
        for delta in self._deltas(events):
            for part in delta.get("tool_calls", ()):
                call = calls.setdefault(part["index"], ["", "", ""])
                call[0] += part.get("id", "")
                call[1] += part["function"].get("name", "")
                call[2] += part["function"].get("arguments", "")
        return [(call[0], call[1], call[2]) for _, call in sorted(calls.items())]

    def has_succeeded(self, events: Sequence[SseEvent]) -> bool:
        chunks = [json.loads(event.data) for event in events if event.data != "[DONE]"]
        finishes = [
            c["finish_reason"] for chunk in chunks for c in chunk.get("choices", ()) if c["finish_reason"]
        ]
        ends = [event.data for event in events].count("[DONE]")
        assert len(finishes) == ends <= 1
        return ends == 1 and not self.error(events)

    def error(self, events: Sequence[SseEvent]) -> str:
        chunks = [json.loads(event.data) for event in events if event.data != "[DONE]"]
        return next((chunk["error"]["message"] for chunk in chunks if "error" in chunk), "")


class CompletionsBench(OpenAIBench):
    def __init__(self) -> None:
        self.dialect: Dialect = OpenAICompletions()

    def body(self, **changes: Any) -> dict[str, Any]:
        return {"model": "auto", "prompt": "Once upon", **changes}

    def wrong_fields(self) -> Sequence[tuple[dict[str, Any], str]]:
        wrong = (5, None, "", [], [1, 2], [[1]], ["a", "b"], {"a": 1})
        return [*(({"prompt": each}, "prompt") for each in wrong), ({"model": 7}, "model"), *wrong_sampling()]

    def text(self, events: Sequence[SseEvent]) -> str:
        chunks = [json.loads(event.data) for event in events if event.data != "[DONE]"]
        return "".join(choice["text"] for chunk in chunks for choice in chunk.get("choices", ()))


class AnthropicBench(MessagesBench):
    def __init__(self) -> None:
        self.dialect: Dialect = AnthropicMessages()

    def body(self, **changes: Any) -> dict[str, Any]:
        return super().body(**{"max_tokens": 64, **changes})

    def _blocks(self, events: Sequence[SseEvent]) -> list[dict[str, Any]]:
        """The content blocks, with the protocol's own rules checked on the way."""
        blocks: list[dict[str, Any]] = []
        open_index: int | None = None
        for event in events:
            payload = json.loads(event.data)
            assert event.event == payload["type"]
            match payload["type"]:
                case "content_block_start":
                    assert open_index is None
                    open_index = payload["index"]
                    assert open_index == len(blocks)
                    blocks.append({**payload["content_block"], "said": "", "is_whole": False})
                case "content_block_delta":
                    assert payload["index"] == open_index
                    delta = payload["delta"]
                    kinds = {
                        "text_delta": "text",
                        "thinking_delta": "thinking",
                        "input_json_delta": "partial_json",
                    }
                    if delta["type"] in kinds:
                        blocks[-1]["said"] += delta[kinds[delta["type"]]]
                    else:
                        blocks[-1]["signature"] += delta["signature"]
                case "content_block_stop":
                    assert payload["index"] == open_index
                    blocks[-1]["is_whole"] = True
                    open_index = None
                case "message_delta":
                    assert open_index is None
        return blocks

    def text(self, events: Sequence[SseEvent]) -> str:
        return "".join(block["said"] for block in self._blocks(events) if block["type"] == "text")

    def tool_calls(self, events: Sequence[SseEvent]) -> list[tuple[str, str, str]]:
        calls = [block for block in self._blocks(events) if block["type"] == "tool_use"]
        assert all(call["is_whole"] and call["input"] == {} for call in calls)
        return [(call["id"], call["name"], call["said"]) for call in calls]

    def has_succeeded(self, events: Sequence[SseEvent]) -> bool:
        names = [event.event for event in events if event.event != "ping"]
        assert names.count("message_start") <= 1
        is_whole = all(block["is_whole"] for block in self._blocks(events))
        return names[-2:] == ["message_delta", "message_stop"] and is_whole and not self.error(events)

    def error(self, events: Sequence[SseEvent]) -> str:
        payloads = [json.loads(event.data) for event in events]
        return next((payload["error"]["message"] for payload in payloads if payload["type"] == "error"), "")


class ResponsesBench(MessagesBench):
    def __init__(self) -> None:
        self.dialect: Dialect = OpenAIResponses()

    def body(self, **changes: Any) -> dict[str, Any]:
        return {"model": "auto", "input": [HELLO], **changes}

    def wrong_fields(self) -> Sequence[tuple[dict[str, Any], str]]:
        parts = wrong_parts("input", HELLO)
        sampling = wrong_sampling(max_tokens="max_output_tokens", top_k="")
        return [*wrong_messages("input", HELLO), *parts, *sampling]

    def too_many(self) -> Sequence[dict[str, Any]]:
        crowded = {"role": "user", "content": [{"type": "input_text", "text": "x"}] * 2_001}
        return [self.body(input=[HELLO] * 10_001), self.body(input=[crowded])]

    def many(self) -> dict[str, Any]:
        return self.body(input=[HELLO] * 2_000)

    def _items(self, events: Sequence[SseEvent]) -> list[dict[str, Any]]:
        """The output items, with the protocol's own rules checked on the way."""
        items: dict[int, dict[str, Any]] = {}
        for number, event in enumerate(events):
            payload = json.loads(event.data)
            assert event.event == payload["type"]
            assert payload["sequence_number"] == number
            index = payload.get("output_index")
            match payload["type"]:
                case "response.output_item.added":
                    assert index == len(items)
                    items[index] = {**payload["item"], "said": "", "is_whole": False}
                case "response.output_text.delta" | "response.function_call_arguments.delta":
                    assert payload["item_id"] == items[index]["id"]
                    assert not items[index]["is_whole"]
                    items[index]["said"] += payload["delta"]
                case "response.output_item.done":
                    assert payload["item"]["id"] == items[index]["id"]
                    items[index]["is_whole"] = True
                case "response.completed":
                    assert all(item["is_whole"] for item in items.values())
                    done = [item["id"] for item in payload["response"]["output"]]
                    assert done == [items[index]["id"] for index in sorted(items)]
        return [items[index] for index in sorted(items)]

    def text(self, events: Sequence[SseEvent]) -> str:
        return "".join(item["said"] for item in self._items(events) if item["type"] == "message")

    def tool_calls(self, events: Sequence[SseEvent]) -> list[tuple[str, str, str]]:
        calls = [item for item in self._items(events) if item["type"] == "function_call"]
        assert all(call["is_whole"] for call in calls)
        return [(call["call_id"], call["name"], call["said"]) for call in calls]

    def has_succeeded(self, events: Sequence[SseEvent]) -> bool:
        names = [event.event for event in events]
        assert names[:2] == ["response.created", "response.in_progress"]
        assert names.count("response.created") == 1
        self._items(events)
        return names[-1] == "response.completed" and not self.error(events)

    def error(self, events: Sequence[SseEvent]) -> str:
        last = json.loads(events[-1].data)
        if last["type"] != "response.failed":
            return ""
        assert last["response"]["status"] == "failed"
        assert last["response"]["error"]["code"]
        return last["response"]["error"]["message"]


class LineReader:
    """One JSON object a line, cut as the dialect's clients cut: wherever Unicode ends a line."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[SseEvent]:
        *whole, self._rest = (self._rest + data).split(b"\n")
        return [SseEvent(data=line) for part in whole for line in part.decode().splitlines()]

    def close(self) -> list[SseEvent]:
        assert not self._rest.strip()
        return []


class OllamaBench(MessagesBench):
    def __init__(self) -> None:
        self.dialect: Dialect = OllamaChat()

    def body(self, **changes: Any) -> dict[str, Any]:
        return super().body(**{"stream": False, **changes})

    def _options(self) -> list[tuple[dict[str, Any], str]]:
        wrong = wrong_sampling(max_tokens="num_predict", stream="")
        return [
            *(({"options": {name: value}}, f"options.{name}") for changes, _ in wrong for name, value in changes.items()
              if (name, value) != ("num_predict", 0)),
            ({"stream": "yes"}, "stream"),
            ({"stream": 1}, "stream"),
        ]  # fmt: skip

    def wrong_fields(self) -> Sequence[tuple[dict[str, Any], str]]:
        return [*wrong_messages("messages", HELLO), *self._options()]

    def too_many(self) -> Sequence[dict[str, Any]]:
        return [
            self.body(messages=[HELLO] * 10_001),
            self.body(messages=[{**HELLO, "images": ["iVBORw0KGgo="] * 101}]),
        ]

    def reader(self) -> StreamReader:
        return LineReader()

    def fault(self, body: bytes) -> str:
        error = json.loads(body)
        assert list(error) == ["error"]
        assert isinstance(error["error"], str)
        return error["error"]

    def _said(self, events: Sequence[SseEvent]) -> list[dict[str, Any]]:
        lines = [json.loads(event.data) for event in events]
        assert all(isinstance(line["done"], bool) for line in lines if "error" not in line)
        return [line["message"] for line in lines if "error" not in line]

    def text(self, events: Sequence[SseEvent]) -> str:
        return "".join(said["content"] for said in self._said(events))

    def tool_calls(self, events: Sequence[SseEvent]) -> list[tuple[str, str, str]]:
        calls = [call for said in self._said(events) for call in said.get("tool_calls", ())]
        return [(call["id"], call["function"]["name"], json.dumps(call["function"]["arguments"], ensure_ascii=False))
                for call in calls]  # fmt: skip

    def has_succeeded(self, events: Sequence[SseEvent]) -> bool:
        lines = [json.loads(event.data) for event in events]
        ends = [line for line in lines if line.get("done")]
        assert len(ends) <= 1
        return bool(ends) and lines[-1] is ends[0] and not self.error(events)

    def error(self, events: Sequence[SseEvent]) -> str:
        return next(
            (line["error"] for line in map(json.loads, (e.data for e in events)) if "error" in line), ""
        )


class GenerateBench(OllamaBench):
    def __init__(self) -> None:
        self.dialect: Dialect = OllamaGenerate()

    def body(self, **changes: Any) -> dict[str, Any]:
        return {"model": "auto", "prompt": "Hello", "stream": False, **changes}

    def wrong_fields(self) -> Sequence[tuple[dict[str, Any], str]]:
        return [
            ({"prompt": 5}, "prompt"),
            ({"prompt": ""}, "prompt"),
            ({"model": 7}, "model"),
            *self._options(),
        ]

    def too_many(self) -> Sequence[dict[str, Any]]:
        return [self.body(images=["iVBORw0KGgo="] * 101)]

    def many(self) -> dict[str, Any]:
        return self.body(prompt="word " * 2_000)

    def _said(self, events: Sequence[SseEvent]) -> list[dict[str, Any]]:
        lines = [json.loads(event.data) for event in events]
        return [{**line, "content": line["response"]} for line in lines if "error" not in line]


class GeminiBench(MessagesBench):
    """In this dialect model and stream are in the address; the suite puts them into the body."""

    def __init__(self) -> None:
        self.gemini = GeminiGenerate()
        self.dialect: Dialect = self.gemini

    def body(self, **changes: Any) -> dict[str, Any]:
        return {"contents": [self._hello()], **changes}

    def _hello(self) -> dict[str, Any]:
        return {"role": "user", "parts": [{"text": "Hello"}]}

    def parse(self, body: bytes, headers: Mapping[str, str]) -> Request:
        try:
            asked = json.loads(body)
        except (ValueError, RecursionError):
            asked = {}
        asked = asked if isinstance(asked, dict) else {}
        at = self.gemini.at(str(asked.get("model", "auto")), "sse" if asked.get("stream") else "whole")
        return at.parse(body, headers, request_id=ID)

    def wrong_fields(self) -> Sequence[tuple[dict[str, Any], str]]:
        names = {"max_tokens": "maxOutputTokens", "top_p": "topP", "top_k": "topK", "stream": ""}
        return [
            *(each for each in wrong_messages("contents", self._hello(), "parts") if each[0] != {"model": 7}),
            ({"contents": [{"role": "user", "parts": [{"hologram": 1}]}]}, "contents[0].parts[0]"),
            ({"contents": [{"role": "user", "parts": [{"text": 5}]}]}, "contents[0].parts[0].text"),
            *(
                ({"generationConfig": changes}, f"generationConfig.{field}")
                for changes, field in wrong_sampling(**names)
            ),
        ]

    def too_many(self) -> Sequence[dict[str, Any]]:
        crowded = {"role": "user", "parts": [{"text": "x"}] * 2_001}
        return [self.body(contents=[self._hello()] * 10_001), self.body(contents=[crowded])]

    def many(self) -> dict[str, Any]:
        return self.body(contents=[self._hello()] * 2_000)

    def fault(self, body: bytes) -> str:
        error = json.loads(body)["error"]
        assert isinstance(error["code"], int)
        assert error["status"].isupper()
        assert isinstance(error["message"], str)
        return error["message"]

    def _parts(self, events: Sequence[SseEvent]) -> list[dict[str, Any]]:
        chunks = [json.loads(event.data) for event in events]
        assert all(chunk["candidates"][0]["content"]["parts"] for chunk in chunks if "error" not in chunk)
        return [
            part
            for chunk in chunks
            for part in chunk.get("candidates", [{}])[0].get("content", {}).get("parts", ())
        ]

    def text(self, events: Sequence[SseEvent]) -> str:
        return "".join(part.get("text", "") for part in self._parts(events) if not part.get("thought"))

    def tool_calls(self, events: Sequence[SseEvent]) -> list[tuple[str, str, str]]:
        calls = [part["functionCall"] for part in self._parts(events) if "functionCall" in part]
        return [(call["id"], call["name"], json.dumps(call["args"], ensure_ascii=False)) for call in calls]

    def has_succeeded(self, events: Sequence[SseEvent]) -> bool:
        chunks = [json.loads(event.data) for event in events]
        ends = [chunk for chunk in chunks if chunk.get("candidates", [{}])[0].get("finishReason")]
        assert len(ends) <= 1
        assert [chunk for chunk in chunks if "usageMetadata" in chunk] == ends
        return bool(ends) and chunks[-1] is ends[0] and not self.error(events)

    def error(self, events: Sequence[SseEvent]) -> str:
        chunks = [json.loads(event.data) for event in events]
        return next((self.fault(json.dumps(chunk).encode()) for chunk in chunks if "error" in chunk), "")


BENCHES = {
    "openai_chat": OpenAIBench,
    "anthropic_messages": AnthropicBench,
    "openai_responses": ResponsesBench,
    "ollama_chat": OllamaBench,
    "ollama_generate": GenerateBench,
    "gemini": GeminiBench,
}
