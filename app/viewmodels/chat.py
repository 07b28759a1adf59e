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
from app.viewmodels.chat_asking import Asking, Question
from app.viewmodels.chat_draft import ChatDraft
from app.viewmodels.chat_growing import Growing
from app.viewmodels.chat_messages import HeldMessages
from app.viewmodels.chat_pins import ChosenRoutes
from app.viewmodels.chat_warm import Warming
from legion_core.api.types import (
    AnswerEnded,
    AnswerGrew,
    AnswerJoined,
    AnswerOpened,
    AnswerStarted,
    ChatMessage,
    ConversationView,
    DocumentBlock,
    Pins,
    Tier,
    Turn,
)

if TYPE_CHECKING:
    from legion_core.api.facade import Legion
    from legion_core.api.types import ImageBlock, ToolResultBlock

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
    """A question was refused: these pictures and documents were beside it."""

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
        self._routes = ChosenRoutes()
        self._generation = 0
        self._asking = asking = Asking(bridge, lambda: self._generation)
        asking.taken.connect(self._on_turn)
        asking.refused.connect(self._on_refused)
        asking.branched.connect(self.reload)
        asking.changed.connect(self.state_changed)
        self._growing = growing = Growing(
            self._held, lambda: self.conversation_id, lambda: asking.is_under_way
        )
        growing.appended.connect(self.appended)
        growing.changed.connect(self.changed)
        growing.grew.connect(self.grew)
        growing.joined.connect(self.joined)
        growing.live_changed.connect(self.live_changed)
        growing.moved.connect(self.state_changed)
        growing.settled.connect(self._on_settled)
        growing.ended.connect(self.ended)
        growing.lost.connect(self.reload)
        bridge.watch(growing.take, AnswerStarted, AnswerOpened, AnswerGrew, AnswerJoined, AnswerEnded)
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
        return self._asking.is_under_way or self.running is not None

    @property
    def answers_running(self) -> int:
        """How many answers are on their way, in all chats."""
        return max(self._growing.count, int(self.is_running))

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
        return self._routes.pins(self.conversation_id)

    @property
    def pins_title(self) -> str:
        """What the tier selector says."""
        return self._routes.title(self.conversation_id)

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

    def send(self, text: str, images: "tuple[ImageBlock | DocumentBlock, ...]" = ()) -> bool:
        """Ask, showing `images` too; False where there is nothing to ask or an answer is still on its way."""
        question = text.strip()
        documents = tuple(each.name for each in images if isinstance(each, DocumentBlock))
        if not (question or images) or self.is_running:
            return False
        self._asking.begin()
        self._growing.expect()
        parent = self.messages[-1].id if self.messages else None
        self._append(
            ChatMessage(
                id=PENDING,
                conversation_id=self.conversation_id,
                parent_id=parent,
                role="user",
                text=question,
                pictures=len(images) - len(documents),
                documents=documents,
                created_at=self._now(),
            )
        )
        if self.title == NEW_TITLE and question:
            self.title = wording.title_of(question)
        self._draft.put("")
        if not self.conversation_id:
            self._draft.keep_new("")
        self._asking.ask(
            Question(
                question,
                images,
                self.conversation_id or None,
                parent,
                self.pins,
                self.is_private,
                self.begin_with,
            )
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
            self._asking.branch(
                "chat.edit", lambda legion: legion.chat.edit(message_id, text.strip(), pins=pins)
            )

    def regenerate(self, message_id: str, pins: Pins | None = None) -> None:
        """Another answer beside this one, on the route of `pins` or of the chat."""
        if not self.is_running:
            chosen = pins or self.pins
            self._asking.branch(
                "chat.regenerate", lambda legion: legion.chat.regenerate(message_id, pins=chosen)
            )

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
        self._routes.choose(self.conversation_id, title, pins)
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
        self._growing.forget()
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
        self._asking.over()
        self._show(view.messages)
        if takes_draft:
            self._take_draft(view.conversation.draft)

    def _on_turn(self, turn: Turn) -> None:
        is_first = not self.conversation_id
        if is_first:
            self.conversation_id = turn.conversation_id
            self._routes.take_along(turn.conversation_id)
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
        self._asking.over()
        self._growing.catch_up()
        self.state_changed.emit()

    def _on_refused(self, question: Question, _: str) -> None:
        self._held.remove(PENDING)
        if not self.messages and not self.conversation_id:
            self.title = NEW_TITLE
        self.opened.emit()
        # The words must not be lost with the refusal.
        self._take_draft(question.text)
        if question.images:
            self.pictures_returned.emit(question.images)
        self.state_changed.emit()

    def _on_settled(self) -> None:
        self._asking.over()
        self.state_changed.emit()

    # The messages held

    def _show(self, messages: Sequence[ChatMessage]) -> None:
        self._held.show(messages)
        self.opened.emit()
        self.state_changed.emit()

    def _append(self, message: ChatMessage) -> None:
        self._held.append(message)
        self.appended.emit(message)

    def _take_draft(self, text: str) -> None:
        self._draft.put(text)
        self.draft_loaded.emit(text)
