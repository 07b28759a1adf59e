"""The OpenAI chat completions wire, from our side: a request's body, and the meaning of streamed chunks. Pure.

Spoken by OpenAI and by every compatible server (vLLM, llama-server, LM Studio, …). `Flavour` holds what differs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from legion_core.gateway.providers.estimate import estimated_usage
from legion_core.gateway.providers.frame import Frame, is_plain
from legion_core.gateway.providers.halves import Halves
from legion_core.gateway.providers.ranges import believed, check_ranges
from legion_core.gateway.providers.refusal import in_band
from legion_core.gateway.providers.sse import SseEvent
from legion_core.gateway.providers.toolnames import ToolNames
from legion_core.gateway.reading import as_one
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
    TextBlock,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolResultBlock,
    ToolUseBlock,
    Usage,
)
from legion_core.kernel.errors import Malformed, StreamBroken, Unsupported

STOP: Final[dict[str, StopReason]] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "content_filter",
}
# Budget in tokens up to which an effort's name stands for it. Source: seed.
EFFORTS: Final = ((1024, "low"), (8192, "medium"))
CALLS_MAX: Final = 128  # tool calls in one answer
LEARNED_MAX: Final = 2  # frames in one answer: its first event may be unlike the others


@dataclass(frozen=True, slots=True)
class Flavour:
    """What differs between the servers of this wire."""

    max_tokens_field: str = "max_tokens"  # OpenAI's own newer models take only `max_completion_tokens`
    takes_top_k: bool = True
    thinking: str = "effort"  # `effort`: reasoning_effort; `template`: chat_template_kwargs
    continues_by_flag: bool = False  # vLLM wants to be told that the last message is to be continued
    counts_on_the_way: bool = False  # vLLM brings the usage with every chunk, if it is asked to
    takes_documents: bool = True
    joins_system: bool = False  # many a model's own template knows one system message, at the beginning


OPENAI: Final = Flavour(max_tokens_field="max_completion_tokens", takes_top_k=False)
COMPATIBLE: Final = Flavour()
VLLM: Final = Flavour(
    thinking="template",
    continues_by_flag=True,
    counts_on_the_way=True,
    takes_documents=False,
    joins_system=True,
)
LLAMA_SERVER: Final = Flavour(  # continues a last answer by itself
    thinking="template", takes_documents=False, joins_system=True
)
AZURE_MODELS: Final = Flavour(takes_top_k=False)  # Azure's door to models of other makers


class _ImageUrl(msgspec.Struct):
    url: str


class _File(msgspec.Struct):
    file_data: str
    filename: str


class _Part(msgspec.Struct, omit_defaults=True):
    type: str
    text: str | None = None
    image_url: _ImageUrl | None = None
    file: _File | None = None


class _Function(msgspec.Struct):
    name: str
    arguments: str


class _ToolCall(msgspec.Struct):
    id: str
    function: _Function
    type: str = "function"


class _Message(msgspec.Struct, omit_defaults=True):
    role: str
    content: str | list[_Part] | None
    tool_calls: list[_ToolCall] | None = None
    tool_call_id: str | None = None


class _FunctionDefinition(msgspec.Struct, omit_defaults=True):
    name: str
    parameters: JsonObject
    description: str = ""


class _ToolDefinition(msgspec.Struct):
    function: _FunctionDefinition
    type: str = "function"


class _Name(msgspec.Struct):
    name: str


class _Choice(msgspec.Struct):
    function: _Name
    type: str = "function"


class _Schema(msgspec.Struct):
    name: str
    schema: JsonObject


class _Format(msgspec.Struct, omit_defaults=True):
    type: str
    json_schema: _Schema | None = None


class _StreamOptions(msgspec.Struct, omit_defaults=True):
    include_usage: bool
    continuous_usage_stats: bool = False


class _Thinking(msgspec.Struct):
    enable_thinking: bool


class _Body(msgspec.Struct, omit_defaults=True):
    """Everything this wire ever sends: what is not a field here cannot reach a provider."""

    model: str
    messages: list[_Message]
    stream: bool
    stream_options: _StreamOptions
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    stop: list[str] | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    tools: list[_ToolDefinition] | None = None
    tool_choice: str | _Choice | None = None
    response_format: _Format | None = None
    reasoning_effort: str | None = None
    chat_template_kwargs: _Thinking | None = None
    continue_final_message: bool = False
    add_generation_prompt: bool = True


def body_of(request: Request, model: str, flavour: Flavour, names: ToolNames, *, prefix: str = "") -> bytes:
    """The JSON of `POST /chat/completions`; `prefix` becomes a last assistant message to be continued."""
    params = request.params
    check_ranges(params)
    system = ("\n\n".join(request.system),) if flavour.joins_system and request.system else request.system
    messages = [_Message(role="system", content=text) for text in system]
    for message in request.messages:
        messages += _messages(message, flavour, names)
    if prefix:
        messages.append(_Message(role="assistant", content=prefix))
    is_continued = bool(prefix) and flavour.continues_by_flag
    body = _Body(
        model=model,
        messages=messages,
        stream=True,
        stream_options=_StreamOptions(include_usage=True, continuous_usage_stats=flavour.counts_on_the_way),
        max_tokens=params.max_tokens if flavour.max_tokens_field == "max_tokens" else None,
        max_completion_tokens=params.max_tokens if flavour.max_tokens_field != "max_tokens" else None,
        temperature=params.temperature,
        top_p=params.top_p,
        top_k=params.top_k if flavour.takes_top_k else None,
        seed=params.seed,
        stop=list(params.stop) or None,
        frequency_penalty=params.frequency_penalty,
        presence_penalty=params.presence_penalty,
        tools=_tools(request, names),
        tool_choice=_tool_choice(request, names),
        response_format=_format(params),
        reasoning_effort=_effort(params) if flavour.thinking == "effort" else None,
        chat_template_kwargs=_template(params, prefix) if flavour.thinking == "template" else None,
        continue_final_message=is_continued,
        add_generation_prompt=not is_continued,
    )
    return msgspec.json.encode(body)


def _messages(message: Message, flavour: Flavour, names: ToolNames) -> list[_Message]:
    """One canonical message is one of the wire's, but for tool results, which are one each. Thinking stays here."""
    if message.role == "tool":
        return [
            _Message(role="tool", content=block.text, tool_call_id=block.call_id)
            for block in message.content
            if isinstance(block, ToolResultBlock)
        ]
    if message.role == "assistant":
        calls = [
            _ToolCall(
                id=block.id,
                function=_Function(name=names.sent(block.name), arguments=block.arguments or "{}"),
            )
            for block in message.content
            if isinstance(block, ToolUseBlock)
        ]
        if not message.text and not calls:
            return []  # thoughts alone: some servers refuse an answer without words
        return [
            _Message(role="assistant", content=message.text or None, tool_calls=calls or None),
        ]
    if all(isinstance(block, TextBlock) for block in message.content):
        return [_Message(role="user", content=message.text)]
    parts: list[_Part] = []
    for block in message.content:
        match block:
            case TextBlock():
                parts.append(_Part(type="text", text=block.text))
            case ImageBlock():
                url = block.url or f"data:{block.media_type};base64,{block.data}"
                parts.append(_Part(type="image_url", image_url=_ImageUrl(url=url)))
            case DocumentBlock():
                parts.append(_Part(type="file", file=_file(block, flavour)))
            case _:
                pass
    return [_Message(role="user", content=parts)]


