"""The OpenAI chat completions dialect: `POST /v1/chat/completions`, parsed once, rendered once.

What a field becomes, or why it is refused or dropped, is written in `translations.OPENAI_CHAT`. Source: the provider's
own OpenAPI description and its Python library.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from legion_core.gateway.dialects.base import StreamWriter, WholeAnswer
from legion_core.gateway.dialects.documents import document_from_data
from legion_core.gateway.dialects.fields import (
    IMAGES_MAX,
    MESSAGES_MAX,
    PARTS_MAX,
    STOP_MAX,
    TOOLS_MAX,
    FieldFault,
    ModelName,
    Name,
    Penalty,
    Seed,
    Share,
    Tokens,
    TopK,
    conversation,
    decode,
    image_from_url,
    pins,
    require,
)
from legion_core.gateway.dialects.openai_chat_answer import (
    ChatRequest,
    ChatWriter,
    render_answer,
    render_error,
)
from legion_core.gateway.dialects.sessions import session
from legion_core.gateway.dialects.strays import Strays
from legion_core.gateway.dialects.translations import OPENAI_CHAT, Translation
from legion_core.gateway.types import (
    Block,
    DocumentBlock,
    ImageBlock,
    JsonObject,
    Message,
    Params,
    Request,
    TextBlock,
    ToolDefinition,
    ToolResultBlock,
    ToolUseBlock,
)
from legion_core.kernel.clock import Clock, SystemClock
from legion_core.kernel.errors import LegionError

NAME: Final = "openai_chat"
_SHOWN: Final = (ImageBlock, DocumentBlock)
# How many tokens of thinking an effort stands for. Source: seed; the two ends are ours.
EFFORT_TOKENS: Final = {
    "minimal": 1024,
    "low": 1024,
    "medium": 8192,
    "high": 16384,
    "xhigh": 32768,
    "max": 32768,
}


class _Text(msgspec.Struct, tag_field="type", tag="text"):
    text: str


class _Refusal(msgspec.Struct, tag_field="type", tag="refusal"):
    refusal: str


class _ImageUrl(msgspec.Struct):
    url: str


class _Image(msgspec.Struct, tag_field="type", tag="image_url"):
    image_url: _ImageUrl


class _FileData(msgspec.Struct):
    file_data: str = ""
    filename: str | None = None


class _File(msgspec.Struct, tag_field="type", tag="file"):
    file: _FileData


class _Function(msgspec.Struct):
    name: Name
    arguments: str = ""


class _ToolCall(msgspec.Struct):
    id: Name
    function: _Function
    type: Literal["function"] = "function"


TextContent = str | Annotated[list[_Text], Meta(max_length=PARTS_MAX)]


class _System(msgspec.Struct, tag_field="role", tag="system"):
    content: TextContent


class _Developer(msgspec.Struct, tag_field="role", tag="developer"):
    content: TextContent


class _User(msgspec.Struct, tag_field="role", tag="user"):
    content: str | Annotated[list[_Text | _Image | _File], Meta(min_length=1, max_length=PARTS_MAX)]


class _Assistant(msgspec.Struct, tag_field="role", tag="assistant"):
    content: str | Annotated[list[_Text | _Refusal], Meta(max_length=PARTS_MAX)] | None = None
    tool_calls: Annotated[list[_ToolCall], Meta(max_length=PARTS_MAX)] | None = None
    refusal: str | None = None


class _Tool(msgspec.Struct, tag_field="role", tag="tool"):
    content: TextContent
    tool_call_id: Name


class _FunctionDefinition(msgspec.Struct):
    name: Name
    description: str | None = None
    parameters: JsonObject | None = None


class _ToolDefinition(msgspec.Struct):
    type: str = "function"
    function: _FunctionDefinition | None = None


class _NamedFunction(msgspec.Struct):
    name: Name


class _ToolChoice(msgspec.Struct):
    type: str
    function: _NamedFunction | None = None


class _JsonSchema(msgspec.Struct):
    schema: JsonObject | None = None


class _ResponseFormat(msgspec.Struct):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: _JsonSchema | None = None


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class _Body(msgspec.Struct):
    """Fields not named here are dropped unread: a client can never set an address, a header or a key."""

    messages: Annotated[
        list[_System | _Developer | _User | _Assistant | _Tool], Meta(min_length=1, max_length=MESSAGES_MAX)
    ]
    model: ModelName = ""
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_tokens: Tokens | None = None
    max_completion_tokens: Tokens | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Share | None = None
    top_k: TopK | None = None
    seed: Seed | None = None
    stop: str | Annotated[list[str], Meta(max_length=STOP_MAX)] | None = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None
    tools: Annotated[list[_ToolDefinition], Meta(max_length=TOOLS_MAX)] | None = None
    tool_choice: Literal["auto", "none", "required"] | _ToolChoice | None = None
    response_format: _ResponseFormat | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None
    # Read only to be refused: an answer without them would be a different answer.
    n: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    modalities: list[str] | None = None
    functions: Any = None
    function_call: Any = None


_decoder = msgspec.json.Decoder(_Body)
_NOTHING: Final = (None,) * 6


class OpenAIChat:
    """See the module; stateless, one for the whole process."""

    def __init__(self, clock: Clock | None = None) -> None:
        """`clock` dates whole answers, which must say when they were made."""
        self._clock = clock or SystemClock()

    @property
    def name(self) -> str:
        """See `Dialect`."""
        return NAME

    @property
    def media_type(self) -> str:
        """See `Dialect`."""
        return "text/event-stream"

    @property
    def translations(self) -> tuple[Translation, ...]:
        """What becomes of every field of a request."""
        return OPENAI_CHAT

    def parse(self, body: bytes, headers: Mapping[str, str], *, request_id: str) -> Request:
        """See `Dialect`; also remembers whether the client wants the usage in the stream."""
        asked = decode(body, _decoder)
        _refuse_what_would_change_the_answer(asked)
        place = conversation(headers)
        system, messages = _messages(asked, has_unseen_history=place is not None)
        tools = _tools(asked)
        return ChatRequest(
            id=request_id,
            messages=messages,
            system=system,
            tools=tools,
            tool_choice=_tool_choice(asked, tools),
            params=_params(asked),
            stream=bool(asked.stream),
            pins=pins(asked.model, headers),
            conversation_id=place,
            session=session(headers),
            dialect=NAME,
            client=headers.get("user-agent", "")[:200],
            include_usage=bool(asked.stream_options and asked.stream_options.include_usage),
        )

    def render(self, answer: WholeAnswer) -> bytes:
        """See `Dialect`; raises what an answer that ended in an error failed with."""
        return render_answer(answer, created_s=int(self._clock.unix_s()))

    def writer(self, request: Request, *, created_s: int) -> StreamWriter:
        """See `Dialect`."""
        return ChatWriter(request, created_s=created_s)

    def render_error(self, error: LegionError, *, is_unknown_caller: bool = False) -> tuple[int, bytes]:
        """See `Dialect`; `is_unknown_caller` turns Denied into 401."""
        return render_error(error, is_unknown_caller=is_unknown_caller)


def _refuse_what_would_change_the_answer(asked: _Body) -> None:
    told = (
        asked.n,
        asked.logprobs,
        asked.top_logprobs,
        asked.modalities,
        asked.functions,
        asked.function_call,
    )
    if told == _NOTHING:
        return
    require(asked.n in (None, 1), "n", "only one answer is given for a request.", hint="Ask n times.")
    require(not asked.logprobs, "logprobs", "token probabilities are not the same from every provider.")
    require(
        not asked.top_logprobs, "top_logprobs", "token probabilities are not the same from every provider."
    )
    require(asked.modalities in (None, [], ["text"]), "modalities", "answers are text.")
    require(asked.functions is None, "functions", "is obsolete.", hint="Use `tools`.")
    require(asked.function_call is None, "function_call", "is obsolete.", hint="Use `tool_choice`.")


def _messages(asked: _Body, *, has_unseen_history: bool) -> tuple[tuple[str, ...], tuple[Message, ...]]:
    """What rules the conversation, and the conversation. A system message in the middle counts for the whole."""
    system: list[str] = []
    messages: list[Message] = []
    calls: set[str] = set()
    strays = Strays()
    images = 0
    for at, message in enumerate(asked.messages):
        match message:
            case _User(content=content):
                strays.pass_by()
                if isinstance(content, str):  # nearly always
                    messages.append(Message(role="user", content=(TextBlock(text=content),)))
                    continue
                blocks = _user_blocks(content, f"messages[{at}]")
                images += sum(isinstance(block, _SHOWN) for block in blocks)
                if images > IMAGES_MAX:
                    what = f"the request holds more than {IMAGES_MAX} pictures and documents."
                    raise FieldFault(f"messages[{at}]", what)
                messages.append(Message(role="user", content=blocks))
            case _System() | _Developer():
                system.append(_text(message.content))
            case _Assistant():
                messages.append(
                    Message(role="assistant", content=_assistant_blocks(message, f"messages[{at}]"))
                )
                strays.pass_by()
                calls.update(call.id for call in message.tool_calls or ())
            case _Tool():
                if message.tool_call_id not in calls:
                    strays.found(
                        f"messages[{at}].tool_call_id",
                        f"no earlier assistant message made a call with the id {message.tool_call_id!r}.",
                    )
                result = ToolResultBlock(call_id=message.tool_call_id, text=_text(message.content))
                # Results of parallel calls are one turn.
                if messages and messages[-1].role == "tool":
                    result_blocks = (*messages.pop().content, result)
                else:
                    result_blocks = (result,)
                messages.append(Message(role="tool", content=result_blocks))
    strays.check(has_unseen_history=has_unseen_history)
    require(bool(messages), "messages", "there is nothing to answer: only system messages were given.")
    return tuple(system), tuple(messages)


def _text(content: TextContent) -> str:
    return content if isinstance(content, str) else "".join(part.text for part in content)


def _user_blocks(parts: list[_Text | _Image | _File], field: str) -> tuple[Block, ...]:
    return tuple(
        TextBlock(text=part.text)
        if isinstance(part, _Text)
        else image_from_url(part.image_url.url, f"{field}.content[{at}].image_url.url")
        if isinstance(part, _Image)
        else _file(part.file, f"{field}.content[{at}].file.file_data")
        for at, part in enumerate(parts)
    )


def _file(given: _FileData, field: str) -> Block:
    require(bool(given.file_data), field, "is required: files of one provider are not seen by others.")
    return document_from_data(given.file_data, given.filename or "", field)


def _assistant_blocks(message: _Assistant, field: str) -> tuple[Block, ...]:
    blocks: list[Block] = []
    if isinstance(message.content, str):
        blocks += [TextBlock(text=message.content)] if message.content else []
    else:
        blocks += [
            TextBlock(text=part.text if isinstance(part, _Text) else part.refusal)
            for part in message.content or ()
        ]
    if message.refusal:
        blocks.append(TextBlock(text=message.refusal))
    for call in message.tool_calls or ():
        blocks.append(
            ToolUseBlock(id=call.id, name=call.function.name, arguments=call.function.arguments or "{}")
        )
    require(
        bool(blocks) or message.content is not None,
        field,
        "an assistant message needs `content` or `tool_calls`.",
    )
    return tuple(blocks)


def _tools(asked: _Body) -> tuple[ToolDefinition, ...]:
    """The functions; tools of other types run at one provider only and are dropped."""
    tools: list[ToolDefinition] = []
    for at, tool in enumerate(asked.tools or ()):
        if tool.type != "function":
            continue
        if tool.function is None:
            raise FieldFault(f"tools[{at}].function", "is required.")
        tools.append(
            ToolDefinition(
                name=tool.function.name,
                description=tool.function.description or "",
                parameters=tool.function.parameters or {},
            )
        )
    names = [tool.name for tool in tools]
    require(len(set(names)) == len(names), "tools", "two tools have the same name.")
    return tuple(tools)


def _tool_choice(asked: _Body, tools: tuple[ToolDefinition, ...]) -> str:
    match asked.tool_choice:
        case None | "auto":
            return "auto"
        case "none":
            return "none"
        case "required":
            require(bool(tools), "tool_choice", "a tool is required but none is given in `tools`.")
            return "any"
        case _ToolChoice(type="function", function=_NamedFunction(name=name)):
            known = any(tool.name == name for tool in tools)
            require(known, "tool_choice.function.name", f"{name!r} is not among `tools`.")
            return name
        case choice:
            raise FieldFault("tool_choice.type", f"{choice.type!r} is not taken here.")


def _params(asked: _Body) -> Params:
    stop = (asked.stop,) if isinstance(asked.stop, str) else tuple(asked.stop or ())
    require(all(stop), "stop", "an empty stop sequence would end every answer.")
    wanted = asked.response_format
    schema = wanted.json_schema.schema if wanted and wanted.json_schema else None
    if wanted and wanted.type == "json_schema":
        require(schema is not None, "response_format.json_schema.schema", "is required.")
    return Params(
        max_tokens=asked.max_completion_tokens or asked.max_tokens,
        temperature=asked.temperature,
        top_p=asked.top_p,
        top_k=asked.top_k,
        seed=asked.seed,
        stop=stop,
        frequency_penalty=asked.frequency_penalty,
        presence_penalty=asked.presence_penalty,
        thinking_budget_tokens=EFFORT_TOKENS.get(asked.reasoning_effort or ""),
        json_schema=schema if wanted and wanted.type == "json_schema" else None,
        json_mode=wanted is not None and wanted.type == "json_object",
    )
