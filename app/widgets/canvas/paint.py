"""How nodes and edges are painted: near with words and glyphs, far as flat boxes and straight lines."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from PySide6.QtCore import QLineF, QPointF, QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QFont, QFontMetricsF, QPainter, QPainterPath, QPen, QPolygonF

from app.theme.apply import look
from app.theme.fonts import make_font
from app.theme.icons import pixmap
from app.theme.tokens import TextStyle, load_tokens
from app.widgets.canvas.looks import EDGE_INKS, HEIGHT, STATES, WIDTH, EdgeLook, NodeLook, State
from app.widgets.canvas.routes import ARROW, Route

RADIUS = 7.0
BAR = 3.0
CHIP = 22.0
CHIP_MAX = 128.0
CUTS_MAX = 4096
WORDS_FROM = 0.65  # of the zoom: below it only the titles of nodes can be read
STEPS = 8  # places of the loader's hand


def node(
    painter: QPainter,
    held: NodeLook,
    *,
    is_selected: bool,
    is_current: bool,
    is_hovered: bool,
    step: int,
    dpr: float,
    has_words: bool,
) -> None:
    """One node, near; `has_words` False leaves out what would be too small to read."""
    shown = look()
    box = QRectF(held.x, held.y, WIDTH, HEIGHT)
    is_skipped, is_running = held.state == "skipped", held.state == "running"
    if is_skipped:
        painter.setOpacity(0.75)
    ink = "accent.fill" if is_running else "err.mark" if held.fault else "line.normal"
    pen = QPen(shown.colour(ink), 1.5 if is_running or held.fault else 1.0)
    if is_skipped:
        pen.setDashPattern([3, 3])
    fill = "accent.soft" if is_running else "bg.hover" if is_hovered else "bg.raised"
    inset = pen.widthF() / 2
    painter.setPen(pen)
    painter.setBrush(shown.colour(fill))
    painter.drawRoundedRect(box.adjusted(inset, inset, -inset, -inset), RADIUS, RADIUS)
    painter.setPen(Qt.PenStyle.NoPen)
    state = STATES[held.state]
    painter.setBrush(shown.colour("err.mark" if held.fault and not held.state else state.bar))
    painter.drawRoundedRect(QRectF(box.x(), box.y() + 7, BAR, HEIGHT - 14), 1.5, 1.5)
    painter.drawPixmap(QPointF(box.x() + 12, box.y() + 11), pixmap(held.icon, "text.secondary", 16, dpr))
    right = box.right() - 12
    glyph, glyph_ink = state.glyph, state.ink
    if held.fault and not glyph:
        glyph, glyph_ink = "triangle-alert", "err.mark"
    if glyph:
        _glyph(painter, QPointF(right - 15, box.y() + 11), glyph, glyph_ink, step if is_running else 0, dpr)
        right -= 20
    if held.is_pinned:
        painter.drawPixmap(QPointF(right - 14, box.y() + 12), pixmap("pin", "warn.mark", 14, dpr))
        right -= 18
    _words(
        painter,
        QPointF(box.x() + 36, box.y() + 10),
        right - box.x() - 36,
        held.title,
        "uiStrong",
        "text.primary",
    )
    if has_words:
        _words(
            painter,
            QPointF(box.x() + 36, box.y() + 28),
            WIDTH - 46,
            held.detail or "Choose a task",
            "codeSmall" if held.detail else "small",
            "text.tertiary" if held.detail else "err.text",
        )
        if held.said or held.joins:
            said = held.said or held.joins
            tone = "err.text" if held.state == "failed" else "text.tertiary"
            _words(painter, QPointF(box.x() + 4, box.bottom() + 3), WIDTH - 8, said, "caption", tone)
    painter.setOpacity(1.0)
    if is_selected or is_current:
        painter.setBrush(Qt.BrushStyle.NoBrush)
        ring = QPen(shown.colour("focus.ring"), 2)
        if not is_selected:
            ring.setDashPattern([2, 2])
        painter.setPen(ring)
        painter.drawRoundedRect(box.adjusted(-2, -2, 2, 2), RADIUS + 2, RADIUS + 2)


def ports(painter: QPainter, held: NodeLook, chosen: str = "") -> None:
    """The ports of a node that is pointed at; the chosen one is filled."""
    shown = look()
    places = {
        "in": QPointF(held.x, held.y + HEIGHT / 2),
        "success": QPointF(held.x + WIDTH, held.y + HEIGHT / 2),
        "failure": QPointF(held.x + WIDTH / 2, held.y + HEIGHT),
    }
    for name, place in places.items():
        painter.setPen(QPen(shown.colour("accent.fill" if name == chosen else "line.strong"), 1.5))
        painter.setBrush(shown.colour("accent.fill" if name == chosen else "bg.raised"))
        painter.drawEllipse(place, 5, 5)


def edge(painter: QPainter, held: EdgeLook, way: Route, *, is_selected: bool, is_hovered: bool) -> None:
    """One edge, near, without its chip."""
    colour = _edge_colour(held, is_selected)
    pen = QPen(colour, 2.0 if is_selected or is_hovered or held.state == "running" else 1.5)
    if held.state == "skipped" and not is_selected:
        pen.setDashPattern([3, 4])
    elif held.kind == "failure":
        pen.setDashPattern([4, 3])
    elif held.kind == "always":
        pen.setDashPattern([8, 2])
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(pen)
    painter.drawPath(way.path)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(colour)
    tip = way.end
    painter.drawPolygon(
        QPolygonF(
            [tip, QPointF(tip.x() - ARROW - 1, tip.y() - 4.5), QPointF(tip.x() - ARROW - 1, tip.y() + 4.5)]
        )
    )


def message(painter: QPainter, held: EdgeLook, way: Route, share: float) -> None:
    """The dot of a message on its way."""
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(_edge_colour(held, False))
    painter.drawEllipse(way.path.pointAtPercent(min(1.0, max(0.0, share))), 4.5, 4.5)


def chip_box(held: EdgeLook, way: Route) -> QRectF:
    """Where an edge's chip stands; empty where it has none."""
    words = _chip_words(held)
    if not words and not held.chip_icon:
        return QRectF()
    width = _advance(words) + 16 + (18 if held.chip_icon else 0)
    if held.held:
        width += 16
    width = min(width, CHIP_MAX)
    return QRectF(way.middle.x() - width / 2, way.middle.y() - CHIP / 2, width, CHIP)


