# ruff: noqa: D102  (Qt overrides do what Qt says)
"""A bar of buttons that lies over the canvas."""

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QWidget

from app.theme.apply import look
from app.theme.paint import rounded


class OverBar(QWidget):
    """Paints every pixel of itself: were a corner to show the canvas, each pan would paint all of it anew."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.row = QHBoxLayout(self)
        self.row.setContentsMargins(3, 2, 3, 2)
        self.row.setSpacing(0)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), look().colour("bg.sunken"))
        rounded(painter, QRectF(self.rect()), 7, fill="bg.raised", line="line.normal")
        painter.end()
