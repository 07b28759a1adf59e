"""Ollama's own wire, from our side: a request's body, and the meaning of streamed lines. Pure."""

from collections.abc import Sequence
from typing import Final

import msgspec

from legion_core.gateway.providers.estimate import estimated_usage
from legion_core.gateway.providers.ranges import believed, check_ranges
from legion_core.gateway.providers.refusal import in_band
from legion_core.gateway.types import (
    Chunk,
    DocumentBlock,
    Finished,
    ImageBlock,
    JsonObject,
    Message,
    Params,
    Request,
    StopReason,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolResultBlock,
    ToolUseBlock,
    Usage,
)
from legion_core.kernel.errors import Malformed, Unsupported

STOP: Final[dict[str, StopReason]] = {"stop": "end_turn", "length": "max_tokens"}
CALLS_MAX: Final = 128  # tool calls in one answer


class _Function(msgspec.Struct):
    name: str
    arguments: JsonObject


class _ToolCall(msgspec.Struct):
    function: _Function


class _Message(msgspec.Struct, omit_defaults=True):
    role: str
    content: str
    images: list[str] | None = None
    tool_calls: list[_ToolCall] | None = None
    tool_name: str = ""


class _FunctionDefinition(msgspec.Struct):
    name: str
    description: str
    parameters: JsonObject


class _ToolDefinition(msgspec.Struct):
    function: _FunctionDefinition
    type: str = "function"


class _Options(msgspec.Struct, omit_defaults=True):
    """Every number this wire ever sends."""

    num_ctx: int | None = None
    num_predict: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    stop: list[str] | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None


class _Body(msgspec.Struct, omit_defaults=True):
    """Everything this wire ever sends: what is not a field here cannot reach a provider."""

    model: str
    messages: list[_Message]
    stream: bool
    options: _Options
    tools: list[_ToolDefinition] | None = None
    format: JsonObject | str | None = None
    think: bool | None = None


class _Completion(msgspec.Struct, omit_defaults=True):
    """What is sent of a text to be gone on with."""

    model: str
    prompt: str
    stream: bool
    options: _Options
    suffix: str = ""
    raw: bool = False


def completion_body(request: Request, model: str, *, context: int | None, prefix: str = "") -> bytes:
    """The JSON of `POST /api/generate`: without the model's template, but where that alone can fill a gap."""
    check_ranges(request.params)
    body = _Completion(
        model=model,
        prompt=request.messages[-1].text + prefix,
        stream=True,
        options=_options(request.params, context),
        suffix=request.suffix,
        raw=not request.suffix,
    )
    return msgspec.json.encode(body)


def body_of(request: Request, model: str, *, context: int | None, prefix: str = "") -> bytes:
    """The JSON of `POST /api/chat`.

    `context` is sent because the server would else cut a longer prompt to its own default without a word. `prefix` becomes a
    last assistant message, which this server continues.
    """
    params = request.params
    check_ranges(params)
    if request.tools and request.tool_choice not in ("auto", "none"):
        raise Unsupported("This provider cannot be made to call a tool.", capability="tool_choice")
    names = {
        block.id: block.name
        for message in request.messages
        for block in message.content
        if isinstance(block, ToolUseBlock)
    }
    messages = [_Message(role="system", content=text) for text in request.system]
    for message in request.messages:
        messages += _messages(message, names)
    if prefix:
        messages.append(_Message(role="assistant", content=prefix))
    body = _Body(
        model=model,
        messages=messages,
        stream=True,
        options=_options(params, context),
        tools=_tools(request),
        format=params.json_schema
        if params.json_schema is not None
        else ("json" if params.json_mode else None),
        think=True if params.thinking_budget_tokens is not None else None,
    )
    return msgspec.json.encode(body)


def _options(params: Params, context: int | None) -> _Options:
    return _Options(
        num_ctx=context,
        num_predict=params.max_tokens,
        temperature=params.temperature,
        top_p=params.top_p,
        top_k=params.top_k,
        seed=params.seed,
        stop=list(params.stop) or None,
        frequency_penalty=params.frequency_penalty,
        presence_penalty=params.presence_penalty,
    )


def _messages(message: Message, names: dict[str, str]) -> list[_Message]:
    """Tool results are a message each and name their tool. Thinking stays here."""
    if message.role == "tool":
        return [
            _Message(role="tool", content=block.text, tool_name=names.get(block.call_id, ""))
            for block in message.content
            if isinstance(block, ToolResultBlock)
        ]
    calls = [
        _ToolCall(function=_Function(name=block.name, arguments=_object(block)))
        for block in message.content
        if isinstance(block, ToolUseBlock)
    ]
    images = [_image(block) for block in message.content if isinstance(block, ImageBlock | DocumentBlock)]
    return [
        _Message(role=message.role, content=message.text, images=images or None, tool_calls=calls or None)
    ]


