# ruff: noqa: D102  (what an override does is said in `Laid`)
"""The documents given with a question: a chip each with its name, from the right edge of the column."""

from collections.abc import Sequence

from PySide6.QtCore import QPointF, QRectF

from app.theme.apply import look
from app.theme.icons import pixmap
from app.theme.paint import rounded, text
from app.widgets.transcript.laid import Laid, Paint, Spot

TALL_PX = 22
WIDE_MAX_PX = 260
BETWEEN_PX = 6
PAD_PX = 8
ICON_PX = 12


class DocumentsLaid(Laid):
    """As many in a line as fit; a long name is elided and stands whole in the tooltip."""

    __slots__ = ("_boxes", "_names")

    def __init__(self, names: Sequence[str], width: int) -> None:
        self._names = tuple(names)
        self._boxes = _boxes(self._names, width)
        super().__init__(width, height_of(self._names, width))

    def paint(self, paint: Paint) -> None:
        painter = paint.painter
        for name, box in zip(self._names, self._boxes, strict=True):
            if not box.intersects(paint.clip):
                continue
            rounded(painter, box, box.height() / 2, fill="bg.sunken", line="line.subtle")
            at = QPointF(box.x() + PAD_PX, round(box.center().y() - ICON_PX / 2))
            painter.drawPixmap(at, pixmap("file-text", "text.secondary", ICON_PX, paint.dpr))
            room = box.adjusted(PAD_PX + ICON_PX + 4, 0, -PAD_PX, 0)
            text(painter, room, name, "caption", "text.secondary")

    def spot_at(self, x: float, y: float) -> Spot | None:
        for name, box in zip(self._names, self._boxes, strict=True):
            if box.contains(x, y):
                return Spot("document", name, box, spoken(name))
        return None


def spoken(name: str) -> str:
    """What is read out and shown as tooltip."""
    return f"Document {name}"


def height_of(names: Sequence[str], width: int) -> int:
    """How high the chips are together."""
    boxes = _boxes(names, width)
    return round(boxes[-1].bottom()) if boxes else 0


def _boxes(names: Sequence[str], width: int) -> list[QRectF]:
    metrics, tall = look().metrics("caption"), look().px(TALL_PX)
    most = min(width, look().px(WIDE_MAX_PX))
    lines: list[list[float]] = [[]]
    left = float(width)
    for name in names:
        shown = name.replace("\n", " ")
        wide = min(most, round(metrics.horizontalAdvance(shown)) + 2 * PAD_PX + ICON_PX + 6)
        if lines[-1] and wide > left:
            lines.append([])
            left = float(width)
        lines[-1].append(wide)
        left -= wide + BETWEEN_PX
    boxes: list[QRectF] = []
    for number, line in enumerate(lines):
        x = width - sum(line) - BETWEEN_PX * (len(line) - 1)
        for wide in line:
            boxes.append(QRectF(x, number * (tall + BETWEEN_PX), wide, tall))
            x += wide + BETWEEN_PX
    return boxes
