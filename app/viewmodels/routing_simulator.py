"""Try a route: where a text with these needs would go now, and why not elsewhere. The router itself decides; nothing is sent."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal

from app.bridge import Bridge
from app.viewmodels import wording
from app.viewmodels.trace import reason_of
from legion_core.api.types import Capability, Lane, LeftOut, Pins, RouteDecision, Tier

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from legion_core.api.facade import Legion

PAUSE_MS = 150
ROWS_MAX = 60
TEXT_MAX = 200_000

NEEDS: tuple[tuple[Capability, str, str], ...] = (
    ("vision", "Vision", "No vision"),
    ("tools", "Tools", "No tools"),
    ("thinking", "Thinking", "No thinking"),
    ("structured_output", "JSON", "No structured output"),
)
CONTEXTS = ((0, "Any length"), (8_192, "8k context"), (32_768, "32k context"), (131_072, "128k context"))
REACHES: tuple[tuple[str, str], ...] = (
    ("", "Any tier"),
    ("local", "Only this computer"),
    ("direct", "Up to Direct"),
    ("fleet", "Up to Fleet"),
    ("cloud", "Up to Cloud"),
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One lane as the simulator shows it: `word` at the right, `why` below where the word does not say it all."""

    tier: str
    name: str
    word: str
    why: str
    is_chosen: bool = False
    is_left_out: bool = False
    is_stepped_back: bool = False
    """It comes after the others for what its answers were like."""

    @property
    def spoken(self) -> str:
        """The line as a screen reader says it."""
        why = f". {self.why}" if self.why and self.why != self.word else ""
        return f"tier: {self.tier}, {self.name}: {self.word}{why}"


def candidates_of(decision: RouteDecision) -> tuple[Candidate, ...]:
    """Every lane: those that would be tried in their order, then those left out with the reason."""
    behind = {each.lane.name: each.why for each in decision.stepped_back}
    tried = [
        Candidate(
            tier=lane.tier.word,
            name=wording.lane(lane.instance, lane.offer.id),
            word="Chosen" if at == 0 else wording.place(at + 1),
            why=behind.get(lane.name) or (_price(lane) if at == 0 else "Only if those before it fail"),
            is_chosen=at == 0,
            is_stepped_back=lane.name in behind,
        )
        for at, lane in enumerate(decision.candidates)
    ]
    out = [
        Candidate(
            tier=entry.lane.tier.word,
            name=wording.lane(entry.lane.instance, entry.lane.offer.id),
            word=_word(entry),
            why=entry.why,
            is_left_out=True,
        )
        for entry in decision.left_out
    ]
    return (*tried, *out)


def _word(entry: LeftOut) -> str:
    if entry.reason == "capability":
        return next((word for need, _, word in NEEDS if need.replace("_", " ") in entry.why), "Capability")
    if entry.reason == "context":
        return "Too long"
    return reason_of(entry)[0]


def _price(lane: Lane) -> str:
    if lane.offer.price is None:
        return "Free" if lane.tier <= Tier.FLEET else "Price unknown"
    price = lane.offer.price
    return f"{wording.money(price.input)} in, {wording.money(price.output)} out per million tokens"


class SimulatorViewModel(QObject):
    """What is asked for, and the router's answer; asked again a moment after the last change."""

    changed = Signal()

    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self.setObjectName("viewmodel.simulator")
        self._bridge = bridge
        self.text = ""
        self.needs: frozenset[Capability] = frozenset()
        self.context = 0
        self.reach = ""
        self.is_private = False
        self.candidates: tuple[Candidate, ...] = ()
        self.hidden = 0
        self.tokens = 0
        self.problem = ""
        self.is_asked = False
        self._asked = 0
        self._pause = QTimer(self)
        self._pause.setObjectName("simulator.pause")
        self._pause.setSingleShot(True)
        self._pause.setInterval(PAUSE_MS)
        self._pause.timeout.connect(self.ask)

    @property
    def verdict(self) -> str:
        """The decision in a sentence."""
        if self.problem:
            return self.problem
        if not self.is_asked:
            return "Nothing is sent: the router only says what it would do."
        if not self.candidates or self.candidates[0].is_left_out:
            return "No model could answer this."
        room = wording.count(self.tokens)  # with what frames it: more than its words
        return f"It would go to {self.candidates[0].name}. Room is reckoned for about {room} tokens."

    def set_text(self, text: str) -> None:
        """The question."""
        if text != self.text:
            self.text = text[:TEXT_MAX]
            self._pause.start()

    def set_needs(self, needs: set[str]) -> None:
        """What it cannot do without."""
        self.needs = frozenset(need for need, _, _ in NEEDS if need in needs)
        self._pause.start()

    def set_private(self, is_private: bool) -> None:
        """As if it were marked private."""
        self.is_private = is_private
        self._pause.start()

    def set_context(self, tokens: int) -> None:
        """How long the conversation before it is."""
        self.context = tokens
        self._pause.start()

    def set_reach(self, tier: str) -> None:
        """The furthest tier it may go to; empty for any."""
        self.reach = tier
        self._pause.start()

    def again(self) -> None:
        """Something changed at the instances: what was asked is asked once more."""
        if self.is_asked:
            self._pause.start()

    def stop(self) -> None:
        """The page is hidden."""
        self._pause.stop()

    def ask(self) -> None:
        """Ask the router now."""
        self._pause.stop()
        self._asked += 1
        number = self._asked

        def done(decision: RouteDecision) -> None:
            if number == self._asked:
                found = candidates_of(decision)
                self.candidates, self.hidden = found[:ROWS_MAX], max(0, len(found) - ROWS_MAX)
                self.tokens, self.problem, self.is_asked = decision.estimated_tokens, "", True
                self.changed.emit()

        def failed(sentence: str) -> None:
            if number == self._asked:
                self.candidates, self.problem = (), sentence
                self.changed.emit()

        self._bridge.launch("routes.explain", self._intent(), done, failed)

    def _intent(self) -> "Callable[[Legion], Awaitable[RouteDecision]]":
        requires: tuple[Capability, ...] = tuple(need for need, _, _ in NEEDS if need in self.needs)
        text, context, is_private = self.text, self.context, self.is_private
        pins = Pins(tier_max=Tier.parse(self.reach) if self.reach else None)
        return lambda legion: legion.routes.explain(
            text, requires=requires, context_tokens=context, pins=pins, is_private=is_private
        )
