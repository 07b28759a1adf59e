# ruff: noqa: D102  (Qt overrides do what Qt says)
"""A waterfall: rows of bars on one time axis, with what each took beside it. A row may be chosen."""

from collections.abc import Sequence
from typing import Protocol

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QHelpEvent, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from app.theme.apply import look
from app.theme.focus import has_keyboard_focus
from app.theme.paint import RIGHT, focus_ring, rounded, text

LABEL, ROW, BAR, SHORTEST = 88, 24, 14, 3.0


class PartLike(Protocol):
    """A stretch in seconds and the token of its colour."""

    @property
    def start_s(self) -> float: ...
    @property
    def end_s(self) -> float: ...
    @property
    def colour(self) -> str: ...


class FallLike(Protocol):
    """A row: see `show_rows`."""

    @property
    def label(self) -> str: ...
    @property
    def parts(self) -> Sequence[PartLike]: ...
    @property
    def note(self) -> str: ...
    @property
    def is_failed(self) -> bool: ...
    @property
    def key(self) -> str: ...
    @property
    def spoken(self) -> str: ...


Span = tuple[float, float, float]
"""Where a bar begins and ends, as shares of the axis, and the px its note takes with the air around it."""


def reserve(width: float, spans: Sequence[Span], *, is_before: bool = True) -> float:
    """How much shorter than `width` an axis is drawn so that every note stands whole after its bar, or before it."""
    needed = 0.0
    for start, end, wanted in spans:
        after, before = width * (1 - min(1.0, end)), width * start if is_before else 0.0
        if wanted > max(after, before) and end > 0:
            # After a bar there is what the axis leaves and what it is shortened by.
            needed = max(needed, (wanted - after) / min(1.0, end))
    return min(needed, width / 2)


