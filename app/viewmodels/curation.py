"""What curation does to the chat that is open: how much shorter it is sent, by what, and what the model will see.

Nothing is asked of the engine for a chat nobody looks at: the figures when one is opened or answered, the parts only
while the panel is shown.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from PySide6.QtCore import QObject, Signal

from app.bridge import Bridge
from app.viewmodels import wording
from app.viewmodels.badge import context_usage, prompt_tokens
from app.viewmodels.chat import ChatViewModel
from legion_core.api.types import AnswerEnded, CurationChanged, Event

if TYPE_CHECKING:
    from legion_core.api.facade import Legion
    from legion_core.api.types import ContextShares, CurationEdit, CurationMeter, SeenPart

NOTHING: Final = "Nothing to curate"
LONG_TOKENS = (
    20_000  # of a chat that was never sent, such as an imported one: its view is made when it is opened
)
STRATEGIES: Final[dict[str, tuple[str, str]]] = {
    "strip_thinking": ("Strip thinking", "earlier answer"),
    "distill_tool_result": ("Distil tool results", "long output"),
    "fold_resolved_exchanges": ("Fold resolved exchanges", "settled exchange"),
    "evict_superseded": ("Evict superseded files", "older read"),
    "dedup_similar": ("Drop near-duplicates", "repeated result"),
    "drop_and_archive": ("Drop and archive", "old message"),
}
ROLES: Final = {"user": "You", "assistant": "Answer", "tool": "Tool"}


@dataclass(frozen=True, slots=True)
class StrategyLine:
    """What one strategy did, in words."""

    title: str
    detail: str
    saved: str

    @property
    def spoken(self) -> str:
        """The line read aloud."""
        return f"{self.title}: {self.detail}, {self.saved} tokens"


@dataclass(frozen=True, slots=True)
class Part:
    """A message as it was said and as the model will see it; `after` is empty for what is left out."""

    message_id: str
    who: str
    before: str
    after: str
    is_same: bool

    @property
    def fate(self) -> str:
        """`Answer, left out`."""
        return self.who if self.is_same else f"{self.who}, {'shortened' if self.after else 'left out'}"


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of what is sent: its name, its tokens, and its colour."""

    title: str
    tokens: int
    colour: str


@dataclass(frozen=True, slots=True)
class EditLine:
    """One edit that was made, in words."""

    number: int
    epoch: int
    title: str
    note: str
    saved: str
    is_undone: bool


