"""What was learned is kept over a restart, whatever comes while it is remembered or written."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from legion_core.gateway.learning import MIGRATIONS, Learning
from legion_core.gateway.routing.learned import TOOLS, Learned
from legion_core.kernel.clock import SystemClock
from legion_core.kernel.supervise import Supervisor
from legion_core.storage.sqlite import Connection, Database, execute
from tests.support.aio import run

FLAW = "it was empty"
CLOCK = SystemClock()


class Process:
    """One process over the journal; it remembers nothing before `learning.load()`."""

    def __init__(self, database: Database) -> None:
        self.database, self.learned, self.supervisor = database, Learned(), Supervisor()
        self.learning = Learning(database, CLOCK, self.supervisor, self.learned, lambda: 0.05)

    def note(self, instance: str) -> None:
        self.learned.note(f"{instance}/m", TOOLS, FLAW, CLOCK.monotonic_s())

    async def does(self, sql: str) -> None:
        def work(connection: Connection) -> None:
            execute(connection, sql)

        await self.database.write(work)


@asynccontextmanager
async def process(path: Path) -> AsyncGenerator[Process]:
    database = await Database.open(path, migrations=MIGRATIONS, durability="process", clock=CLOCK)
    made = Process(database)
    try:
        yield made
    finally:
        await made.supervisor.stop()
        await made.learning.aclose()
        await database.close()


async def kept(path: Path) -> set[str]:
    async with process(path) as made:
        await made.learning.load()
        return {lane for lane, _, _ in made.learned.all()}


def noted_box(made: Process) -> None:
    made.note("box")


@pytest.mark.parametrize(
    ("then", "left"),
    [
        (noted_box, {"box/m", "small/m", "small-too/m"}),
        (lambda made: made.learned.forget("small"), {"small-too/m"}),
        (lambda made: None, {"small/m", "small-too/m"}),
    ],
    ids=["noted", "forgotten", "nothing"],
)
@pytest.mark.parametrize("is_loaded_after", [True, False])
def test_what_comes_before_it_is_remembered_takes_nothing_and_brings_nothing_back(
    tmp_path: Path, then: Callable[[Process], None], left: set[str], is_loaded_after: bool
) -> None:
    async def work() -> None:
        path = tmp_path / "journal.db"
        async with process(path) as made:
            await made.learning.load()
            made.note("small")
            made.note("small-too")
        async with process(path) as made:
            then(made)
            if is_loaded_after:
                await made.learning.load()
                assert {lane for lane, _, _ in made.learned.all()} == left
        assert await kept(path) == left

    run(work())


@pytest.mark.allow_log("legion.supervise")
def test_a_write_that_failed_is_made_again_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("legion_core.gateway.learning.WRITE_AFTER_S", 0.0)

    async def work() -> None:
        path = tmp_path / "journal.db"
        async with process(path) as made:
            await made.does(
                "CREATE TRIGGER full BEFORE INSERT ON learned_answers BEGIN SELECT RAISE(ABORT, 'full'); END"
            )
            made.note("box")
            while made.supervisor.census:
                await asyncio.sleep(0)
            await made.does("DROP TRIGGER full")
        assert await kept(path) == {"box/m"}

    run(work())
