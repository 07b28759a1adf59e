"""One stretch of wrapped text at a fixed line height: laid out once, then painted, hit and selected."""

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import cast

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QPainter, QTextCharFormat, QTextLayout, QTextLine, QTextOption

from app.theme.apply import look
from app.theme.paint import rounded
from app.theme.tokens import TextStyle
from app.widgets.transcript.inline import Mark, Rich, Span

CODE_BOX_PX = 18


class Para:
    """Wrapped text. Coordinates are px from its own top left; positions are characters of `rich.text`.

    A line is placed by its baseline, so that a code span or an emoji does not push its line apart.
    """

    __slots__ = (
        "_baseline",
        "_codes",
        "_layout",
        "_lines",
        "_wide",
        "colour",
        "height",
        "line_px",
        "rich",
        "used_width",
    )

    def __init__(
        self,
        rich: Rich,
        width: float,
        style: TextStyle = "body",
        *,
        colour: str = "text.primary",
        weight: int | None = None,
        line_px: int = 0,
        align: Qt.AlignmentFlag = Qt.AlignmentFlag.AlignLeft,
        lines_max: int = 0,
    ) -> None:
        appearance = look()
        self.rich = rich
        self.colour = colour
        self.line_px = line_px or appearance.line(style)
        font = appearance.font(style, weight)
        metrics = appearance.metrics(style, weight)
        self._baseline = round((self.line_px - metrics.ascent() - metrics.descent()) / 2 + metrics.ascent())
        # Qt counts UTF-16 units, Python code points: the letters beyond U+FFFF before a place make the difference.
        self._wide = () if rich.text.isascii() else [i for i, c in enumerate(rich.text) if c > "\uffff"]
        self._codes = [span for span in rich.spans if span.marks & Mark.CODE]
        option = QTextOption(align)
        option.setWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        option.setTextDirection(Qt.LayoutDirection.LayoutDirectionAuto)
        self._layout = layout = QTextLayout(rich.text, font)
        layout.setTextOption(option)
        layout.setCacheEnabled(True)
        if rich.spans:
            layout.setFormats(self._formats(rich.spans, style, weight))
        self._lines: list[QTextLine] = []
        widest = 0.0
        layout.beginLayout()
        while not lines_max or len(self._lines) < lines_max:
            line = layout.createLine()
            if not line.isValid():
                break
            line.setLineWidth(max(1.0, width))
            line.setPosition(QPointF(0, len(self._lines) * self.line_px + self._baseline - line.ascent()))
            widest = max(widest, line.naturalTextWidth())
            self._lines.append(line)
        layout.endLayout()
        self.used_width = math.ceil(widest)
        self.height = max(1, len(self._lines)) * self.line_px

    def paint(
        self,
        painter: QPainter,
        x: float,
        y: float,
        *,
        selected: tuple[int, int] | None = None,
        found: Sequence[tuple[int, int, bool]] = (),
        underline: Span | None = None,
    ) -> None:
        """Paints at (x, y); `found` are (start, end, is current) of a search; `underline` the link under the mouse."""
        appearance = look()
        for span in self._codes:
            for rect in self.rects(span.start, span.end):
                box = appearance.px(CODE_BOX_PX)
                top = rect.y() + (self.line_px - box) / 2
                rounded(
                    painter,
                    QRectF(round(x + rect.x()), round(y + top), round(rect.width()), box),
                    3,
                    fill="bg.sunken",
                    line="line.subtle",
                )
        ranges: list[QTextLayout.FormatRange] = []
        for start, end, current in found:
            ranges.append(self._marked(start, end, _found_format(current=current)))
        if selected is not None and selected[0] < selected[1]:
            ranges.append(self._marked(*selected, _selected_format()))
        if underline is not None:
            hovered = QTextCharFormat()
            hovered.setFontUnderline(True)
            ranges.append(self._marked(underline.start, underline.end, hovered))
        painter.setPen(appearance.colour(self.colour))
        self._layout.draw(painter, QPointF(x, y), ranges)

    def position_at(self, x: float, y: float) -> int:
        """The text position nearest to a point."""
        if not self._lines:
            return 0
        line = self._lines[min(max(int(y // self.line_px), 0), len(self._lines) - 1)]
        return self._points(line.xToCursor(x))

    def span_at(self, x: float, y: float) -> Span | None:
        """The link under a point."""
        if not self.rich.spans or not 0 <= y < self.height:
            return None
        for span in self.rich.spans:
            if span.url and any(rect.contains(x, y) for rect in self.rects(span.start, span.end)):
                return span
        return None

    def rects(self, start: int, end: int) -> list[QRectF]:
        """The boxes [start, end) takes, one a line."""
        found: list[QRectF] = []
        begin, finish = self._units(start), self._units(end)
        for index, line in enumerate(self._lines):
            first = max(begin, line.textStart())
            last = min(finish, line.textStart() + line.textLength())
            if first < last:
                left, right = _x(line, first), _x(line, last)
                found.append(QRectF(min(left, right), index * self.line_px, abs(right - left), self.line_px))
        return found

    def word_at(self, position: int) -> tuple[int, int]:
        """The bounds of the word at a position."""
        text = self.rich.text
        start = end = min(max(position, 0), len(text))
        while start > 0 and (text[start - 1].isalnum() or text[start - 1] == "_"):
            start -= 1
        while end < len(text) and (text[end].isalnum() or text[end] == "_"):
            end += 1
        return start, end

    def _units(self, position: int) -> int:
        """Code points to UTF-16 units."""
        return position + bisect_left(self._wide, position) if self._wide else position

    def _points(self, units: int) -> int:
        """UTF-16 units to code points."""
        return units - sum(1 for i, wide in enumerate(self._wide) if wide + i < units)

    def _marked(self, start: int, end: int, form: QTextCharFormat) -> QTextLayout.FormatRange:
        first = self._units(start)
        result = QTextLayout.FormatRange()
        result.start, result.length, result.format = first, self._units(end) - first, form
        return result

    def _formats(
        self, spans: Sequence[Span], style: TextStyle, weight: int | None
    ) -> list[QTextLayout.FormatRange]:
        found: list[QTextLayout.FormatRange] = []
        for span in spans:
            form = _char_format(span.marks, style, weight)
            if span.marks & Mark.CODE and span.length > 2:
                # The padding is set in the narrow interface font: a code-wide blank would look like two.
                pad = _char_format(Mark(0), "small", None)
                found.append(self._marked(span.start, span.start + 1, pad))
                found.append(self._marked(span.start + 1, span.end - 1, form))
                found.append(self._marked(span.end - 1, span.end, pad))
            else:
                found.append(self._marked(span.start, span.end, form))
        return found


def _x(line: QTextLine, position: int) -> float:
    found = line.cursorToX(position)
    # PySide gives (x, position) for the overload that may move the cursor, x for the other.
    return float(cast("tuple[float, int]", found)[0]) if isinstance(found, tuple) else cast("float", found)


def _char_format(marks: Mark, style: TextStyle, weight: int | None) -> QTextCharFormat:
    appearance = look()
    form = QTextCharFormat()
    bold = 600 if marks & Mark.BOLD else weight
    if marks & Mark.CODE:
        form.setFont(appearance.font("code", 600 if marks & Mark.BOLD else None))
    else:
        form.setFont(appearance.font(style, bold, italic=bool(marks & Mark.ITALIC)))
    if marks & Mark.STRIKE:
        form.setFontStrikeOut(True)
    if marks & Mark.LINK:
        form.setForeground(appearance.colour("accent.text"))
    return form


def _selected_format() -> QTextCharFormat:
    form = QTextCharFormat()
    form.setBackground(look().colour("bg.selected"))
    return form


def _found_format(*, current: bool) -> QTextCharFormat:
    form = QTextCharFormat()
    form.setBackground(look().colour("warn.mark" if current else "warn.soft"))
    form.setForeground(look().colour("bg.content" if current else "warn.text"))
    return form
