"""What the description says of the dialects: their own bodies, media types of streams, statuses and error shapes.

The dialects parse and refuse by themselves (`gateway/dialects`), so what stands here is for readers and their tools.
A field that is not named is taken and dropped; what is refused is written in the tables of `docs/streams.md`.
"""

from dataclasses import dataclass
from typing import Any, Final

from legion_core.surfaces.rest.calls import Operation

Schema = dict[str, Any]

EVENT_STREAM: Final = "text/event-stream"
LINES: Final = "application/x-ndjson"

_ERROR: Final = {"$ref": "#/components/schemas/Error"}
_TEXT: Final[Schema] = {"type": "string"}
_MODEL: Final[Schema] = {"type": "string", "description": "`auto` or empty lets the router choose."}
_PARTS: Final[Schema] = {"type": "array", "items": {"type": "object"}, "minItems": 1}
_STREAM: Final[Schema] = {"type": ["boolean", "null"]}
_TOKENS: Final[Schema] = {"type": ["integer", "null"], "minimum": 1}
_UNREAD: Final[Schema] = {"description": "As Ollama has it; looked at where a question is asked."}
_SYSTEM: Final[Schema] = {"type": ["string", "null"]}
_TOOLS: Final[Schema] = {"type": ["array", "null"], "items": {"type": "object"}}


def _object(required: tuple[str, ...], **properties: Schema) -> Schema:
    return {"type": "object", "required": list(required), "properties": properties}


def _messages(*roles: str, least: int = 1) -> Schema:
    message = _object(("role",), role={"type": "string", "enum": list(roles)})
    return {"type": "array", "minItems": least, "items": message}


_CONTENT: Final[Schema] = _object(
    ("parts",), role={"type": ["string", "null"], "enum": ["user", "model", "function", None]}, parts=_PARTS
)
_CONTENTS: Final[Schema] = {"anyOf": [{"type": "array", "minItems": 1, "items": _CONTENT}, _CONTENT]}
_ANTHROPIC: Final[dict[str, Schema]] = {
    "model": _MODEL,
    "messages": _messages("user", "assistant", "system"),
    "system": {"anyOf": [_SYSTEM, {"type": "array", "items": {"type": "object"}}]},
    "tools": _TOOLS,
}

BODIES: Final[dict[str, Schema]] = {
    "openai_chat_completions": _object(
        ("messages",),
        model=_MODEL,
        messages=_messages("system", "developer", "user", "assistant", "tool"),
        stream=_STREAM,
        max_completion_tokens=_TOKENS,
        temperature={"type": ["number", "null"], "minimum": 0, "maximum": 2},
        tools=_TOOLS,
    ),
    "openai_completions": _object(
        ("prompt",),
        model=_MODEL,
        prompt={
            "anyOf": [
                {"type": "string", "minLength": 1},
                {"type": "array", "minItems": 1, "maxItems": 1, "items": {"type": "string", "minLength": 1}},
            ]
        },
        suffix=_SYSTEM,
        stream=_STREAM,
        max_tokens=_TOKENS,
        temperature={"type": ["number", "null"], "minimum": 0, "maximum": 2},
    ),
    "openai_responses": _object(
        ("input",),
        model=_MODEL,
        input={"anyOf": [{"type": "string", "minLength": 1}, _PARTS]},
        instructions=_SYSTEM,
        stream=_STREAM,
        max_output_tokens=_TOKENS,
        tools=_TOOLS,
    ),
    "openai_count_input_tokens": _object(
        ("input",),
        model=_MODEL,
        input={"anyOf": [{"type": "string"}, _PARTS]},
        instructions=_SYSTEM,
        tools=_TOOLS,
    ),
    "anthropic_messages": _object(
        ("messages", "max_tokens"), **_ANTHROPIC, max_tokens=_TOKENS, stream=_STREAM
    ),
    "anthropic_count_tokens": _object(("messages",), **_ANTHROPIC),
    # Without messages or a prompt the call only wakes the model, and nothing else of it is read.
    "ollama_chat": _object(
        (),
        model=_MODEL,
        messages={"anyOf": [_messages("system", "user", "assistant", "tool", least=0), {"type": "null"}]},
        stream=_UNREAD,
    ),
    "ollama_generate": _object((), model=_MODEL, prompt=_SYSTEM, system=_UNREAD, stream=_UNREAD),
    "GenerateContent": _object(
        ("contents",),
        contents=_CONTENTS,
        tools=_TOOLS,
        generationConfig={"type": ["object", "null"]},
    ),
    "CountTokens": _object(
        (),
        contents={"anyOf": [*_CONTENTS["anyOf"], {"type": "null"}]},
        generateContentRequest={"anyOf": [_object(("contents",), contents=_CONTENTS), {"type": "null"}]},
    ),
}  # fmt: skip

