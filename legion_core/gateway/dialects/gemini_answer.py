"""Answers in the Gemini dialect: whole, streamed as events or as one JSON array, and failed."""

import base64
from typing import Final, Literal

from legion_core.gateway.dialects.anthropic_answer import wrap_signature
from legion_core.gateway.dialects.base import WholeAnswer
from legion_core.gateway.dialects.fields import json_object
from legion_core.gateway.dialects.lines import encode_line
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
    ToolUseBlock,
    Usage,
)
from legion_core.kernel.errors import LegionError, Malformed

Form = Literal["whole", "sse", "array"]

# `error` has no word here on purpose: an answer that ended so must not look like one that succeeded.
FINISH: Final[dict[StopReason, str]] = {
    "end_turn": "STOP",
    "stop_sequence": "STOP",
    "cancelled": "STOP",
    "tool_use": "STOP",
    "max_tokens": "MAX_TOKENS",
    "content_filter": "SAFETY",
}
STATUS: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    504: "DEADLINE_EXCEEDED",
}
# The provider's own Python library takes a comment for a broken answer; an empty line is nothing in both forms.
KEEP_ALIVE: Final = b"\n"


class GeminiRequest(Request, frozen=True, kw_only=True):
    """A request that came in this dialect. `shows_thoughts`: the client asked for them; else they are kept back."""

    form: Form = "whole"
    shows_thoughts: bool = False


def render_answer(answer: WholeAnswer, *, shows_thoughts: bool) -> bytes:
    """The answer as one object; raises ClosedInError if it failed, Malformed if a tool call is not JSON."""
    closed = answer.closed
    if closed.stop_reason == "error":
        raise ClosedInError(closed.error or "The answer could not be finished.", closed.error_code)
    parts = list[JsonObject]()
    if answer.thinking and shows_thoughts:
        parts.append({"text": answer.thinking, "thought": True})
    if answer.text or not answer.tool_calls:
        parts.append({"text": answer.text})
    parts += [_call(call) for call in answer.tool_calls]
    return encode_line(
        {
            "candidates": [_candidate(parts, FINISH[closed.stop_reason])],
            "usageMetadata": _usage(closed.usage),
            "modelVersion": answer.model,
            "responseId": answer.request_id,
        }
    )


def render_error(error: LegionError, *, is_unknown_caller: bool = False) -> tuple[int, bytes]:
    """HTTP status and `{"error": {"code", "message", "status"}}`."""
    status = shape_of(error, is_unknown_caller=is_unknown_caller).status
    word = STATUS.get(status, "UNAVAILABLE")
    return status, encode_line({"error": {"code": status, "message": public_sentence(error), "status": word}})


def _candidate(parts: list[JsonObject], finish: str = "") -> JsonObject:
    candidate: JsonObject = {"content": {"parts": parts, "role": "model"}, "index": 0}
    return {**candidate, "finishReason": finish} if finish else candidate


def _call(call: ToolUseBlock) -> JsonObject:
    arguments = json_object(call.arguments)
    if arguments is None:
        raise Malformed(
            f"{call.name!r} was called with arguments that are not a JSON object.", hint="Ask again."
        )
    return {"functionCall": {"id": call.id, "name": call.name, "args": arguments}}


def _usage(usage: Usage) -> JsonObject:
    # This dialect counts cached tokens as part of the prompt, and thoughts apart from the answer.
    prompt = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
    told = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": usage.output_tokens - usage.thinking_tokens,
        "totalTokenCount": prompt + usage.output_tokens,
    }
    if usage.cache_read_tokens:
        told["cachedContentTokenCount"] = usage.cache_read_tokens
    if usage.thinking_tokens:
        told["thoughtsTokenCount"] = usage.thinking_tokens
    return told


class GeminiWriter:
    """Partial answers, each a whole object; the last one has `finishReason` and the usage, or is an `error`.

    This dialect has no pieces of a tool call: calls are written when the answer has ended and they are whole.
    """

    def __init__(self, request: Request) -> None:
        asked = request if isinstance(request, GeminiRequest) else None
        self._is_array = asked is not None and asked.form == "array"
        self._shows_thoughts = asked is not None and asked.shows_thoughts
        self._id = request.id
        self._origin = ""
        self._model = ""
        self._is_begun = False
        self._calls = dict[int, ToolUseBlock]()

    def write(self, event: StreamEvent) -> bytes:
        """See `StreamWriter`."""
        match event:
            case TextDelta():
                return self._parts([{"text": event.text}]) if event.text else b""
            case ThinkingDelta():
                return self._thinking(event) if self._shows_thoughts else b""
            case ToolCallDelta():
                known = self._calls.get(event.index)
                self._calls[event.index] = ToolUseBlock(
                    id=event.id or (known.id if known else ""),
                    name=event.name or (known.name if known else ""),
                    arguments=(known.arguments if known else "") + event.arguments,
                )
                return b""
            case Opened():
                self._model, self._origin = event.lane.offer.id, event.lane.instance
                return b""
            case Joined():
                self._origin = event.seam.to_lane.partition("/")[0]
                return b""  # no field of this dialect can say it, and its clients take no comments
            case Closed():
                return self._closed(event)

    def error(self, error: LegionError) -> bytes:
        """See `StreamWriter`."""
        return self._framed(render_error(error)[1], is_last=True)

    def keep_alive(self) -> bytes:
        """See `StreamWriter`."""
        return KEEP_ALIVE

    def _framed(self, body: bytes, *, is_last: bool = False) -> bytes:
        if not self._is_array:
            return b"data: %s\n\n" % body
        begin = b",\n" if self._is_begun else b"["
        self._is_begun = True
        return b"%s%s%s" % (begin, body, b"]\n" if is_last else b"")

    def _parts(self, parts: list[JsonObject]) -> bytes:
        return self._framed(
            encode_line(
                {
                    "candidates": [_candidate(parts)],
                    "modelVersion": self._model,
                    "responseId": self._id,
                }
            )
        )

    def _thinking(self, event: ThinkingDelta) -> bytes:
        part: JsonObject = {"text": event.text, "thought": True}
        if event.signature:
            # Bytes in this protocol, so base64 of what is text here.
            wrapped = wrap_signature(self._origin, event.signature)
            part["thoughtSignature"] = base64.b64encode(wrapped.encode()).decode()
        return self._parts([part]) if event.text or event.signature else b""

    def _closed(self, event: Closed) -> bytes:
        if event.stop_reason == "error":
            return self.error(ClosedInError(event.error or "The answer broke off.", event.error_code))
        try:
            parts = [_call(self._calls[index]) for index in sorted(self._calls)] or [{"text": ""}]
        except Malformed as error:
            return self.error(error)
        return self._framed(
            encode_line(
                {
                    "candidates": [_candidate(parts, FINISH[event.stop_reason])],
                    "usageMetadata": _usage(event.usage),
                    "modelVersion": self._model,
                    "responseId": self._id,
                }
            ),
            is_last=True,
        )
