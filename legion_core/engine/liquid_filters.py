"""Pure: the filters of templates, each with a bound on what it may be given and what it may give."""

import base64
import binascii
import html
import math
import re
import string
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cmp_to_key
from types import MappingProxyType
from typing import cast

import msgspec

from legion_core.engine.json_value import SAFE_DIGITS_BITS, same
from legion_core.engine.liquid_frame import (
    LIST_MAX,
    OUTPUT_CHARS_MAX,
    Frame,
    Missing,
    TooLarge,
    child,
    equal,
    is_true,
    text_of,
)
from legion_core.engine.liquid_tokens import LiquidFault

Body = Callable[[object, list[object]], object]
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)  # keeps every letter's place
_DATE_DIRECTIVES = frozenset("aAbBdeHIjklmMpPsSuwyYzZ%fFTDR")


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter: its body and how many values it takes. `default` alone may be given what is not there."""

    name: str
    body: Body
    args_min: int = 0
    args_max: int = 0
    named: frozenset[str] = frozenset()

    def signature(self) -> str:
        """How many values it takes, in words."""
        count = (
            f"{self.args_min}" if self.args_min == self.args_max else f"{self.args_min} to {self.args_max}"
        )
        named = f", and {', '.join(sorted(self.named))}" if self.named else ""
        return f"{'no' if count == '0' else count} value{'' if count == '1' else 's'}{named}"

    def apply(self, frame: Frame, value: object, args: list[object], named: Mapping[str, object]) -> object:
        """The filtered value; raises LiquidFault, TooLarge, TooLong."""
        frame.spend(weight(value) + sum(weight(arg) for arg in args))
        if self.name == "default":
            keeps_false = value is False and named.get("allow_false") is True
            return args[0] if not keeps_false and _wants_default(value) else value
        for each in (value, *args):
            if isinstance(each, Missing):
                raise LiquidFault(f"{each.path} is not there, and {self.name} needs it.")
        result = self.body(value, args)
        frame.spend(weight(result))
        return result


def weight(value: object) -> int:
    """How much work a value stands for: letters, and sixteen for each member of a list."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list | range | dict):
        return 16 * len(cast("list[object]", value))
    return 1


def _wants_default(value: object) -> bool:
    return not is_true(value) or (
        isinstance(value, str | list | dict) and len(cast("list[object]", value)) == 0
    )


def _number(value: object) -> int | float:
    """A number, or a text that is one; anything else counts as 0, as Liquid has it."""
    if isinstance(value, bool):
        return 0
    if isinstance(value, int | float):
        return value
    if isinstance(value, str) and len(value) <= 100:
        try:
            return int(value)
        except ValueError:
            pass
        try:
            found = float(value)
        except ValueError:
            return 0
        return found if math.isfinite(found) else 0
    return 0


def _checked(value: int | float) -> int | float:
    if isinstance(value, int):
        if value.bit_length() > SAFE_DIGITS_BITS:
            raise TooLarge("a number has too many digits.")
        return value
    if not math.isfinite(value):
        raise LiquidFault("a number is out of range.")
    return value


def _arithmetic(name: str, work: Callable[[int | float, int | float], int | float]) -> Filter:
    def body(value: object, args: list[object]) -> object:
        try:
            return _checked(work(_number(value), _number(args[0])))
        except ZeroDivisionError:
            raise LiquidFault(f"{name} cannot divide by 0.") from None

    return Filter(name, body, 1, 1)


def _divided(one: int | float, other: int | float) -> int | float:
    return one // other if isinstance(one, int) and isinstance(other, int) else one / other


def _tidy(work: Callable[[int | float, int | float], int | float]) -> Callable[..., int | float]:
    """Sums of decimals as a person expects them: 0.1 + 0.2 is 0.3."""

    def done(one: int | float, other: int | float) -> int | float:
        result = work(one, other)
        return float(f"{result:.15g}") if isinstance(result, float) else result

    return done


def _numeric(name: str, work: Callable[[int | float], int | float]) -> Filter:
    return Filter(name, lambda value, _: _checked(work(_number(value))))


def _round(value: object, args: list[object]) -> object:
    number = _number(value)
    digits = int(_number(args[0])) if args else 0
    if digits <= 0:
        return round(number) if not args or digits == 0 else 0
    return round(number, min(digits, 30)) if isinstance(number, float) else number


