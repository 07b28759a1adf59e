"""Five kinds of client, each over a raw socket: what they ask, and what they make of the stream that answers.

Strict on purpose: an assembler counts beginnings, ends and usages and never repairs, so that a stream which only a
forgiving client understands is seen as what it is.
"""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

DialectName = Literal["chat", "responses", "messages", "ollama", "gemini"]
DIALECTS: tuple[DialectName, ...] = ("chat", "responses", "messages", "ollama", "gemini")
PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SCHEMA: dict[str, Any] = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL = {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]}
QUESTION = "Tell me."


@dataclass(slots=True)
class Assembled:
    """What a client has when the stream is over. `faults` are things no stream of that protocol may have."""

    text: str = ""
    thinking: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list[tuple[str, Any]])
    call_ids: list[str] = field(default_factory=list[str])
    starts: int = 0
    ends: int = 0
    usages: int = 0
    output_tokens: int = 0
    error: str = ""
    faults: list[str] = field(default_factory=list[str])


@dataclass(frozen=True, slots=True)
class Asked:
    """What a question is made of."""

    thinks: bool = False
    has_tools: bool = False
    has_picture: bool = False
    is_structured: bool = False


def question(dialect: DialectName, model: str, asked: Asked) -> tuple[str, bytes]:
    """Path and body."""
    path, body = _QUESTIONS[dialect](model, asked)
    return path, json.dumps(body).encode()


def assemble(dialect: DialectName, body: bytes) -> Assembled:
    """The stream's bytes as that dialect's client understands them."""
    out = Assembled()
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        out.faults.append(f"not UTF-8: {error}")
        return out
    _ASSEMBLERS[dialect](text, out)
    return out


def _chat_question(model: str, asked: Asked) -> tuple[str, Any]:
    content: Any = QUESTION
    if asked.has_picture:
        content = [
            {"type": "text", "text": QUESTION},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}},
        ]
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "user", "content": content}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if asked.thinks:
        body["reasoning_effort"] = "low"
    if asked.has_tools:
        body["tools"] = [{"type": "function", "function": {"name": "write", "parameters": TOOL}}]
    if asked.is_structured:
        body["response_format"] = {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}
    return "/v1/chat/completions", body


def _responses_question(model: str, asked: Asked) -> tuple[str, Any]:
    parts = [{"type": "input_text", "text": QUESTION}]
    if asked.has_picture:
        parts.append({"type": "input_image", "image_url": f"data:image/png;base64,{PICTURE}"})
    body: dict[str, Any] = {
        "model": model,
        "input": [{"type": "message", "role": "user", "content": parts}],
        "stream": True,
        "store": False,
    }
    if asked.thinks:
        body["reasoning"] = {"effort": "low", "summary": "auto"}
    if asked.has_tools:
        body["tools"] = [{"type": "function", "name": "write", "parameters": TOOL}]
    if asked.is_structured:
        body["text"] = {"format": {"type": "json_schema", "name": "a", "schema": SCHEMA}}
    return "/v1/responses", body


def _messages_question(model: str, asked: Asked) -> tuple[str, Any]:
    content: list[dict[str, Any]] = [{"type": "text", "text": QUESTION}]
    if asked.has_picture:
        source = {"type": "base64", "media_type": "image/png", "data": PICTURE}
        content.append({"type": "image", "source": source})
    body: dict[str, Any] = {
        "model": model,
        "max_tokens": 8192,
        "messages": [{"role": "user", "content": content}],
        "stream": True,
    }
    if asked.thinks:
        body["thinking"] = {"type": "enabled", "budget_tokens": 1024}
    if asked.has_tools:
        body["tools"] = [{"name": "write", "input_schema": TOOL}]
    if asked.is_structured:
        body["output_config"] = {"format": {"type": "json_schema", "schema": SCHEMA}}
    return "/v1/messages", body


def _ollama_question(model: str, asked: Asked) -> tuple[str, Any]:
    message: dict[str, Any] = {"role": "user", "content": QUESTION}
    if asked.has_picture:
        message["images"] = [PICTURE]
    body: dict[str, Any] = {"model": model, "messages": [message]}
    if asked.thinks:
        body["think"] = True
    if asked.has_tools:
        body["tools"] = [{"type": "function", "function": {"name": "write", "parameters": TOOL}}]
    if asked.is_structured:
        body["format"] = SCHEMA
    return "/api/chat", body


