"""The chat that is open: its messages, the answer that grows, and what a person can do with them.

Text arrives as facts with the place where each piece begins. A piece that does not fit what is held means that
something was lost, and the chat is loaded again: what is shown is always what the engine has.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from app.bridge import Bridge
from app.viewmodels import wording
from app.viewmodels.chat_draft import ChatDraft
from app.viewmodels.chat_messages import HeldMessages
from app.viewmodels.chat_tiers import TIER_CHOICES
from app.viewmodels.chat_warm import Warming
from app.viewmodels.live import Live
from legion_core.api.types import (
    AnswerEnded,
    AnswerGrew,
    AnswerJoined,
    AnswerOpened,
    AnswerStarted,
    ChatMessage,
    ConversationView,
    Event,
    Pins,
    Tier,
    Turn,
)

if TYPE_CHECKING:
    from legion_core.api.facade import Legion
    from legion_core.api.types import ImageBlock, ToolResultBlock

LIVE_PAUSE_S = 0.25  # the figures under a growing answer change so often at most
EARLY_MAX = 512  # facts of a chat whose id is not known yet
PENDING = "pending"  # id of a question shown before the engine took it on
NEW_TITLE = "New chat"


class ChatViewModel(QObject):
    """One open chat, or a new one that has no id until its first question is sent."""

    opened = Signal()
    """Other messages than before are shown: `messages` is new as a whole."""
    appended = Signal(object)
    """A `ChatMessage` was added at the end."""
    changed = Signal(object)
    """A `ChatMessage` with an id already shown has another form (started, ended, failed)."""
    renamed_id = Signal(str, str)
    """A question shown at once got its real id: `(before, after)`."""
    grew = Signal(str, str, str)
    """`(answer id, text, thinking)` to append to an answer."""
    joined = Signal(str, object)
    """`(answer id, Seam)`: another attempt carries on."""
    live_changed = Signal(str, object)
    """`(answer id, Live)`: from where a growing answer comes, and how fast."""
    state_changed = Signal()
    """`is_running`, `title`, `conversation_id` or the pins changed."""
    ended = Signal(object)
    """An answer is complete; its last form. Comes once for each answer, also for chats not open."""
    draft_loaded = Signal(str)
    """Put this text in the composer."""
    pictures_returned = Signal(object)
    """A question was refused: these pictures were beside it."""

    def __init__(
        self,
        bridge: Bridge,
        now: Callable[[], datetime],
        *,
        draft: str = "",
        keep_draft: Callable[[str], None] | None = None,
    ) -> None:
        """`draft` is what a new chat begins with, `keep_draft` what remembers it: the engine knows no chat without a question."""
        super().__init__()
        self.setObjectName("viewmodel.chat")
        self._bridge = bridge
        self._now = now
        self._answering: set[str] = set()
        self._warming = Warming(bridge, now)
        self._held = HeldMessages()
        self._draft = ChatDraft(bridge, lambda: self.conversation_id, draft, keep_draft)
        self.conversation_id: str = ""
        self.title = NEW_TITLE
        self.is_pinned: bool = False
        self.is_private: bool = False
        """Nothing of this chat leaves this computer."""
        self.begin_with: Callable[[Legion, str], Awaitable[None]] | None = None
        """What a new chat is given before its first question, by its id."""
        self._live: dict[str, Live] = {}
        self._live_told_s = 0.0
        self._sending = False
        self._early: list[Event] = []
        self._pins: dict[str, Pins | None] = {}
        self._pin_titles: dict[str, str] = {}
        self._generation = 0
        bridge.watch(self._on_facts, AnswerStarted, AnswerOpened, AnswerGrew, AnswerJoined, AnswerEnded)
        bridge.lost.connect(self._on_lost)

    # What is so now

    @property
    def messages(self) -> list[ChatMessage]:
        """The branch that is shown, in order."""
        return self._held.all

    @property
    def is_new(self) -> bool:
        """No question was asked yet."""
        return not self.conversation_id and not self.messages

    @property
    def running(self) -> ChatMessage | None:
        """The answer that is growing."""
        return self._held.running

    @property
    def is_running(self) -> bool:
        """Whether an answer is on its way."""
        return self._sending or self.running is not None

    @property
    def answers_running(self) -> int:
        """How many answers are on their way, in all chats."""
        return max(len(self._answering), int(self.is_running))

    @property
    def draft(self) -> str:
        """What stands in the composer."""
        return self._draft.text

    @property
    def last_answer(self) -> ChatMessage | None:
        """The latest answer that is not growing."""
        return self._held.last_answer

    @property
    def last_question(self) -> ChatMessage | None:
        """The latest message of the person."""
        return self._held.last_question

    @property
    def pins(self) -> Pins | None:
        """The route this chat insists on."""
        return self._pins.get(self.conversation_id)

    @property
    def pins_title(self) -> str:
        """What the tier selector says."""
        return self._pin_titles.get(self.conversation_id, TIER_CHOICES[0].title)

    def find(self, message_id: str) -> ChatMessage | None:
        """A message by id, as it was when it last came whole."""
        return self._held.find(message_id)

    def text_of(self, message_id: str) -> str:
        """The whole text of a message, growing ones included."""
        return self._held.text_of(message_id)

    def thinking_of(self, message_id: str) -> str:
        """The whole reasoning of an answer, growing ones included."""
        return self._held.thinking_of(message_id)

    def results_of(self, answer: ChatMessage) -> "dict[str, ToolResultBlock]":
        """What the calls of an answer gave, by the calls' ids, as far as it is known."""
        return self._held.results_of(answer)

    def question_of(self, answer: ChatMessage) -> ChatMessage | None:
        """What the answer answers."""
        return self.find(answer.parent_id) if answer.parent_id else None

    # What a person does

    def start_new(self) -> None:
        """An empty chat, with what was last begun in one; it is kept only once something is sent."""
        self.save_draft()
        draft = self._draft.of_new if self.conversation_id else ""
        self._generation += 1
        self.conversation_id = ""
        self.title = NEW_TITLE
        self.is_pinned = self.is_private = False
        self._show(())
        self._take_draft(draft)
        self._draft.keep_new(draft)

    def open(self, conversation_id: str) -> None:
        """Show a chat. Opening the one that is shown does nothing."""
        if conversation_id == self.conversation_id:
            return
        self.save_draft()
        self._load(conversation_id, takes_draft=True)

    def reload(self) -> None:
        """Load what is shown again."""
        if self.conversation_id:
            self._load(self.conversation_id, takes_draft=False)

    def send(self, text: str, images: "tuple[ImageBlock, ...]" = ()) -> bool:
        """Ask, showing `images` too; False where there is nothing to ask or an answer is still on its way."""
        question = text.strip()
        if not (question or images) or self.is_running:
            return False
        self._sending = True
        self._early.clear()
        parent = self.messages[-1].id if self.messages else None
        self._append(
            ChatMessage(
                id=PENDING,
                conversation_id=self.conversation_id,
                parent_id=parent,
                role="user",
                text=question,
                pictures=len(images),
                created_at=self._now(),
            )
        )
        if self.title == NEW_TITLE and question:
            self.title = wording.title_of(question)
        conversation_id, pins, generation = self.conversation_id or None, self.pins, self._generation
        is_private, begin = self.is_private, self.begin_with
        self._draft.put("")
        if conversation_id is None:
            self._draft.keep_new("")

        async def ask(legion: "Legion") -> Turn:
            place = conversation_id
            if place is None and (is_private or begin is not None):
                # Marked before the first word of it can go anywhere.
                place = (await legion.chat.create()).id
                if is_private:
                    await legion.llm.keep_private(place, True)
                if begin is not None:
                    await begin(legion, place)
            return await legion.chat.send(place, question, parent_id=parent, pins=pins, images=images)

        self._bridge.launch(
            "chat.send",
            ask,
            lambda turn: self._on_turn(turn, generation),
            lambda sentence: self._on_send_failed(question, images, sentence, generation),
        )
        self.state_changed.emit()
        return True

    def stop(self) -> bool:
        """End the growing answer; what it has so far is kept."""
        if not self.is_running or not self.conversation_id:
            return False
        conversation_id = self.conversation_id
        self._bridge.launch("chat.stop", lambda legion: legion.chat.stop(conversation_id))
        return True

    def edit(self, message_id: str, text: str) -> None:
        """Ask another way at the same place: a branch beside the old question."""
        if text.strip() and not self.is_running:
            pins = self.pins
            self._branch("chat.edit", lambda legion: legion.chat.edit(message_id, text.strip(), pins=pins))

    def regenerate(self, message_id: str, pins: Pins | None = None) -> None:
        """Another answer beside this one, on the route of `pins` or of the chat."""
        if not self.is_running:
            chosen = pins or self.pins
            self._branch("chat.regenerate", lambda legion: legion.chat.regenerate(message_id, pins=chosen))

    def choose(self, message_id: str) -> None:
        """Show the branch through this variant."""
        generation = self._generation
        self._bridge.launch(
            "chat.choose",
            lambda legion: legion.chat.choose(message_id),
            lambda view: self._on_view(view, generation, takes_draft=False),
        )

    def step_variant(self, message_id: str, step: int) -> None:
        """Show the variant before (-1) or after (+1) this one, if there is one."""
        message = self.find(message_id)
        if message is None or len(message.siblings) < 2:
            return
        place = message.siblings.index(message.id) + step
        if 0 <= place < len(message.siblings):
            self.choose(message.siblings[place])

    def pin_route(self, title: str, pins: Pins | None) -> None:
        """Insist on a route for this chat from now on."""
        self._pins[self.conversation_id] = pins
        self._pin_titles[self.conversation_id] = title
        self.state_changed.emit()

    def pin_model(self, name: str) -> None:
        """Let this model of this computer alone answer here."""
        self.pin_route(f"Only {name}", Pins(tier=Tier.LOCAL, model=name))

    def keep_private(self, is_private: bool) -> None:
        """Keep this chat on this computer, or no longer; a new one is marked before its first question goes out."""
        conversation_id = self.conversation_id
        self.is_private = is_private
        self.state_changed.emit()
        if conversation_id:
            self._bridge.launch(
                "chat.private", lambda legion: legion.llm.keep_private(conversation_id, is_private)
            )

    def take_row(self, title: str, is_pinned: bool, is_private: bool) -> None:
        """What the list says of the open chat: it may have been named, pinned or marked elsewhere."""
        told = (title or self.title, is_pinned, is_private)
        if told != (self.title, self.is_pinned, self.is_private):
            self.title, self.is_pinned, self.is_private = told
            self.state_changed.emit()

    def set_draft(self, text: str) -> None:
        """Remember what stands in the composer; saved shortly after the last key."""
        if text != self._draft.text:
            if text and not self._draft.text and not self.is_running:
                self._warming.begin(self.pins)
            self._draft.type(text)

    def save_draft(self) -> None:
        """Write the draft now if it changed."""
        self._draft.save()

    # What comes back

    def _on_lost(self) -> None:
        self._answering.clear()  # ends may be among what was lost
        self.reload()

    def _load(self, conversation_id: str, *, takes_draft: bool) -> None:
        self._generation += 1
        generation = self._generation
        self._bridge.launch(
            "chat.open",
            lambda legion: legion.chat.open(conversation_id),
            lambda view: self._on_view(view, generation, takes_draft=takes_draft),
        )

    def _on_view(self, view: ConversationView, generation: int, *, takes_draft: bool) -> None:
        if generation != self._generation:
            return  # another chat was opened meanwhile
        self.conversation_id = view.conversation.id
        self.title = view.conversation.title or NEW_TITLE
        self.is_pinned = view.conversation.is_pinned
        self.is_private = view.conversation.is_private
        self._sending = False
        self._show(view.messages)
        if takes_draft:
            self._take_draft(view.conversation.draft)

    def _on_turn(self, turn: Turn, generation: int) -> None:
        if generation != self._generation:
            return
        is_first = not self.conversation_id
        if is_first:
            self.conversation_id = turn.conversation_id
            for kept in (self._pins, self._pin_titles):
                if "" in kept:
                    kept[turn.conversation_id] = kept.pop("")  # type: ignore[assignment]
        if self._held.rename(PENDING, turn.question):
            self.renamed_id.emit(PENDING, turn.question.id)
            self.changed.emit(turn.question)
        if self.find(turn.answer_id) is None:
            self._append(
                ChatMessage(
                    id=turn.answer_id,
                    conversation_id=turn.conversation_id,
                    parent_id=turn.question.id,
                    role="assistant",
                    text="",
                    status="streaming",
                    created_at=self._now(),
                )
            )
        self._sending = False
        early, self._early = self._early, []
        if len(early) > EARLY_MAX:
            self.reload()  # its end may be among what was not kept
        else:
            self._on_facts(early)
        self.state_changed.emit()

    def _on_send_failed(
        self, question: str, images: "tuple[ImageBlock, ...]", sentence: str, generation: int
    ) -> None:
        if generation != self._generation:
            self._bridge.refused.emit(sentence)
            return
        self._sending = False
        self._held.remove(PENDING)
        if not self.messages and not self.conversation_id:
            self.title = NEW_TITLE
        self.opened.emit()
        # The words must not be lost with the refusal.
        self._take_draft(question)
        if images:
            self.pictures_returned.emit(images)
        self._bridge.refused.emit(sentence)
        self.state_changed.emit()

    def _branch(self, name: str, intent: "Callable[[Legion], Awaitable[Turn]]") -> None:
        self._sending = True
        generation = self._generation
        self.state_changed.emit()

        def done(_: Turn) -> None:
            if generation == self._generation:
                self.reload()

        def failed(sentence: str) -> None:
            if generation == self._generation:
                self._sending = False
                self.state_changed.emit()
            self._bridge.refused.emit(sentence)

        self._bridge.launch(name, intent, done, failed)

    def _on_facts(self, facts: Sequence[Event]) -> None:
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
        if conversation_id == self.conversation_id:
            return True
        if self._sending and not self.conversation_id and len(self._early) <= EARLY_MAX:
            # The new chat's id comes with the reply to `send`; one more than the bound says that some are missing.
            self._early.append(fact)
        return False

    def _on_started(self, fact: AnswerStarted) -> None:
        message = fact.message
        self._answering.add(message.id)
        if not self._is_mine(message.conversation_id, fact):
            return
        if self.find(message.id) is None:
            if self.messages and message.parent_id == self.messages[-1].id:
                self._append(message)
            elif not self._sending:
                self.reload()  # a branch that another window or program began
        else:
            self._replace(message)
        self.state_changed.emit()

    def _on_first_byte(self, fact: AnswerOpened) -> None:
        if self._is_mine(fact.conversation_id, fact):
            live = Live(fact.tier, fact.instance, fact.model, fact.at_mono_s, fact.at_mono_s)
            self._live[fact.answer_id] = live
            self._live_told_s = fact.at_mono_s
            self.live_changed.emit(fact.answer_id, live)

    def _tell_live(self, fact: AnswerGrew) -> None:
        live = self._live.get(fact.answer_id)
        if live is None:
            return
        live = live.grown(len(fact.text) + len(fact.thinking), fact.tokens, fact.at_mono_s)
        self._live[fact.answer_id] = live
        if fact.at_mono_s - self._live_told_s >= LIVE_PAUSE_S:
            self._live_told_s = fact.at_mono_s
            self.live_changed.emit(fact.answer_id, live)

    def _on_grew(self, fact: AnswerGrew) -> None:
        if not self._is_mine(fact.conversation_id, fact):
            return
        growth = self._held.grow(fact)
        if growth is None:
            return
        if growth.is_lost:
            self.reload()
        elif growth.tail or fact.thinking:
            self.grew.emit(fact.answer_id, growth.tail, fact.thinking)
            self._tell_live(fact)

    def _on_joined(self, fact: AnswerJoined) -> None:
        if self._is_mine(fact.conversation_id, fact) and self.find(fact.answer_id) is not None:
            self.joined.emit(fact.answer_id, fact.seam)

    def _on_ended(self, fact: AnswerEnded) -> None:
        message = fact.message
        self._live.pop(message.id, None)
        self._answering.discard(message.id)
        if self._is_mine(message.conversation_id, fact) and self.find(message.id) is not None:
            self._replace(message)
            self._sending = False
            self.state_changed.emit()
        self.ended.emit(message)

    # The messages held

    def _show(self, messages: Sequence[ChatMessage]) -> None:
        self._held.show(messages)
        self.opened.emit()
        self.state_changed.emit()

    def _append(self, message: ChatMessage) -> None:
        self._held.append(message)
        self.appended.emit(message)

    def _replace(self, message: ChatMessage) -> None:
        if (new := self._held.replace(message)) is not None:
            self.changed.emit(new)

    def _take_draft(self, text: str) -> None:
        self._draft.put(text)
        self.draft_loaded.emit(text)