def _textual(name: str, work: Callable[[str], object]) -> Filter:
    return Filter(name, lambda value, _: work(text_of(value)))


def _grown(size: int) -> None:
    if size > OUTPUT_CHARS_MAX:
        raise TooLarge(f"a text would have {size} characters; at most {OUTPUT_CHARS_MAX} are made.")


def _replace(count: int) -> Body:
    def body(value: object, args: list[object]) -> object:
        text, old = text_of(value), text_of(args[0])
        new = text_of(args[1]) if len(args) > 1 else ""
        times = text.count(old) if old else len(text) + 1
        _grown(len(text) + min(times, count if count >= 0 else times) * max(0, len(new) - len(old)))
        return text.replace(old, new, count)

    return body


def _replace_last(value: object, args: list[object]) -> object:
    text, old = text_of(value), text_of(args[0])
    at = text.rfind(old)
    return (
        text if at < 0 else f"{text[:at]}{text_of(args[1]) if len(args) > 1 else ''}{text[at + len(old) :]}"
    )


def _append(value: object, args: list[object]) -> object:
    return text_of(value) + text_of(args[0])


def _prepend(value: object, args: list[object]) -> object:
    return text_of(args[0]) + text_of(value)


def _split(value: object, args: list[object]) -> object:
    text, by = text_of(value), text_of(args[0])
    count = len(text) if not by else text.count(by) + 1
    if count > LIST_MAX:
        raise TooLarge(f"split gives {count} members; at most {LIST_MAX} are made.")
    if not text or text == by:
        return []
    parts = list(text) if not by else text.split() if by == " " else text.split(by)
    while parts and not parts[-1]:
        parts.pop()
    return parts


def _slice(value: object, args: list[object]) -> object:
    items: list[object] | str = cast("list[object]", value) if isinstance(value, list) else text_of(value)
    start, length = _index(args[0]), _index(args[1]) if len(args) > 1 else 1
    start = start + len(cast("str", items)) if start < 0 else start
    if start < 0 or length <= 0:
        return type(cast("str", items))()
    return cast("str", items)[start : start + length]


def _index(value: object) -> int:
    if isinstance(value, str) and len(value) < 20 and value.lstrip("-").isdecimal():
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise LiquidFault("a place or a length is a whole number.")
    return max(-(1 << 40), min(1 << 40, value))


def _truncate(value: object, args: list[object]) -> object:
    text = text_of(value)
    length, end = _index(args[0]) if args else 50, text_of(args[1]) if len(args) > 1 else "..."
    return text if len(text) <= length else text[: max(0, length - len(end))] + end


def _truncatewords(value: object, args: list[object]) -> object:
    words = text_of(value).split()
    count, end = max(1, _index(args[0]) if args else 15), text_of(args[1]) if len(args) > 1 else "..."
    return " ".join(words) if len(words) <= count else " ".join(words[:count]) + end


def _strip_html(text: str) -> str:
    """Without tags, comments, scripts and styles, in one pass: what is not closed stays."""
    parts: list[str] = []
    at, lower = 0, text.translate(_LOWER)
    while True:
        start = text.find("<", at)
        if start < 0:
            break
        end = ">"
        for opening, closing in (("<!--", "-->"), ("<script", "</script>"), ("<style", "</style>")):
            if lower.startswith(opening, start):
                end = closing
        stop = lower.find(end, start)
        if stop < 0:
            break
        parts.append(text[at:start])
        at = stop + len(end)
    parts.append(text[at:])
    return "".join(parts)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace")


def _decode(work: Callable[[str], bytes]) -> Callable[[str], str]:
    def decode(text: str) -> str:
        try:
            return work(text).decode("utf-8")
        except (binascii.Error, ValueError):
            raise LiquidFault("the text is not base64 of a text.") from None

    return decode


def _items(value: object) -> list[object]:
    if isinstance(value, range):
        return list(value)
    if not isinstance(value, list):
        return [] if value is None else [value]
    flat: list[object] = []
    todo = [iter(cast("list[object]", value))]  # lists within lists are laid flat, as Liquid has it
    while todo:
        for each in todo[-1]:
            if isinstance(each, list):
                todo.append(iter(cast("list[object]", each)))
                break
            flat.append(each)
            if len(flat) > LIST_MAX:
                raise TooLarge(f"a list has more than {LIST_MAX} members; no more go through a filter.")
        else:
            todo.pop()
    return flat


