# ruff: noqa: D102  (Qt overrides do what Qt says)
"""A ring that drains clockwise with the seconds that are left in its middle; it has no timer of its own."""

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.theme.apply import look
from app.theme.icons import pixmap
from app.theme.paint import CENTRE, text

SIZE, TRACK = 52, 5
SECONDS_MAX = 999


class Cooldown(QWidget):
    """`show_state` draws either a wait (share left, seconds) or the state's icon in a full ring."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self._left_s, self._share, self._icon, self._tone = 0.0, 0.0, "", "neutral"
        look().theme_changed.connect(self.updateGeometry)

    def show_state(self, words: str, tone: str, icon: str, left_s: float = 0.0, whole_s: float = 1.0) -> None:
        """`tone` is ok, warn, err or neutral; `words` are for who cannot see it."""
        self._left_s, self._share = left_s, min(1.0, left_s / max(0.001, whole_s))
        self._icon, self._tone = icon, tone
        self.setAccessibleName(words)
        self.setToolTip(words)
        self.update()

    @property
    def share(self) -> float:
        """How much of the wait is left, 0 to 1."""
        return self._share

    def sizeHint(self) -> QSize:
        return QSize(look().px(SIZE), look().px(SIZE))

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        box = QRectF(self.rect()).adjusted(TRACK / 2 + 1, TRACK / 2 + 1, -TRACK / 2 - 1, -TRACK / 2 - 1)
        mark = "line.strong" if self._tone == "neutral" else f"{self._tone}.mark"
        pen = QPen(look().colour("bg.pressed"), TRACK)
        pen.setCapStyle(Qt.PenCapStyle.FlatCap)
        painter.setPen(pen)
        painter.drawEllipse(box)
        if self._left_s > 0:
            pen.setColor(look().colour(mark))
            painter.setPen(pen)
            # From 12 o'clock; what has passed is taken away clockwise.
            painter.drawArc(box, 90 * 16, round(360 * 16 * self._share))
            words = str(round(self._left_s)) if self._left_s <= SECONDS_MAX else "…"
            text(painter, QRectF(self.rect()), words, "uiStrong", weight=600, align=CENTRE)
        else:
            side = look().px(20)
            glyph = pixmap(
                self._icon or "circle-check", mark if self._tone == "neutral" else f"{self._tone}.text", side
            )
            painter.drawPixmap(round((self.width() - side) / 2), round((self.height() - side) / 2), glyph)
        painter.end()
