"""The only kind of question the window asks: about something that cannot be undone.

The safe button stands left, has the focus and is what Escape does; buttons repeat the verb, never Yes and No.
"""

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QWidget

from app.views.parts import button, column, fill, label, row

WIDTH_MIN_PX, WIDTH_MAX_PX = 440, 520


class Question(QDialog):
    """A title that is the question, a sentence about what is lost, and two buttons."""

    def __init__(
        self, parent: QWidget | None, title: str, loss: str, *, act: str, keep: str, danger: bool = True
    ) -> None:
        super().__init__(parent)
        self.setObjectName("question")
        self.setWindowTitle(title)
        self.setAccessibleName(title)
        self.setAccessibleDescription(loss)
        self.setModal(True)
        self.setMinimumWidth(WIDTH_MIN_PX)
        self.setMaximumWidth(WIDTH_MAX_PX)
        self.safe = button(keep, "question.keep", self.reject)
        self.act = button(act, "question.act", self.accept, kind="danger" if danger else "primary")
        self.safe.setDefault(True)
        buttons = row(margins=(0, 16, 0, 0), spacing=8)
        fill(buttons, None, self.safe, self.act)
        layout = column(self, (20, 18, 20, 18), 8)
        fill(
            layout,
            label(title, "heading", wraps=True),
            label(loss, "", "secondary", wraps=True),
            None,
            buttons,
        )
        self.safe.setFocus(Qt.FocusReason.TabFocusReason)


def ask(
    parent: QWidget | None, title: str, loss: str, *, act: str, keep: str = "Cancel", danger: bool = True
) -> bool:
    """Asks and waits; True where the person chose to act."""
    question = Question(parent, title, loss, act=act, keep=keep, danger=danger)
    try:
        return question.exec() == QDialog.DialogCode.Accepted
    finally:
        question.deleteLater()
