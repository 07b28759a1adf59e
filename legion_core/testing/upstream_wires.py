"""What the OpenAI, Anthropic and Ollama wires look like on the provider's side: an answer as bytes, event by event.

Written from the providers' documentation, not from our own writers: a mistake there would else be invisible here.
"""

import json
from dataclasses import dataclass
from typing import Any, Literal

WireName = Literal["openai", "anthropic", "ollama", "gemini", "bedrock"]


@dataclass(frozen=True, slots=True)
class Event:
    """Bytes of one event of a stream, and how many output tokens they bill."""

    data: bytes
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Die:
    """The connection ends just before event `at_event`: by FIN in good order, by RST, or because its process is killed."""

    at_event: int
    by: Literal["fin", "rst", "kill"] = "fin"


@dataclass(frozen=True, slots=True)
class Stall:
    """Silence from event `at_event` on, until the client goes away; with `drip` one byte of a comment each that many seconds."""

    at_event: int
    drip_s: float | None = None


@dataclass(frozen=True, slots=True)
class Say:
    """Instead of event `at_event` and everything after it, these bytes; then the stream ends in good order.

    `tokens` of them are billed.
    """

    at_event: int
    data: bytes
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Tear:
    """Half of event `at_event`, inside a character of several bytes if it has one; then the end.

    `fin` and `rst` end the connection, `end` ends the body in good order, and `chunk` ends the connection inside an
    HTTP chunk that announced more.
    """

    at_event: int
    by: Literal["fin", "rst", "end", "chunk"] = "fin"

    def half(self, data: bytes) -> bytes:
        """What of the event is written."""
        inside = next((at for at, byte in enumerate(data) if 0x80 <= byte < 0xC0), len(data) // 2)
        return data[:inside]


@dataclass(frozen=True, slots=True)
class Insert:
    """Before event `at_event` these bytes too, such as an event of the future."""

    at_event: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call in an answer; `arguments` is JSON text, sent in `pieces`."""

    id: str
    name: str
    arguments: str
    pieces: int = 3

    @property
    def cuts(self) -> list[str]:
        """The arguments as they are sent."""
        size = max(1, -(-len(self.arguments) // self.pieces))
        return [self.arguments[at : at + size] for at in range(0, len(self.arguments), size)]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model says. `stop` is the wire's own word, empty for its usual one."""

    pieces: tuple[str, ...] = ("ok",)
    thinking: tuple[str, ...] = ()
    signature: str = "sig-1"
    calls: tuple[Call, ...] = ()
    stop: str = ""
    input_tokens: int = 7
    cached_tokens: int = 0
    has_usage: bool = True
    fault: Die | Stall | Say | Tear | Insert | None = None
    split: int | None = None  # bytes of each write; None writes whole events
    delay_s: float = 0.0  # before each event

    @property
    def output_tokens(self) -> int:
        """One a piece."""
        return len(self.pieces) + len(self.thinking) + sum(len(call.cuts) for call in self.calls)


def _sse(payload: Any, event: str = "") -> bytes:
    name = f"event: {event}\n" if event else ""
    return f"{name}data: {json.dumps(payload, ensure_ascii=False)}\n\n".encode()


def openai_stream(answer: Answer, asked: dict[str, Any]) -> list[Event]:
    """The events of `POST /chat/completions`; of `POST /completions` where a prompt was sent."""
    if "prompt" in asked:
        return _openai_text(answer, asked)
    base = {"id": "chatcmpl-up", "object": "chat.completion.chunk", "created": 1, "model": asked["model"]}

    written = 0

    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        nonlocal written
        calls = delta.get("tool_calls") or [{"function": {"arguments": ""}}]
        said = delta.get("content") or delta.get("reasoning_content") or calls[0]["function"]["arguments"]
        written += bool(said)
        told: dict[str, Any] = {}
        if answer.has_usage and asked.get("stream_options", {}).get("continuous_usage_stats"):  # as vLLM does
            usage = {
                "prompt_tokens": answer.input_tokens + answer.cached_tokens,
                "completion_tokens": written,
            }
            told["usage"] = {**usage, "total_tokens": sum(usage.values())}
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _sse({**base, "choices": [choice], **told})

    events = [Event(chunk({"role": "assistant", "content": ""}))]
    events += [Event(chunk({"reasoning_content": piece}), 1) for piece in answer.thinking]
    events += [Event(chunk({"content": piece}), 1) for piece in answer.pieces]
    for index, call in enumerate(answer.calls):
        opening = {
            "index": index,
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": ""},
        }
        events.append(Event(chunk({"tool_calls": [opening]})))
        events += [
            Event(chunk({"tool_calls": [{"index": index, "function": {"arguments": cut}}]}), 1)
            for cut in call.cuts
        ]
    events.append(Event(chunk({}, answer.stop or ("tool_calls" if answer.calls else "stop"))))
    if answer.has_usage and asked.get("stream_options", {}).get("include_usage"):
        events.append(Event(_sse({**base, "choices": [], "usage": _openai_usage(answer)})))
    events.append(Event(b"data: [DONE]\n\n"))
    return events


def _openai_text(answer: Answer, asked: dict[str, Any]) -> list[Event]:
    base = {"id": "cmpl-up", "object": "text_completion", "created": 1, "model": asked["model"]}

    def chunk(text: str, finish: str | None = None) -> bytes:
        choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": finish}
        return _sse({**base, "choices": [choice]})

    events = [Event(chunk(piece), 1) for piece in answer.pieces]
    events.append(Event(chunk("", answer.stop or "stop")))
    if answer.has_usage and asked.get("stream_options", {}).get("include_usage"):
        events.append(Event(_sse({**base, "choices": [], "usage": _openai_usage(answer)})))
    events.append(Event(b"data: [DONE]\n\n"))
    return events


def _openai_usage(answer: Answer) -> dict[str, Any]:
    prompt = answer.input_tokens + answer.cached_tokens
    return {
        "prompt_tokens": prompt,
        "completion_tokens": answer.output_tokens,
        "total_tokens": prompt + answer.output_tokens,
        "prompt_tokens_details": {"cached_tokens": answer.cached_tokens},
        "completion_tokens_details": {"reasoning_tokens": len(answer.thinking)},
    }


def openai_whole(answer: Answer, asked: dict[str, Any]) -> bytes:
    """The body of an answer that is not streamed."""
    calls = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
        for call in answer.calls
    ]
    message = {
        "role": "assistant",
        "content": "".join(answer.pieces) or None,
        **({"tool_calls": calls} if calls else {}),
    }
    choice = {
        "index": 0,
        "message": message,
        "finish_reason": answer.stop or ("tool_calls" if calls else "stop"),
    }
    return json.dumps(
        {
            "id": "chatcmpl-up",
            "object": "chat.completion",
            "created": 1,
            "model": asked["model"],
            "choices": [choice],
            "usage": _openai_usage(answer),
        }
    ).encode()


