"""The tools of the open chat: which are switched on, what was called, and what a card says of each call."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal

from app.bridge import Bridge
from app.viewmodels.chat import ChatViewModel
from legion_core.api.chat_types import ChatCall, ChatCallChanged, ChatTools, ChatToolsChanged, Yes
from legion_core.api.mcp_types import McpToolsChanged
from legion_core.api.types import Event

if TYPE_CHECKING:
    from legion_core.api.facade import Legion


class ChatToolsViewModel(QObject):
    """One per window, made by the first chat that has a tool or is given one."""

    changed = Signal()
    """What is switched on, or whether a model is offered it, is other."""
    call_changed = Signal(object)
    """A `ChatCall` of the open chat has another form."""
    calls_loaded = Signal()
    """The calls of the open chat are known."""
    menu_ready = Signal()
    """`tools` is as of now: show what can be switched."""

    def __init__(self, bridge: Bridge, chat: ChatViewModel) -> None:
        super().__init__()
        self.setObjectName("viewmodel.chatTools")
        self._bridge = bridge
        self._chat = chat
        self._id = ""
        self._pins: Any = None
        self._wished: frozenset[str] = frozenset()
        self._calls: dict[tuple[str, int], ChatCall] = {}
        self.tools = ChatTools(conversation_id="")
        self.yeses: tuple[Yes, ...] = ()
        chat.opened.connect(self._follow)
        chat.state_changed.connect(self._follow)
        bridge.watch(self._on_calls, ChatCallChanged)
        bridge.watch(self._on_tools, ChatToolsChanged, McpToolsChanged)
        self._follow()

    @property
    def words(self) -> str:
        """What the control says: `Tools`, `Tools · 3`, or `Tools · 3, left out` where no model can use them."""
        if not self.tools.count:
            return "Tools"
        return f"Tools · {self.tools.count}{', left out' if self.tools.problem else ''}"

    @property
    def calls(self) -> tuple[ChatCall, ...]:
        """What was called in the open chat, as far as it is known; nothing of what another program called."""
        return tuple(self._calls.values())

    def call_of(self, answer_id: str, place: int) -> ChatCall | None:
        """A call of an answer of the open chat, as it last was."""
        return self._calls.get((answer_id, place))

    def look(self) -> None:
        """Ask what there is to switch; `menu_ready` tells when it is known."""
        conversation_id, pins, wished = self._chat.conversation_id, self._chat.pins, self._wished

        async def ask(legion: "Legion") -> tuple[ChatTools, tuple[Yes, ...]]:
            door = legion.mcp.chats
            return await door.of(conversation_id, pins, wished), await door.yeses()

        def done(found: tuple[ChatTools, tuple[Yes, ...]]) -> None:
            self.tools, self.yeses = found
            self.changed.emit()
            self.menu_ready.emit()

        self._bridge.launch("chat.tools", ask, done)

    def switch(self, source: str, is_on: bool) -> None:
        """Use the tools of this source in this chat, or no longer; a new chat gets them with its first question."""
        conversation_id = self._chat.conversation_id
        if not conversation_id:
            self._wish(self._wished | {source} if is_on else self._wished - {source})
            self._read()
            return
        self._bridge.launch(
            "chat.tools.switch",
            lambda legion: legion.mcp.chats.switch(conversation_id, source, is_on),
            lambda _: self._read(),
        )

    def forget(self, tool: str) -> None:
        """Ask for this tool again."""
        self._bridge.launch("chat.tools.forget", lambda legion: legion.mcp.chats.forget(tool))

    async def _begin(self, legion: "Legion", conversation_id: str) -> None:
        """A new chat begins: what was switched on for it is switched on in it before its first question."""
        wished = self._wished
        self._wish(frozenset())
        for source in sorted(wished):
            await legion.mcp.chats.switch(conversation_id, source, True)

    def _wish(self, sources: frozenset[str]) -> None:
        self._wished = sources
        self._chat.begin_with = self._begin if sources else None

    def _follow(self) -> None:
        conversation_id = self._chat.conversation_id
        if (conversation_id, self._chat.pins) == (self._id, self._pins):
            return
        was, self._id, self._pins = self._id, conversation_id, self._chat.pins
        if was != conversation_id:
            self._calls.clear()
            if was:
                self._wish(frozenset())
            self._load_calls()
        self._read()

    def _load_calls(self) -> None:
        conversation_id = self._id
        if not any(message.calls for message in self._chat.messages):
            return

        def done(calls: tuple[ChatCall, ...]) -> None:
            if conversation_id == self._id:
                for call in calls:
                    self._calls.setdefault((call.answer_id, call.place), call)
                self.calls_loaded.emit()

        self._bridge.launch("chat.calls", lambda legion: legion.mcp.chats.calls(conversation_id), done)

    def _read(self) -> None:
        conversation_id, pins, wished = self._id, self._pins, self._wished

        async def ask(legion: "Legion") -> ChatTools:
            door = legion.mcp.chats
            # What nobody switched on needs no look at what there is.
            if not wished and not (conversation_id and await door.used(conversation_id)):
                return ChatTools(conversation_id=conversation_id)
            return await door.of(conversation_id, pins, wished)

        def done(tools: ChatTools) -> None:
            if conversation_id == self._id and tools != self.tools:
                self.tools = tools
                self.changed.emit()

        self._bridge.launch("chat.tools", ask, done, lambda _: None)

    def _on_tools(self, facts: Sequence[Event]) -> None:
        if any(getattr(fact, "conversation_id", self._id) == self._id for fact in facts):
            self._read()

    def _on_calls(self, facts: Sequence[Event]) -> None:
        for fact in facts:
            if isinstance(fact, ChatCallChanged) and fact.call.conversation_id == self._id:
                self._calls[fact.call.answer_id, fact.call.place] = fact.call
                self.call_changed.emit(fact.call)
