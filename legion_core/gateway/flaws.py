"""Pure look at a whole answer: whether anything about it shows that it was no good.

Only what is certain counts: a form that was asked for and not kept to, a call that nobody can make, no answer at all.
Whether what it says is right, nobody here can know. A schema is read as far as it is understood; what is not, is kept.
"""

from collections.abc import Sequence
from typing import Final, cast

import msgspec

from legion_core.gateway.reading import Given
from legion_core.gateway.types import JsonObject, Request, StopReason, ToolCallDelta

EMPTY: Final = "it was empty"
NO_CALL: Final = "it called no tool, though one was demanded"
OTHER_TOOL: Final = "it called a tool that was not offered"
ARGUMENTS: Final = "what it gave a tool does not fit"
NO_JSON: Final = "it was not JSON"
MISFIT: Final = "it did not fit its schema"
CHARS_MAX = 200_000  # a longer answer is not read once more
SHORT_CHARS = 64  # a longer one is not looked at for being blank
DEPTH_MAX = 16
_WHOLE: Final = ("end_turn", "tool_use", "stop_sequence")
_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "number": (int, float),
    "integer": (int, float),
    "boolean": bool,
    "null": type(None),
}


def flaw_of(request: Request, given: Given, stop_reason: StopReason) -> str | None:
    """What was wrong with the answer, in words; empty if nothing shows, None where that cannot be said.

    An answer that was cut, filtered or stopped says nothing.
    """
    calls = given.calls
    if stop_reason not in _WHOLE or given.chars + sum(len(call.arguments) for call in calls) > CHARS_MAX:
        return None
    if calls:
        return _of_calls(request, calls)
    if request.tools and request.tool_choice not in ("auto", "none"):
        return NO_CALL
    if given.chars < SHORT_CHARS and not given.text.strip():
        return "" if stop_reason == "stop_sequence" else EMPTY
    params = request.params
    if params.json_schema is None and not params.json_mode:
        return ""
    value = _json(given.text)
    if value is _NOTHING:
        return NO_JSON
    return "" if params.json_schema is None or may_fit(params.json_schema, value) else MISFIT


def _of_calls(request: Request, calls: Sequence[ToolCallDelta]) -> str:
    offered = {tool.name: tool.parameters for tool in request.tools}
    for call in calls:
        if call.name not in offered:
            return OTHER_TOOL
        arguments = _json(call.arguments or "{}")
        if not isinstance(arguments, dict) or not may_fit(offered[call.name], cast("object", arguments)):
            return ARGUMENTS
    return ""


def may_fit(schema: JsonObject, value: object, depth: int = 0) -> bool:
    """Whether `value` may be what the JSON Schema describes: False only where it certainly is not."""
    if depth > DEPTH_MAX or "$ref" in schema:
        return True
    if value is None and schema.get("nullable") is True:  # as OpenAPI 3.0 says it, and many tools with it
        return True
    choices = schema.get("enum")
    if (isinstance(choices, list) and value not in choices) or (
        "const" in schema and value != schema["const"]
    ):
        return False
    if not _is_of(schema.get("type"), value):
        return False
    if isinstance(value, dict):
        return _may_have(schema, cast("JsonObject", value), depth)
    items = schema.get("items")
    if isinstance(value, list) and isinstance(items, dict) and "prefixItems" not in schema:
        return all(
            may_fit(cast("JsonObject", items), each, depth + 1) for each in cast("list[object]", value)
        )
    return True


def _may_have(schema: JsonObject, value: JsonObject, depth: int) -> bool:
    required, known = schema.get("required"), schema.get("properties", {})
    wanted = cast("list[object]", required) if isinstance(required, list) else ()
    if any(isinstance(name, str) and name not in value for name in wanted):
        return False
    if not isinstance(known, dict):
        return True
    parts = cast("JsonObject", known)
    is_closed = schema.get("additionalProperties") is False and "patternProperties" not in schema
    if is_closed and any(name not in parts for name in value):
        return False
    return all(
        may_fit(cast("JsonObject", part), each, depth + 1)
        for name, each in value.items()
        if isinstance(part := parts.get(name), dict)
    )


def _is_of(wanted: object, value: object) -> bool:
    words = cast("list[object]", wanted if isinstance(wanted, list) else [wanted])
    return not words or any(_is(word, value) for word in words)


def _is(word: object, value: object) -> bool:
    if not isinstance(word, str) or word not in _TYPES:
        return True
    if isinstance(value, bool):
        return word == "boolean"
    if word == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES[word])


_NOTHING: Final = object()


def _json(text: str) -> object:
    try:
        return cast("object", msgspec.json.decode(text.encode("utf-8", "surrogatepass")))
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return _NOTHING
