"""The ledger's questions find their rows by an index, so that a year of requests does not make them slow."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from legion_core.gateway import ledger, ledger_lines, measures
from legion_core.gateway.budget import Limits
from legion_core.gateway.ledger import Ledger
from legion_core.gateway.types import Attempt, Request, Usage
from legion_core.kernel.clock import SystemClock
from legion_core.storage.sqlite import Connection, Row, Value, execute, rows
from legion_core.testing.gateway import GatewayUnderTest, ask, open_gateway
from tests.support.aio import run

# In the order of an index, up to a limit.
SCANS_WITH_AN_END = (
    "SCAN r USING COVERING INDEX requests_at",
    "SCAN r USING INDEX requests_at",
    "SCAN attempts USING INDEX attempts_at",
)


AT = datetime(2026, 3, 14, 12, tzinfo=UTC)


def attempt(number: int, at: datetime, tokens: int = 100, **more: Any) -> Attempt:
    fields: dict[str, Any] = {
        "outcome": "succeeded",
        "cost_usd": 0.25,
        "duration_s": 2.0,
        "first_token_s": 1.0,
    }
    return Attempt(
        number=number, tier="local", instance="local", model="m", started_at=at,
        usage=Usage(input_tokens=7, output_tokens=tokens), **(fields | more),
    )  # fmt: skip


class Heard:
    """Runs what is asked, and keeps how SQLite finds it."""

    def __init__(self) -> None:
        self.plans: list[str] = []

    def __call__(self, connection: Connection, sql: str, args: Sequence[Value] = ()) -> list[Row]:
        """As `rows`."""
        self.plans += [str(line[3]) for line in rows(connection, f"EXPLAIN QUERY PLAN {sql}", args)]
        return rows(connection, sql, args)

    @property
    def scans(self) -> list[str]:
        """Whole tables that are read."""
        found = [plan for plan in self.plans if plan.startswith("SCAN ") and "totals" not in plan]
        return [plan for plan in found if plan not in SCANS_WITH_AN_END and not plan.startswith("SCAN (")]


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Heard:
    made = Heard()
    monkeypatch.setattr(ledger, "rows", made)
    monkeypatch.setattr(ledger_lines, "rows", made)
    monkeypatch.setattr(measures, "rows", made)
    return made


def test_no_page_of_the_ledger_reads_what_stands_before_it(tmp_path: Path, heard: Heard) -> None:
    async def body() -> None:
        async with open_gateway(tmp_path / "journal.db") as under_test:
            bill = under_test.gateway.ledger
            await bill.settle(ask(), (attempt(1, AT),), outcome="succeeded", duration_s=2.0)
            await bill.rows(limit=5)
            await bill.rows(conversation="conv_1")
            await bill.rows(request="req_1")
            await bill.speeds("local")
            await measures.Measures(under_test.database, SystemClock()).read()
            await bill.learned_speeds()
            for by in ("tier", "model", "day", "instance", "client", "conversation", "outcome"):
                await bill.summary(by, "2026-01-01")
            wanted = ledger_lines.RequestFilter(conversation="conv_1")
            await under_test.database.read(lambda connection: ledger_lines.index(connection, wanted, 5))

    run(body())
    assert heard.plans
    assert heard.scans == []


def test_what_a_conversation_has_spent_is_found_by_its_index(tmp_path: Path) -> None:
    async def plans(under_test: GatewayUnderTest) -> list[str]:
        from legion_core.gateway.budget import _SPENT_IN_CONVERSATION as sql  # pyright: ignore[reportPrivateUsage]

        return await under_test.database.read(
            lambda connection: [
                str(line[3]) for line in rows(connection, f"EXPLAIN QUERY PLAN {sql}", ["conv_1"])
            ]
        )

    async def body() -> None:
        async with open_gateway(tmp_path / "journal.db", limits=Limits(conversation_usd=1.0)) as under_test:
            found = await plans(under_test)
            assert found == ["SEARCH requests USING INDEX requests_conversation (conversation=?)"]

    run(body())


async def _two_conversations(bill: Ledger) -> None:
    for number, (conversation, day) in enumerate((("a", 0), ("b", 0), ("a", 1), ("", 1))):
        at = AT + timedelta(days=day, minutes=number)
        died = attempt(1, at, 3, outcome="stream_broken", cost_usd=None)
        request = Request(id=f"req_{number}", messages=(), conversation_id=conversation or None)
        await bill.settle(request, (died, attempt(2, at, 40)), outcome="succeeded", duration_s=1.0)


def test_what_conversations_cost_is_added_up_over_their_days_the_newest_first(tmp_path: Path) -> None:
    async def body() -> None:
        async with open_gateway(tmp_path / "journal.db") as under_test:
            bill = under_test.gateway.ledger
            await _two_conversations(bill)
            found = await bill.summary("conversation")
            assert [
                (row.key, row.attempts, row.output_tokens, row.cost_usd, row.unpriced) for row in found
            ] == [
                ("a", 4, 86, 0.5, 2),
                ("b", 2, 43, 0.25, 1),
            ]
            later = await bill.summary("conversation", "2026-03-15")
            assert [(row.key, row.attempts) for row in later] == [("a", 2)]

    run(body())


def test_a_ledger_of_before_gets_its_sums_by_conversation(tmp_path: Path) -> None:
    async def body() -> None:
        clock = SystemClock()
        async with open_gateway(tmp_path / "journal.db", clock) as under_test:
            bill = under_test.gateway.ledger
            await _two_conversations(bill)
            before = await bill.summary("conversation")

            def forget(connection: Connection) -> None:
                execute(connection, "DROP TABLE conversation_totals")
                execute(connection, "DELETE FROM legion_migrations WHERE name = 'ledger-0004'")

            await under_test.database.write(forget)
        async with open_gateway(tmp_path / "journal.db", clock) as under_test:
            assert await under_test.gateway.ledger.summary("conversation") == before

    run(body())


def test_the_speed_of_a_model_is_that_of_its_newest_day_with_a_long_enough_answer(tmp_path: Path) -> None:
    async def body() -> None:
        async with open_gateway(tmp_path / "journal.db") as under_test:
            bill = under_test.gateway.ledger
            for number, (day, tokens) in enumerate(((0, 100), (1, 50), (2, 3))):
                made = attempt(1, AT + timedelta(days=day), tokens)
                await bill.settle(
                    ask(request_id=f"req_{number}"), (made,), outcome="succeeded", duration_s=2.0
                )
            assert await bill.speeds("local") == {"m": (50.0, AT + timedelta(days=1))}
            assert await bill.speeds("elsewhere") == {}

    run(body())
