"""The Gemini wire, from our side: a request's body, and the meaning of streamed chunks. Pure.

Spoken by the Generative Language API and by Vertex, which differ in address and key only. The wire has no id for a
call of its older models, so ids are made here; and it signs parts of an answer, which newer models want back.
"""

import mimetypes
import re
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from legion_core.gateway.providers.estimate import estimated_usage
from legion_core.gateway.providers.ranges import believed, check_ranges
from legion_core.gateway.providers.raw import refuse_raw
from legion_core.gateway.providers.refusal import in_band, quote
from legion_core.gateway.providers.sse import SseEvent
from legion_core.gateway.providers.toolnames import ToolNames
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
    ThinkingBlock,
    ThinkingDelta,
    ToolCallDelta,
    ToolResultBlock,
    ToolUseBlock,
    Usage,
)
from legion_core.kernel.errors import Filtered, Malformed, Unsupported

TOOL_NAME_MAX: Final = 64
STOPS_MAX: Final = 5
CALLS_MAX: Final = 128  # tool calls in one answer
SEED_MAX: Final = 2**31 - 1  # the wire's seed has 32 bits
LOW_BUDGET_TOKENS: Final = 1024  # up to here an effort is low; source: seed
# What a newer model accepts in place of a signature for a call that another provider made. Source: provider doc.
UNSIGNED: Final = "skip_thought_signature_validator"
TEXT: Final = "t"  # marks, in a canonical signature, the one of the text; a number marks that of a call
STOP: Final[dict[str, StopReason]] = {
    "STOP": "end_turn",
    "MAX_TOKENS": "max_tokens",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "LANGUAGE": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "MODEL_ARMOR": "content_filter",
}
NO_CALL: Final = frozenset({"MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS"})
_GENERATION = re.compile(r"gemini-(\d+)")


class _Blob(msgspec.Struct, rename="camel"):
    mime_type: str
    data: str


class _File(msgspec.Struct, rename="camel"):
    mime_type: str
    file_uri: str


class _Call(msgspec.Struct, omit_defaults=True):
    name: str
    args: msgspec.Raw
    id: str = ""


class _Said(msgspec.Struct, omit_defaults=True):
    output: str | None = None
    error: str | None = None


class _Result(msgspec.Struct, omit_defaults=True):
    name: str
    response: _Said
    id: str = ""


class _Part(msgspec.Struct, rename="camel", omit_defaults=True):
    text: str | None = None
    inline_data: _Blob | None = None
    file_data: _File | None = None
    function_call: _Call | None = None
    function_response: _Result | None = None
    thought_signature: str = ""


class _Content(msgspec.Struct, omit_defaults=True):
    parts: list[_Part]
    role: str = ""


class _Function(msgspec.Struct, rename="camel", omit_defaults=True):
    name: str
    description: str = ""
    parameters_json_schema: JsonObject | None = None


class _Tool(msgspec.Struct, rename="camel"):
    function_declarations: list[_Function]


class _Calling(msgspec.Struct, rename="camel", omit_defaults=True):
    mode: str
    allowed_function_names: list[str] | None = None


class _ToolConfig(msgspec.Struct, rename="camel"):
    function_calling_config: _Calling


class _Thinking(msgspec.Struct, rename="camel", omit_defaults=True):
    include_thoughts: bool | None = None
    thinking_budget: int | None = None
    thinking_level: str | None = None


class _Generation(msgspec.Struct, rename="camel", omit_defaults=True):
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    stop_sequences: list[str] | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    response_mime_type: str | None = None
    response_json_schema: JsonObject | None = None
    thinking_config: _Thinking | None = None


class _Body(msgspec.Struct, rename="camel", omit_defaults=True):
    """Everything this wire ever sends: what is not a field here cannot reach a provider."""

    contents: list[_Content]
    system_instruction: _Content | None = None
    tools: list[_Tool] | None = None
    tool_config: _ToolConfig | None = None
    generation_config: _Generation | None = None


