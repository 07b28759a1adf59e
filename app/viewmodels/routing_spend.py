"""Spend: the ledger added up by day, tier and model. What has no known price is counted as that, never as nothing."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from PySide6.QtCore import QObject, Signal

from app.bridge import Bridge
from app.viewmodels import wording
from legion_core.api.llm import BudgetRow
from legion_core.api.types import AnswerEnded, Event, SummaryRow

if TYPE_CHECKING:
    from legion_core.api.facade import Legion

By = Literal["day", "tier", "model", "instance", "client"]
BYS: tuple[tuple[By, str], ...] = (
    ("day", "Day"),
    ("tier", "Tier"),
    ("model", "Model"),
    ("instance", "Instance"),
    ("client", "Client"),
)
BUDGETS_MAX = 6
NAMELESS = {"model": "no model", "instance": "no instance", "client": "no name given"}
DAYS = 30
TIER_ORDER = ("local", "direct", "fleet", "cloud", "frontier")


@dataclass(frozen=True, slots=True)
class SpendLine:
    """One row of the table."""

    key: str
    title: str
    tier: str
    requests: str
    tokens_in: str
    tokens_out: str
    cost: str
    note: str
    usd: float
    has_unknown: bool


@dataclass(frozen=True, slots=True)
class Day:
    """One bar of the chart; `words` is what it says when it is looked at."""

    label: str
    usd: float
    tokens: int
    unpriced: int
    words: str


@dataclass(frozen=True, slots=True)
class Limit:
    """A budget as a bar: shares of its limit that are spent and held for what runs."""

    title: str
    words: str
    spent: float
    held: float

    @property
    def is_used_up(self) -> bool:
        """Whether nothing more may be spent."""
        return self.spent + self.held >= 1.0


def limit_of(row: BudgetRow) -> Limit:
    """A budget in words."""
    title = {
        "day": "Today",
        "client": f"{row.key or 'no name given'}, today",
        "conversation": f"Chat {row.key}",
    }
    whole = row.limit_usd or 1.0
    held = f", {_sum(row.held_usd)} held for what runs" if row.held_usd else ""
    return Limit(
        title=title[row.scope],
        words=f"{_sum(row.spent_usd)} of {_sum(row.limit_usd)}, {wording.share(row.spent_usd / whole)}{held}",
        spent=row.spent_usd / whole,
        held=row.held_usd / whole,
    )


def line_of(row: SummaryRow, by: By) -> SpendLine:
    """A row of the ledger's sum, in words."""
    unknown = f"{wording.count(row.unpriced)} of unknown price" if row.unpriced else ""
    known = row.attempts - row.unpriced
    cost = wording.money(row.cost_usd) if known else wording.money(None)
    if known and not row.cost_usd:
        cost = "$0.00"
    title = row.key.capitalize() if by == "tier" else row.key or NAMELESS.get(by, "")
    return SpendLine(
        key=row.key,
        title=title,
        tier=row.key if by == "tier" else "",
        requests=wording.count(row.attempts),
        tokens_in=wording.count(row.input_tokens),
        tokens_out=wording.count(row.output_tokens),
        cost=cost,
        note=unknown if known else "",
        usd=row.cost_usd,
        has_unknown=bool(row.unpriced),
    )


def days_of(rows: Sequence[SummaryRow], now: datetime) -> tuple[Day, ...]:
    """The last thirty days up to today (UTC, as the ledger counts), those without a request included."""
    found = {row.key: row for row in rows}
    made: list[Day] = []
    for back in range(DAYS - 1, -1, -1):
        moment = now - timedelta(days=back)
        row = found.get(f"{moment:%Y-%m-%d}")
        label = f"{moment.day} {moment:%b}"
        if row is None:
            made.append(Day(label=label, usd=0.0, tokens=0, unpriced=0, words=f"{label}: nothing asked"))
            continue
        tokens = row.input_tokens + row.output_tokens
        line = line_of(row, "day")
        words = f"{label}: {line.cost}, {wording.short_count(tokens)} tokens"
        made.append(
            Day(
                label=label,
                usd=row.cost_usd,
                tokens=tokens,
                unpriced=row.unpriced,
                words=f"{words}, {line.note}" if line.note else words,
            )
        )
    return tuple(made)


