"""The Gemini dialect: `generateContent` and `streamGenerateContent`, parsed once, rendered once.

What a field becomes, or why it is refused or dropped, is written in `translations.GEMINI`. In this dialect the model and
the wish for a stream are in the address, so the dialect is spoken `at` one. Source: the provider's own description of
its API and its Python library.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from legion_core.gateway.dialects.base import StreamWriter, WholeAnswer
from legion_core.gateway.dialects.fields import (
    MESSAGES_MAX,
    NAME_MAX,
    STOP_MAX,
    TOOLS_MAX,
    Name,
    Penalty,
    Seed,
    Share,
    Tokens,
    conversation,
    decode,
    pins,
    require,
)
from legion_core.gateway.dialects.gemini_answer import (
    Form,
    GeminiRequest,
    GeminiWriter,
    render_answer,
    render_error,
)
from legion_core.gateway.dialects.gemini_contents import Content, Instruction, instruction, messages_of
from legion_core.gateway.dialects.gemini_words import in_camel_case, json_schema
from legion_core.gateway.dialects.openai_chat import EFFORT_TOKENS
from legion_core.gateway.dialects.translations import GEMINI, Translation
from legion_core.gateway.types import JsonObject, Params, Request, ToolDefinition
from legion_core.kernel.errors import LegionError

NAME: Final = "gemini"


class _Declaration(msgspec.Struct, rename="camel"):
    name: Name
    description: str | None = None
    parameters: JsonObject | None = None
    parameters_json_schema: JsonObject | None = None


class _Tool(msgspec.Struct, rename="camel"):
    function_declarations: Annotated[list[_Declaration], Meta(max_length=TOOLS_MAX)] | None = None


class _Calling(msgspec.Struct, rename="camel"):
    mode: str | None = None
    allowed_function_names: list[str] | None = None


class _ToolConfig(msgspec.Struct, rename="camel"):
    function_calling_config: _Calling | None = None


class _Thinking(msgspec.Struct, rename="camel"):
    include_thoughts: bool | None = None
    thinking_budget: Annotated[int, Meta(ge=-1, le=10_000_000)] | None = None
    thinking_level: str | None = None


class _Config(msgspec.Struct, rename="camel"):
    stop_sequences: Annotated[list[str], Meta(max_length=STOP_MAX)] | None = None
    max_output_tokens: Tokens | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Share | None = None
    top_k: Annotated[float, Meta(ge=0, le=1_000_000)] | None = None  # a float in the protocol
    seed: Seed | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    response_mime_type: str | None = None
    response_schema: JsonObject | None = None
    response_json_schema: JsonObject | None = None
    thinking_config: _Thinking | None = None
    # Read only to be refused: an answer without them would be a different answer.
    candidate_count: int | None = None
    response_logprobs: bool | None = None
    logprobs: int | None = None
    response_modalities: list[str] | None = None


class _Body(msgspec.Struct, rename="camel"):
    """Fields not named here are dropped unread: a client can never set an address, a header or a key."""

    contents: Annotated[list[Content], Meta(min_length=1, max_length=MESSAGES_MAX)] | Content
    system_instruction: Instruction | None = None
    tools: Annotated[list[_Tool], Meta(max_length=TOOLS_MAX)] | None = None
    tool_config: _ToolConfig | None = None
    generation_config: _Config | None = None
    cached_content: Any = None


class _CountBody(msgspec.Struct, rename="camel"):
    """A question to be counted, or only its contents."""

    generate_content_request: _Body | None = None
    contents: Annotated[list[Content], Meta(min_length=1, max_length=MESSAGES_MAX)] | Content | None = None


_body: Final = msgspec.json.Decoder(_Body)
_count: Final = msgspec.json.Decoder(_CountBody)


class GeminiGenerate:
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
        return GEMINI

    def at(self, model: str, form: Form) -> "GeminiAt":
        """The dialect for one call to one address: which model, and whether and how the answer is streamed."""
        return GeminiAt(model, form)

    def parse(self, body: bytes, headers: Mapping[str, str], *, request_id: str) -> Request:
        """See `Dialect`; without an address the router chooses and the answer is whole."""
        return self.at("", "whole").parse(body, headers, request_id=request_id)

    def parse_count(self, body: bytes, headers: Mapping[str, str], *, request_id: str) -> Request:
        """The request of `countTokens`: what would be answered, or contents only."""
        asked = decode(in_camel_case(body), _count)
        question = asked.generate_content_request
        if question is None:
            require(asked.contents is not None, "contents", "is required.")
            question = _Body(contents=asked.contents or [])
        return _request(question, headers, request_id, "", "whole")

    def render(self, answer: WholeAnswer) -> bytes:
        """See `Dialect`."""
        return self.at("", "whole").render(answer)

    def writer(self, request: Request, *, created_s: int) -> StreamWriter:
        """See `Dialect`."""
        return GeminiWriter(request)

    def render_error(self, error: LegionError, *, is_unknown_caller: bool = False) -> tuple[int, bytes]:
        """See `Dialect`; `is_unknown_caller` turns Denied into 401."""
        return render_error(error, is_unknown_caller=is_unknown_caller)


class GeminiAt:
    """One call and its answer; see `Dialect`. It remembers whether thoughts were asked for."""

    def __init__(self, model: str, form: Form) -> None:
        self._model = model
        self._form: Form = form
        self._shows_thoughts = True

    @property
    def name(self) -> str:
        """See `Dialect`."""
        return NAME

    @property
    def media_type(self) -> str:
        """See `Dialect`."""
        return "application/json" if self._form == "array" else "text/event-stream"

    def parse(self, body: bytes, headers: Mapping[str, str], *, request_id: str) -> Request:
        """See `Dialect`."""
        asked = decode(in_camel_case(body), _body)
        request = _request(asked, headers, request_id, self._model, self._form)
        self._shows_thoughts = request.shows_thoughts
        return request

    def render(self, answer: WholeAnswer) -> bytes:
        """See `Dialect`; raises what an answer that ended in an error failed with."""
        return render_answer(answer, shows_thoughts=self._shows_thoughts)

    def writer(self, request: Request, *, created_s: int) -> StreamWriter:
        """See `Dialect`."""
        return GeminiWriter(request)

    def render_error(self, error: LegionError, *, is_unknown_caller: bool = False) -> tuple[int, bytes]:
        """See `Dialect`."""
        return render_error(error, is_unknown_caller=is_unknown_caller)


def _request(
    asked: _Body, headers: Mapping[str, str], request_id: str, model: str, form: Form
) -> GeminiRequest:
    require(len(model) <= NAME_MAX, "model", f"is longer than {NAME_MAX} characters.")
    require(
        not asked.cached_content, "cachedContent", "contents kept at one provider are not seen by others."
    )
    config = asked.generation_config or _Config()
    thinking = config.thinking_config
    contents = (asked.contents,) if isinstance(asked.contents, Content) else asked.contents
    choice, tools = _chosen(asked, _tools(asked))
    place = conversation(headers)
    return GeminiRequest(
        id=request_id,
        messages=messages_of(contents, has_unseen_history=place is not None),
        system=instruction(asked.system_instruction),
        tools=tools,
        tool_choice=choice,
        params=_params(config),
        stream=form != "whole",
        pins=pins(model, headers),
        conversation_id=place,
        dialect=NAME,
        client=headers.get("user-agent", "")[:200],
        form=form,
        shows_thoughts=bool(thinking and thinking.include_thoughts),
    )


def _params(config: _Config) -> Params:
    where = "generationConfig"
    told = "token probabilities are not the same from every provider."
    require(
        config.candidate_count in (None, 1), f"{where}.candidateCount", "one answer is given for a request."
    )
    require(not config.response_logprobs, f"{where}.responseLogprobs", told)
    require(not config.logprobs, f"{where}.logprobs", told)
    modalities = {word.upper() for word in config.response_modalities or ()}
    require(modalities <= {"TEXT"}, f"{where}.responseModalities", "answers are text.")
    stop = tuple(config.stop_sequences or ())
    require(all(stop), f"{where}.stopSequences", "an empty stop sequence would end every answer.")
    kind = config.response_mime_type or "text/plain"
    known = kind in ("text/plain", "application/json")
    require(known, f"{where}.responseMimeType", f"{kind[:40]!r} is not taken here.")
    schema = config.response_json_schema
    if schema is None and config.response_schema is not None:
        schema = json_schema(config.response_schema)
    thinking = config.thinking_config or _Thinking()
    level = EFFORT_TOKENS.get((thinking.thinking_level or "").lower())
    # Minus one leaves the amount to the model, zero asks for none.
    budget = thinking.thinking_budget if (thinking.thinking_budget or 0) > 0 else None
    return Params(
        max_tokens=config.max_output_tokens,
        temperature=config.temperature,
        top_p=config.top_p,
        top_k=None if config.top_k is None else int(config.top_k),
        seed=config.seed,
        stop=stop,
        frequency_penalty=config.frequency_penalty,
        presence_penalty=config.presence_penalty,
        thinking_budget_tokens=budget or level,
        json_schema=schema,
        json_mode=schema is None and kind == "application/json",
    )


def _tools(asked: _Body) -> tuple[ToolDefinition, ...]:
    """The functions; tools of other types run at one provider only and are dropped."""
    tools = [
        ToolDefinition(
            name=each.name,
            description=each.description or "",
            parameters=each.parameters_json_schema or json_schema(each.parameters or {}),
        )
        for tool in asked.tools or ()
        for each in tool.function_declarations or ()
    ]
    require(len(tools) <= TOOLS_MAX, "tools", f"there are more than {TOOLS_MAX}.")
    require(len({tool.name for tool in tools}) == len(tools), "tools", "two tools have the same name.")
    return tuple(tools)


def _chosen(asked: _Body, tools: tuple[ToolDefinition, ...]) -> tuple[str, tuple[ToolDefinition, ...]]:
    """The canonical choice, and the tools it leaves."""
    calling = (asked.tool_config and asked.tool_config.function_calling_config) or _Calling()
    where = "toolConfig.functionCallingConfig"
    words: dict[str, Literal["auto", "none", "any"]] = {
        "MODE_UNSPECIFIED": "auto",
        "AUTO": "auto",
        "VALIDATED": "auto",
        "NONE": "none",
        "ANY": "any",
    }
    mode = (calling.mode or "AUTO").upper()
    require(mode in words, f"{where}.mode", f"{mode[:40]!r} is no mode.")
    if words[mode] == "none" or not calling.allowed_function_names:
        require(
            words[mode] != "any" or bool(tools), where, "a tool is required but none is given in `tools`."
        )
        return words[mode], tools
    left = tuple(tool for tool in tools if tool.name in calling.allowed_function_names)
    require(bool(left), f"{where}.allowedFunctionNames", "none of them is among `tools`.")
    return words[mode], left
