"""The words and numbers of the ladder's cards, from an instance's row and what was measured of it. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from app.viewmodels import wording
from app.viewmodels.trace import OUTCOME_WORDS
from legion_core.api.routes import Ladder, Place

TIER_WORDS = {
    "local": ("Local", "this computer"),
    "direct": ("Direct", "machines you name"),
    "fleet": ("Fleet", "machines that are shared"),
    "cloud": ("Cloud", "cloud services"),
    "frontier": ("Frontier", "frontier labs"),
}
FAILURES_TO_OPEN = 3
COOLDOWN_S = 60.0


@dataclass(frozen=True, slots=True)
class Fault:
    """A line of the inspector's list of last failures."""

    at: str
    words: str
    took: str
    why: str


@dataclass(frozen=True, slots=True)
class Card:
    """One instance. `until` is when its circuit may be tried again, None where nothing counts down."""

    name: str
    tier: str
    state: str
    word: str
    tone: str
    icon: str
    sentence: str
    models: str
    figures: str
    failures: int
    running: int
    is_builtin: bool
    until: datetime | None = None
    whole_s: float = COOLDOWN_S
    kind: str = ""
    base_url: str = ""
    problem: str = ""
    facts: tuple[tuple[str, str], ...] = ()
    faults: tuple[Fault, ...] = ()
    waits: tuple[float, ...] = ()

    @property
    def pips(self) -> str:
        """`2 of 3 failures`."""
        return f"{self.failures} of {FAILURES_TO_OPEN} failures"

    @property
    def is_shut(self) -> bool:
        """Whether something keeps requests away that a reset ends."""
        return self.state != "closed" or self.failures > 0

    def left_s(self, now: datetime) -> float:
        """Seconds until it may be tried again."""
        return 0.0 if self.until is None else max(0.0, (self.until - now).total_seconds())

    def pill(self, now: datetime) -> str:
        """The state's word, with what is left of a wait."""
        left_s = self.left_s(now)
        return f"{self.word}, {wording.short_span(left_s)}" if left_s > 0 else self.word

    def spoken(self, now: datetime) -> str:
        """The card as a screen reader says it."""
        parts = [self.name, f"tier {self.tier}", self.pill(now), self.models, self.figures, self.pips]
        return ", ".join(part for part in (*parts, f"{self.running} running") if part)


@dataclass(frozen=True, slots=True)
class RungWords:
    """One tier of the ladder with its cards; `closed` says which policy keeps requests from it."""

    tier: str
    title: str
    about: str
    closed: str
    cards: tuple[Card, ...]


STATES = {
    "closed": ("Closed", "ok", "circle-check", "Answers."),
    "half_open": ("Half-open", "warn", "circle-dot-dashed", "The next request goes there as a probe."),
    "probing": ("Half-open", "warn", "circle-dot-dashed", "A probe is under way; its end decides."),
    "open": ("Open", "err", "circle-x", "3 failures in 300 s."),
    "tripped": ("Tripped", "err", "circle-x", "Opened by hand. Nothing goes there until it is reset."),
    "draining": ("Draining", "warn", "circle-pause", "It finishes what runs and takes nothing new until it is reset."),
    "resting": ("Resting", "warn", "circle-pause", "The provider asked for a pause."),
    "problem": ("Problem", "err", "circle-x", ""),
    "empty": ("No model", "neutral", "circle-dashed", "No model is known there."),
}  # fmt: skip


def state_of(place: Place) -> str:
    """Which of `STATES` an instance is in; what was done by hand stands above what it did itself."""
    row = place.row
    if row.is_tripped:
        return "tripped"
    if row.is_draining:
        return "draining"
    if row.circuit == "open":
        return "open"
    if row.circuit == "half_open":
        return "probing" if row.is_probing else "half_open"
    if row.retry_in_s > 0:
        return "resting"
    if row.problem:
        return "problem"
    return "closed" if row.models else "empty"


def card_of(place: Place, at: datetime) -> Card:
    """The card of an instance as it was at `at`."""
    row, measured = place.row, place.measured
    state = state_of(place)
    word, tone, icon, sentence = STATES[state]
    waits_s = row.retry_in_s if state in ("open", "resting") else 0.0
    running = max(place.running, row.in_flight)
    if state == "draining" and not running:
        word, sentence = (
            "Drained",
            "Nothing runs there any more, and nothing new goes there until it is reset.",
        )
    if state == "open" and waits_s > 0:
        sentence = "3 failures in 300 s. Then one probe is let through."
    return Card(
        name=row.name,
        tier=row.tier,
        state=state,
        word=word,
        tone=tone,
        icon=icon,
        sentence=row.problem if state == "problem" else sentence,
        models=_models(place),
        figures=_figures(place, at),
        failures=min(FAILURES_TO_OPEN, row.failures),
        running=running,
        is_builtin=row.is_builtin,
        until=at + timedelta(seconds=waits_s) if waits_s > 0 else None,
        whole_s=max(COOLDOWN_S, waits_s) if state == "open" else max(1.0, waits_s),
        kind=row.kind,
        base_url=row.base_url,
        problem=row.problem,
        facts=_facts(place),
        faults=tuple(
            Fault(
                at=f"{failure.at.astimezone(at.tzinfo):%H:%M:%S}",
                words=_fault_words(row.name, failure.outcome, failure.why),
                took=wording.duration(failure.duration_s),
                why=failure.why,
            )
            for failure in measured.failures
        ),
        waits=tuple(point.first_token_s for point in measured.points),
    )


