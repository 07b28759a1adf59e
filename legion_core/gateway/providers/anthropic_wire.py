"""The Anthropic Messages wire, from our side: a request's body, and the meaning of streamed events. Pure."""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from legion_core.gateway.providers.estimate import estimated_usage
from legion_core.gateway.providers.prefill import Swallow
from legion_core.gateway.providers.ranges import believed, check_ranges
from legion_core.gateway.providers.raw import refuse_raw
from legion_core.gateway.providers.refusal import in_band
from legion_core.gateway.providers.sse import SseEvent
from legion_core.gateway.providers.toolnames import ToolNames
from legion_core.gateway.types import (
    Block,
    Chunk,
    DocumentBlock,
    Finished,
    ImageBlock,
    JsonObject,
    Message,
    Params,
    Request,
    StopReason,
    TextBlock,
    TextDelta,
    ThinkingBlock,
    ThinkingDelta,
    ToolCallDelta,
    ToolResultBlock,
    ToolUseBlock,
    Usage,
)
from legion_core.kernel.errors import Malformed, StreamBroken, Unsupported

VERSION: Final = "2023-06-01"
TOOL_NAME_MAX: Final = 128
OUTPUT_TOKENS: Final = 8192  # this wire demands a bound; sent where the client gave none
THINKING_MIN: Final = 1024
REDACTED: Final = "redacted:"  # marks, in a canonical signature, thinking that came encrypted
STOP: Final[dict[str, StopReason]] = {
    "end_turn": "end_turn",
    "max_tokens": "max_tokens",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool_use",
    "refusal": "content_filter",
    "pause_turn": "end_turn",
    "model_context_window_exceeded": "max_tokens",
}
JSON_MODE: Final = "Answer with one JSON object and nothing else."


class _Source(msgspec.Struct, omit_defaults=True):
    type: str
    media_type: str = ""
    data: str = ""
    url: str = ""


class _Cache(msgspec.Struct):
    type: str = "ephemeral"


class _Text(msgspec.Struct, tag_field="type", tag="text"):
    text: str


class _Image(msgspec.Struct, tag_field="type", tag="image"):
    source: _Source


class _Document(msgspec.Struct, tag_field="type", tag="document", omit_defaults=True):
    source: _Source
    title: str = ""


class _Thinking(msgspec.Struct, tag_field="type", tag="thinking"):
    thinking: str
    signature: str


class _Redacted(msgspec.Struct, tag_field="type", tag="redacted_thinking"):
    data: str


class _ToolUse(msgspec.Struct, tag_field="type", tag="tool_use"):
    id: str
    name: str
    input: msgspec.Raw


class _ToolResult(msgspec.Struct, tag_field="type", tag="tool_result", omit_defaults=True):
    tool_use_id: str
    content: str
    is_error: bool = False


_Part = _Text | _Image | _Document | _Thinking | _Redacted | _ToolUse | _ToolResult


class _Message(msgspec.Struct):
    role: str
    content: list[_Part]


class _Tool(msgspec.Struct, omit_defaults=True):
    name: str
    input_schema: JsonObject
    description: str = ""


class _Choice(msgspec.Struct, omit_defaults=True):
    type: str
    name: str = ""


class _ThinkingConfig(msgspec.Struct):
    budget_tokens: int
    type: str = "enabled"


class _Format(msgspec.Struct):
    schema: JsonObject
    type: str = "json_schema"


class _OutputConfig(msgspec.Struct):
    format: _Format


class _Body(msgspec.Struct, omit_defaults=True):
    """Everything this wire ever sends: what is not a field here cannot reach a provider."""

    max_tokens: int
    messages: list[_Message]
    stream: bool
    model: str = ""
    anthropic_version: str = ""
    system: list[_Text] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_sequences: list[str] | None = None
    tools: list[_Tool] | None = None
    tool_choice: _Choice | None = None
    thinking: _ThinkingConfig | None = None
    output_config: _OutputConfig | None = None
    cache_control: _Cache | None = None


