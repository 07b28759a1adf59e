"""The Anthropic Messages dialect: `POST /v1/messages` and its token count, parsed once, rendered once.

What a field becomes, or why it is refused or dropped, is written in `translations.ANTHROPIC_MESSAGES`. Source: the
provider's own documentation and its Python library.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from legion_core.gateway.dialects.anthropic_answer import (
    MessagesWriter,
    ThreadNotKept,
    render_answer,
    render_count,
    render_error,
    unwrap_signature,
)
from legion_core.gateway.dialects.anthropic_traces import Trace, Traces
from legion_core.gateway.dialects.base import StreamWriter, WholeAnswer
from legion_core.gateway.dialects.documents import PDF, document_from_base64, document_from_url, text_of
from legion_core.gateway.dialects.fields import (
    IMAGES_MAX,
    MESSAGES_MAX,
    PARTS_MAX,
    STOP_MAX,
    TOOLS_MAX,
    FieldFault,
    ModelName,
    Name,
    Share,
    Tokens,
    TopK,
    conversation,
    decode,
    image_from_base64,
    image_from_url,
    pins,
    require,
)
from legion_core.gateway.dialects.sessions import session
from legion_core.gateway.dialects.strays import Strays
from legion_core.gateway.dialects.translations import ANTHROPIC_MESSAGES, Translation
from legion_core.gateway.types import (
    Block,
    DocumentBlock,
    ImageBlock,
    JsonObject,
    Message,
    Params,
    Request,
    TextBlock,
    ThinkingBlock,
    ToolDefinition,
    ToolResultBlock,
    ToolUseBlock,
)
from legion_core.gateway.unseen import of_result, unseen_file
from legion_core.kernel.errors import LegionError

NAME: Final = "anthropic_messages"
_SHOWN: Final = (ImageBlock, DocumentBlock)
REDACTED: Final = "redacted:"  # marks, in a canonical signature, thinking that came encrypted


class _Text(msgspec.Struct, tag_field="type", tag="text"):
    text: str


class _Base64(msgspec.Struct, tag_field="type", tag="base64"):
    media_type: str
    data: str


class _Url(msgspec.Struct, tag_field="type", tag="url"):
    url: str


class _Plain(msgspec.Struct, tag_field="type", tag="text"):
    data: str


class _Image(msgspec.Struct, tag_field="type", tag="image"):
    source: _Base64 | _Url


class _Content(msgspec.Struct, tag_field="type", tag="content"):
    content: str | Annotated[list[_Text], Meta(max_length=PARTS_MAX)]


class _Document(msgspec.Struct, tag_field="type", tag="document"):
    source: _Plain | _Content | _Base64 | _Url
    title: str | None = None
    context: str | None = None


class _File(msgspec.Struct, tag_field="type", tag="file"):
    file_id: str


class _ShownDocument(msgspec.Struct, tag_field="type", tag="document"):
    """A document in a tool's result, of any sort: a result that is refused would end the conversation it is in."""

    source: _Plain | _Content | _Base64 | _Url | _File
    title: str | None = None
    context: str | None = None


class _SearchResult(msgspec.Struct, tag_field="type", tag="search_result"):
    content: Annotated[list[_Text], Meta(max_length=PARTS_MAX)]
    source: str = ""
    title: str = ""


class _ToolReference(msgspec.Struct, tag_field="type", tag="tool_reference"):
    tool_name: Name


class _Thinking(msgspec.Struct, tag_field="type", tag="thinking"):
    thinking: str
    signature: str = ""


class _Redacted(msgspec.Struct, tag_field="type", tag="redacted_thinking"):
    data: str


class _ToolUse(msgspec.Struct, tag_field="type", tag="tool_use"):
    id: Name
    name: Name
    input: msgspec.Raw


_InResult = _Text | _Image | _ShownDocument | _SearchResult | _ToolReference


class _ToolResult(msgspec.Struct, tag_field="type", tag="tool_result"):
    tool_use_id: Name
    content: str | Annotated[list[_InResult], Meta(max_length=PARTS_MAX)] | None = None
    is_error: bool | None = None


class _Compaction(msgspec.Struct, tag_field="type", tag="compaction"):
    content: str | None = None


Parts = Annotated[
    list[
        _Text
        | _Image
        | _Document
        | _SearchResult
        | _Thinking
        | _Redacted
        | _ToolUse
        | _ToolResult
        | _Compaction
        | Traces
    ],
    Meta(max_length=PARTS_MAX),
]
TextContent = str | Annotated[list[_Text], Meta(max_length=PARTS_MAX)]


