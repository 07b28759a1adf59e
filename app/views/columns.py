# ruff: noqa: D102  (Qt overrides do what Qt says)
"""Columns of a painted list: which fit, where they stand, their captions, and the ground a row is painted on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from PySide6.QtCore import QRectF
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QStyle, QWidget

from app.theme.apply import look
from app.theme.paint import LEFT, RIGHT, hairline, text

HEAD, PADDING, GAP = 28, 16, 12
SHARE_MIN = 60.0


@dataclass(frozen=True, slots=True)
class Columns:
    """`table` by name: caption, width, whether it holds numbers. A width up to 1 is a share of what the others leave.

    What stands first in `dropped` goes first where `kept` would get less than `kept_min` px.
    """

    table: Mapping[str, tuple[str, float, bool]]
    dropped: tuple[str, ...]
    kept: str
    kept_min: int

    def places(self, width: float) -> dict[str, tuple[float, float]]:
        """Left edge and width of each column that fits."""
        scale = look().px(100) / 100
        shown = dict(self.table)

        def rest() -> float:
            fixed = sum(wide * scale for _, wide, _ in shown.values() if wide > 1)
            return width - 2 * PADDING - fixed - GAP * (len(shown) - 1)

        def share() -> float:
            return sum(wide for _, wide, _ in shown.values() if wide <= 1)

        for name in self.dropped:
            if rest() * self.table[self.kept][1] / share() >= self.kept_min * scale:
                break
            del shown[name]
        places: dict[str, tuple[float, float]] = {}
        left = float(PADDING)
        for name, (_, wide, _) in shown.items():
            wanted = wide * scale if wide > 1 else max(SHARE_MIN, rest() * wide / share())
            places[name] = (left, wanted)
            left += wanted + GAP
        return places


class Captions(QWidget):
    """The captions above the rows; `width` is that of the rows, which a scroll bar makes narrower."""

    def __init__(self, columns: Columns, width: Callable[[], int]) -> None:
        super().__init__()
        self._columns = columns
        self._width = width
        self._resize()
        look().theme_changed.connect(self._resize)

    def _resize(self) -> None:
        self.setFixedHeight(look().px(HEAD))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        for name, (left, width) in self._columns.places(self._width()).items():
            caption, _, is_number = self._columns.table[name]
            box = QRectF(left, 0, width, self.height() - 1)
            text(painter, box, caption, "caption", "text.tertiary", align=RIGHT if is_number else LEFT)
        hairline(painter, 0, self.height() - 1, self.width(), "line.normal")
        painter.end()


def ground(painter: QPainter, box: QRectF, state: QStyle.StateFlag) -> None:
    """What lies under a row: whether it is chosen or pointed at, and the line below it."""
    if state & QStyle.StateFlag.State_Selected:
        painter.fillRect(box, look().colour("bg.selected"))
    elif state & QStyle.StateFlag.State_MouseOver:
        painter.fillRect(box, look().colour("bg.hover"))
    hairline(painter, box.left(), box.bottom() - 1, box.right())
