"""Questions on their way to the engine: a new one, one put another way, an answer once more; one at a time in a chat."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from app.bridge import Bridge
from legion_core.api.types import Pins, Turn

if TYPE_CHECKING:
    from legion_core.api.facade import Legion
    from legion_core.api.types import DocumentBlock, ImageBlock


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and where; without `conversation_id` a chat is begun, `begin_with` what it is given first."""

    text: str
    images: "tuple[ImageBlock | DocumentBlock, ...]" = ()
    conversation_id: str | None = None
    parent_id: str | None = None
    pins: Pins | None = None
    is_private: bool = False
    begin_with: "Callable[[Legion, str], Awaitable[None]] | None" = None

    async def ask(self, legion: "Legion") -> Turn:
        """Hand it to the engine."""
        place = self.conversation_id
        if place is None and (self.is_private or self.begin_with is not None):
            # Marked before the first word of it can go anywhere.
            place = (await legion.chat.create()).id
            if self.is_private:
                await legion.llm.keep_private(place, True)
            if self.begin_with is not None:
                await self.begin_with(legion, place)
        return await legion.chat.send(
            place, self.text, parent_id=self.parent_id, pins=self.pins, images=self.images
        )


class Asking(QObject):
    """Whether something is on its way, and what became of it. `showing` names what is open: it may change meanwhile."""

    taken = Signal(object)
    """The `Turn` of a question that the engine took on."""
    refused = Signal(object, str)
    """A `Question` that it did not, and why."""
    branched = Signal()
    """The chat has another branch: it is to be loaded again."""
    changed = Signal()

    def __init__(self, bridge: Bridge, showing: Callable[[], int]) -> None:
        super().__init__()
        self.setObjectName("viewmodel.chat.asking")
        self._bridge = bridge
        self._showing = showing
        self.is_under_way = False

    def begin(self) -> None:
        """Something is on its way from now on."""
        self.is_under_way = True

    def over(self) -> None:
        """The engine has it, or the chat that it was asked in is not shown any more."""
        self.is_under_way = False

    def ask(self, question: Question) -> None:
        """Hand a new question to the engine."""
        showing = self._showing()
        self.begin()

        def done(turn: Turn) -> None:
            if showing == self._showing():
                self.taken.emit(turn)

        def failed(sentence: str) -> None:
            if showing == self._showing():
                self.is_under_way = False
                self.refused.emit(question, sentence)
            self._bridge.refused.emit(sentence)

        self._bridge.launch("chat.send", question.ask, done, failed)

    def branch(self, name: str, intent: "Callable[[Legion], Awaitable[Turn]]") -> None:
        """Ask something beside what is there."""
        showing = self._showing()
        self.begin()
        self.changed.emit()

        def done(_: Turn) -> None:
            if showing == self._showing():
                self.branched.emit()

        def failed(sentence: str) -> None:
            if showing == self._showing():
                self.is_under_way = False
                self.changed.emit()
            self._bridge.refused.emit(sentence)

        self._bridge.launch(name, intent, done, failed)