class SpendViewModel(QObject):
    """The Spend tab: loaded when it is looked at, and again when an answer ended meanwhile."""

    changed = Signal()

    def __init__(self, bridge: Bridge, now: Callable[[], datetime]) -> None:
        super().__init__()
        self.setObjectName("viewmodel.spend")
        self._bridge = bridge
        self._now = now
        self.by: By = "day"
        self.sums: dict[By, tuple[SummaryRow, ...]] = {}
        self.limits: tuple[Limit, ...] = ()
        self._is_watched = False
        self._is_stale = True
        self._is_loading = False
        bridge.watch(self._on_facts, AnswerEnded)

    @property
    def is_loaded(self) -> bool:
        """Whether the ledger has answered once."""
        return bool(self.sums)

    @property
    def lines(self) -> tuple[SpendLine, ...]:
        """The rows of the chosen sum: days newest first, tiers by the ladder, models by cost."""
        rows = self.sums.get(self.by, ())
        if self.by == "tier":
            rows = tuple(sorted(rows, key=lambda row: _rank(row.key)))
        if self.by not in ("day", "tier"):
            rows = tuple(sorted(rows, key=lambda row: (-row.cost_usd, -row.attempts, row.key)))
        return tuple(line_of(row, self.by) for row in rows)

    @property
    def days(self) -> tuple[Day, ...]:
        """The chart's bars."""
        return days_of(self.sums.get("day", ()), self._now().astimezone(UTC))

    @property
    def figures(self) -> tuple[tuple[str, str, str], ...]:
        """`(caption, figure, what stands behind it)`: today, thirty days, all, and what is not known."""
        days = self.days
        rows = self.sums.get("day", ())
        whole = sum(row.cost_usd for row in rows)
        unpriced = sum(row.unpriced for row in rows)
        tokens = sum(row.input_tokens + row.output_tokens for row in rows)
        today = days[-1] if days else None
        return (
            ("Today", _sum(today.usd if today else 0.0), _unknown(today.unpriced if today else 0)),
            ("Last 30 days", _sum(sum(day.usd for day in days)), _unknown(sum(day.unpriced for day in days))),
            ("All time", _sum(whole), _unknown(unpriced)),
            ("Tokens, all time", wording.short_count(tokens), ""),
            ("Left out by curation", *_left_out(rows)),
        )

    def watch(self, is_watched: bool) -> None:
        """The tab can be seen, or not any more."""
        self._is_watched = is_watched
        if is_watched and self._is_stale:
            self.refresh()

    def choose(self, by: str) -> None:
        """Add up by day, tier or model."""
        self.by = next(key for key, _ in BYS if key == by)
        self.changed.emit()

    def refresh(self) -> None:
        """Read the sums again."""
        self._is_stale = True
        if self._is_loading or not self._is_watched:
            return
        self._is_loading, self._is_stale = True, False

        async def load(legion: "Legion") -> tuple[dict[By, tuple[SummaryRow, ...]], tuple[BudgetRow, ...]]:
            sums: dict[By, tuple[SummaryRow, ...]] = {
                by: await legion.llm.ledger_summary(by) for by, _ in BYS
            }
            return sums, await legion.llm.budgets()

        self._bridge.launch("ledger.summary", load, self._on_sums, self._on_failure)

    def _on_sums(self, found: tuple[dict[By, tuple[SummaryRow, ...]], tuple[BudgetRow, ...]]) -> None:
        self._is_loading = False
        self.sums, budgets = found
        nearest = sorted(budgets, key=lambda row: -row.spent_usd / (row.limit_usd or 1.0))
        self.limits = tuple(limit_of(row) for row in nearest[:BUDGETS_MAX])
        self.changed.emit()
        if self._is_stale:
            self.refresh()

    def _on_failure(self, sentence: str) -> None:
        self._is_loading = False
        self._bridge.refused.emit(sentence)

    def _on_facts(self, _: Sequence[Event]) -> None:
        self.refresh()


def _rank(tier: str) -> int:
    return TIER_ORDER.index(tier) if tier in TIER_ORDER else len(TIER_ORDER)


def _sum(usd: float) -> str:
    return wording.money(usd) if 0 < usd < 0.01 else f"${usd:,.2f}"


def _left_out(rows: Sequence[SummaryRow]) -> tuple[str, str]:
    """Tokens that were not sent, and what they were worth; a long chat is needed for either."""
    tokens, usd = sum(row.saved_tokens for row in rows), sum(row.saved_usd for row in rows)
    unknown = _unknown(sum(row.saved_unpriced for row in rows))
    if not tokens:
        return "0", ""
    worth = f"{_sum(usd)} saved" if usd > 0 else f"{_sum(-usd)} more than it saved" if usd < 0 else ""
    return wording.short_count(tokens), ", ".join(part for part in (worth, unknown) if part)


def _unknown(count: int) -> str:
    return f"{wording.count(count)} of unknown price" if count else ""
