# ruff: noqa: D102  (Qt overrides do what Qt says)
"""A switch: on or off, effective at once."""

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QAbstractButton, QSizePolicy, QWidget

from app.theme.apply import look
from app.theme.focus import has_keyboard_focus
from app.theme.paint import focus_ring, rounded

RING_PX = 3
SIZES = {False: (30, 18, 12, 3), True: (46, 26, 18, 4)}
"""Width, height, knob, inset; by whether it is big."""


class Switch(QAbstractButton):
    """30×18, or 46×26 when `big`; Space toggles, `toggled(bool)` tells. Name it for what it switches."""

    def __init__(self, name: str = "", *, big: bool = False, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._big = big
        self.setCheckable(True)
        if name:
            self.setAccessibleName(name)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        look().theme_changed.connect(self.updateGeometry)

    def sizeHint(self) -> QSize:
        wide, tall, _, _ = SIZES[self._big]
        return QSize(look().px(wide) + 2 * RING_PX, look().px(tall) + 2 * RING_PX)

    def minimumSizeHint(self) -> QSize:
        return self.sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:
        wide, tall, knob, inset = (look().px(value) for value in SIZES[self._big])
        on, usable = self.isChecked(), self.isEnabled()
        track = QRectF((self.width() - wide) / 2, round((self.height() - tall) / 2), wide, tall)
        painter = QPainter(self)
        if not usable:
            painter.setOpacity(0.5)
        fill, line = ("accent.fill", "accent.fill") if on else ("bg.pressed", "line.strong")
        rounded(painter, track, tall / 2, fill=fill, line=line)
        at_end = on != (self.layoutDirection() == Qt.LayoutDirection.RightToLeft)
        x = track.right() - inset - knob if at_end else track.x() + inset
        place = QRectF(x, track.y() + (tall - knob) / 2, knob, knob)
        rounded(painter, place, knob / 2, fill="text.onAccent" if on else "line.strong")
        painter.setOpacity(1.0)
        if has_keyboard_focus(self):
            focus_ring(painter, track, tall / 2)
        painter.end()
