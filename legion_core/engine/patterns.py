"""Pure: patterns of users, matched in time that grows with the text alone.

RE2 (BSD licence) has no back references and no look-around, and so no pattern that takes exponential time. What is
left is bounded here: a large pattern on a long text costs at most their product, so the one bounds the other.
"""

from functools import lru_cache
from typing import Any, Protocol, cast

PATTERN_CHARS_MAX = 1_000
PROGRAM_MAX = 1_000  # instructions of the compiled pattern
STEPS_MAX = 500_000  # instructions × bytes: 2 to 5 ms at the 4 to 9 ns measured for the worst patterns
TEXT_BYTES_MAX = 65_536
_MEMORY_BYTES = 1 << 20


class _Program(Protocol):
    @property
    def programsize(self) -> int: ...

    def search(self, text: bytes) -> object | None: ...

    def fullmatch(self, text: bytes) -> object | None: ...


class PatternError(ValueError):
    """The pattern cannot be used; the text says why, fit for a person."""


class Pattern:
    """A compiled pattern; `text_bytes_max` is the longest text it is tried on."""

    __slots__ = ("_program", "text_bytes_max")

    def __init__(self, program: _Program) -> None:
        self._program = program
        self.text_bytes_max = min(TEXT_BYTES_MAX, STEPS_MAX // max(1, program.programsize))

    def search(self, text: str) -> bool | None:
        """Whether it matches anywhere in `text`; None if the text is too long to be tried."""
        encoded = self._encoded(text)
        return None if encoded is None else self._program.search(encoded) is not None

    def covers(self, text: str) -> bool | None:
        """Whether it matches the whole of `text`; None if the text is too long to be tried."""
        encoded = self._encoded(text)
        return None if encoded is None else self._program.fullmatch(encoded) is not None

    def _encoded(self, text: str) -> bytes | None:
        if len(text) > self.text_bytes_max:
            return None
        encoded = text.encode("utf-8", "replace")  # half a surrogate pair is no reason to fail
        return encoded if len(encoded) <= self.text_bytes_max else None


@lru_cache(maxsize=256)
def compiled(pattern: str) -> Pattern:
    """The pattern, ready for use; raises PatternError."""
    import re2

    if len(pattern) > PATTERN_CHARS_MAX:
        raise PatternError(
            f"the pattern has {len(pattern)} characters; at most {PATTERN_CHARS_MAX} are taken."
        )
    engine = cast("Any", re2)
    options = engine.Options()
    options.log_errors = False
    options.max_mem = _MEMORY_BYTES
    try:
        program = cast("_Program", engine.compile(pattern.encode("utf-8", "replace"), options))
    except engine.error as error:
        raise PatternError(_explained(pattern, error)) from None
    if program.programsize > PROGRAM_MAX:
        raise PatternError("the pattern is too large once its repetitions are written out.")
    return Pattern(program)


def i_regexp(pattern: str) -> str:
    """An I-Regexp (RFC 9485) as this engine writes it: there a dot stands for all but both line ends."""
    parts: list[str] = []
    is_escaped = in_class = False
    for letter in pattern:
        if is_escaped:
            is_escaped = False
        elif letter == "\\":
            is_escaped = True
        elif letter == "[":
            in_class = True
        elif letter == "]":
            in_class = False
        elif letter == "." and not in_class:
            parts.append("[^\\n\\r]")
            continue
        parts.append(letter)
    return "".join(parts)


def _explained(pattern: str, error: Exception) -> str:
    raw = error.args[0] if error.args else ""
    words = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw)
    if any(mark in pattern for mark in ("(?=", "(?!", "(?<=", "(?<!")):
        return "the pattern looks ahead or behind (`(?=`, `(?!`, `(?<`), which is not supported."
    if words.startswith("invalid escape sequence"):
        return f"the pattern has an escape that is not supported (back references are not): {words}."
    return f"the pattern cannot be read: {words or 'no reason was given'}."
