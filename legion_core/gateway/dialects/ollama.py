"""The Ollama dialect: `POST /api/chat` and `POST /api/generate`, parsed once, rendered once.

What a field becomes, or why it is refused or dropped, is written in `translations.OLLAMA`. Source: the server's own
API description and its Python library.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from legion_core.gateway.dialects.base import StreamWriter, WholeAnswer
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
    TopK,
    conversation,
    decode,
    decode_item,
    image_from_base64,
    json_object,
    pins,
    require,
)
from legion_core.gateway.dialects.ollama_answer import OllamaWriter, render_answer, render_error
from legion_core.gateway.dialects.open_calls import OpenCalls
from legion_core.gateway.dialects.openai_chat import EFFORT_TOKENS
from legion_core.gateway.dialects.translations import OLLAMA, Translation
from legion_core.gateway.types import (
    Block,
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

CHAT: Final = "ollama_chat"
GENERATE: Final = "ollama_generate"
THINKING_TOKENS: Final = 8192  # where a client only says that it wants any
_LATEST: Final = ":latest"  # what this protocol's clients put behind a name without a version
# A picture is its bare bytes here, so its type is read from how those begin.
_BEGINNINGS: Final = {
    "iVBORw0KGgo": "image/png",
    "/9j/": "image/jpeg",
    "R0lGOD": "image/gif",
    "UklGR": "image/webp",
}

Images = Annotated[list[str], Meta(max_length=IMAGES_MAX)]


class _Function(msgspec.Struct):
    name: Name
    arguments: msgspec.Raw = msgspec.Raw(b"{}")


class _ToolCall(msgspec.Struct):
    function: _Function
    id: str | None = None


class _System(msgspec.Struct, tag_field="role", tag="system"):
    content: str


class _User(msgspec.Struct, tag_field="role", tag="user"):
    content: str | None = None
    images: Images | None = None


class _Assistant(msgspec.Struct, tag_field="role", tag="assistant"):
    content: str | None = None
    tool_calls: Annotated[list[_ToolCall], Meta(max_length=PARTS_MAX)] | None = None


class _Tool(msgspec.Struct, tag_field="role", tag="tool"):
    content: str
    tool_name: str | None = None
    tool_call_id: str | None = None


class _FunctionDefinition(msgspec.Struct):
    name: Name
    description: str | None = None
    parameters: JsonObject | None = None


class _ToolDefinition(msgspec.Struct):
    function: _FunctionDefinition | None = None
    type: str | None = None


class _Options(msgspec.Struct):
    """Options not named here are about how one server runs a model; they are dropped unread."""

    num_predict: Annotated[int, Meta(ge=-2, le=10_000_000)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Share | None = None
    top_k: TopK | None = None
    seed: Seed | None = None
    stop: str | Annotated[list[str], Meta(max_length=STOP_MAX)] | None = None
    frequency_penalty: Penalty | None = None
    presence_penalty: Penalty | None = None


class _Asked(msgspec.Struct, kw_only=True):
    """What both questions have; fields not named here are dropped unread."""

    model: ModelName = ""
    stream: bool | None = None
    options: _Options | None = None
    format: Literal["json", ""] | JsonObject | None = None
    think: bool | Literal["low", "medium", "high", "max"] | None = None
    # Read only to be refused: an answer without them would be a different answer.
    logprobs: bool | None = None
    top_logprobs: int | None = None


class _ChatBody(_Asked, kw_only=True):
    messages: Annotated[
        list[_System | _User | _Assistant | _Tool], Meta(min_length=1, max_length=MESSAGES_MAX)
    ]
    tools: Annotated[list[_ToolDefinition], Meta(max_length=TOOLS_MAX)] | None = None


class _GenerateBody(_Asked, kw_only=True):
    prompt: Annotated[str, Meta(min_length=1)]
    system: str | None = None
    images: Images | None = None
    suffix: str | None = None
    template: str | None = None
    raw: bool | None = None


class _Waking(msgspec.Struct):
    """What tells a question from a call that only wakes a model."""

    model: ModelName = ""
    messages: list[msgspec.Raw] | None = None
    prompt: str | None = None
    keep_alive: Any = None


_chat: Final = msgspec.json.Decoder(_ChatBody)
_generate: Final = msgspec.json.Decoder(_GenerateBody)
_string: Final = msgspec.json.Decoder(str)
_waking: Final = msgspec.json.Decoder(_Waking)


class _Ollama:
    """What both questions have in common; stateless, one each for the whole process."""

    is_chat: bool

    def __init__(self, clock: Clock | None = None) -> None:
        """`clock` dates whole answers, which must say when they were made."""
        self._clock = clock or SystemClock()

    @property
    def media_type(self) -> str:
        """See `Dialect`."""
        return "application/x-ndjson"

    @property
    def translations(self) -> tuple[Translation, ...]:
        """What becomes of every field of a request."""
        return OLLAMA

    def render(self, answer: WholeAnswer) -> bytes:
        """See `Dialect`; raises what an answer that ended in an error failed with."""
        return render_answer(answer, created=self._clock.utc_now(), is_chat=self.is_chat)

    def writer(self, request: Request, *, created_s: int) -> StreamWriter:
        """See `Dialect`."""
        return OllamaWriter(created_s=created_s, is_chat=self.is_chat)

    def render_error(self, error: LegionError, *, is_unknown_caller: bool = False) -> tuple[int, bytes]:
        """See `Dialect`; `is_unknown_caller` turns Denied into 401."""
        return render_error(error, is_unknown_caller=is_unknown_caller)


class OllamaChat(_Ollama):
    """`/api/chat`."""

    is_chat = True

    @property
    def name(self) -> str:
        """See `Dialect`."""
        return CHAT

    def parse(self, body: bytes, headers: Mapping[str, str], *, request_id: str) -> Request:
        """See `Dialect`; a stream unless the body says otherwise."""
        asked = decode(body, _chat)
        system, messages = _messages(asked.messages)
        tools = _tools(asked)
        return _request(asked, headers, request_id, CHAT, system, messages, tools)


class OllamaGenerate(_Ollama):
    """`/api/generate`."""

    is_chat = False

    @property
    def name(self) -> str:
        """See `Dialect`."""
        return GENERATE

    def parse(self, body: bytes, headers: Mapping[str, str], *, request_id: str) -> Request:
        """See `Dialect`; a stream unless the body says otherwise."""
        asked = decode(body, _generate)
        require(not asked.template, "template", "a model's own template is used.")
        if asked.raw or asked.suffix:
            return _text(asked, headers, request_id)
        question = Message(
            role="user", content=(TextBlock(text=asked.prompt), *_images(asked.images, "images"))
        )
        system = (asked.system,) if asked.system else ()
        return _request(asked, headers, request_id, GENERATE, system, (question,), ())


def _text(asked: _GenerateBody, headers: Mapping[str, str], request_id: str) -> Request:
    """Text to be gone on with, or a gap to be filled: no turn of a talk."""
    require(not (asked.raw and asked.suffix), "suffix", "needs a model's own form, which `raw` leaves out.")
    for field in ("system", "images", "format", "think", "template"):
        require(not getattr(asked, field), field, "means nothing where a text is gone on with.")
    request = _request(
        asked,
        headers,
        request_id,
        GENERATE,
        (),
        (Message(role="user", content=(TextBlock(text=asked.prompt),)),),
        (),
    )
    what = "a text to be gone on with is no part of a conversation."
    require(request.conversation_id is None, "x-legion-conversation", what)
    return msgspec.structs.replace(request, curate=False, is_raw=True, suffix=asked.suffix or "")


def only_wakes(body: bytes, *, is_chat: bool) -> tuple[str, str] | None:
    """The model, and `load` or `unload`, if the body asks nothing, as clients do to have a model loaded; else None.

    A body that cannot be read is a question: the dialect says what is wrong with it.
    """
    try:
        asked = _waking.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    if asked.messages if is_chat else asked.prompt:
        return None
    return asked.model, "unload" if asked.keep_alive in (0, "0") else "load"


def _request(
    asked: _Asked,
    headers: Mapping[str, str],
    request_id: str,
    dialect: str,
    system: tuple[str, ...],
    messages: tuple[Message, ...],
    tools: tuple[ToolDefinition, ...],
) -> Request:
    told = "token probabilities are not the same from every provider."
    require(not asked.logprobs, "logprobs", told)
    require(not asked.top_logprobs, "top_logprobs", told)
    free = asked.model.lower() in ("auto" + _LATEST, "legion" + _LATEST)
    return Request(
        id=request_id,
        messages=messages,
        system=system,
        tools=tools,
        params=_params(asked),
        stream=asked.stream is not False,
        pins=pins("" if free else asked.model, headers),
        conversation_id=conversation(headers),
        dialect=dialect,
        client=headers.get("user-agent", "")[:200],
    )


def _params(asked: _Asked) -> Params:
    options = asked.options or _Options()
    stop = (options.stop,) if isinstance(options.stop, str) else tuple(options.stop or ())
    require(all(stop), "options.stop", "an empty stop sequence would end every answer.")
    effort = asked.think if isinstance(asked.think, str) else ""
    return Params(
        # Zero and the negative numbers stand for as many as it takes.
        max_tokens=options.num_predict if options.num_predict and options.num_predict > 0 else None,
        temperature=options.temperature,
        top_p=options.top_p,
        top_k=options.top_k,
        seed=options.seed,
        stop=stop,
        frequency_penalty=options.frequency_penalty,
        presence_penalty=options.presence_penalty,
        thinking_budget_tokens=THINKING_TOKENS if asked.think is True else EFFORT_TOKENS.get(effort),
        json_schema=asked.format if isinstance(asked.format, dict) else None,
        json_mode=asked.format == "json",
    )


def _messages(
    asked: Sequence[_System | _User | _Assistant | _Tool],
) -> tuple[tuple[str, ...], tuple[Message, ...]]:
    """What rules the conversation, and the conversation. A system message in the middle counts for the whole."""
    system, messages, calls, images = list[str](), list[Message](), OpenCalls(), 0
    for at, message in enumerate(asked):
        where = f"messages[{at}]"
        match message:
            case _System():
                system.append(message.content)
            case _User():
                require(
                    message.content is not None or bool(message.images), f"{where}.content", "is required."
                )
                shown = _images(message.images, f"{where}.images")
                images += len(shown)
                require(images <= IMAGES_MAX, where, f"the request holds more than {IMAGES_MAX} pictures.")
                text = (TextBlock(text=message.content or ""),) if message.content or not shown else ()
                messages.append(Message(role="user", content=(*text, *shown)))
            case _Assistant():
                require(
                    message.content is not None or bool(message.tool_calls),
                    where,
                    "an assistant message needs `content` or `tool_calls`.",
                )
                messages.append(Message(role="assistant", content=_said(message, where, calls)))
            case _Tool():
                # That server takes a result without its call: `gateway.pairing` makes it words.
                call_id = calls.answered(message.tool_call_id, message.tool_name) or ""
                result = ToolResultBlock(call_id=call_id, text=message.content)
                # Results of parallel calls are one turn.
                is_next = bool(messages) and messages[-1].role == "tool"
                before = messages.pop().content if is_next else ()
                messages.append(Message(role="tool", content=(*before, result)))
    require(bool(messages), "messages", "there is nothing to answer: only system messages were given.")
    return tuple(system), tuple(messages)


def _said(message: _Assistant, where: str, calls: OpenCalls) -> tuple[Block, ...]:
    blocks: list[Block] = [TextBlock(text=message.content)] if message.content else []
    for at, call in enumerate(message.tool_calls or ()):
        path, raw = f"{where}.tool_calls[{at}].function.arguments", call.function.arguments
        # Some clients write the object into a string.
        is_text = bytes(raw)[:1] == b'"'
        told = decode_item(raw, _string, path) if is_text else bytes(raw).decode(errors="replace")
        require(json_object(told) is not None, path, "is not an object.")
        blocks.append(
            ToolUseBlock(
                id=calls.made(call.id, call.function.name), name=call.function.name, arguments=told or "{}"
            )
        )
    return tuple(blocks)


def _images(images: list[str] | None, where: str) -> tuple[ImageBlock, ...]:
    return tuple(_image(data, f"{where}[{at}]") for at, data in enumerate(images or ()))


def _image(data: str, where: str) -> ImageBlock:
    media_type = next((kind for begin, kind in _BEGINNINGS.items() if data.startswith(begin)), None)
    if media_type is None:
        raise FieldFault(where, "is not the base64 of a PNG, JPEG, GIF or WebP picture.")
    return image_from_base64(media_type, data, where)


def _tools(asked: _ChatBody) -> tuple[ToolDefinition, ...]:
    tools = list[ToolDefinition]()
    for at, tool in enumerate(asked.tools or ()):
        if tool.type not in (None, "function"):
            continue
        if tool.function is None:
            raise FieldFault(f"tools[{at}].function", "is required.")
        told = tool.function
        tools.append(
            ToolDefinition(
                name=told.name, description=told.description or "", parameters=told.parameters or {}
            )
        )
    names = [tool.name for tool in tools]
    require(len(set(names)) == len(names), "tools", "two tools have the same name.")
    return tuple(tools)
