"""How Gemini's clients write: names in two styles, schemas in capitals, bytes in two alphabets."""

import base64
import binascii
import re
from typing import Any, Final, cast

import msgspec

from legion_core.gateway.dialects.fields import FieldFault, decode
from legion_core.gateway.types import JsonObject

# Protocol buffers read a field under both names; these are the ones that are looked into.
_NAMES: Final = (
    "systemInstruction", "generationConfig", "safetySettings", "toolConfig", "cachedContent", "inlineData", "fileData",
    "mimeType", "fileUri", "functionCall", "functionResponse", "thoughtSignature", "executableCode",
    "codeExecutionResult", "functionDeclarations", "parametersJsonSchema", "functionCallingConfig",
    "allowedFunctionNames", "stopSequences", "maxOutputTokens", "topP", "topK", "presencePenalty", "frequencyPenalty",
    "candidateCount", "responseMimeType", "responseSchema", "responseJsonSchema", "thinkingConfig", "thinkingBudget",
    "thinkingLevel", "includeThoughts", "responseLogprobs", "responseModalities", "generateContentRequest",
)  # fmt: skip
_SNAKE: Final = {re.sub(r"([A-Z])", lambda match: f"_{match[1].lower()}", name): name for name in _NAMES}
_HAS_SNAKE: Final = re.compile(b'"(?:%s)"\\s*:' % "|".join(_SNAKE).encode())
# What a client or a model wrote freely: names in it are nobody's but theirs.
_OPAQUE: Final = frozenset(
    {
        "args",
        "response",
        "parameters",
        "parametersJsonSchema",
        "responseSchema",
        "responseJsonSchema",
        "labels",
    }
)
_any: Final = msgspec.json.Decoder(JsonObject)
_COUNTS: Final = frozenset(
    {"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"}
)
_SCHEMA_NAMES: Final = {
    "any_of": "anyOf", "min_items": "minItems", "max_items": "maxItems", "min_length": "minLength",
    "max_length": "maxLength", "min_properties": "minProperties", "max_properties": "maxProperties",
    "additional_properties": "additionalProperties", "defs": "$defs", "ref": "$ref",
}  # fmt: skip
_DEPTH_MAX: Final = 100


def in_camel_case(body: bytes) -> bytes:
    """The body with its names in one style; FieldFault if that makes two fields one."""
    if _HAS_SNAKE.search(body) is None:
        return body
    return msgspec.json.encode(_renamed(decode(body, _any)))


def _renamed(value: Any) -> Any:
    if isinstance(value, list):
        return [_renamed(each) for each in value]  # pyright: ignore[reportUnknownVariableType]
    if not isinstance(value, dict):
        return value
    renamed: JsonObject = {}
    for key, inner in value.items():  # pyright: ignore[reportUnknownVariableType]
        name = _SNAKE.get(str(key), str(key))  # pyright: ignore[reportUnknownArgumentType]
        if name in renamed:
            raise FieldFault(name, "occurs under both of its names.")
        renamed[name] = inner if name in _OPAQUE else _renamed(inner)
    return renamed


def json_schema(schema: JsonObject) -> JsonObject:
    """A schema of this protocol as JSON Schema: types in small letters, `nullable` as a type, counts as numbers."""
    return _schema(schema, 0)


def _schema(schema: Any, depth: int) -> Any:
    if not isinstance(schema, dict) or depth > _DEPTH_MAX:
        return schema  # pyright: ignore[reportUnknownVariableType]
    out: JsonObject = {}
    told = cast("JsonObject", schema)
    for key, value in told.items():
        name = _SCHEMA_NAMES.get(key, key)
        if name == "type" and isinstance(value, str):
            if value.upper() != "TYPE_UNSPECIFIED":
                out["type"] = value.lower()
        elif name in ("properties", "$defs") and isinstance(value, dict):
            inner = cast("JsonObject", value)
            out[name] = {each: _schema(part, depth + 1) for each, part in inner.items()}
        elif name in ("items", "additionalProperties"):
            out[name] = _schema(value, depth + 1)
        elif name == "anyOf" and isinstance(value, list):
            parts = cast("list[Any]", value)
            out[name] = [_schema(part, depth + 1) for part in parts]
        elif name in _COUNTS and isinstance(value, str) and value.isascii() and value.isdecimal():
            out[name] = int(value[:9])
        elif name not in ("nullable", "propertyOrdering", "property_ordering", "example"):
            out[name] = value
    if told.get("nullable") is True and "type" in out:
        out["type"] = [out["type"], "null"]
    return out


def standard_base64(data: str) -> str:
    """Base64 in its usual alphabet and length, whichever the client used."""
    data = data.replace("-", "+").replace("_", "/").rstrip("=")
    return data + "=" * (-len(data) % 4)


def from_base64(data: str) -> str:
    """The text in base64 of either alphabet; empty if there is none."""
    try:
        return base64.b64decode(standard_base64(data), validate=True).decode()
    except (binascii.Error, ValueError):
        return ""
