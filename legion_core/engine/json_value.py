"""Pure: what counts as a JSON value, held against bounds without recursion."""

import math
from typing import cast

DEPTH_MAX = 64
SAFE_DIGITS_BITS = 4096  # an integer beyond this is an attack, not a number


def json_fault(
    value: object, *, depth_max: int = DEPTH_MAX, values_max: int = 1_000_000, chars_max: int | None = None
) -> str:
    """What keeps `value` from being JSON within the bounds, as part of a sentence; empty if nothing does.

    `chars_max` bounds the letters of all texts and names together.
    """
    seen = chars = 0
    level: list[object] = [value]
    for _ in range(depth_max + 1):
        deeper: list[object] = []
        for each in level:
            if each.__class__ is str:
                chars += len(cast("str", each))
            elif each.__class__ is dict:
                names = cast("dict[object, object]", each)
                strangers = [name for name in names if name.__class__ is not str]
                if strangers:
                    return f"a name in an object is a {type(strangers[0]).__name__}, not text"
                chars += sum(len(cast("str", name)) for name in names)
                deeper.extend(names.values())
            elif each.__class__ is list:
                deeper.extend(cast("list[object]", each))
            elif fault := _scalar_fault(each):
                return fault
        seen += len(level)
        if seen + len(deeper) > values_max:
            return f"it holds more than {values_max} values"
        if chars_max is not None and chars > chars_max:
            return f"its texts have more than {chars_max} characters"
        if not deeper:
            return ""
        level = deeper
    return f"it is nested deeper than {depth_max} levels"


def _scalar_fault(value: object) -> str:
    kind = value.__class__
    if value is None or kind is bool:
        return ""
    if kind is int:
        return "" if cast("int", value).bit_length() <= SAFE_DIGITS_BITS else "a number has too many digits"
    if kind is float:
        return "" if math.isfinite(cast("float", value)) else f"{value} is not a JSON number"
    return f"a {type(value).__name__} is not JSON"


def same(one: object, other: object) -> bool:
    """Equality as JSON has it: `true` is not 1, 1 is 1.0, a list equals a list of equal values in the same order."""
    todo = [(one, other)]
    while todo:
        left, right = todo.pop()
        kind, kind_right = left.__class__, right.__class__
        if kind is bool or kind_right is bool:
            if left is not right:
                return False
        elif kind is list and kind_right is list:
            lefts, rights = cast("list[object]", left), cast("list[object]", right)
            if len(lefts) != len(rights):
                return False
            todo.extend(zip(lefts, rights, strict=True))
        elif kind is dict and kind_right is dict:
            names, others = cast("dict[str, object]", left), cast("dict[str, object]", right)
            if names.keys() != others.keys():
                return False
            todo.extend((inner, others[name]) for name, inner in names.items())
        elif left != right:
            return False
    return True