def anthropic_stream(answer: Answer, asked: dict[str, Any]) -> list[Event]:
    """The events of `POST /v1/messages`."""
    usage = {
        "input_tokens": answer.input_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": answer.cached_tokens,
        "output_tokens": 1,
    }
    message: dict[str, Any] = {
        "id": "msg_up",
        "type": "message",
        "role": "assistant",
        "model": asked.get("model", "m1"),
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": usage if answer.has_usage else {},
    }
    events = [Event(_sse({"type": "message_start", "message": message}, "message_start"))]
    index = 0

    def block(start: dict[str, Any], deltas: list[tuple[dict[str, Any], int]]) -> None:
        nonlocal index
        opening = {"type": "content_block_start", "index": index, "content_block": start}
        events.append(Event(_sse(opening, "content_block_start")))
        if index == 0:
            events.append(Event(_sse({"type": "ping"}, "ping")))
        for delta, tokens in deltas:
            payload = {"type": "content_block_delta", "index": index, "delta": delta}
            events.append(Event(_sse(payload, "content_block_delta"), tokens))
        events.append(Event(_sse({"type": "content_block_stop", "index": index}, "content_block_stop")))
        index += 1

    if answer.thinking:
        deltas = [({"type": "thinking_delta", "thinking": piece}, 1) for piece in answer.thinking]
        signed = ({"type": "signature_delta", "signature": answer.signature}, 0)
        block({"type": "thinking", "thinking": "", "signature": ""}, [*deltas, signed])
    if answer.pieces:
        block(
            {"type": "text", "text": ""},
            [({"type": "text_delta", "text": piece}, 1) for piece in answer.pieces],
        )
    for call in answer.calls:
        block(
            {"type": "tool_use", "id": call.id, "name": call.name, "input": {}},
            [({"type": "input_json_delta", "partial_json": cut}, 1) for cut in call.cuts],
        )
    stop = answer.stop or ("tool_use" if answer.calls else "end_turn")
    end = {
        "type": "message_delta",
        "delta": {"stop_reason": stop, "stop_sequence": None},
        **({"usage": {"output_tokens": answer.output_tokens}} if answer.has_usage else {}),
    }
    events.append(Event(_sse(end, "message_delta")))
    events.append(Event(_sse({"type": "message_stop"}, "message_stop")))
    return events


