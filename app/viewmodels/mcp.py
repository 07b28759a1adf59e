"""What the window always knows of MCP: who is connected, and which calls wait for a yes. Asks nothing at rest."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from PySide6.QtCore import QObject, Signal

from app.bridge import Bridge
from app.viewmodels.wording import plural
from legion_core.api.mcp_types import Approval, ApprovalAsked, ApprovalSettled, McpClientsChanged
from legion_core.api.types import Event

if TYPE_CHECKING:
    from legion_core.api.facade import Legion


class McpViewModel(QObject):
    """One per window. While it lives, a call that needs a yes is asked here instead of being refused."""

    changed = Signal()
    """Clients, the pause or the waiting calls are others."""
    asked = Signal()
    """A call of another program waits: show it."""
    chat_asked = Signal(object)
    """A call of a chat waits, in that chat: its `Approval`."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self.setObjectName("viewmodel.mcp")
        self._bridge = bridge
        self.waiting: tuple[Approval, ...] = ()
        self.clients = 0
        self.is_paused = False
        self.url = ""
        bridge.watch(self._on_approvals, ApprovalAsked, ApprovalSettled)
        bridge.watch(self._on_clients, McpClientsChanged)
        bridge.connected.connect(self._begin)

    @property
    def words(self) -> str:
        """`MCP: running · 2 clients`, for the tray."""
        state = "paused" if self.is_paused else "running"
        return f"MCP: {state} · {plural(self.clients, 'client')}" if self.clients else f"MCP: {state}"

    def of_chat(self, conversation_id: str) -> tuple[Approval, ...]:
        """The calls of this chat that wait, oldest first."""
        return tuple(
            each for each in self.waiting if each.conversation_id == conversation_id and conversation_id
        )

    def decide(self, approval_id: str, is_allowed: bool, scope: str = "once", note: str = "") -> None:
        """The person's answer; `scope` is how far a yes goes, `note` what is told with a no."""

        async def act(legion: "Legion") -> None:
            legion.mcp.decide(approval_id, is_allowed, scope=cast("Any", scope), note=note)

        self._drop(approval_id)
        self._bridge.launch("mcp.decide", act)

    def set_paused(self, is_paused: bool) -> None:
        """Refuse every call, or take them again."""

        async def act(legion: "Legion") -> None:
            legion.mcp.pause(is_paused)

        def done(_: object) -> None:
            self.is_paused = is_paused
            self.changed.emit()

        self._bridge.launch("mcp.pause", act, done)

    def _begin(self) -> None:
        async def act(legion: Any) -> str:
            legion.mcp.watching(True)
            return f"{legion.ops.url}/mcp" if getattr(legion.ops, "url", "") else ""

        def done(url: str) -> None:
            self.url = url

        self._bridge.launch("mcp.watch", act, done, lambda _: None)

    def _drop(self, approval_id: str) -> None:
        self.waiting = tuple(each for each in self.waiting if each.id != approval_id)
        self.changed.emit()

    def _on_approvals(self, events: Sequence[Event]) -> None:
        is_new = False
        for event in events:
            if isinstance(event, ApprovalAsked):
                self.waiting = (*self.waiting, event.approval)
                # A chat asks in its own place: nothing jumps in front of what somebody does.
                if event.approval.conversation_id:
                    self.chat_asked.emit(event.approval)
                else:
                    is_new = True
            elif isinstance(event, ApprovalSettled):
                self.waiting = tuple(each for each in self.waiting if each.id != event.id)
        self.changed.emit()
        if is_new and self.waiting:
            self.asked.emit()

    def _on_clients(self, _: Sequence[Event]) -> None:
        async def look(legion: "Legion") -> Any:
            return await legion.mcp.status()

        def done(status: Any) -> None:
            self.clients, self.is_paused, self.url = len(status.clients), status.is_paused, status.url
            self.changed.emit()

        self._bridge.launch("mcp.clients", look, done, lambda _: None)
