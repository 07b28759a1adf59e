# ruff: noqa: D102  (what an override does is said in `Laid`)
"""A table: columns as wide as their words where they fit, else shared out; a rule under every row, no grid."""

from bisect import bisect_right
from dataclasses import dataclass

from PySide6.QtCore import Qt

from app.theme.apply import look
from app.theme.paint import hairline
from app.widgets.transcript.blocks import Block
from app.widgets.transcript.inline import Rich, plain, read
from app.widgets.transcript.laid import INDENT_PX, QUOTE_PX, Laid, Paint, Spot, link_spot, paint_quote_bars
from app.widgets.transcript.para import Para

GAP_PX = 24
PAD_Y = 6
COLUMN_MIN_PX = 48
ALIGN = {
    "left": Qt.AlignmentFlag.AlignLeft,
    "right": Qt.AlignmentFlag.AlignRight,
    "center": Qt.AlignmentFlag.AlignHCenter,
}


@dataclass(frozen=True, slots=True)
class Cells:
    """The rows of a table, laid out: read, measured, and as paragraphs in columns of `(left edge, width)`."""

    block: Block
    references: int
    rich: list[list[Rich]]
    wishes: list[list[int]]
    columns: list[tuple[int, int]]
    paras: list[list[Para]]


class TableLaid(Laid):
    """One table. Selectable text is its cells, tabs between and line breaks after rows."""

    __slots__ = ("_block", "_cells", "_columns", "_left", "_starts", "_text", "_tops", "cells")

    def __init__(
        self,
        block: Block,
        references: dict[str, tuple[str, str]],
        width: int,
        before: Cells | None = None,
    ) -> None:
        """`before` are the cells of the same table a moment ago, while it streams: they are taken over."""
        self._block = block
        self._left = block.quote * QUOTE_PX + block.indent * look().px(INDENT_PX)
        self.cells = _lay_cells(block, references, width - self._left, before)
        self._cells, self._columns = self.cells.paras, self.cells.columns
        line = look().px(20)
        self._tops: list[int] = []
        self._starts: list[int] = []
        parts: list[str] = []
        top, position = 0, 0
        for row, paras in zip(self.cells.rich, self._cells, strict=True):
            for column, rich in enumerate(row[: len(self._columns)]):
                self._starts.append(position)
                separator = "\n" if column == len(row) - 1 else "\t"
                parts.append(rich.text + separator)
                position += len(rich.text) + 1
            self._tops.append(top)
            top += max((para.height for para in paras), default=line) + 2 * PAD_Y + 1
        self._text = "".join(parts)
        super().__init__(width, max(top, 1))

    @property
    def letters(self) -> int:
        return len(self._text)

    @property
    def words(self) -> str:
        return self._text

    def paint(self, paint: Paint) -> None:
        paint_quote_bars(paint, self._block.quote, self.height)
        first = max(0, bisect_right(self._tops, paint.clip.top()) - 1)
        flat = sum(len(row) for row in self._cells[:first])
        right = self._columns[-1][0] + self._columns[-1][1] if self._columns else 0
        for index in range(first, len(self._cells)):
            top = self._tops[index]
            if top > paint.clip.bottom():
                break
            for para, (x, _) in zip(self._cells[index], self._columns, strict=False):
                start = self._starts[flat]
                stop = start + len(para.rich.text)
                chosen = _clip(paint.selected, start, stop)
                found = [
                    (max(a, start) - start, min(b, stop) - start, current)
                    for a, b, current in paint.found
                    if a < stop and b > start
                ]
                para.paint(paint.painter, self._left + x, top + PAD_Y, selected=chosen, found=found)
                flat += 1
            bottom = self._tops[index + 1] if index + 1 < len(self._tops) else self.height
            rule = "line.normal" if index == 0 else "line.subtle"
            hairline(paint.painter, self._left, bottom - 1, self._left + right, rule)

    def _cell_at(self, x: float, y: float) -> tuple[int, int, int]:
        """Row, column and flat number of the cell nearest to a point."""
        row = min(max(bisect_right(self._tops, y) - 1, 0), len(self._cells) - 1)
        lefts = [left for left, _ in self._columns]
        column = min(max(bisect_right(lefts, x - self._left) - 1, 0), max(0, len(self._cells[row]) - 1))
        return row, column, sum(len(cells) for cells in self._cells[:row]) + column

    def position_at(self, x: float, y: float) -> int:
        if not self._starts:
            return 0
        row, column, flat = self._cell_at(x, y)
        para = self._cells[row][column]
        return self._starts[flat] + para.position_at(
            x - self._left - self._columns[column][0], y - self._tops[row] - PAD_Y
        )

    def word_at(self, position: int) -> tuple[int, int]:
        flat = max(0, bisect_right(self._starts, position) - 1)
        start = self._starts[flat]
        para = [para for row in self._cells for para in row][flat]
        first, last = para.word_at(position - start)
        return start + first, start + last

    def spot_at(self, x: float, y: float) -> Spot | None:
        if not self._starts:
            return None
        row, column, _ = self._cell_at(x, y)
        span = self._cells[row][column].span_at(
            x - self._left - self._columns[column][0], y - self._tops[row] - PAD_Y
        )
        return link_spot(span) if span else None

    def is_text_at(self, x: float, y: float) -> bool:
        return x >= self._left

    def copied(self, start: int, end: int, *, as_plain: bool) -> str:
        return self._text[start:end].rstrip("\n")


