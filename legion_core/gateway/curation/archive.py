"""What left the view, found again by its key, by a path, or by words of it. The texts are the history's own: no copies."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from legion_core.gateway.curation.types import Recalled

QUERY_CHARS_MAX = 8_000
_KEY = re.compile(r"#[a-z]?\d+[a-z]?\Z")
_WORD = re.compile(r"[\w./:-]{3,}")


@dataclass(slots=True)
class Piece:
    """One removed text: `label` says what it was the result of."""

    text: str
    ids: tuple[str, ...]
    label: str = ""


class Archive(Mapping[str, str]):
    """Removed texts by key, in the order they were removed."""

    def __init__(self) -> None:
        self._pieces = dict[str, Piece]()

    def __getitem__(self, key: str) -> str:
        return self._pieces[key].text

    def __iter__(self) -> Iterator[str]:
        return iter(self._pieces)

    def __len__(self) -> int:
        return len(self._pieces)

    def put(self, key: str, piece: Piece) -> None:
        """Keep a piece; a key is given once, so a second time changes nothing."""
        self._pieces.setdefault(key, piece)

    def piece(self, key: str) -> Piece | None:
        """The piece of that key."""
        return self._pieces.get(key)

    def recall(self, text: str, limit: int) -> tuple[Recalled, ...]:
        """The piece of that key, or the pieces that hold most of `text`, best first and of equals the newest."""
        asked = text.strip()[:QUERY_CHARS_MAX]
        if not asked:
            return ()
        named = asked if asked.startswith("#") else f"#{asked}"
        if _KEY.match(named):
            return self._by_key(named)
        scored = list[tuple[float, int, str]]()
        lines = [line.strip() for line in asked.split("\n") if len(line.strip()) > 3]
        words = _WORD.findall(asked)[:24]
        for place, (key, piece) in enumerate(self._pieces.items()):
            score = _score(piece, asked, lines, words)
            if score > 0:
                scored.append((score, place, key))
        scored.sort(reverse=True)
        return tuple(
            Recalled(key=key, text=self._pieces[key].text, ids=self._pieces[key].ids, score=round(score, 3))
            for score, _, key in scored[:limit]
        )

    def _by_key(self, key: str) -> tuple[Recalled, ...]:
        """The piece, and what belongs to it: the call's arguments to its result."""
        found = [name for name in (key, f"{key}c") if name in self._pieces]
        return tuple(
            Recalled(key=name, text=self._pieces[name].text, ids=self._pieces[name].ids, score=1.0)
            for name in found
        )


def _score(piece: Piece, asked: str, lines: list[str], words: list[str]) -> float:
    """1 for the whole quote, less for some of its lines or words; what it is the result of counts like its text."""
    if asked in piece.label:
        return 1.0  # what was read from a path, before what only names it
    if asked in piece.text:
        return 0.98
    score = 0.0
    if len(lines) > 1:
        score = 0.95 * sum(line in piece.text for line in lines) / len(lines)
    if words and score < 0.5:
        hits = sum(word in piece.text or word in piece.label for word in words)
        score = max(score, 0.8 * hits / len(words))
    return score if score >= 0.2 else 0.0
