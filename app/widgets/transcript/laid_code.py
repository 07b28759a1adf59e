# ruff: noqa: D102  (what an override does is said in `Laid`)
"""A code block: head with language and Copy, lines that scroll inside, colours once it is closed, a fold when long."""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterator

from PySide6.QtCore import QElapsedTimer, QPointF, QRectF, Qt
from PySide6.QtGui import QTextCharFormat, QTextLayout, QTextOption

from app.theme.apply import look
from app.theme.icons import pixmap
from app.theme.paint import hairline, rounded, rounded_path, text
from app.widgets.transcript.blocks import Block
from app.widgets.transcript.highlight import CodeClass, classes
from app.widgets.transcript.laid import INDENT_PX, QUOTE_PX, Laid, Paint, Spot, paint_quote_bars

FOLD_PX = 400
HEAD_PX = 27
PAD_X, PAD_Y = 12, 8
LINES_KEPT = 120
TAB_LETTERS = 4
LINE_LETTERS_MAX = 2000
"""What is shown of one line; all of it is copied."""


def code_height(lines: int, *, folded: bool) -> int:
    """Height of a code block with so many lines, known without laying anything out."""
    appearance = look()
    line = appearance.line("code")
    full = appearance.px(HEAD_PX) + 2 * PAD_Y + lines * line + 2
    if folded:
        return appearance.px(HEAD_PX) + PAD_Y + folded_lines() * line + appearance.px(28) + 2
    return full


def folded_lines() -> int:
    """How many lines a folded block shows."""
    return (FOLD_PX - HEAD_PX) // 19 - 1


def folds(lines: int) -> bool:
    """Whether a block of so many lines is long enough to fold."""
    return lines > folded_lines() + 4


