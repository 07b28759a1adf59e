# ruff: noqa: D102  (Qt overrides do what Qt says)
"""A line of values in time with the last one marked; the scale is said in words above it."""

from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.theme.apply import look
from app.theme.paint import hairline, text

HEIGHT = 52


class Sparkline(QWidget):
    """`show_values` takes the values oldest first; `words` say them to who cannot see the line."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._values: tuple[float, ...] = ()
        self._top = ""
        look().theme_changed.connect(self.updateGeometry)

    def show_values(self, values: Sequence[float], top: str, words: str) -> None:
        """`top` stands at the largest value."""
        self._values, self._top = tuple(values), top
        self.setAccessibleName(words)
        self.setToolTip(words)
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(160, look().px(HEIGHT))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        ground = self.height() - 5.0
        hairline(painter, 0, round(ground), self.width(), "line.normal")
        if not self._values:
            painter.end()
            return
        ceiling = look().px(15)
        text(
            painter,
            QRectF(0, 0, self.width(), look().px(14)),
            self._top,
            "caption",
            "text.tertiary",
            weight=400,
        )
        largest = max(self._values) or 1.0
        step = (self.width() - 10) / max(1, len(self._values) - 1)
        points = [
            QPointF(3 + at * step, ground - 2 - (ground - 4 - ceiling) * value / largest)
            for at, value in enumerate(self._values)
        ]
        painter.setPen(QPen(look().colour("data.3"), 1.5))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        if len(points) > 1:
            painter.drawPolyline(QPolygonF(points))
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(look().colour("data.3"))
        painter.drawEllipse(points[-1], 3, 3)
        painter.end()