def chip(painter: QPainter, held: EdgeLook, way: Route, *, is_selected: bool, dpr: float) -> None:
    """What stands on an edge: its condition, outcome, delay, fan-out, and whether it held."""
    box = chip_box(held, way)
    if box.isEmpty():
        return
    shown = look()
    ink = "focus.ring" if is_selected else "err.mark" if held.fault else "line.normal"
    width = 2.0 if is_selected else 1.0
    painter.setPen(QPen(shown.colour(ink), width))
    painter.setBrush(shown.colour("bg.raised"))
    inset = width / 2
    painter.drawRoundedRect(box.adjusted(inset, inset, -inset, -inset), CHIP / 2, CHIP / 2)
    left, right = box.x() + 8, box.right() - 8
    if held.chip_icon:
        painter.drawPixmap(QPointF(left, box.y() + 4), pixmap(held.chip_icon, "text.secondary", 14, dpr))
        left += 18
    if held.held:
        name, tone = ("check", "ok.mark") if held.held == "yes" else ("x", "err.mark")
        painter.drawPixmap(QPointF(right - 12, box.y() + 5), pixmap(name, tone, 12, dpr))
        right -= 14
    _words(painter, QPointF(left, box.y() + 4), right - left, _chip_words(held), "caption", "text.secondary")


@dataclass(frozen=True, slots=True)
class FarShapes:
    """A graph from afar: straight lines by ink, boxes by state."""

    lines: dict[str, list[QLineF]]
    boxes: dict[State, list[QRectF]]


