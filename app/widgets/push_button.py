# ruff: noqa: D102  (Qt overrides do what Qt says)
"""A push button that Enter presses too: Qt gives that only to the default button of a dialog."""

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QKeyEvent, QPaintEvent
from PySide6.QtWidgets import QPushButton, QSizePolicy, QStyle, QStyleOptionButton, QStylePainter

from app.theme.paint import key_cap, key_cap_size

ENTER = (Qt.Key.Key_Return, Qt.Key.Key_Enter)
CAP_GAP = 6


class PushButton(QPushButton):
    """Space presses it as ever. A key that is held down presses it once."""

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in ENTER and not event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            if not event.isAutoRepeat():
                self.click()
            return
        super().keyPressEvent(event)


class KeyButton(PushButton):
    """Shows the key that presses it from where it stands as a cap after its words; the cap goes first where room is short."""

    def __init__(self, words: str, key: str) -> None:
        super().__init__(words)
        self._key = key
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)

    def sizeHint(self) -> QSize:
        plain = super().sizeHint()
        return QSize(plain.width() + self._room(), plain.height())

    def minimumSizeHint(self) -> QSize:
        return super().sizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:
        option = QStyleOptionButton()
        self.initStyleOption(option)
        painter = QStylePainter(self)
        painter.drawControl(QStyle.ControlElement.CE_PushButtonBevel, option)
        has_room = self.width() >= self.sizeHint().width()
        if has_room:
            option.rect = option.rect.adjusted(0, 0, -self._room(), 0)
        painter.drawControl(QStyle.ControlElement.CE_PushButtonLabel, option)
        if has_room:
            width, height = key_cap_size(self._key)
            left = self.width() - width - (super().sizeHint().width() - self._words_width()) / 2
            box = QRectF(round(left), round((self.height() - height) / 2), width, height)
            if self.property("kind") == "primary":
                key_cap(painter, box, self._key, ink="text.onAccent", line="text.onAccent", fill="")
            else:
                key_cap(painter, box, self._key)
        painter.end()

    def _room(self) -> int:
        return round(key_cap_size(self._key)[0]) + CAP_GAP

    def _words_width(self) -> int:
        return self.fontMetrics().horizontalAdvance(self.text())
