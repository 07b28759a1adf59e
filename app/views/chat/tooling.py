"""Tools in the open chat: the control in the composer, the cards in the transcript, the question that waits above."""

from typing import TYPE_CHECKING

from PySide6.QtWidgets import QApplication, QWidget

from app.viewmodels.chat_tools import ChatToolsViewModel
from app.views.chat.composing import Composing
from app.views.chat.tools_control import ToolsControl
from app.views.parts import column, fill
from app.views.services import Services

if TYPE_CHECKING:
    from app.views.approval_panel import ApprovalPanel
    from app.views.chat.reading import Reading


class ChatToolsing:
    """One per chat page."""

    def __init__(self, services: Services, composing: Composing) -> None:
        self._services = services
        self._composing = composing
        self._reading: Reading | None = None
        self._panel: ApprovalPanel | None = None
        self._place = QWidget()
        self._place.setObjectName("chat.approval.place")
        self._place.hide()
        self.tools = ChatToolsViewModel(services.bridge, services.chat)
        self.control = ToolsControl(services, composing.tools, self.tools, composing.take_focus)
        services.mcp.changed.connect(self._show_waiting)
        services.chat.opened.connect(self._show_waiting)
        services.chat.state_changed.connect(self._show_waiting)
        self._show_waiting()

    @property
    def panel(self) -> "ApprovalPanel | None":
        """The question that waits, once there was one."""
        return self._panel

    def follow(self, reading: "Reading") -> None:
        """Show the calls of the chat in this transcript."""
        if self._reading is None:
            self._reading = reading
            reading.show_calls(self.tools)

    def _show_waiting(self) -> None:
        waiting = self._services.mcp.of_chat(self._services.chat.conversation_id)
        if not waiting:
            self._hide()
            return
        if self._panel is None:
            from app.views.approval_panel import ApprovalPanel

            self._panel = ApprovalPanel("chat.approval", self._services.now)
            self._panel.decided.connect(self._decide)
            fill(column(self._place, (0, 0, 0, 8)), self._panel)
            self._composing.show_above(self._place)
        is_new = waiting[0].id != self._panel.call_id
        self._panel.show_call(waiting[0], len(waiting) - 1)
        self._place.show()
        # Who is writing goes on writing; the keys of the question are theirs only once they turn to it.
        if is_new and self._composing.composer.field.is_blank() and self._composing.isVisible():
            self._panel.take_focus()

    def _hide(self) -> None:
        if self._panel is None or self._place.isHidden():
            return
        focused = QApplication.focusWidget()
        had_focus = focused is not None and self._panel.isAncestorOf(focused)
        self._panel.forget()
        self._place.hide()
        if had_focus:
            self._composing.take_focus()

    def _decide(self, scope: str, note: str) -> None:
        if self._panel is not None and self._panel.call_id:
            self._services.mcp.decide(self._panel.call_id, bool(scope), scope or "once", note)
