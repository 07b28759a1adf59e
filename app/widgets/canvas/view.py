# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The canvas: select, drag, connect, by mouse and by keyboard. It says what a person wants and does nothing.

Mouse: wheel pans, Ctrl and wheel zooms, middle button or Space and drag pans, drag on nothing selects, drag from a port
connects. Keys: arrows walk from node to node, Shift extends, Alt moves; A adds, C connects, E walks the edges, F fits.
"""

from collections.abc import Sequence
from typing import Literal

from PySide6.QtCore import QEvent, QPoint, QPointF, QRectF, Qt, Signal
from PySide6.QtGui import (
    QContextMenuEvent,
    QFocusEvent,
    QKeyEvent,
    QMouseEvent,
    QNativeGestureEvent,
    QWheelEvent,
)
from PySide6.QtWidgets import QWidget

from app.widgets.canvas.camera import Camera
from app.widgets.canvas.looks import HEIGHT, WIDTH, Kind
from app.widgets.canvas.routes import loose
from app.widgets.canvas.walk import ARROWS, nearest, next_edge

ZOOM_STEP = 1.2
SNAP = 8
Mode = Literal["idle", "press", "drag", "pan", "band", "connect"]


class GraphView(Camera):
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
    said = Signal(str)
    """What the keyboard came to, in words."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(name, parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.viewport().setMouseTracking(True)
        self.viewport().setFocusPolicy(Qt.FocusPolicy.NoFocus)  # the keys are the view's own
        self.is_read_only = False
        self._mode: Mode = "idle"
        self._pressed_at = QPoint()
        self._pressed_on = ""
        self._start: dict[str, tuple[float, float]] = {}
        self._source: tuple[str, Kind] = ("", "success")
        self._has_space = False
        self._keyboard_source: tuple[str, Kind] | None = None

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

    # Focus

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
