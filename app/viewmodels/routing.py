"""The Routing page: the ladder as it is now, what runs on it, and what can be done with an instance.

Nothing is asked while the page is hidden, and no timer runs unless a wait counts down before somebody's eyes.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QTimer, Signal

from app.bridge import Bridge
from app.viewmodels.routing_cards import Card, RungWords, figures_of, rungs_of
from legion_core.api.routes import AttemptBegan, AttemptEnded, Ladder
from legion_core.api.types import Event, ModelChanged, ProviderChanged, SettingChanged, TestResult

if TYPE_CHECKING:
    from legion_core.api.facade import Legion

TICK_MS = 1000
GATHER_MS = 1000  # after an answer's end the figures are read again, once for all that end together
OVER_MAX = 512

Attempt = tuple[str, int]


class RoutingViewModel(QObject):
    """The ladder. `watch(True)` while the page can be seen."""

    changed = Signal()
    """Cards or figures are new."""
    traffic_changed = Signal()
    """What runs has changed: counts by instance and by tier."""
    moved = Signal(str, str, str)
    """`(request, from tier, to tier)`; from is empty at the start of a request, to is empty at its end."""
    ticked = Signal()
    """A second of a wait has passed."""
    selected_changed = Signal()
    refused = Signal(str)

    def __init__(self, bridge: Bridge, now: Callable[[], datetime]) -> None:
        super().__init__()
        self.setObjectName("viewmodel.routing")
        self._bridge = bridge
        self.now = now
        self.rungs: tuple[RungWords, ...] = ()
        self.figures: tuple[tuple[str, str, str], ...] = ()
        self.saved_against = ""
        self.is_loaded = False
        self.selected = ""
        self.results: dict[str, TestResult] = {}
        self.testing: frozenset[str] = frozenset()
        self._live: dict[Attempt, tuple[str, str]] = {}
        self._over: OrderedDict[Attempt, None] = OrderedDict()
        self._is_watched = False
        self._is_stale = True
        self._is_loading = False
        self._has_looked = False
        self._tick = self._timer("routing.tick", TICK_MS, self._on_tick)
        self._gather = self._timer("routing.gather", GATHER_MS, self.refresh)
        self._gather.setSingleShot(True)
        bridge.watch(self._on_traffic, AttemptBegan, AttemptEnded)
        bridge.watch(self._on_changes, ProviderChanged, ModelChanged, SettingChanged)
        bridge.lost.connect(self._on_lost)
        bridge.connected.connect(self.refresh)

    # What is seen

    def watch(self, is_watched: bool) -> None:
        """The page can be seen, or not any more: unseen it asks nothing and counts nothing down."""
        self._is_watched = is_watched
        if is_watched:
            if not self._has_looked:
                self._has_looked = True
                self._look_around()
            if self._is_stale:
                self.refresh()
            self._mind_tick()
        else:
            self._tick.stop()
            self._gather.stop()

    def refresh(self) -> None:
        """Read the ladder again; while it is read, once more is enough."""
        self._is_stale = True
        if not self._is_watched or self._is_loading:
            return
        self._is_loading, self._is_stale = True, False
        self._bridge.launch(
            "routes.ladder", lambda legion: legion.routes.ladder(), self._on_ladder, self._on_failure
        )

    def _look_around(self) -> None:
        # Instances are asked what they offer behind the page; what changed is told by facts.
        self._bridge.launch("providers.list", lambda legion: legion.providers.list(), None, lambda _: None)

    @property
    def cards(self) -> tuple[Card, ...]:
        """Every card, from the ladder's top."""
        return tuple(card for rung in self.rungs for card in rung.cards)

    @property
    def current(self) -> Card | None:
        """The selected card."""
        return next((card for card in self.cards if card.name == self.selected), None)

    def running(self, name: str) -> int:
        """How many attempts run at an instance now."""
        return sum(instance == name for _, instance in self._live.values())

    def running_by_tier(self) -> Counter[str]:
        """How many attempts run on each tier now."""
        return Counter(tier for tier, _ in self._live.values())

    def requests(self) -> dict[str, str]:
        """The requests under way, each with the tier it is on."""
        return {request: tier for (request, _), (tier, _) in self._live.items()}

    def select(self, name: str) -> None:
        """Show an instance in the inspector."""
        if name != self.selected:
            self.selected = name
            self.selected_changed.emit()

    # What can be done

    def trip(self, name: str) -> None:
        """Open its circuit by hand."""

        async def act(legion: "Legion") -> None:
            legion.providers.trip(name)

        self._bridge.launch("providers.trip", act, lambda _: self.refresh())

    def reset(self, name: str) -> None:
        """Close its circuit, forget its failures, and let it take requests again."""

        async def act(legion: "Legion") -> None:
            legion.providers.reset(name)

        self._bridge.launch("providers.reset", act, lambda _: self.refresh())

    def drain(self, name: str) -> None:
        """Let it finish what runs and take nothing new."""

        async def act(legion: Any) -> None:
            legion.providers.drain(name)

        self._bridge.launch("providers.drain", act, lambda _: self.refresh())

    def test(self, name: str) -> None:
        """Ask whether it is there and the key is right."""
        if name in self.testing:
            return
        self.testing = self.testing | {name}
        self.changed.emit()

        def done(result: TestResult) -> None:
            self.testing = self.testing - {name}
            self.results[name] = result
            self.changed.emit()

        self._bridge.launch(
            "providers.test",
            lambda legion: legion.providers.test(name),
            done,
            lambda sentence: done(TestResult(is_ok=False, why=sentence)),
        )

    # Facts

    def _on_ladder(self, ladder: Ladder) -> None:
        self._is_loading = False
        self.is_loaded = True
        self.rungs = rungs_of(ladder, ladder.at.astimezone(self.now().tzinfo))
        self.figures = figures_of(ladder)
        self.saved_against = ladder.saved_against
        # A fact may have come before this answer: what ended meanwhile does not run again.
        self._live = {
            (fact.request_id, fact.number): (fact.tier, fact.instance)
            for fact in ladder.live
            if (fact.request_id, fact.number) not in self._over
        } | {key: place for key, place in self._live.items() if key not in self._over}
        if self.current is None and self.cards:
            self.selected = self._first()
            self.selected_changed.emit()
        self.changed.emit()
        self.traffic_changed.emit()
        self._mind_tick()
        if self._is_stale:
            self.refresh()

    def _first(self) -> str:
        """What deserves a look: an instance that is shut, else the first of the nearest tier."""
        shut = [card.name for card in self.cards if card.state in ("open", "half_open", "probing")]
        return shut[0] if shut else next(rung.cards[0].name for rung in reversed(self.rungs) if rung.cards)

    def _on_failure(self, sentence: str) -> None:
        self._is_loading = False
        self._bridge.refused.emit(sentence)

    def _on_traffic(self, facts: Sequence[Event]) -> None:
        before = {request: tier for (request, _), (tier, _) in self._live.items()}
        for fact in facts:
            if isinstance(fact, AttemptBegan):
                self._live[fact.request_id, fact.number] = (fact.tier, fact.instance)
            elif isinstance(fact, AttemptEnded):
                self._live.pop((fact.request_id, fact.number), None)
                self._over[fact.request_id, fact.number] = None
                while len(self._over) > OVER_MAX:
                    self._over.popitem(last=False)
                if self._is_watched and not self._gather.isActive():
                    self._gather.start()
                self._is_stale = True
        after = {request: tier for (request, _), (tier, _) in self._live.items()}
        for request in dict.fromkeys((*before, *after)):
            was, now = before.get(request, ""), after.get(request, "")
            if was != now:
                self.moved.emit(request, was, now)
        self.traffic_changed.emit()

    def _on_lost(self) -> None:
        # Some of what ended was not heard: the engine knows what still runs.
        self._live.clear()
        self.refresh()

    def _on_changes(self, _: Sequence[Event]) -> None:
        self.refresh()

    # Time

    def _timer(self, name: str, every_ms: int, then: Callable[[], None]) -> QTimer:
        timer = QTimer(self)
        timer.setObjectName(name)
        timer.setInterval(every_ms)
        timer.timeout.connect(then)
        return timer

    def _mind_tick(self) -> None:
        now = self.now()
        counts = any(card.left_s(now) > 0 for card in self.cards)
        if counts and self._is_watched and not self._tick.isActive():
            self._tick.start()
        elif not counts:
            self._tick.stop()

    def _on_tick(self) -> None:
        now = self.now()
        self.ticked.emit()
        if any(card.until is not None and card.left_s(now) <= 0 for card in self.cards):
            self.refresh()
        self._mind_tick()