def _file(block: DocumentBlock, flavour: Flavour) -> _File:
    if not flavour.takes_documents:
        raise Unsupported("This provider takes no documents.", capability="documents")
    if block.url:
        raise Unsupported("This provider takes documents inline only, not by URL.", capability="documents")
    return _File(file_data=f"data:application/pdf;base64,{block.data}", filename=block.name or "document.pdf")


def _tools(request: Request, names: ToolNames) -> list[_ToolDefinition] | None:
    return [
        _ToolDefinition(
            function=_FunctionDefinition(
                name=names.sent(tool.name),
                description=tool.description,
                parameters=tool.parameters or {"type": "object", "properties": {}},
            )
        )
        for tool in request.tools
    ] or None


def _tool_choice(request: Request, names: ToolNames) -> str | _Choice | None:
    if not request.tools:
        return None
    match request.tool_choice:
        case "auto":
            return None
        case "none":
            return "none"
        case "any":
            return "required"
        case name:
            return _Choice(function=_Name(name=names.sent(name)))


def _format(params: Params) -> _Format | None:
    if params.json_schema is not None:
        return _Format(type="json_schema", json_schema=_Schema(name="answer", schema=params.json_schema))
    return _Format(type="json_object") if params.json_mode else None


def _effort(params: Params) -> str | None:
    budget = params.thinking_budget_tokens
    if budget is None:
        return None
    return next((word for bound, word in EFFORTS if budget <= bound), "high")


def _template(params: Params, prefix: str) -> _Thinking | None:
    """An answer that has begun is not thought about again: the server would take its text for thinking."""
    if prefix:
        return _Thinking(enable_thinking=False)
    budget = params.thinking_budget_tokens
    return None if budget is None else _Thinking(enable_thinking=budget > 0)


class _FunctionPart(msgspec.Struct):
    name: str | None = None
    arguments: str | JsonObject | None = None


