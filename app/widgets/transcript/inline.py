"""Inline markdown to plain text with marked stretches, and back for copying; pure.

Links are kept only for http, https and mailto; an image becomes a link to its address and is never loaded; raw HTML
stays text.
"""

import re
from dataclasses import dataclass
from enum import IntFlag
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from app.widgets.transcript.blocks import markdown_parser

if TYPE_CHECKING:
    from markdown_it.token import Token

LINE_BREAK: Final = "\u2028"
"""A hard break inside one block: the separator text layouts break at."""
PAD: Final = "\u00a0"
"""Room at both ends of inline code; not part of what is copied."""
SCHEMES = frozenset({"http", "https", "mailto"})
SPECIAL = re.compile(r"[\\`*_\[\]<>!&~\n]|https?://")
BARE_URL = re.compile(r"https?://[^\s<>()\[\]{}\"'`*]+")
TRAILING = ".,;:!?…"


class Mark(IntFlag):
    """How a stretch of text is set."""

    BOLD = 1
    ITALIC = 2
    STRIKE = 4
    CODE = 8
    LINK = 16


NO_MARK: Final = Mark(0)


@dataclass(frozen=True, slots=True)
class Span:
    """A marked stretch, in characters of `Rich.text`."""

    start: int
    length: int
    marks: Mark
    url: str = ""

    @property
    def end(self) -> int:
        """One past the last character."""
        return self.start + self.length


@dataclass(frozen=True, slots=True)
class Rich:
    """Plain text and the stretches that are marked; spans are in order and do not overlap."""

    text: str
    spans: tuple[Span, ...] = ()


def read(source: str, references: dict[str, tuple[str, str]] | None = None) -> Rich:
    """Reads inline markdown. `references` are the link definitions of the whole message."""
    if SPECIAL.search(source) is None:
        return Rich(source)
    env = {
        "references": {key: {"href": url, "title": title} for key, (url, title) in (references or {}).items()}
    }
    tokens: list[Token] = []
    parser = markdown_parser()
    parser.inline.parse(source, parser, env, tokens)
    writer = _Writer()
    for token in tokens:
        writer.take(token)
    return writer.done()


def is_safe(url: str) -> bool:
    """Whether a link may be offered to the user at all."""
    try:
        return urlsplit(url).scheme.lower() in SCHEMES
    except ValueError:
        return False


class _Writer:
    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0
        self._spans: list[Span] = []
        self._marks = NO_MARK
        self._depth: dict[Mark, int] = {}
        self._url = ""

    def take(self, token: "Token") -> None:
        match token.type:
            case "text":
                self._words(token.content)
            case "softbreak":
                self._add(" ")
            case "hardbreak":
                self._add(LINE_BREAK)
            case "code_inline":
                self._add(PAD + token.content.replace("\n", " ") + PAD, Mark.CODE)
            case "strong_open" | "em_open" | "s_open":
                self._enter(MARKS[token.type[:-5]], 1)
            case "strong_close" | "em_close" | "s_close":
                self._enter(MARKS[token.type[:-6]], -1)
            case "link_open":
                href = str(token.attrs.get("href", ""))
                self._url = href if is_safe(href) else ""
                if self._url:
                    self._enter(Mark.LINK, 1)
            case "link_close":
                if self._url:
                    self._enter(Mark.LINK, -1)
                self._url = ""
            case "image":
                self._image(token)
            case _:
                self._add(token.content)

    def done(self) -> Rich:
        return Rich("".join(self._parts), tuple(self._spans))

    def _image(self, token: "Token") -> None:
        source = str(token.attrs.get("src", ""))
        words = token.content or source
        if is_safe(source) and not self._url:
            self._add(words, Mark.LINK, source)
        else:
            self._add(words)

    def _words(self, words: str) -> None:
        if self._url or "://" not in words:
            self._add(words)
            return
        position = 0
        for found in BARE_URL.finditer(words):
            url = found[0].rstrip(TRAILING)
            self._add(words[position : found.start()])
            self._add(url, Mark.LINK, url)
            position = found.start() + len(url)
        self._add(words[position:])

    def _enter(self, mark: Mark, step: int) -> None:
        self._depth[mark] = self._depth.get(mark, 0) + step
        if self._depth[mark] > 0:
            self._marks |= mark
        else:
            self._marks &= ~mark

    def _add(self, words: str, more: Mark = NO_MARK, url: str = "") -> None:
        if not words:
            return
        marks, target = self._marks | more, url or self._url
        if marks:
            last = self._spans[-1] if self._spans else None
            joins = (
                last is not None and last.end == self._length and (last.marks, last.url) == (marks, target)
            )
            if last is not None and joins and not marks & Mark.CODE:
                self._spans[-1] = Span(last.start, last.length + len(words), marks, target)
            else:
                self._spans.append(Span(self._length, len(words), marks, target))
        self._parts.append(words)
        self._length += len(words)


MARKS = {"strong": Mark.BOLD, "em": Mark.ITALIC, "s": Mark.STRIKE}


def plain(rich: Rich, start: int = 0, end: int | None = None) -> str:
    """What is copied as plain text from [start, end)."""
    return "".join(words for words, _ in _pieces(rich, start, end)).replace(LINE_BREAK, "\n")


def markdown(rich: Rich, start: int = 0, end: int | None = None) -> str:
    """What is copied as markdown from [start, end): the marks written again."""
    parts: list[str] = []
    for words, span in _pieces(rich, start, end):
        parts.append(_marked(words, span) if span is not None else words)
    return "".join(parts).replace(LINE_BREAK, "\\\n")


def _pieces(rich: Rich, start: int, end: int | None) -> list[tuple[str, Span | None]]:
    stop = len(rich.text) if end is None else min(end, len(rich.text))
    position, found = max(start, 0), list[tuple[str, Span | None]]()
    for span in rich.spans:
        if span.end <= position or span.start >= stop:
            continue
        if span.start > position:
            found.append((rich.text[position : span.start], None))
        first, last = max(span.start, position), min(span.end, stop)
        words = rich.text[first:last]
        if span.marks & Mark.CODE:
            words = words[1:] if first == span.start else words
            words = words[:-1] if last == span.end and words else words
        found.append((words, span))
        position = last
    if position < stop:
        found.append((rich.text[position:stop], None))
    return found


def _marked(words: str, span: Span) -> str:
    core = words.strip(" ")
    if not core:
        return words
    lead, trail = words[: len(words) - len(words.lstrip(" "))], words[len(words.rstrip(" ")) :]
    if span.marks & Mark.CODE:
        ticks = "`" * (max((len(run) for run in re.findall("`+", core)), default=0) + 1)
        inner = f" {core} " if core.startswith("`") or core.endswith("`") else core
        core = f"{ticks}{inner}{ticks}"
    for mark, sign in ((Mark.STRIKE, "~~"), (Mark.ITALIC, "*"), (Mark.BOLD, "**")):
        if span.marks & mark:
            core = f"{sign}{core}{sign}"
    if span.marks & Mark.LINK:
        core = f"<{span.url}>" if core == span.url else f"[{core}]({span.url})"
    return f"{lead}{core}{trail}"