def _listed(
    name: str, work: Callable[[list[object], list[object]], object], args_min: int = 0, args_max: int = 0
) -> Filter:
    return Filter(name, lambda value, args: work(_items(value), args), args_min, args_max)


def _property(item: object, args: list[object]) -> object:
    if not args:
        return item
    found: object = item
    for part in text_of(args[0]).split("."):
        found = child(found, part, part)
        if isinstance(found, Missing):
            return None
    return found


def _join(items: list[object], args: list[object]) -> object:
    by = text_of(args[0]) if args else " "
    texts = [text_of(item) for item in items]
    _grown(sum(map(len, texts)) + len(by) * len(texts))
    return by.join(texts)


def _sort(fold: Callable[[object], object]) -> Callable[[list[object], list[object]], object]:
    def compare(one: tuple[object, object], other: tuple[object, object]) -> int:
        left, right = fold(one[0]), fold(other[0])
        if left is None or right is None:  # what has no value comes last
            return (left is None) - (right is None)
        numbers = [isinstance(each, int | float) and not isinstance(each, bool) for each in (left, right)]
        if not all(numbers) and not (isinstance(left, str) and isinstance(right, str)):
            raise LiquidFault("numbers and texts cannot be sorted together.")
        return (cast("int", left) > cast("int", right)) - (cast("int", left) < cast("int", right))

    def work(items: list[object], args: list[object]) -> object:
        keyed = [(_property(item, args), item) for item in items]
        return [item for _, item in sorted(keyed, key=cmp_to_key(compare))]

    return work


def _uniq(items: list[object], args: list[object]) -> object:
    """The first of every value, told apart by JSON's equality."""
    seen: dict[bytes, list[object]] = {}
    kept: list[object] = []
    for item in items:
        key = _property(item, args)
        # 1 and 1.0 are equal but written differently, so numbers share a drawer and are compared in it.
        is_number = isinstance(key, int | float) and not isinstance(key, bool)
        drawer = seen.setdefault(
            b"%d" % hash(key) if is_number else msgspec.json.encode(key, order="sorted"), []
        )
        if not any(same(key, other) for other in drawer):
            drawer.append(key)
            kept.append(item)
    return kept


def _chosen(item: object, args: list[object]) -> bool:
    found = _property(item, args)
    return equal(found, args[1]) if len(args) > 1 and args[1] is not None else is_true(found)


def _sum(items: list[object], args: list[object]) -> object:
    total: int | float = 0
    for item in items:
        total = total + _number(_property(item, args))
    return _checked(_tidy(lambda one, _: one)(total, 0))


def _concat(items: list[object], args: list[object]) -> object:
    if not isinstance(args[0], list | range):
        raise LiquidFault("concat takes a list.")
    return _items([*items, *cast("list[object]", args[0])])


def _size(value: object, _: list[object]) -> object:
    return len(cast("str", value)) if isinstance(value, str | list | dict | range) else 0


def _json(value: object, _: list[object]) -> object:
    try:
        return msgspec.json.encode(list(value) if isinstance(value, range) else value).decode()
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise LiquidFault(f"a value cannot be written as JSON: {error}.") from None


def _date(value: object, args: list[object]) -> object:
    """A date or time in ISO 8601, or seconds since 1970, in the form asked for; `now` is not known here."""
    form = text_of(args[0])
    if len(form) > 200 or any(letter not in _DATE_DIRECTIVES for letter in re.findall(r"%-?(.?)", form)):
        raise LiquidFault(f"the form {form[:40]!r} has a part that is not supported.")
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            moment = datetime.fromtimestamp(value, UTC)
        elif isinstance(value, str) and value.isdecimal() and len(value) < 15:
            moment = datetime.fromtimestamp(int(value), UTC)
        elif isinstance(value, str):
            moment = datetime.fromisoformat(value.strip())
        else:
            return value
        return moment.strftime(form.replace("%s", str(int(moment.timestamp()))))
    except (ValueError, OverflowError, OSError):
        raise LiquidFault(f"{text_of(value)[:40]!r} is not a date in ISO 8601.") from None