def body_of(
    request: Request, model: str, who: str, names: ToolNames, *, prefix: str = "", version: str = ""
) -> bytes:
    """The JSON of `POST /v1/messages`; `who` is this instance: thinking signed by any other is left out.

    A door of another host's names the model in its address and wants the `version` in the body instead.

    `prefix` becomes a last assistant message to be continued. The wire refuses one that ends in white space, so that is
    cut off; the reader gives it to nobody again.
    """
    params = request.params
    check_ranges(params)
    refuse_raw(request)
    messages = list[_Message]()
    for message in request.messages:
        _append(messages, "assistant" if message.role == "assistant" else "user", _parts(message, who, names))
    if prefix.rstrip():
        _append(messages, "assistant", [_Text(text=prefix)])
    _trim_prefill(messages)
    system = [_Text(text=text) for text in request.system if text.strip()]
    if params.json_mode and params.json_schema is None:
        system.append(_Text(text=JSON_MODE))
    thinking = _thinking(params)
    body = _Body(
        model="" if version else model,
        anthropic_version=version,
        max_tokens=params.max_tokens or OUTPUT_TOKENS + (thinking.budget_tokens if thinking else 0),
        messages=messages,
        stream=True,
        system=system or None,
        # The wire's range ends at 1, and thinking takes no other temperature than its own.
        temperature=min(params.temperature, 1.0) if params.temperature is not None and not thinking else None,
        top_p=params.top_p,
        top_k=params.top_k if not thinking else None,
        stop_sequences=[text for text in params.stop if text.strip()] or None,
        tools=_tools(request, names),
        tool_choice=_tool_choice(request, names),
        thinking=thinking,
        output_config=_OutputConfig(_Format(params.json_schema)) if params.json_schema is not None else None,
        # A conversation is sent again with every turn: the provider is asked to remember its beginning.
        cache_control=_Cache() if (len(request.messages) > 1 or request.tools) and not version else None,
    )
    return msgspec.json.encode(body)


def _append(messages: list[_Message], role: str, parts: list[_Part]) -> None:
    """This wire wants roles to alternate and no message to be empty."""
    if not parts:
        return
    if messages and messages[-1].role == role:
        messages[-1].content.extend(parts)
    else:
        messages.append(_Message(role=role, content=parts))


def _parts(message: Message, who: str, names: ToolNames) -> list[_Part]:
    return [part for block in message.content if (part := _part(block, who, names)) is not None]


def _part(block: Block, who: str, names: ToolNames) -> _Part | None:
    match block:
        case TextBlock():
            return _Text(text=block.text) if block.text.strip() else None  # the wire refuses blank texts
        case ImageBlock():
            if block.url:
                return _Image(source=_Source(type="url", url=block.url))
            return _Image(source=_Source(type="base64", media_type=block.media_type, data=block.data))
        case DocumentBlock():
            if block.url:
                return _Document(source=_Source(type="url", url=block.url), title=block.name)
            source = _Source(type="base64", media_type="application/pdf", data=block.data)
            return _Document(source=source, title=block.name)
        case ThinkingBlock():
            if block.origin != who or not block.signature:
                return None
            if block.signature.startswith(REDACTED):
                return _Redacted(data=block.signature.removeprefix(REDACTED))
            return _Thinking(thinking=block.text, signature=block.signature)
        case ToolUseBlock():
            return _ToolUse(id=block.id, name=names.sent(block.name), input=_object(block))
        case ToolResultBlock():
            return _ToolResult(tool_use_id=block.call_id, content=block.text, is_error=block.is_error)


def _object(block: ToolUseBlock) -> msgspec.Raw:
    """The arguments as the object this wire wants them to be."""
    try:
        msgspec.json.decode(block.arguments or "{}", type=JsonObject)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Unsupported(
            f"The arguments of the earlier call {block.name!r} are not a JSON object, which this provider needs.",
            capability="tools",
        ) from error
    return msgspec.Raw((block.arguments or "{}").encode())