class CurationViewModel(QObject):
    """Follows the chat of `chat`."""

    changed = Signal()
    """The figures are new."""
    seen_changed = Signal()
    """`parts` is new."""

    def __init__(self, bridge: Bridge, chat: ChatViewModel) -> None:
        super().__init__()
        self.setObjectName("viewmodel.curation")
        self._bridge = bridge
        self._chat = chat
        self._place: str = ""
        self.meter: CurationMeter | None = None
        self.shares: ContextShares | None = None
        self.edits: tuple[EditLine, ...] = ()
        self.parts: tuple[Part, ...] = ()
        self.last_edit = 0
        """The number of the latest edit that stands; 0 where there is none."""
        self.is_watched = False
        self._prepared: str = ""
        chat.opened.connect(self._on_opened)
        bridge.watch(self._on_facts, AnswerEnded, CurationChanged)
        self._on_opened()

    @property
    def headline(self) -> str:
        """`Curated 73 %, 41.2k to 11.1k`, or that there is nothing to curate."""
        meter = self.meter
        if meter is not None and not meter.is_on:
            return "Curation is off"
        if meter is None or not self.share:
            return NOTHING
        before, after = wording.short_count(meter.naive_tokens), wording.short_count(meter.curated_tokens)
        return f"Curated {round(100 * self.share)} %, {before} to {after}"

    @property
    def share(self) -> float:
        """How much of the whole is left out, 0 to 1; what is not a whole percent is nothing."""
        meter = self.meter
        if meter is None or not meter.is_on or not meter.naive_tokens:
            return 0.0
        share = 1 - meter.curated_tokens / meter.naive_tokens
        return share if share >= 0.005 else 0.0

    @property
    def left_out(self) -> int:
        """Tokens of the history that are not sent."""
        meter = self.meter
        return max(0, meter.naive_tokens - meter.curated_tokens) if meter is not None and self.share else 0

    @property
    def segments(self) -> tuple[Segment, ...]:
        """What is sent, by where it comes from; parts that there are none of are not named."""
        shares = self.shares
        if shares is None:
            return ()
        # What the curator left of it, by its own count: its marks and the length of each message are in it.
        history = (
            max(0, self.meter.curated_tokens - shares.newest) if self.meter and self.share else shares.history
        )
        made = (
            Segment("System", shares.system, "text.tertiary"),
            Segment("Tools", shares.tools, "data.1"),
            Segment("History", history, "data.3"),
            Segment("Newest turn", shares.newest, "data.4"),
        )
        return _scaled(tuple(each for each in made if each.tokens), self.measured_tokens)

    @property
    def measured_tokens(self) -> int:
        """What the whole chat took when it was last sent, as the model counted it; 0 where only an estimate is known."""
        last = self._chat.last_answer
        if last is None or self.share or last.id != self._chat.messages[-1].id or last.status != "complete":
            return 0
        usage = context_usage(last)
        return 0 if usage.is_estimated else prompt_tokens(usage) + usage.output_tokens

    @property
    def sent_tokens(self) -> int:
        """How much goes with the next question, about where it is not measured; 0 where it is not known yet."""
        return sum(each.tokens for each in self.segments)

    @property
    def last_epoch(self) -> tuple[int, int]:
        """The latest round of edits that stands, and how many edits of it do; zeros where there is none."""
        standing = [edit for edit in self.edits if not edit.is_undone]
        epoch = max((edit.epoch for edit in standing), default=0)
        return epoch, sum(edit.epoch == epoch for edit in standing)

    @property
    def lines(self) -> tuple[StrategyLine, ...]:
        """What each of the six strategies did."""
        told = {each.strategy: each for each in self.meter.by_strategy} if self.meter is not None else {}
        made = list[StrategyLine]()
        for strategy, (title, noun) in STRATEGIES.items():
            found = told.get(strategy)
            if found is None or not found.edits:
                made.append(StrategyLine(title, "not needed here", "0"))
            else:
                saved = f"−{wording.short_count(found.tokens)}"
                made.append(StrategyLine(title, wording.plural(found.edits, noun), saved))
        return tuple(made)

    @property
    def curated(self) -> tuple[Part, ...]:
        """The parts that the model sees otherwise than they were said."""
        return tuple(part for part in self.parts if not part.is_same)

    def watch(self, is_watched: bool) -> None:
        """Somebody looks at the parts, or no longer."""
        self.is_watched = is_watched
        if is_watched:
            self._load_parts()

    def set_on(self, is_on: bool) -> None:
        """Curate this chat from its next question on, or send all of it."""
        self._act("curation.on", lambda legion, place: legion.curation.set_on(place, is_on))

    def undo(self) -> None:
        """Give back what the latest edit took."""
        number = self.last_edit
        if number:
            self._act("curation.undo", lambda legion, place: legion.curation.undo(place, number))

    def undo_edit(self, number: int) -> None:
        """Give back what one edit took."""
        self._act("curation.undo", lambda legion, place: legion.curation.undo(place, number))

    def undo_epoch(self) -> None:
        """Give back all that the latest round took."""
        epoch, count = self.last_epoch
        if count:
            self._act("curation.undo", lambda legion, place: legion.curation.undo_epoch(place, epoch))

    def keep(self, message_id: str) -> None:
        """Give a message back and leave it alone from now on."""
        self._act("curation.keep", lambda legion, place: legion.curation.keep(place, message_id))

    def _act(self, name: str, ask: "Act") -> None:
        place = self._place
        if place:
            self._bridge.launch(name, lambda legion: ask(legion, place), lambda _: self._load())

    def _on_opened(self) -> None:
        place = self._chat.conversation_id
        if place != self._place:
            self._place, self.meter, self.parts, self.last_edit = place, None, (), 0
            self.shares, self.edits = None, ()
            self.changed.emit()
            self.seen_changed.emit()
        self._load()

    def _on_facts(self, facts: Sequence[Event]) -> None:
        for fact in facts:
            of = fact.message.conversation_id if isinstance(fact, AnswerEnded) else ""
            if isinstance(fact, CurationChanged):
                of = fact.conversation_id
            if of and of == self._chat.conversation_id:
                self._place = of
                self._load()
                return

    def _load(self) -> None:
        place = self._place
        if not place:
            return

        async def ask(legion: "Legion") -> "tuple[CurationMeter, ContextShares]":
            return await legion.curation.meter(place), await legion.chat.shares(place)

        def done(found: "tuple[CurationMeter, ContextShares]") -> None:
            if place == self._place:
                self.meter, self.shares = found
                self.changed.emit()
                self._prepare()

        self._bridge.launch("curation.meter", ask, done, lambda _: None)
        if self.is_watched:
            self._load_parts()

    def _prepare(self) -> None:
        """A long chat that was never sent has no view yet: made now, its first question does not wait for it."""
        meter, shares, place = self.meter, self.shares, self._place
        if meter is None or shares is None or meter.naive_tokens or not meter.is_on:
            return
        if place != self._prepared and shares.history + shares.newest >= LONG_TOKENS:
            self._prepared = place
            self._bridge.launch("curation.prepare", lambda legion: legion.curation.prepare(place))

    def _load_parts(self) -> None:
        place = self._place
        if not place:
            return

        async def ask(legion: "Legion") -> "tuple[tuple[CurationEdit, ...], tuple[SeenPart, ...]]":
            return await legion.curation.edits(place), await legion.curation.seen(place)

        def done(found: "tuple[tuple[CurationEdit, ...], tuple[SeenPart, ...]]") -> None:
            if place == self._place:
                self.edits = tuple(_line(each) for each in found[0])
                self.last_edit = max((edit.number for edit in self.edits if not edit.is_undone), default=0)
                self.parts = tuple(_part(each) for each in found[1])
                self.seen_changed.emit()

        self._bridge.launch("curation.seen", ask, done, lambda _: None)


def _scaled(parts: tuple[Segment, ...], whole: int) -> tuple[Segment, ...]:
    """The same parts, making up `whole` together: each has its share of what was counted; 0 leaves them as they are."""
    estimated = sum(each.tokens for each in parts)
    if not whole or not parts:
        return parts
    first = [replace(each, tokens=each.tokens * whole // estimated) for each in parts[:-1]]
    rest = whole - sum(each.tokens for each in first)
    return (*first, replace(parts[-1], tokens=rest))


def _line(edit: "CurationEdit") -> EditLine:
    title = STRATEGIES.get(edit.strategy, (edit.strategy, ""))[0]
    saved = f"−{wording.short_count(edit.tokens)}" if edit.tokens > 0 else "0"
    return EditLine(edit.number, edit.epoch, title, edit.note, saved, edit.is_undone)


def _part(seen: "SeenPart") -> Part:
    who = ROLES.get(seen.role, seen.role)
    return Part(seen.message_id, who, seen.before, seen.after, seen.state == "same")


if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Act = Callable[[Legion, str], Awaitable[object]]