class _User(msgspec.Struct, tag_field="role", tag="user"):
    content: str | Parts


class _Assistant(msgspec.Struct, tag_field="role", tag="assistant"):
    content: str | Parts


class _System(msgspec.Struct, tag_field="role", tag="system"):
    content: TextContent


class _Tool(msgspec.Struct):
    name: Name
    description: str | None = None
    input_schema: JsonObject | None = None
    type: str | None = None


class _ToolChoice(msgspec.Struct):
    type: Literal["auto", "any", "tool", "none"]
    name: Name | None = None


class _ThinkingConfig(msgspec.Struct):
    type: Literal["enabled", "adaptive", "disabled", "between_tools"]
    budget_tokens: Annotated[int, Meta(ge=1024, le=10_000_000)] | None = None


class _Format(msgspec.Struct):
    type: Literal["json_schema"]
    schema: JsonObject


class _OutputConfig(msgspec.Struct):
    format: _Format | None = None


class _Thread(msgspec.Struct):
    type: Literal["create", "continue"]
    previous_message_id: Name = ""


class _Question(msgspec.Struct):
    """What a token count takes; fields not named here are dropped unread."""

    messages: Annotated[list[_User | _Assistant | _System], Meta(min_length=1, max_length=MESSAGES_MAX)]
    model: ModelName = ""
    system: TextContent | None = None
    tools: Annotated[list[_Tool], Meta(max_length=TOOLS_MAX)] | None = None
    tool_choice: _ToolChoice | None = None
    thinking: _ThinkingConfig | None = None
    output_config: _OutputConfig | None = None
    output_format: _Format | None = None  # the name `output_config.format` had before
    metadata: msgspec.Raw = msgspec.Raw(b"")  # read late, and only for the name of the session
    thread: _Thread | None = None
    # Read only to be refused: servers named by a client would be an open door.
    mcp_servers: list[Any] | None = None


class _Body(_Question, kw_only=True):
    max_tokens: Tokens
    stream: bool | None = None
    temperature: Share | None = None
    top_p: Share | None = None
    top_k: TopK | None = None
    stop_sequences: Annotated[list[str], Meta(max_length=STOP_MAX)] | None = None


_body = msgspec.json.Decoder(_Body)
_question = msgspec.json.Decoder(_Question)


class AnthropicMessages:
    """See the module; stateless, one for the whole process."""

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
        return ANTHROPIC_MESSAGES

    def parse(self, body: bytes, headers: Mapping[str, str], *, request_id: str) -> Request:
        """See `Dialect`."""
        asked = decode(body, _body)
        stop = tuple(asked.stop_sequences or ())
        require(all(stop), "stop_sequences", "an empty stop sequence would end every answer.")
        thinking = asked.thinking
        budget = thinking.budget_tokens if thinking and thinking.type == "enabled" else None
        if thinking and thinking.type == "enabled":
            require(budget is not None, "thinking.budget_tokens", "is required.")
            require(
                (budget or 0) < asked.max_tokens, "thinking.budget_tokens", "must be less than max_tokens."
            )
        wanted = (asked.output_config and asked.output_config.format) or asked.output_format
        return _request(
            asked,
            headers,
            request_id,
            stream=bool(asked.stream),
            params=Params(
                max_tokens=asked.max_tokens,
                temperature=asked.temperature,
                top_p=asked.top_p,
                top_k=asked.top_k,
                stop=stop,
                thinking_budget_tokens=budget,
                json_schema=wanted.schema if wanted else None,
            ),
        )

    def parse_count(self, body: bytes, headers: Mapping[str, str], *, request_id: str) -> Request:
        """The request of `/v1/messages/count_tokens`: as `parse`, without sampling."""
        return _request(decode(body, _question), headers, request_id, stream=False, params=Params())

    def render(self, answer: WholeAnswer) -> bytes:
        """See `Dialect`; raises what an answer that ended in an error failed with."""
        return render_answer(answer)

    def render_count(self, input_tokens: int) -> bytes:
        """The answer of `/v1/messages/count_tokens`."""
        return render_count(input_tokens)

    def writer(self, request: Request, *, created_s: int) -> StreamWriter:
        """See `Dialect`."""
        return MessagesWriter(request)

    def render_error(self, error: LegionError, *, is_unknown_caller: bool = False) -> tuple[int, bytes]:
        """See `Dialect`; `is_unknown_caller` turns Denied into 401."""
        return render_error(error, is_unknown_caller=is_unknown_caller)