def _gemini_question(model: str, asked: Asked) -> tuple[str, Any]:
    parts: list[dict[str, Any]] = [{"text": QUESTION}]
    if asked.has_picture:
        parts.append({"inlineData": {"mimeType": "image/png", "data": PICTURE}})
    body: dict[str, Any] = {"contents": [{"role": "user", "parts": parts}]}
    config: dict[str, Any] = {}
    if asked.thinks:
        config["thinkingConfig"] = {"includeThoughts": True, "thinkingBudget": 1024}
    if asked.has_tools:
        body["tools"] = [{"functionDeclarations": [{"name": "write", "parametersJsonSchema": TOOL}]}]
    if asked.is_structured:
        config |= {"responseMimeType": "application/json", "responseJsonSchema": SCHEMA}
    if config:
        body["generationConfig"] = config
    return f"/v1beta/models/{model}:streamGenerateContent?alt=sse", body


def _sse(text: str, out: Assembled) -> Iterator[tuple[str, Any]]:
    """Names and decoded data; `[DONE]` comes as it is."""
    if text and not text.endswith("\n\n"):
        out.faults.append("the last event is not whole")
    for block in text.split("\n\n"):
        name, data = "", list[str]()
        for line in block.split("\n"):
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                data.append(line[6:])
        if data:
            joined = "\n".join(data)
            yield name, joined if joined == "[DONE]" else json.loads(joined)


def _chat(text: str, out: Assembled) -> None:
    calls = dict[int, list[str]]()
    finishes = 0
    for _, event in _sse(text, out):
        if out.ends:
            out.faults.append("something behind the end")
        if event == "[DONE]":
            out.ends += 1
            continue
        if "error" in event:
            out.error = event["error"]["message"]
            continue
        if event.get("usage"):
            out.usages += 1
            out.output_tokens = event["usage"]["completion_tokens"]
        for choice in event["choices"]:
            delta = choice["delta"]
            out.starts += delta.get("role") == "assistant"
            out.text += delta.get("content") or ""
            out.thinking += delta.get("reasoning_content") or ""
            finishes += bool(choice["finish_reason"])
            for part in delta.get("tool_calls", ()):
                call = calls.setdefault(part["index"], ["", "", ""])
                call[0] += part.get("id", "")
                call[1] += part["function"].get("name", "")
                call[2] += part["function"]["arguments"]
    if finishes != out.ends:
        out.faults.append(f"{finishes} finish reasons for {out.ends} ends")
    for call in calls.values():
        _call(out, *call)


def _responses(text: str, out: Assembled) -> None:
    done = list[Any]()
    for number, (name, event) in enumerate(_sse(text, out)):
        if event["type"] != name or event["sequence_number"] != number:
            out.faults.append(f"event {number} is {event['sequence_number']} {name}")
        if out.ends or out.error:
            out.faults.append("something behind the end")
        match name:
            case "response.created":
                out.starts += 1
            case "response.output_text.delta":
                out.text += event["delta"]
            case "response.reasoning_summary_text.delta":
                out.thinking += event["delta"]
            case "response.output_item.done":
                done.append(event["item"])
                if event["item"]["type"] == "function_call":
                    item = event["item"]
                    _call(out, item["call_id"], item["name"], item["arguments"])
            case "response.completed":
                out.ends += 1
                out.usages += event["response"]["usage"] is not None
                out.output_tokens = event["response"]["usage"]["output_tokens"]
                if event["response"]["output"] != done:
                    out.faults.append("the response is not what its items were")
            case "response.failed":
                out.error = event["response"]["error"]["message"]
            case _:
                pass


def _messages(text: str, out: Assembled) -> None:
    open_block, index, call = "", -1, ["", "", ""]
    for name, event in _sse(text, out):
        out.faults += ["something behind the end"] * bool(out.ends or out.error)
        match name:
            case "message_start":
                out.starts += 1
            case "content_block_start":
                index += 1
                if open_block or event["index"] != index:
                    out.faults.append("a block inside a block")
                block = event["content_block"]
                open_block = block["type"]
                call = [block.get("id", ""), block.get("name", ""), ""]
            case "content_block_delta":
                if not open_block or event["index"] != index:
                    out.faults.append("a delta outside its block")
                _messages_delta(event["delta"], call, out)
            case "content_block_stop":
                if open_block == "tool_use":
                    _call(out, *call)
                open_block = ""
            case "message_delta":
                out.usages += 1
                out.output_tokens = event["usage"]["output_tokens"]
            case "message_stop":
                out.ends += 1
                out.faults += ["a block is still open"] * bool(open_block)
            case "error":
                out.error = event["error"]["message"]
            case _:
                pass