def _lay_cells(
    block: Block, references: dict[str, tuple[str, str]], room: int, before: Cells | None
) -> Cells:
    same = _same_rows(before, block, len(references)) if before is not None else 0
    rich = before.rich[:same] if before is not None else []
    rich += [[read(cell, references) for cell in row] for row in block.rows[same:]]
    wishes = before.wishes[:same] if before is not None else []
    wishes += [_wishes(row) for row in rich[same:]]
    columns = _columns(wishes, room)
    paras = before.paras[:same] if before is not None and before.columns == columns else []
    paras += [_paras(block, columns, row, is_head=at == 0) for at, row in enumerate(rich) if at >= len(paras)]
    return Cells(block, len(references), rich, wishes, columns, paras)


def _same_rows(before: Cells, block: Block, references: int) -> int:
    """How many rows from the top are as they were; none, if a link was defined since, which may be in any cell."""
    if (before.block.aligns, before.references) != (block.aligns, references):
        return 0
    mine, others = before.block.rows, block.rows
    pairs = enumerate(zip(mine, others, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(mine), len(others)))


def _paras(block: Block, columns: list[tuple[int, int]], row: list[Rich], *, is_head: bool) -> list[Para]:
    return [
        Para(
            rich,
            wide,
            "ui",
            weight=500 if is_head else None,
            line_px=look().px(20),
            align=ALIGN[block.aligns[column]] if column < len(block.aligns) else ALIGN["left"],
            colour="text.secondary" if is_head else "text.primary",
        )
        for column, (rich, (_, wide)) in enumerate(zip(row, columns, strict=False))
    ]


def _clip(selected: tuple[int, int] | None, start: int, stop: int) -> tuple[int, int] | None:
    if selected is None or selected[0] >= stop or selected[1] <= start:
        return None
    return max(selected[0], start) - start, min(selected[1], stop) - start


def _wishes(row: list[Rich]) -> list[int]:
    """The width each cell of a row would like."""
    metrics = look().metrics("ui", 500)
    return [round(metrics.horizontalAdvance(plain(rich))) + 8 for rich in row]


def _columns(rows: list[list[int]], room: int) -> list[tuple[int, int]]:
    """Left edge and width of each column, from the wishes of all rows."""
    count = max((len(row) for row in rows), default=0)
    wishes = [COLUMN_MIN_PX // 2] * count
    for row in rows:
        for column, wish in enumerate(row):
            wishes[column] = max(wishes[column], wish)
    free = room - GAP_PX * max(0, count - 1)
    if sum(wishes) > free > 0:
        # The narrow ones keep their width, the wide ones share what is left.
        fair, left = free // count, free
        small = [wish for wish in wishes if wish <= fair]
        left -= sum(small)
        wide = max(1, count - len(small))
        wishes = [wish if wish <= fair else max(COLUMN_MIN_PX, left // wide) for wish in wishes]
    found: list[tuple[int, int]] = []
    x = 0
    for wish in wishes:
        found.append((x, wish))
        x += wish + GAP_PX
    return found
