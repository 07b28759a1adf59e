"""What left the view, found again by its key, by a path, or by words of it. The texts are the history's own: no copies."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import log

from legion_core.gateway.curation.calls import kind_of
from legion_core.gateway.curation.types import Recalled

QUERY_CHARS_MAX = 8_000
WORDS_AT_MOST = 0.8  # the score of a piece that holds every word, but not as a quote or by its name
SCORE_LEAST = 0.2
HAS_LINE = 0.94  # of a read that holds the line asked for
ABOUT = 0.99  # of a command that names what is asked for
NAMED_MAX = 12  # pieces of one path
NAMED_CHARS_MAX = 20_000
_KEY = re.compile(r"#[a-z]?\d+[a-z]?\Z")
_WORD = re.compile(r"[\w./:-]{3,}")
_LINE = re.compile(r"\blines? (\d{1,7})\b", re.IGNORECASE)
_SPAN = re.compile(r":(\d+)-(\d+)")
_WRITTEN = re.compile(r"\b(?:edit|writ(?:e|ten)|wrote|creat|chang|insert|put into)", re.IGNORECASE)
_PHRASE = re.compile(r"['\"`\u201c]([^'\"`\u201c\u201d\n]{4,200})['\"`\u201d]")


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
        """The piece of that key, or the pieces that hold most of `text`, best first and of equals the newest.

        A question may name a path, a line of it, or a phrase in quotation marks. With a result come the arguments of its
        call, and with these the result, so there may be twice `limit` pieces;
        of a path more, as long as they are short. Of a read too long for an answer the part around the line comes.
        """
        asked = text.strip()[:QUERY_CHARS_MAX]
        if not asked:
            return ()
        named = asked if asked.startswith("#") else f"#{asked}"
        if _KEY.match(named):
            return self._by_key(named)
        question = _Question.of(asked)
        scored = self._scored(question, limit)
        scores, told = dict[str, float](), set[str]()
        chars = 0
        for score, _, key in scored:
            # All that was read of a file and written to it, or every version of a line, as far as an answer holds it.
            text = self._pieces[key].text
            size = len(text)
            if score >= HAS_LINE and text in told:
                continue  # read again as it was
            if len(told) >= limit:
                if (score <= ABOUT and score != HAS_LINE) or len(scores) >= NAMED_MAX:
                    break
                if chars + size > NAMED_CHARS_MAX:
                    continue
            chars += size
            told.add(text if score >= HAS_LINE else key)
            other = key.removesuffix("c") if key.endswith("c") else f"{key}c"
            for name in (key, other) if score >= 0.8 else (key,):
                if name in self._pieces:
                    scores.setdefault(name, score)
        return tuple(
            Recalled(
                key=key,
                text=question.around_line(piece) if score == HAS_LINE else piece.text,
                ids=piece.ids,
                score=round(score, 3),
            )
            for key, score in scores.items()
            if (piece := self._pieces[key])
        )

    def _scored(self, question: "_Question", limit: int) -> list[tuple[float, int, str]]:
        """Score, place and key of what fits, best first. Words are counted only where names leave a place free."""
        named, others = list[tuple[float, int, str]](), list[tuple[int, str, Piece, float]]()
        for place, (key, piece) in enumerate(self._pieces.items()):
            score = question.score(piece)
            if score > WORDS_AT_MOST:
                named.append((score, place, key))
            else:
                others.append((place, key, piece, score))
        if len(named) < limit:
            by_words = question.scores_by_words([piece for _, _, piece, _ in others])
            for (place, key, _, score), words in zip(others, by_words, strict=True):
                if (least := max(score, words)) >= SCORE_LEAST:
                    named.append((least, place, key))
        named.sort(reverse=True)
        return named

    def _by_key(self, key: str) -> tuple[Recalled, ...]:
        """The piece, and what belongs to it: the call's arguments to its result."""
        found = [name for name in (key, f"{key}c") if name in self._pieces]
        return tuple(
            Recalled(key=name, text=self._pieces[name].text, ids=self._pieces[name].ids, score=1.0)
            for name in found
        )


