"""All that a call was given and gave: a card in the transcript shows only the beginning."""

import json

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication, QTextCursor
from PySide6.QtWidgets import QDialog, QPlainTextEdit, QWidget

from app.theme.apply import look
from app.views.parts import button, column, label, row, search_field

CHARS_MAX = 500_000  # shown; all of it is copied
LINE_CHARS_MAX = 2_000  # of one line: a page in a single line would hold the window up


class CallDialog(QDialog):
    """Read-only; Enter in the field goes to the next match, Escape closes."""

    def __init__(self, name: str, arguments: str, result: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.setObjectName("chat.call")
        self.setWindowTitle(name)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self.resize(look().px(760), look().px(560))
        self._result = result
        layout = column(self, (16, 14, 16, 14), 10)
        layout.addWidget(
            label(_indented(arguments), "codeSmall", "secondary", wraps=True, name="chat.callArguments")
        )
        self.text = QPlainTextEdit()
        self.text.setObjectName("chat.callText")
        self.text.setAccessibleName(f"What {name} gave")
        self.text.setReadOnly(True)
        self.text.setTextInteractionFlags(
            Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
        )
        self.text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.text.setFont(look().font("codeSmall"))
        self.text.setPlainText(_shown(result) or "It gave nothing.")
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
        QGuiApplication.clipboard().setText(self._result)

    def _find(self) -> None:
        words = self.field.text()
        if words and not self.text.find(words):
            self.text.moveCursor(QTextCursor.MoveOperation.Start)
            self.text.find(words)


def _indented(arguments: str) -> str:
    try:
        text = json.dumps(json.loads(arguments), indent=2, ensure_ascii=False)
    except ValueError:
        text = arguments
    lines = text.split("\n")
    return "\n".join([*(line[:400] for line in lines[:12]), *(["…"] if len(lines) > 12 else [])])


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