class WaterfallView(QWidget):
    """Painted. Rows with a key can be clicked, or walked by arrows and opened by Enter."""

    chosen = Signal(str)

    def __init__(self, name: str, title: str) -> None:
        super().__init__()
        self.setObjectName(name)
        self._title = title
        self._rows: Sequence[FallLike] = ()
        self._total_s = 1.0
        self._current = ""
        self._cursor = 0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setMouseTracking(True)
        look().theme_changed.connect(self.updateGeometry)

    def show_rows(self, rows: Sequence[FallLike], total_s: float, current: str = "", words: str = "") -> None:
        """Draw these on an axis of `total_s`; `current` is the key of the row that is looked at, `words` the whole told."""
        self._rows, self._total_s, self._current = rows, max(total_s, 0.001), current
        self._cursor = next((at for at, row in enumerate(rows) if row.key and row.key == current), 0)
        can_choose = any(row.key for row in rows)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus if can_choose else Qt.FocusPolicy.NoFocus)
        self.setAccessibleName(f"{words or self._title}: " + "; ".join(row.spoken for row in rows))
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(200, look().px(ROW) * len(self._rows) + look().px(18))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        height, label = look().px(ROW), self._label_width()
        axis = QRectF(label, 0, self.width() - label - 1, height * len(self._rows))
        axis.setWidth(axis.width() - self._reserve(axis.width()))
        for at, row in enumerate(self._rows):
            if row.key and row.key == self._current:
                rounded(painter, QRectF(-4, at * height, self.width() + 8, height), 3, fill="bg.selected")
        painter.setPen(QPen(look().colour("line.normal"), 1))
        for part in range(4):
            x = round(axis.left() + (axis.width() - 1) * part / 3) + 0.5
            painter.drawLine(QPointF(x, 0), QPointF(x, axis.bottom()))
        for at, row in enumerate(self._rows):
            self._paint_row(painter, row, at * height, height, axis)
        foot = QRectF(axis.left(), axis.bottom() + 3, axis.width(), look().px(14))
        text(painter, foot, "0 s", "caption", "text.tertiary", weight=400)
        text(painter, foot, _seconds(self._total_s), "caption", "text.tertiary", weight=400, align=RIGHT)
        if self.hasFocus() and has_keyboard_focus(self) and self._rows:
            ring = QRectF(0, self._cursor * height, self.width(), height)
            focus_ring(painter, ring, 3, inside=True)
        painter.end()

    def _reserve(self, width: float) -> float:
        metrics, spans = look().metrics("small"), list[Span]()
        for row in self._rows:
            if row.parts and row.note:
                start = min(part.start_s for part in row.parts) / self._total_s
                end = max(part.end_s for part in row.parts) / self._total_s
                wanted = metrics.horizontalAdvance(row.note) + 10 + (11 if row.is_failed else 0)
                spans.append((start, end, wanted))
        return reserve(width, spans)

    def _label_width(self) -> float:
        metrics = look().metrics("small")
        widest = max((metrics.horizontalAdvance(row.label) for row in self._rows), default=0.0)
        return max(look().px(LABEL), min(widest + 10, 0.4 * self.width()))

    def _paint_row(self, painter: QPainter, row: FallLike, top: float, height: float, axis: QRectF) -> None:
        label = QRectF(0, top, axis.left() - 8, height)
        text(painter, label, row.label, "small", "err.text" if row.is_failed else "text.secondary")
        scale = (axis.width() - 1) / self._total_s
        y = top + (height - BAR) / 2
        left, right = axis.right(), axis.left()
        for part in row.parts:
            start = axis.left() + part.start_s * scale
            wide = max(SHORTEST if len(row.parts) == 1 else 0.0, (part.end_s - part.start_s) * scale)
            start = min(start, axis.right() - wide)
            if wide >= 0.5:
                rounded(painter, QRectF(start, y, wide, BAR), min(2.0, wide / 2), fill=part.colour)
            left, right = min(left, start), max(right, start + wide)
        if row.is_failed:
            x = right + 5
            if x + 9 < self.width():
                painter.setPen(QPen(look().colour("err.mark"), 1.6))
                painter.drawLine(QPointF(x, y + 4), QPointF(x + 6, y + 10))
                painter.drawLine(QPointF(x + 6, y + 4), QPointF(x, y + 10))
                right = x + 6
        ink = "err.text" if row.is_failed else "text.secondary"
        wanted = look().metrics("small").horizontalAdvance(row.note) + 2
        after, before = self.width() - 1 - right - 6, left - axis.left() - 6
        if wanted <= after or after >= before:
            text(painter, QRectF(right + 6, top, max(0.0, after), height), row.note, "small", ink)
        else:
            text(
                painter,
                QRectF(axis.left(), top, max(0.0, before), height),
                row.note,
                "small",
                ink,
                align=RIGHT,
            )

    def _row_at(self, y: float) -> int:
        place = int(y // look().px(ROW))
        return place if 0 <= place < len(self._rows) else -1

    def _open(self, place: int) -> None:
        if 0 <= place < len(self._rows) and self._rows[place].key:
            self.chosen.emit(self._rows[place].key)

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        place = self._row_at(event.position().y())
        opens = place >= 0 and bool(self._rows[place].key)
        self.setCursor(Qt.CursorShape.PointingHandCursor if opens else Qt.CursorShape.ArrowCursor)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if event.button() == Qt.MouseButton.LeftButton:
            self._open(self._row_at(event.position().y()))

    def keyPressEvent(self, event: QKeyEvent) -> None:
        match event.key():
            case Qt.Key.Key_Up | Qt.Key.Key_Down:
                step = -1 if event.key() == Qt.Key.Key_Up else 1
                self._cursor = max(0, min(len(self._rows) - 1, self._cursor + step))
                self.update()
            case Qt.Key.Key_Return | Qt.Key.Key_Enter | Qt.Key.Key_Space:
                self._open(self._cursor)
            case _:
                super().keyPressEvent(event)

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            place = self._row_at(event.pos().y())
            if place >= 0:
                QToolTip.showText(event.globalPos(), self._rows[place].spoken, self)
            return True
        return super().event(event)


def _seconds(total_s: float) -> str:
    if total_s < 1:
        return f"{total_s * 1000:.0f} ms"
    if total_s < 120:
        return f"{total_s:.1f} s"
    return f"{total_s / 60:.0f} min" if total_s < 7200 else f"{total_s / 3600:.1f} h"
