# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The canvas: pan, zoom, select, drag, connect, by mouse and by keyboard. It says what a person wants and does nothing.

Mouse: wheel pans, Ctrl and wheel zooms, middle button or Space and drag pans, drag on nothing selects, drag from a port
connects. Keys: arrows walk from node to node, Shift extends, Alt moves; A adds, C connects, E walks the edges, F fits.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Literal, cast

from PySide6.QtCore import QEvent, QPoint, QPointF, QRect, QRectF, Qt, QTimer, QVariantAnimation, Signal
from PySide6.QtGui import (
    QContextMenuEvent,
    QFocusEvent,
    QKeyEvent,
    QMouseEvent,
    QNativeGestureEvent,
    QPainter,
    QPaintEvent,
    QPixmap,
    QResizeEvent,
    QTransform,
    QWheelEvent,
)
from PySide6.QtWidgets import QFrame, QGraphicsScene, QGraphicsView, QWidget

from app.theme.apply import look
from app.widgets.canvas.graph import GraphItem
from app.widgets.canvas.looks import HEIGHT, NEAR_FROM, WIDTH, EdgeLook, Kind, NodeLook
from app.widgets.canvas.routes import loose
from app.widgets.canvas.walk import ARROWS, nearest, next_edge

ZOOM_MIN, ZOOM_MAX, FIT_MIN, FIT_MAX = 0.1, 4.0, 0.004, 1.0
ZOOM_STEP = 1.2
DOTS = 16
SNAP = 8
PARTS_MAX = 12  # of what is to be painted; more are taken as the box round them
LOADER_MS = 250
FLY_MS, FLY_MAX = 200, 24
OVER = 12  # px between an overlay and the edge
FRAME = 24  # px left free round what is fitted
Mode = Literal["idle", "press", "drag", "pan", "band", "connect"]


