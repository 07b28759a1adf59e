"""Pure: the expressions of a template: paths, literals, ranges, comparisons, filters.

There are no attributes, calls or operators beyond these: a path goes from a name through objects and lists, and
nowhere else.
"""

from collections.abc import Callable, Mapping
from typing import cast

from legion_core.engine.liquid_filters import FILTERS, Filter, weight
from legion_core.engine.liquid_frame import (
    BLANK,
    EMPTY,
    LIST_MAX,
    Expression,
    Frame,
    Missing,
    Special,
    TooLarge,
    child,
    equal,
    is_true,
    text_of,
)
from legion_core.engine.liquid_tokens import Lexeme, LiquidFault
from legion_core.engine.refusal import nearest

NESTING_MAX = 8
NUMBER_DIGITS_MAX = 300
TERMS_MAX = 100  # conditions joined by and/or, filters in a row, parts of a path

_LITERALS: Mapping[str, object] = {
    "true": True,
    "false": False,
    "nil": None,
    "null": None,
    "empty": EMPTY,
    "blank": BLANK,
}


class Parser:
    """Reads one expression. `own` are the names the template gives itself; other paths are noted in `paths`."""

    def __init__(self, words: list[Lexeme], line: int, own: set[str], paths: set[tuple[str, ...]]) -> None:
        self._words = words
        self._at = 0
        self._nesting = 0
        self._own = own
        self._paths = paths
        self.line = line

    @property
    def text(self) -> str:
        """The words read, as one text."""
        return " ".join(word.text for word in self._words)

    def at_end(self) -> bool:
        """Whether all words are read."""
        return self._at >= len(self._words)

    def end(self) -> None:
        """Nothing may follow."""
        if not self.at_end():
            raise self._fault(f"{self._words[self._at].text!r} is not expected here.")

    def name(self) -> str:
        """The next word, a name."""
        word = self._next()
        if word.kind != "name":
            raise self._fault(f"expected a name, found {word.text!r}.")
        return word.text

    def own_name(self) -> str:
        """The next word, a name the template gives a value."""
        name = self.name()
        if name in _LITERALS:
            raise self._fault(f"{name!r} cannot be given a value.")
        self._own.add(name)
        return name

    def word(self, wanted: str) -> None:
        """The next word is this name."""
        if self.name() != wanted:
            raise self._fault(f"expected {wanted!r}.")

    def op(self, wanted: str) -> None:
        """The next word is this sign."""
        if not self.skip(wanted):
            found = self._words[self._at].text if not self.at_end() else "the end"
            raise self._fault(f"expected {wanted!r}, found {found!r}.")

    def skip(self, sign: str) -> bool:
        """Step over this sign if it comes next."""
        if not self.at_end() and self._words[self._at] == ("op", sign):
            self._at += 1
            return True
        return False

    def filtered_to_end(self) -> Expression:
        """A value and the filters it goes through."""
        value = self.primary()
        count = 0
        while self.skip("|"):
            count += 1
            if count > TERMS_MAX:
                raise self._fault(f"more than {TERMS_MAX} filters follow one another.")
            value = self._filter(value)
        self.end()
        return value

    def condition_to_end(self) -> Expression:
        """Comparisons joined by `and` and `or`, which bind alike and from the right."""
        terms = [self._comparison()]
        joints: list[str] = []
        while not self.at_end():
            joint = self.name()
            if joint not in ("and", "or") or len(terms) >= TERMS_MAX:
                raise self._fault(f"expected `and` or `or`, found {joint!r}.")
            joints.append(joint)
            terms.append(self._comparison())
        whole = terms[-1]
        for term, joint in zip(reversed(terms[:-1]), reversed(joints), strict=True):
            whole = _both(term, whole) if joint == "and" else _either(term, whole)
        return whole

    def alternatives_to_end(self) -> list[Expression]:
        """Values with commas or `or` between them."""
        values = [self.primary()]
        while not self.at_end():
            if not self.skip(","):
                self.word("or")
            values.append(self.primary())
        return values

    def primary(self) -> Expression:
        """A literal, a path, or a range."""
        word = self._next()
        match word.kind:
            case "string":
                return _constant(word.text)
            case "number":
                if len(word.text) > NUMBER_DIGITS_MAX:
                    raise self._fault("a number has too many digits.")
                return _constant(float(word.text) if "." in word.text else int(word.text))
            case "name" if word.text in _LITERALS and not self._goes_on():
                return _constant(_LITERALS[word.text])
            case "name":
                return self._path(word.text)
            case "op" if word.text == "(":
                return self._range()
            case "op":
                raise self._fault(f"expected a value, found {word.text!r}.")

    def _goes_on(self) -> bool:
        return not self.at_end() and self._words[self._at] in (("op", "."), ("op", "["))

    def _path(self, root: str) -> Expression:
        parts: list[Expression] = []
        written: list[str] = [root]
        is_plain = True
        while True:
            if self.skip("."):
                name = self.name()
                parts.append(_constant(name))
            elif self.skip("["):
                self._nesting += 1
                if self._nesting > NESTING_MAX:
                    raise self._fault(f"brackets are nested deeper than {NESTING_MAX}.")
                word = self._words[self._at] if not self.at_end() else None
                parts.append(self.primary())
                self.op("]")
                self._nesting -= 1
                name = word.text if word is not None and word.kind in ("string", "number") else ""
            else:
                break
            is_plain = is_plain and bool(name)
            if is_plain:
                written.append(name)
            if len(parts) > TERMS_MAX:
                raise self._fault("a path is too long.")
        if root not in self._own:
            self._paths.add(tuple(written))
        return _path(root, tuple(parts), ".".join(written))

    def _range(self) -> Expression:
        self._nesting += 1
        if self._nesting > NESTING_MAX:
            raise self._fault(f"brackets are nested deeper than {NESTING_MAX}.")
        start = self.primary()
        self.op("..")
        stop = self.primary()
        self.op(")")
        self._nesting -= 1
        return _range(start, stop)

    def _comparison(self) -> Expression:
        left = self.primary()
        if self.at_end():
            return left
        word = self._words[self._at]
        if word.text not in _COMPARE or word.kind == "string":
            return left
        self._at += 1
        return _compared(_COMPARE[word.text], left, self.primary())

    def _filter(self, value: Expression) -> Expression:
        name = self.name()
        known = FILTERS.get(name)
        if known is None:
            raise self._fault(f"there is no filter {name!r}. {nearest(name, tuple(FILTERS))}".strip())
        args: list[Expression] = []
        named: dict[str, Expression] = {}
        if self.skip(":"):
            while True:
                if self._is_named():
                    word = self.name()
                    self.op(":")
                    named[word] = self.primary()
                else:
                    args.append(self.primary())
                if not self.skip(","):
                    break
        if not known.args_min <= len(args) <= known.args_max or not set(named) <= known.named:
            raise self._fault(f"{name} takes {known.signature()}.")
        return _filtered(known, value, tuple(args), named)

    def _is_named(self) -> bool:
        following = self._words[self._at : self._at + 2]
        return len(following) == 2 and following[0].kind == "name" and following[1] == ("op", ":")

    def _next(self) -> Lexeme:
        if self.at_end():
            raise self._fault("something is missing at the end.")
        self._at += 1
        return self._words[self._at - 1]

    def _fault(self, message: str) -> LiquidFault:
        return LiquidFault(message, self.line)


