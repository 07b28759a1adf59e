"""The Bedrock Converse wire, from our side: the meaning of streamed messages. Pure. A request's body is `bedrock_request`."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from legion_core.gateway.providers.anthropic_wire import REDACTED
from legion_core.gateway.providers.estimate import estimated_usage
from legion_core.gateway.providers.eventstream import StreamMessage
from legion_core.gateway.providers.prefill import Swallow
from legion_core.gateway.providers.ranges import believed
from legion_core.gateway.providers.refusal import named_error, quote
from legion_core.gateway.providers.toolnames import ToolNames
from legion_core.gateway.types import (
    Chunk,
    Finished,
    Request,
    StopReason,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    Usage,
)
from legion_core.kernel.errors import Malformed, StreamBroken

CALLS_MAX: Final = 128  # tool calls in one answer
STOP: Final[dict[str, StopReason]] = {
    "end_turn": "end_turn",
    "tool_use": "tool_use",
    "max_tokens": "max_tokens",
    "stop_sequence": "stop_sequence",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "model_context_window_exceeded": "max_tokens",
}
NO_CALL: Final = frozenset({"malformed_tool_use", "malformed_model_output"})
# Errors inside a stream, by the name they have in `refusal.named_error`.
IN_BAND: Final = {
    "throttlingException": "rate_limit_exceeded",
    "serviceUnavailableException": "overloaded_error",
    "internalServerException": "internal_server_error",
    "modelTimeoutException": "timeout",
    "validationException": "invalid_request_error",
}


class _ToolStart(msgspec.Struct, rename="camel"):
    tool_use_id: str = ""
    name: str = ""


class _Start(msgspec.Struct, rename="camel"):
    tool_use: _ToolStart | None = None


class _ToolDelta(msgspec.Struct):
    input: str = ""


class _ReasoningDelta(msgspec.Struct, rename="camel"):
    text: str = ""
    signature: str = ""
    redacted_content: str = ""


class _Delta(msgspec.Struct, rename="camel"):
    text: str = ""
    tool_use: _ToolDelta | None = None
    reasoning_content: _ReasoningDelta | None = None


class _WireUsage(msgspec.Struct, rename="camel"):
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None


class _Payload(msgspec.Struct, rename="camel"):
    content_block_index: int = 0
    start: _Start | None = None
    delta: _Delta | None = None
    stop_reason: str | None = None
    usage: _WireUsage | None = None


class _Problem(msgspec.Struct):
    message: str = ""
    Message: Any = None  # some services write it so


_decoder = msgspec.json.Decoder(_Payload)
_KNOWN: Final = frozenset(
    {"messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata"}
)


class ConverseReader:
    """The meaning of one stream's messages; see `wire.Reader`.

    The end is `metadata`, which brings the usage, or the stream's end after a stop reason.
    """

    def __init__(
        self, who: str, request: Request, names: ToolNames, *, prefix: str, secrets: tuple[str, ...]
    ) -> None:
        self._who = who
        self._request = request
        self._names = names
        self._prefix = prefix
        self._secrets = secrets
        self._stop: str | None = None
        self._chars = 0
        self._calls = dict[int, int]()  # the wire's block → our tool call
        self._signatures = dict[int, str]()  # the wire's block → what of its signature has come
        self._swallow = Swallow(prefix)

    def read(self, event: StreamMessage) -> Sequence[Chunk]:
        """See `wire.Reader`; events of kinds not known yet are passed over."""
        if event.text(":message-type") != "event":
            raise self._problem(event)
        kind = event.text(":event-type")
        if kind not in _KNOWN:
            return ()
        try:
            said = _decoder.decode(event.payload)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Malformed(f"{self._who} sent an event that is not of its protocol: {error}.") from error
        index = said.content_block_index
        match kind:
            case "contentBlockDelta" if said.delta is not None:
                return self._delta(index, said.delta)
            case "contentBlockStart" if said.start is not None and said.start.tool_use is not None:
                return self._call(index, said.start.tool_use)
            case "contentBlockStop":
                signature = self._signatures.pop(index, "")
                return (ThinkingDelta(text="", signature=signature),) if signature else ()
            case "messageStop":
                if said.stop_reason in NO_CALL:
                    raise Malformed(f"{self._who} made a tool call that is none: {said.stop_reason}.")
                self._stop = said.stop_reason or "end_turn"
            case "metadata" if self._stop is not None:
                return (self._finished(said.usage),)
            case _:
                pass
        return ()

    def at_end(self) -> Finished | None:
        """See `wire.Reader`: complete if a stop reason was given."""
        return self._finished(None) if self._stop is not None else None

    def so_far(self) -> Usage | None:
        """See `wire.Reader`: this wire counts at the end."""
        return None

    def _problem(self, event: StreamMessage) -> Exception:
        code = event.text(":exception-type") or event.text(":error-code")
        try:
            problem = msgspec.json.decode(event.payload, type=_Problem)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            problem = _Problem()
        message = problem.message or str(problem.Message or event.text(":error-message") or code)
        said = f"{self._who} broke off: {quote(message, self._secrets)}"
        return named_error(IN_BAND.get(code, code), message, said, default=StreamBroken)

    def _call(self, index: int, use: _ToolStart) -> Sequence[Chunk]:
        call = self._calls[index] = len(self._calls)
        if call >= CALLS_MAX:
            raise Malformed(f"{self._who} made more than {CALLS_MAX} tool calls in one answer.")
        self._chars += len(use.name)
        id_ = use.tool_use_id or f"call_{self._request.id}_{call}"
        return (ToolCallDelta(index=call, id=id_, name=self._names.original(use.name)),)

    def _delta(self, index: int, delta: _Delta) -> Sequence[Chunk]:
        if delta.text:
            text = self._swallow.rest(delta.text)
            self._chars += len(text)
            return (TextDelta(text=text),) if text else ()
        if (use := delta.tool_use) is not None and use.input and index in self._calls:
            self._chars += len(use.input)
            return (ToolCallDelta(index=self._calls[index], arguments=use.input),)
        if (thought := delta.reasoning_content) is None:
            return ()
        if thought.redacted_content:
            return (ThinkingDelta(text="", signature=REDACTED + thought.redacted_content),)
        if thought.signature:
            self._signatures[index] = self._signatures.get(index, "") + thought.signature
        self._chars += len(thought.text)
        return (ThinkingDelta(text=thought.text),) if thought.text else ()

    def _finished(self, counts: _WireUsage | None) -> Finished:
        if counts is None:
            usage = None
        else:
            usage = believed(
                Usage(
                    input_tokens=counts.input_tokens,
                    output_tokens=counts.output_tokens,
                    cache_read_tokens=counts.cache_read_input_tokens or 0,
                    cache_write_tokens=counts.cache_write_input_tokens or 0,
                )
            )
        usage = usage or estimated_usage(self._request, prefix=self._prefix, output_chars=self._chars)
        return Finished(stop_reason=STOP.get(self._stop or "end_turn", "end_turn"), usage=usage)
