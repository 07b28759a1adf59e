"""A value to be copied."""

from collections.abc import Callable

from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QLineEdit

from app.theme.apply import look
from app.views.parts import fill, icon_button, row


class CopyField(QLineEdit):
    """A value to be copied: read only, in the code face, with a button at its right."""

    def __init__(self, name: str, title: str, copied: Callable[[str], None]) -> None:
        super().__init__()
        self.setObjectName(name)
        self.setAccessibleName(title)
        self.setToolTip(title)
        self.setReadOnly(True)
        self._copied = copied
        self._title = title
        self.button = icon_button("copy", f"{name}.copy", f"Copy: {title}", self.copy_all, small=True)
        fill(row(self, (0, 0, 3, 0)), None, self.button)
        self._restyle()
        look().theme_changed.connect(self._restyle)

    def show_value(self, value: str, placeholder: str = "") -> None:
        """Show this; without a value it says why."""
        if value != self.text():
            self.setText(value)
            self.setCursorPosition(0)
        self.setPlaceholderText(placeholder)
        self.button.setEnabled(bool(value))

    def copy_all(self) -> None:
        """Put it on the clipboard."""
        QGuiApplication.clipboard().setText(self.text())
        self._copied(f"Copied: {self._title.lower()}")

    def _restyle(self) -> None:
        self.setFont(look().font("codeSmall"))
        self.setTextMargins(0, 0, look().px(24), 0)
