"""Answers in the Ollama dialect: whole, streamed as one JSON object a line, and failed."""

from datetime import UTC, datetime
from typing import Final

from legion_core.gateway.dialects.base import WholeAnswer
from legion_core.gateway.dialects.fields import json_object
from legion_core.gateway.dialects.lines import encode_line
from legion_core.gateway.dialects.status import ClosedInError, public_sentence, shape_of
from legion_core.gateway.types import (
    Closed,
    Joined,
    JsonObject,
    Opened,
    StopReason,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolUseBlock,
)
from legion_core.kernel.errors import LegionError, Malformed

# `error` has no word here on purpose: an answer that ended so must not look like one that succeeded.
DONE: Final[dict[StopReason, str]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "cancelled": "stop",
    "tool_use": "stop",
    "max_tokens": "length",
    "content_filter": "content_filter",
}
# Clients parse every line, the empty one too, but white space before an object is nothing.
KEEP_ALIVE: Final = b" "
_NS: Final = 1_000_000_000


def dated(at: datetime) -> str:
    """A time as this dialect writes it."""
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def render_answer(answer: WholeAnswer, *, created: datetime, is_chat: bool) -> bytes:
    """The answer as one object; raises ClosedInError if it failed, Malformed if a tool call is not JSON."""
    closed = answer.closed
    if closed.stop_reason == "error":
        raise ClosedInError(closed.error or "The answer could not be finished.", closed.error_code)
    told = {
        "model": answer.model,
        "created_at": dated(created),
        **_said(answer.text, answer.thinking, answer.tool_calls, is_chat=is_chat),
        **_end(closed),
    }
    return encode_line(told)


def render_waking(model: str, reason: str, *, created: datetime, is_chat: bool) -> bytes:
    """The answer to a call that only wakes a model."""
    said = _said("", "", (), is_chat=is_chat)
    return encode_line(
        {"model": model, "created_at": dated(created), **said, "done": True, "done_reason": reason}
    )


def render_error(error: LegionError, *, is_unknown_caller: bool = False) -> tuple[int, bytes]:
    """HTTP status and `{"error": "…"}`."""
    shape = shape_of(error, is_unknown_caller=is_unknown_caller)
    return shape.status, encode_line({"error": public_sentence(error)})


def _said(text: str, thinking: str, calls: tuple[ToolUseBlock, ...], *, is_chat: bool) -> JsonObject:
    said: JsonObject = {"role": "assistant", "content": text} if is_chat else {"response": text}
    if thinking:
        said["thinking"] = thinking
    if calls:
        said["tool_calls"] = [_call(index, call) for index, call in enumerate(calls)]
    return {"message": said} if is_chat else said


def _call(index: int, call: ToolUseBlock) -> JsonObject:
    arguments = json_object(call.arguments)
    if arguments is None:
        raise Malformed(
            f"{call.name!r} was called with arguments that are not a JSON object.", hint="Ask again."
        )
    return {"id": call.id, "function": {"index": index, "name": call.name, "arguments": arguments}}


def _end(closed: Closed) -> JsonObject:
    usage, total_ns = closed.usage, round(closed.duration_s * _NS)
    prompt_ns = min(total_ns, round((closed.first_token_s or 0.0) * _NS))
    return {
        "done": True,
        "done_reason": DONE[closed.stop_reason],
        "total_duration": total_ns,
        "load_duration": 0,
        # This dialect counts the whole prompt, whether it was cached or not.
        "prompt_eval_count": usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens,
        "prompt_eval_duration": prompt_ns,
        "eval_count": usage.output_tokens,
        "eval_duration": total_ns - prompt_ns,
    }


class OllamaWriter:
    """One JSON object a line; the last one is `done`, or an `error`.

    This dialect has no pieces of a tool call: calls are written when the answer has ended and they are whole.
    """

    def __init__(self, *, created_s: int, is_chat: bool) -> None:
        self._created = encode_line(dated(datetime.fromtimestamp(created_s, UTC)))
        self._is_chat = is_chat
        self._head = b""
        self._calls = dict[int, ToolUseBlock]()

    def write(self, event: StreamEvent) -> bytes:
        """See `StreamWriter`."""
        match event:
            case TextDelta():
                return self._line(_said(event.text, "", (), is_chat=self._is_chat)) if event.text else b""
            case ThinkingDelta():
                # A signature means something to its own provider only.
                return self._line(_said("", event.text, (), is_chat=self._is_chat)) if event.text else b""
            case ToolCallDelta():
                known = self._calls.get(event.index)
                self._calls[event.index] = ToolUseBlock(
                    id=event.id or (known.id if known else ""),
                    name=event.name or (known.name if known else ""),
                    arguments=(known.arguments if known else "") + event.arguments,
                )
                return b""
            case Opened():
                self._head = b'{"model":%s,"created_at":%s,' % (
                    encode_line(event.lane.offer.id),
                    self._created,
                )
                return b""
            case Joined():
                return b""  # no line of this dialect can say it, and every line is read
            case Closed():
                return self._closed(event)

    def error(self, error: LegionError) -> bytes:
        """See `StreamWriter`."""
        return render_error(error)[1] + b"\n"

    def keep_alive(self) -> bytes:
        """See `StreamWriter`."""
        return KEEP_ALIVE

    def _line(self, said: JsonObject) -> bytes:
        return b'%s%s,"done":false}\n' % (self._head, encode_line(said)[1:-1])

    def _closed(self, event: Closed) -> bytes:
        if event.stop_reason == "error":
            return self.error(ClosedInError(event.error or "The answer broke off.", event.error_code))
        out = b""
        if self._calls:
            calls = tuple(self._calls[index] for index in sorted(self._calls))
            try:
                out = self._line(_said("", "", calls, is_chat=self._is_chat))
            except Malformed as error:
                return self.error(error)
        last = {**_said("", "", (), is_chat=self._is_chat), **_end(event)}
        return b"%s%s%s\n" % (out, self._head, encode_line(last)[1:])