def _messages_delta(delta: dict[str, str], call: list[str], out: Assembled) -> None:
    out.text += delta.get("text", "")
    out.thinking += delta.get("thinking", "")
    call[2] += delta.get("partial_json", "")


def _ollama(text: str, out: Assembled) -> None:
    out.starts = 1  # this dialect has no word for it
    for line in text.split("\n"):
        if not line.strip():
            continue
        said = json.loads(line)
        if out.ends or out.error:
            out.faults.append("something behind the end")
        if "error" in said:
            out.error = said["error"]
            continue
        message = said["message"]
        out.text += message["content"]
        out.thinking += message.get("thinking", "")
        for call in message.get("tool_calls", ()):
            _call(out, call["id"], call["function"]["name"], json.dumps(call["function"]["arguments"]))
        if said["done"]:
            out.ends += 1
            out.usages += "eval_count" in said
            out.output_tokens = said["eval_count"]


def _gemini(text: str, out: Assembled) -> None:
    out.starts = 1  # this dialect has no word for it
    for _, said in _sse(text, out):
        if out.ends or out.error:
            out.faults.append("something behind the end")
        if "error" in said:
            out.error = said["error"]["message"]
            continue
        candidate = said["candidates"][0]
        for part in candidate["content"]["parts"]:
            if part.get("thought"):
                out.thinking += part["text"]
            elif "functionCall" in part:
                call = part["functionCall"]
                _call(out, call["id"], call["name"], json.dumps(call["args"]))
            else:
                out.text += part["text"]
        out.ends += "finishReason" in candidate
        if usage := said.get("usageMetadata"):
            out.usages += 1
            out.output_tokens = usage["candidatesTokenCount"] + usage.get("thoughtsTokenCount", 0)


def _call(out: Assembled, call_id: str, name: str, arguments: str) -> None:
    out.call_ids.append(call_id)
    try:
        out.calls.append((name, json.loads(arguments)))
    except ValueError:
        out.faults.append(f"half a call: {arguments!r}")


_QUESTIONS: Mapping[DialectName, Callable[[str, Asked], tuple[str, Any]]] = {
    "chat": _chat_question,
    "responses": _responses_question,
    "messages": _messages_question,
    "ollama": _ollama_question,
    "gemini": _gemini_question,
}
_ASSEMBLERS: Mapping[DialectName, Callable[[str, Assembled], None]] = {
    "chat": _chat,
    "responses": _responses,
    "messages": _messages,
    "ollama": _ollama,
    "gemini": _gemini,
}


@dataclass(frozen=True, slots=True)
class Got:
    """An HTTP answer. `is_whole`: its body had its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_whole: bool


class RawClient:
    """One keep-alive connection to the node; reopened where it was closed."""

    def __init__(self, host: str, port: int, token: str) -> None:
        self._address = host, port
        self._token = token
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> Got:
        """The whole answer. A connection that the node closed while nobody asked anything is opened anew."""
        head = {
            "host": f"127.0.0.1:{self._address[1]}",
            "authorization": f"Bearer {self._token}",
            "content-type": "application/json",
            "content-length": str(len(body)),
            **(headers or {}),
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        data = f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + body
        is_used = self._streams is not None
        try:
            got = await self._exchange(data)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.close()
            if not is_used:
                raise
            got = await self._exchange(data)
        if not got.is_whole or got.headers.get("connection") == "close":
            self.close()
        return got

    async def _exchange(self, data: bytes) -> Got:
        reader, writer = self._streams or await asyncio.open_connection(*self._address)
        self._streams = reader, writer
        writer.write(data)
        return await _answer(reader)

    def close(self) -> None:
        """Drop the connection."""
        if self._streams is not None:
            self._streams[1].transport.abort()
            self._streams = None


async def _answer(reader: asyncio.StreamReader) -> Got:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
    status, body = int(head[0].split(" ")[1]), b""
    try:
        if "content-length" in headers:
            body = await reader.readexactly(int(headers["content-length"]))
        else:
            while size := int(await reader.readuntil(b"\r\n"), 16):
                body += (await reader.readexactly(size + 2))[:-2]
            await reader.readuntil(b"\r\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        return Got(status, headers, body, is_whole=False)
    return Got(status, headers, body, is_whole=True)
