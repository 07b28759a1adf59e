r"""Pure: the path by which a rule names a fact: `result.items.0.name`, with `\.` for a dot within a name."""

from collections.abc import Callable
from typing import Final, cast

SEGMENTS_MAX = 32
CHARS_MAX = 500
_INDEX_DIGITS_MAX = 9


class _Missing:
    """Nothing stands at the path; not the same as null standing there."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = _Missing()
Getter = Callable[[object], object]


def segments(path: str) -> tuple[str, ...]:
    """The names and indexes of a path, unescaped; raises ValueError with a sentence."""
    if not path:
        raise ValueError("the fact is empty.")
    if len(path) > CHARS_MAX:
        raise ValueError(f"the fact has {len(path)} characters; at most {CHARS_MAX} are taken.")
    parts: list[str] = []
    current: list[str] = []
    letters = iter(path)
    for letter in letters:
        if letter == "\\":
            escaped = next(letters, "")
            if escaped not in ("\\", "."):
                raise ValueError("a backslash stands before a dot or another backslash only.")
            current.append(escaped)
        elif letter == ".":
            parts.append("".join(current))
            current.clear()
        else:
            current.append(letter)
    parts.append("".join(current))
    if "" in parts:
        raise ValueError("a name between two dots is empty.")
    if len(parts) > SEGMENTS_MAX:
        raise ValueError(f"the fact has {len(parts)} parts; at most {SEGMENTS_MAX} are taken.")
    return tuple(parts)


def written(parts: tuple[str, ...]) -> str:
    """The path as text again; the inverse of `segments`."""
    return ".".join(part.replace("\\", "\\\\").replace(".", "\\.") for part in parts)


def getter(parts: tuple[str, ...]) -> Getter:
    """A function from a payload to the value at the path, or MISSING.

    A part of digits is an index where a list stands and a name where an object stands. The payload is plain JSON:
    `dict`, `list` and scalars of exactly those types.
    """
    if len(parts) == 1:
        return _single(parts[0])
    steps = tuple((part, _index(part)) for part in parts)

    def get(payload: object) -> object:
        value = payload
        for name, index in steps:
            kind = value.__class__
            if kind is dict:
                value = cast("dict[str, object]", value).get(name, MISSING)
            elif kind is list and 0 <= index < len(cast("list[object]", value)):
                value = cast("list[object]", value)[index]
            else:
                return MISSING
        return value

    return get


def _single(name: str) -> Getter:
    index = _index(name)

    def get(payload: object) -> object:
        if payload.__class__ is dict:
            return cast("dict[str, object]", payload).get(name, MISSING)
        if payload.__class__ is list and 0 <= index < len(cast("list[object]", payload)):
            return cast("list[object]", payload)[index]
        return MISSING

    return get


def _index(part: str) -> int:
    is_index = part.isascii() and part.isdigit() and len(part) <= _INDEX_DIGITS_MAX
    return int(part) if is_index else -1