def _first(value: object, _: list[object]) -> object:
    items = cast("list[object]", value) if isinstance(value, list | range) else []
    return items[0] if len(items) else None


def _last(value: object, _: list[object]) -> object:
    items = cast("list[object]", value) if isinstance(value, list | range) else []
    return items[-1] if len(items) else None


def _at(items: list[object], args: list[object]) -> int | None:
    return next((place for place, item in enumerate(items) if _chosen(item, args)), None)


def _find(items: list[object], args: list[object]) -> object:
    place = _at(items, args)
    return None if place is None else items[place]


_ALL: tuple[Filter, ...] = (
    _numeric("abs", abs),
    _arithmetic("at_least", max),
    _arithmetic("at_most", min),
    _numeric("ceil", math.ceil),
    _arithmetic("divided_by", _divided),
    _numeric("floor", math.floor),
    _arithmetic("minus", _tidy(lambda one, other: one - other)),
    _arithmetic("modulo", _tidy(lambda one, other: one % other)),
    _arithmetic("plus", _tidy(lambda one, other: one + other)),
    Filter("round", _round, 0, 1),
    _arithmetic("times", _tidy(lambda one, other: one * other)),
    Filter("append", _append, 1, 1),
    _textual("base64_decode", _decode(lambda text: base64.b64decode(text, validate=True))),
    _textual("base64_encode", lambda text: base64.b64encode(_encoded(text)).decode()),
    _textual("capitalize", str.capitalize),
    _textual("downcase", str.lower),
    _textual("escape", html.escape),
    _textual("escape_once", lambda text: html.escape(html.unescape(text))),
    _textual("lstrip", str.lstrip),
    _textual("newline_to_br", lambda text: text.replace("\r\n", "\n").replace("\n", "<br />\n")),
    Filter("prepend", _prepend, 1, 1),
    Filter("remove", lambda value, args: _replace(-1)(value, args), 1, 1),
    Filter("remove_first", lambda value, args: _replace(1)(value, args), 1, 1),
    Filter("remove_last", _replace_last, 1, 1),
    Filter("replace", _replace(-1), 1, 2),
    Filter("replace_first", _replace(1), 1, 2),
    Filter("replace_last", _replace_last, 2, 2),
    _textual("rstrip", str.rstrip),
    Filter("slice", _slice, 1, 2),
    Filter("split", _split, 1, 1),
    _textual("squish", lambda text: " ".join(text.split())),
    _textual("strip", str.strip),
    _textual("strip_html", _strip_html),
    _textual("strip_newlines", lambda text: text.replace("\r\n", "").replace("\n", "")),
    Filter("truncate", _truncate, 0, 2),
    Filter("truncatewords", _truncatewords, 0, 2),
    _textual("upcase", str.upper),
    _textual("url_decode", urllib.parse.unquote_plus),
    _textual("url_encode", urllib.parse.quote_plus),
    _listed("compact", lambda items, args: [item for item in items if _property(item, args) is not None], 0, 1),
    _listed("concat", _concat, 1, 1),
    _listed("find", _find, 1, 2),
    _listed("find_index", _at, 1, 2),
    Filter("first", _first),
    _listed("has", lambda items, args: _at(items, args) is not None, 1, 2),
    _listed("join", _join, 0, 1),
    Filter("last", _last),
    _listed("map", lambda items, args: [_property(item, args) for item in items], 1, 1),
    _listed("reject", lambda items, args: [item for item in items if not _chosen(item, args)], 1, 2),
    _listed("reverse", lambda items, _: items[::-1]),
    Filter("size", _size),
    _listed("sort", _sort(lambda value: value), 0, 1),
    _listed("sort_natural", _sort(lambda value: None if value is None else text_of(value).lower()), 0, 1),
    _listed("sum", _sum, 0, 1),
    _listed("uniq", _uniq, 0, 1),
    _listed("where", lambda items, args: [item for item in items if _chosen(item, args)], 1, 2),
    Filter("date", _date, 1, 1),
    Filter("default", lambda value, _: value, 1, 1, frozenset({"allow_false"})),
    Filter("json", _json),
)  # fmt: skip

FILTERS: Mapping[str, Filter] = MappingProxyType({each.name: each for each in _ALL})
