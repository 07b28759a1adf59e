# ruff: noqa: D102  (Qt overrides do what Qt says)
"""Calls of other programs that wait for a yes, in a window of their own. Never covered, one at a time."""

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QDialog, QWidget

from app.theme.apply import look
from app.viewmodels.mcp import McpViewModel
from app.views.approval_panel import ApprovalPanel
from app.views.parts import column

WIDTH = 560


class ApprovalDialog(QDialog):
    """Shows the oldest call that waits, then the next; closes itself when none waits. Escape denies."""

    def __init__(self, parent: QWidget, mcp: McpViewModel, now: Callable[[], Any]) -> None:
        super().__init__(parent)
        self.setObjectName("approval")
        self.setModal(False)
        self.setWindowFlag(Qt.WindowType.WindowStaysOnTopHint)
        self._mcp = mcp
        self.panel = ApprovalPanel("approval", now)
        self.panel.decided.connect(self._decide)
        self.title, self.risk, self.waiting = self.panel.title, self.panel.risk, self.panel.waiting
        self.deny, self.allow = self.panel.deny, self.panel.allow
        column(self, (12, 12, 12, 12)).addWidget(self.panel)
        mcp.changed.connect(self.show_next)
        self._resize()
        look().theme_changed.connect(self._resize)

    def show_next(self) -> None:
        """Show the oldest one; nothing waits: close."""
        if not self._mcp.waiting:
            self.panel.forget()
            self.hide()
            return
        call = self._mcp.waiting[0]
        is_new = call.id != self.panel.call_id
        self.panel.show_call(call, len(self._mcp.waiting) - 1)
        if not is_new and self.isVisible():
            return
        self.setWindowTitle(self.panel.title.text())
        self.setAccessibleName(self.panel.accessibleName())
        self.setAccessibleDescription(self.panel.accessibleDescription())
        self.show()
        self.adjustSize()
        self.raise_()
        self.panel.take_focus()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        self.panel.keyPressEvent(event)

    def reject(self) -> None:
        """Closed by hand: a no."""
        if self.panel.call_id and self.isVisible():
            self._decide("", "")
        else:
            super().reject()

    def _decide(self, scope: str, note: str) -> None:
        if self.panel.call_id:
            self._mcp.decide(self.panel.call_id, bool(scope), scope or "once", note)

    def _resize(self) -> None:
        self.setFixedWidth(look().px(WIDTH))
