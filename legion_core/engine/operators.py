"""Pure: the operators of a condition. Each answers true, false, or undecided (None).

Undecided is the answer to a question that cannot be asked of this value: it is missing, or of a type the operator
does not compare. An undecided rule never makes a condition true, not even under `not`. The whole table, cell by
cell, is `docs/conditions.md`.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal, cast

import msgspec

from legion_core.engine.json_value import json_fault, same
from legion_core.engine.patterns import PatternError, compiled
from legion_core.engine.refusal import shown

TEXT_CHARS_MAX = 10_000
SET_MAX = 1_000
VALUE_DEPTH_MAX = 8

Answer = bool | None
Test = Callable[[object], Answer]
ValueKind = Literal["any", "scalar", "ordered", "pair", "text", "pattern", "set", "count", "none"]


class Operator(msgspec.Struct, frozen=True, kw_only=True):
    """One operator: what value it takes, how it is told to a person, and its answer for a missing fact."""

    name: str
    takes: ValueKind
    words: str
    build: Callable[[object], Test]
    if_missing: Answer = None

    @property
    def is_unary(self) -> bool:
        """Whether it takes no value."""
        return self.takes == "none"


def value_fault(operator: Operator, value: object) -> str:
    """What keeps `value` from being compared by `operator`, as a sentence; empty if nothing does."""
    if wrong := json_fault(
        value, depth_max=VALUE_DEPTH_MAX, values_max=SET_MAX + 2, chars_max=TEXT_CHARS_MAX * 10
    ):
        return f"the value cannot be used: {wrong}."
    if isinstance(value, str) and len(value) > TEXT_CHARS_MAX:
        return f"the value has {len(value)} characters; at most {TEXT_CHARS_MAX} are taken."
    return _CHECKS[operator.takes](operator.name, value)


def _is_number(value: object) -> bool:
    return value.__class__ is int or value.__class__ is float


def _any_fault(_: str, __: object) -> str:
    return ""


def _scalar_fault(name: str, value: object) -> str:
    if value.__class__ is list or value.__class__ is dict:
        return f"{name} takes text, a number, true, false or null, not {shown(value)}."
    return ""


def _ordered_fault(name: str, value: object) -> str:
    return (
        ""
        if _is_number(value) or isinstance(value, str)
        else f"{name} takes a number or text, not {shown(value)}."
    )


def _pair_fault(name: str, value: object) -> str:
    pair = cast("list[object]", value) if value.__class__ is list else []
    if len(pair) != 2:
        return f"{name} takes a list of two, [LOW, HIGH], not {shown(value)}."
    low, high = pair
    if isinstance(low, str) and isinstance(high, str):
        is_upright = low <= high
    elif _is_number(low) and _is_number(high):
        is_upright = cast("float", low) <= cast("float", high)
    else:
        return f"{name} takes two numbers or two texts, not {shown(low)} and {shown(high)}."
    return "" if is_upright else f"{name} would never hold: {shown(low)} is above {shown(high)}."


def _text_fault(name: str, value: object) -> str:
    return "" if isinstance(value, str) else f"{name} takes text, not {shown(value)}."


def _pattern_fault(name: str, value: object) -> str:
    if not isinstance(value, str):
        return _text_fault(name, value)
    try:
        compiled(value)
    except PatternError as error:
        return str(error)
    return ""


def _set_fault(name: str, value: object) -> str:
    if value.__class__ is dict:
        return f"{name} takes a list, not {shown(value)}."
    if value.__class__ is list:
        count = len(cast("list[object]", value))
        if count == 0:
            return f"{name} takes at least one value."
        if count > SET_MAX:
            return f"{name} takes at most {SET_MAX} values, not {count}."
    return ""


def _count_fault(name: str, value: object) -> str:
    is_count = value.__class__ is int and 0 <= cast("int", value) <= 10**9
    return "" if is_count else f"{name} takes a whole number from 0, not {shown(value)}."


def _none_fault(name: str, value: object) -> str:
    return "" if value is None else f"{name} takes no value."


_CHECKS: Mapping[ValueKind, Callable[[str, object], str]] = {
    "any": _any_fault,
    "scalar": _scalar_fault,
    "ordered": _ordered_fault,
    "pair": _pair_fault,
    "text": _text_fault,
    "pattern": _pattern_fault,
    "set": _set_fault,
    "count": _count_fault,
    "none": _none_fault,
}


def _negated(build: Callable[[object], Test]) -> Callable[[object], Test]:
    def built(value: object) -> Test:
        test = build(value)

        def negated(actual: object) -> Answer:
            answer = test(actual)
            return None if answer is None else not answer

        return negated

    return built


def _equal(value: object) -> Test:
    """Values of one type compare; null compares with everything; different types are undecided."""
    kind = value.__class__
    if value is None:
        return lambda actual: actual is None
    if kind is str:
        return lambda actual: (
            actual == value if actual.__class__ is str else (False if actual is None else None)
        )
    if kind is int or kind is float:

        def number(actual: object) -> Answer:
            if actual.__class__ is int or actual.__class__ is float:
                return actual == value
            return False if actual is None else None

        return number

    def other(actual: object) -> Answer:
        if actual.__class__ is kind:
            return same(actual, value)
        return False if actual is None else None

    return other


def _ordered(holds: Callable[[float, float], bool]) -> Callable[[object], Test]:
    """Numbers with numbers, text with text by code point; everything else is undecided."""
    compare = cast("Callable[[object, object], bool]", holds)

    def build(value: object) -> Test:
        if value.__class__ is str:
            return lambda actual: compare(actual, value) if actual.__class__ is str else None
        return lambda actual: (
            compare(actual, value) if actual.__class__ is int or actual.__class__ is float else None
        )

    return build


def _between(value: object) -> Test:
    low, high = cast("list[object]", value)
    above = _ordered(lambda one, other: one >= other)(low)
    below = _ordered(lambda one, other: one <= other)(high)
    # Both ends are of one type, so they are undecided for the same values.
    return lambda actual: above(actual) and below(actual)


def text_form(actual: object) -> str | None:
    """A text itself, a number as JSON writes it; None for what has no text form."""
    if actual.__class__ is str:
        return cast("str", actual)
    if _is_number(actual):
        try:
            return msgspec.json.encode(actual).decode()
        except (ValueError, OverflowError):
            return None
    return None


def _contains(value: object) -> Test:
    """Text within text, a member of a list, a name in an object."""
    is_member = _in_set([value])

    def contains(actual: object) -> Answer:
        if actual.__class__ is list:
            return any(is_member(each) is True for each in cast("list[object]", actual))
        if value.__class__ is not str:
            return None
        if actual.__class__ is dict:
            return value in cast("dict[object, object]", actual)
        text = text_form(actual)
        return None if text is None else cast("str", value) in text

    return contains


def _starts_with(value: object) -> Test:
    prefix = cast("str", value)

    def starts(actual: object) -> Answer:
        text = text_form(actual)
        return None if text is None else text.startswith(prefix)

    return starts


def _ends_with(value: object) -> Test:
    suffix = cast("str", value)

    def ends(actual: object) -> Answer:
        text = text_form(actual)
        return None if text is None else text.endswith(suffix)

    return ends


def _matches(value: object) -> Test:
    pattern = compiled(cast("str", value))

    def matches(actual: object) -> Answer:
        text = text_form(actual)
        return None if text is None else pattern.search(text)

    return matches


def _in_set(value: object) -> Test:
    """Equal to one of the values; undecided if it can be compared with none of them."""
    tests = [_equal(each) for each in (cast("list[object]", value) if isinstance(value, list) else [value])]

    def in_set(actual: object) -> Answer:
        answers = [test(actual) for test in tests]
        if True in answers:
            return True
        return None if all(answer is None for answer in answers) else False

    return in_set


def _size_equal(value: object) -> Test:
    def size(actual: object) -> Answer:
        if isinstance(actual, str | list | dict):
            return len(cast("list[object]", actual)) == value
        return None

    return size


def _unary(test: Test) -> Callable[[object], Test]:
    return lambda _: test


def _is_empty(actual: object) -> bool:
    return actual is None or actual == "" or actual == [] or actual == {}


def _o(
    name: str, takes: ValueKind, words: str, build: Callable[[object], Test], if_missing: Answer = None
) -> Operator:
    return Operator(name=name, takes=takes, words=words, build=build, if_missing=if_missing)


# Source: seed, the rule engine: fourteen binary and nine unary operators.
_ALL: tuple[Operator, ...] = (
    _o("equal", "any", "is", _equal),
    _o("not_equal", "any", "is not", _negated(_equal)),
    _o("greater_than", "ordered", "is above", _ordered(lambda one, other: one > other)),
    _o("less_than", "ordered", "is below", _ordered(lambda one, other: one < other)),
    _o("greater_or_equal", "ordered", "is at least", _ordered(lambda one, other: one >= other)),
    _o("less_or_equal", "ordered", "is at most", _ordered(lambda one, other: one <= other)),
    _o("between", "pair", "is between", _between),
    _o("contains", "scalar", "contains", _contains),
    _o("starts_with", "text", "starts with", _starts_with),
    _o("ends_with", "text", "ends with", _ends_with),
    _o("matches", "pattern", "matches", _matches),
    _o("in_set", "set", "is one of", _in_set),
    _o("not_in_set", "set", "is none of", _negated(_in_set)),
    _o("size_equal", "count", "has the size", _size_equal),
    _o("nil", "none", "is null or missing", _unary(lambda actual: actual is None), True),
    _o("not_nil", "none", "is there and not null", _unary(lambda actual: actual is not None), False),
    _o("is_true", "none", "is true", _unary(bool), False),
    _o("is_false", "none", "is false", _unary(lambda actual: not actual), True),
    _o("is_string", "none", "is text", _unary(lambda actual: actual.__class__ is str), False),
    _o("is_array", "none", "is a list", _unary(lambda actual: actual.__class__ is list), False),
    _o("is_integer", "none", "is a whole number", _unary(lambda actual: actual.__class__ is int), False),
    _o("empty", "none", "is empty", _unary(_is_empty), True),
    _o("not_empty", "none", "is not empty", _unary(lambda actual: not _is_empty(actual)), False),
)

OPERATORS: Mapping[str, Operator] = MappingProxyType({operator.name: operator for operator in _ALL})