ERRORS: Final[dict[str, Schema]] = {
    "OpenAIError": _object(
        ("error",),
        error=_object(
            ("message", "type"),
            message=_TEXT,
            type=_TEXT,
            param={"type": ["string", "null"]},
            code={"type": ["string", "null"]},
        ),
    ),
    "AnthropicError": _object(
        ("type", "error"),
        type={"const": "error"},
        error=_object(("type", "message"), type=_TEXT, message=_TEXT),
    ),
    "JsonRpcError": _object(
        ("jsonrpc", "error"),
        jsonrpc={"const": "2.0"},
        error=_object(("code", "message"), code={"type": "integer"}, message=_TEXT),
    ),
    "OllamaError": _object(("error",), error=_TEXT),
    "GeminiError": _object(
        ("error",),
        error=_object(("code", "message", "status"), code={"type": "integer"}, message=_TEXT, status=_TEXT),
    ),
}


@dataclass(frozen=True, slots=True)
class Shape:
    """How the description of one operation differs: `error` is the schema of all its errors."""

    error: Schema
    body: Schema | None = None
    streams: tuple[str, ...] = ()
    statuses: tuple[str, ...] = ()
    error_kinds: tuple[str, ...] = ("application/json",)


OWN: Final = Shape(_ERROR)


def shape_of(operation: Operation) -> Shape:
    """The dialect an operation speaks, by its path; `OWN` for what is ours."""
    path = operation.path
    if path.startswith(("/api/v1/", "/hooks/")):
        return OWN
    method = path.rpartition(":")[2] if "/models/{" in path else ""
    question = method.removeprefix("stream")
    body = BODIES.get(operation.name) or BODIES.get(question[:1].upper() + question[1:])
    if path == "/mcp":
        return Shape(
            _either("JsonRpcError"),
            error_kinds=("application/json", "text/plain", "application/octet-stream"),
        )
    if path.startswith("/api/"):
        is_stream = operation.name in ("ollama_chat", "ollama_generate", "ollama_pull")
        return Shape(_either("OllamaError"), body, (LINES,) if is_stream else ())
    if path.startswith("/v1/messages"):
        streams = (EVENT_STREAM,) if operation.name == "anthropic_messages" else ()
        return Shape(_either("AnthropicError"), body, streams, ("529",))
    if "/models/{" in path or path.startswith("/v1beta/"):
        streams = (EVENT_STREAM,) if method == "streamGenerateContent" else ()
        return Shape(_either("GeminiError", "OpenAIError", "AnthropicError"), body, streams)
    if path.startswith("/v1/"):
        is_stream = operation.name in ("openai_chat_completions", "openai_completions", "openai_responses")
        return Shape(_either("OpenAIError", "AnthropicError"), body, (EVENT_STREAM,) if is_stream else ())
    return OWN


def _either(*names: str) -> Schema:
    """The dialect's own shape; what is refused at the door has ours."""
    return {"anyOf": [*({"$ref": f"#/components/schemas/{name}"} for name in names), _ERROR]}
