"""The Bedrock Converse wire, from our side: a request's body. Pure.

One shape for the models of many makers; what only one maker's models take goes into `additionalModelRequestFields`.
What streams back is `bedrock_wire`.
"""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from legion_core.gateway.providers.anthropic_wire import JSON_MODE, OUTPUT_TOKENS, REDACTED, THINKING_MIN
from legion_core.gateway.providers.ranges import check_ranges
from legion_core.gateway.providers.raw import refuse_raw
from legion_core.gateway.providers.toolnames import ToolNames
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
    ToolResultBlock,
    ToolUseBlock,
)
from legion_core.kernel.errors import Unsupported

NOTHING_SAID: Final = "(no output)"  # the wire refuses a result without words
_REGION = re.compile(r"^(?:us-gov|us|eu|apac|jp|au|ca|sa|me|af|il|global)\.")
_UNCACHED = re.compile(
    r"anthropic\.claude-(?:v2|instant|3-haiku|3-sonnet|3-opus|3-5-sonnet-20240620)", re.IGNORECASE
)
_NO_NAME: Final = re.compile(r"[^A-Za-z0-9 \-()\[\]]+")
NAME_MAX: Final = 150
_IMAGE_TYPES: Final = {"image/png": "png", "image/jpeg": "jpeg", "image/gif": "gif", "image/webp": "webp"}


class _S3(msgspec.Struct):
    uri: str


class _Source(msgspec.Struct, rename="camel", omit_defaults=True):
    bytes: str | None = None
    s3_location: _S3 | None = None


class _Image(msgspec.Struct):
    format: str
    source: _Source


class _Document(msgspec.Struct):
    format: str
    name: str
    source: _Source


class _ToolUse(msgspec.Struct, rename="camel"):
    tool_use_id: str
    name: str
    input: msgspec.Raw


class _Text(msgspec.Struct):
    text: str


class _ToolResult(msgspec.Struct, rename="camel", omit_defaults=True):
    tool_use_id: str
    content: list[_Text]
    status: str = ""


class _ReasoningText(msgspec.Struct):
    text: str
    signature: str


class _Reasoning(msgspec.Struct, rename="camel", omit_defaults=True):
    reasoning_text: _ReasoningText | None = None
    redacted_content: str | None = None


class _CachePoint(msgspec.Struct):
    type: str = "default"


class _Part(msgspec.Struct, rename="camel", omit_defaults=True):
    text: str | None = None
    image: _Image | None = None
    document: _Document | None = None
    tool_use: _ToolUse | None = None
    tool_result: _ToolResult | None = None
    reasoning_content: _Reasoning | None = None
    cache_point: _CachePoint | None = None


class _Message(msgspec.Struct):
    role: str
    content: list[_Part]


class _Schema(msgspec.Struct):
    json: JsonObject


class _ToolSpec(msgspec.Struct, rename="camel", omit_defaults=True):
    name: str
    input_schema: _Schema
    description: str = ""


class _Tool(msgspec.Struct, rename="camel", omit_defaults=True):
    tool_spec: _ToolSpec | None = None
    cache_point: _CachePoint | None = None


class _Empty(msgspec.Struct):
    pass


class _Named(msgspec.Struct):
    name: str


class _Choice(msgspec.Struct, omit_defaults=True):
    any: _Empty | None = None
    tool: _Named | None = None


class _ToolConfig(msgspec.Struct, rename="camel", omit_defaults=True):
    tools: list[_Tool]
    tool_choice: _Choice | None = None


class _Inference(msgspec.Struct, rename="camel", omit_defaults=True):
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop_sequences: list[str] | None = None


class _ThinkingConfig(msgspec.Struct):
    budget_tokens: int
    type: str = "enabled"


class _More(msgspec.Struct, omit_defaults=True):
    """What only Anthropic's models take, by their own names."""

    thinking: _ThinkingConfig | None = None
    top_k: int | None = None


class _JsonSchema(msgspec.Struct):
    schema: str
    name: str = "answer"


class _Structure(msgspec.Struct, rename="camel"):
    json_schema: _JsonSchema


class _TextFormat(msgspec.Struct):
    structure: _Structure
    type: str = "json_schema"


class _OutputConfig(msgspec.Struct, rename="camel"):
    text_format: _TextFormat


