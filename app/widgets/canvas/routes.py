"""The way of an edge from port to port, and the points on it that matter."""

from dataclasses import dataclass
from itertools import pairwise

from PySide6.QtCore import QPointF, QRectF
from PySide6.QtGui import QPainterPath

from app.widgets.canvas.looks import HEIGHT, WIDTH, Kind

ARROW = 7.0
PORT_REACH = 11.0  # px round a port that still mean the port
CORNER = 12.0
BESIDE = 26.0
LONG, BEFORE = 320.0, 52.0
PIECES = 8


@dataclass(frozen=True, slots=True)
class Route:
    """A way: its line, where its arrow points, the place of what stands on it, and boxes round all of it and its pieces."""

    path: QPainterPath
    start: QPointF
    end: QPointF
    middle: QPointF
    box: QRectF
    pieces: tuple[QRectF, ...]

    def meets(self, part: QRectF) -> bool:
        """Whether any of it is in a rectangle; a long way across the canvas is nearly everywhere by its box alone."""
        return self.box.intersects(part) and any(piece.intersects(part) for piece in self.pieces)


def out_port(x: float, y: float, kind: Kind) -> QPointF:
    """Where an edge leaves a node: right, or below for what follows a failure."""
    return QPointF(x + WIDTH / 2, y + HEIGHT) if kind == "failure" else QPointF(x + WIDTH, y + HEIGHT / 2)


def in_port(x: float, y: float) -> QPointF:
    """Where edges arrive."""
    return QPointF(x, y + HEIGHT / 2)


def route(source: tuple[float, float], target: tuple[float, float], kind: Kind) -> Route:
    """The way between two nodes, given by their upper left corners."""
    start, end = out_port(*source, kind), in_port(*target)
    tip = QPointF(end.x() - ARROW, end.y())
    path = QPainterPath(start)
    if kind == "failure" and tip.x() >= start.x() + BESIDE:
        _down(path, start, tip)
    elif kind != "failure" and tip.x() >= start.x() + ARROW:
        bend = max(24.0, min(abs(tip.x() - start.x()) / 2, 160.0))
        path.cubicTo(QPointF(start.x() + bend, start.y()), QPointF(tip.x() - bend, tip.y()), tip)
    else:
        _around(path, start, tip, kind)
    middle = path.pointAtPercent(_share(path, start, tip))
    box = path.boundingRect().adjusted(-8, -8, 8 + ARROW, 8)
    return Route(path, start, end, middle, box, _pieces(path, end))


def _pieces(path: QPainterPath, end: QPointF) -> tuple[QRectF, ...]:
    points = [path.pointAtPercent(at / PIECES) for at in range(PIECES + 1)]
    boxes = [QRectF(a, b).normalized() for a, b in pairwise(points)]
    room = 10.0  # of what the curve bends between two points, its width, and the arrow
    return tuple(
        box.adjusted(-room, -room, room, room) for box in (*boxes, QRectF(points[-1], end).normalized())
    )


def _share(path: QPainterPath, start: QPointF, tip: QPointF) -> float:
    """Where on the way something stands: in the middle; on a long way, which may run behind nodes, before its end."""
    if tip.x() - start.x() < LONG:
        return 0.5
    low, high = 0.5, 1.0
    for _ in range(12):
        share = (low + high) / 2
        if path.pointAtPercent(share).x() < tip.x() - BEFORE:
            low = share
        else:
            high = share
    return low


def loose(start: QPointF, at: QPointF, kind: Kind) -> QPainterPath:
    """The way to the mouse while an edge is drawn."""
    path = QPainterPath(start)
    bend = max(24.0, min(abs(at.x() - start.x()) / 2, 160.0))
    first = (
        QPointF(start.x(), start.y() + bend) if kind == "failure" else QPointF(start.x() + bend, start.y())
    )
    path.cubicTo(first, QPointF(at.x() - bend, at.y()), at)
    return path


def _down(path: QPainterPath, start: QPointF, tip: QPointF) -> None:
    drop = tip.y() - start.y()
    if drop > BESIDE:
        path.cubicTo(QPointF(start.x(), start.y() + drop), QPointF(start.x(), tip.y()), tip)
    else:
        low = start.y() + BESIDE
        path.cubicTo(
            QPointF(start.x(), low + BESIDE),
            QPointF(max(start.x() + WIDTH * 0.75, tip.x() - 3 * BESIDE), tip.y()),
            tip,
        )


def _around(path: QPainterPath, start: QPointF, tip: QPointF, kind: Kind) -> None:
    """Back to the left: under both nodes, with round corners."""
    low = max(start.y(), tip.y()) + HEIGHT / 2 + BESIDE
    right = start.x() if kind == "failure" else start.x() + BESIDE
    left = tip.x() - BESIDE
    points = [QPointF(right, start.y()), QPointF(right, low), QPointF(left, low), QPointF(left, tip.y()), tip]
    before = start
    for at, corner in enumerate(points[:-1]):
        if corner == before:
            continue
        after = points[at + 1]
        path.lineTo(_toward(corner, before))
        path.quadTo(corner, _toward(corner, after))
        before = corner
    path.lineTo(tip)


def _toward(corner: QPointF, other: QPointF) -> QPointF:
    way = other - corner
    length = abs(way.x()) + abs(way.y())
    return corner if length == 0 else corner + way * (min(CORNER, length / 2) / length)