def body_of(request: Request, model: str, who: str, names: ToolNames, *, prefix: str = "") -> bytes:
    """The JSON of `POST …:streamGenerateContent`; `who` is this instance: what any other signed is left out.

    `prefix` becomes a last turn of the model, which is continued.
    """
    params = request.params
    check_ranges(params)
    refuse_raw(request)
    if len(params.stop) > STOPS_MAX:
        raise Unsupported(
            f"This provider takes {STOPS_MAX} stop sequences, not {len(params.stop)}.", capability="stop"
        )
    needs_signature = _generation(model) >= 3
    tool_of = _tools_by_call(request)
    contents = list[_Content]()
    last = ""
    for message in request.messages:
        parts = _parts(message, who, names, tool_of, needs_signature=needs_signature)
        # The results of one turn's calls belong into one content, whatever the dialect made of them.
        if contents and message.role == last:
            contents[-1].parts.extend(parts)
        elif parts:
            contents.append(_Content(role="model" if message.role == "assistant" else "user", parts=parts))
            last = message.role
    if prefix:
        if last == "assistant":
            contents[-1].parts.append(_Part(text=prefix))
        else:
            contents.append(_Content(role="model", parts=[_Part(text=prefix)]))
    body = _Body(
        contents=contents,
        system_instruction=_Content(parts=[_Part(text=text) for text in request.system])
        if request.system
        else None,
        tools=_tools(request, names),
        tool_config=_tool_config(request, names),
        generation_config=_generation_config(params, model),
    )
    return msgspec.json.encode(body)


def _generation(model: str) -> int:
    """The number in a model's name; 0 for another family."""
    found = _GENERATION.search(model)
    return int(found[1][:4]) if found else 0


def _tools_by_call(request: Request) -> dict[str, str]:
    return {
        block.id: block.name
        for message in request.messages
        for block in message.content
        if isinstance(block, ToolUseBlock)
    }


def _parts(
    message: Message, who: str, names: ToolNames, tool_of: dict[str, str], *, needs_signature: bool
) -> list[_Part]:
    parts = list[_Part]()
    signatures = _signatures(message, who)
    calls = 0
    for block in message.content:
        match block:
            case TextBlock():
                if block.text:
                    parts.append(_Part(text=block.text))
            case ImageBlock():
                parts.append(_image(block))
            case DocumentBlock():
                parts.append(_document(block))
            case ThinkingBlock():
                pass  # its signature goes with the part it signs; the words themselves are not asked for
            case ToolUseBlock():
                signature = signatures.get(str(calls), "")
                # Of several calls in one turn only the first is signed.
                if not signature and not calls and needs_signature:
                    signature = UNSIGNED
                call = _Call(id=block.id, name=names.sent(block.name), args=_object(block))
                parts.append(_Part(function_call=call, thought_signature=signature))
                calls += 1
            case ToolResultBlock():
                said = _Said(error=block.text) if block.is_error else _Said(output=block.text)
                name = names.sent(tool_of.get(block.call_id, block.call_id or "unknown"))
                parts.append(_Part(function_response=_Result(id=block.call_id, name=name, response=said)))
    if (signature := signatures.get(TEXT)) and (
        text := next((part for part in reversed(parts) if part.text is not None), None)
    ):
        text.thought_signature = signature
    return parts


def _signatures(message: Message, who: str) -> dict[str, str]:
    """What this instance signed in its own answer, by the part it belongs to; see `ChunkReader`."""
    found = dict[str, str]()
    for block in message.content:
        if isinstance(block, ThinkingBlock) and block.origin == who:
            for entry in block.signature.split(";"):
                at, _, signature = entry.partition("=")
                if signature:
                    found[at] = signature
    return found


