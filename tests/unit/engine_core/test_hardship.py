"""Tasks that do harm, clocks that lie, and a journal that is damaged, locked or fed with nonsense."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import apsw
import pytest

from legion_core.engine import alarm
from legion_core.engine.orders import Order
from legion_core.engine.service import ARGS_BYTES_MAX
from legion_core.engine.types import Retry
from legion_core.kernel.clock import SystemClock
from legion_core.kernel.errors import InvalidInput, LegionError, LimitReached
from legion_core.kernel.ports import LOCAL_OWNER
from legion_core.storage.failures import DiskFull
from legion_core.storage.sqlite import Connection, execute, rows
from legion_core.testing.clock import SimClock
from legion_core.testing.tasks import UnderTest, open_engine, turn
from tests.contract.storage.disks import FailingDisk, mounted
from tests.support.aio import run
from tests.unit.engine_core.runners import Box

POISON = """
import asyncio, os, sys
from pathlib import Path
from legion_core.engine.extension import function
from legion_core.engine.orders import Order
from legion_core.kernel.ports import LOCAL_OWNER
from legion_core.testing.tasks import open_engine
from tests.unit.engine_core.runners import Box

class Bad:
    @function()
    async def die(self) -> None:
        "Takes its process with it."
        os._exit(9)

async def main(home, is_first):
    async with open_engine(Path(home), {"bad.it": Bad(), "box.it": Box()}, durability="process") as here:
        if is_first:
            await here.engine.submit_many(LOCAL_OWNER, [Order(task="bad.it.die"), Order(task="box.it.echo")])
        await asyncio.Event().wait()

