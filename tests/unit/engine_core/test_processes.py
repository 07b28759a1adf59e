"""Several engines on one journal: each task is held by one, a dead one's tasks go on, all are woken without polling."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from legion_core.engine import journal, lookup
from legion_core.engine.dispatch import Places
from legion_core.engine.events import TaskFinished
from legion_core.engine.machine import State
from legion_core.engine.orders import Order
from legion_core.kernel.ports import LOCAL_OWNER
from legion_core.storage.home import process_started
from legion_core.storage.sqlite import Connection, execute
from legion_core.testing.tasks import UnderTest, open_engine
from tests.support.aio import run
from tests.unit.engine_core.runners import Box

CHILD = """
import asyncio, sys
from pathlib import Path
from legion_core.engine.orders import Order
from legion_core.kernel.ports import LOCAL_OWNER
from legion_core.testing.tasks import open_engine
from tests.unit.engine_core.runners import Box

async def main(home, tasks):
    box = Box()
    async with open_engine(Path(home), {"box.it": box}) as here:
        await here.run("box.it.echo")  # its first look at the journal is over then, and its places are free
        for task in tasks:
            accepted = await here.engine.submit(LOCAL_OWNER, Order(task=task))
            if task.endswith("hold"):
                await box.entered.wait()  # it is held, and its start is on disk
            print(accepted.id, flush=True)
        print("ready", flush=True)
        await asyncio.Event().wait()