def _request(
    asked: _Question, headers: Mapping[str, str], request_id: str, *, stream: bool, params: Params
) -> Request:
    require(not asked.mcp_servers, "mcp_servers", "servers named in a request are not connected to.")
    place = conversation(headers)
    if place is None and asked.thread is not None and asked.thread.type == "continue":
        # The official library then sends the whole conversation.
        raise ThreadNotKept(
            f"What was said before {asked.thread.previous_message_id[:80]!r} is not kept here.",
            hint="Send the whole conversation, or name one in `x-legion-conversation`.",
        )
    system, messages = _messages(asked, has_unseen_history=place is not None)
    tools = _tools(asked)
    return Request(
        id=request_id,
        messages=messages,
        system=system,
        tools=tools,
        tool_choice=_tool_choice(asked, tools),
        params=params,
        stream=stream,
        pins=pins(asked.model, headers),
        conversation_id=place,
        session=session(headers, bytes(asked.metadata)),
        dialect=NAME,
        client=headers.get("user-agent", "")[:200],
    )


def _messages(asked: _Question, *, has_unseen_history: bool) -> tuple[tuple[str, ...], tuple[Message, ...]]:
    """What rules the conversation, and the conversation. A system message in the middle counts for the whole."""
    system = list[str]()
    if isinstance(asked.system, str):
        system += [asked.system] if asked.system else []
    else:
        system += [part.text for part in asked.system or ()]
    messages = list[Message]()
    calls, strays = set[str](), Strays()
    images = 0
    for at, message in enumerate(asked.messages):
        field = f"messages[{at}]"
        match message:
            case _System():
                system.append(_text(message.content))
            case _User():
                strays.pass_by()
                turn = _user(message, field, calls, strays)
                if not isinstance(message.content, str):
                    images += sum(isinstance(block, _SHOWN) for block in turn[-1].content)
                    if images > IMAGES_MAX:
                        raise FieldFault(
                            field, f"the request holds more than {IMAGES_MAX} pictures and documents."
                        )
                messages += turn
            case _Assistant():
                blocks = _assistant(message, field)
                calls.update(block.id for block in blocks if isinstance(block, ToolUseBlock))
                strays.pass_by()
                messages.append(Message(role="assistant", content=blocks))
    strays.check(has_unseen_history=has_unseen_history)
    require(bool(messages), "messages", "there is nothing to answer: only system messages were given.")
    return tuple(system), tuple(messages)


def _text(content: TextContent) -> str:
    return content if isinstance(content, str) else "".join(part.text for part in content)


def _user(message: _User, field: str, calls: set[str], strays: Strays) -> list[Message]:
    """Tool results are a turn of their own, before what the user says; pictures and PDFs inside them are shown by the user."""
    if isinstance(message.content, str):
        return [Message(role="user", content=(TextBlock(text=message.content),))]
    require(bool(message.content), f"{field}.content", "is empty.")
    results, said = list[Block](), list[Block]()
    for at, part in enumerate(message.content):
        match part:
            case _Text():
                said.append(TextBlock(text=part.text))
            case _ToolResult():
                # The paths of fields are written only for those that are wrong: there are thousands of right ones.
                if part.tool_use_id not in calls:
                    strays.found(
                        f"{field}.content[{at}].tool_use_id",
                        f"no earlier assistant message made a call with the id {part.tool_use_id!r}.",
                    )
                results.append(_result(part))
                if not isinstance(part.content, str):
                    said += _shown_behind(part.content or (), f"{field}.content[{at}]")
            case _Document():
                said += _document(part, f"{field}.content[{at}].source")
            case _SearchResult():
                said.append(TextBlock(text=_shown(part)))
            case _Image():
                said.append(_image(part, f"{field}.content[{at}].source"))
            case _:
                raise FieldFault(f"{field}.content[{at}].type", "belongs to an assistant's message.")
    if any(isinstance(block, TextBlock) for block in said):
        strays.pass_by()
    turn = [Message(role="tool", content=tuple(results))] if results else []
    return [*turn, Message(role="user", content=tuple(said))] if said else turn


def _result(part: _ToolResult) -> ToolResultBlock:
    if isinstance(part.content, str):
        text = part.content
    else:
        text = "\n".join(
            _shown(inner)
            for inner in part.content or ()
            if isinstance(inner, _Text) or not _is_shown_behind(inner)
        )
    return ToolResultBlock(call_id=part.tool_use_id, text=text, is_error=bool(part.is_error))


