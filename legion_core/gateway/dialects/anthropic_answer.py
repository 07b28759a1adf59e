"""Answers in the Anthropic Messages dialect: whole, streamed, and failed."""

import base64
import binascii
from typing import Any, Final

import msgspec

from legion_core.gateway.dialects.base import WholeAnswer
from legion_core.gateway.dialects.fields import json_object
from legion_core.gateway.dialects.status import ClosedInError, public_sentence, shape_of
from legion_core.gateway.types import (
    Closed,
    Joined,
    JsonObject,
    Opened,
    Request,
    StopReason,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    Usage,
)
from legion_core.kernel.errors import LegionError, Malformed, NotFound

# `error` has no word here on purpose: an answer that ended so must not look like one that succeeded.
STOP: Final[dict[StopReason, str]] = {
    "end_turn": "end_turn",
    "stop_sequence": "stop_sequence",
    "cancelled": "end_turn",
    "max_tokens": "max_tokens",
    "tool_use": "tool_use",
    "content_filter": "refusal",
}
PING: Final = b'event: ping\ndata: {"type":"ping"}\n\n'
COMMENT: Final = b": keep-alive\n\n"
_SIGNED: Final = "lgn1."  # how a signature that names its origin begins
_REDACTED: Final = "redacted:"

_encode = msgspec.json.Encoder().encode


class _Usage(msgspec.Struct):
    input_tokens: int
    output_tokens: int
    cache_creation_input_tokens: int = 0
    cache_read_input_tokens: int = 0


class _Text(msgspec.Struct, tag_field="type", tag="text"):
    text: str


class _Thinking(msgspec.Struct, tag_field="type", tag="thinking"):
    thinking: str
    signature: str


class _ToolUse(msgspec.Struct, tag_field="type", tag="tool_use"):
    id: str
    name: str
    input: JsonObject


class _Message(msgspec.Struct, tag_field="type", tag="message"):
    id: str
    role: str
    model: str
    content: list[_Text | _Thinking | _ToolUse]
    stop_reason: str | None
    stop_sequence: str | None
    usage: _Usage


class ThreadNotKept(NotFound):
    """A continuation of what is not kept here; said in the words at which the official library sends all of it."""


class _Details(msgspec.Struct):
    error_code: str


class _Error(msgspec.Struct, omit_defaults=True):
    type: str
    message: str
    details: _Details | None = None


class _ErrorBody(msgspec.Struct, tag_field="type", tag="error"):
    error: _Error


def wrap_signature(origin: str, signature: str) -> str:
    """A signature that names the instance it came from, so that it can find its way back and go nowhere else."""
    return f"{_SIGNED}{base64.urlsafe_b64encode(origin.encode()).decode()}.{signature}"


def unwrap_signature(signature: str) -> tuple[str, str]:
    """Origin and signature; the origin of one that never passed through here is empty, so it goes nowhere."""
    if signature.startswith(_SIGNED):
        name, dot, inner = signature.removeprefix(_SIGNED).partition(".")
        try:
            origin = base64.b64decode(name, altchars=b"-_", validate=True).decode()
        except (binascii.Error, ValueError):
            return "", signature
        if dot:
            return origin, inner
    return "", signature


def render_answer(answer: WholeAnswer) -> bytes:
    """A `message` object; raises ClosedInError if the answer failed, Malformed if a tool call is not JSON."""
    closed = answer.closed
    if closed.stop_reason == "error":
        raise ClosedInError(closed.error or "The answer could not be finished.", closed.error_code)
    content = list[_Text | _Thinking | _ToolUse]()
    if answer.thinking:
        # A whole answer carries no signature, so it names no origin and is sent back to nobody.
        content.append(_Thinking(thinking=answer.thinking, signature=""))
    if answer.text:
        content.append(_Text(text=answer.text))
    for call in answer.tool_calls:
        arguments = json_object(call.arguments)
        if arguments is None:
            raise Malformed(
                f"{answer.model} called {call.name!r} with arguments that are not a JSON object.",
                hint="Ask again.",
            )
        content.append(_ToolUse(id=call.id, name=call.name, input=arguments))
    return _encode(
        _Message(
            id=f"msg_{answer.request_id}",
            role="assistant",
            model=answer.model,
            content=content,
            stop_reason=STOP[closed.stop_reason],
            stop_sequence=closed.stop_sequence or None,
            usage=_usage(closed.usage),
        )
    )


def render_count(input_tokens: int) -> bytes:
    """The answer to a token count."""
    return _encode({"input_tokens": input_tokens})


def render_error(error: LegionError, *, is_unknown_caller: bool = False) -> tuple[int, bytes]:
    """HTTP status and `{"type": "error", …}`. This dialect has a status of its own for too much load."""
    shape = shape_of(error, is_unknown_caller=is_unknown_caller)
    status = 529 if shape.anthropic == "overloaded_error" else shape.status
    details = _Details("thread_not_found") if isinstance(error, ThreadNotKept) else None
    said = _Error(type=shape.anthropic, message=public_sentence(error), details=details)
    return status, _encode(_ErrorBody(error=said))


def _usage(usage: Usage) -> _Usage:
    return _Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_creation_input_tokens=usage.cache_write_tokens,
        cache_read_input_tokens=usage.cache_read_tokens,
    )


