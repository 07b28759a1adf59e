"""A message as rows: which there are, how far apart, how high by guess; rebuilt from the open tail on while it grows."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from app.theme.apply import look
from app.widgets.transcript import laid_documents
from app.widgets.transcript.blocks import Block, Splitter
from app.widgets.transcript.estimate import text_height
from app.widgets.transcript.inline import read
from app.widgets.transcript.laid import (
    INDENT_PX,
    OWN_INDENT_PX,
    OWN_PAD_X,
    OWN_PAD_Y,
    QUOTE_PX,
    DividerLaid,
    Laid,
    OwnLaid,
    TextLaid,
    text_style,
)  # fmt: skip
from app.widgets.transcript.laid_chrome import ErrorLaid, FooterLaid, NoticeLaid, SeamLaid, ToolLaid, WaitLaid
from app.widgets.transcript.laid_code import CodeLaid, code_height, folds
from app.widgets.transcript.laid_pictures import PicturesLaid, height_of
from app.widgets.transcript.laid_reasoning import HEAD_PX, ReasoningLaid, ThoughtLaid, paragraphs
from app.widgets.transcript.laid_table import Cells, TableLaid
from app.widgets.transcript.model import Message, Seam

RowKind = Literal[
    "block",
    "own",
    "seam",
    "footer",
    "wait",
    "notice",
    "error",
    "tool",
    "reasoning",
    "thought",
    "pictures",
    "documents",
]

OWN_LINES = 40
"""Lines of the user's words in one row: a pasted log is many rows, laid out as they come into view."""
OWN_FOLD_LINES, OWN_SHOWN_LINES = 30, 14
LETTERS_MAX = 6000
"""A longer paragraph is several rows; marks do not reach over the cut."""
GAP_TEXT, GAP_ITEM, GAP_BLOCK, GAP_MESSAGE, GAP_OWN = 7, 3, 8, 12, 10


@dataclass(slots=True, eq=False)
class Row:
    """One row: what it is and, while it is near the viewport, its layout."""

    kind: RowKind
    gap: int
    """Px above it."""
    estimate: int
    """Height with the gap, by guess."""
    block: Block | None = None
    seam: Seam | None = None
    words: str = ""
    first: bool = True
    last: bool = True
    fold: str = ""
    part: int = 0
    """For one text in several rows: the line of the source it begins on, or its number."""
    below: int = 0
    """Px under it."""
    laid: Laid | None = None


