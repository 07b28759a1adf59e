# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The question whether a call may be made: who asks, which tool, the whole arguments. Never covered, one at a time."""

import json
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QDialog, QPlainTextEdit, QWidget

from app.theme.apply import look
from app.viewmodels.mcp import McpViewModel
from app.views.parts import ElidedLabel, button, column, fill, label, row

WIDTH = 520
RISKS = {"read": "Low risk", "write": "Medium risk", "danger": "High risk"}


class ApprovalDialog(QDialog):
    """Shows the oldest call that waits, then the next; closes itself when none waits. N denies, Y allows."""

    def __init__(self, parent: QWidget, mcp: McpViewModel, now: Callable[[], Any]) -> None:
        super().__init__(parent)
        self.setObjectName("approval")
        self.setModal(False)
        self.setFixedWidth(WIDTH)
        self.setWindowFlag(Qt.WindowType.WindowStaysOnTopHint)
        self._mcp = mcp
        self._now = now
        self._id = ""
        self.title = label("", "heading", wraps=True, name="approval.title")
        self.scope = label("", "small", "secondary", wraps=True, name="approval.scope")
        self.risk = label("", "small", "warn", name="approval.risk")
        self.arguments = QPlainTextEdit()
        self.arguments.setObjectName("approval.arguments")
        self.arguments.setAccessibleName("Arguments of the call")
        self.arguments.setReadOnly(True)
        self.arguments.setTabChangesFocus(True)
        self.waiting = ElidedLabel("", "small", "tertiary", "approval.waiting")
        self.deny = button("Deny", "approval.deny", lambda: self._decide(is_allowed=False), tip="Deny  N")
        self.allow = button(
            "Allow once", "approval.allow", lambda: self._decide(is_allowed=True), tip="Allow once  Y"
        )
        self.deny.setDefault(True)
        buttons = row(margins=(0, 8, 0, 0), spacing=8)
        fill(buttons, self.waiting, None, self.deny, self.allow)
        fill(column(self, (20, 18, 20, 18), 8), self.title, self.scope, self.risk, self.arguments, buttons)
        mcp.changed.connect(self.show_next)
        self._restyle()
        look().theme_changed.connect(self._restyle)

    def show_next(self) -> None:
        """Show the oldest one; nothing waits: close."""
        if not self._mcp.waiting:
            self._id = ""
            self.hide()
            return
        call = self._mcp.waiting[0]
        more = len(self._mcp.waiting) - 1
        self.waiting.set_words(f"{more} more waiting" if more else "")
        if call.id == self._id:
            return
        self._id = call.id
        who = call.software or call.client
        title = f"Let {who} call {call.tool}?"
        self.setWindowTitle(title)
        self.setAccessibleName(title)
        self.setAccessibleDescription(f"{RISKS[call.risk]}. {call.arguments}")
        self.title.setText(title)
        until = call.expires_at.astimezone(self._now().tzinfo).strftime("%H:%M:%S")
        self.scope.setText(
            f"{call.description}\nAsked with the key of {call.client}. Refused by itself at {until}."
        )
        self.risk.setText(RISKS[call.risk])
        self.arguments.setPlainText(pretty(call.arguments))
        self.arguments.setFixedHeight(look().px(min(240, 40 + 17 * self.arguments.blockCount())))
        self.show()
        self.raise_()
        self.deny.setFocus(Qt.FocusReason.TabFocusReason)

    def keyPressEvent(self, event: QKeyEvent) -> None:
        match event.key():
            case Qt.Key.Key_Y:
                self._decide(is_allowed=True)
            case Qt.Key.Key_N | Qt.Key.Key_Escape:
                self._decide(is_allowed=False)
            case _:
                super().keyPressEvent(event)

    def _decide(self, *, is_allowed: bool) -> None:
        if self._id:
            self._mcp.decide(self._id, is_allowed)

    def _restyle(self) -> None:
        self.arguments.setFont(look().font("codeSmall"))


def pretty(arguments: str) -> str:
    """JSON over several lines, as a person reads it; anything else as it is."""
    try:
        return json.dumps(json.loads(arguments), indent=2, ensure_ascii=False)
    except ValueError:
        return arguments
