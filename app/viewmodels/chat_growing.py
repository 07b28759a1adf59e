"""The answers that grow, from facts: those of the open chat change its messages, of others only their number is known."""

from collections.abc import Callable, Sequence

from PySide6.QtCore import QObject, Signal

from app.viewmodels.chat_messages import HeldMessages
from app.viewmodels.live import Live
from legion_core.api.types import (
    AnswerEnded,
    AnswerGrew,
    AnswerJoined,
    AnswerOpened,
    AnswerStarted,
    Event,
)

LIVE_PAUSE_S = 0.25  # the figures under a growing answer change so often at most
EARLY_MAX = 512  # facts of a chat whose id is not known yet


class Growing(QObject):
    """`place` gives the open chat's id, `is_sending` whether a question is on its way into it."""

    appended = Signal(object)
    """A `ChatMessage` was added at the end."""
    changed = Signal(object)
    """A `ChatMessage` with an id already shown has another form."""
    grew = Signal(str, str, str)
    """`(answer id, text, thinking)` to append to an answer."""
    joined = Signal(str, object)
    """`(answer id, Seam)`: another attempt carries on."""
    live_changed = Signal(str, object)
    """`(answer id, Live)`: from where a growing answer comes, and how fast."""
    moved = Signal()
    """An answer of the open chat began."""
    settled = Signal()
    """An answer of the open chat is complete."""
    ended = Signal(object)
    """An answer is complete; its last form. Comes once for each answer, also for chats not open."""
    lost = Signal()
    """A piece is missing, or a branch began elsewhere: what is shown has to be loaded again."""

    def __init__(self, held: HeldMessages, place: Callable[[], str], is_sending: Callable[[], bool]) -> None:
        super().__init__()
        self.setObjectName("chat.growing")
        self._held = held
        self._place = place
        self._is_sending = is_sending
        self._answering: set[str] = set()
        self._live: dict[str, Live] = {}
        self._live_told_s = 0.0
        self._early: list[Event] = []

    @property
    def count(self) -> int:
        """How many answers are on their way, in all chats."""
        return len(self._answering)

    def forget(self) -> None:
        """Facts were lost, and ends may be among them."""
        self._answering.clear()

    def expect(self) -> None:
        """A question is sent: what comes of a chat whose id is not known yet may be its answer."""
        self._early.clear()

    def catch_up(self) -> None:
        """The id of the chat that was begun is known now: take what came before it."""
        early, self._early = self._early, []
        if len(early) > EARLY_MAX:
            self.lost.emit()  # its end may be among what was not kept
        else:
            self.take(early)

    def take(self, facts: Sequence[Event]) -> None:
        """Facts in their order."""
        for fact in facts:
            match fact:
                case AnswerStarted():
                    self._on_started(fact)
                case AnswerOpened():
                    self._on_first_byte(fact)
                case AnswerGrew():
                    self._on_grew(fact)
                case AnswerJoined():
                    self._on_joined(fact)
                case AnswerEnded():
                    self._on_ended(fact)
                case _:
                    pass

    def _is_mine(self, conversation_id: str, fact: Event) -> bool:
        place = self._place()
        if conversation_id == place:
            return True
        if self._is_sending() and not place and len(self._early) <= EARLY_MAX:
            # The new chat's id comes with the reply to `send`; one more than the bound says that some are missing.
            self._early.append(fact)
        return False

    def _on_started(self, fact: AnswerStarted) -> None:
        message = fact.message
        self._answering.add(message.id)
        if not self._is_mine(message.conversation_id, fact):
            return
        if (new := self._held.replace(message)) is not None:
            self.changed.emit(new)
        elif self._held.all and message.parent_id == self._held.all[-1].id:
            self._held.append(message)
            self.appended.emit(message)
        elif not self._is_sending():
            self.lost.emit()  # a branch that another window or program began
        self.moved.emit()

    def _on_first_byte(self, fact: AnswerOpened) -> None:
        if self._is_mine(fact.conversation_id, fact):
            live = Live(fact.tier, fact.instance, fact.model, fact.at_mono_s, fact.at_mono_s)
            self._live[fact.answer_id] = live
            self._live_told_s = fact.at_mono_s
            self.live_changed.emit(fact.answer_id, live)

    def _on_grew(self, fact: AnswerGrew) -> None:
        if not self._is_mine(fact.conversation_id, fact):
            return
        growth = self._held.grow(fact)
        if growth is None:
            return
        if growth.is_lost:
            self.lost.emit()
        elif growth.tail or fact.thinking:
            self.grew.emit(fact.answer_id, growth.tail, fact.thinking)
            self._tell_live(fact)

    def _tell_live(self, fact: AnswerGrew) -> None:
        live = self._live.get(fact.answer_id)
        if live is None:
            return
        live = live.grown(len(fact.text) + len(fact.thinking), fact.tokens, fact.at_mono_s)
        self._live[fact.answer_id] = live
        if fact.at_mono_s - self._live_told_s >= LIVE_PAUSE_S:
            self._live_told_s = fact.at_mono_s
            self.live_changed.emit(fact.answer_id, live)

    def _on_joined(self, fact: AnswerJoined) -> None:
        if self._is_mine(fact.conversation_id, fact) and self._held.find(fact.answer_id) is not None:
            self.joined.emit(fact.answer_id, fact.seam)
            if (live := self._live.get(fact.answer_id)) is not None:
                live = self._live[fact.answer_id] = live.joined(fact.seam.to_tier, fact.seam.to_lane)
                self.live_changed.emit(fact.answer_id, live)

    def _on_ended(self, fact: AnswerEnded) -> None:
        message = fact.message
        self._live.pop(message.id, None)
        self._answering.discard(message.id)
        if self._is_mine(message.conversation_id, fact):
            new = self._held.replace(message)
            if new is not None:
                self.changed.emit(new)
                self.settled.emit()
        self.ended.emit(message)
