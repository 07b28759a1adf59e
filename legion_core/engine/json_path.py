"""Pure: JSONPath by RFC 9535, whole, with its work bounded before it begins.

The reading and the walking are done by `python-jsonpath` (MIT licence) in its strict mode; its two functions that take a
pattern are replaced by ones that match in linear time.
"""

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, cast

from legion_core.engine.patterns import PatternError, compiled, i_regexp
from legion_core.engine.refusal import shown

CHARS_MAX = 1_000
FOUND_MAX = 100_000  # values one path may give: as many as fan out at most
VISITS_MAX = 1_000_000  # values a path may look at, by an estimate from above
_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"|' + r"'(?:[^'\\]|\\.)*'")


class PathFault(ValueError):
    """The path cannot be read, or would look at too much; the text is a sentence."""


@dataclass(frozen=True, slots=True)
class JsonPath:
    """A path ready for use. `is_single` means it names one place at most, such as `$.a[0].b`."""

    text: str
    is_single: bool
    _query: Any
    _descents: int
    _absolutes: int
    _is_selective: bool

    def find(self, value: object) -> list[object]:
        """The values found, in the order of the RFC; raises PathFault where that would be too much work."""
        if self._descents or self._is_selective:
            self._estimate(value)
        found: list[object] = []
        try:
            for match in self._query.finditer(value):
                found.append(match.obj)
                if len(found) > FOUND_MAX:
                    raise PathFault(f"{self.text} finds more than {FOUND_MAX} values.")
        except (_errors(), RecursionError) as error:
            raise PathFault(f"{self.text} cannot be followed: {error}.") from None
        return found

    def _estimate(self, value: object) -> None:
        """A `..` visits each value once for each of its ancestors; an absolute query in a filter starts anew."""
        count, depth = _extent(value)
        visits = count * depth**self._descents * count**self._absolutes
        if visits > VISITS_MAX:
            raise PathFault(
                f"{self.text} would look at about {visits:,} values; at most {VISITS_MAX:,} are looked at."
            )


@lru_cache(maxsize=1024)
def path(text: str) -> JsonPath:
    """The path ready for use; raises PathFault."""
    if len(text) > CHARS_MAX:
        raise PathFault(f"the path has {len(text)} characters; at most {CHARS_MAX} are taken.")
    if not text.startswith("$"):
        raise PathFault(f"{shown(text)} is not a path: it begins with $.")
    try:
        query = _environment().compile(text)
    except (_errors(), RecursionError, ValueError) as error:
        raise PathFault(f"{shown(text)} is not a path: {str(error) or type(error).__name__}.") from None
    bare = _STRINGS.sub("", text)
    return JsonPath(
        text=text,
        is_single=bool(query.singular_query()),
        _query=query,
        _descents=bare.count(".."),
        _absolutes=bare.count("$") - 1,
        _is_selective="?" in bare,
    )


def _extent(value: object) -> tuple[int, int]:
    """How many values there are in all, and how deep they stand; counting ends past the bound."""
    count, depth = 0, 0
    level: list[object] = [value]
    while level and count <= VISITS_MAX:
        count += len(level)
        depth += 1
        deeper: list[object] = []
        for each in level:
            if isinstance(each, dict):
                deeper.extend(cast("dict[str, object]", each).values())
            elif isinstance(each, list):
                deeper.extend(cast("list[object]", each))
        level = deeper
    return count, depth


@cache
def _errors() -> type[Exception]:
    from jsonpath.exceptions import JSONPathError

    return JSONPathError


@cache
def _environment() -> Any:
    from jsonpath import JSONPathEnvironment
    from jsonpath.function_extensions import ExpressionType, FilterFunction

    class Matching(FilterFunction):
        """`match` and `search`: a pattern or a text that cannot be tried is no match, as the RFC has it."""

        @property
        def arg_types(self) -> list[ExpressionType]:
            return [ExpressionType.VALUE, ExpressionType.VALUE]

        @property
        def return_type(self) -> ExpressionType:
            return ExpressionType.LOGICAL

        def __init__(self, *, is_whole: bool) -> None:
            self._is_whole = is_whole

        def __call__(self, value: object, pattern: object) -> bool:
            if not isinstance(value, str) or not isinstance(pattern, str):
                return False
            try:
                ready = compiled(i_regexp(pattern))
            except PatternError:
                return False
            return (ready.covers(value) if self._is_whole else ready.search(value)) is True

    environment = JSONPathEnvironment(strict=True)
    standard = {name: environment.function_extensions[name] for name in ("length", "count", "value")}
    environment.function_extensions = {
        **standard,
        "match": Matching(is_whole=True),
        "search": Matching(is_whole=False),
    }
    return environment