@dataclass(frozen=True, slots=True)
class _Question:
    """What is asked for, taken apart once."""

    asked: str
    lines: list[str]
    words: list[str]
    paths: list[str]
    phrases: list[str]
    line: int | None
    asks_what_was_written: bool

    @classmethod
    def of(cls, asked: str) -> "_Question":
        words = _WORD.findall(asked)[:24]
        number = _LINE.search(asked)
        return cls(
            asked=asked,
            lines=[line.strip() for line in asked.split("\n") if len(line.strip()) > 3],
            words=words,
            paths=[path for word in words if "/" in (path := word.strip(".:"))],
            phrases=[found[1] for found in _PHRASE.finditer(asked)][:8],
            line=int(number[1]) if number else None,
            asks_what_was_written=_WRITTEN.search(asked) is not None,
        )

    def score(self, piece: Piece) -> float:
        """1 for the whole quote, less for some of its lines or words; what it is the result of counts like its text."""
        if self.asked in piece.label:  # what was read from a path, before what only names it
            return 1.0 if self.asked in piece.label.partition(" ")[2].split(" ", 1)[0] else ABOUT
        if self.asked in piece.text:
            return 0.98
        score = self._by_name(piece)
        if len(self.lines) > 1:
            score = max(score, 0.95 * sum(line in piece.text for line in self.lines) / len(self.lines))
        return score

    def around_line(self, piece: Piece) -> str:
        """The text, or where it is long what stands before and behind the line asked for, in whole lines."""
        if self.line is None or len(piece.text) <= NAMED_CHARS_MAX:
            return piece.text
        span = _SPAN.search(piece.label)
        lines = piece.text.split("\n")
        at = min(max(0, self.line - (int(span[1]) if span else 1)), len(lines) - 1)
        first = last = at
        left = NAMED_CHARS_MAX - len(lines[at])
        while left > 0 and (first > 0 or last < len(lines) - 1):
            if first > 0:
                first -= 1
                left -= len(lines[first]) + 1
            if last < len(lines) - 1:
                last += 1
                left -= len(lines[last]) + 1
        return "\n".join(lines[first : last + 1])

    def scores_by_words(self, pieces: Sequence[Piece]) -> list[float]:
        """For each piece which part of the words stands in it, a rare word counting more; at most `WORDS_AT_MOST`."""
        hits = [[word in piece.text or word in piece.label for piece in pieces] for word in self.words]
        # A word of every piece tells nothing, but where there is no other it is better than none.
        weights = [
            log((1 + len(pieces) / found) / 2) + 0.01 if (found := sum(each)) else 0.0 for each in hits
        ]
        whole = sum(weights)
        if not whole:
            return [0.0] * len(pieces)
        return [
            WORDS_AT_MOST * sum(weight for weight, hit in zip(weights, each, strict=True) if hit) / whole
            for each in zip(*hits, strict=True)
        ]

    def _by_name(self, piece: Piece) -> float:
        """For a named path its reads and edits, those first that cover the line; for a phrase what was called with it."""
        for path in self.paths:
            at = piece.label.find(path)
            if at >= 0:
                tool, _, rest = piece.label.partition(" ")
                is_meant = tool.lower() in self.asked.lower() or (
                    self.asks_what_was_written and kind_of(tool) in ("edit", "write")
                )
                score = 0.88 if is_meant else 0.84
                if self.line is None:
                    return score
                if path not in rest.split(" ", 1)[0]:
                    return 0.81  # a command that only names it
                span = _SPAN.match(piece.label, at + len(path))
                if span is None:
                    return HAS_LINE if piece.text.count("\n") + 1 >= self.line else 0.82
                return HAS_LINE if int(span[1]) <= self.line <= int(span[2]) else 0.8
        for phrase in self.phrases:
            if phrase in piece.label:
                return 0.92
            if phrase in piece.text[:2_000]:
                return 0.86
        return 0.0