def _object(block: ToolUseBlock) -> JsonObject:
    try:
        return msgspec.json.decode(block.arguments or "{}", type=JsonObject)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Unsupported(
            f"The arguments of the earlier call {block.name!r} are not a JSON object, which this provider needs.",
            capability="tools",
        ) from error


def _image(block: ImageBlock | DocumentBlock) -> str:
    if isinstance(block, DocumentBlock):
        raise Unsupported("This provider takes no documents.", capability="documents")
    if block.url:
        raise Unsupported("This provider takes pictures inline only, not by URL.", capability="vision")
    return block.data


def _tools(request: Request) -> list[_ToolDefinition] | None:
    if request.tool_choice == "none":
        return None
    return [
        _ToolDefinition(
            function=_FunctionDefinition(
                name=tool.name,
                description=tool.description,
                parameters=tool.parameters or {"type": "object", "properties": {}},
            )
        )
        for tool in request.tools
    ] or None


class _FunctionPart(msgspec.Struct):
    name: str = ""
    arguments: JsonObject | None = None


class _CallPart(msgspec.Struct):
    function: _FunctionPart
    id: str | None = None


class _MessagePart(msgspec.Struct):
    content: str = ""
    thinking: str | None = None
    tool_calls: list[_CallPart] | None = None


class _Line(msgspec.Struct):
    message: _MessagePart | None = None
    response: str = ""  # of a text that is gone on with
    done: bool = False
    done_reason: str | None = None
    prompt_eval_count: int | None = None
    eval_count: int | None = None
    error: str | None = None


_decoder = msgspec.json.Decoder(_Line)


class ChatReader:
    """The meaning of one stream's lines; see `wire.Reader`. The end is the line that says `done`."""

    def __init__(self, who: str, request: Request, *, prefix: str) -> None:
        self._who = who
        self._request = request
        self._prefix = prefix
        self._chars = 0
        self._calls = 0

    def read(self, event: bytes) -> Sequence[Chunk]:
        """See `wire.Reader`."""
        try:
            line = _decoder.decode(event)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Malformed(f"{self._who} sent a line that is not of its protocol: {error}.") from error
        if line.error:
            raise in_band(line.error, who=self._who)
        out = list[Chunk]()
        if (message := line.message) is not None:
            if message.thinking:
                self._chars += len(message.thinking)
                out.append(ThinkingDelta(text=message.thinking))
            if message.content:
                self._chars += len(message.content)
                out.append(TextDelta(text=message.content))
            for call in message.tool_calls or ():
                out.append(self._call(call))
        if line.response:
            self._chars += len(line.response)
            out.append(TextDelta(text=line.response))
        if line.done:
            out.append(self._finished(line))
        return out

    def at_end(self) -> Finished | None:
        """See `wire.Reader`: without its last line this stream is broken."""
        return None

    def so_far(self) -> Usage | None:
        """See `wire.Reader`: this wire counts at the end."""
        return None

    def _call(self, call: _CallPart) -> ToolCallDelta:
        """This wire gives a call whole, and mostly without an id."""
        index = self._calls
        self._calls += 1
        if index >= CALLS_MAX:
            raise Malformed(f"{self._who} made more than {CALLS_MAX} tool calls in one answer.")
        arguments = msgspec.json.encode(call.function.arguments or {}).decode()
        self._chars += len(call.function.name) + len(arguments)
        return ToolCallDelta(
            index=index,
            id=call.id or f"call_{self._request.id}_{index}",
            name=call.function.name,
            arguments=arguments,
        )

    def _finished(self, line: _Line) -> Finished:
        stop = STOP.get(line.done_reason or "stop", "end_turn")
        if stop == "end_turn" and self._calls:
            stop = "tool_use"
        usage = estimated = estimated_usage(self._request, prefix=self._prefix, output_chars=self._chars)
        # A prompt it had in its cache is not counted by every version.
        if line.eval_count is not None:
            usage = Usage(
                input_tokens=usage.input_tokens if line.prompt_eval_count is None else line.prompt_eval_count,
                output_tokens=line.eval_count,
                is_estimated=line.prompt_eval_count is None,
            )
        return Finished(stop_reason=stop, usage=believed(usage) or estimated)