class _Body(msgspec.Struct, rename="camel", omit_defaults=True):
    """Everything this wire ever sends: what is not a field here cannot reach a provider."""

    messages: list[_Message]
    system: list[_Part] | None = None
    inference_config: _Inference | None = None
    tool_config: _ToolConfig | None = None
    additional_model_request_fields: _More | None = None
    output_config: _OutputConfig | None = None


def canonical(model: str) -> str:
    """A model's name without the group of regions in front: `us.amazon.nova-pro-v1:0` is `amazon.nova-pro-v1:0`."""
    return _REGION.sub("", model)


def body_of(request: Request, model: str, who: str, names: ToolNames, *, prefix: str = "") -> bytes:
    """The JSON of `POST /model/{model}/converse-stream`; `who` is this instance: what any other signed is left out.

    `prefix` becomes a last assistant message to be continued, without the white space at its end.
    """
    params = request.params
    check_ranges(params)
    refuse_raw(request)
    maker = canonical(model)
    is_claude = maker.startswith("anthropic.")
    thinking = _thinking(params, is_claude=is_claude)
    can_cache = (is_claude and not _UNCACHED.match(maker)) or maker.startswith("amazon.nova")
    is_cached = can_cache and (len(request.messages) > 1 or bool(request.tools))
    system = [_Part(text=text) for text in request.system if text.strip()]
    if params.json_mode and params.json_schema is None:
        system.append(_Part(text=JSON_MODE))
    if system and is_cached:
        system.append(_Part(cache_point=_CachePoint()))
    more = _More(thinking=thinking, top_k=params.top_k if is_claude and not thinking else None)
    body = _Body(
        messages=_messages(request, who, names, prefix=prefix, is_cached=is_cached),
        system=system or None,
        inference_config=_inference(params, thinking, is_claude=is_claude),
        # Nova takes no mark among its tools.
        tool_config=_tool_config(request, names, is_cached=is_cached and is_claude),
        additional_model_request_fields=None if more == _More() else more,
        output_config=_output_config(params),
    )
    return msgspec.json.encode(body)


def _messages(
    request: Request, who: str, names: ToolNames, *, prefix: str, is_cached: bool
) -> list[_Message]:
    """Roles alternate on this wire and no message is empty. The conversation so far is marked as worth keeping."""
    messages = list[_Message]()
    for message in request.messages:
        _append(messages, "assistant" if message.role == "assistant" else "user", _parts(message, who, names))
    _set_documents_apart(messages)
    if is_cached and messages and messages[-1].role == "user":
        messages[-1].content.append(_Part(cache_point=_CachePoint()))
    if prefix.rstrip():
        _append(messages, "assistant", [_Part(text=prefix)])
    last = messages[-1] if messages else None
    if last is not None and last.role == "assistant" and (text := last.content[-1].text) is not None:
        last.content[-1] = _Part(text=text.rstrip())
    return messages


def _append(messages: list[_Message], role: str, parts: list[_Part]) -> None:
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
            return _Part(text=block.text) if block.text.strip() else None  # the wire refuses blank texts
        case ImageBlock():
            return _Part(image=_image(block))
        case DocumentBlock():
            return _Part(document=_document(block))
        case ThinkingBlock():
            if block.origin != who or not block.signature:
                return None
            if block.signature.startswith(REDACTED):
                return _Part(
                    reasoning_content=_Reasoning(redacted_content=block.signature.removeprefix(REDACTED))
                )
            text = _ReasoningText(text=block.text, signature=block.signature)
            return _Part(reasoning_content=_Reasoning(reasoning_text=text))
        case ToolUseBlock():
            use = _ToolUse(tool_use_id=block.id, name=names.sent(block.name), input=_object(block))
            return _Part(tool_use=use)
        case ToolResultBlock():
            return _Part(
                tool_result=_ToolResult(
                    tool_use_id=block.call_id,
                    content=[_Text(block.text if block.text.strip() else NOTHING_SAID)],
                    status="error" if block.is_error else "",
                )
            )


def _image(block: ImageBlock) -> _Image:
    if block.url:
        kind = block.url.rpartition(".")[2].lower().replace("jpg", "jpeg")
        if not block.url.startswith("s3://") or kind not in _IMAGE_TYPES.values():
            raise Unsupported(
                "This provider takes pictures inline or from S3 only, not by URL.", capability="vision"
            )
        return _Image(format=kind, source=_Source(s3_location=_S3(block.url)))
    if block.media_type not in _IMAGE_TYPES:
        raise Unsupported(f"This provider takes no {block.media_type!r} pictures.", capability="vision")
    return _Image(format=_IMAGE_TYPES[block.media_type], source=_Source(bytes=block.data))


