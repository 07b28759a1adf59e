"""Fuzzy matching for the palette: fast over tens of thousands of names, and it says which letters matched.

A query's words must each be found, in any order. A word found as a substring beats letters found in order; a
match at a word's start beats one inside. Higher scores are better.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nlargest

_SEPARATORS = " -_/.:,"
SCATTERED_BELOW = 3  # with fewer real matches than this, letters in order count too
SCATTERED_MAX = 900  # names tried letter by letter in one search: bounds the time of a key press


@dataclass(frozen=True, slots=True)
class Match:
    """Item number `index` matched with `score`; `spans` are half-open ranges of characters of its name."""

    index: int
    score: int
    spans: tuple[tuple[int, int], ...]


class Haystack:
    """Names prepared once. `bonus` (higher is better) says which of equal matches comes first: recency, kind."""

    def __init__(self, names: Sequence[str], bonus: Sequence[int] = ()) -> None:
        weights = list(bonus) or [0] * len(names)
        assert len(weights) == len(names)
        # Searched in the order of bonus, so that a search which stops early has seen the best ones.
        self._order = sorted(range(len(names)), key=lambda at: (-weights[at], at))
        self._lowered = [" ".join(names[at].lower().split()) for at in self._order]
        self._bonus = [weights[at] for at in self._order]
        self._text = "\n" + "\n".join(self._lowered) + "\n"
        self._starts: list[int] = []
        position = 1
        for name in self._lowered:
            self._starts.append(position)
            position += len(name) + 1
        self._letters = [_letters(name) for name in self._lowered]

    def __len__(self) -> int:
        return len(self._lowered)

    def search(self, query: str, limit: int = 50) -> list[Match]:
        """At most `limit` matches, best first; an empty query gives the names with the highest bonus."""
        words = query.lower().split()
        if not words:
            return [Match(self._order[at], self._bonus[at], ()) for at in range(min(limit, len(self._order)))]
        found: dict[int, int] = {}
        enough = max(200, 4 * limit)
        key = max(words, key=len)
        for needle in ("\n" + key, *(separator + key for separator in _SEPARATORS), key):
            self._collect(needle, words, found, enough)
            if len(found) >= enough:
                break
        if len(found) < SCATTERED_BELOW:
            self._collect_scattered(words, found)
        best = nlargest(limit, found.items(), key=lambda pair: (pair[1], -pair[0]))
        return [Match(self._order[at], score, _spans(self._lowered[at], words)) for at, score in best]

    def _collect(self, needle: str, words: list[str], found: dict[int, int], enough: int) -> None:
        """Scan the one text in C for `needle`; a name is scored at its first hit, then skipped."""
        text, starts = self._text, self._starts
        place = text.find(needle)
        while place >= 0 and len(found) < enough:
            at = bisect_right(starts, place + 1) - 1
            if at not in found and (score := _score(self._lowered[at], words)):
                found[at] = score + self._bonus[at]
            end = starts[at] + len(self._lowered[at])
            place = text.find(needle, end)

    def _collect_scattered(self, words: list[str], found: dict[int, int]) -> None:
        wanted = 0
        for word in words:
            wanted |= _letters(word)
        tried = 0
        for at, letters in enumerate(self._letters):
            if letters & wanted != wanted or at in found:
                continue
            tried += 1
            if tried > SCATTERED_MAX:
                break
            name = self._lowered[at]
            total = 0
            for word in words:
                places = _in_order(name, word)
                # Letters strewn over the whole name are chance, not what was meant.
                if not places or places[-1] - places[0] > 4 * len(word) + 4:
                    break
                total += 20 - min(15, places[-1] - places[0] - len(word) + 1)
            else:
                found[at] = total + self._bonus[at]


def _score(name: str, words: list[str]) -> int:
    """The sum over all words, or 0 if one of them is nowhere in the name."""
    total = 0
    for word in words:
        place = name.find(word)
        if place < 0:
            return 0
        total += _score_at(name, word, place)
    return total


def _score_at(name: str, word: str, place: int) -> int:
    if place == 0:
        score = 120
    elif name[place - 1] in _SEPARATORS:
        score = 90
    else:
        # A later occurrence may start a word, which reads better.
        for separator in _SEPARATORS:
            if separator + word in name:
                return 85 + len(word) - min(20, len(name) // 8)
        score = 50
    return score + len(word) - min(20, len(name) // 8)


def _letters(text: str) -> int:
    bits = 0
    for letter in set(text):
        bits |= 1 << (ord(letter) & 63)
    return bits


def _in_order(name: str, word: str) -> list[int]:
    places: list[int] = []
    start = 0
    for letter in word:
        place = name.find(letter, start)
        if place < 0:
            return []
        places.append(place)
        start = place + 1
    return places


def _spans(name: str, words: list[str]) -> tuple[tuple[int, int], ...]:
    marked: set[int] = set()
    for word in words:
        place = name.find(word)
        for separator in _SEPARATORS:
            if place > 0 and name[place - 1] not in _SEPARATORS and (at := name.find(separator + word)) >= 0:
                place = at + 1
                break
        marked.update(range(place, place + len(word)) if place >= 0 else _in_order(name, word))
    spans: list[tuple[int, int]] = []
    for at in sorted(marked):
        if spans and spans[-1][1] == at:
            spans[-1] = (spans[-1][0], at + 1)
        else:
            spans.append((at, at + 1))
    return tuple(spans)
