"""Markdown to a flat list of blocks, whole or as it streams in; pure.

`parse(text)` reads a whole text. `Splitter` gives the same blocks for text that arrives in pieces and re-reads only the
open tail: everything before the last block that began on a complete line cannot change any more. Raw HTML stays text,
images become links, nothing is ever loaded.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

Kind = Literal["paragraph", "heading", "code", "table", "divider"]
Align = Literal["left", "right", "center"]

FENCE_CLOSE = re.compile(r" {0,3}(`{3,}|~{3,})[ \t]*$")
LONE_SURROGATE = re.compile("[\ud800-\udfff]")
TASK = re.compile(r"\[([ xX])\] +")


@cache
def markdown_parser() -> "MarkdownIt":
    """The parser; imported with the first words to parse, not with the window."""
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


@dataclass(frozen=True, slots=True)
class Block:
    """One leaf of the document: what is laid out on its own."""

    kind: Kind
    text: str
    """Inline markdown of a paragraph or heading; the plain text of code, without a last line break."""
    first_line: int
    last_line: int
    """Lines of the source [first, last), counted from 0."""
    level: int = 0
    """1–6 for headings."""
    indent: int = 0
    """How many lists it lies in."""
    quote: int = 0
    """How many quotes it lies in."""
    marker: str = ""
    """Of the first leaf of a list item: a bullet, `3.`, or a task box ☐ ☑."""
    info: str = ""
    """The language of code."""
    rows: tuple[tuple[str, ...], ...] = ()
    """Cells of a table as inline markdown, head first."""
    aligns: tuple[Align, ...] = ()


class ListPlace(NamedTuple):
    """Where in a list the open tail begins, so that it goes on counting."""

    ordered: bool
    mark: str
    number: int


@dataclass(frozen=True, slots=True)
class Unit:
    """A top-level block or one item of a top-level list: the grain in which the tail is frozen."""

    first_line: int
    blocks: tuple[Block, ...]
    place: ListPlace | None
    """For an item that is not the first of its list."""
    fence: "Fence | None" = None
    """For a top-level fence that may still be open."""


class Fence(NamedTuple):
    """The opening line of a fenced block."""

    char: str
    length: int
    info: str


def parse(text: str) -> list[Block]:
    """The blocks of a whole text."""
    units, _ = _parse(_normal(text), 0, None)
    return [block for unit in units for block in unit.blocks]


def references(text: str) -> dict[str, tuple[str, str]]:
    """The link references a whole text defines: label → (url, title)."""
    return {label: (url, title) for label, (url, title, _) in _parse(_normal(text), 0, None)[1].items()}


class Splitter:
    """Blocks of a text that grows at its end."""

    __slots__ = (
        "_carry",
        "_fence",
        "_fence_lines",
        "_frozen",
        "_line",
        "_place",
        "_refs",
        "_tail",
        "_tail_refs",
        "blocks",
    )

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        """All blocks so far; those before what `feed` returned never change again in this call."""
        self._frozen = 0
        self._line = 0  # the source line the tail begins on
        self._tail = ""
        self._carry = ""  # a carriage return whose line feed may still come
        self._place: ListPlace | None = None
        self._fence: Fence | None = None
        self._fence_lines: list[str] = []
        self._refs: dict[str, tuple[str, str, int]] = {}
        self._tail_refs: dict[str, tuple[str, str, int]] = {}

    @property
    def references(self) -> dict[str, tuple[str, str]]:
        """The link references defined so far; the first definition of a label wins."""
        return {label: (url, title) for label, (url, title, _) in {**self._tail_refs, **self._refs}.items()}

    def feed(self, delta: str) -> int:
        """Adds text; returns how many leading blocks are the same as before."""
        delta = self._carry + delta
        self._carry = ""
        if delta.endswith("\r"):
            delta, self._carry = delta[:-1], "\r"
        if not delta:
            return len(self.blocks)
        return self._take(_normal(delta))

    def close(self) -> int:
        """Ends the text; returns how many leading blocks are the same as before."""
        if not self._carry:
            return len(self.blocks)
        self._carry = ""
        return self._take("\n")

    def _take(self, delta: str) -> int:
        kept = self._frozen
        if self._fence is None:
            self._tail += delta
            self._read_tail()
        else:
            rest = self._in_fence(self._fence, delta)
            if rest is not None:
                self._tail = rest
                self._read_tail()
        return kept

    def _read_tail(self) -> None:
        units, self._tail_refs = _parse(self._tail, self._line, self._place)
        del self.blocks[self._frozen :]
        for unit in units:
            self.blocks.extend(unit.blocks)
        cut = self._line + self._tail.count("\n")  # the incomplete last line may still change what it is
        last = max((i for i, unit in enumerate(units) if unit.first_line < cut), default=0)
        if last:
            self._freeze(units, last)
        if units and self._fence is None and len(units) == last + 1:
            self._enter_fence(units[last])

    def _freeze(self, units: list[Unit], last: int) -> None:
        start = units[last].first_line
        self._frozen += sum(len(unit.blocks) for unit in units[:last])
        lines = self._tail.split("\n")
        self._tail = "\n".join(lines[start - self._line :])
        for label, found in self._tail_refs.items():
            if found[2] < start:
                self._refs.setdefault(label, found)
        self._line = start
        self._place = units[last].place

    def _enter_fence(self, unit: Unit) -> None:
        """From an open fence on, lines are only collected: a long listing must not be parsed again for every token."""
        lines = self._tail.split("\n")
        fence, skip = unit.fence, unit.first_line - self._line
        if fence is None or len(lines) < skip + 2 or lines[skip].startswith(" "):
            return
        if any(_closes(line, fence) for line in lines[skip + 1 :]):
            return
        self._fence = fence
        self._fence_lines = lines[skip + 1 : -1]
        self._line = unit.first_line
        self._place = None
        self._tail = lines[-1]

    def _in_fence(self, fence: Fence, delta: str) -> str | None:
        """Adds to the open fence; returns what follows it once a complete line closed it, else None."""
        lines = (self._tail + delta).split("\n")
        for index, line in enumerate(lines[:-1]):
            if _closes(line, fence):
                self._show_fence(fence, self._fence_lines, 2)
                self._frozen += 1
                self._line += len(self._fence_lines) + 2
                self._fence, self._fence_lines = None, []
                return "\n".join(lines[index + 1 :])
            self._fence_lines.append(line)
        self._tail = lines[-1]
        if self._tail and not _closes(self._tail, fence):
            self._show_fence(fence, [*self._fence_lines, self._tail], 1)
        else:
            self._show_fence(fence, self._fence_lines, 2 if self._tail else 1)
        return None

    def _show_fence(self, fence: Fence, body: list[str], rims: int) -> None:
        """Replaces the open block; `rims` counts the fence lines around `body`."""
        last = self._line + len(body) + rims
        self.blocks[self._frozen :] = [Block("code", "\n".join(body), self._line, last, info=fence.info)]


def _closes(line: str, fence: Fence) -> bool:
    found = FENCE_CLOSE.match(line)
    return found is not None and found[1][0] == fence.char and len(found[1]) >= fence.length


def _code_text(content: str) -> str:
    return content.removesuffix("\n")


def _normal(text: str) -> str:
    if not text.isascii():
        text = LONE_SURROGATE.sub("\ufffd", text)  # no text engine takes them
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")


def _parse(
    text: str, line: int, place: ListPlace | None
) -> tuple[list[Unit], dict[str, tuple[str, str, int]]]:
    """Units of `text`, whose first line is number `line`; with `place` it goes on inside a list."""
    skip = 0
    if place is not None:
        # An item ahead keeps the reader in the list: alone, the same lines could read as a table. Its text begins so
        # far right that no item of this list can fall inside it.
        text = f"{'1' if place.ordered else ''}{place.mark}    x\n{text}"
        skip = 1
    tokens: list[Token] = []
    env: dict[str, dict[str, dict[str, object]]] = {}
    parser = markdown_parser()
    parser.block.parse(text, parser, env, tokens)
    offset = line - skip
    refs = {
        label: (str(found["href"]), str(found["title"]), _first(found["map"]) + offset)
        for label, found in env.get("references", {}).items()
    }
    return list(_Reader(tokens, offset, place).units()), refs


def _first(span: object) -> int:
    assert isinstance(span, list)
    return int(span[0])  # pyright: ignore[reportUnknownArgumentType]


@dataclass(slots=True)
class _Reader:
    """Walks the block tokens once and flattens containers into the leaves they hold."""

    tokens: "list[Token]"
    offset: int
    place: ListPlace | None
    position: int = 0
    quote: int = 0
    lists: list[ListPlace] = field(default_factory=list[ListPlace])
    marker: str = ""

    def units(self) -> Iterator[Unit]:
        first = True
        while self.position < len(self.tokens):
            token = self.tokens[self.position]
            if token.type in {"bullet_list_open", "ordered_list_open"}:
                yield from self._items(first)
            else:
                start = self._line(token)
                fence = _fence_of(token)
                blocks = tuple(self._block())
                yield Unit(start, blocks, None, fence)
            first = False

    def _items(self, first: bool) -> Iterator[Unit]:
        """The items of a top-level list, one unit each."""
        token = self.tokens[self.position]
        place = self._open_list(token)
        continued = first and self.place is not None
        if continued:
            assert self.place is not None
            place = self.place._replace(number=self.place.number - 1)
        self.position += 1
        index = 0
        while not self.tokens[self.position].type.endswith("_list_close"):
            item = self.tokens[self.position]
            start = self._line(item)
            self.lists.append(place)
            blocks = tuple(self._item(place))
            self.lists.pop()
            here = place if index else None
            if not (continued and index == 0):
                yield Unit(start, blocks, here)
            place = place._replace(number=place.number + 1)
            index += 1
        self.position += 1

    def _item(self, place: ListPlace) -> Iterator[Block]:
        """One item, from its opening to its closing token."""
        item = self.tokens[self.position]
        self.position += 1
        self.marker = f"{place.number}{place.mark}" if place.ordered else "•"
        while self.tokens[self.position].type != "list_item_close":
            yield from self._block()
        self.position += 1
        if self.marker:  # an empty item still shows its marker
            line = self._line(item)
            yield self._leaf("paragraph", "", line, line + 1)

    def _block(self) -> Iterator[Block]:
        token = self.tokens[self.position]
        match token.type:
            case "bullet_list_open" | "ordered_list_open":
                place = self._open_list(token)
                self.position += 1
                while not self.tokens[self.position].type.endswith("_list_close"):
                    self.lists.append(place)
                    yield from self._item(place)
                    self.lists.pop()
                    place = place._replace(number=place.number + 1)
                self.position += 1
            case "blockquote_open":
                self.position += 1
                self.quote += 1
                while self.tokens[self.position].type != "blockquote_close":
                    yield from self._block()
                self.quote -= 1
                self.position += 1
            case "table_open":
                yield self._table()
            case "paragraph_open" | "heading_open":
                inline = self.tokens[self.position + 1]
                level = int(token.tag[1]) if token.type == "heading_open" else 0
                self.position += 3
                first, last = self._lines(token)
                yield self._leaf(
                    "heading" if level else "paragraph", inline.content, first, last, level=level
                )
            case "fence" | "code_block":
                self.position += 1
                first, last = self._lines(token)
                yield self._leaf("code", _code_text(token.content), first, last, info=_language(token.info))
            case "hr":
                self.position += 1
                first, last = self._lines(token)
                yield self._leaf("divider", "", first, last)
            case _:  # pragma: no cover  (the rules enabled give no other)
                self.position += 1

    def _table(self) -> Block:
        first, last = self._lines(self.tokens[self.position])
        rows: list[tuple[str, ...]] = []
        aligns: list[Align] = []
        cells: list[str] = []
        while self.tokens[self.position].type != "table_close":
            token = self.tokens[self.position]
            if token.type == "th_open":
                style = str(token.attrs.get("style", ""))
                aligns.append("right" if "right" in style else "center" if "center" in style else "left")
            elif token.type == "inline":
                cells.append(token.content)
            elif token.type == "tr_close":
                rows.append(tuple(cells))
                cells = []
            self.position += 1
        self.position += 1
        return self._leaf("table", "", first, last, rows=tuple(rows), aligns=tuple(aligns))

    def _leaf(
        self,
        kind: Kind,
        text: str,
        first_line: int,
        last_line: int,
        *,
        level: int = 0,
        info: str = "",
        rows: tuple[tuple[str, ...], ...] = (),
        aligns: tuple[Align, ...] = (),
    ) -> Block:
        marker, self.marker = self.marker, ""
        if marker and kind == "paragraph" and (box := TASK.match(text)):
            marker = "☐" if box[1] == " " else "☑"
            text = text[box.end() :]
        return Block(
            kind, text, first_line, last_line, level, len(self.lists), self.quote, marker, info, rows, aligns
        )

    def _open_list(self, token: "Token") -> ListPlace:
        ordered = token.type == "ordered_list_open"
        start = token.attrs.get("start", 1) if ordered else 1
        return ListPlace(ordered, token.markup, int(start))

    def _line(self, token: "Token") -> int:
        return self._lines(token)[0]

    def _lines(self, token: "Token") -> tuple[int, int]:
        assert token.map is not None, token.type
        return token.map[0] + self.offset, token.map[1] + self.offset


def _fence_of(token: "Token") -> Fence | None:
    if token.type != "fence" or token.level or token.map is None:
        return None
    return Fence(token.markup[0], len(token.markup), _language(token.info))


def _language(info: str) -> str:
    words = info.split(maxsplit=1)
    return words[0] if words else ""