def _is_shown_behind(part: _InResult) -> bool:
    """Whether it is shown by the user, behind the result it came in; of other files a model is told in words."""
    if isinstance(part, _ShownDocument):
        source = part.source
        return isinstance(source, _Url) or (isinstance(source, _Base64) and source.media_type == PDF)
    return isinstance(part, _Image)


def _shown_behind(parts: Sequence[_InResult], field: str) -> list[Block]:
    said = list[Block]()
    for at, part in enumerate(parts):
        if isinstance(part, _Image):
            said.append(_image(part, f"{field}.content[{at}].source"))
        elif isinstance(part, _ShownDocument) and _is_shown_behind(part):
            said += map(of_result, _document(part, f"{field}.content[{at}].source"))
    return said


def _shown(part: _InResult) -> str:
    """What is shown, in words. Every tool is told to the model at once, so a reference is only its name."""
    match part:
        case _Text():
            return part.text
        case _ToolReference():
            return f"The tool {part.tool_name} is available."
        case _SearchResult():
            head = " ".join(each for each in (part.title, part.source) if each)
            return "\n".join((*((head,) if head else ()), *(each.text for each in part.content)))
        case _ShownDocument(source=_Plain() | _Content()):
            return "\n".join(block.text for block in _document(part, "") if isinstance(block, TextBlock))
        case _Image():
            return ""
        case _ShownDocument(source=source):
            return unseen_file(part.title or "", source.media_type if isinstance(source, _Base64) else "")


def _document(part: _Document | _ShownDocument, field: str) -> list[Block]:
    """What is said about the document, and the document: text under its title, or a PDF."""
    title, source = part.title or "", part.source
    said: list[Block] = [TextBlock(text=part.context)] if part.context else []
    match source:
        case _Plain(data=text):
            said.append(text_of(text, title))
        case _Content(content=content):
            said.append(text_of(_text(content), title))
        case _Base64():
            said.append(document_from_base64(source.media_type, source.data, title, f"{field}.data"))
        case _Url():
            said.append(document_from_url(source.url, title, f"{field}.url"))
        case _File():
            raise AssertionError("files are told of in words")
    return said


def _image(part: _Image, field: str) -> ImageBlock:
    source = part.source
    if isinstance(source, _Url):
        return image_from_url(source.url, f"{field}.url")
    return image_from_base64(source.media_type, source.data, f"{field}.data")


def _assistant(message: _Assistant, field: str) -> tuple[Block, ...]:
    if isinstance(message.content, str):
        return (TextBlock(text=message.content),) if message.content else ()
    blocks = list[Block]()
    for at, part in enumerate(message.content):
        match part:
            case _Text():
                blocks.append(TextBlock(text=part.text))
            case _Thinking():
                origin, signature = unwrap_signature(part.signature)
                blocks.append(ThinkingBlock(text=part.thinking, signature=signature, origin=origin))
            case _Redacted():
                origin, data = unwrap_signature(part.data)
                blocks.append(ThinkingBlock(text="", signature=REDACTED + data, origin=origin))
            case _ToolUse():
                arguments = bytes(part.input)
                if arguments[:1] != b"{":
                    raise FieldFault(f"{field}.content[{at}].input", "is not an object.")
                blocks.append(ToolUseBlock(id=part.id, name=part.name, arguments=arguments.decode()))
            case _Compaction():
                blocks += [TextBlock(text=part.content)] if part.content else []
            case Trace():
                pass
            case _:
                raise FieldFault(f"{field}.content[{at}].type", "belongs to a user's message.")
    return tuple(blocks)


def _tools(asked: _Question) -> tuple[ToolDefinition, ...]:
    """The client's own tools; those of other types run at one provider only and are dropped."""
    tools = list[ToolDefinition]()
    for at, tool in enumerate(asked.tools or ()):
        if tool.type not in (None, "custom"):
            continue
        require(tool.input_schema is not None, f"tools[{at}].input_schema", "is required.")
        tools.append(
            ToolDefinition(
                name=tool.name, description=tool.description or "", parameters=tool.input_schema or {}
            )
        )
    names = [tool.name for tool in tools]
    require(len(set(names)) == len(names), "tools", "two tools have the same name.")
    return tuple(tools)


def _tool_choice(asked: _Question, tools: tuple[ToolDefinition, ...]) -> str:
    choice = asked.tool_choice
    if choice is None:
        return "auto"
    if choice.type == "tool":
        known = any(tool.name == choice.name for tool in tools)
        require(known, "tool_choice.name", f"{choice.name!r} is not among `tools`.")
        return choice.name or "auto"
    require(
        choice.type != "any" or bool(tools), "tool_choice", "a tool is required but none is given in `tools`."
    )
    return choice.type
