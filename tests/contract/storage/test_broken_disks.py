"""The journal's promise against the disk: a power cut, or a failure of any single operation."""

import asyncio
import random
from pathlib import Path

import apsw
import pytest

from legion_core.kernel.clock import SystemClock
from legion_core.kernel.errors import LegionError
from legion_core.storage.failures import StorageFailed
from legion_core.storage.sqlite import Connection, Database, Durability, Migration, execute, rows, script
from tests.contract.storage.disks import (
    FailingDisk,
    Recording,
    RecordingDisk,
    image_after_cut,
    mounted,
)
from tests.support.aio import run

SCHEMA = (Migration("t-0001", "CREATE TABLE t (number INTEGER PRIMARY KEY, load TEXT) STRICT"),)
LATER = (*SCHEMA, Migration("t-0002", "ALTER TABLE t ADD COLUMN mark TEXT; UPDATE t SET mark = 'm'"))


def add(connection: Connection, number: int, size: int) -> None:
    execute(connection, "INSERT INTO t (number, load) VALUES (?, ?)", (number, "y" * size))


def numbers(connection: Connection) -> list[int]:
    return [number for (number,) in rows(connection, "SELECT number FROM t ORDER BY number")]


def survivors(path: Path, schema: tuple[Migration, ...] = SCHEMA) -> list[int]:
    async def story() -> list[int]:
        database = await Database.open(path, migrations=schema, clock=SystemClock())
        try:
            assert await database.check() == []
            return await database.read(numbers)
        finally:
            await database.close()

    return run(story())


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [1, 2])
def test_a_power_cut_at_any_point_keeps_all_that_was_promised_against_it(
    tmp_path: Path, seed: int, count_factor: int
) -> None:
    """Unsynced sectors are kept or lost by chance; `power` rows must all be there, and no gap before any row."""
    path = tmp_path / "before" / "j.db"
    chance = random.Random(seed)
    recording = Recording()
    promised: list[tuple[int, int]] = []  # after how many steps of the disk which number was acknowledged

    async def story() -> None:
        database = await Database.open(path, migrations=SCHEMA, clock=SystemClock(), vfs="recorded")
        # A small limit makes checkpoints, and the log begun anew, part of the story.
        await database.write(lambda connection: script(connection, "PRAGMA wal_autocheckpoint=20"))
        tasks = iter(range(240))

        async def lane() -> None:
            for number in tasks:
                durability: Durability = "power" if chance.random() < 0.7 else "process"
                size = chance.randrange(6000)
                await database.write(
                    lambda connection, number=number, size=size: add(connection, number, size),
                    durability=durability,
                )
                if durability == "power":
                    promised.append((len(recording.steps), number))

        await asyncio.gather(*(lane() for _ in range(3)))
        await database.close()

    survivors(path)
    start = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    with mounted(RecordingDisk("recorded", recording)):
        run(story())
    assert len(promised) > 100
    cuts = sorted(chance.randrange(len(recording.steps) + 1) for _ in range(10 * count_factor))
    for place, cut in enumerate(cuts):
        after = tmp_path / f"cut-{place}"
        after.mkdir()
        for name, content in image_after_cut(start, recording.steps[:cut], chance).items():
            (after / name).write_bytes(content)
        there = survivors(after / "j.db")
        owed = {number for steps, number in promised if steps <= cut}
        assert owed <= set(there), (
            f"cut at step {cut} of {len(recording.steps)} lost {sorted(owed - set(there))}"
        )


@pytest.mark.timeout(600)
@pytest.mark.parametrize("failure", [apsw.IOError, apsw.FullError])
@pytest.mark.parametrize("is_lasting", [False, True], ids=["once", "from then on"])
def test_whichever_operation_of_the_disk_fails_what_was_acknowledged_is_there(
    tmp_path: Path, failure: type[apsw.Error], is_lasting: bool, count_factor: int
) -> None:
    """Fails the N-th operation for growing N until the whole story passes untouched. Idea: SQLite's anomaly loop."""
    stride = 1 if count_factor > 1 else 3
    untouched = False
    nth = 1
    while not untouched:
        path = tmp_path / f"{nth}" / "j.db"
        survivors(path)
        left = [nth]

        def strike(_: str, left: list[int] = left) -> None:
            left[0] -= 1
            if left[0] == 0 or (is_lasting and left[0] < 0):
                raise failure("planted")

        told: list[int] = []

        async def story(path: Path = path, told: list[int] = told) -> None:
            try:
                database = await Database.open(path, migrations=LATER, clock=SystemClock(), vfs="failing")
            except (LegionError, apsw.Error):
                return

            async def one(number: int, durability: Durability) -> None:
                try:
                    await database.write(
                        lambda connection: add(connection, number, 3000), durability=durability
                    )
                except LegionError:
                    return
                told.append(number)

            for group in range(3):
                await asyncio.gather(*(one(group * 3 + k, "power" if k else "process") for k in range(3)))
            await database.close()

        with mounted(FailingDisk("failing", strike)):
            run(story())
        untouched = left[0] > 0
        assert set(told) <= set(survivors(path, LATER)), f"operation {nth}"
        if untouched:
            assert len(told) == 9
        nth += stride
    assert nth > 50, "the failing disk was not used"


def test_after_a_failed_fsync_nothing_new_rests_on_pages_the_kernel_forgot(tmp_path: Path) -> None:
    """A later fsync that succeeds says nothing about what an earlier one lost."""
    path = tmp_path / "before" / "j.db"
    recording = Recording()

    async def story() -> int:
        database = await Database.open(path, migrations=SCHEMA, clock=SystemClock(), vfs="forgetful")
        await database.write(lambda connection: add(connection, 1, 100))
        await database.write(lambda connection: add(connection, 2, 9000), durability="process")
        await database.read(
            numbers
        )  # a reader stays open, so that closing the writer's handle empties no log
        recording.syncs_to_fail = 1
        with pytest.raises(StorageFailed):
            await database.write(lambda connection: add(connection, 3, 100))
        await database.write(lambda connection: add(connection, 4, 100))
        promised = len(recording.steps)
        await database.close()
        return promised

    survivors(path)
    start = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    with mounted(RecordingDisk("forgetful", recording)):
        promised = run(story())
    after = tmp_path / "after"
    after.mkdir()
    for name, content in image_after_cut(start, recording.steps[:promised], random.Random(1)).items():
        (after / name).write_bytes(content)
    assert {1, 4} <= set(survivors(after / "j.db"))


def test_a_disk_that_was_full_for_a_while_takes_writes_again_without_a_restart(tmp_path: Path) -> None:
    is_full = [False]

    def strike(kind: str) -> None:
        if is_full[0] and kind == "write":
            raise apsw.FullError("database or disk is full")

    async def story() -> None:
        database = await Database.open(tmp_path / "j.db", migrations=SCHEMA, clock=SystemClock(), vfs="full")
        await database.write(lambda connection: add(connection, 1, 100))
        is_full[0] = True
        results = await asyncio.gather(
            *(database.write(lambda connection, n=n: add(connection, n, 100)) for n in (2, 3)),
            return_exceptions=True,
        )
        assert all(isinstance(result, LegionError) for result in results)
        assert await database.read(numbers) == [1]
        is_full[0] = False
        await database.write(lambda connection: add(connection, 4, 100))
        assert await database.read(numbers) == [1, 4]
        await database.close()

    with mounted(FailingDisk("full", strike)):
        run(story())
