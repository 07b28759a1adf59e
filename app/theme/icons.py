"""Icons: Lucide files tinted and cached as pixmaps, the five tier marks, the mark of the application.

pixmap("search", "text.tertiary", 14, dpr)     # for painters; cached by (name, colour, size, dpr)
icon("square-pen", "text.secondary", 16)       # for QAction and buttons; frozen at today's theme
set_icon(button, "square-pen", ...)            # the same, and redone whenever the theme changes
paint_tier(painter, "fleet", x, y)             # shape and colour; never a tier as a dot or as coloured text
"""

from functools import cache

from PySide6.QtCore import QByteArray, QObject, QPointF, QRectF, QSize, Qt
from PySide6.QtGui import (
    QAction,
    QColor,
    QGuiApplication,
    QIcon,
    QPainter,
    QPainterPath,
    QPen,
    QPixmap,
    QPolygonF,
)
from PySide6.QtSvg import QSvgRenderer
from PySide6.QtWidgets import QAbstractButton

from app.theme.apply import look
from app.theme.tokens import TIERS, Tier, resource_path

PIXMAPS_MAX = 512
GAP_PX = 2
TIER_FILL_ALPHA = 0.22
TIER_STROKE_PX = 1.4
FAILED_OPACITY = 0.55

_pixmaps: dict[tuple[str, int, float, float], QPixmap] = {}


def pixmap(name: str, colour: str = "text.secondary", size: float = 16, dpr: float = 0.0) -> QPixmap:
    """The icon `name` drawn in the colour of token `colour`, `size` px, at device pixel ratio `dpr`.

    `dpr` 0 means the largest of all screens. FileNotFoundError where no such icon ships: add its Lucide file.
    """
    return tinted(name, look().colour(colour), size, dpr)


def tinted(name: str, colour: QColor, size: float = 16, dpr: float = 0.0) -> QPixmap:
    """Like `pixmap`, for a colour that is already at hand."""
    ratio = dpr or largest_ratio()
    key = (name, colour.rgba(), size, ratio)
    found = _pixmaps.get(key)
    if found is None:
        if len(_pixmaps) >= PIXMAPS_MAX:
            _pixmaps.pop(next(iter(_pixmaps)))
        found = _pixmaps[key] = _render(svg_text(name), colour, size, ratio)
    return found


def icon(
    name: str, colour: str = "text.secondary", size: float = 16, *, on: str | None = None, beside: int = 0
) -> QIcon:
    """A QIcon in the colour of a token, with its disabled look; `on` is the token of the checked state.

    `beside` px of room are added at its right: a push button puts 4 px between icon and text, the design 6.
    """
    result = QIcon(_beside(pixmap(name, colour, size), beside))
    result.addPixmap(_beside(pixmap(name, "text.disabled", size), beside), QIcon.Mode.Disabled)
    if on is not None:
        checked = _beside(pixmap(name, on, size), beside)
        result.addPixmap(checked, QIcon.Mode.Normal, QIcon.State.On)
        result.addPixmap(checked, QIcon.Mode.Active, QIcon.State.On)
    return result


def _beside(glyph: QPixmap, room: int) -> QPixmap:
    if not room:
        return glyph
    ratio = glyph.devicePixelRatio()
    canvas = QPixmap(glyph.width() + round(room * ratio), glyph.height())
    canvas.setDevicePixelRatio(ratio)
    canvas.fill(Qt.GlobalColor.transparent)
    painter = QPainter(canvas)
    painter.drawPixmap(QPointF(0, 0), glyph)
    painter.end()
    return canvas


def set_icon(
    holder: QAbstractButton | QAction,
    name: str,
    colour: str = "text.secondary",
    size: float = 16,
    *,
    on: str | None = None,
) -> None:
    """Gives `holder` an icon that follows theme and text scale; a later call replaces name, size and colours.

    Set the holder's text before: an icon beside words gets the design's gap.
    """
    wish = holder.findChild(_Wish, options=Qt.FindChildOption.FindDirectChildrenOnly)
    if wish is None:
        wish = _Wish(holder)
    wish.set(name, colour, size, on)


class _Wish(QObject):
    """Redoes one holder's icon on every change of theme; a child of the holder, so it goes with it."""

    def __init__(self, holder: QAbstractButton | QAction) -> None:
        super().__init__(holder)
        self._what: tuple[str, str, float, str | None] = ("", "", 0, None)
        look().theme_changed.connect(self._redo)

    def set(self, name: str, colour: str, size: float, on: str | None) -> None:
        """Remembers what is wished for and does it."""
        self._what = (name, colour, size, on)
        self._redo()

    def _redo(self) -> None:
        holder = self.parent()
        name, colour, wanted, on = self._what
        size = look().px(wanted)
        if isinstance(holder, QAction):
            holder.setIcon(icon(name, colour, size, on=on))
        if isinstance(holder, QAbstractButton):
            beside = GAP_PX if holder.text() and not holder.property("square") else 0
            holder.setIcon(icon(name, colour, size, on=on, beside=beside))
            holder.setIconSize(QSize(size + beside, size))