def _fault_words(instance: str, outcome: str, why: str) -> str:
    """What was said, without the instance's name that stands above: `529: the model is overloaded`."""
    said = why.removeprefix(f"{instance} answered ") if why.startswith(f"{instance} answered ") else ""
    return said or OUTCOME_WORDS.get(outcome, outcome.replace("_", " ")).capitalize()


def _models(place: Place) -> str:
    names = [offer.id.rpartition("/")[2] for offer in place.row.models]
    if place.row.problem and not names:
        return place.row.problem
    shown = ", ".join(names[:3])
    return f"{shown} and {len(names) - 3} more" if len(names) > 3 else shown or "no model"


def _figures(place: Place, at: datetime) -> str:
    measured = place.measured
    parts: list[str] = []
    if measured.first_token_p50_s is not None:
        parts.append(wording.duration(measured.first_token_p50_s))
    if measured.tokens_per_s is not None:
        parts.append(wording.rate(measured.tokens_per_s))
    if not parts:
        parts.append("no answer this hour" if measured.requests else "not asked")
    return "  ".join((*parts, _spent(place)))


def _spent(place: Place) -> str:
    """Free only where it is known to be: an unknown price is said, never shown as nothing."""
    measured = place.measured
    if measured.unpriced:
        # How many are of unknown price says the inspector; a card is too narrow for both.
        return f"over {wording.money(measured.spent_usd)}" if measured.spent_usd else "price unknown"
    if measured.spent_usd:
        return wording.money(measured.spent_usd)
    prices = [offer.price for offer in place.row.models]
    if place.row.tier in ("local", "direct", "fleet") and not any(prices):
        return "free"
    return "$0.00" if all(prices) else "price unknown"


def _facts(place: Place) -> tuple[tuple[str, str], ...]:
    row, measured = place.row, place.measured
    facts = [("Kind", "built in" if row.is_builtin else row.kind)]
    if row.base_url:
        facts.append(("Address", row.base_url))
    facts += [
        ("First token, half of them", wording.duration(measured.first_token_p50_s)),
        ("First token, 95 %", wording.duration(measured.first_token_p95_s)),
        ("Speed", wording.rate(measured.tokens_per_s)),
        ("Requests, last hour", wording.count(measured.requests)),
        ("Spent today", _spent_exactly(place)),
    ]
    return tuple(facts)


def _spent_exactly(place: Place) -> str:
    measured = place.measured
    if measured.unpriced:
        known = f"{wording.money(measured.spent_usd)}, " if measured.spent_usd else ""
        return f"{known}{wording.count(measured.unpriced)} of unknown price"
    return _spent(place)


def rungs_of(ladder: Ladder, at: datetime) -> tuple[RungWords, ...]:
    """Every tier, frontier first: the order in which the ladder is drawn from its top."""
    return tuple(
        RungWords(
            tier=rung.tier,
            title=TIER_WORDS[rung.tier][0],
            about=TIER_WORDS[rung.tier][1],
            closed=rung.closed,
            cards=tuple(card_of(place, at) for place in rung.places),
        )
        for rung in reversed(ladder.rungs)
    )


def figures_of(ladder: Ladder) -> tuple[tuple[str, str, str], ...]:
    """The key figures over the ladder: `(caption, figure, what stands behind it)`."""
    figures = ladder.figures
    share = wording.share(figures.stayed_local / figures.requests) if figures.requests else wording.DASH
    spent = (
        f"${figures.spent_usd:,.2f}" if not 0 < figures.spent_usd < 0.01 else wording.money(figures.spent_usd)
    )
    unknown = f"{wording.count(figures.unpriced)} of unknown price" if figures.unpriced else ""
    found = [
        ("Requests, last hour", wording.count(figures.requests), ""),
        ("Stayed local", share, ""),
        ("Moved mid-answer", wording.count(figures.moved), ""),
        ("Spend today", spent, unknown),
    ]
    if ladder.saved_usd is not None:
        saved = (
            f"${ladder.saved_usd:,.2f}"
            if not 0 < ladder.saved_usd < 0.01
            else wording.money(ladder.saved_usd)
        )
        found.append(("Saved against frontier", saved, ""))
    return tuple(found)