class GraphView(QGraphicsView):
    """Shows a graph. Signals tell what a person did; `show_graph` shows what became of it."""

    chosen = Signal()
    """The selection changed by hand."""
    opened = Signal()
    """The details of what is chosen are asked for."""
    moved = Signal(object)
    """Nodes were dragged or pushed: a mapping of key to (x, y)."""
    connected = Signal(str, str, str)
    """Draw an edge: source, target, kind."""
    add_asked = Signal(QPointF, str, str)
    """Something shall be added there; after this node, by that kind of edge, if one is named."""
    menu_asked = Signal(QPoint)
    """A menu at this place of the screen."""
    looked = Signal()
    """Zoom or place changed."""
    said = Signal(str)
    """What the keyboard came to, in words."""

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
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.viewport().setMouseTracking(True)
        self.viewport().setFocusPolicy(Qt.FocusPolicy.NoFocus)  # the keys are the view's own
        # Every pixel is painted by us: so a pan moves what is there and paints only the edge that comes into view.
        self.viewport().setAttribute(Qt.WidgetAttribute.WA_OpaquePaintEvent)
        self._overlays: list[tuple[QWidget, Qt.Corner]] = []
        self.is_read_only = False
        self._mode: Mode = "idle"
        self._pressed_at = QPoint()
        self._pressed_on = ""
        self._start: dict[str, tuple[float, float]] = {}
        self._source: tuple[str, Kind] = ("", "success")
        self._has_space = False
        self._zoom = 1.0
        self._is_fitted = False
        self._dots: dict[tuple[str, float], QPixmap] = {}
        self._keyboard_source: tuple[str, Kind] | None = None
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

    # Mouse

    def mousePressEvent(self, event: QMouseEvent) -> None:
        at = event.position().toPoint()
        self._pressed_at = at
        if event.button() == Qt.MouseButton.MiddleButton or (
            event.button() == Qt.MouseButton.LeftButton and self._has_space
        ):
            self._mode = "pan"
            self.viewport().setCursor(Qt.CursorShape.ClosedHandCursor)
            return
        if event.button() != Qt.MouseButton.LeftButton:
            self._choose_under(at)
            return
        point = self.mapToScene(at)
        port, kind = self.graph.port_at(point) if self.graph.hovered else ("", "success")
        adds = bool(
            event.modifiers() & (Qt.KeyboardModifier.ShiftModifier | Qt.KeyboardModifier.ControlModifier)
        )
        if port and not self.is_read_only:
            self._mode, self._source = "connect", (port, kind)
            return
        key = self.graph.node_at(point)
        if key:
            self._press_node(key, adds=adds)
            return
        edge = self.graph.edge_at(point)
        if edge >= 0:
            self.graph.stand_on("")
            self._choose((), (edge,))
            return
        self._mode = "band"
        if not adds:
            self.graph.stand_on("")
            self._choose(())

    def _press_node(self, key: str, *, adds: bool) -> None:
        self._mode, self._pressed_on = "press", key
        self.graph.stand_on(key)
        if adds:
            self._choose(self.graph.selected ^ {key})
        elif key not in self.graph.selected:
            self._choose((key,))
        self._start = {
            name: (self.graph.nodes[name].x, self.graph.nodes[name].y)
            for name in (self.graph.selected or {key})
        }

    def _choose_under(self, at: QPoint) -> None:
        """A menu is about what lies under the mouse."""
        point = self.mapToScene(at)
        key = self.graph.node_at(point)
        if key and key not in self.graph.selected:
            self.graph.stand_on(key)
            self._choose((key,))
        elif not key and (edge := self.graph.edge_at(point)) >= 0:
            self._choose((), (edge,))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        at = event.position().toPoint()
        far = (at - self._pressed_at).manhattanLength() >= 4
        match self._mode:
            case "pan":
                moved = self._pressed_at - at
                self._pressed_at = at
                self.pan(moved.x(), moved.y())
            case "press" | "drag":
                if far and not self.is_read_only:
                    self._mode = "drag"
                if self._mode == "drag":
                    self._drag(at)
            case "band":
                if far or not self.graph.band.isEmpty():
                    self._stretch(at)
            case "connect":
                self._draw_to(self.mapToScene(at), *self._source)
            case _:
                self._point(self.mapToScene(at))

    def _point(self, point: QPointF) -> None:
        port, kind = self.graph.port_at(point)
        key = port or self.graph.node_at(point, 6.0)
        edge = -1 if key else self.graph.edge_at(point)
        if self.graph.point_at(key, edge, kind if port else ""):
            is_hand = bool(key) or edge >= 0
            self.viewport().setCursor(
                Qt.CursorShape.CrossCursor
                if port
                else Qt.CursorShape.PointingHandCursor
                if is_hand
                else Qt.CursorShape.ArrowCursor
            )
            self.viewport().setToolTip(self._tip(key, edge))

    def _tip(self, key: str, edge: int) -> str:
        if key in self.graph.nodes:
            node = self.graph.nodes[key]
            return node.fault or ", ".join(part for part in (node.title, node.detail, node.said) if part)
        if edge >= 0:
            held = self.graph.edges[edge]
            return held.fault or f"{held.source} to {held.target}{', ' + held.chip if held.chip else ''}"
        return ""

    def _drag(self, at: QPoint) -> None:
        by = self.mapToScene(at) - self.mapToScene(self._pressed_at)
        x, y = (round(value / SNAP) * SNAP for value in (by.x(), by.y()))
        self.graph.place({key: (a + x, b + y) for key, (a, b) in self._start.items()})
        self.viewport().setCursor(Qt.CursorShape.SizeAllCursor)

    def _stretch(self, at: QPoint) -> None:
        box = QRectF(self.mapToScene(self._pressed_at), self.mapToScene(at)).normalized()
        self.graph.stretch(box)
        self._choose(self.graph.nodes_in(box))

    def _draw_to(self, point: QPointF, source: str, kind: Kind) -> None:
        target = self.graph.node_at(point, 10.0)
        can_end = bool(target) and self._can_connect(source, target)
        end = self.graph.in_place(target) if can_end else point
        self.graph.draw(loose(self.graph.port_place(source, kind), end, kind), can_end=can_end)

    def _can_connect(self, source: str, target: str) -> bool:
        return not any(edge.source == source and edge.target == target for edge in self.graph.edges)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        mode, self._mode = self._mode, "idle"
        point = self.mapToScene(event.position().toPoint())
        match mode:
            case "pan":
                self.viewport().unsetCursor()
            case "drag":
                self._end_drag()
            case "press":
                adds = event.modifiers() & (
                    Qt.KeyboardModifier.ShiftModifier | Qt.KeyboardModifier.ControlModifier
                )
                if not adds and len(self.graph.selected) > 1:
                    self._choose((self._pressed_on,))
            case "band":
                self.graph.stretch(QRectF())
            case "connect":
                self._end_connect(point)
            case _:
                pass

    def _end_drag(self) -> None:
        self.viewport().unsetCursor()
        places = {key: (self.graph.nodes[key].x, self.graph.nodes[key].y) for key in self._start}
        if places != self._start:
            self.moved.emit(places)

    def _end_connect(self, point: QPointF) -> None:
        source, kind = self._source
        self.graph.draw(None)
        target = self.graph.node_at(point, 10.0)
        if target and self._can_connect(source, target):
            self.connected.emit(source, target, kind)
        elif not target:
            self.add_asked.emit(point - QPointF(0, HEIGHT / 2), source, kind)

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        if event.button() != Qt.MouseButton.LeftButton:
            return
        self._mode = "idle"
        point = self.mapToScene(event.position().toPoint())
        if self.graph.node_at(point) or self.graph.edge_at(point) >= 0:
            self.opened.emit()
        elif not self.is_read_only:
            self.add_asked.emit(point - QPointF(WIDTH / 2, HEIGHT / 2), "", "success")

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        if event.reason() == QContextMenuEvent.Reason.Keyboard and self.graph.current:
            box = self.mapFromScene(self.graph.node_box(self.graph.current)).boundingRect()
            self.menu_asked.emit(self.viewport().mapToGlobal(box.center()))
        else:
            self.menu_asked.emit(event.globalPos())

    def wheelEvent(self, event: QWheelEvent) -> None:
        pixels, angle = event.pixelDelta(), event.angleDelta()
        if event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            self.set_zoom(self._zoom * ZOOM_STEP ** (angle.y() / 120), event.position().toPoint())
        else:
            x, y = (pixels.x(), pixels.y()) if not pixels.isNull() else (angle.x() * 0.5, angle.y() * 0.5)
            if event.modifiers() & Qt.KeyboardModifier.ShiftModifier:
                x, y = y, x
            self.pan(-x, -y)
        event.accept()

    def viewportEvent(self, event: QEvent) -> bool:
        if isinstance(event, QNativeGestureEvent):
            if event.gestureType() == Qt.NativeGestureType.ZoomNativeGesture:
                self.set_zoom(self._zoom * (1 + event.value()), event.position().toPoint())
                return True
        elif event.type() == QEvent.Type.Leave and self._mode == "idle":
            self.graph.point_at("")
        return super().viewportEvent(event)

    # Keys

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key, held = Qt.Key(event.key()), event.modifiers() & ~Qt.KeyboardModifier.KeypadModifier
        if key in ARROWS and not held & Qt.KeyboardModifier.ControlModifier:
            self._arrow(key, held)
        elif held in (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier):
            if not self._look_key(key) and not self._plain_key(key, held):
                super().keyPressEvent(event)
        elif key in ARROWS:
            x, y = ARROWS[key]
            self.pan(x * 64, y * 64)
        else:
            event.ignore()

    def _look_key(self, key: Qt.Key) -> bool:
        match key:
            case Qt.Key.Key_F:
                self.fit()
            case Qt.Key.Key_Plus | Qt.Key.Key_Equal:
                self.set_zoom(self._zoom * ZOOM_STEP)
            case Qt.Key.Key_Minus:
                self.set_zoom(self._zoom / ZOOM_STEP)
            case Qt.Key.Key_0:
                self.set_zoom(1.0)
            case _:
                return False
        return True

    def _plain_key(self, key: Qt.Key, held: Qt.KeyboardModifier) -> bool:
        match key:
            case Qt.Key.Key_Return | Qt.Key.Key_Enter:
                self._enter()
            case Qt.Key.Key_Escape if self._keyboard_source is not None:
                self._stop_connecting("Not connected")
            case Qt.Key.Key_Escape if self.graph.selected or self.graph.selected_edges:
                self._choose(())
            case Qt.Key.Key_Space:
                self._has_space = True
                self.viewport().setCursor(Qt.CursorShape.OpenHandCursor)
            case Qt.Key.Key_Home | Qt.Key.Key_End:
                self._walk_to(
                    next(iter(self.graph.nodes if key == Qt.Key.Key_Home else reversed(self.graph.nodes)), "")
                )
            case Qt.Key.Key_A if not self.is_read_only:
                self._ask_add()
            case Qt.Key.Key_C if not self.is_read_only and self.graph.current:
                self._begin_connecting("failure" if held & Qt.KeyboardModifier.ShiftModifier else "success")
            case Qt.Key.Key_E:
                self._walk_edges(-1 if held & Qt.KeyboardModifier.ShiftModifier else 1)
            case _:
                return False
        return True

    def keyReleaseEvent(self, event: QKeyEvent) -> None:
        if event.key() == Qt.Key.Key_Space and not event.isAutoRepeat():
            self._has_space = False
            self.viewport().unsetCursor()
        super().keyReleaseEvent(event)

    def _arrow(self, key: Qt.Key, held: Qt.KeyboardModifier) -> None:
        x, y = ARROWS[key]
        if held & Qt.KeyboardModifier.AltModifier:
            step = SNAP * (8 if held & Qt.KeyboardModifier.ShiftModifier else 1)
            keys = self.graph.selected or ({self.graph.current} if self.graph.current else set[str]())
            if keys and not self.is_read_only:
                nodes = self.graph.nodes
                self.moved.emit({name: (nodes[name].x + x * step, nodes[name].y + y * step) for name in keys})
            return
        found = nearest(self.graph.nodes, self.graph.current, x, y)
        self._walk_to(found, adds=bool(held & Qt.KeyboardModifier.ShiftModifier))

    def _walk_to(self, key: str, *, adds: bool = False) -> None:
        if not key:
            return
        self.graph.stand_on(key)
        self.show_node(key)
        if self._keyboard_source is not None:
            source, kind = self._keyboard_source
            self._draw_to(self.graph.in_place(key), source, kind)
            self.said.emit(f"Connect {source} to {key}?")
            return
        self._choose({*self.graph.selected, key} if adds else (key,))
        self.said.emit(self._told(key))

    def _told(self, key: str) -> str:
        node = self.graph.nodes[key]
        after = [
            self.graph.edges[at].target
            for at in self.graph.edges_of(key)
            if self.graph.edges[at].source == key
        ]
        words = [node.title, node.detail, node.said, node.fault, node.joins]
        if after:
            words.append(f"leads to {', '.join(after)}")
        return ", ".join(word for word in words if word)

    def _walk_edges(self, step: int) -> None:
        at = next_edge(self.graph.edges, self.graph.current, self.selected_edges, step)
        if at < 0:
            return
        self._choose((), (at,))
        edge = self.graph.edges[at]
        self.said.emit(
            f"Edge from {edge.source} to {edge.target}, on {edge.kind}{', ' + edge.chip if edge.chip else ''}"
        )

    def _enter(self) -> None:
        if self._keyboard_source is None:
            if self.graph.selected or self.graph.selected_edges:
                self.opened.emit()
            return
        source, kind = self._keyboard_source
        target = self.graph.current
        self._stop_connecting("")
        if target and self._can_connect(source, target):
            self.connected.emit(source, target, kind)
            self.said.emit(f"{source} leads to {target}")

    def _ask_add(self) -> None:
        current = self.graph.current
        if current:
            node = self.graph.nodes[current]
            self.add_asked.emit(QPointF(node.x + WIDTH + 96, node.y), current, "success")
        else:
            self.add_asked.emit(self.seen.center() - QPointF(WIDTH / 2, HEIGHT / 2), "", "success")

    def _begin_connecting(self, kind: Kind) -> None:
        self._keyboard_source = (self.graph.current, kind)
        self.said.emit(
            f"Connect {self.graph.current} to: walk with the arrows, Enter connects, Escape leaves"
        )
        self._draw_to(
            self.graph.port_place(self.graph.current, kind) + QPointF(60, 0), self.graph.current, kind
        )

    def _stop_connecting(self, words: str) -> None:
        self._keyboard_source = None
        self.graph.draw(None)
        if words:
            self.said.emit(words)

    def _choose(self, nodes: "set[str] | Sequence[str]", edges: Sequence[int] = ()) -> None:
        before = (set(self.graph.selected), set(self.graph.selected_edges))
        self.graph.select(nodes, edges)
        if before != (self.graph.selected, self.graph.selected_edges):
            self.chosen.emit()

    # The rest

    def focusInEvent(self, event: QFocusEvent) -> None:
        super().focusInEvent(event)
        by_keys = event.reason() in (
            Qt.FocusReason.TabFocusReason,
            Qt.FocusReason.BacktabFocusReason,
            Qt.FocusReason.ShortcutFocusReason,
        )
        self.graph.set_focus(is_focused=True)
        if by_keys and not self.graph.current and self.graph.nodes:
            self.graph.stand_on(next(iter(self.graph.selected or self.graph.nodes)))

    def focusOutEvent(self, event: QFocusEvent) -> None:
        super().focusOutEvent(event)
        self.graph.set_focus(is_focused=False)
        self._has_space = False
        if self._keyboard_source is not None:
            self._stop_connecting("")

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