def _image(block: ImageBlock) -> _Part:
    if not block.url:
        return _Part(inline_data=_Blob(mime_type=block.media_type, data=block.data))
    kind = block.media_type or mimetypes.guess_type(urlsplit(block.url).path)[0]
    if not kind:
        raise Unsupported(
            "This provider takes a picture by URL only where its name tells its type.", capability="vision"
        )
    return _Part(file_data=_File(mime_type=kind, file_uri=block.url))


def _document(block: DocumentBlock) -> _Part:
    if block.url:
        return _Part(file_data=_File(mime_type="application/pdf", file_uri=block.url))
    return _Part(inline_data=_Blob(mime_type="application/pdf", data=block.data))


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


def _tools(request: Request, names: ToolNames) -> list[_Tool] | None:
    # `parametersJsonSchema` takes JSON Schema as it is; the older `parameters` refuses most of its words.
    functions = [
        _Function(
            name=names.sent(tool.name),
            description=tool.description,
            parameters_json_schema=tool.parameters or None,
        )
        for tool in request.tools
    ]
    return [_Tool(function_declarations=functions)] if functions else None


def _tool_config(request: Request, names: ToolNames) -> _ToolConfig | None:
    if not request.tools or request.tool_choice == "auto":
        return None
    if request.tool_choice == "none":
        return _ToolConfig(_Calling(mode="NONE"))
    named = None if request.tool_choice == "any" else [names.sent(request.tool_choice)]
    return _ToolConfig(_Calling(mode="ANY", allowed_function_names=named))


def _generation_config(params: Params, model: str) -> _Generation | None:
    is_json = params.json_mode or params.json_schema is not None
    config = _Generation(
        max_output_tokens=params.max_tokens,
        temperature=params.temperature,
        top_p=params.top_p,
        top_k=params.top_k,
        seed=None if params.seed is None else params.seed & SEED_MAX,
        stop_sequences=list(params.stop) or None,
        presence_penalty=params.presence_penalty,
        frequency_penalty=params.frequency_penalty,
        response_mime_type="application/json" if is_json else None,
        response_json_schema=params.json_schema,
        thinking_config=_thinking(params.thinking_budget_tokens, model),
    )
    return None if config == _Generation() else config


def _thinking(budget: int | None, model: str) -> _Thinking | None:
    """Newer models take a level instead of a number of tokens, and cannot be told not to think."""
    if budget is None:
        return None
    if _generation(model) >= 3:
        return _Thinking(
            include_thoughts=True, thinking_level="low" if budget <= LOW_BUDGET_TOKENS else "high"
        )
    return _Thinking(include_thoughts=True if budget else None, thinking_budget=budget)


class _FunctionPart(msgspec.Struct):
    name: str = ""
    args: JsonObject | None = None
    id: str = ""


class _AnswerPart(msgspec.Struct, rename="camel"):
    text: str = ""
    thought: bool = False
    thought_signature: str = ""
    function_call: _FunctionPart | None = None


class _AnswerContent(msgspec.Struct):
    parts: list[_AnswerPart] | None = None


class _Candidate(msgspec.Struct, rename="camel"):
    content: _AnswerContent | None = None
    finish_reason: str | None = None
    finish_message: str | None = None
    index: int = 0


class _Feedback(msgspec.Struct, rename="camel"):
    block_reason: str | None = None
    block_reason_message: str | None = None


class _Counts(msgspec.Struct, rename="camel"):
    prompt_token_count: int | None = None
    candidates_token_count: int | None = None
    cached_content_token_count: int | None = None
    thoughts_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None

    def canonical(self) -> Usage | None:
        """Cached tokens are part of the wire's prompt and apart in ours; thoughts are apart there and part here.

        None if the counts cannot be.
        """
        cached, thoughts = self.cached_content_token_count or 0, self.thoughts_token_count or 0
        prompt = (self.prompt_token_count or 0) + (self.tool_use_prompt_token_count or 0)
        told = Usage(
            input_tokens=prompt - min(cached, max(0, prompt)),
            output_tokens=(self.candidates_token_count or 0) + thoughts,
            cache_read_tokens=cached,
            thinking_tokens=thoughts,
        )
        return believed(told)


