# ruff: noqa: D102  (Qt overrides do what Qt says)
"""A push button that Enter presses too: Qt gives that only to the default button of a dialog."""

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QPushButton

ENTER = (Qt.Key.Key_Return, Qt.Key.Key_Enter)


class PushButton(QPushButton):
    """Space presses it as ever. A key that is held down presses it once."""

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.key() in ENTER and not event.modifiers() & Qt.KeyboardModifier.ControlModifier:
            if not event.isAutoRepeat():
                self.click()
            return
        super().keyPressEvent(event)