class CodeLaid(Laid):
    """One code block. Lines are laid out when they come into view."""

    __slots__ = (
        "_block",
        "_colours",
        "_folded",
        "_left",
        "_lines",
        "_plain",
        "_shaped",
        "_starts",
        "_wide",
        "_work",
        "offset_x",
    )  # fmt: skip

    def __init__(self, block: Block, width: int, *, folded: bool, closed: bool) -> None:
        self._block = block
        self._lines = block.text.split("\n")
        self._folded = folded
        self._left = block.quote * QUOTE_PX + block.indent * look().px(INDENT_PX)
        self.offset_x = 0.0
        self._shaped: OrderedDict[int, QTextLayout] = OrderedDict()
        self._starts: list[int] = [0]
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line) + 1)
        longest = max((len(line) for line in self._lines), default=0)
        self._wide = min(longest, LINE_LETTERS_MAX) * look().metrics("code").horizontalAdvance("m")
        self._colours: dict[int, list[tuple[int, int, CodeClass]]] = {}
        self._work: Iterator[tuple[int, int, CodeClass]] | None = None
        self._plain = closed and bool(block.info)
        super().__init__(width, code_height(len(self._lines), folded=folded))

    def _shown(self) -> list[str]:
        return self._lines[: folded_lines()] if self._folded else self._lines

    @property
    def letters(self) -> int:
        return len("\n".join(self._shown())) if self._folded else len(self._block.text)

    @property
    def words(self) -> str:
        return self._block.text

    @property
    def needs_colour(self) -> bool:
        """Whether `colour` has more to do."""
        return self._plain or self._work is not None

    @property
    def language(self) -> str:
        """What the fence says it is."""
        return self._block.info

    def colour(self, budget_ms: int) -> None:
        """Does a slice of the colouring, once the lexer is loaded; call again while `needs_colour`."""
        if self._plain:
            self._plain = False
            self._work = classes("\n".join(self._shown()), self._block.info)
        if self._work is None:
            return
        timer = QElapsedTimer()
        timer.start()
        for start, length, kind in self._work:
            self._colour_range(start, length, kind)
            if timer.elapsed() >= budget_ms:
                return
        self._work = None

    def _colour_range(self, start: int, length: int, kind: CodeClass) -> None:
        line = bisect_right(self._starts, start) - 1
        end = start + length
        while line < len(self._lines) and self._starts[line] < end:
            first = max(start, self._starts[line]) - self._starts[line]
            last = min(end, self._starts[line + 1] - 1) - self._starts[line]
            if first < last:
                self._colours.setdefault(line, []).append((first, last, kind))
                self._shaped.pop(line, None)
            line += 1

    def paint(self, paint: Paint) -> None:
        painter, appearance = paint.painter, look()
        paint_quote_bars(paint, self._block.quote, self.height)
        box = QRectF(self._left, 0, self.width - self._left, self.height)
        head = appearance.px(HEAD_PX)
        rounded(painter, box, appearance.tokens.radius("m"), fill="bg.sunken", line="line.subtle")
        hairline(painter, box.x() + 1, head, box.right() - 1)
        label = self._block.info or "text"
        text(painter, QRectF(box.x() + PAD_X, 0, box.width() - 120, head), label, "small", "text.secondary")
        copy = self._copy_rect()
        over = paint.hover is not None and paint.hover.kind == "copy_code"
        done = paint.copied
        ink = "text.primary" if over else "text.tertiary"
        words = "Copied" if done else "Copy"
        x = copy.right() - 8 - look().metrics("small").horizontalAdvance(words)
        text(painter, QRectF(x, 0, copy.right() - x, head), words, "small", ink)
        glyph = pixmap("check" if done else "copy", ink, 13, paint.dpr)
        painter.drawPixmap(QPointF(round(x - 18), round((head - 13) / 2)), glyph)
        self._paint_lines(paint, box, head)
        if self._folded:
            self._paint_fold(paint, box)

    def _paint_lines(self, paint: Paint, box: QRectF, head: int) -> None:
        painter, line_px = paint.painter, look().line("code")
        body = QRectF(box.x() + 1, head + 1, box.width() - 2, self.height - head - 2)
        painter.save()
        painter.setClipPath(rounded_path(body, 5), Qt.ClipOperation.IntersectClip)
        top = head + PAD_Y
        shown = folded_lines() if self._folded else len(self._lines)
        first = max(0, int((paint.clip.top() - top) // line_px))
        last = min(shown, int((paint.clip.bottom() - top) // line_px) + 1)
        metrics = look().metrics("code")
        rise = (line_px - metrics.height()) / 2
        x = box.x() + PAD_X - self.offset_x
        painter.setPen(look().colour("text.primary"))
        for index in range(first, last):
            ranges = self._ranges(index, paint)
            self._shape(index).draw(painter, QPointF(x, round(top + index * line_px + rise)), ranges)
        painter.restore()
        room = box.width() - 2 * PAD_X
        if self._wide > room:
            share = room / self._wide
            length = max(24.0, room * share)
            left = box.x() + PAD_X + (room - length) * (self.offset_x / max(1.0, self._wide - room))
            rounded(painter, QRectF(left, self.height - 6, length, 3), 1.5, fill="scroll.thumb")

    def _ranges(self, index: int, paint: Paint) -> list[QTextLayout.FormatRange]:
        start, stop = self._starts[index], self._starts[index + 1] - 1
        found: list[QTextLayout.FormatRange] = []
        for first, last, current in paint.found:
            if first < stop and last > start:
                form = QTextCharFormat()
                form.setBackground(look().colour("warn.mark" if current else "warn.soft"))
                form.setForeground(look().colour("bg.content" if current else "warn.text"))
                found.append(_range(max(first, start) - start, min(last, stop) - start, form))
        if paint.selected is not None and paint.selected[0] <= stop and paint.selected[1] > start:
            form = QTextCharFormat()
            form.setBackground(look().colour("bg.selected"))
            found.append(
                _range(max(paint.selected[0], start) - start, min(paint.selected[1], stop) - start, form)
            )
        return found

    def _shape(self, index: int) -> QTextLayout:
        shaped = self._shaped.get(index)
        if shaped is not None:
            self._shaped.move_to_end(index)
            return shaped
        shaped = QTextLayout(self._lines[index][:LINE_LETTERS_MAX], look().font("code"))
        shaped.setCacheEnabled(True)
        option = QTextOption()
        option.setTabStopDistance(TAB_LETTERS * look().metrics("code").horizontalAdvance("m"))
        shaped.setTextOption(option)
        formats: list[QTextLayout.FormatRange] = []
        for first, last, kind in self._colours.get(index, ()):
            form = QTextCharFormat()
            form.setForeground(look().colour(f"code.{kind}"))
            formats.append(_range(first, last, form))
        shaped.setFormats(formats)
        shaped.beginLayout()
        line = shaped.createLine()
        if line.isValid():
            line.setNumColumns(LINE_LETTERS_MAX)
            line.setPosition(QPointF(0, 0))
        shaped.endLayout()
        self._shaped[index] = shaped
        if len(self._shaped) > LINES_KEPT:
            self._shaped.popitem(last=False)
        return shaped

    def _paint_fold(self, paint: Paint, box: QRectF) -> None:
        bar = self._fold_rect()
        hairline(paint.painter, box.x() + 1, bar.y(), box.right() - 1)
        more = len(self._lines) - folded_lines()
        over = paint.hover is not None and paint.hover.kind == "fold"
        words = f"Show {more:,} more line{'s' if more != 1 else ''}"
        text(
            paint.painter,
            bar.adjusted(PAD_X, 0, 0, 0),
            words,
            "small",
            "text.primary" if over else "text.secondary",
        )

    def _fold_rect(self) -> QRectF:
        tall = look().px(27)
        return QRectF(self._left, self.height - tall - 1, self.width - self._left, tall)

    def _copy_rect(self) -> QRectF:
        wide = 30 + look().metrics("small").horizontalAdvance("Copied")
        return QRectF(self.width - wide, 0, wide, look().px(HEAD_PX))

    def scroll_x(self, delta: float) -> bool:
        """Moves the lines sideways; False where there is nothing to move."""
        room = self.width - self._left - 2 * PAD_X
        reach = max(0.0, self._wide - room)
        before = self.offset_x
        self.offset_x = min(max(0.0, self.offset_x + delta), reach)
        return self.offset_x != before

    def position_at(self, x: float, y: float) -> int:
        line_px = look().line("code")
        index = int((y - look().px(HEAD_PX) - PAD_Y) // line_px)
        shown = len(self._shown())
        if index < 0:
            return 0
        if index >= shown:
            return max(0, self._starts[shown] - 1)
        shape = self._shape(index)
        inside = shape.lineAt(0).xToCursor(x - self._left - PAD_X + self.offset_x) if shape.lineCount() else 0
        return self._starts[index] + min(inside, len(self._lines[index]))

    def word_at(self, position: int) -> tuple[int, int]:
        code, start, end = self._block.text, position, position
        while start > 0 and (code[start - 1].isalnum() or code[start - 1] == "_"):
            start -= 1
        while end < len(code) and (code[end].isalnum() or code[end] == "_"):
            end += 1
        return start, end

    def spot_at(self, x: float, y: float) -> Spot | None:
        if self._copy_rect().contains(x, y):
            return Spot("copy_code", "", self._copy_rect(), "Copy code")
        if self._folded and self._fold_rect().contains(x, y):
            return Spot("fold", "code", self._fold_rect())
        return None

    def is_text_at(self, x: float, y: float) -> bool:
        return x > self._left + PAD_X and y > look().px(HEAD_PX)


def _range(start: int, end: int, form: QTextCharFormat) -> QTextLayout.FormatRange:
    result = QTextLayout.FormatRange()
    result.start, result.length, result.format = start, end - start, form
    return result