class _Chunk(msgspec.Struct, rename="camel"):
    candidates: list[_Candidate] | None = None
    prompt_feedback: _Feedback | None = None
    usage_metadata: _Counts | None = None
    error: Any = None


_decoder = msgspec.json.Decoder(_Chunk)


class ChunkReader:
    """The meaning of one stream's events; see `wire.Reader`.

    This wire has no last event: the answer is whole if the stream ends behind a finish reason. A part's signature goes
    out as `N=SIGNATURE;`, N being the call's number or `t` for text, so that several joined can be told apart.
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
        self._calls = 0

    def read(self, event: SseEvent) -> Sequence[Chunk]:
        """See `wire.Reader`."""
        try:
            chunk = _decoder.decode(event.data)
        except (msgspec.MsgspecError, RecursionError) as error:
            if event.event not in ("", "message"):
                return ()
            raise Malformed(f"{self._who} sent a chunk that is not of its protocol: {error}.") from error
        if chunk.error:
            raise in_band(chunk.error, who=self._who, secrets=self._secrets)
        if (feedback := chunk.prompt_feedback) is not None and feedback.block_reason:
            said = quote(feedback.block_reason_message or feedback.block_reason, self._secrets)
            raise Filtered(f"{self._who} does not answer this: {said}")
        if chunk.usage_metadata is not None:
            self._usage = chunk.usage_metadata.canonical()
        out = list[Chunk]()
        for candidate in chunk.candidates or ():
            if candidate.index == 0:
                self._candidate(candidate, out)
        return out

    def at_end(self) -> Finished | None:
        """See `wire.Reader`: complete if a finish reason was given."""
        if self._finish is None:
            return None
        usage = self._usage or estimated_usage(self._request, prefix=self._prefix, output_chars=self._chars)
        stop = STOP.get(self._finish, "end_turn")
        if stop == "end_turn" and self._calls:
            stop = "tool_use"  # the wire has no word for it
        return Finished(stop_reason=stop, usage=usage)

    def so_far(self) -> Usage | None:
        """See `wire.Reader`: every chunk brings the counts up to itself."""
        return self._usage

    def _candidate(self, candidate: _Candidate, out: list[Chunk]) -> None:
        for part in (candidate.content and candidate.content.parts) or ():
            self._part(part, out)
        if (reason := candidate.finish_reason) in NO_CALL:
            said = quote(candidate.finish_message or str(reason), self._secrets)
            raise Malformed(f"{self._who} made a tool call that is none: {said}")
        if reason and reason != "FINISH_REASON_UNSPECIFIED":
            self._finish = reason

    def _part(self, part: _AnswerPart, out: list[Chunk]) -> None:
        self._chars += len(part.text)
        if part.function_call is not None:
            if part.thought_signature:
                out.append(ThinkingDelta(text="", signature=f"{self._calls}={part.thought_signature};"))
            out.append(self._call(part.function_call))
        elif part.thought:
            if part.text:
                out.append(ThinkingDelta(text=part.text))
        else:
            if part.text:
                out.append(TextDelta(text=part.text))
            if part.thought_signature:
                out.append(ThinkingDelta(text="", signature=f"{TEXT}={part.thought_signature};"))

    def _call(self, call: _FunctionPart) -> ToolCallDelta:
        """This wire gives a call whole, and by older models without an id."""
        index = self._calls
        self._calls += 1
        if index >= CALLS_MAX:
            raise Malformed(f"{self._who} made more than {CALLS_MAX} tool calls in one answer.")
        arguments = msgspec.json.encode(call.args or {}).decode()
        self._chars += len(call.name) + len(arguments)
        return ToolCallDelta(
            index=index,
            id=call.id or f"call_{self._request.id}_{index}",
            name=self._names.original(call.name),
            arguments=arguments,
        )
