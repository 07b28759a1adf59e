"""All that a call was given and gave: a card in the transcript shows only the beginning."""

import json
from typing import cast

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication, QTextCursor
from PySide6.QtWidgets import QDialog, QPlainTextEdit, QWidget

from app.theme.apply import look
from app.views.parts import button, column, row, search_field

CHARS_MAX = 500_000  # shown; all of it is copied
LINE_CHARS_MAX = 2_000  # of one line: a page in a single line would hold the window up


class CallDialog(QDialog):
    """Read-only; Enter in the field goes to the next match, Escape closes."""

    def __init__(self, name: str, arguments: str, result: str | None, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("chat.call")
        self.setWindowTitle(name)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(look().px(760), look().px(560))
        self._result = result
        layout = column(self, (16, 14, 16, 14), 10)
        self.text = QPlainTextEdit()
        self.text.setObjectName("chat.callText")
        self.text.setAccessibleName(f"What {name} was given, and what it gave")
        self.text.setReadOnly(True)
        self.text.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.text.setFont(look().font("codeSmall"))
        gave = "No result is known." if result is None else _shown(result) or "Nothing."
        self.text.setPlainText(f"Called with\n\n{_shown(_told(arguments))}\n\nIt gave\n\n{gave}")
        layout.addWidget(self.text, 1)
        self.field = search_field("Find in it", "chat.callFind")
        self.field.returnPressed.connect(self._find)
        foot = row(spacing=8)
        foot.addWidget(self.field, 1)
        for made in (
            button("Copy the result", "chat.callCopy", self._copy, icon="copy"),
            button("Close", "chat.callClose", self.accept),
        ):
            made.setAutoDefault(False)  # Enter finds
            foot.addWidget(made)
        layout.addLayout(foot)
        self.text.setFocus(Qt.FocusReason.OtherFocusReason)

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(self._result or "")

    def _find(self) -> None:
        words = self.field.text()
        if words and not self.text.find(words):
            self.text.moveCursor(QTextCursor.MoveOperation.Start)
            self.text.find(words)


def _told(arguments: str) -> str:
    """By their names, texts as they are: a file that is written is read like a file."""
    try:
        told: object = json.loads(arguments)
    except ValueError:
        return arguments
    if not isinstance(told, dict):
        return arguments
    lines: list[str] = []
    for key, value in cast("dict[str, object]", told).items():
        words = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        lines.append(f"{key}:\n{words}" if "\n" in words else f"{key}: {words}")
    return "\n".join(lines)


def _shown(result: str) -> str:
    lines = [
        line
        if len(line) <= LINE_CHARS_MAX
        else f"{line[:LINE_CHARS_MAX]} … {len(line) - LINE_CHARS_MAX:,} more characters in this line"
        for line in result[:CHARS_MAX].split("\n")
    ]
    if len(result) > CHARS_MAX:
        lines.append(f"… {len(result) - CHARS_MAX:,} more characters; Copy the result gives all of them")
    return "\n".join(lines)
