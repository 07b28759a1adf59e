# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The whole graph in a corner, with the part in view; a click or drag looks there."""

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QMouseEvent, QPainter, QPaintEvent, QPen, QPixmap
from PySide6.QtWidgets import QWidget

from app.theme.apply import look
from app.theme.paint import rounded
from app.widgets.canvas.looks import HEIGHT, STATES, WIDTH, State
from app.widgets.canvas.view import GraphView

SIZE = QSize(132, 94)
PADDING = 7.0
LARGEST = 0.12
ROOM = 120.0


class Minimap(QWidget):
    """Lies over the canvas, lower right."""

    def __init__(self, view: GraphView) -> None:
        super().__init__()
        self.setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self.setObjectName("chains.minimap")
        self.setAccessibleName("Map of the chain")
        self.setToolTip("Drag to look elsewhere")
        self.setFixedSize(SIZE)
        self._view = view
        self._picture = QPixmap()
        self._drawn: tuple[object, ...] = ()
        view.looked.connect(self.update)
        look().theme_changed.connect(self.update)

    def _fit(self) -> tuple[float, QPointF]:
        """Scale and offset from the graph to this map."""
        # Not what is in view: the picture would be another one with each pan beyond the edge.
        box = self._view.graph.bounds.adjusted(-ROOM, -ROOM, ROOM, ROOM)
        scale = min(
            (self.width() - 2 * PADDING) / max(1.0, box.width()),
            (self.height() - 2 * PADDING) / max(1.0, box.height()),
            LARGEST,
        )
        middle = QPointF(self.width() / 2, self.height() / 2)
        return scale, middle - box.center() * scale

    def paintEvent(self, event: QPaintEvent) -> None:
        scale, offset = self._fit()
        dpr = self.devicePixelRatioF()
        key = (self._view.graph.revision, scale, offset.x(), offset.y(), look().theme, dpr)
        if key != self._drawn:
            self._picture, self._drawn = self._nodes(scale, offset, dpr), key
        painter = QPainter(self)
        painter.drawPixmap(0, 0, self._picture)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        seen = self._view.seen
        frame = QRectF(
            seen.x() * scale + offset.x(),
            seen.y() * scale + offset.y(),
            seen.width() * scale,
            seen.height() * scale,
        ).intersected(QRectF(self.rect()).adjusted(4.5, 4.5, -4.5, -4.5))
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(look().colour("accent.fill"), 1.2))
        painter.drawRoundedRect(frame, 3, 3)
        painter.end()

    def _nodes(self, scale: float, offset: QPointF, dpr: float) -> QPixmap:
        """All but the frame of what is in view: painted only when the graph or its size here changed."""
        picture = QPixmap(round(self.width() * dpr), round(self.height() * dpr))
        picture.setDevicePixelRatio(dpr)
        picture.fill(look().colour("bg.sunken"))
        painter = QPainter(picture)
        rounded(painter, QRectF(self.rect()), 5, fill="bg.side", line="line.normal")
        painter.setClipRect(self.rect().adjusted(2, 2, -2, -2))
        by_state: dict[State, list[QRectF]] = {}
        for node in self._view.graph.nodes.values():
            box = QRectF(
                node.x * scale + offset.x(),
                node.y * scale + offset.y(),
                max(1.5, WIDTH * scale),
                max(1.0, HEIGHT * scale),
            )
            by_state.setdefault(node.state, []).append(box)
        painter.setPen(Qt.PenStyle.NoPen)
        for state, boxes in by_state.items():
            ink = STATES[state].bar
            painter.setBrush(look().colour(ink, 0.8 if state in ("done", "running", "failed") else 0.55))
            painter.drawRects(boxes)
        painter.end()
        return picture

    def mousePressEvent(self, event: QMouseEvent) -> None:
        self._look(event.position())

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        if event.buttons() & Qt.MouseButton.LeftButton:
            self._look(event.position())

    def _look(self, at: QPointF) -> None:
        scale, offset = self._fit()
        self._view.centre_on((at - offset) / scale)