def tier_icon(tier: Tier, size: float = 12) -> QIcon:
    """The tier mark as a QIcon, for combo boxes and menus."""
    ratio = largest_ratio()
    canvas = blank(size, ratio)
    painter = QPainter(canvas)
    paint_tier(painter, tier, 0, 0, size)
    painter.end()
    return QIcon(canvas)


def paint_tier(
    painter: QPainter, tier: str, x: float, y: float, size: float = 12, *, failed: bool = False
) -> None:
    """Paints the mark of `tier` with its top left at (x, y); `failed` draws it at 55 %.

    An unknown tier draws nothing: a mark that means nothing would lie.
    """
    if tier not in TIERS:
        return
    colour = look().colour(f"tier.{tier}")
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.translate(x, y)
    painter.scale(size / 12, size / 12)
    if failed:
        painter.setOpacity(painter.opacity() * FAILED_OPACITY)
    pen = QPen(colour, TIER_STROKE_PX)
    pen.setJoinStyle(Qt.PenJoinStyle.RoundJoin)
    painter.setPen(pen)
    painter.setBrush(colour if tier == "frontier" else look().colour(f"tier.{tier}", TIER_FILL_ALPHA))
    painter.drawPath(tier_path(tier))
    painter.restore()


@cache
def tier_path(tier: str) -> QPainterPath:
    """The outline of a tier's mark in a 12 px box."""
    path = QPainterPath()
    match tier:
        case "local":
            path.addEllipse(QPointF(6, 6), 4.6, 4.6)
        case "fleet":
            path.addRoundedRect(QRectF(1.6, 1.6, 8.8, 8.8), 1.2, 1.2)
        case _:
            path.addPolygon(QPolygonF([QPointF(x, y) for x, y in TIER_POINTS[tier]]))
            path.closeSubpath()
    return path


TIER_POINTS: dict[str, tuple[tuple[float, float], ...]] = {
    "direct": ((6, 1.3), (11, 10.4), (1, 10.4)),
    "cloud": ((6, 0.7), (11.3, 6), (6, 11.3), (0.7, 6)),
    "frontier": (
        (6, 0.6), (7.6, 4.1), (11.4, 4.5), (8.6, 7.1), (9.4, 10.9),
        (6, 9), (2.6, 10.9), (3.4, 7.1), (0.6, 4.5), (4.4, 4.1),
    ),
}  # fmt: skip


def app_mark(colour: str = "text.primary", size: float = 22, dpr: float = 0.0) -> QPixmap:
    """The application's mark, a hexagon with two chevrons, in the colour of a token."""
    svg = resource_path("mark.svg").read_text(encoding="utf-8")
    return _render(svg, look().colour(colour), size, dpr or largest_ratio())


def app_icon() -> QIcon:
    """The window's icon: the mark on a tile of the accent, at the sizes window systems ask for."""
    result = QIcon()
    for side in (16, 24, 32, 48, 64, 128, 256):
        canvas = blank(side, 1.0)
        painter = QPainter(canvas)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(look().colour("accent.fill"))
        painter.drawRoundedRect(QRectF(0, 0, side, side), side * 0.22, side * 0.22)
        inner = round(side * 0.74)
        margin = (side - inner) / 2
        painter.drawPixmap(QPointF(margin, margin), app_mark("text.onAccent", inner, 1.0))
        painter.end()
        result.addPixmap(canvas)
    return result


def largest_ratio() -> float:
    """The largest device pixel ratio of all screens, at least 1."""
    return max((screen.devicePixelRatio() for screen in QGuiApplication.screens()), default=1.0)


def blank(size: float, dpr: float) -> QPixmap:
    """A transparent square pixmap of `size` px at ratio `dpr`."""
    side = max(1, round(size * dpr))
    canvas = QPixmap(QSize(side, side))
    canvas.setDevicePixelRatio(dpr)
    canvas.fill(Qt.GlobalColor.transparent)
    return canvas


@cache
def svg_text(name: str) -> str:
    """The file of icon `name` with the stroke of the house: 1.8 on the 24 grid."""
    text = resource_path("icons", f"{name}.svg").read_text(encoding="utf-8")
    return text.replace('stroke-width="2"', 'stroke-width="1.8"')


def _render(svg: str, colour: QColor, size: float, dpr: float) -> QPixmap:
    if size > 18:
        svg = svg.replace('stroke-width="1.8"', 'stroke-width="1.6"')
    filled = svg.replace("currentColor", colour.name(QColor.NameFormat.HexRgb))
    canvas = blank(size, dpr)
    painter = QPainter(canvas)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    if colour.alpha() < 255:
        painter.setOpacity(colour.alphaF())
    QSvgRenderer(QByteArray(filled.encode())).render(painter, QRectF(0, 0, size, size))
    painter.end()
    return canvas