class _CallPart(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: _FunctionPart | None = None


class _Delta(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[_CallPart] | None = None


class _ChunkChoice(msgspec.Struct):
    index: int = 0
    delta: _Delta | None = None
    finish_reason: str | None = None


class _PromptDetails(msgspec.Struct):
    cached_tokens: int | None = None


class _OutputDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class WireUsage(msgspec.Struct):
    """The wire's count of tokens."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _OutputDetails | None = None

    def canonical(self) -> Usage | None:
        """Cached tokens are part of the wire's prompt and apart in ours. None if the counts cannot be."""
        cached = (self.prompt_tokens_details and self.prompt_tokens_details.cached_tokens) or 0
        details = self.completion_tokens_details
        told = Usage(
            input_tokens=(self.prompt_tokens or 0) - min(cached, max(0, self.prompt_tokens or 0)),
            output_tokens=self.completion_tokens or 0,
            cache_read_tokens=cached,
            thinking_tokens=(details and details.reasoning_tokens) or 0,
        )
        return believed(told)


class _Chunk(msgspec.Struct):
    choices: list[_ChunkChoice] | None = None
    usage: WireUsage | None = None
    error: Any = None


class _WholeChoice(msgspec.Struct):
    message: _Delta
    finish_reason: str | None = None


class _Whole(msgspec.Struct):
    choices: Annotated[list[_WholeChoice], Meta(min_length=1)]
    usage: WireUsage | None = None


_No = Literal[""] | None
_Few = Annotated[list[msgspec.Raw], Meta(max_length=0)] | None


class _PlainDelta(msgspec.Struct):
    content: Annotated[str, Meta(min_length=1)]
    refusal: _No = None
    reasoning_content: _No = None
    reasoning: _No = None
    tool_calls: _Few = None


class _PlainChoice(msgspec.Struct):
    delta: _PlainDelta
    index: Literal[0] = 0
    finish_reason: _No = None


class _PlainChunk(msgspec.Struct):
    """A chunk that says some text and nothing else: any other does not fit."""

    choices: Annotated[list[_PlainChoice], Meta(min_length=1, max_length=1)]
    usage: None = None
    error: None = None


_data = attrgetter("data")
_decoder = msgspec.json.Decoder(_Chunk)
_whole_decoder = msgspec.json.Decoder(_Whole)
_plain_decoder = msgspec.json.Decoder(list[_PlainChunk])


class ChatReader:
    """The meaning of one stream's events; see `wire.Reader`.

    The end is `[DONE]`, or the stream's end after a finish reason; the finish reason itself is held back, for the usage
    comes behind it.
    """

    def __init__(
        self, who: str, request: Request, names: ToolNames, *, prefix: str, secrets: tuple[str, ...]
    ) -> None:
        self._who = who
        self._request = request
        self._names = names
        self._prefix = prefix
        self._secrets = secrets
        self._finish: str | None = None
        self._usage: Usage | None = None
        self._chars = 0
        self._was_refused = False
        self._calls: dict[int, int] = {}  # the wire's index → ours
        self._ids: dict[int, str] = {}  # ours → the wire's id
        self._last_call = -1
        self._frame: Frame | None = None
        self._learned = 0
        self._was_missed = False  # the latest piece did not fit
        self._halves: Halves | None = None  # once an event could not be read without

    @property
    def is_ending(self) -> bool:
        """Whether a finish reason was given: no more of the answer is to come."""
        return self._finish is not None

    def read(self, event: SseEvent) -> Sequence[Chunk]:
        """See `wire.Reader`."""
        if event.data.startswith("[DONE]"):
            if self._finish is None and not self._chars and not self._calls:
                raise StreamBroken(f"{self._who} ended its answer before it began.")
            return (self._finished(),)
        try:
            chunk = self._decoded(event.data)
        except (msgspec.MsgspecError, RecursionError) as error:
            # Unknown kinds of events are passed over; what claims to be a plain chunk must be one.
            if event.event not in ("", "message"):
                return ()
            if self._finish is not None:
                return ()  # the answer is whole and paid for: counts that cannot be read are estimated
            raise Malformed(f"{self._who} sent a chunk that is not of its protocol: {error}.") from error
        if chunk.error:
            raise in_band(chunk.error, who=self._who, secrets=self._secrets)
        if chunk.usage is not None:
            self._usage = chunk.usage.canonical()
        out: list[Chunk] = []
        for choice in chunk.choices or ():
            if choice.index == 0:
                self._choice(choice, out)
        if self._was_missed and self._halves is None:
            self._learn(event, chunk)
        return out

    def _decoded(self, data: str) -> _Chunk:
        if self._halves is None:
            try:
                return _decoder.decode(data)
            except msgspec.DecodeError:
                if "\\u" not in data:
                    raise
                self._halves = Halves()
        return _decoder.decode(self._halves.mended(data))

    def quick(self, piece: bytes) -> TextDelta | None:
        """See `chunks.Quick`."""
        text = self._frame.text_of(piece) if self._frame is not None else None
        if text is None:
            self._was_missed = self._learned < LEARNED_MAX
            return None
        self._chars += len(text)
        return TextDelta(text=text)

    def _learn(self, event: SseEvent, chunk: _Chunk) -> None:
        self._was_missed = False
        if (text := _only_text(chunk)) is not None and is_plain(text):
            self._learned += 1
            self._frame = Frame.learned(b"data: %b\n\n" % event.data.encode(), text, _told_by)

    def read_plain(self, events: Sequence[SseEvent]) -> Sequence[Chunk] | None:
        """See `chunks.ReadPlain`."""
        try:
            told = _plain_decoder.decode(f"[{','.join(map(_data, events))}]")
        except (msgspec.MsgspecError, RecursionError):
            return None
        texts = [chunk.choices[0].delta.content for chunk in told]
        if len(texts) != len(events):  # one of them held two values, which is none
            return None
        self._chars += sum(map(len, texts))
        return [TextDelta(text=text) for text in texts] if self._request.stream else (as_one(texts),)

    def read_whole(self, body: bytes) -> Sequence[Chunk] | None:
        """See `chunks.ReadWhole`: small servers and proxies know no streams, and give all at once."""
        try:
            told = _whole_decoder.decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        if told.usage is not None:
            self._usage = told.usage.canonical()
        out: list[Chunk] = []
        choice = told.choices[0]
        self._choice(_ChunkChoice(delta=choice.message, finish_reason=choice.finish_reason), out)
        # Neither a word nor a reason: as a stream that ends before it began, it is no answer.
        return (*out, self._finished()) if out or choice.finish_reason else None

    def at_end(self) -> Finished | None:
        """See `wire.Reader`: complete if a finish reason was given."""
        return self._finished() if self._finish is not None else None

    def so_far(self) -> Usage | None:
        """See `wire.Reader`: some servers bring the counts with every chunk, if they are asked to."""
        return self._usage

    def _choice(self, choice: _ChunkChoice, out: list[Chunk]) -> None:
        if (delta := choice.delta) is not None:
            if thinking := delta.reasoning_content or delta.reasoning:
                self._chars += len(thinking)
                out.append(ThinkingDelta(text=thinking))
            if text := (delta.content or "") + (delta.refusal or ""):
                self._chars += len(text)
                self._was_refused |= bool(delta.refusal)
                out.append(TextDelta(text=text))
            for part in delta.tool_calls or ():
                self._call(part, out)
        if choice.finish_reason:
            self._finish = choice.finish_reason

    def _call(self, part: _CallPart, out: list[Chunk]) -> None:
        """Servers differ: some give no index, some the same index to all, some no id, some the id every time."""
        function = part.function or _FunctionPart()
        arguments = function.arguments
        text = (
            arguments
            if isinstance(arguments, str)
            else msgspec.json.encode(arguments).decode()
            if arguments
            else ""
        )
        wire_index = part.index if part.index is not None else -1
        known = self._calls.get(wire_index)
        is_new = known is None or bool(part.id and self._ids[known] not in ("", part.id))
        if part.index is None and not part.id and known is not None:
            is_new = bool(function.name)
        if is_new or known is None:
            known = self._last_call = self._last_call + 1
            if known >= CALLS_MAX:
                raise Malformed(f"{self._who} made more than {CALLS_MAX} tool calls in one answer.")
            self._calls[wire_index] = known
            self._ids[known] = part.id or ""
            out.append(
                ToolCallDelta(
                    index=known,
                    id=part.id or f"call_{self._request.id}_{known}",
                    name=self._names.original(function.name or ""),
                    arguments=text,
                )
            )
        elif text:
            out.append(ToolCallDelta(index=known, arguments=text))
        self._chars += len(text) + len(function.name or "")

    def _finished(self) -> Finished:
        stop = STOP.get(self._finish or "stop", "end_turn")
        if self._was_refused:
            stop = "content_filter"
        # Some servers say `stop` although the answer is a tool call.
        elif stop == "end_turn" and self._calls:
            stop = "tool_use"
        usage = self._usage or estimated_usage(self._request, prefix=self._prefix, output_chars=self._chars)
        return Finished(stop_reason=stop, usage=usage)


def _only_text(chunk: _Chunk) -> str | None:
    """What a chunk says that says nothing but text."""
    if chunk.usage is not None or chunk.error or chunk.choices is None or len(chunk.choices) != 1:
        return None
    (choice,) = chunk.choices
    if choice.index or choice.finish_reason or choice.delta is None:
        return None
    text = choice.delta.content
    return text if choice.delta == _Delta(content=text) else None


def _told_by(event: bytes) -> str | None:
    try:
        return _only_text(_decoder.decode(event.removeprefix(b"data: ")))
    except (msgspec.MsgspecError, RecursionError):
        return None
