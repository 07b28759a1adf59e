"""What follows a task in its chain is written in the transaction that ends it: both, or neither."""

import random
from collections.abc import Sequence
from pathlib import Path

from legion_core.engine.journal import MIGRATIONS, Lease, NewTask
from legion_core.engine.machine import State
from legion_core.engine.orders import Order
from legion_core.engine.registry import Registry
from legion_core.engine.service import Engine
from legion_core.engine.types import Task
from legion_core.kernel.clock import SystemClock
from legion_core.kernel.events import EventBus
from legion_core.kernel.ids import Ids
from legion_core.kernel.ports import LOCAL_OWNER, OwnerOnly
from legion_core.kernel.supervise import Supervisor
from legion_core.storage.sqlite import Connection, Database
from tests.support.aio import run
from tests.unit.engine_core.runners import Box


async def walk(tmp_path: Path, *, breaks: bool) -> list[Task]:
    """Run a chain of three by hand: each end inserts the next."""
    clock = SystemClock()
    ids, bus, supervisor = Ids(clock, random.Random(1)), EventBus(clock), Supervisor()

    def follow(connection: Connection, lease: Lease, state: State, result: bytes | None) -> Sequence[NewTask]:
        if state.status != "succeeded" or lease.depth == 2:
            return ()
        if breaks:
            raise ValueError("the edge broke")
        return [
            NewTask(
                id=f"{lease.id}-{lease.depth + 1}",
                task=lease.task,
                args=b'{"value":%d}' % (lease.depth + 1),
                created_ms=lease.created_ms,
                submitter=lease.submitter,
                who=lease.who,
                run=lease.run,
                node=f"n{lease.depth + 1}",
                depth=lease.depth + 1,
                parent=lease.id,
                root=lease.root,
            )
        ]

    database = await Database.open(tmp_path / "journal.db", migrations=MIGRATIONS, clock=clock)
    engine = Engine(
        clock, ids, random.Random(1), bus, supervisor, OwnerOnly(), database,
        Registry({"box.it": Box()}, tmp_path / "extensions"), tmp_path / "run", follow=follow,
    )  # fmt: skip
    order = Order(task="box.it.echo", args={"value": 0}, run="run_1", node="n0")
    first = await engine.submit(LOCAL_OWNER, order)
    try:
        await engine.wait(first.id)
        if not breaks:
            await engine.wait(f"{first.id}-1")
            await engine.wait(f"{first.id}-1-2")
        return [task for _, task in await engine.page(run="run_1")]
    finally:
        await engine.stop()
        await supervisor.stop()
        await database.close()


def test_each_end_begins_the_next_also_in_a_process_that_runs_its_own_tasks_alone(tmp_path: Path) -> None:
    tasks = run(walk(tmp_path, breaks=False))

    assert [(task.node, task.status, task.depth) for task in tasks] == [
        ("n2", "succeeded", 2), ("n1", "succeeded", 1), ("n0", "succeeded", 0),
    ]  # fmt: skip
    assert {task.root for task in tasks} == {tasks[-1].id}
    assert tasks[0].parent == tasks[1].id


def test_where_what_follows_cannot_be_written_the_task_failed_and_says_why(tmp_path: Path) -> None:
    (task,) = run(walk(tmp_path, breaks=True))

    assert task.status == "failed"
    assert task.reason is not None
    assert task.reason.sentence == "ValueError: the edge broke"
