"""Spend in words: what is known, what is not, and days that were empty."""

from datetime import UTC, datetime

from app.viewmodels.routing_spend import SpendViewModel, days_of, limit_of, line_of
from legion_core.api.llm import BudgetRow
from legion_core.api.types import AnswerEnded, ChatMessage, SummaryRow
from tests.gui.conftest import Stage

NOW = datetime(2026, 6, 17, 1, 0, tzinfo=UTC)


def row(key: str, *, cost: float = 0.0, attempts: int = 2, unpriced: int = 0) -> SummaryRow:
    return SummaryRow(
        key=key, attempts=attempts, input_tokens=1_000, output_tokens=200, cost_usd=cost, unpriced=unpriced
    )


def test_a_sum_of_unknown_prices_only_is_unknown_and_not_nothing() -> None:
    line = line_of(row("m", attempts=2, unpriced=2), "model")
    assert (line.cost, line.note, line.has_unknown) == ("price unknown", "", True)


def test_a_known_part_stands_beside_what_is_unknown() -> None:
    line = line_of(row("m", cost=0.25, attempts=3, unpriced=1), "model")
    assert (line.cost, line.note) == ("$0.25", "1 of unknown price")
    free = line_of(row("local"), "tier")
    assert (free.title, free.tier, free.cost) == ("Local", "local", "$0.00")


def test_thirty_days_end_today_and_an_empty_day_is_a_day() -> None:
    days = days_of([row("2026-06-17", cost=1.5), row("2026-06-10", unpriced=1)], NOW)
    assert len(days) == 30
    assert days[-1].words == "17 Jun: $1.50, 1.2k tokens"
    assert days[-8].unpriced == 1
    assert "1 of unknown price" in days[-8].words
    assert days[-2].words == "16 Jun: nothing asked"


def test_the_tab_reads_the_ledger_when_it_is_looked_at_and_again_after_an_answer(stage: Stage) -> None:
    stage.connect()
    stage.legion.llm.sums = {"tier": (row("frontier", cost=2.0), row("local")), "day": (row("2026-06-17"),)}
    spend = SpendViewModel(stage.bridge, lambda: NOW)
    assert not spend.is_loaded
    spend.watch(True)
    spend.choose("tier")
    assert [line.key for line in spend.lines] == ["local", "frontier"]
    spend.watch(False)
    stage.legion.llm.sums = {"tier": (row("local"),)}
    at_utc, at_mono_s = stage.legion.events.stamp()
    message = ChatMessage(
        id="m", conversation_id="c", parent_id=None, role="assistant", text="", created_at=NOW
    )
    stage.legion.events.publish(AnswerEnded(at_utc=at_utc, at_mono_s=at_mono_s, message=message))
    stage.deliver()
    assert len(spend.lines) == 2
    spend.watch(True)
    assert [line.key for line in spend.lines] == ["local"]


def test_figures_say_what_is_not_known(stage: Stage) -> None:
    stage.connect()
    stage.legion.llm.sums = {"day": (row("2026-06-17", cost=0.5, unpriced=1), row("2026-01-01", cost=1.0))}
    spend = SpendViewModel(stage.bridge, lambda: NOW)
    spend.watch(True)
    shown = {caption: (figure, note) for caption, figure, note in spend.figures}
    assert shown["Today"] == ("$0.50", "1 of unknown price")
    assert shown["Last 30 days"] == ("$0.50", "1 of unknown price")
    assert shown["All time"] == ("$1.50", "1 of unknown price")


def test_a_budget_is_a_bar_with_what_is_held_for_running_requests() -> None:
    limit = limit_of(BudgetRow(scope="day", key="2026-06-17", limit_usd=2.0, spent_usd=0.14, held_usd=0.02))
    assert (limit.title, limit.words) == ("Today", "$0.14 of $2.00, 7 %, $0.02 held for what runs")
    assert (round(limit.spent, 2), round(limit.held, 2), limit.is_used_up) == (0.07, 0.01, False)
    full = limit_of(BudgetRow(scope="client", key="cursor", limit_usd=1.0, spent_usd=1.0, held_usd=0.0))
    assert (full.title, full.is_used_up) == ("cursor, today", True)
