# ruff: noqa: D102  (what an override does is said in `Laid`)
"""The pictures shown with a question: a small one each, in boxes of one size, so that nothing moves when they come."""

from PySide6.QtCore import QRectF, Qt
from PySide6.QtGui import QPainterPath

from app.theme.apply import look
from app.theme.icons import pixmap
from app.theme.paint import rounded
from app.widgets.transcript.laid import Laid, Paint, Spot

BOX_PX = (144, 108)
BETWEEN_PX = 8


class PicturesLaid(Laid):
    """Boxes from the right edge of the column, as many rows of them as it takes."""

    __slots__ = ("_boxes", "_message_id")

    def __init__(self, message_id: str, count: int, width: int) -> None:
        self._message_id = message_id
        wide, tall = (look().px(px) for px in BOX_PX)
        in_line = max(1, min(count, (width + BETWEEN_PX) // (wide + BETWEEN_PX)))
        self._boxes = [
            QRectF(
                width
                - (min(in_line, count - number // in_line * in_line) - number % in_line) * (wide + BETWEEN_PX)
                + BETWEEN_PX,
                number // in_line * (tall + BETWEEN_PX),
                wide,
                tall,
            )
            for number in range(count)
        ]
        super().__init__(width, height_of(count, width))

    def paint(self, paint: Paint) -> None:
        painter, radius = paint.painter, look().tokens.radius("m")
        for number, box in enumerate(self._boxes):
            if not box.intersects(paint.clip):
                continue
            rounded(painter, box, radius, fill="bg.sunken", line="line.subtle")
            small = paint.picture_of(self._message_id, number) if paint.picture_of is not None else None
            if small is None:
                middle = box.center()
                painter.drawPixmap(
                    round(middle.x() - 8),
                    round(middle.y() - 8),
                    pixmap("image", "text.tertiary", 16, paint.dpr),
                )
            else:
                path = QPainterPath()
                path.addRoundedRect(box.adjusted(1, 1, -1, -1), radius - 1, radius - 1)
                painter.save()
                painter.setClipPath(path, Qt.ClipOperation.IntersectClip)
                size = small.deviceIndependentSize()
                scale = max(box.width() / max(1.0, size.width()), box.height() / max(1.0, size.height()))
                wide, tall = size.width() * scale, size.height() * scale
                target = QRectF(box.center().x() - wide / 2, box.center().y() - tall / 2, wide, tall)
                painter.setRenderHint(painter.RenderHint.SmoothPixmapTransform)
                painter.drawPixmap(target, small, QRectF(small.rect()))
                painter.restore()
            if paint.hover is not None and (paint.hover.kind, paint.hover.value) == ("picture", str(number)):
                rounded(painter, box, radius, line="accent.text")

    def spot_at(self, x: float, y: float) -> Spot | None:
        for number, box in enumerate(self._boxes):
            if box.contains(x, y):
                return Spot("picture", str(number), box, "Look at the picture")
        return None


def height_of(count: int, width: int) -> int:
    """How high the boxes are together."""
    wide, tall = (look().px(px) for px in BOX_PX)
    in_line = max(1, min(count, (width + BETWEEN_PX) // (wide + BETWEEN_PX)))
    lines = -(-count // in_line)
    return lines * tall + (lines - 1) * BETWEEN_PX