asyncio.run(main(sys.argv[1], len(sys.argv) > 2))
"""


@pytest.mark.slow
@pytest.mark.allow_log("taken over")
def test_a_task_that_kills_its_process_each_time_is_parked_and_the_others_go_on(tmp_path: Path) -> None:
    for number in range(3):
        more = ["first"] if number == 0 else []
        done = subprocess.run(
            [sys.executable, "-c", POISON, str(tmp_path), *more],
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 9, done.stderr.decode()

    async def work() -> None:
        box = Box()
        async with open_engine(tmp_path, {"box.it": box}) as here:
            poison, other = sorted([task for _, task in await here.engine.page()], key=lambda task: task.task)
            assert (poison.task, poison.status) == ("bad.it.die", "dead")
            assert poison.reason is not None
            assert poison.reason.code == "task.poison"
            assert poison.reason.facts == {"attempts": 3}
            assert (await here.engine.wait(other.id)).status == "succeeded"

    run(work(), bound_s=110.0)


def test_of_those_that_may_have_killed_their_process_one_runs_at_a_time(tmp_path: Path) -> None:
    """So that a third death blames one. The others go on beside it."""

    async def work() -> None:
        box = Box()
        async with open_engine(tmp_path, {"box.it": box}) as here:
            held = [
                await here.engine.submit(LOCAL_OWNER, Order(task="box.it.hold", delay_s=60)) for _ in range(4)
            ]

            def suspect(connection: Connection) -> None:
                execute(
                    connection,
                    "UPDATE tasks SET status = 'queued', due = 0, attempt = 2, is_redelivered = 1 WHERE status = 'delayed'",
                )

            await here.database.write(suspect)
            here.engine.look()
            for number in range(4):
                await box.entered.wait()
                box.entered.clear()
                assert (await here.run("box.it.echo", value=number)).status == "succeeded"
                assert len(here.engine.running) == 1
                (running,) = here.engine.running
                await here.engine.cancel(LOCAL_OWNER, running)
            assert [(await here.engine.get(each.id)).attempt for each in held] == [3, 3, 3, 3]
            assert box.calls == [
                call for number, each in enumerate(held) for call in ((each.id, 3, True), number)
            ]

    run(work())


@pytest.mark.parametrize("by_s", [25 * 3600.0, 60.0])
def test_a_date_that_jumps_ahead_begins_what_is_due_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_s: float
) -> None:
    """As after sleep: the intervals stood still, the date did not. Nobody tells the engine."""
    monkeypatch.setattr(alarm, "TIMER_MAX_S", 0.01)

    async def work() -> None:
        box, clock = Box(), SimClock.on_loop()
        async with open_engine(tmp_path, {"box.it": box}, clock=clock) as here:
            order = Order(task="box.it.echo", delay_s=50)
            accepted = await here.engine.submit(LOCAL_OWNER, order)
            clock.step_date(by_s)
            assert (await here.engine.wait(accepted.id)).status == "succeeded"
            assert len(box.calls) == 1

    run(work())


def test_a_date_that_jumps_back_repeats_nothing_and_loses_nothing(tmp_path: Path) -> None:
    async def work() -> None:
        box, clock = Box(), SimClock.on_loop()
        async with open_engine(tmp_path, {"box.it": box}, clock=clock) as here:
            first = await here.run("box.it.echo", value=1)
            held = await here.submit("box.it.hold")
            await box.entered.wait()
            clock.step_date(-3 * 3600.0)
            second = await here.run("box.it.echo", value=2)
            box.gate.set()
            assert (await here.engine.wait(held.id)).status == "succeeded"
            assert [task.id for _, task in await here.engine.page()] == [second.id, held.id, first.id]
            assert box.calls == [1, (held.id, 1, False), 2]

    run(work())


@pytest.mark.allow_log("taken over")
@pytest.mark.parametrize("cut", [0, 1, 31, 3000, 9000], ids=lambda cut: f"{cut} bytes less")
def test_a_torn_end_of_the_log_costs_the_newest_alone(tmp_path: Path, cut: int) -> None:
    home, after = tmp_path / "before", tmp_path / "after"
    after.mkdir()
    ids: list[str] = []

    async def before() -> None:
        async with open_engine(home, {"box.it": Box()}, durability="power") as here:
            for number in range(12):
                ids.append((await here.submit("box.it.echo", value=number)).id)
            while await here.engine.counts():
                await turn()
            for name in ("journal.db", "journal.db-wal"):  # as if the process had died here
                shutil.copy(home / name, after / name)

    async def again() -> None:
        with (after / "journal.db-wal").open("r+b") as log:
            size = log.seek(0, os.SEEK_END)
            assert size > 20_000
            log.truncate(size - cut)
            log.seek(0, os.SEEK_END)
            log.write(os.urandom(700))  # and what was being written was nonsense
        async with open_engine(after, {"box.it": Box()}, serve=False) as here:
            await here.database.write(lambda c: execute(c, "UPDATE engines SET started = 'before'"))
            await here.engine.serve()
            assert await here.database.check() == []
            there = [task.id for _, task in await here.engine.page()][::-1]
            assert there == ids[: len(there)]
            assert len(there) >= (12 if cut == 0 else 10)
            for task_id in there:
                assert (await here.engine.wait(task_id)).status == "succeeded"

    run(before())
    run(again())


def test_while_another_program_locks_the_journal_tasks_wait_and_the_loop_goes_on(tmp_path: Path) -> None:
    async def work() -> None:
        async with open_engine(tmp_path, {"box.it": Box()}) as here:
            await here.run("box.it.echo")
            backup = apsw.Connection(str(tmp_path / "journal.db"))
            backup.set_busy_timeout(20_000)
            backup.execute("BEGIN IMMEDIATE")
            waiting = [asyncio.ensure_future(here.submit("box.it.echo", value=n)) for n in range(20)]
            for _ in range(1_000):  # the loop goes round however long the lock is held
                await asyncio.sleep(0)
            assert not any(task.done() for task in waiting)
            backup.execute("ROLLBACK")
            backup.close()
            for accepted in await asyncio.gather(*waiting):
                assert (await here.engine.wait(accepted.id)).status == "succeeded"

    run(work())


@pytest.mark.allow_log("cannot be written")
def test_a_disk_that_fills_up_refuses_the_new_and_keeps_the_old(tmp_path: Path) -> None:
    """Full at the level of the file, wherever in a transaction that is; and it goes on by itself once there is space."""
    is_full = False

    def strike(kind: str) -> None:
        if is_full and kind in ("write", "truncate"):
            raise apsw.FullError("planted")

    async def work() -> None:
        nonlocal is_full
        box = Box()
        async with open_engine(tmp_path, {"box.it": box}, durability="power", vfs="filling") as here:
            kept = [(await here.submit("box.it.echo", value=number)).id for number in range(5)]
            held = await here.submit("box.it.hold")
            await box.entered.wait()
            is_full = True
            with pytest.raises(DiskFull):
                await here.submit("box.it.echo", value=5)
            box.gate.set()  # it ends, and its end cannot be written yet
            is_full = False
            kept += [(await here.submit("box.it.echo", value=6)).id, held.id]
            for task_id in kept:
                assert (await here.engine.wait(task_id)).status == "succeeded"
            assert {task.id for _, task in await here.engine.page()} == set(kept)
            assert await here.database.check() == []

    # Made on a disk with space: what opening it does is tested elsewhere.
    async def before() -> None:
        async with open_engine(tmp_path, {}, serve=False):
            pass

    run(before())
    with mounted(FailingDisk("filling", strike)):
        run(work())


def _nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


# Made when asked for: a hundred megabytes and a million keys would stay for as long as the run lasts.
SHAPES: dict[str, tuple[Callable[[], Mapping[str, Any]], type[LegionError] | None]] = {
    "deep": (lambda: {"value": _nested(100_000)}, InvalidInput),
    "large": (lambda: {"value": "x" * (ARGS_BYTES_MAX + 1)}, LimitReached),
    "huge": (lambda: {"value": "x" * 100_000_000}, LimitReached),
    "wide": (lambda: {"value": {str(number): None for number in range(1_000_000)}}, LimitReached),
    "nan": (lambda: {"value": float("nan")}, None),
    "set": (lambda: {"value": {1, 2}}, None),
    "object": (lambda: {"value": object()}, InvalidInput),
    "unknown": (lambda: {"__proto__": 1}, InvalidInput),
    "odd keys": (lambda: {"value": {"__proto__": {"constructor": 1}, "": None, "\0": 1}}, None),
    "surrogate": (lambda: {"value": "\ud800"}, InvalidInput),
    "big number": (lambda: {"value": 2**70}, None),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_arguments_of_any_shape_are_kept_as_they_are_or_refused_whole(tmp_path: Path, shape: str) -> None:
    make, error = SHAPES[shape]

    async def work() -> None:
        async with open_engine(tmp_path, {"box.it": Box()}) as here:
            order = Order(task="box.it.echo", args=make())
            if error is None:
                done = await here.engine.wait((await here.engine.submit(LOCAL_OWNER, order)).id)
                assert done.status == "succeeded"
                json.dumps(done.result)
                return
            with pytest.raises(error):
                await here.engine.submit(LOCAL_OWNER, order)
            assert await here.engine.page() == []
            assert (await here.run("box.it.echo", value=1)).result == 1

    run(work())


def test_a_thousand_that_fail_together_do_not_come_back_together(tmp_path: Path) -> None:
    async def work() -> None:
        async with open_engine(tmp_path, {"box.it": Box()}) as here:
            retry = Retry(max=1, delay_s=600, delay_max_s=600)
            order = Order(task="box.it.flaky", args={"failures": 10_000}, retry=retry)
            await here.engine.submit_many(LOCAL_OWNER, [order] * 1_000)
            while (await here.engine.counts()).get("retry_wait") != 1_000:
                await turn()

            def due(connection: Connection) -> list[int]:
                return sorted(int(ms) for (ms,) in rows(connection, "SELECT due FROM tasks"))

            moments = await here.database.read(due)
            now_ms = SystemClock().utc_now().timestamp() * 1000
            assert moments[-1] <= now_ms + 600_000
            assert moments[-1] - moments[0] > 200_000
            # No second holds more than a fair share could by chance.
            assert max(len([m for m in moments if 0 <= m - start < 1000]) for start in moments) < 30

    run(work())


def test_a_process_that_goes_on_while_its_owner_sleeps_holds_nothing_twice(tmp_path: Path) -> None:
    """The same tasks, seen by two engines of which one is held up: each is run once."""

    async def work() -> None:
        one, two = Box(), Box()
        async with (
            open_engine(tmp_path, {"box.it": one}) as here,
            open_engine(tmp_path, {"box.it": two}) as there,
        ):
            found = [await _submitted(each, number) for number in range(40) for each in (here, there)]
            for task_id in found:
                assert (await here.engine.wait(task_id)).status == "succeeded"
            assert sorted(one.calls + two.calls) == sorted([*range(40), *range(40)])

    run(work())


async def _submitted(here: UnderTest, number: int) -> str:
    return (await here.submit("box.it.echo", value=number)).id