def _constant(value: object) -> Expression:
    return lambda _: value


def _path(root: str, parts: tuple[Expression, ...], written: str) -> Expression:
    def find(frame: Frame) -> object:
        value = frame.name(root)
        for part in parts:
            key = part(frame)
            if isinstance(key, Missing):
                return key
            value = child(value, key, written)
            if isinstance(value, Missing):
                return value
        return value

    return find


def _range(start: Expression, stop: Expression) -> Expression:
    def make(frame: Frame) -> object:
        low, high = _whole(start(frame)), _whole(stop(frame))
        if high - low >= LIST_MAX:
            raise TooLarge(f"a range has more than {LIST_MAX} members.")
        return range(low, max(low, high + 1))

    return make


def _whole(value: object) -> int:
    if isinstance(value, str) and len(value) < 20 and value.strip().lstrip("-").isdecimal():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise LiquidFault("a range goes from one whole number to another.")
    return int(value)


def _both(left: Expression, right: Expression) -> Expression:
    return lambda frame: is_true(left(frame)) and is_true(right(frame))


def _either(left: Expression, right: Expression) -> Expression:
    return lambda frame: is_true(left(frame)) or is_true(right(frame))


def _compared(compare: Callable[[object, object], bool], left: Expression, right: Expression) -> Expression:
    def answer(frame: Frame) -> bool:
        one, other = left(frame), right(frame)
        frame.spend(weight(one) + weight(other))  # a search through a list is work, too
        return compare(one, other)

    return answer


def _ordered(holds: Callable[[float, float], bool]) -> Callable[[object, object], bool]:
    """Numbers with numbers, text with text; null and what is not there is never above or below anything."""

    def compare(left: object, right: object) -> bool:
        if any(value is None or isinstance(value, Missing | Special) for value in (left, right)):
            return False
        numbers = [isinstance(value, int | float) and not isinstance(value, bool) for value in (left, right)]
        texts = [isinstance(value, str) for value in (left, right)]
        if all(numbers) or all(texts):
            return holds(cast("float", left), cast("float", right))
        raise LiquidFault(f"{text_of(left)[:40]!r} and {text_of(right)[:40]!r} cannot be compared by order.")

    return compare


def _contains(left: object, right: object) -> bool:
    if right is None or isinstance(right, Missing):
        return False
    if isinstance(left, str):
        return text_of(right) in left
    if isinstance(left, list | range):
        return any(equal(each, right) for each in cast("list[object]", left))
    return isinstance(left, dict) and isinstance(right, str) and right in cast("dict[str, object]", left)


_COMPARE: Mapping[str, Callable[[object, object], bool]] = {
    "==": equal,
    "!=": lambda left, right: not equal(left, right),
    "<>": lambda left, right: not equal(left, right),
    "<": _ordered(lambda left, right: left < right),
    ">": _ordered(lambda left, right: left > right),
    "<=": _ordered(lambda left, right: left <= right),
    ">=": _ordered(lambda left, right: left >= right),
    "contains": _contains,
}


def _filtered(
    known: Filter, value: Expression, args: tuple[Expression, ...], named: dict[str, Expression]
) -> Expression:
    def apply(frame: Frame) -> object:
        given = [arg(frame) for arg in args]
        options = {name: arg(frame) for name, arg in named.items()}
        return known.apply(frame, value(frame), given, options)

    return apply
