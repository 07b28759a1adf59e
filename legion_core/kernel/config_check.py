"""Holds a parsed document against the schema and names every fault at once, each with what to do."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

import msgspec

from legion_core.kernel.settings_schema import Branch, Config, Field, branch_of, element_of, fields

FAULTS_MAX = 100
SECRET_SCHEMES = ("keyring://", "env://", "vault://")
_REFERENCE = re.compile(r"^(?:keyring|vault)://[A-Za-z0-9][A-Za-z0-9._/-]*$|^env://[A-Za-z_][A-Za-z0-9_]*$")
_KINDS: Mapping[object, str] = {
    dict: "a table",
    list: "a list",
    str: "text",
    bool: "true or false",
    type(None): "nothing",
    int: "a whole number",
    float: "a number",
}
_WANTED = {"bool": "true or false", "int": "a whole number", "float": "a number", "list": "a list of words"}


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong: where (`key`, and `line` from 1 where it is known), what, and what to do."""

    key: str
    message: str
    hint: str = ""
    line: int | None = None

    def __str__(self) -> str:
        place = f"line {self.line}: " if self.line is not None else ""
        where = f"{self.key}: " if self.key else ""
        return f"{place}{where}{self.message} {self.hint}".strip()


def check(document: Mapping[str, Any]) -> tuple[dict[str, Any], list[Fault]]:
    """What of the document fits the schema, as plain data, and the faults of the rest, at most `FAULTS_MAX`.

    Only where there is no fault is the data whole.
    """
    checker = _Checker()
    clean = checker.table(document, Config, "")
    return clean, checker.faults


def value_fault(field: Field, value: object) -> tuple[str, str] | None:
    """What is wrong with `value` for this leaf and what to do, or None if it fits."""
    match field.type:
        case "bool" if not isinstance(value, bool):
            return _type_fault(field, value)
        case "int" if not isinstance(value, int) or isinstance(value, bool):
            return _type_fault(field, value)
        case "float" if not isinstance(value, int | float) or isinstance(value, bool):
            return _type_fault(field, value)
        case "float" if isinstance(value, float) and not math.isfinite(value):
            return f"{value} is not a number that can be used.", ""
        case "int" | "float":
            return _range_fault(field, cast("float", value))
        case "list":
            return _list_fault(field, value)
        case "bool":
            return None
        case _ if not isinstance(value, str):
            return _type_fault(field, value)
        case "choice":
            return _choice_fault(field, value)
        case "secret":
            return _secret_fault(value)
        case _:
            return _text_fault(field, value)


class _Checker:
    def __init__(self) -> None:
        self.faults: list[Fault] = []

    def table(self, found: Mapping[str, Any], branch: Branch, path: str) -> dict[str, Any]:
        """The part of `found` that fits `branch`; the rest becomes faults."""
        leaves = {field.key: field for field in fields(branch)}
        parts = {part.name: part for part in msgspec.structs.fields(branch)}
        clean: dict[str, Any] = {}
        for name, value in found.items():
            word = name or '""'
            key = f"{path}.{word}" if path else word
            part = parts.get(name)
            if part is None:
                self._unknown(key, name, tuple(parts))
                continue
            element, inner = element_of(part.type), branch_of(part.type)
            if name in leaves:
                if self._fits(key, leaves[name], value):
                    clean[name] = value
            elif element is not None:
                clean[name] = self._tables(value, element, key)
            elif inner is not None and self._is_table(key, value):
                clean[name] = self.table(value, inner, key)
        for name, part in parts.items():
            if part.required and name not in found:
                self._fault(path, f"{name!r} is missing.", f"Add {name} = … here.")
        return clean

    def _tables(self, value: object, element: Branch, path: str) -> list[dict[str, Any]]:
        if not isinstance(value, list):
            self._fault(
                path, f"expected a list of tables, found {_name(value)}.", f"Write [[{path}]] above each."
            )
            return []
        clean: list[dict[str, Any]] = []
        identity = msgspec.structs.fields(element)[0].name  # `name` of an instance, `id` of a model
        seen: dict[object, int] = {}
        for place, item in enumerate(cast("list[object]", value)):
            key = f"{path}[{place}]"
            if not self._is_table(key, item):
                continue
            before = len(self.faults)
            table = self.table(cast("Mapping[str, Any]", item), element, key)
            label = table.get(identity)
            if label is not None and label in seen:
                self._fault(
                    f"{key}.{identity}",
                    f"{label!r} is used twice; the first is {path}[{seen[label]}].",
                    "Give each one a name of its own.",
                )
            elif label is not None:
                seen[label] = place
            if len(self.faults) == before:
                clean.append(table)
        return clean

    def _fits(self, key: str, field: Field, value: object) -> bool:
        wrong = value_fault(field, value)
        if wrong is None and field.key == "base_url":
            wrong = _url_fault(cast("str", value))
        if wrong is not None:
            self._fault(key, *wrong)
        return wrong is None

    def _is_table(self, key: str, value: object) -> bool:
        if isinstance(value, dict):
            return True
        self._fault(key, f"expected a table, found {_name(value)}.", f"Write [{key}] on a line of its own.")
        return False

    def _unknown(self, key: str, name: str, known: tuple[str, ...]) -> None:
        if len(self.faults) >= FAULTS_MAX:
            return
        near = _nearest(name, known)
        hint = f"Did you mean {near[0]!r}?" if near else f"Known here: {', '.join(known)}."
        self._fault(key, "there is no such setting.", hint)

    def _fault(self, key: str, message: str, hint: str) -> None:
        if len(self.faults) < FAULTS_MAX:
            self.faults.append(Fault(key, message, hint))


