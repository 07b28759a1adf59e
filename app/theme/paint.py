"""Small painted parts that many widgets and delegates share: pills, meters, rings, key caps, lines of text.

All take a QPainter and logical px; all read colours and fonts from `look()` and keep nothing.
"""

from collections.abc import Sequence
from typing import Literal

from PySide6.QtCore import QPointF, QRectF, Qt
from PySide6.QtGui import QBrush, QColor, QFontMetricsF, QPainter, QPainterPath, QPen

from app.theme.apply import look
from app.theme.icons import pixmap
from app.theme.tokens import TextStyle

PillTone = Literal["neutral", "ok", "warn", "err", "accent", "outline"]
LEFT = Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
RIGHT = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
CENTRE = Qt.AlignmentFlag.AlignCenter

PILL_COLOURS: dict[PillTone, tuple[str, str]] = {
    "neutral": ("bg.pressed", "text.secondary"),
    "ok": ("ok.soft", "ok.text"),
    "warn": ("warn.soft", "warn.text"),
    "err": ("err.soft", "err.text"),
    "accent": ("accent.soft", "accent.text"),
    "outline": ("", "text.secondary"),
}


def rounded(
    painter: QPainter, rect: QRectF, radius: float, fill: str = "", line: str = "", width: float = 1.0
) -> None:
    """A rounded box in token colours; its line is drawn inside `rect`, crisp at odd widths."""
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    if line:
        painter.setPen(QPen(look().colour(line), width))
        rect = rect.adjusted(width / 2, width / 2, -width / 2, -width / 2)
        radius = max(0.0, radius - width / 2)
    else:
        painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(look().colour(fill) if fill else Qt.BrushStyle.NoBrush)
    painter.drawRoundedRect(rect, radius, radius)
    painter.restore()


def focus_ring(painter: QPainter, rect: QRectF, radius: float, *, inside: bool = False) -> None:
    """The 2 px ring, 1 px outside `rect`; `inside` keeps it within, where there is no room around."""
    box = rect if inside else rect.adjusted(-3, -3, 3, 3)
    rounded(painter, box, radius if inside else radius + 3, line="focus.ring", width=2)


def text(
    painter: QPainter,
    rect: QRectF,
    words: str,
    style: TextStyle = "ui",
    colour: str = "text.primary",
    *,
    weight: int | None = None,
    align: Qt.AlignmentFlag = LEFT,
    elide: Qt.TextElideMode = Qt.TextElideMode.ElideRight,
) -> float:
    """One line of plain text, elided to `rect`; returns the width it took in px."""
    metrics = look().metrics(style, weight)
    shown = words.replace("\n", " ")
    width = metrics.horizontalAdvance(shown)
    if width > rect.width():
        shown = metrics.elidedText(shown, elide, rect.width())
        width = metrics.horizontalAdvance(shown)
    painter.setFont(look().font(style, weight))
    painter.setPen(look().colour(colour))
    painter.drawText(rect, int(align | Qt.TextFlag.TextSingleLine), shown)
    return width


def pill_size(words: str, *, icon: str = "", height: float = 18) -> tuple[float, float]:
    """Width and height in px of the pill that `pill` would paint."""
    scaled = look().px(height)
    width = look().metrics("caption").horizontalAdvance(words) + 14
    return width + (16 if icon else 0), scaled


def pill(
    painter: QPainter,
    x: float,
    centre_y: float,
    words: str,
    tone: PillTone = "neutral",
    *,
    icon: str = "",
    height: float = 18,
    dpr: float = 1.0,
) -> float:
    """A pill with its left edge at `x`; returns its width. State is icon + word + colour, so give the icon for states."""
    width, tall = pill_size(words, icon=icon, height=height)
    rect = QRectF(x, round(centre_y - tall / 2), width, tall)
    ground, ink = PILL_COLOURS[tone]
    line = "line.normal" if tone == "outline" else ""
    rounded(painter, rect, tall / 2, fill=ground, line=line)
    left = rect.x() + 7
    if icon:
        painter.drawPixmap(QPointF(left, round(rect.center().y() - 6)), pixmap(icon, ink, 12, dpr))
        left += 16
    text(
        painter,
        QRectF(left, rect.y(), rect.right() - left, tall),
        words,
        "caption",
        ink,
        elide=Qt.TextElideMode.ElideNone,
    )
    return width


def key_cap_size(keys: str) -> tuple[float, float]:
    """Width and height in px of a key cap."""
    return max(18.0, look().metrics("caption").horizontalAdvance(keys) + 10), look().px(18)


def key_cap(
    painter: QPainter,
    rect: QRectF,
    keys: str,
    *,
    ink: str = "text.tertiary",
    line: str = "line.normal",
    fill: str = "bg.raised",
) -> None:
    """A key cap filling `rect`."""
    rounded(painter, rect, 3, fill=fill, line=line)
    text(painter, rect, keys, "caption", ink, align=CENTRE, elide=Qt.TextElideMode.ElideNone)


def meter(
    painter: QPainter, rect: QRectF, parts: Sequence[tuple[float, str]], *, ground: str = "bg.pressed"
) -> None:
    """A bar of `(share 0–1, colour token)` segments with 1 px gaps; what is left shows `ground`.

    The token `hatch` draws the ghost: 45° stripes, 2 px on and 3 off.
    """
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    radius = rect.height() / 2
    rounded(painter, rect, radius, fill=ground)
    clip = rounded_path(rect, radius)
    painter.setClipPath(clip, Qt.ClipOperation.IntersectClip)
    left = rect.x()
    for share, colour in parts:
        width = rect.width() * max(0.0, min(1.0, share))
        box = QRectF(left, rect.y(), max(0.0, min(width, rect.right() - left) - 1), rect.height())
        if colour == "hatch":
            _hatch(painter, box)
        elif box.width() > 0:
            painter.fillRect(box, look().colour(colour))
        left += width
    painter.restore()


def _hatch(painter: QPainter, box: QRectF) -> None:
    painter.save()
    painter.setClipRect(box, Qt.ClipOperation.IntersectClip)
    painter.setPen(QPen(look().colour("line.strong", 0.5), 2))
    left = box.left() - box.height()
    while left < box.right():
        painter.drawLine(QPointF(left, box.bottom()), QPointF(left + box.height(), box.top()))
        left += 5 * 2**0.5
    painter.restore()


def rounded_path(rect: QRectF, radius: float) -> QPainterPath:
    """The outline of a rounded box, for clipping."""
    path = QPainterPath()
    path.addRoundedRect(rect, radius, radius)
    return path


def hairline(painter: QPainter, x1: float, y: float, x2: float, colour: str = "line.subtle") -> None:
    """A horizontal line of 1 px whose top is at `y`."""
    painter.fillRect(QRectF(x1, y, x2 - x1, 1), look().colour(colour))


def elided(metrics: QFontMetricsF, words: str, width: float) -> str:
    """`words` cut to `width` px with an ellipsis."""
    return metrics.elidedText(words, Qt.TextElideMode.ElideRight, width)


def brush(name: str, alpha: float = 1.0) -> QBrush:
    """A solid brush of a token."""
    colour: QColor = look().colour(name, alpha)
    return QBrush(colour)
