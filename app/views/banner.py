# ruff: noqa: D102  (Qt overrides do what Qt says)
"""A line across the top of the window that says what is wrong and offers what to do. One sentence, up to two buttons."""

from collections.abc import Callable
from typing import Literal

from PySide6.QtCore import QPointF, Signal
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QFrame, QLabel, QSizePolicy, QWidget

from app.theme.apply import look
from app.theme.icons import pixmap
from app.views.parts import button, icon_button, label, row

Tone = Literal["warn", "err", "neutral"]
COLOURS: dict[Tone, tuple[str, str, str]] = {
    "warn": ("warn.soft", "warn.text", "triangle-alert"),
    "err": ("err.soft", "err.text", "circle-x"),
    "neutral": ("accent.soft", "accent.text", "info"),
}


class Banner(QFrame):
    """Hidden until `tell`; another `tell` with the same key replaces the first."""

    closed = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("banner")
        self._tone: Tone = "warn"
        self.key = ""
        self._row = row(self, (40, 6, 8, 6), 8)
        self.words: QLabel = label("", "", wraps=True, name="banner.words")
        self.words.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Minimum)
        self._row.addWidget(self.words, 1)
        self._buttons: list[QWidget] = []
        self._close = icon_button("x", "banner.close", "Close this notice", self.dismiss, small=True)
        self._row.addWidget(self._close)
        look().theme_changed.connect(self.update)
        self.hide()

    def tell(
        self,
        key: str,
        words: str,
        tone: Tone = "warn",
        actions: tuple[tuple[str, str, Callable[[], None]], ...] = (),
    ) -> None:
        """Say `words`; each action is `(object name, title, run)`."""
        self.key, self._tone = key, tone
        self.words.setText(words)
        self.words.setAccessibleName(words)
        self.setAccessibleName(words)
        for made in self._buttons:
            made.hide()
            made.deleteLater()
        self._buttons = [button(title, f"banner.{name}", run, small=True) for name, title, run in actions]
        for at, made in enumerate(self._buttons):
            self._row.insertWidget(1 + at, made)
        self.show()
        self.update()

    def dismiss(self) -> None:
        """Take it away."""
        self.hide()
        self.closed.emit(self.key)

    def clear(self, key: str) -> None:
        """Take it away if it still says `key`."""
        if self.key == key:
            self.hide()

    def paintEvent(self, event: QPaintEvent) -> None:
        ground, ink, name = COLOURS[self._tone]
        painter = QPainter(self)
        painter.fillRect(self.rect(), look().colour(ground))
        painter.fillRect(0, self.height() - 1, self.width(), 1, look().colour("line.normal"))
        top = (self.height() - 16) / 2
        painter.drawPixmap(QPointF(16, top), pixmap(name, ink, 16, self.devicePixelRatioF()))
        painter.end()
