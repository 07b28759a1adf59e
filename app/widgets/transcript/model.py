"""What a transcript shows: messages in order, and the stream that grows the last of them.

Plain values, no types of the core: a view-model translates. Typical use:

    model.reset(messages)                     # a whole chat, any length
    model.append_message(Message(id="q1", role="user", text="…"))
    model.append_message(Message(id="a1", role="assistant"))
    model.begin_stream("a1", "Loading smollm2…")
    model.append_text("a1", "Hel")            # as often as tokens come; the view paints at most once a frame
    model.add_seam("a1", Seam("fleet", "fleet/gpu-2", "after 118 tokens, box-a closed the stream"))
    model.finish("a1", badge=Badge(...))      # or status="stopped" | "failed"
    model.replace(Message(id="a1", …, variant=1, variants=3))
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from PySide6.QtCore import QObject, Signal

Role = Literal["user", "assistant", "notice", "error", "tool"]
Status = Literal["done", "streaming", "stopped", "failed"]
ToolState = Literal["waiting", "running", "done", "failed", "stopped"]


@dataclass(frozen=True, slots=True)
class ChainStep:
    """One attempt in the chain of a badge."""

    tier: str
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Badge:
    """The routing badge under an answer. Words come ready; an empty part is left out, never guessed."""

    chain: tuple[ChainStep, ...] = ()
    tier: str = ""
    """The tier's word in lower case: `local`."""
    model: str = ""
    """Instance and model: `gpu-2 qwen3-32b`."""
    tokens: int | None = None
    duration_s: float | None = None
    tokens_per_s: float | None = None
    cost: str = ""
    """`$0.0000, saved $0.0394`, or `price unknown`."""
    detail: str = ""
    """The tooltip: one attempt a line."""

    def parts(self) -> tuple[str, ...]:
        """The words of the line, in order."""
        tokens = "" if self.tokens is None else f"{self.tokens:,} tok"
        rate = "" if self.tokens_per_s is None else f"{self.tokens_per_s:.0f} tok/s"
        found = (self.tier, self.model, tokens, duration_words(self.duration_s), rate, self.cost)
        return tuple(part for part in found if part)


def duration_words(duration_s: float | None) -> str:
    """`640 ms`, `6.1 s`, `2 min 5 s`; empty for None."""
    if duration_s is None:
        return ""
    if duration_s < 0.9995:
        return f"{duration_s * 1000:.0f} ms"
    if duration_s < 99.95:
        return f"{duration_s:.1f} s"
    minutes, seconds = divmod(round(duration_s), 60)
    return f"{minutes} min {seconds} s"


@dataclass(frozen=True, slots=True)
class Seam:
    """The place where another instance went on with the answer."""

    tier: str
    instance: str
    """`fleet/gpu-2`, set in bold."""
    reason: str
    """What follows: `after 118 tokens, connection lost`."""
    at: int = -1
    """Characters of the answer before it; -1 means all there are when it is added."""
    detail: str = ""
    """The whole of the reason, for the tooltip."""

    @property
    def words(self) -> str:
        """`continued on fleet/gpu-2 after 118 tokens, connection lost`."""
        return f"continued on {self.instance} {self.reason}"


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool's run, shown as a card."""

    name: str
    argument: str = ""
    icon: str = "wrench"
    state: ToolState = "done"
    result: str = ""
    """The words beside the state: `212 lines, 4 ms`, `Exit 2, 1.1 s`."""


@dataclass(frozen=True, slots=True)
class Action:
    """A button on an error or notice."""

    id: str
    label: str


@dataclass(slots=True)
class Message:
    """One message. `text` is markdown for answers, plain for all others."""

    id: str
    role: Role
    text: str = ""
    author: str = ""
    time: str = ""
    status: Status = "done"
    variant: int = 0
    """Counted from 0."""
    variants: int = 1
    badge: Badge | None = None
    seams: tuple[Seam, ...] = ()
    note: str = ""
    """While streaming: what is being waited for. On an error: its title."""
    thinking: str = ""
    """What the model wrote for itself before and while it answered; plain, never part of the text."""
    shows_thinking: bool = False
    """Whether the reasoning is open before a reader folds or unfolds it."""
    tool: Tool | None = None
    pictures: int = 0
    """How many are shown with a question; whoever shows the transcript has them (`TranscriptCanvas.picture_of`)."""
    documents: tuple[str, ...] = ()
    """Names of the files given with a question."""
    actions: tuple[Action, ...] = ()
    _grown: list[str] = field(default_factory=list[str], repr=False)
    _thought: list[str] = field(default_factory=list[str], repr=False)

    @property
    def is_streaming(self) -> bool:
        """Whether text may still come."""
        return self.status == "streaming"

    def whole_text(self) -> str:
        """The text with everything streamed so far; joins only when something came since."""
        if self._grown:
            self.text += "".join(self._grown)
            self._grown.clear()
        return self.text

    def grow(self, delta: str) -> None:
        """Adds streamed text without copying what is there."""
        self._grown.append(delta)

    def whole_thinking(self) -> str:
        """The reasoning with everything streamed so far."""
        if self._thought:
            self.thinking += "".join(self._thought)
            self._thought.clear()
        return self.thinking

    def think(self, delta: str) -> None:
        """Adds streamed reasoning without copying what is there."""
        self._thought.append(delta)


