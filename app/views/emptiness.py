# ruff: noqa: D102  (Qt overrides do what Qt says)
"""An empty region: an icon, what is not there, why in a sentence, and at most two buttons."""

from PySide6.QtCore import QPointF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QPushButton, QSizePolicy, QWidget

from app.theme.apply import look
from app.theme.icons import pixmap
from app.views.parts import column, fill, label, row

ICON = 20


class Glyph(QWidget):
    """An icon in the middle of its width."""

    def __init__(self, icon: str) -> None:
        super().__init__()
        self._icon = icon
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        look().theme_changed.connect(self.updateGeometry)

    def sizeHint(self) -> QSize:
        return QSize(ICON, look().px(ICON) + 4)

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        size = look().px(ICON)
        glyph = pixmap(self._icon, "text.tertiary", size, self.devicePixelRatioF())
        painter.drawPixmap(QPointF(round((self.width() - size) / 2), 0), glyph)
        painter.end()


class EmptyState(QFrame):
    """Centred in its region."""

    def __init__(self, name: str, icon: str, *buttons: QPushButton) -> None:
        super().__init__()
        self.setProperty("role", "page")
        self.setObjectName(name)
        self.title = label("", "uiStrong")
        self.words = label("", "small", "tertiary", wraps=True)
        self.words.setMaximumWidth(420)
        for part in (self.title, self.words):
            part.setAlignment(Qt.AlignmentFlag.AlignCenter)
        centred, pressed = row(), row(spacing=6)
        fill(centred, None, self.words, None)
        centred.setStretch(1, 10)
        fill(pressed, None, *buttons, None)
        fill(column(self, (24, 24, 24, 24), 6), None, Glyph(icon), self.title, centred, 4, pressed, None)

    def say(self, title: str, words: str) -> None:
        """What is not there, and why."""
        self.title.setText(title)
        self.words.setText(words)