class MessageRows:
    """The rows of one message."""

    def __init__(self, message: Message, width: int, is_unfolded: Callable[[str], bool]) -> None:
        self.message = message
        self.width = width
        self.rows: list[Row] = []
        self._is_unfolded = is_unfolded
        self._splitter = Splitter()
        self._block_rows: list[int] = []
        self._head = 0  # how many rows of reasoning stand above the text
        self._end_row = 0
        self._seams: list[tuple[int, int, Seam]] = []
        self._live = message.is_streaming
        self._cells: Cells | None = None
        if message.role == "assistant":
            self._splitter.feed(message.whole_text())
            if not self._live:
                self._splitter.close()
            self._place_seams()
            self._build_reasoning()
        self._build(0)

    @property
    def blocks(self) -> list[Block]:
        """The blocks of an answer."""
        return self._splitter.blocks

    @property
    def references(self) -> dict[str, tuple[str, str]]:
        """The link references of an answer."""
        return self._splitter.references

    def grow(self, delta: str) -> int:
        """Takes streamed text; returns from which row on all are others now."""
        kept = self._splitter.feed(delta)
        return self._build(kept)

    def think(self) -> int:
        """Takes streamed reasoning; returns from which row on all are others now."""
        return self._build_reasoning()

    def finish(self) -> int:
        """Takes the message as it is at its end; returns from which row on all are others now."""
        kept = self._splitter.close()
        return self.refresh(kept)

    def refresh(self, kept: int | None = None) -> int:
        """Takes changed seams, status and badge; returns from which row on all are others now."""
        count = len(self._seams)
        self._place_seams()
        if len(self._seams) != count:
            return self._build(0)
        return self._build(len(self.blocks) if kept is None else kept)

    def rebuild(self) -> list[Row]:
        """All rows anew, after a fold was opened or closed."""
        if self.message.role == "assistant":
            self._build_reasoning()
        self._build(0)
        return self.rows

    def lay(self, row: Row) -> Laid:
        """Lays a row out, whatever it is."""
        width, message = self.width, self.message
        match row.kind:
            case "block":
                assert row.block is not None
                return self._lay_block(row, row.block)
            case "own":
                bubble = 0 if row.first and row.last else width - OWN_INDENT_PX
                return OwnLaid(row.words, width, first=row.first, last=row.last, fold=row.fold, bubble=bubble)
            case "pictures":
                return PicturesLaid(message.id, message.pictures, width)
            case "documents":
                return laid_documents.DocumentsLaid(message.documents, width)
            case "seam":
                assert row.seam is not None
                return SeamLaid(row.seam, width)
            case "footer":
                return FooterLaid(message, width)
            case "reasoning":
                return ReasoningLaid(width, is_open=self.reasoning_is_open)
            case "thought":
                return ThoughtLaid(row.words, width)
            case "wait":
                return WaitLaid(row.words, width)
            case "notice" | "error":
                return (NoticeLaid if row.kind == "notice" else ErrorLaid)(message, width)
            case "tool":
                assert message.tool is not None
                return ToolLaid(message, message.tool, width, is_open=self._tool_is_open())

    @property
    def reasoning_is_open(self) -> bool:
        """Whether the reasoning is shown: by the setting, turned round by the reader."""
        return self.message.shows_thinking != self._is_unfolded(f"{self.message.id}/reasoning")

    def row_of_line(self, line: int) -> int:
        """The row that holds a line of the source."""
        best = 0
        for index, row in enumerate(self.rows):
            if row.kind == "own":
                if row.part <= line:
                    best = index
            elif row.block is not None and row.block.first_line <= line:
                best = index
        return best

    def is_folded(self, row: Row) -> bool:
        """Whether part of a row is hidden behind a fold."""
        block = row.block
        if block is not None and block.kind == "code":
            return self._folded(block, block.text.count("\n") + 1)
        return bool(row.fold)

    def fold_key(self, row: Row) -> str:
        """What names the fold of a row for the whole life of the view."""
        return f"{self.message.id}/{row.block.first_line if row.block else row.kind}"

    # ---- building -----------------------------------------------------------------------------------------------

    def _build(self, kept: int) -> int:
        """Rebuilds the rows of blocks from `kept` on and all after them."""
        if self.message.role != "assistant":
            self.rows = self._plain_rows()
            return 0
        start = self._block_rows[kept] if kept < len(self._block_rows) else self._end_row
        del self._block_rows[kept:]
        for row in self.rows[start:]:
            # A row that is others now must not keep its layout alive in the cache; its table is built on.
            if isinstance(row.laid, TableLaid):
                self._cells = row.laid.cells
            row.laid = None
        del self.rows[start:]
        above = self.blocks[kept - 1].last_line if kept else 0
        for block in self.blocks[kept:]:
            self._block_rows.append(len(self.rows))
            self._add_block(block, above)
            above = block.last_line
        self._end_row = len(self.rows)
        self._add_end()
        return start

    def _build_reasoning(self) -> int:
        """Rebuilds the rows of reasoning, keeping those that are as they were; returns the first that is not."""
        old, rest = self.rows[: self._head], self.rows[self._head :]
        new = self._reasoning_rows()
        same = 0
        while same < min(len(old), len(new)) and (old[same].kind, old[same].words, old[same].fold) == (
            new[same].kind,
            new[same].words,
            new[same].fold,
        ):
            new[same] = old[same]
            same += 1
        for row in old[same:]:
            row.laid = None
        shift = len(new) - len(old)
        self.rows = [*new, *rest]
        self._head = len(new)
        self._block_rows = [at + shift for at in self._block_rows]
        self._end_row += shift
        return len(self.rows) if same == len(new) == len(old) else same

    def _reasoning_rows(self) -> list[Row]:
        thinking = self.message.whole_thinking().strip()
        if not thinking:
            return []
        tall, is_open = look().px(HEAD_PX), self.reasoning_is_open
        rows = [Row("reasoning", GAP_TEXT, GAP_TEXT + tall, fold="open" if is_open else "folded")]
        if not is_open:
            return rows
        letter, line_px = look().metrics("small").averageCharWidth(), look().line("small")
        for words in paragraphs(thinking):
            for part, piece in enumerate(_pieces(words)):
                gap = 0 if part else GAP_ITEM
                guess = text_height(len(piece), piece.count("\n"), self.width - QUOTE_PX, letter, line_px)
                rows.append(Row("thought", gap, gap + guess, words=piece, part=part))
        return rows

    def _add_block(self, block: Block, above: int) -> None:
        """Adds a block with the seams before and inside it; `above` is where the block before it ended."""
        for line, _, seam in self._seams:
            if above <= line < block.first_line:
                self._add_seam(seam)
        inside = [placed for placed in self._seams if block.first_line <= placed[0] < block.last_line]
        cuttable = block.kind == "paragraph" and not block.indent and not block.quote
        position, later = 0, list[Seam]()
        for line, column, seam in inside:
            cut = _cut(block, line, column) if cuttable else len(block.text)
            if cut >= len(block.text):
                later.append(seam)
                continue
            if cut > position:
                self._add_text(replace(block, text=block.text[position:cut].strip()))
            self._add_seam(seam)
            position = cut
        self._add_text(replace(block, text=block.text[position:].lstrip()) if position else block)
        for seam in later:
            self._add_seam(seam)

    def _add_text(self, block: Block) -> None:
        gap = self._gap(block)
        if block.kind in {"paragraph", "heading"} and len(block.text) > LETTERS_MAX:
            for part, words in enumerate(_pieces(block.text)):
                piece = replace(block, text=words, marker=block.marker if not part else "")
                self._add_row(piece, 0 if part else gap, part)
        else:
            self._add_row(block, gap, 0)

    def _add_row(self, block: Block, gap: int, part: int) -> None:
        self.rows.append(Row("block", gap, gap + self._guess(block), block=block, part=part))

    def _add_seam(self, seam: Seam) -> None:
        self.rows.append(Row("seam", 6, 6 + look().px(16), seam=seam))

    def _add_end(self) -> None:
        """What follows the text: seams at its end, what is waited for, or the footer."""
        ending = self.blocks[-1].last_line if self.blocks else 0
        for line, _, seam in self._seams:
            if line >= ending:
                self._add_seam(seam)
        message, tall = self.message, look().px(20)
        if message.is_streaming:
            words = message.note or ("Answering" if self.blocks else "Waiting for the first word")
            self.rows.append(
                Row("wait", GAP_BLOCK, GAP_BLOCK + tall + GAP_MESSAGE, words=words, below=GAP_MESSAGE)
            )
        else:
            self.rows.append(Row("footer", GAP_BLOCK, GAP_BLOCK + tall + GAP_MESSAGE, below=GAP_MESSAGE))

    def _plain_rows(self) -> list[Row]:
        message = self.message
        match message.role:
            case "user":
                return self._own_rows()
            case "error":
                return [Row("error", GAP_TEXT, GAP_TEXT + look().px(70) + GAP_MESSAGE, below=GAP_MESSAGE)]
            case "tool":
                return [Row("tool", GAP_TEXT, GAP_TEXT + look().px(30) + GAP_BLOCK, below=GAP_BLOCK)]
            case _:
                return [Row("notice", GAP_TEXT, GAP_TEXT + look().px(18) + GAP_MESSAGE, below=GAP_MESSAGE)]

    def _own_rows(self) -> list[Row]:
        text = self.message.whole_text().rstrip()
        lines = text.split("\n")
        fold = ""
        if len(lines) > OWN_FOLD_LINES and not self._is_unfolded(f"{self.message.id}/own"):
            fold = f"Show {len(lines) - OWN_SHOWN_LINES:,} more lines"
            lines = lines[:OWN_SHOWN_LINES]
        rows = self._shown_rows(is_alone=not text)
        if rows and not text:
            return rows
        metrics, line_px = look().metrics("body"), look().line("body")
        letter = metrics.averageCharWidth()
        for start in range(0, len(lines), OWN_LINES):
            words = "\n".join(lines[start : start + OWN_LINES])
            for part, piece in enumerate(_pieces(words) if len(words) > LETTERS_MAX else [words]):
                inner = self.width - OWN_INDENT_PX - 2 * OWN_PAD_X
                guess = text_height(len(piece), piece.count("\n"), inner, letter, line_px)
                first = start == 0 and part == 0
                gap = GAP_TEXT if first else 0
                rows.append(
                    Row(
                        "own",
                        gap,
                        gap + guess,
                        words=piece.replace("\n", "\u2028"),
                        first=first,
                        last=False,
                        part=start,
                    )
                )
        rows[-1].last = True
        rows[-1].below = GAP_OWN
        rows[-1].fold = fold
        rows[-1].estimate += OWN_PAD_Y + GAP_OWN + (look().px(24) if fold else 0)
        next(row for row in rows if row.kind == "own").estimate += OWN_PAD_Y
        return rows

    def _shown_rows(self, *, is_alone: bool) -> list[Row]:
        """What is shown with a question stands above its words."""
        pictures, documents, rows = self.message.pictures, self.message.documents, list[Row]()
        if pictures:
            rows.append(Row("pictures", GAP_TEXT, GAP_TEXT + height_of(pictures, self.width)))
        if documents:
            tall = laid_documents.height_of(documents, self.width)
            rows.append(Row("documents", GAP_TEXT, GAP_TEXT + tall))
        if rows and is_alone:
            rows[-1].below = GAP_OWN
            rows[-1].estimate += GAP_OWN
        return rows

    def _gap(self, block: Block) -> int:
        """The space above a block, by what stands before it."""
        before = self.rows[-1].block if self.rows else None
        if before is None:
            return GAP_TEXT
        if block.kind == "heading":
            return 16 if block.level <= 2 else 12
        if block.kind in {"code", "table"} or before.kind in {"code", "table"}:
            return GAP_BLOCK
        if before.kind == "heading":
            return 4
        if block.indent and before.indent and block.marker:
            deeper = block.indent != before.indent
            same_kind = block.marker[0].isdigit() == before.marker[:1].isdigit()
            return GAP_ITEM if deeper or same_kind or not before.marker else GAP_TEXT
        return GAP_TEXT

    def _guess(self, block: Block) -> int:
        match block.kind:
            case "code":
                lines = block.text.count("\n") + 1
                return code_height(lines, folded=self._folded(block, lines))
            case "table":
                return (look().px(20) + 13) * len(block.rows)
            case "divider":
                return look().px(17)
            case _:
                style, _, line_px = text_style(block.level)
                letter = look().metrics(style).averageCharWidth()
                width = self.width - block.quote * QUOTE_PX - block.indent * look().px(INDENT_PX)
                return text_height(len(block.text), 0, width, letter, line_px or look().line(style))

    def _folded(self, block: Block, lines: int) -> bool:
        """Long code is folded, but never while or after it was written before the reader's eyes."""
        key = f"{self.message.id}/{block.first_line}"
        return folds(lines) and not self._live and not self._is_unfolded(key)

    def _lay_block(self, row: Row, block: Block) -> Laid:
        match block.kind:
            case "code":
                lines = block.text.count("\n") + 1
                last = bool(self.blocks) and block.first_line == self.blocks[-1].first_line
                closed = not (self.message.is_streaming and last)
                return CodeLaid(block, self.width, folded=self._folded(block, lines), closed=closed)
            case "table":
                before, self._cells = self._cells, None
                return TableLaid(block, self.references, self.width, before)
            case "divider":
                return DividerLaid(self.width)
            case _:
                return TextLaid(block, read(block.text, self.references), self.width)

    def _tool_is_open(self) -> bool:
        tool = self.message.tool
        toggled = self._is_unfolded(f"{self.message.id}/tool")
        return (tool is not None and tool.state in ("failed", "stopped")) != toggled

    def _place_seams(self) -> None:
        if not self.message.seams:
            self._seams = []
            return
        text = self.message.whole_text()
        self._seams = []
        for seam in self.message.seams:
            line = text.count("\n", 0, seam.at)
            column = seam.at - (text.rfind("\n", 0, seam.at) + 1)
            self._seams.append((line, column, seam))


def _cut(block: Block, line: int, column: int) -> int:
    """The place in a paragraph's text that a line and column of the source fall on, at a blank where one is near."""
    lines = block.text.split("\n")
    before = min(line - block.first_line, len(lines) - 1)
    place = sum(len(words) + 1 for words in lines[:before]) + min(column, len(lines[before]))
    blank = block.text.rfind(" ", max(0, place - 20), place + 1)
    return (
        blank
        if blank > 0 and not block.text[place - 1 : place].isspace() and place < len(block.text)
        else place
    )


def _pieces(text: str) -> list[str]:
    """A long text in pieces of at most LETTERS_MAX characters, cut at blanks where there are any."""
    found: list[str] = []
    start = 0
    while len(text) - start > LETTERS_MAX:
        stop = max(text.rfind(" ", start, start + LETTERS_MAX), text.rfind("\n", start, start + LETTERS_MAX))
        stop = stop + 1 if stop > start else start + LETTERS_MAX
        found.append(text[start:stop])
        start = stop
    found.append(text[start:])
    return found