def _trim_prefill(messages: list[_Message]) -> None:
    """A last assistant message is continued by the model; the wire refuses one that ends in white space."""
    last = messages[-1] if messages else None
    if last is not None and last.role == "assistant" and isinstance(text := last.content[-1], _Text):
        last.content[-1] = _Text(text=text.text.rstrip())


def _thinking(params: Params) -> _ThinkingConfig | None:
    budget = params.thinking_budget_tokens
    if budget is None:
        return None
    budget = max(budget, THINKING_MIN)
    if params.max_tokens is not None and budget >= params.max_tokens:
        raise Unsupported(
            f"Thinking for {budget} tokens does not fit into max_tokens {params.max_tokens}.",
            capability="thinking",
        )
    return _ThinkingConfig(budget_tokens=budget)


def _tools(request: Request, names: ToolNames) -> list[_Tool] | None:
    return [
        _Tool(
            name=names.sent(tool.name),
            description=tool.description,
            # The wire wants every schema to say that it is an object.
            input_schema={"type": "object", **tool.parameters},
        )
        for tool in request.tools
    ] or None


def _tool_choice(request: Request, names: ToolNames) -> _Choice | None:
    if not request.tools or request.tool_choice == "auto":
        return None
    if request.tool_choice in ("none", "any"):
        return _Choice(type=request.tool_choice)
    return _Choice(type="tool", name=names.sent(request.tool_choice))


class _OutputDetails(msgspec.Struct):
    thinking_tokens: int | None = None