class TranscriptModel(QObject):
    """The messages of one chat. All positions count from 0 in reading order."""

    was_reset = Signal()
    message_added = Signal(int)
    message_changed = Signal(int)
    """Anything but streamed text: status, badge, note, variant, seams, or another text altogether."""
    text_grown = Signal(int, str)
    """Position and the text that came."""
    thinking_grown = Signal(int)
    """Reasoning came for the message at this position."""
    stream_began = Signal(int)
    stream_ended = Signal(int)
    messages_dropped = Signal(int)
    """All from this position on are gone."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._messages: list[Message] = []
        self._places: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._messages)

    def at(self, position: int) -> Message:
        """The message at a position."""
        return self._messages[position]

    def place(self, message_id: str) -> int:
        """The position of a message; KeyError for an unknown id."""
        return self._places[message_id]

    def message(self, message_id: str) -> Message:
        """The message with an id; KeyError for an unknown one."""
        return self._messages[self._places[message_id]]

    def __contains__(self, message_id: object) -> bool:
        return message_id in self._places

    def messages(self) -> Iterable[Message]:
        """All, in reading order."""
        return iter(self._messages)

    @property
    def is_streaming(self) -> bool:
        """Whether any message is still growing."""
        return bool(self._messages) and any(m.is_streaming for m in self._messages[-4:])

    def reset(self, messages: Iterable[Message] = ()) -> None:
        """Shows another chat. Ids must be unique; AssertionError otherwise."""
        self._messages = list(messages)
        self._places = {message.id: place for place, message in enumerate(self._messages)}
        assert len(self._places) == len(self._messages), "two messages share an id"
        self.was_reset.emit()

    def clear(self) -> None:
        """Shows nothing."""
        self.reset()

    def append_message(self, message: Message) -> None:
        """Adds a message at the end."""
        assert message.id not in self._places, f"the message {message.id!r} is here already"
        self._places[message.id] = len(self._messages)
        self._messages.append(message)
        self.message_added.emit(len(self._messages) - 1)

    def begin_stream(self, message_id: str, note: str = "") -> None:
        """Marks a message as growing; `note` is shown until the first text."""
        place = self._places[message_id]
        message = self._messages[place]
        message.status, message.note = "streaming", note
        self.message_changed.emit(place)
        self.stream_began.emit(place)

    def append_text(self, message_id: str, delta: str) -> None:
        """Adds streamed text."""
        if not delta:
            return
        place = self._places[message_id]
        self._messages[place].grow(delta)
        self.text_grown.emit(place, delta)

    def set_note(self, message_id: str, note: str) -> None:
        """Says what a growing message waits for."""
        place = self._places[message_id]
        if self._messages[place].note != note:
            self._messages[place].note = note
            self.message_changed.emit(place)

    def add_seam(self, message_id: str, seam: Seam) -> None:
        """Marks the place where another instance goes on."""
        place = self._places[message_id]
        message = self._messages[place]
        at = len(message.whole_text()) if seam.at < 0 else seam.at
        message.seams = (*message.seams, replace(seam, at=at))
        self.message_changed.emit(place)

    def append_thinking(self, message_id: str, delta: str) -> None:
        """Adds reasoning to a message that grows."""
        place = self._places[message_id]
        self._messages[place].think(delta)
        self.thinking_grown.emit(place)

    def finish(self, message_id: str, badge: Badge | None = None, status: Status = "done") -> None:
        """Ends a stream; the badge and status take effect at once."""
        place = self._places[message_id]
        message = self._messages[place]
        message.whole_text()
        message.status, message.note = status, ""
        message.badge = badge or message.badge
        self.message_changed.emit(place)
        self.stream_ended.emit(place)

    def replace(self, message: Message) -> None:
        """Puts another state of a message in its place: an edit, a variant, a tool that finished."""
        place = self._places[message.id]
        self._messages[place] = message
        self.message_changed.emit(place)

    def drop_from(self, message_id: str) -> None:
        """Removes a message and all after it: a regenerate or an edit starts over there."""
        place = self._places[message_id]
        for gone in self._messages[place:]:
            del self._places[gone.id]
        del self._messages[place:]
        self.messages_dropped.emit(place)