def _document(block: DocumentBlock) -> _Document:
    if block.url and not block.url.startswith("s3://"):
        raise Unsupported(
            "This provider takes documents inline or from S3 only, not by URL.", capability="documents"
        )
    source = _Source(s3_location=_S3(block.url)) if block.url else _Source(bytes=block.data)
    return _Document(format="pdf", name=_plain_name(block.name), source=source)


def _plain_name(name: str) -> str:
    """Letters, digits, single spaces, hyphens and brackets are all that a name may hold here."""
    return " ".join(_NO_NAME.sub(" ", name).split())[:NAME_MAX] or "document"


def _set_documents_apart(messages: list[_Message]) -> None:
    """Each document has a name of its own, and stands beside some words."""
    names = set[str]()
    for message in messages:
        documents = [part.document for part in message.content if part.document is not None]
        for document in documents:
            name, count = document.name, 1
            while document.name in names:
                count += 1
                document.name = f"{name} ({count})"
            names.add(document.name)
        if documents and not any(part.text for part in message.content):
            message.content.append(_Part(text=", ".join(document.name for document in documents)))


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


def _thinking(params: Params, *, is_claude: bool) -> _ThinkingConfig | None:
    budget = params.thinking_budget_tokens
    if not budget:
        return None
    if not is_claude:
        raise Unsupported(
            "On this provider only Anthropic's models can be asked to think.", capability="thinking"
        )
    budget = max(budget, THINKING_MIN)
    if params.max_tokens is not None and budget >= params.max_tokens:
        raise Unsupported(
            f"Thinking for {budget} tokens does not fit into max_tokens {params.max_tokens}.",
            capability="thinking",
        )
    return _ThinkingConfig(budget_tokens=budget)


def _inference(params: Params, thinking: _ThinkingConfig | None, *, is_claude: bool) -> _Inference | None:
    room = params.max_tokens
    if room is None and is_claude:  # whose own default here is short
        room = OUTPUT_TOKENS + (thinking.budget_tokens if thinking else 0)
    config = _Inference(
        max_tokens=room,
        # The wire's range ends at 1, and thinking takes no other temperature than its own.
        temperature=min(params.temperature, 1.0) if params.temperature is not None and not thinking else None,
        top_p=params.top_p,
        stop_sequences=[text for text in params.stop if text.strip()] or None,
    )
    return None if config == _Inference() else config


def _tool_config(request: Request, names: ToolNames, *, is_cached: bool) -> _ToolConfig | None:
    """The wire knows no "no tool", and wants tools told wherever an earlier turn used one."""
    used = dict.fromkeys(_used(request))
    if request.tool_choice == "none" and request.tools:
        if used:
            raise Unsupported("This provider cannot be kept from calling a tool.", capability="tool_choice")
        return None
    told = {tool.name for tool in request.tools}
    tools = [
        _Tool(
            tool_spec=_ToolSpec(
                name=names.sent(tool.name),
                description=tool.description.strip() and tool.description,
                # The wire wants every schema to say that it is an object.
                input_schema=_Schema({"type": "object", **tool.parameters}),
            )
        )
        for tool in request.tools
    ]
    tools += [
        _Tool(tool_spec=_ToolSpec(name=names.sent(name), input_schema=_Schema({"type": "object"})))
        for name in used
        if name not in told
    ]
    if not tools:
        return None
    if is_cached:
        tools.append(_Tool(cache_point=_CachePoint()))
    return _ToolConfig(tools=tools, tool_choice=_tool_choice(request, names))


def _used(request: Request) -> Iterator[str]:
    for message in request.messages:
        for block in message.content:
            if isinstance(block, ToolUseBlock):
                yield block.name


def _tool_choice(request: Request, names: ToolNames) -> _Choice | None:
    if not request.tools or request.tool_choice == "auto":
        return None
    if request.tool_choice == "any":
        return _Choice(any=_Empty())
    return _Choice(tool=_Named(names.sent(request.tool_choice)))


def _output_config(params: Params) -> _OutputConfig | None:
    if params.json_schema is None:
        return None
    schema = _JsonSchema(msgspec.json.encode(params.json_schema).decode())
    return _OutputConfig(_TextFormat(_Structure(schema)))
