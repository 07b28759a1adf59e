"""What stands in the composer and is not sent: kept with its chat, or apart for a chat that is not there yet."""

from collections.abc import Callable

from PySide6.QtCore import QObject, QTimer

from app.bridge import Bridge

DRAFT_PAUSE_MS = 400


class ChatDraft(QObject):
    """`place` gives the id of the chat it belongs to; `keep` remembers the draft of a new one."""

    def __init__(
        self, bridge: Bridge, place: Callable[[], str], text: str, keep: Callable[[str], None] | None
    ) -> None:
        super().__init__()
        self.setObjectName("chat.keptDraft")
        self.text = text
        self.of_new = text
        """What a new chat begins with."""
        self._saved = ""
        self._bridge = bridge
        self._place = place
        self._keep = keep
        self._pause = QTimer(self)
        self._pause.setObjectName("chat.draft")
        self._pause.setSingleShot(True)
        self._pause.setInterval(DRAFT_PAUSE_MS)
        self._pause.timeout.connect(self.save)

    def type(self, text: str) -> None:
        """Another text; saved shortly after the last key."""
        self.text = text
        self._pause.start()

    def put(self, text: str) -> None:
        """A text that is saved already, or nothing."""
        self._pause.stop()
        self.text = text
        self._saved = text

    def save(self) -> None:
        """Write it now if it changed."""
        self._pause.stop()
        text, conversation_id = self.text, self._place()
        if not conversation_id:
            self.keep_new(text)
        elif text != self._saved:
            self._saved = text
            self._bridge.launch("chat.draft", lambda legion: legion.chat.save_draft(conversation_id, text))

    def keep_new(self, text: str) -> None:
        """Remember what a new chat begins with: the engine knows no chat without a question."""
        if text != self.of_new:
            self.of_new = text
            if self._keep is not None:
                self._keep(text)