def _type_fault(field: Field, value: object) -> tuple[str, str]:
    wanted = _WANTED.get(field.type, "text")
    if wanted == "text":
        hint = "" if type(value) in (list, dict) else "Put it between quotes."
    elif isinstance(value, str) and re.fullmatch(r"\s*(true|false|[-+]?[0-9]+(\.[0-9]+)?)\s*", value):
        hint = "Write it without quotes."
    else:
        hint = ""
    return f"expected {wanted}, found {_name(value)}.", hint


def _range_fault(field: Field, value: float) -> tuple[str, str] | None:
    low, high = field.minimum, field.maximum
    if (low is None or value >= low) and (high is None or value <= high):
        return None
    unit = f" {field.unit}" if field.unit else ""
    if low is not None and high is not None:
        bounds = f"between {low:g} and {high:g}{unit}"
    else:
        bounds = f"at least {low:g}{unit}" if low is not None else f"at most {high:g}{unit}"
    return f"{_short(value)} is out of range: it must be {bounds}.", ""


def _nearest(word: str, known: Sequence[str]) -> list[str]:
    """The one word that was probably meant, if any; a file without faults never asks."""
    from difflib import get_close_matches

    return get_close_matches(word, known, n=1, cutoff=0.6)


def _choice_fault(field: Field, value: str) -> tuple[str, str] | None:
    if value in field.choices:
        return None
    choices = [choice for choice in field.choices if choice]
    near = _nearest(value, choices)
    return (
        f"{_short(value)} is not one of {', '.join(choices)}.",
        f"Did you mean {near[0]!r}?" if near else "",
    )


def _list_fault(field: Field, value: object) -> tuple[str, str] | None:
    if not isinstance(value, list | tuple):
        return f"expected a list of words, found {_name(value)}.", 'Write it as ["…", "…"].'
    words = cast("list[object]", value)
    seen: set[str] = set()
    for word in words:
        if not isinstance(word, str):
            return f"expected a list of words, found {_name(word)} in it.", ""
        if word in seen:
            return f"{_short(word)} stands there twice.", ""
        seen.add(word)
        if field.choices and (wrong := _choice_fault(field, word)):
            return wrong
    return None


def _text_fault(field: Field, value: str) -> tuple[str, str] | None:
    if field.length_max is not None and len(value) > field.length_max:
        return f"is {len(value)} characters long; at most {field.length_max} are taken.", ""
    if field.pattern and not re.search(field.pattern, value):
        return f"{_short(value)} cannot be used here.", field.description
    if "\0" in value:
        return "holds a NUL character.", ""
    return None


def _secret_fault(value: str) -> tuple[str, str] | None:
    """A reference passes, and so does an address without a password; a secret itself never does."""
    if not value or _REFERENCE.match(value):
        return None
    if value.startswith(SECRET_SCHEMES):
        return (
            "is not a reference: the name is missing or has letters it may not have.",
            "Write keyring://NAME or env://NAME.",
        )
    if value.startswith(("amqp://", "amqps://")) and (parts := _split(value)) and parts[1] and not parts[2]:
        return None
    # The value is not repeated: it may be a real key.
    return (
        "holds a secret in plain text, which is never read from this file.",
        "Store it with `legion secret set NAME` and write keyring://NAME here, or env://NAME for a variable.",
    )


def _url_fault(value: str) -> tuple[str, str] | None:
    if not value:
        return None
    parts = _split(value)
    if parts is None or parts[0] not in ("http", "https") or not parts[1] or re.search(r"\s", value):
        return f"{_short(value)} is not a web address.", "It begins with http:// or https:// and a host."
    if parts[2]:
        return (
            "holds a user name or password.",
            "Store the key with `legion secret set NAME` and name it in api_key.",
        )
    return None


def _split(value: str) -> tuple[str, str, bool] | None:
    """Scheme, host, and whether the address carries a password or, outside AMQP, a user; None if it is none."""
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        return None
    return (
        parts.scheme,
        parts.hostname or "",
        parts.password is not None or (parts.username is not None and not parts.scheme.startswith("amqp")),
    )


def _name(value: object) -> str:
    return _KINDS.get(type(value), "a date or time")


def _short(value: object) -> str:
    if isinstance(value, int) and value.bit_length() > 128:
        return "a number of very many digits"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:59]}…"
