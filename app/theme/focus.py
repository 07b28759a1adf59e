"""Marks the widget that got the focus by keyboard, so that a ring is drawn for it and not after a click."""

from PySide6.QtCore import QObject, Qt
from PySide6.QtWidgets import QAbstractButton, QAbstractSlider, QApplication, QComboBox, QWidget

SHEETED = (QAbstractButton, QAbstractSlider, QComboBox)


class KeyboardFocus(QObject):
    """Keeps the dynamic property `kbd` true on the focus widget, and only where no mouse button brought it there.

    `focusChanged` costs nothing while nothing happens; an event filter on the application would be called for every
    event there is.
    """

    def __init__(self, app: QApplication) -> None:
        super().__init__(app)
        app.focusChanged.connect(self._moved)

    def _moved(self, old: QWidget | None, new: QWidget | None) -> None:
        if old is not None:
            _mark(old, on=False)
        if new is not None:
            _mark(new, on=QApplication.mouseButtons() == Qt.MouseButton.NoButton)


def has_keyboard_focus(widget: QWidget) -> bool:
    """Whether `widget` has the focus and should show its ring."""
    return widget.hasFocus() and bool(widget.property("kbd"))


def _mark(widget: QWidget, *, on: bool) -> None:
    if bool(widget.property("kbd")) == on:
        return
    widget.setProperty("kbd", on)
    if isinstance(widget, SHEETED):
        style = widget.style()
        style.unpolish(widget)
        style.polish(widget)
    widget.update()
