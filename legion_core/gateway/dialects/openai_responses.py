"""The OpenAI Responses dialect: `POST /v1/responses`, parsed once, rendered once.

What a field becomes, or why it is refused or dropped, is written in `translations.OPENAI_RESPONSES`. Source: the
provider's own OpenAPI description and its Python library.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from legion_core.gateway.dialects.base import StreamWriter, WholeAnswer
from legion_core.gateway.dialects.fields import (
    MESSAGES_MAX,
    NAME_MAX,
    TOOLS_MAX,
    FieldFault,
    ModelName,
    Share,
    Tokens,
    conversation,
    decode,
    pins,
    require,
)
from legion_core.gateway.dialects.openai_chat import EFFORT_TOKENS
from legion_core.gateway.dialects.openai_chat_answer import render_error
from legion_core.gateway.dialects.openai_responses_answer import (
    ResponsesRequest,
    ResponsesWriter,
    said_blocks,
    whole_response,
)
from legion_core.gateway.dialects.openai_responses_input import read_items
from legion_core.gateway.dialects.openai_responses_kept import Kept, KeptResponses
from legion_core.gateway.dialects.openai_responses_tools import Tool, ToolChoice, chosen, offered
from legion_core.gateway.dialects.sessions import session
from legion_core.gateway.dialects.translations import OPENAI_RESPONSES, Translation
from legion_core.gateway.types import Block, JsonObject, Message, Params, Request
from legion_core.kernel.clock import Clock, SystemClock
from legion_core.kernel.errors import LegionError, NotFound

NAME: Final = "openai_responses"
ENCRYPTED: Final = "reasoning.encrypted_content"
LOGPROBS: Final = "message.output_text.logprobs"


class _Format(msgspec.Struct):
    type: Literal["text", "json_object", "json_schema"]
    schema: JsonObject | None = None


class _TextConfig(msgspec.Struct):
    format: _Format | None = None


class _Reasoning(msgspec.Struct):
    effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"] | None = None


class _Conversation(msgspec.Struct):
    id: Annotated[str, Meta(min_length=1, max_length=NAME_MAX)]


class _Body(msgspec.Struct):
    """Fields not named here are dropped unread: a client can never set an address, a header or a key."""

    input: str | Annotated[list[msgspec.Raw], Meta(min_length=1, max_length=MESSAGES_MAX)]
    model: ModelName = ""
    instructions: str | None = None
    stream: bool | None = None
    store: bool | None = None
    previous_response_id: Annotated[str, Meta(max_length=NAME_MAX)] | None = None
    conversation: Annotated[str, Meta(max_length=NAME_MAX)] | _Conversation | None = None
    max_output_tokens: Tokens | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Share | None = None
    tools: Annotated[list[Tool], Meta(max_length=TOOLS_MAX)] | None = None
    tool_choice: Literal["auto", "none", "required"] | ToolChoice | None = None
    text: _TextConfig | None = None
    reasoning: _Reasoning | None = None
    include: list[str] | None = None
    # Read only to be refused: an answer without them would be a different answer.
    background: bool | None = None
    prompt: Any = None
    top_logprobs: int | None = None


class _Echo(msgspec.Struct):
    """What a response repeats of its request; clients' libraries insist on some of it."""

    instructions: Any = None
    max_output_tokens: Any = None
    metadata: dict[str, Any] | None = None
    parallel_tool_calls: Any = None
    previous_response_id: Any = None
    reasoning: Any = None
    store: Any = None
    temperature: Any = None
    text: Any = None
    tool_choice: Any = None
    tools: Any = None
    top_p: Any = None
    truncation: Any = None
    user: Any = None


_body: Final = msgspec.json.Decoder(_Body)
_echo: Final = msgspec.json.Decoder(_Echo)


class OpenAIResponses:
    """See the module; one for the whole process. It keeps the latest responses, which a later request may continue."""

    def __init__(self, clock: Clock | None = None, kept: KeptResponses | None = None) -> None:
        """`clock` dates whole answers, which must say when they were made."""
        self.clock = clock or SystemClock()
        self.kept = kept or KeptResponses()

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
        return OPENAI_RESPONSES

    def exchange(self, caller: str) -> "Exchange":
        """The dialect for one call of this caller: what it keeps is the caller's own."""
        return Exchange(self, caller)

    def parse(self, body: bytes, headers: Mapping[str, str], *, request_id: str) -> Request:
        """See `Dialect`; nothing is kept of an answer outside of an `exchange`."""
        return self.exchange("").parse(body, headers, request_id=request_id)

    def render(self, answer: WholeAnswer) -> bytes:
        """See `Dialect`; outside of an `exchange` the request is not repeated."""
        return self.exchange("").render(answer)

    def writer(self, request: Request, *, created_s: int) -> StreamWriter:
        """See `Dialect`."""
        return ResponsesWriter(request, created_s=created_s)

    def render_error(self, error: LegionError, *, is_unknown_caller: bool = False) -> tuple[int, bytes]:
        """See `Dialect`; `is_unknown_caller` turns Denied into 401."""
        return render_error(error, is_unknown_caller=is_unknown_caller)


