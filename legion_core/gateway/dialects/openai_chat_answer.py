"""Answers in the OpenAI chat completions dialect: whole, streamed, and failed."""

from typing import Final

import msgspec

from legion_core.gateway.dialects.base import WholeAnswer
from legion_core.gateway.dialects.fields import FieldFault
from legion_core.gateway.dialects.status import ClosedInError, code_of, public_sentence, shape_of
from legion_core.gateway.types import (
    Closed,
    Joined,
    Opened,
    Request,
    StopReason,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    Usage,
)
from legion_core.kernel.errors import LegionError

# `error` has no word here on purpose: an answer that ended so must not look like one that succeeded.
FINISH: Final[dict[StopReason, str]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "cancelled": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "content_filter": "content_filter",
}
DONE: Final = b"data: [DONE]\n\n"
KEEP_ALIVE: Final = b": keep-alive\n\n"

_encode = msgspec.json.Encoder().encode


class ChatRequest(Request, frozen=True, kw_only=True):
    """A request that came in this dialect. `include_usage`: the client asked for the usage in the stream."""

    include_usage: bool = False


class _PromptDetails(msgspec.Struct):
    cached_tokens: int


class _CompletionDetails(msgspec.Struct):
    reasoning_tokens: int


class _Usage(msgspec.Struct):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: _PromptDetails
    completion_tokens_details: _CompletionDetails


class _Function(msgspec.Struct):
    name: str
    arguments: str


class _ToolCall(msgspec.Struct):
    id: str
    function: _Function
    type: str = "function"


class _Message(msgspec.Struct, omit_defaults=True):
    role: str
    content: str | None
    refusal: str | None
    reasoning_content: str = ""
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct):
    index: int
    message: _Message
    finish_reason: str
    logprobs: None = None


class _Completion(msgspec.Struct):
    id: str
    object: str
    created: int
    model: str
    choices: list[_Choice]
    usage: _Usage


class _Error(msgspec.Struct):
    message: str
    type: str
    param: str | None
    code: str


class _ErrorBody(msgspec.Struct):
    error: _Error


def render_answer(answer: WholeAnswer, *, created_s: int) -> bytes:
    """A `chat.completion` object; raises ClosedInError if the answer failed."""
    closed = answer.closed
    if closed.stop_reason == "error":
        raise ClosedInError(closed.error or "The answer could not be finished.", closed.error_code)
    calls = [
        _ToolCall(id=call.id, function=_Function(name=call.name, arguments=call.arguments))
        for call in answer.tool_calls
    ]
    message = _Message(
        role="assistant",
        content=answer.text or (None if calls else ""),
        refusal=None,
        reasoning_content=answer.thinking,
        tool_calls=calls or None,
    )
    return _encode(
        _Completion(
            id=f"chatcmpl-{answer.request_id}",
            object="chat.completion",
            created=created_s,
            model=answer.model,
            choices=[_Choice(index=0, message=message, finish_reason=FINISH[closed.stop_reason])],
            usage=_usage(closed.usage),
        )
    )


def render_error(error: LegionError, *, is_unknown_caller: bool = False) -> tuple[int, bytes]:
    """HTTP status and `{"error": …}`."""
    shape = shape_of(error, is_unknown_caller=is_unknown_caller)
    body = _Error(
        message=public_sentence(error),
        type=shape.openai,
        param=error.field or None if isinstance(error, FieldFault) else None,
        code=code_of(error, shape),
    )
    return shape.status, _encode(_ErrorBody(error=body))


def _usage(usage: Usage) -> _Usage:
    # This dialect counts cached tokens as part of the prompt; the canonical usage counts them apart.
    prompt = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
    return _Usage(
        prompt_tokens=prompt,
        completion_tokens=usage.output_tokens,
        total_tokens=prompt + usage.output_tokens,
        prompt_tokens_details=_PromptDetails(cached_tokens=usage.cache_read_tokens),
        completion_tokens_details=_CompletionDetails(reasoning_tokens=usage.thinking_tokens),
    )


_GOES_ON: Final = b'},"finish_reason":null}]}\n\n'


class ChatWriter:
    """Server-sent `chat.completion.chunk`s.

    Ends with `[DONE]` if the answer succeeded, else with an `error` object and without `[DONE]`.
    """

    def __init__(self, request: Request, *, created_s: int) -> None:
        self._include_usage = isinstance(request, ChatRequest) and request.include_usage
        self._id = _encode(f"chatcmpl-{request.id}")
        self._created_s = created_s
        self._head = b""
        self._choice = b""
        self._text = b""

    def write(self, event: StreamEvent) -> bytes:
        """See `StreamWriter`."""
        match event:
            case TextDelta():
                return self._text + _encode(event.text) + _GOES_ON
            case ThinkingDelta():
                return self._thinking(event)
            case ToolCallDelta():
                return self._tool_call(event)
            case Opened():
                return self._opened(event)
            case Joined():
                # No field of this dialect can say it; a comment is seen by whoever reads the raw stream.
                lane = event.seam.to_lane.replace("\r", " ").replace("\n", " ")
                return b": continued by %s at character %d\n\n" % (lane.encode(), event.seam.at_char)
            case Closed():
                return self._closed(event)

    def error(self, error: LegionError) -> bytes:
        """See `StreamWriter`."""
        return b"data: %s\n\n" % render_error(error)[1]

    def keep_alive(self) -> bytes:
        """See `StreamWriter`."""
        return KEEP_ALIVE

    def _opened(self, event: Opened) -> bytes:
        # What repeats in every chunk is encoded once.
        self._head = (
            b'data: {"id":%s,"object":"chat.completion.chunk","created":%d,"model":%s,"choices":['
            % (
                self._id,
                self._created_s,
                _encode(event.lane.offer.id),
            )
        )
        self._choice = self._head + b'{"index":0,"delta":'
        self._text = self._choice + b'{"content":'
        return self._choice + b'{"role":"assistant","content":""},"finish_reason":null}]}\n\n'

    def _thinking(self, event: ThinkingDelta) -> bytes:
        if not event.text:  # a signature means something to its own provider only
            return b""
        return b'%s{"reasoning_content":%s},"finish_reason":null}]}\n\n' % (self._choice, _encode(event.text))

    def _tool_call(self, event: ToolCallDelta) -> bytes:
        if event.id or event.name:
            call = b'{"index":%d,"id":%s,"type":"function","function":{"name":%s,"arguments":%s}}' % (
                event.index,
                _encode(event.id),
                _encode(event.name),
                _encode(event.arguments),
            )
        else:
            call = b'{"index":%d,"function":{"arguments":%s}}' % (event.index, _encode(event.arguments))
        return b'%s{"tool_calls":[%s]},"finish_reason":null}]}\n\n' % (self._choice, call)

    def _closed(self, event: Closed) -> bytes:
        if event.stop_reason == "error":
            return self.error(ClosedInError(event.error or "The answer broke off.", event.error_code))
        finish = b'%s{},"finish_reason":%s}]}\n\n' % (self._choice, _encode(FINISH[event.stop_reason]))
        if self._include_usage:
            finish += b'%s],"usage":%s}\n\n' % (self._head, _encode(_usage(event.usage)))
        return finish + DONE