def _event(name: bytes, fields: bytes) -> bytes:
    return b'event: %s\ndata: {"type":"%s"%s}\n\n' % (name, name, fields)


class MessagesWriter:
    """Server-sent Messages events: one block open at a time, each started and stopped once.

    Tool calls may come in interleaved pieces, blocks may not: the call being written is streamed, the pieces of
    others wait for its end. A call that was cut off is never stopped as if it were whole.
    """

    def __init__(self, request: Request) -> None:
        self._id = f"msg_{request.id}"
        self._is_opened = False
        self._origin = ""
        self._index = -1
        self._kind = ""  # of the open block: text, thinking, tool, or none
        self._head = b""  # of a delta of the open block
        self._call = -1  # the open block's tool call
        self._waiting = dict[int, list[ToolCallDelta]]()

    def write(self, event: StreamEvent) -> bytes:
        """See `StreamWriter`."""
        match event:
            case TextDelta():
                if not event.text:
                    return b""
                return self._enter("text", {"text": ""}) + self._delta(
                    b'"text_delta","text":%s' % _encode(event.text)
                )
            case ThinkingDelta():
                return self._thinking(event)
            case ToolCallDelta():
                return self._tool_call(event)
            case Opened():
                return self._opened(event)
            case Joined():
                self._origin = event.seam.to_lane.partition("/")[0]
                lane = event.seam.to_lane.replace("\r", " ").replace("\n", " ")
                # Thinking that another model begins anew is a block of its own: only a whole block can be signed.
                end = self._leave() if event.seam.thinks_anew else b""
                return b"%s: continued by %s at character %d\n\n" % (end, lane.encode(), event.seam.at_char)
            case Closed():
                return self._closed(event)

    def error(self, error: LegionError) -> bytes:
        """See `StreamWriter`."""
        return b"event: error\ndata: %s\n\n" % render_error(error)[1]

    def keep_alive(self) -> bytes:
        """See `StreamWriter`; before the first event a comment, for a ping is an event of an open answer."""
        return PING if self._is_opened else COMMENT

    def _opened(self, event: Opened) -> bytes:
        self._is_opened = True
        self._origin = event.lane.instance
        message = _Message(
            id=self._id,
            role="assistant",
            model=event.lane.offer.id,
            content=[],
            stop_reason=None,
            stop_sequence=None,
            usage=_Usage(input_tokens=0, output_tokens=0),
        )
        return _event(b"message_start", b',"message":%s' % _encode(message))

    def _thinking(self, event: ThinkingDelta) -> bytes:
        out = b""
        if event.signature.startswith(_REDACTED):
            data = wrap_signature(self._origin, event.signature.removeprefix(_REDACTED))
            return self._leave() + self._enter("redacted_thinking", {"data": data}) + self._leave()
        if event.text:
            out += self._enter("thinking", {"thinking": "", "signature": ""})
            out += self._delta(b'"thinking_delta","thinking":%s' % _encode(event.text))
        if event.signature:
            out += self._enter("thinking", {"thinking": "", "signature": ""})
            signature = wrap_signature(self._origin, event.signature)
            out += self._delta(b'"signature_delta","signature":%s' % _encode(signature)) + self._leave()
        return out

    def _tool_call(self, event: ToolCallDelta) -> bytes:
        if self._kind == "tool" and event.index != self._call:
            self._waiting.setdefault(event.index, []).append(event)
            return b""
        out = b""
        if self._kind != "tool":
            self._call = event.index
            out = self._enter("tool", {"id": event.id, "name": event.name, "input": {}}, "tool_use")
        if event.arguments:
            out += self._delta(b'"input_json_delta","partial_json":%s' % _encode(event.arguments))
        return out

    def _enter(self, kind: str, fields: dict[str, Any], block_type: str = "") -> bytes:
        """Start a block of that kind unless one is open; whatever else is open ends."""
        if self._kind == kind:
            return b""
        out = self._leave()
        self._kind = kind
        self._index += 1
        self._head = b',"index":%d,"delta":{"type":' % self._index
        block = _encode({"type": block_type or kind, **fields})
        return out + _event(b"content_block_start", b',"index":%d,"content_block":%s' % (self._index, block))

    def _delta(self, fields: bytes) -> bytes:
        return _event(b"content_block_delta", b"%s%s}" % (self._head, fields))

    def _leave(self) -> bytes:
        """Stop the open block; a tool call's end lets the waiting ones be written."""
        if not self._kind:
            return b""
        was_tool = self._kind == "tool"
        self._kind = ""
        out = _event(b"content_block_stop", b',"index":%d' % self._index)
        if was_tool and self._waiting:
            waiting, self._waiting = self._waiting, {}
            for index in sorted(waiting):
                for part in waiting[index]:
                    out += self._tool_call(part)
                out += self._leave()
        return out

    def _closed(self, event: Closed) -> bytes:
        if event.stop_reason == "error":
            return self.error(ClosedInError(event.error or "The answer broke off.", event.error_code))
        delta = _encode(
            {"stop_reason": STOP[event.stop_reason], "stop_sequence": event.stop_sequence or None}
        )
        return (
            self._leave()
            + _event(b"message_delta", b',"delta":%s,"usage":%s' % (delta, _encode(_usage(event.usage))))
            + _event(b"message_stop", b"")
        )
