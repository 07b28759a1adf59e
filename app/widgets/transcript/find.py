"""Finding words in a chat: all places in the raw text, in reading order; pure."""

from collections.abc import Iterable
from typing import NamedTuple

MATCHES_MAX = 10_000


class Match(NamedTuple):
    """One place: the message, and the line of its source it begins on, and which match in that line it is."""

    item: int
    line: int
    nth: int


def find_all(texts: Iterable[str], query: str) -> list[Match]:
    """Every place of `query`, letters of either case alike, at most MATCHES_MAX."""
    wanted = query.lower()
    found: list[Match] = []
    if not wanted.strip():
        return found
    for item, text in enumerate(texts):
        lowered = text.lower()
        at = lowered.find(wanted)
        line, seen, last_line, nth = 0, 0, -1, 0
        while at >= 0:
            line += lowered.count("\n", seen, at)
            seen = at
            nth = nth + 1 if line == last_line else 0
            last_line = line
            found.append(Match(item, line, nth))
            if len(found) >= MATCHES_MAX:
                return found
            at = lowered.find(wanted, at + len(wanted))
    return found


def ranges(words: str, query: str) -> list[tuple[int, int]]:
    """Where `query` stands in the words of a row."""
    wanted, lowered = query.lower(), words.lower()
    found: list[tuple[int, int]] = []
    at = lowered.find(wanted) if wanted else -1
    while at >= 0:
        found.append((at, at + len(wanted)))
        at = lowered.find(wanted, at + len(wanted))
    return found
