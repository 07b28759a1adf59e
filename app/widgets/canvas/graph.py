# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The whole graph as one graphics item: it paints only what the exposed rectangle meets, with the detail the zoom asks for.

One item, not one for each node: a chain of a thousand nodes opens without making thousands of objects, and what is
where is answered by a grid.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from PySide6.QtCore import QLineF, QPointF, QRectF
from PySide6.QtGui import QPainter, QPainterPath, QPainterPathStroker
from PySide6.QtWidgets import QGraphicsItem, QStyleOptionGraphicsItem, QWidget

from app.widgets.canvas import paint
from app.widgets.canvas.index import Grid
from app.widgets.canvas.looks import HEIGHT, NEAR_FROM, WIDTH, EdgeLook, Kind, NodeLook
from app.widgets.canvas.routes import PORT_REACH, Route, in_port, out_port, route

ROUND = 40.0  # px round a node that its ring, ports and caption may take
SPARE = 2_000.0
FAR_KEPT_MAX = 8_000  # nodes and edges; of more only what is in view is drawn from afar
EDGE_REACH = 6.0
NOTHING: frozenset[str] = frozenset()


class GraphItem(QGraphicsItem):
    """Nodes by key, edges by place; what is chosen, pointed at, on its way and being drawn."""

    def __init__(self) -> None:
        super().__init__()
        self.setFlag(QGraphicsItem.GraphicsItemFlag.ItemUsesExtendedStyleOption)
        self.nodes: dict[str, NodeLook] = {}
        self.edges: tuple[EdgeLook, ...] = ()
        self.selected: set[str] = set()
        self.selected_edges: set[int] = set()
        self.current = ""
        self.hovered = ""
        self.hovered_edge = -1
        self.chosen_port = ""
        self.has_focus = False
        self.step = 0
        self.revision = 0
        self.parts: list[QRectF] = []
        self._far: tuple[int, paint.FarShapes] | None = None
        self.messages: dict[int, float] = {}
        self.drawing: tuple[QPainterPath, bool] | None = None
        self.band = QRectF()
        self._node_grid: Grid[str] = Grid()
        self._edge_grid: Grid[int] = Grid()
        self._routes: dict[int, Route] = {}
        self._edges_of: dict[str, list[int]] = {}
        self._bounds = QRectF(0, 0, 1, 1)
        self._room = QRectF(0, 0, 1, 1)

    # What there is

    def show_graph(self, nodes: Sequence[NodeLook], edges: Sequence[EdgeLook]) -> None:
        """Show these instead; only what differs is laid anew where names and ends stay the same."""
        self.revision += 1
        fresh = {node.key: node for node in nodes}
        if fresh.keys() == self.nodes.keys() and _ends(edges) == _ends(self.edges):
            self._change(fresh, tuple(edges))
            return
        self.nodes, self.edges = fresh, tuple(edges)
        self.selected &= fresh.keys()
        self.selected_edges = {at for at in self.selected_edges if at < len(self.edges)}
        if self.current not in fresh:
            self.current = ""
        self.hovered, self.hovered_edge = "", -1
        self.messages.clear()
        self._routes.clear()
        self._node_grid.clear()
        self._edge_grid.clear()
        self._edges_of = {key: [] for key in fresh}
        for key, node in fresh.items():
            self._node_grid.put(key, (node.x, node.y, node.x + WIDTH, node.y + HEIGHT))
        for at, edge in enumerate(self.edges):
            self._edges_of[edge.source].append(at)
            if edge.target != edge.source:
                self._edges_of[edge.target].append(at)
            self._edge_grid.put(at, self._rough(edge))
        self._measure()
        self.update()

    def _change(self, fresh: dict[str, NodeLook], edges: tuple[EdgeLook, ...]) -> None:
        moved = [
            key for key, node in fresh.items() if (node.x, node.y) != (self.nodes[key].x, self.nodes[key].y)
        ]
        changed = [key for key, node in fresh.items() if node is not (old := self.nodes[key]) and node != old]
        other = [at for at, edge in enumerate(edges) if edge is not (old := self.edges[at]) and edge != old]
        for key in changed:
            self.update(self.node_box(key))
        for at in other:
            self.update(self.edge_box(at))
        if moved:
            self.nodes = {
                key: _elsewhere(node, fresh[key].x, fresh[key].y) for key, node in self.nodes.items()
            }
            self._moved(moved)
            self._measure()
        self.nodes = fresh
        self.edges = edges
        for key in changed:
            self.update(self.node_box(key))
        for at in other:
            self._routes.pop(at, None)
            self._edge_grid.put(at, self._rough(edges[at]))
            self.update(self.edge_box(at))

    def place(self, places: Mapping[str, tuple[float, float]]) -> None:
        """Nodes at other places, while they are dragged."""
        self.revision += 1
        moving = [key for key in places if key in self.nodes]
        for key in moving:
            self.update(self.node_box(key))
            for at in self._edges_of[key]:
                self.update(self.edge_box(at))
            self.nodes[key] = _elsewhere(self.nodes[key], *places[key])
        self._moved(moving)

    def _moved(self, keys: Iterable[str]) -> None:
        touched: set[int] = set()
        for key in keys:
            node = self.nodes[key]
            self._node_grid.put(key, (node.x, node.y, node.x + WIDTH, node.y + HEIGHT))
            touched.update(self._edges_of[key])
            self.update(self.node_box(key))
            # While it is dragged it only grows: to find how small it is now, all would be looked at.
            self._bounds = self._bounds.united(QRectF(node.x, node.y, WIDTH, HEIGHT))
        self._grow()
        for at in touched:
            self._routes.pop(at, None)
            self._edge_grid.put(at, self._rough(self.edges[at]))
            self.update(self.edge_box(at))

    def _rough(self, edge: EdgeLook) -> tuple[float, float, float, float]:
        """A box that holds the edge's way, without reckoning it."""
        a, b = self.nodes[edge.source], self.nodes[edge.target]
        room = 96.0
        return (
            min(a.x + WIDTH / 2, b.x) - room,
            min(a.y, b.y) - room,
            max(a.x + WIDTH, b.x) + room,
            max(a.y, b.y) + HEIGHT + room,
        )

    def _measure(self) -> None:
        if not self.nodes:
            self._bounds = QRectF(0, 0, 1, 1)
            self._grow()
            return
        left = min(node.x for node in self.nodes.values())
        top = min(node.y for node in self.nodes.values())
        right = max(node.x for node in self.nodes.values()) + WIDTH
        bottom = max(node.y for node in self.nodes.values()) + HEIGHT
        self._bounds = QRectF(left, top, right - left, bottom - top)
        self._grow()

    def _grow(self) -> None:
        """Tell Qt of another size only where the room is used up: it would paint all of it anew each time."""
        needed = self._bounds.adjusted(-200, -200, 200, 200)
        if not self._room.contains(needed):
            self.prepareGeometryChange()
            self._room = needed.adjusted(-SPARE, -SPARE, SPARE, SPARE)

    @property
    def bounds(self) -> QRectF:
        """The box round all nodes."""
        return self._bounds

    def boundingRect(self) -> QRectF:
        return self._room.united(self.band) if not self.band.isEmpty() else self._room

    # What is where

    def node_box(self, key: str) -> QRectF:
        """A node with its ring, ports and caption."""
        node = self.nodes[key]
        return QRectF(node.x - 8, node.y - 8, WIDTH + 16, HEIGHT + ROUND)

    def edge_box(self, at: int) -> QRectF:
        """An edge with its chip."""
        left, top, right, bottom = self._edge_grid.box(at)
        return QRectF(left, top, right - left, bottom - top)

    def way(self, at: int) -> Route:
        """The way of an edge."""
        found = self._routes.get(at)
        if found is None:
            edge = self.edges[at]
            a, b = self.nodes[edge.source], self.nodes[edge.target]
            found = self._routes[at] = route((a.x, a.y), (b.x, b.y), edge.kind)
        return found

    def edges_of(self, key: str) -> Sequence[int]:
        """The edges that end at a node."""
        return self._edges_of.get(key, ())

    def node_at(self, point: QPointF, reach: float = 0.0) -> str:
        """The node there, the last painted first."""
        x, y = point.x(), point.y()
        found = list(self._node_grid.near((x - reach, y - reach, x + reach, y + reach)))
        return found[-1] if found else ""

    def port_at(self, point: QPointF) -> tuple[str, Kind]:
        """The node whose outgoing port is there, and which; empty if none is."""
        for key in self._node_grid.near(
            (point.x() - PORT_REACH, point.y() - PORT_REACH, point.x() + PORT_REACH, point.y() + PORT_REACH)
        ):
            node = self.nodes[key]
            kinds: tuple[Kind, ...] = ("success", "failure")
            for kind in kinds:
                away = out_port(node.x, node.y, kind) - point
                if abs(away.x()) <= PORT_REACH and abs(away.y()) <= PORT_REACH:
                    return key, kind
        return "", "success"

    def edge_at(self, point: QPointF) -> int:
        """The edge there, by its chip or its line; -1 if none is."""
        x, y = point.x(), point.y()
        for at in self._edge_grid.near((x - 70, y - 12, x + 70, y + 12)):
            if paint.chip_box(self.edges[at], self.way(at)).contains(point):
                return at
        stroker = QPainterPathStroker()
        stroker.setWidth(2 * EDGE_REACH)
        for at in self._edge_grid.near((x - EDGE_REACH, y - EDGE_REACH, x + EDGE_REACH, y + EDGE_REACH)):
            way = self.way(at)
            if way.box.contains(point) and stroker.createStroke(way.path).contains(point):
                return at
        return -1

    def nodes_in(self, box: QRectF) -> list[str]:
        """The nodes that meet a rectangle."""
        return list(self._node_grid.near((box.left(), box.top(), box.right(), box.bottom())))

    def port_place(self, key: str, kind: Kind) -> QPointF:
        """Where the outgoing port of a node is."""
        node = self.nodes[key]
        return out_port(node.x, node.y, kind)

    def in_place(self, key: str) -> QPointF:
        """Where edges arrive at a node."""
        node = self.nodes[key]
        return in_port(node.x, node.y)

    # Painting

    def paint(
        self, painter: QPainter, option: QStyleOptionGraphicsItem, widget: QWidget | None = None
    ) -> None:
        # A pan in both directions exposes two strips; the box round them, which Qt gives, would be everything.
        parts = self.parts or [QRectF(option.exposedRect)]
        scale = option.levelOfDetailFromTransform(painter.worldTransform())
        dpr = painter.device().devicePixelRatioF()
        if scale < NEAR_FROM:
            self._paint_far(painter, parts, scale)
        else:
            # Glyphs are drawn for the zoom, in steps, so that few sizes are kept.
            self._paint_near(painter, parts, dpr * max(1, round(scale)), scale >= paint.WORDS_FROM)
        if self.drawing is not None:
            path, can_end = self.drawing
            painter.setRenderHint(QPainter.RenderHint.Antialiasing)
            paint.drawing(painter, path, can_end=can_end)
        if not self.band.isEmpty():
            paint.band(painter, self.band)

    def _paint_near(self, painter: QPainter, parts: Sequence[QRectF], dpr: float, has_words: bool) -> None:
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        shown = self._edges_near(parts)
        for at in shown:
            paint.edge(
                painter,
                self.edges[at],
                self.way(at),
                is_selected=at in self.selected_edges,
                is_hovered=at == self.hovered_edge,
            )
        for at, share in self.messages.items():
            if at < len(self.edges):
                paint.message(painter, self.edges[at], self.way(at), share)
        for key in self._nodes_near(parts, 8, ROUND):
            paint.node(
                painter,
                self.nodes[key],
                is_selected=key in self.selected,
                is_current=self.has_focus and key == self.current,
                is_hovered=key == self.hovered,
                step=self.step,
                dpr=dpr,
                has_words=has_words,
            )
        for at in shown:
            paint.chip(painter, self.edges[at], self.way(at), is_selected=at in self.selected_edges, dpr=dpr)
        pointed = self.hovered or (self.current if self.drawing is not None else "")
        if pointed in self.nodes:
            paint.ports(painter, self.nodes[pointed], self.chosen_port)

    def _nodes_near(self, parts: Sequence[QRectF], beside: float = 0, above: float = 0) -> list[str]:
        """The nodes that meet one of these, each once; so far beside or above them counts too."""
        found: dict[str, None] = {}
        for part in parts:
            box = (part.left() - beside, part.top() - above, part.right() + beside, part.bottom() + beside)
            found.update(dict.fromkeys(self._node_grid.near(box)))
        return list(found)

    def _edges_near(self, parts: Sequence[QRectF]) -> list[int]:
        """The edges whose line or chip meets one of these."""
        found: dict[int, None] = {}
        for part in parts:
            for at in self._edge_grid.near((part.left(), part.top(), part.right(), part.bottom())):
                if at not in found:
                    way = self.way(at)
                    if way.meets(part) or paint.chip_box(self.edges[at], way).intersects(part):
                        found[at] = None
        return sorted(found)

    def _paint_far(self, painter: QPainter, parts: Sequence[QRectF], scale: float) -> None:
        if len(self.nodes) + len(self.edges) <= FAR_KEPT_MAX:
            # Kept from one paint to the next: making thousands of boxes each time is what costs, not drawing them.
            if self._far is None or self._far[0] != self.revision:
                self._far = (
                    self.revision,
                    paint.far_shapes(self.nodes.values(), self._lines(range(len(self.edges)))),
                )
            shapes = self._far[1]
        else:
            near: dict[int, None] = {}
            for part in parts:
                box = (part.left(), part.top(), part.right(), part.bottom())
                near.update(dict.fromkeys(self._edge_grid.near(box)))
            shapes = paint.far_shapes((self.nodes[key] for key in self._nodes_near(parts)), self._lines(near))
        ringed = self.selected | ({self.current} if self.current and self.has_focus else NOTHING)
        paint.far(painter, shapes, [self.nodes[key] for key in ringed if key in self.nodes], scale)

    def _lines(self, edges: Iterable[int]) -> Iterator[tuple[EdgeLook, QLineF]]:
        """Straight lines for edges seen from afar."""
        for at in edges:
            edge = self.edges[at]
            a, b = self.nodes[edge.source], self.nodes[edge.target]
            yield edge, QLineF(a.x + WIDTH, a.y + HEIGHT / 2, b.x, b.y + HEIGHT / 2)

    # What changes without the graph

    def select(self, nodes: Iterable[str], edges: Iterable[int] = ()) -> None:
        """These are chosen, and nothing else."""
        wanted, ends = (
            {key for key in nodes if key in self.nodes},
            {at for at in edges if at < len(self.edges)},
        )
        for key in self.selected ^ wanted:
            if key in self.nodes:
                self.update(self.node_box(key))
        for at in self.selected_edges ^ ends:
            if at < len(self.edges):
                self.update(self.edge_box(at))
        self.selected, self.selected_edges = wanted, ends

    def stand_on(self, key: str) -> None:
        """The keyboard is at this node."""
        for other in (self.current, key):
            if other in self.nodes:
                self.update(self.node_box(other))
        self.current = key if key in self.nodes else ""

    def set_focus(self, *, is_focused: bool) -> None:
        """Whether keys go here: only then is it shown where the keyboard stands."""
        self.has_focus = is_focused
        if self.current in self.nodes:
            self.update(self.node_box(self.current))

    def point_at(self, key: str, edge: int = -1, port: str = "") -> bool:
        """The mouse is over this; whether that is news."""
        if (key, edge, port) == (self.hovered, self.hovered_edge, self.chosen_port):
            return False
        for other in (self.hovered, key):
            if other in self.nodes:
                self.update(self.node_box(other))
        for at in (self.hovered_edge, edge):
            if 0 <= at < len(self.edges):
                self.update(self.edge_box(at))
        self.hovered, self.hovered_edge, self.chosen_port = key, edge, port
        return True

    def draw(self, path: QPainterPath | None, *, can_end: bool = False) -> None:
        """The edge that is being drawn, or none."""
        for held in (self.drawing[0] if self.drawing else None, path):
            if held is not None:
                self.update(held.boundingRect().adjusted(-8, -8, 8, 8))
        self.drawing = (path, can_end) if path is not None else None

    def stretch(self, box: QRectF) -> None:
        """The selecting frame."""
        if not self._room.contains(box):
            self.prepareGeometryChange()
        self.update(self.band.adjusted(-2, -2, 2, 2))
        self.band = box
        self.update(box.adjusted(-2, -2, 2, 2))

    def tick(self, step: int) -> None:
        """The hand of running nodes at this place."""
        self.step = step
        for key, node in self.nodes.items():
            if node.state == "running":
                self.update(self.node_box(key))

    def fly(self, messages: Mapping[int, float]) -> None:
        """Messages on their way, by edge: the share of the way done."""
        for at in {*self.messages, *messages}:
            if at < len(self.edges):
                self.update(self.edge_box(at))
        self.messages = dict(messages)


def _elsewhere(node: NodeLook, x: float, y: float) -> NodeLook:
    """The same node elsewhere."""
    return NodeLook(
        node.key, node.title, node.detail, node.icon, x, y,
        node.state, node.said, node.fault, node.is_pinned, node.joins,
    )  # fmt: skip


def _ends(edges: Sequence[EdgeLook]) -> list[tuple[str, str]]:
    return [(edge.source, edge.target) for edge in edges]