def far_shapes(nodes: Iterable[NodeLook], lines: Iterable[tuple[EdgeLook, QLineF]]) -> FarShapes:
    """The shapes of these nodes and edges."""
    by_ink: dict[str, list[QLineF]] = {}
    for held, line in lines:
        by_ink.setdefault(EDGE_INKS[held.state], []).append(line)
    by_state: dict[State, list[QRectF]] = {}
    for held in nodes:
        state: State = "failed" if held.fault else held.state
        by_state.setdefault(state, []).append(QRectF(held.x, held.y, WIDTH, HEIGHT))
    return FarShapes(by_ink, by_state)


def far(painter: QPainter, shapes: FarShapes, ringed: Sequence[NodeLook], scale: float) -> None:
    """All of them at once, as boxes and straight lines in a few calls."""
    shown = look()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
    width = 0.0 if scale < 0.25 else 1.5
    for ink, lines in shapes.lines.items():
        painter.setPen(QPen(shown.colour(ink), width))
        painter.drawLines(lines)
    for state, boxes in shapes.boxes.items():
        ink = STATES[state].bar if state in ("running", "done", "failed", "unknown") else "bg.pressed"
        painter.setPen(QPen(shown.colour("line.strong"), 0))
        painter.setBrush(QBrush(_soft(shown.colour(ink), state)))
        painter.drawRects(boxes)
    if ringed:
        painter.setBrush(Qt.BrushStyle.NoBrush)
        painter.setPen(QPen(shown.colour("focus.ring"), 2 / max(scale, 0.02)))
        painter.drawRects([QRectF(node.x, node.y, WIDTH, HEIGHT) for node in ringed])


def band(painter: QPainter, box: QRectF) -> None:
    """The frame with which a person selects."""
    painter.setPen(QPen(look().colour("accent.fill"), 0))
    painter.setBrush(look().colour("accent.fill", 0.12))
    painter.drawRect(box)


def drawing(painter: QPainter, path: QPainterPath, *, can_end: bool) -> None:
    """The edge that is being drawn."""
    pen = QPen(look().colour("accent.fill"), 2)
    if not can_end:
        pen.setDashPattern([4, 3])
    painter.setBrush(Qt.BrushStyle.NoBrush)
    painter.setPen(pen)
    painter.drawPath(path)


def _soft(colour: QColor, state: State) -> QColor:
    made = QColor(colour)
    if state in ("running", "done", "failed", "unknown"):
        made.setAlphaF(0.75)
    return made


def _edge_colour(held: EdgeLook, is_selected: bool) -> QColor:
    ink = "focus.ring" if is_selected else "err.mark" if held.fault else EDGE_INKS[held.state]
    return look().colour(ink)


def _chip_words(held: EdgeLook) -> str:
    if not held.count:
        return held.chip
    kept = [word for word in held.chip.split(" · ") if word and word != "each"]
    return " · ".join([*kept, held.count])


def _glyph(painter: QPainter, at: QPointF, name: str, ink: str, step: int, dpr: float) -> None:
    found = pixmap(name, ink, 15, dpr)
    if not step:
        painter.drawPixmap(at, found)
        return
    painter.save()
    painter.translate(at + QPointF(7.5, 7.5))
    painter.rotate(step * 360 / STEPS)
    painter.drawPixmap(QPointF(-7.5, -7.5), found)
    painter.restore()


def _words(painter: QPainter, at: QPointF, width: float, words: str, style: TextStyle, ink: str) -> None:
    """One line from its upper left corner, cut to `width`. Words on the canvas keep their size: the zoom is theirs."""
    font, metrics = face(style)
    painter.setFont(font)
    painter.setPen(look().colour(ink))
    painter.drawText(QPointF(at.x(), at.y() + metrics.ascent()), _cut(words, width, style))


@lru_cache(CUTS_MAX)
def _cut(words: str, width: float, style: TextStyle) -> str:
    _, metrics = face(style)
    if metrics.horizontalAdvance(words) <= width:
        return words
    return metrics.elidedText(words, Qt.TextElideMode.ElideRight, width)


@lru_cache(CUTS_MAX)
def _advance(words: str) -> float:
    return face("caption")[1].horizontalAdvance(words)


@cache
def face(style: TextStyle) -> tuple[QFont, QFontMetricsF]:
    """A text style at its own size: the zoom of the canvas carries the text scale."""
    font = make_font(load_tokens("light").types[style])
    return font, QFontMetricsF(font)