class _WireUsage(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    output_tokens_details: _OutputDetails | None = None


_NONE: Final = msgspec.Raw(b"null")


class _Start(msgspec.Struct):
    usage: msgspec.Raw = _NONE  # counts that cannot be read undo no answer


class _ContentBlock(msgspec.Struct):
    type: str = ""
    id: str = ""
    name: str = ""
    text: str = ""
    thinking: str = ""
    data: str = ""
    input: JsonObject | None = None


class _Delta(msgspec.Struct):
    type: str = ""
    text: str = ""
    thinking: str = ""
    signature: str = ""
    partial_json: str = ""
    stop_reason: str | None = None
    stop_sequence: str | None = None


class _Event(msgspec.Struct):
    type: str = ""
    index: int = 0
    message: _Start | None = None
    content_block: _ContentBlock | None = None
    delta: _Delta | None = None
    usage: msgspec.Raw = _NONE
    error: Any = None


_decoder = msgspec.json.Decoder(_Event)
_usage_decoder = msgspec.json.Decoder(_WireUsage | None)
_KNOWN: Final = frozenset(
    {
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "ping",
        "error",
    }
)


class MessagesReader:
    """The meaning of one stream's events; see `wire.Reader`.

    The end is `message_stop`, or the stream's end after a stop reason. The usage comes in two halves: the input's with
    the first event, the output's with the last.
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
        self._stop_sequence = ""
        self._counts = _WireUsage()
        self._chars = 0
        self._calls = dict[int, int]()  # the wire's block → our tool call
        self._signatures = dict[int, str]()  # the wire's block → what of its signature has come
        self._swallow = Swallow(prefix)

    def read(self, event: SseEvent) -> Sequence[Chunk]:
        """See `wire.Reader`; events of kinds not known yet are passed over."""
        if event.event and event.event not in _KNOWN:
            return ()
        try:
            said = _decoder.decode(event.data)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise Malformed(f"{self._who} sent an event that is not of its protocol: {error}.") from error
        match said.type:
            case "content_block_delta" if said.delta is not None:
                return self._delta(said.index, said.delta)
            case "content_block_start" if said.content_block is not None:
                return self._block(said.index, said.content_block)
            case "content_block_stop":
                return self._block_end(said.index)
            case "message_start" if said.message is not None:
                self._count(said.message.usage)
            case "message_delta":
                self._count(said.usage)
                if said.delta is not None:
                    self._stop = said.delta.stop_reason or self._stop
                    self._stop_sequence = said.delta.stop_sequence or ""
            case "message_stop":
                if self._stop is None and not self._chars and not self._calls:
                    raise StreamBroken(f"{self._who} ended its answer before it began.")
                return (self._finished(),)
            case "error":
                raise in_band(said.error, who=self._who, secrets=self._secrets)
            case _:
                pass
        return ()

    def at_end(self) -> Finished | None:
        """See `wire.Reader`: complete if a stop reason was given."""
        return self._finished() if self._stop is not None else None

    def so_far(self) -> Usage | None:
        """See `wire.Reader`: the first event counts the input; of the output it knows nothing yet."""
        counts = self._counts
        if counts.input_tokens is None:
            return None
        told = Usage(
            input_tokens=counts.input_tokens,
            cache_read_tokens=counts.cache_read_input_tokens or 0,
            cache_write_tokens=counts.cache_creation_input_tokens or 0,
        )
        return believed(told)

    def _block(self, index: int, block: _ContentBlock) -> Sequence[Chunk]:
        match block.type:
            case "text":
                return self._text(block.text)
            case "thinking" if block.thinking:
                return self._thinking(block.thinking)
            case "redacted_thinking":
                return (ThinkingDelta(text="", signature=REDACTED + block.data),)
            case "tool_use":
                call = self._calls[index] = len(self._calls)
                arguments = msgspec.json.encode(block.input).decode() if block.input else ""
                self._chars += len(block.name) + len(arguments)
                name = self._names.original(block.name)
                return (ToolCallDelta(index=call, id=block.id, name=name, arguments=arguments),)
            case _:
                return ()

    def _delta(self, index: int, delta: _Delta) -> Sequence[Chunk]:
        match delta.type:
            case "text_delta":
                return self._text(delta.text)
            case "thinking_delta":
                return self._thinking(delta.thinking)
            case "signature_delta":
                self._signatures[index] = self._signatures.get(index, "") + delta.signature
                return ()
            case "input_json_delta" if delta.partial_json and index in self._calls:
                self._chars += len(delta.partial_json)
                return (ToolCallDelta(index=self._calls[index], arguments=delta.partial_json),)
            case _:
                return ()

    def _block_end(self, index: int) -> Sequence[Chunk]:
        signature = self._signatures.pop(index, "")
        return (ThinkingDelta(text="", signature=signature),) if signature else ()

    def _text(self, text: str) -> Sequence[Chunk]:
        if not (new := self._swallow.rest(text)):
            return ()
        self._chars += len(new)
        return (TextDelta(text=new),)

    def _thinking(self, text: str) -> Sequence[Chunk]:
        self._chars += len(text)
        return (ThinkingDelta(text=text),) if text else ()

    def _count(self, told: msgspec.Raw) -> None:
        """Later counts replace earlier ones: this wire's are cumulative."""
        try:
            usage = _usage_decoder.decode(told)
        except (msgspec.MsgspecError, RecursionError):
            self._counts.output_tokens = None  # what was told before is not the whole
            return
        if usage is None:
            return
        for name in usage.__struct_fields__:
            if (value := getattr(usage, name)) is not None:
                setattr(self._counts, name, value)

    def _finished(self) -> Finished:
        counts = self._counts
        if counts.output_tokens is None or counts.input_tokens is None:
            usage = self._estimated()
        else:
            usage = Usage(
                input_tokens=counts.input_tokens,
                output_tokens=counts.output_tokens,
                cache_read_tokens=counts.cache_read_input_tokens or 0,
                cache_write_tokens=counts.cache_creation_input_tokens or 0,
                thinking_tokens=(
                    counts.output_tokens_details and counts.output_tokens_details.thinking_tokens
                )
                or 0,
            )
        stop = STOP.get(self._stop or "end_turn", "end_turn")
        return Finished(
            stop_reason=stop, usage=believed(usage) or self._estimated(), stop_sequence=self._stop_sequence
        )

    def _estimated(self) -> Usage:
        return estimated_usage(self._request, prefix=self._prefix, output_chars=self._chars)