class Exchange:
    """One call and its answer; see `Dialect`. It remembers the request, which a whole answer repeats."""

    def __init__(self, dialect: OpenAIResponses, caller: str) -> None:
        self._dialect = dialect
        self._caller = caller
        self._request: ResponsesRequest | None = None

    @property
    def name(self) -> str:
        """See `Dialect`."""
        return NAME

    @property
    def media_type(self) -> str:
        """See `Dialect`."""
        return self._dialect.media_type

    def parse(self, body: bytes, headers: Mapping[str, str], *, request_id: str) -> Request:
        """See `Dialect`; what `previous_response_id` names comes before the new items."""
        asked = decode(body, _body)
        _refuse_what_would_change_the_answer(asked)
        place = conversation(headers) or _conversation(asked)
        before = self._before(asked, place)
        ruled, messages = read_items(
            asked.input, before.messages if before else (), has_unseen_history=place is not None
        )
        ruled = (*(before.system if before else ()), *ruled)
        tools = offered(asked.tools or ())
        choice, left = chosen(asked.tool_choice, tools.tools)
        self._request = ResponsesRequest(
            id=request_id,
            messages=messages,
            system=(*((asked.instructions,) if asked.instructions else ()), *ruled),
            tools=left,
            tool_choice=choice,
            params=_params(asked),
            stream=bool(asked.stream),
            pins=pins(asked.model, headers),
            conversation_id=place,
            session=session(headers),
            dialect=NAME,
            client=headers.get("user-agent", "")[:200],
            echo=_repeated(body),
            ruled=ruled,
            custom=tools.custom,
            namespaces=tools.namespaces,
            shows_signatures=ENCRYPTED in (asked.include or ()),
            # A conversation of its own is kept already, and not only here.
            is_kept=asked.store is not False and place is None,
        )
        return self._request

    def render(self, answer: WholeAnswer) -> bytes:
        """See `Dialect`; raises what an answer that ended in an error failed with."""
        created_s = int(self._dialect.clock.unix_s())
        body = whole_response(answer, self._request, created_s=created_s)
        self._keep(said_blocks(answer), body)
        return body

    def writer(self, request: Request, *, created_s: int) -> StreamWriter:
        """See `Dialect`."""
        return ResponsesWriter(request, created_s=created_s, keep=self._keep)

    def render_error(self, error: LegionError, *, is_unknown_caller: bool = False) -> tuple[int, bytes]:
        """See `Dialect`."""
        return render_error(error, is_unknown_caller=is_unknown_caller)

    def _before(self, asked: _Body, place: str | None) -> Kept | None:
        if not asked.previous_response_id:
            return None
        require(
            place is None,
            "previous_response_id",
            "a conversation has its own history.",
            hint="Leave one of them out.",
        )
        try:
            return self._dialect.kept.get(self._caller, asked.previous_response_id)
        except NotFound as error:
            raise FieldFault("previous_response_id", error.message, hint=error.hint) from error

    def _keep(self, said: tuple[Block, ...], body: bytes) -> None:
        asked = self._request
        if asked is None or not asked.is_kept:
            return
        turn = (Message(role="assistant", content=said),) if said else ()
        kept = Kept((*asked.messages, *turn), asked.ruled, body)
        self._dialect.kept.put(self._caller, asked.response_id, kept)


def _refuse_what_would_change_the_answer(asked: _Body) -> None:
    require(
        not asked.background, "background", "an answer is given at once.", hint="Leave it out, or stream."
    )
    require(asked.prompt is None, "prompt", "templates are kept at one provider only.", hint="Use `input`.")
    told = "token probabilities are not the same from every provider."
    require(not asked.top_logprobs, "top_logprobs", told)
    require(LOGPROBS not in (asked.include or ()), "include", told)


def _conversation(asked: _Body) -> str | None:
    place = asked.conversation
    return (place.id if isinstance(place, _Conversation) else place) or None


def _repeated(body: bytes) -> str:
    """The members of a response that repeat its request, as JSON without the braces."""
    echo = decode(body, _echo)
    echo.metadata = echo.metadata or {}
    echo.tools = echo.tools or []
    echo.tool_choice = echo.tool_choice or "auto"
    echo.parallel_tool_calls = echo.parallel_tool_calls is not False
    echo.reasoning = echo.reasoning or {"effort": None, "summary": None}
    echo.text = echo.text or {"format": {"type": "text"}}
    echo.truncation = echo.truncation or "disabled"
    echo.store = echo.store is not False
    return msgspec.json.encode(echo)[1:-1].decode()


def _params(asked: _Body) -> Params:
    wanted = asked.text.format if asked.text else None
    if wanted and wanted.type == "json_schema":
        require(wanted.schema is not None, "text.format.schema", "is required.")
    effort = asked.reasoning.effort if asked.reasoning else None
    return Params(
        max_tokens=asked.max_output_tokens,
        temperature=asked.temperature,
        top_p=asked.top_p,
        thinking_budget_tokens=EFFORT_TOKENS.get(effort or ""),
        json_schema=wanted.schema if wanted and wanted.type == "json_schema" else None,
        json_mode=wanted is not None and wanted.type == "json_object",
    )
