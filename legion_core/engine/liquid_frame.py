"""Pure: what a template is rendered in: its names, its output, and how much of both it may have."""

from collections.abc import Mapping
from typing import Final, Protocol, cast

import msgspec

from legion_core.engine.json_value import same
from legion_core.engine.liquid_tokens import LiquidFault

OUTPUT_CHARS_MAX = 1 << 20
STEPS_MAX = 50_000  # nodes rendered
WORK_CHARS_MAX = 4 << 20  # letters and members handled by filters
LIST_MAX = 10_000  # members of a range, a split text, a list given to a filter


class TooLong(LiquidFault):
    """The template takes more steps than it may."""


class TooLarge(LiquidFault):
    """The template gives more than it may."""


class Missing:
    """What a name stands for that is not there; it is false, has a default, and can be used for nothing else."""

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path = path


class Special:
    """The literals `empty` and `blank`, which only compare."""

    __slots__ = ("word",)

    def __init__(self, word: str) -> None:
        self.word = word


EMPTY: Final = Special("empty")
BLANK: Final = Special("blank")


class Expression(Protocol):
    """A value to be found in a frame."""

    def __call__(self, frame: "Frame", /) -> object:
        """The value; may raise LiquidFault."""
        ...


class Frame:
    """One rendering. Names are looked up in loops first, then in what the template assigned, then in the payload."""

    __slots__ = ("_out", "_size", "_steps", "_work", "counters", "cycles", "loops", "names", "payload")

    def __init__(self, payload: Mapping[str, object]) -> None:
        self.payload = payload
        self.names: dict[str, object] = {}
        self.loops: list[dict[str, object]] = []
        self.counters: dict[str, int] = {}
        self.cycles: dict[object, int] = {}
        self._out: list[str] = []
        self._size = self._steps = self._work = 0

    def name(self, name: str) -> object:
        """What the first name of a path stands for, or Missing."""
        for scope in reversed(self.loops):
            if name in scope:
                return scope[name]
        if name in self.names:
            return self.names[name]
        if name in self.payload:
            return self.payload[name]
        return self.counters[name] if name in self.counters else Missing(name)

    def step(self) -> None:
        """One node is rendered; raises TooLong."""
        self._steps += 1
        if self._steps > STEPS_MAX:
            raise TooLong(f"it takes more than {STEPS_MAX} steps.")

    def spend(self, amount: int) -> None:
        """A filter handles that many letters or members; raises TooLong, TooLarge."""
        if amount > OUTPUT_CHARS_MAX:
            raise TooLarge(f"a value has more than {OUTPUT_CHARS_MAX} characters.")
        self._work += amount + 1
        if self._work > WORK_CHARS_MAX:
            raise TooLong(f"its filters handle more than {WORK_CHARS_MAX} characters.")

    def write(self, text: str) -> None:
        """Add to the output; raises TooLarge."""
        self._size += len(text)
        if self._size > OUTPUT_CHARS_MAX:
            raise TooLarge(f"it gives more than {OUTPUT_CHARS_MAX} characters.")
        self._out.append(text)

    def captured(self, outer: list[str]) -> str:
        """What was written since `capture`, taken back out of the output."""
        text = "".join(self._out)
        self._out = outer
        return text

    def capture(self) -> list[str]:
        """Write into a fresh output from now on; give what this returns to `captured`."""
        outer, self._out = self._out, []
        return outer

    def output(self) -> str:
        """All that was written."""
        return "".join(self._out)


def is_true(value: object) -> bool:
    """Only false, null and what is not there are false."""
    return not (value is None or value is False or isinstance(value, Missing))


def text_of(value: object) -> str:
    """A value as it is printed: null as nothing, lists and objects as JSON; raises LiquidFault for Missing."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, Special):
        return ""
    if isinstance(value, Missing):
        raise LiquidFault(f"{value.path} is not there.")
    if isinstance(value, range):
        return f"{value.start}..{value.stop - 1}"
    try:
        return msgspec.json.encode(value).decode()
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise LiquidFault(f"a value cannot be printed: {error}.") from None


def child(value: object, key: object, path: str) -> object:
    """What stands at `key` in a list or object; Missing for all else. Lists and texts have `size`, `first`, `last`."""
    if isinstance(value, dict):
        names = cast("dict[object, object]", value)
        if isinstance(key, str) and key in names:
            return names[key]
        return len(names) if key == "size" else Missing(path)
    if isinstance(value, list | range):
        items = cast("list[object]", value)
        match key:
            case "size":
                return len(items)
            case "first" | "last":
                return (items[0] if key == "first" else items[-1]) if len(items) else None
            case bool():
                return Missing(path)
            case int() if -len(items) <= key < len(items):
                return items[key]
            case _:
                return Missing(path)
    if isinstance(value, str) and key == "size":
        return len(value)
    return Missing(path)


def equal(one: object, other: object) -> bool:
    """Equality as templates have it: JSON's, with `empty` and `blank`, and null for what is not there."""
    left = None if isinstance(one, Missing) else one
    right = None if isinstance(other, Missing) else other
    if isinstance(left, Special):
        left, right = right, left
    if isinstance(right, Special):
        return _is_like(left, right)
    if isinstance(left, range) or isinstance(right, range):
        return left == right
    return same(left, right)


def _is_like(value: object, special: Special) -> bool:
    if isinstance(value, Special):
        return value is special
    is_empty = isinstance(value, str | list | dict | range) and len(cast("list[object]", value)) == 0
    if special is EMPTY:
        return is_empty
    return is_empty or value is None or value is False or (isinstance(value, str) and not value.strip())