asyncio.run(main(sys.argv[1], sys.argv[2:]))
"""


@contextmanager
def other_process(home: Path, *tasks: str) -> Iterator[tuple["subprocess.Popen[str]", list[str]]]:
    """A process that has accepted `tasks` and runs them; killed on leaving."""
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(home), *tasks], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        ids: list[str] = []
        while (line := process.stdout.readline().strip()) != "ready":
            assert line, "the process ended"
            ids.append(line)
        yield process, ids
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@asynccontextmanager
async def engine(
    home: Path, *, serve: bool = True, places: Places | None = None
) -> AsyncIterator[tuple[UnderTest, Box]]:
    box = Box()
    async with open_engine(
        home, {"box.it": box}, serve=serve, places=places or Places(), stop_s=0.05
    ) as here:
        yield here, box


@pytest.mark.allow_log("taken over")
def test_the_tasks_of_a_killed_process_go_on_at_once_elsewhere(tmp_path: Path) -> None:
    async def work() -> None:
        async with engine(tmp_path) as (here, box):
            with other_process(tmp_path, "box.it.hold", "box.it.once") as (process, ids):
                assert (await here.engine.get(ids[0])).status == "running"
                process.send_signal(signal.SIGKILL)
                await box.entered.wait()  # woken by its death: nothing polls
                box.gate.set()
                done = await here.engine.wait(ids[0])
                unknown = await here.engine.wait(ids[1])
            assert (done.status, done.attempt, done.is_redelivered) == ("succeeded", 2, True)
            assert box.calls == [(ids[0], 2, True)]
            assert (unknown.status, unknown.reason and unknown.reason.code) == (
                "unknown",
                "task.outcome_unknown",
            )

    run(work())


def test_what_is_wanted_once_is_not_begun_again_where_nothing_is_promised_of_it(tmp_path: Path) -> None:
    async def work() -> None:
        async with engine(tmp_path, serve=False) as (here, _):
            effects = dict[str, str]()
            for name in ("hold", "once", "book"):
                accepted = await here.engine.submit(LOCAL_OWNER, Order(task=f"box.it.{name}", is_once=True))
                effects[name] = (await here.engine.get(accepted.id)).effect
            assert effects == {"hold": "at_most_once", "once": "at_most_once", "book": "transactional"}

    run(work())


@pytest.mark.allow_log("taken over")
def test_what_a_dead_process_held_is_found_at_the_next_start(tmp_path: Path) -> None:
    async def work() -> None:
        with other_process(tmp_path, "box.it.hold") as (process, ids):
            process.send_signal(signal.SIGKILL)
            process.wait()
        async with engine(tmp_path) as (here, box):
            box.gate.set()
            done = await here.engine.wait(ids[0])
            assert (done.status, done.is_redelivered) == ("succeeded", True)
        assert list((tmp_path / "run" / "engines").iterdir()) == []

    run(work())


def test_a_live_process_keeps_what_it_holds(tmp_path: Path) -> None:
    async def work() -> None:
        with other_process(tmp_path, "box.it.hold") as (_, ids):
            async with engine(tmp_path) as (here, box):
                await here.engine._take_over()
                assert (await here.engine.get(ids[0])).status == "running"
                assert box.calls == []

    run(work())


def test_a_task_can_be_cancelled_from_another_process(tmp_path: Path) -> None:
    async def work() -> None:
        with other_process(tmp_path, "box.it.hold") as (_, ids):
            async with engine(tmp_path, serve=False) as (here, _box):
                done = await here.engine.cancel(LOCAL_OWNER, ids[0])
                assert done.status == "cancelled"

    run(work())


def test_what_one_process_cannot_place_another_takes_and_its_end_is_told(tmp_path: Path) -> None:
    async def work() -> None:
        async with engine(tmp_path, places=Places(loop=1)) as (here, box):
            blocker = await here.submit("box.it.hold")
            await box.entered.wait()
            with other_process(tmp_path), here.bus.subscribe(TaskFinished) as events:
                accepted = await here.submit("box.it.echo", value=7)
                assert accepted.status == "queued"
                done = await here.engine.wait(accepted.id)
                assert done.result == 7
                assert box.calls[1:] == []  # not here
                async for event in events:
                    if isinstance(event, TaskFinished) and event.id == accepted.id:
                        assert event.status == "succeeded"
                        break
            box.gate.set()
            await here.engine.wait(blocker.id)

    run(work())


def test_a_process_that_does_not_serve_runs_its_own_tasks_alone(tmp_path: Path) -> None:
    async def work() -> None:
        async with engine(tmp_path, serve=False) as (first, box):
            await first.submit("box.it.hold")
            await first.engine.submit(LOCAL_OWNER, Order(task="box.it.echo", delay_s=0.01))
        assert box.calls[1:] == []
        async with engine(tmp_path, serve=False) as (second, box):
            assert (await second.run("box.it.echo", value=3)).result == 3
            assert box.calls == [3]
        async with engine(tmp_path) as (third, box):
            box.gate.set()
            while await third.engine.counts():
                await asyncio.sleep(0.01)
            assert len(box.calls) == 2

    run(work())


def test_stopping_gives_running_tasks_back_without_blame(tmp_path: Path) -> None:
    async def work() -> None:
        async with engine(tmp_path) as (here, box):
            held = await here.submit("box.it.hold")
            once = await here.submit("box.it.once")
            await box.entered.wait()
        async with engine(tmp_path, serve=False) as (here, box):
            back = await here.engine.get(held.id)
            assert (back.status, back.attempt, back.is_redelivered) == ("queued", 0, True)
            assert (await here.engine.get(once.id)).status == "unknown"

    run(work())


@pytest.mark.allow_log("was taken from this process")
def test_one_who_lost_its_task_cannot_write_its_end(tmp_path: Path) -> None:
    async def work() -> None:
        async with engine(tmp_path) as (here, box):
            held = await here.submit("box.it.hold")
            await box.entered.wait()
            await here.database.write(
                lambda c: execute(c, "UPDATE tasks SET fencing = fencing + 1 WHERE id = ?", [held.id])
            )
            box.gate.set()
            while here.engine.running:
                await asyncio.sleep(0.001)
            assert (await here.engine.get(held.id)).status == "running"
            await here.database.write(
                lambda c: journal.change(c, held.id, State(status="cancelled"), now_ms=1)
            )

    run(work())


def test_no_task_is_ever_taken_twice_by_two_who_ask_together(tmp_path: Path) -> None:
    async def work() -> None:
        async with engine(tmp_path, serve=False, places=Places(loop=1)) as (here, box):
            blocker = await here.submit("box.it.hold")
            await here.engine.submit_many(LOCAL_OWNER, [Order(task="box.it.echo")] * 500)
            taken = await asyncio.gather(
                *(
                    here.database.write(
                        lambda c, owner=f"o{number}": journal.claim(
                            c, "default", 7, owner, 1, only_mine=False
                        )
                    )
                    for number in range(80)
                )
            )
            ids = [lease.id for leases in taken for lease in leases]
            assert len(ids) == len(set(ids)) == 500
            await here.database.write(
                lambda c: execute(
                    c, "UPDATE tasks SET owner = NULL, status = 'queued' WHERE id <> ?", [blocker.id]
                )
            )
            box.gate.set()

    run(work())


@pytest.mark.allow_log("taken over")
def test_thousands_held_by_a_dead_process_are_taken_over_in_one_step(tmp_path: Path) -> None:
    async def work() -> None:
        async with engine(tmp_path, serve=False, places=Places(loop=1)) as (here, box):
            await here.submit("box.it.hold")
            await here.engine.submit_many(LOCAL_OWNER, [Order(task="box.it.echo")] * 2_000)

            def die(c: journal.Connection) -> None:
                journal.join(c, "dead", 2**22 - 1, "never", 1)
                execute(
                    c,
                    "UPDATE tasks SET owner = 'dead', status = 'running', attempt = 1 WHERE status = 'queued'",
                )

            await here.database.write(die)
        async with engine(tmp_path) as (here, box):
            while await here.engine.counts():
                box.gate.set()
                await asyncio.sleep(0.01)
            assert len(box.calls) == 2_001

    run(work())


def test_the_process_id_of_a_dead_process_given_to_another_fools_nobody(tmp_path: Path) -> None:
    async def work() -> None:
        async with engine(tmp_path, serve=False) as (here, _):

            def die(c: journal.Connection) -> None:
                journal.join(c, "dead", os.getpid(), "another start", 1)

            await here.database.write(die)
            await here.engine._take_over()
            assert await here.database.read(lookup.engines) == []

    run(work())


def test_what_was_told_before_a_process_came_is_no_news_to_it(tmp_path: Path) -> None:
    async def work() -> None:
        async with engine(tmp_path) as (here, _box):
            with other_process(tmp_path):
                here.engine._work._presence._bell.look_around()
                await here.run("box.it.echo")
        async with engine(tmp_path, serve=False) as (late, _box):
            with late.bus.subscribe(TaskFinished) as events:
                late.engine._work.listen()
                late.engine._work.look()
                done = await late.run("box.it.echo")
                told = [event.id for event in events.take_nowait() if isinstance(event, TaskFinished)]
                assert told == [done.id]

    run(work())


def test_tasks_taken_while_the_engine_stops_go_back_untouched(tmp_path: Path) -> None:
    async def work() -> None:
        async with engine(tmp_path) as (here, box):
            box.gate.set()
            await here.run("box.it.echo")
            accepted = [
                asyncio.ensure_future(here.engine.submit(LOCAL_OWNER, Order(task="box.it.once")))
                for _ in range(20)
            ]
            await asyncio.sleep(0)  # on their way to the disk, and not there yet
        ids = [(await each).id for each in accepted]
        async with engine(tmp_path, serve=False) as (here, box):
            found = [await here.engine.get(task_id) for task_id in ids]
            assert {(task.status, task.attempt, task.is_redelivered) for task in found} == {
                ("queued", 0, False)
            }
            assert box.calls == []

    run(work())


@pytest.mark.allow_log("taken over")
def test_a_process_that_let_go_of_its_life_line_is_gone_though_the_system_still_calls_it_running(
    tmp_path: Path,
) -> None:
    """Its files are closed before it counts as ended: who asks the system in between hears that it runs."""

    async def work() -> None:
        async with engine(tmp_path) as (here, _):
            task = await here.run("box.it.echo")
            pid = os.getpid()
            started = process_started(pid) or ""

            def hold(connection: Connection) -> None:
                journal.join(connection, "other", pid, started, 1)
                execute(
                    connection, "UPDATE tasks SET status = 'running', owner = 'other' WHERE id = ?", [task.id]
                )

            await here.database.write(hold)
            await here.engine._take_over()
            assert (await here.engine.get(task.id)).status == "running"
            await here.engine._take_over("other")
            done = await here.engine.wait(task.id)
            assert (done.status, done.is_redelivered) == ("succeeded", True)

    run(work())
