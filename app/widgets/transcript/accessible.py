# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The transcript for screen readers: a list whose items are the messages, made one by one as they are asked for.

Nothing here runs before an assistive tool asks Qt for the view. Qt owns what it is given and deletes it with the view;
Python must not let go of it earlier, so the view keeps it, and every message item is registered so that Qt deletes it.
"""

from PySide6.QtCore import QObject, QRect
from PySide6.QtGui import QAccessible, QAccessibleInterface, QWindow
from PySide6.QtWidgets import QAccessibleWidget

from app.widgets.transcript.canvas import TranscriptCanvas
from app.widgets.transcript.laid_documents import spoken
from app.widgets.transcript.model import Message

WORDS_MAX = 4000
ITEMS_MAX = 400
"""So many items are kept; a tool that walks further gets fresh ones."""

_is_installed = False


def install() -> None:
    """Tells Qt how to describe a transcript; once per process."""
    global _is_installed
    if not _is_installed:
        _is_installed = True
        QAccessible.installFactory(_describe)


def _describe(_: str, watched: QObject) -> QAccessibleInterface | None:
    if not isinstance(watched, TranscriptCanvas):
        return None
    found = TranscriptVoice(watched)
    watched.voice = found
    return found


def message_words(message: Message) -> str:
    """What is read out for a message: who, when, what, and how it was answered."""
    who = message.author or {"user": "You", "assistant": "Answer", "error": "Error"}.get(
        message.role, "Notice"
    )
    head = f"{who}, {message.time}" if message.time else who
    badge = ", ".join(message.badge.parts()) if message.badge is not None else ""
    thinking = "With reasoning" if message.whole_thinking() else ""
    parts = [
        head,
        message.note,
        thinking,
        message.whole_text()[:WORDS_MAX],
        ""
        if not message.pictures
        else "With a picture"
        if message.pictures == 1
        else f"With {message.pictures} pictures",
        *map(spoken, message.documents),
        *(seam.words for seam in message.seams),
        f"tier: {badge}" if badge else "",
    ]
    return ". ".join(part for part in parts if part)


class TranscriptVoice(QAccessibleWidget):
    """The list."""

    def __init__(self, view: TranscriptCanvas) -> None:
        super().__init__(view, QAccessible.Role.List)
        self._view = view
        self._items: dict[str, tuple[int, MessageVoice]] = {}

    def childCount(self) -> int:
        return len(self._view.model)

    def child(self, index: int, /) -> QAccessibleInterface:
        if not 0 <= index < len(self._view.model):
            return None  # pyright: ignore[reportReturnType]  (Qt takes no interface for an answer)
        message_id = self._view.model.at(index).id
        found = self._items.get(message_id)
        if found is None:
            if len(self._items) >= ITEMS_MAX:
                self.forget()
            voice = MessageVoice(self._view, self, message_id)
            found = self._items[message_id] = (QAccessible.registerAccessibleInterface(voice), voice)
        return found[1]

    def indexOfChild(self, child: QAccessibleInterface, /) -> int:
        return child.place() if isinstance(child, MessageVoice) else -1

    def focusChild(self) -> QAccessibleInterface:
        reading = self._view.reading
        if not reading:
            return None  # pyright: ignore[reportReturnType]
        return self.child(self._view.model.place(reading))

    def forget(self) -> None:
        """Lets Qt delete all items; for another chat."""
        items, self._items = self._items, {}
        for number, _ in items.values():
            QAccessible.deleteAccessibleInterface(number)


class MessageVoice(QAccessibleInterface):
    """One message."""

    def __init__(self, view: TranscriptCanvas, owner: TranscriptVoice, message_id: str) -> None:
        super().__init__()
        self._view, self._owner, self._id = view, owner, message_id

    def place(self) -> int:
        """Its position, or -1 once it is gone."""
        return self._view.model.place(self._id) if self._id in self._view.model else -1

    def isValid(self) -> bool:
        return self.place() >= 0

    def object(self) -> QObject:
        return None  # pyright: ignore[reportReturnType]

    def window(self) -> QWindow:
        return None  # pyright: ignore[reportReturnType]

    def parent(self) -> QAccessibleInterface:
        return self._owner

    def child(self, index: int, /) -> QAccessibleInterface:
        return None  # pyright: ignore[reportReturnType]

    def childAt(self, x: int, y: int, /) -> QAccessibleInterface:
        return None  # pyright: ignore[reportReturnType]

    def childCount(self) -> int:
        return 0

    def indexOfChild(self, child: QAccessibleInterface, /) -> int:
        return -1

    def text(self, t: QAccessible.Text, /) -> str:
        if t != QAccessible.Text.Name or not self.isValid():
            return ""
        return message_words(self._view.model.message(self._id))

    def setText(self, t: QAccessible.Text, text: str, /) -> None:
        """Messages are not written by a screen reader."""

    def rect(self) -> QRect:
        return self._view.message_rect(self._id)

    def role(self) -> QAccessible.Role:
        return QAccessible.Role.ListItem

    def state(self) -> QAccessible.State:
        found = QAccessible.State()
        found.readOnly = True
        found.focusable = True
        found.focused = self._view.hasFocus() and self._view.reading == self._id
        found.offscreen = self.rect().isEmpty()
        return found
