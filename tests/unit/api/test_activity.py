"""The activity list: tasks and requests in one order, filtered by the store, read a screen at a time."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from legion_core.api.activity import Activity
from legion_core.api.activity_types import ActivityQuery
from legion_core.engine import journal
from legion_core.engine.machine import State
from legion_core.engine.reasons import because
from legion_core.engine.types import Reason, TaskStatus
from legion_core.gateway.conversations import MIGRATIONS as CONVERSATIONS
from legion_core.gateway.ledger import MIGRATIONS as LEDGER
from legion_core.gateway.ledger import Ledger
from legion_core.gateway.types import Attempt, Request, Usage
from legion_core.kernel.clock import SystemClock
from legion_core.kernel.errors import InvalidInput
from legion_core.storage.sqlite import Database
from tests.support.aio import run

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


class Store:
    """A journal with both sides of the list in it."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.activity = Activity(database)
        self.ledger = Ledger(database, SystemClock())

    async def task(
        self, name: str, minute: float, status: TaskStatus = "queued", reason: Reason | None = None,
        *, args: bytes = b"{}", took_s: float | None = None, run_id: str = "", node: str = "",
    ) -> None:  # fmt: skip
        made = int((NOON + timedelta(minutes=minute)).timestamp() * 1000)

        def work(connection: journal.Connection) -> None:
            begun = "running" if took_s is not None else status
            new = journal.NewTask(
                id=f"task_{name}_{minute}", task=name, args=args, created_ms=made, submitter="eng_1", who="owner",
                status=begun, reason=reason if took_s is None else None, run=run_id, node=node, key=f"{node}{minute}",
            )  # fmt: skip
            (lease,) = journal.insert(connection, [new], "eng_1")
            if took_s is not None:
                assert isinstance(lease, journal.Lease)
                state = State(
                    status=status, attempt=1, retry=lease.retry, effect="plain", is_redelivered=False, reason=reason
                )  # fmt: skip
                journal.end(connection, lease, state, b"null", "eng_1", made + round(took_s * 1000))

        await self.database.write(work)

    async def request(
        self, name: str, minute: float, *outcomes: str, tier: str = "local", usd: float | None = 0.0
    ) -> None:
        begun = NOON + timedelta(minutes=minute)
        attempts = tuple(
            Attempt(
                number=number, tier=tier, instance="box", model="m1", outcome=outcome, why="" if outcome == "succeeded" else "no answer",
                usage=Usage(input_tokens=10, output_tokens=5), cost_usd=usd, started_at=begun, first_token_s=0.2, duration_s=1.0,
            )
            for number, outcome in enumerate(outcomes, 1)
        )  # fmt: skip
        asked = Request(id=f"req_{name}", messages=(), dialect="openai", client="curl")
        await self.ledger.settle(asked, attempts, outcome=outcomes[-1], duration_s=len(outcomes) * 1.0)


@asynccontextmanager
async def store(tmp_path: Path) -> AsyncGenerator[Store]:
    database = await Database.open(
        tmp_path / "journal.db",
        migrations=(*LEDGER, *CONVERSATIONS, *journal.MIGRATIONS),
        durability="process",
        clock=SystemClock(),
    )
    try:
        yield Store(database)
    finally:
        await database.close()


async def names(held: Store, query: ActivityQuery | None = None) -> list[str]:
    rows = await held.activity.rows((await held.activity.index(query)).keys)
    return [row.task or row.id for row in rows]


