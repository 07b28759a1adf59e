"""Each try of a task is kept: when it began, when it ended and how."""

import random
from pathlib import Path

import pytest

from legion_core.api.tasks import Tasks
from legion_core.engine import journal, lookup
from legion_core.engine.attempts import KEPT_MAX, record
from legion_core.engine.machine import GivenBack, OwnerDied, after
from legion_core.engine.orders import Order
from legion_core.engine.types import Attempt
from legion_core.kernel.ports import LOCAL_OWNER
from legion_core.storage.sqlite import Connection, row
from legion_core.testing.tasks import UnderTest, open_engine
from tests.support.aio import run
from tests.unit.engine_core.runners import Box


async def settled(here: UnderTest, order: Order) -> str:
    accepted = await here.engine.submit(LOCAL_OWNER, order)
    await here.engine.wait(accepted.id)
    return accepted.id


def test_a_task_that_succeeds_at_once_writes_no_try(tmp_path: Path) -> None:
    async def work() -> tuple[Attempt, ...]:
        async with open_engine(tmp_path, {"box.it": Box()}) as here:
            return (await Tasks(here.engine).get(await settled(here, Order(task="box.it.echo")))).tries

    assert run(work()) == ()


@pytest.mark.requirement("engine.tries")
def test_every_failed_try_is_there_with_its_reason_and_its_dates(tmp_path: Path) -> None:
    async def work() -> tuple[tuple[Attempt, ...], int]:
        async with open_engine(tmp_path, {"box.it": Box()}) as here:
            task = await settled(here, Order(task="box.it.flaky", args={"failures": 2}))
            view = await Tasks(here.engine).get(task)
            assert view.started_at is not None
            assert all(each.ended_at and each.ended_at <= view.started_at for each in view.tries)
            return view.tries, view.attempt

    tries, attempt = run(work())
    assert [(each.number, each.outcome) for each in tries] == [(1, "failed"), (2, "failed")]
    assert [each.reason.facts["what"] for each in tries if each.reason] == [
        "RuntimeError: failure 1", "RuntimeError: failure 2",
    ]  # fmt: skip
    assert attempt == 3


def test_what_a_person_has_tried_again_keeps_how_it_ended_before(tmp_path: Path) -> None:
    async def work() -> list[tuple[int, str]]:
        async with open_engine(tmp_path, {"box.it": Box()}) as here:
            task = await settled(here, Order(task="box.it.refuse"))
            await here.engine.retry(LOCAL_OWNER, task)
            await here.engine.wait(task)
            view = await Tasks(here.engine).get(task)
            return [(each.number, each.outcome) for each in view.tries]

    assert run(work()) == [(1, "failed")]


@pytest.mark.parametrize(
    ("event", "outcome"), [(OwnerDied("other"), "lost"), (GivenBack("other"), "given_back")]
)
def test_a_try_that_ended_with_its_process_is_told_from_one_that_failed(
    tmp_path: Path, event: OwnerDied | GivenBack, outcome: str
) -> None:
    async def work() -> tuple[Attempt, ...]:
        async with open_engine(tmp_path, {"box.it": Box()}) as here:
            await settled(here, Order(task="box.it.echo"))
            accepted = await here.engine.submit(LOCAL_OWNER, Order(task="box.it.echo", delay_s=3600.0))

            def taken(connection: Connection) -> None:
                journal.join(connection, "other", 1, "", 1)
                at_ms = 1_700_000_000_000
                connection.execute("UPDATE tasks SET due = 0, status = 'queued' WHERE id = ?", [accepted.id])
                (lease,) = journal.claim(connection, "default", 1, "other", at_ms, only_mine=False)
                state = after(lease.state(), event, now_ms=at_ms + 5, rng=random.Random(1))
                if isinstance(event, OwnerDied):
                    journal.change(connection, lease.id, state, at_ms + 5)
                else:
                    assert journal.end(connection, lease, state, None, "other", at_ms + 5)
                journal.leave(connection, "other")

            await here.database.write(taken)
            return (await here.engine.get(accepted.id)).tries

    (only,) = run(work())
    assert (only.number, only.outcome) == (1, outcome)
    assert only.ended_at is not None
    assert (only.ended_at - only.started_at).total_seconds() == 0.005


def test_tries_are_bounded_and_go_with_their_task(tmp_path: Path) -> None:
    async def work() -> tuple[int, int]:
        async with open_engine(tmp_path, {"box.it": Box()}) as here:
            task = await settled(here, Order(task="box.it.echo"))

            def many(connection: Connection) -> int:
                for number in range(KEPT_MAX + 20):
                    record(connection, task, number, number, number + 1, "failed", None)
                return len(lookup.get(connection, task).tries)

            def none(connection: Connection) -> int:
                assert journal.purge(connection, 1 << 50, 10) >= 1
                return int((row(connection, "SELECT count(*) FROM task_attempts") or (9,))[0])

            return await here.database.write(many), await here.database.write(none)

    assert run(work()) == (KEPT_MAX, 0)
