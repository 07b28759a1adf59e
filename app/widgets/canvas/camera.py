# ruff: noqa: D102  (Qt overrides do what Qt says)
"""Looking at a graph: pan, zoom, fit, the dots behind it, what lies over it, and what moves while a run runs."""

import math
from collections.abc import Iterable, Sequence
from typing import cast

from PySide6.QtCore import QPoint, QPointF, QRect, QRectF, Qt, QTimer, QVariantAnimation, Signal
from PySide6.QtGui import QPainter, QPaintEvent, QPixmap, QResizeEvent, QTransform
from PySide6.QtWidgets import QFrame, QGraphicsScene, QGraphicsView, QWidget

from app.theme.apply import look
from app.widgets.canvas.graph import GraphItem
from app.widgets.canvas.looks import NEAR_FROM, EdgeLook, NodeLook

ZOOM_MIN, ZOOM_MAX, FIT_MIN, FIT_MAX = 0.1, 4.0, 0.004, 1.0
DOTS = 16
PARTS_MAX = 48  # of what is to be painted; more are taken as the box round them
LOADER_MS = 250
FLY_MS, FLY_MAX = 200, 12
OVER = 12  # px between an overlay and the edge
FRAME = 24  # px left free round what is fitted


class Camera(QGraphicsView):
    """Shows a graph, and the part of it a person wants to see."""

    looked = Signal()
    """Zoom or place changed."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName(name)
        self.setAccessibleName("Graph of the chain")
        self.graph = GraphItem()
        self._scene = QGraphicsScene(self)
        self._scene.setItemIndexMethod(QGraphicsScene.ItemIndexMethod.NoIndex)
        self._scene.addItem(self.graph)
        self.setScene(self._scene)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setTransformationAnchor(QGraphicsView.ViewportAnchor.NoAnchor)
        self.setResizeAnchor(QGraphicsView.ViewportAnchor.NoAnchor)
        self.setViewportUpdateMode(QGraphicsView.ViewportUpdateMode.MinimalViewportUpdate)
        self.setOptimizationFlag(QGraphicsView.OptimizationFlag.DontSavePainterState)
        # Every pixel is painted by us: so a pan moves what is there and paints only the edge that comes into view.
        self.viewport().setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self._overlays: list[tuple[QWidget, Qt.Corner]] = []
        self._zoom = 1.0
        self._is_fitted = False
        self._dots: dict[tuple[str, float], QPixmap] = {}
        self._loader = QTimer(self)
        self._loader.setObjectName("chains.loader")
        self._loader.setInterval(LOADER_MS)
        self._loader.timeout.connect(self._tick)
        self._flight = QVariantAnimation(self)
        self._flight.setDuration(FLY_MS)
        self._flight.setStartValue(0.0)
        self._flight.setEndValue(1.0)
        self._flight.valueChanged.connect(self._fly)
        self._flight.finished.connect(self._landed)
        self._flying: set[int] = set()
        look().theme_changed.connect(self._restyle)
        self._restyle()

    # What is shown

    def show_graph(self, nodes: Sequence[NodeLook], edges: Sequence[EdgeLook]) -> None:
        """Show this; the selection stays on what is still there."""
        self.graph.show_graph(nodes, edges)
        self._make_room()
        self.setAccessibleName(f"Graph of the chain, {len(nodes)} nodes, {len(edges)} edges")
        self._mind_loader()
        self.looked.emit()

    def select(self, nodes: Sequence[str] = (), edges: Sequence[int] = ()) -> None:
        """Choose these without telling."""
        self.graph.select(nodes, edges)
        self.graph.stand_on(nodes[-1] if nodes else self.graph.current if edges else "")
        self.looked.emit()

    @property
    def selected(self) -> tuple[str, ...]:
        """The chosen nodes, in the order they stand in the chain."""
        return tuple(key for key in self.graph.nodes if key in self.graph.selected)

    @property
    def selected_edges(self) -> tuple[int, ...]:
        """The chosen edges."""
        return tuple(sorted(self.graph.selected_edges))

    # Looking at it

    @property
    def zoom(self) -> float:
        """1.0 is the size of the design."""
        return self._zoom

    def set_zoom(self, zoom: float, at: QPoint | None = None, *, least: float = ZOOM_MIN) -> None:
        """Zoom, keeping what lies under `at` (the middle of the view by default) where it is."""
        self._is_fitted = False
        zoom = min(ZOOM_MAX, max(least, zoom))
        pivot = at if at is not None else self.viewport().rect().center()
        before = self.mapToScene(pivot)
        self._zoom = zoom
        scale = zoom * look().px(100) / 100
        self.setTransform(QTransform.fromScale(scale, scale))
        self._make_room()
        after = self.mapToScene(pivot)
        self._scroll((before.x() - after.x()) * scale, (before.y() - after.y()) * scale)
        self.looked.emit()

    def pan(self, dx: float, dy: float) -> None:
        """Move what is seen by so many px."""
        self._is_fitted = False
        self._scroll(dx, dy)
        self.looked.emit()

    def fit(self, keys: Sequence[str] = ()) -> None:
        """All of the graph, or these nodes, into the view."""
        boxes = [self.graph.node_box(key) for key in keys if key in self.graph.nodes]
        box = boxes[0] if boxes else self.graph.bounds
        for other in boxes[1:]:
            box = box.united(other)
        self._fit_box(box)
        self._is_fitted = not keys

    def _fit_box(self, box: QRectF) -> None:
        room = self.viewport().rect()
        scale = look().px(100) / 100
        wide = max(1.0, room.width() - 2 * FRAME) / max(1.0, box.width() * scale)
        high = max(1.0, room.height() - 2 * FRAME) / max(1.0, box.height() * scale)
        self.set_zoom(min(FIT_MAX, wide, high), least=FIT_MIN)
        self.centre_on(box.center())

    def centre_on(self, point: QPointF) -> None:
        """This point of the graph into the middle."""
        at = self.mapFromScene(point)
        middle = self.viewport().rect().center()
        self._scroll(at.x() - middle.x(), at.y() - middle.y())
        self.looked.emit()

    def show_node(self, key: str) -> None:
        """Bring a node into view, moving no more than needed."""
        if key not in self.graph.nodes:
            return
        box = self.mapFromScene(self.graph.node_box(key)).boundingRect().adjusted(-16, -16, 16, 16)
        room = self.viewport().rect()
        dx = min(0, box.left()) or max(0, box.right() - room.right())
        dy = min(0, box.top()) or max(0, box.bottom() - room.bottom())
        if dx or dy:
            self.pan(dx, dy)

    @property
    def seen(self) -> QRectF:
        """The part of the graph in view."""
        return self.mapToScene(self.viewport().rect()).boundingRect()

    def _scroll(self, dx: float, dy: float) -> None:
        across, down = self.horizontalScrollBar(), self.verticalScrollBar()
        across.setValue(across.value() + round(dx))
        down.setValue(down.value() + round(dy))

    def _make_room(self) -> None:
        """So much of nothing around that every node can stand anywhere in the view."""
        scale = max(self.transform().m11(), 0.001)
        across, down = self.viewport().width() / scale, self.viewport().height() / scale
        box = self.graph.bounds.adjusted(-across, -down, across, down)
        if box != self.sceneRect():
            # Another scene box must not move what is seen.
            keep = self.mapToScene(QPoint(0, 0))
            self.setSceneRect(box)
            now = self.mapFromScene(keep)
            self._scroll(now.x(), now.y())

    def lay_over(self, widget: QWidget, corner: Qt.Corner) -> None:
        """Keep a widget in a corner, over the graph.

        It becomes a child of what scrolls and is put back after each pan: a sibling on top of it would have all of it
        painted anew with each step.
        """
        widget.setParent(self.viewport())
        self._overlays.append((widget, corner))
        self._put_overlays()

    def _put_overlays(self) -> None:
        room = self.viewport().rect().adjusted(OVER, OVER, -OVER, -OVER)
        for widget, corner in self._overlays:
            at = QPoint(
                room.right() - widget.width() + 1
                if corner in (Qt.Corner.TopRightCorner, Qt.Corner.BottomRightCorner)
                else room.left(),
                room.bottom() - widget.height() + 1
                if corner in (Qt.Corner.BottomLeftCorner, Qt.Corner.BottomRightCorner)
                else room.top(),
            )
            if widget.pos() != at:
                widget.move(at)

    def paintEvent(self, event: QPaintEvent) -> None:
        region = event.region()
        back = self.viewportTransform().inverted()[0]
        parts = cast("Iterable[QRect]", region) if region.rectCount() <= PARTS_MAX else ()
        self.graph.parts = [back.mapRect(QRectF(part)) for part in parts]
        super().paintEvent(event)
        self.graph.parts = []

    def scrollContentsBy(self, dx: int, dy: int) -> None:
        super().scrollContentsBy(dx, dy)
        self._put_overlays()

    def _restyle(self) -> None:
        self.setBackgroundBrush(look().colour("bg.sunken"))
        self._dots.clear()
        was_fitted = self._is_fitted
        self.set_zoom(self._zoom, least=FIT_MIN)
        for widget, _ in self._overlays:
            widget.adjustSize()
        self._put_overlays()
        if was_fitted:
            self.fit()
        self.viewport().update()

    def drawBackground(self, painter: QPainter, rect: QRectF | object) -> None:
        box = QRectF(rect)  # type: ignore[call-overload]
        scale = self.transform().m11()
        step = DOTS * (1 if scale >= 0.75 else 2 if scale >= 0.4 else 0)
        if not step:
            painter.fillRect(box, look().colour("bg.sunken"))
            return
        tile = self._tile(step * scale, painter.device().devicePixelRatioF())
        origin = self.viewportTransform().map(QPointF(0, 0))
        shown = self.viewportTransform().mapRect(box)
        painter.save()
        painter.resetTransform()
        left = origin.x() + math.floor((shown.left() - origin.x()) / tile[1]) * tile[1]
        top = origin.y() + math.floor((shown.top() - origin.y()) / tile[1]) * tile[1]
        painter.drawTiledPixmap(
            QRectF(left, top, shown.right() - left + 1, shown.bottom() - top + 1), tile[0], QPointF(0, 0)
        )
        painter.restore()

    def _tile(self, step: float, dpr: float) -> tuple[QPixmap, float]:
        """Several dots in one pixmap whose side is whole px, and that side."""
        side = round(step * 8)
        key = (f"{look().theme}{dpr}", float(side))
        found = self._dots.get(key)
        if found is None:
            if len(self._dots) > 8:
                self._dots.clear()
            found = QPixmap(round(side * dpr), round(side * dpr))
            found.setDevicePixelRatio(dpr)
            found.fill(look().colour("bg.sunken"))  # not transparent: nothing need be blended
            painter = QPainter(found)
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(look().colour("line.normal"))
            gap = side / 8
            for x in range(8):
                for y in range(8):
                    painter.drawEllipse(QPointF(x * gap + 1, y * gap + 1), 0.9, 0.9)
            painter.end()
            self._dots[key] = found
        return found, float(side)

    # Motion

    def send_messages(self, edges: Sequence[int]) -> None:
        """A dot runs along each of these edges, once; of very many only some, the counts tell the rest."""
        if not edges or not self.isVisible() or self.transform().m11() < NEAR_FROM:
            return
        seen = self.seen
        for at in edges:
            if len(self._flying) >= FLY_MAX:
                break
            if at < len(self.graph.edges) and self.graph.edge_box(at).intersects(seen):
                self._flying.add(at)
        if self._flying and self._flight.state() != QVariantAnimation.State.Running:
            self._flight.start()

    def _fly(self, share: object) -> None:
        part = float(share) if isinstance(share, float) else 0.0
        self.graph.fly(dict.fromkeys(self._flying, part))

    def _landed(self) -> None:
        self._flying.clear()
        self.graph.fly({})

    def _mind_loader(self) -> None:
        runs = self.isVisible() and any(node.state == "running" for node in self.graph.nodes.values())
        if runs and not self._loader.isActive():
            self._loader.start()
        elif not runs:
            self._loader.stop()

    def _tick(self) -> None:
        self.graph.tick((self.graph.step + 1) % 8)
        self._mind_loader()

    # Coming and going

    def showEvent(self, event: object) -> None:
        super().showEvent(event)  # type: ignore[arg-type]
        self._mind_loader()

    def hideEvent(self, event: object) -> None:
        super().hideEvent(event)  # type: ignore[arg-type]
        self._loader.stop()
        self._flight.stop()
        self._landed()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self._make_room()
        self._put_overlays()
        if self._is_fitted:
            self.fit()  # nobody looked elsewhere since: all stays in view
        self.looked.emit()
