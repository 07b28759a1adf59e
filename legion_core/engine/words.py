"""Words a person typed, as the values a function's schema asks for."""

import re
from collections.abc import Mapping
from typing import Any, cast

import msgspec

from legion_core.kernel.errors import InvalidInput


def typed(schema: Mapping[str, Any], words: Mapping[str, str]) -> dict[str, Any]:
    """Words a person typed, as the values `schema` asks for: `count:3` a number where a number is wanted.

    Text stays text where text is wanted, even if it looks like a number. InvalidInput names what does not fit.
    """
    properties = cast("Mapping[str, Mapping[str, Any]]", schema.get("properties", {}))
    return {name: _value(name, properties.get(name, {}), schema, text) for name, text in words.items()}


def _value(name: str, wanted: Mapping[str, Any], root: Mapping[str, Any], text: str) -> Any:
    kinds = _kinds(wanted, root)
    if not kinds or "string" not in kinds:
        try:
            value = msgspec.json.decode(text.encode())
        except msgspec.DecodeError as error:
            if not kinds:
                return text  # anything goes, so the word itself does
            raise InvalidInput(f"`{name}` must be {_told(kinds)}, not {text[:60]!r}.") from error
        return value
    if kinds == {"string"} or not text:
        return text
    for kind, pattern in _SHAPES.items():
        if kind in kinds and pattern.match(text):
            return msgspec.json.decode(text.encode())
    return text


_SHAPES = {
    "null": re.compile(r"^null$"),
    "boolean": re.compile(r"^(true|false)$"),
    "integer": re.compile(r"^-?(0|[1-9]\d*)$"),
    "number": re.compile(r"^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$"),
}


def _kinds(wanted: Mapping[str, Any], root: Mapping[str, Any]) -> set[str]:
    """The JSON types a schema allows; empty if any."""
    if "$ref" in wanted:
        name = str(wanted["$ref"]).rpartition("/")[2]
        return _kinds(root.get("$defs", {}).get(name, {}), root)
    if "anyOf" in wanted:
        parts = [_kinds(part, root) for part in wanted["anyOf"]]
        return {kind for kinds in parts for kind in kinds} if all(parts) else set()
    if "enum" in wanted:
        return {_JSON_NAMES[type(value)] for value in wanted["enum"]}
    kind = wanted.get("type")
    if kind is None:
        return set()
    return {str(kind)} if isinstance(kind, str) else {str(one) for one in kind}


_JSON_NAMES = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    type(None): "null",
    dict: "object",
    list: "array",
}


def _told(kinds: set[str]) -> str:
    words = {
        "integer": "a whole number",
        "number": "a number",
        "boolean": "true or false",
        "object": "a JSON object",
        "array": "a JSON list",
        "null": "null",
    }
    return " or ".join(sorted(words[kind] for kind in kinds if kind in words))
