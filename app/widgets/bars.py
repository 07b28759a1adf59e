# ruff: noqa: D102  (Qt overrides do what Qt says)
"""A key figure with the bars of its last hours: a caption, a number, a word beside it, and what each hour had."""

from collections.abc import Sequence

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.theme.apply import look
from app.theme.paint import text

HEIGHT, BARS, PADDING = 90, 30, 16
Stack = Sequence[tuple[float, str]]


class Figure(QWidget):
    """Painted; a table twin is its accessible description."""

    def __init__(self, name: str, caption: str) -> None:
        super().__init__()
        self.setObjectName(name)
        self._caption = caption
        self._number = ""
        self._detail = ""
        self._tone = "text.tertiary"
        self._bars: Sequence[Stack] = ()
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        look().theme_changed.connect(self.updateGeometry)

    def show_figure(
        self, number: str, detail: str, bars: Sequence[Stack], *, tone: str = "text.tertiary", table: str = ""
    ) -> None:
        """Say this; each bar is a stack of `(value, colour token)` from the ground up, `table` the bars in words."""
        self._number, self._detail, self._bars, self._tone = number, detail, bars, tone
        self.setAccessibleName(f"{self._caption}: {number} {detail}")
        self.setAccessibleDescription(table)
        self.setToolTip(table)
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(200, look().px(HEIGHT))

    def minimumSizeHint(self) -> QSize:
        return QSize(120, look().px(HEIGHT))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        left, width = PADDING, self.width() - 2 * PADDING
        caption, number = look().px(16), look().px(22)
        text(painter, QRectF(left, 9, width, caption), self._caption, "caption", "text.secondary")
        used = text(painter, QRectF(left, 9 + caption, width, number + 2), self._number, "title")
        room = QRectF(left + used + 8, 9 + caption, max(0.0, width - used - 8), number + 3)
        text(painter, room, self._detail, "small", self._tone)
        self._paint_bars(painter, QRectF(left, self.height() - 12 - look().px(BARS), width, look().px(BARS)))
        painter.end()

    def _paint_bars(self, painter: QPainter, box: QRectF) -> None:
        if not self._bars:
            return
        most = max(sum(value for value, _ in stack) for stack in self._bars)
        step = box.width() / len(self._bars)
        wide = max(2.0, min(10.0, step - 3))
        painter.setPen(Qt.PenStyle.NoPen)
        for at, stack in enumerate(self._bars):
            x = round(box.left() + at * step)
            bottom = box.bottom()
            painter.fillRect(QRectF(x, bottom, wide, 1), look().colour("data.4"))
            for value, colour in stack:
                if value <= 0:
                    continue
                tall = max(2.0, value / most * (box.height() - 2))
                painter.fillRect(QRectF(x, bottom - tall, wide, tall), look().colour(colour))
                bottom -= tall + (1 if len(stack) > 1 else 0)