def anthropic_whole(answer: Answer, asked: dict[str, Any]) -> bytes:
    """The body of an answer that is not streamed."""
    content: list[dict[str, Any]] = (
        [{"type": "text", "text": "".join(answer.pieces)}] if answer.pieces else []
    )
    content += [
        {"type": "tool_use", "id": call.id, "name": call.name, "input": json.loads(call.arguments)}
        for call in answer.calls
    ]
    return json.dumps(
        {
            "id": "msg_up",
            "type": "message",
            "role": "assistant",
            "model": asked.get("model", "m1"),
            "content": content,
            "stop_reason": answer.stop or ("tool_use" if answer.calls else "end_turn"),
            "stop_sequence": None,
            "usage": {"input_tokens": answer.input_tokens, "output_tokens": answer.output_tokens},
        }
    ).encode()


def ollama_stream(answer: Answer, asked: dict[str, Any]) -> list[Event]:
    """The lines of `POST /api/chat`; of `POST /api/generate` where a prompt was sent."""

    def line(message: dict[str, Any], **end: Any) -> bytes:
        said: dict[str, Any] = {"message": {"role": "assistant", "content": "", **message}}
        payload = {
            "model": asked["model"],
            "created_at": "2026-01-01T00:00:00.000000Z",
            **({"response": message.get("content", "")} if "prompt" in asked else said),
            "done": bool(end),
            **end,
        }
        return json.dumps(payload, ensure_ascii=False).encode() + b"\n"

    events = [Event(line({"thinking": piece}), 1) for piece in answer.thinking]
    events += [Event(line({"content": piece}), 1) for piece in answer.pieces]
    for call in answer.calls:
        # This wire sends a call whole, its arguments as an object.
        function = {"name": call.name, "arguments": json.loads(call.arguments)}
        events.append(Event(line({"tool_calls": [{"function": function}]}), len(call.cuts)))
    counts = (
        {"prompt_eval_count": answer.input_tokens, "eval_count": answer.output_tokens}
        if answer.has_usage
        else {}
    )
    events.append(
        Event(line({}, done_reason=answer.stop or "stop", total_duration=5, load_duration=1, **counts))
    )
    return events


def ollama_whole(answer: Answer, asked: dict[str, Any]) -> bytes:
    """The body of an answer that is not streamed."""
    message: dict[str, Any] = {"role": "assistant", "content": "".join(answer.pieces)}
    if answer.calls:
        message["tool_calls"] = [
            {"function": {"name": call.name, "arguments": json.loads(call.arguments)}}
            for call in answer.calls
        ]
    return json.dumps(
        {
            "model": asked["model"],
            "created_at": "2026-01-01T00:00:00Z",
            "message": message,
            "done": True,
            "done_reason": answer.stop or "stop",
            "prompt_eval_count": answer.input_tokens,
            "eval_count": answer.output_tokens,
        }
    ).encode()