def test_tasks_and_requests_stand_in_one_order_of_time(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with store(tmp_path) as held:
            await held.task("a.b.first", 1)
            await held.request("second", 2, "succeeded")
            await held.task("a.b.third", 3)
            assert await names(held) == ["a.b.first", "req_second", "a.b.third"]
            assert (await held.activity.index(limit=2)).is_cut
            assert len((await held.activity.index(limit=2)).keys) == 2

    run(scenario())


def test_a_line_says_how_it_went_why_and_how_long(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with store(tmp_path) as held:
            await held.task("a.b.bad", 1, "failed", because("task.raised", what="no such file"), took_s=2.5)
            await held.request("r", 2, "overloaded", "succeeded", tier="cloud", usd=0.25)
            task, request = await held.activity.rows((await held.activity.index()).keys)
            assert (task.kind, task.state, task.status, task.took_s, task.attempts) == (
                "task",
                "failed",
                "failed",
                2.5,
                1,
            )
            assert task.reason is not None
            assert task.reason.sentence == "no such file"
            assert (request.state, request.tier, request.attempts, request.cost_usd) == (
                "succeeded",
                "cloud",
                2,
                0.5,
            )
            assert (request.input_tokens, request.output_tokens, request.took_s, request.client) == (
                20,
                10,
                2.0,
                "curl",
            )

    run(scenario())  # fmt: skip


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (ActivityQuery(kinds=("task",)), ["a.b.ok", "a.b.bad", "c.d.skip", "a.b.wait"]),
        (ActivityQuery(kinds=("request",)), ["req_ok", "req_bad"]),
        (ActivityQuery(states=("failed",)), ["a.b.bad", "req_bad"]),
        (ActivityQuery(states=("waiting",)), ["a.b.wait"]),
        (ActivityQuery(states=("queued", "skipped")), ["c.d.skip", "a.b.wait"]),
        (ActivityQuery(words=("b.bad",)), ["a.b.bad"]),
        (ActivityQuery(words=("EXAMPLE.org",)), ["a.b.ok"]),
        (ActivityQuery(words=("100%",)), []),
        (ActivityQuery(words=("overloaded",)), ["req_bad"]),
        (ActivityQuery(since=NOON + timedelta(minutes=4)), ["c.d.skip", "req_bad", "a.b.wait"]),
        (ActivityQuery(until=NOON + timedelta(minutes=2)), ["a.b.ok"]),
        (ActivityQuery(took_min_s=3), ["a.b.bad"]),
        (ActivityQuery(cost_min_usd=0.1), ["req_ok"]),
        (ActivityQuery(run="run_1"), ["c.d.skip"]),
    ],
)
def test_filters_ask_the_store(tmp_path: Path, query: ActivityQuery, expected: list[str]) -> None:
    async def scenario() -> None:
        async with store(tmp_path) as held:
            await held.task("a.b.ok", 1, "succeeded", args=b'{"url":"https://example.org/"}', took_s=1)
            await held.request("ok", 2, "succeeded", tier="cloud", usd=0.2)
            await held.task("a.b.bad", 3, "failed", because("task.raised", what="boom"), took_s=4)
            await held.task(
                "c.d.skip", 4, "skipped", because("edge.parent_skipped", source="x"), run_id="run_1", node="n"
            )
            await held.request("bad", 5, "overloaded", tier="cloud", usd=None)
            await held.task("a.b.wait", 6)
            assert await names(held, query) == expected

    run(scenario())


def test_what_came_since_the_last_reading_is_read_alone(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with store(tmp_path) as held:
            await held.task("a.b.one", 1)
            await held.request("one", 2, "succeeded")
            first = await held.activity.index()
            await held.task("a.b.two", 30)
            await held.request("late", 1, "succeeded")  # billed now, begun before what was read
            later = await held.activity.index(after=first.mark)
            assert {"rreq_late", "t2"} <= set(later.keys)
            assert "t1" not in later.keys
            assert (await held.activity.index(after=later.mark)).mark == later.mark

    run(scenario())


def test_hours_add_up_what_happened(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with store(tmp_path) as held:
            await held.task("a.b.c", 5, "failed", because("task.raised", what="x"), took_s=1)
            await held.task("a.b.c", 65)
            await held.request("one", 10, "succeeded", usd=0.5)
            await held.request("two", 70, "succeeded", tier="cloud", usd=None)
            hours = await held.activity.hours(NOON, 3)
            assert [(h.tasks, h.failed, h.requests, h.local) for h in hours] == [
                (1, 1, 1, 1),
                (1, 0, 1, 0),
                (0,) * 4,
            ]
            assert [(h.cost_usd, h.unpriced) for h in hours] == [(0.5, 0), (0.0, 1), (0.0, 0)]
            assert hours[1].at == NOON + timedelta(hours=1)

    run(scenario())  # fmt: skip


def test_rows_are_read_a_thousand_at_most_and_who_is_gone_is_left_out(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with store(tmp_path) as held:
            assert await held.activity.rows(("t99", "rnone")) == ()
            with pytest.raises(InvalidInput):
                await held.activity.rows(("t1",) * 1001)

    run(scenario())
