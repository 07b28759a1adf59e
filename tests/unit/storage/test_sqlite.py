"""What a store may rely on when it writes to and reads from the journal."""

import asyncio
import itertools
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import apsw
import pytest

from legion_core.kernel import faults
from legion_core.kernel.clock import SystemClock
from legion_core.kernel.errors import Bug, Conflict, LimitReached
from legion_core.storage.failures import DiskFull, StillLocked, StorageFailed
from legion_core.storage.sqlite import (
    Connection,
    ConstraintError,
    Database,
    Durability,
    Migration,
    execute,
    execute_many,
    row,
    rows,
    script,
)
from tests.contract.storage.disks import Recording, RecordingDisk, mounted
from tests.support.aio import run

SCHEMA = (Migration("t-0001", "CREATE TABLE t (id INTEGER PRIMARY KEY, word TEXT UNIQUE) STRICT"),)
names = itertools.count()


async def opened(
    path: Path, durability: Durability = "process", queue_max: int = 10_000, vfs: str = ""
) -> Database:
    return await Database.open(
        path, migrations=SCHEMA, durability=durability, clock=SystemClock(), queue_max=queue_max, vfs=vfs
    )


def add(word: str) -> Callable[[Connection], int]:
    return lambda connection: execute(connection, "INSERT INTO t (word) VALUES (?)", (word,))


def words(connection: Connection) -> list[str]:
    return [word for (word,) in rows(connection, "SELECT word FROM t ORDER BY id")]


class Gate:
    """A work that holds the writer until it is opened, so that what is queued behind it forms one group."""

    def __init__(self) -> None:
        self._open = threading.Event()

    def work(self, connection: Connection) -> None:
        assert self._open.wait(20)

    def open(self) -> None:
        self._open.set()


def test_a_write_is_there_for_the_next_read_and_after_a_reopening(tmp_path: Path) -> None:
    async def story() -> None:
        database = await opened(tmp_path / "j.db")
        assert await database.write(add("one")) == 1
        assert await database.read(words) == ["one"]
        await database.close()
        again = await opened(tmp_path / "j.db")
        assert await again.read(words) == ["one"]
        assert await again.check() == []
        await again.close()

    run(story())


def test_works_that_wait_are_committed_together(tmp_path: Path) -> None:
    commits: list[int] = []

    def listen(connection: Connection) -> None:
        def count() -> bool:
            commits.append(1)
            return False

        connection.set_commit_hook(count, id="test")

    async def story() -> None:
        database = await opened(tmp_path / "j.db", "power")
        await database.write(listen)
        commits.clear()
        gate = Gate()
        held = database.write_nowait(gate.work)
        waiting = [database.write_nowait(add(f"w{number}")) for number in range(100)]
        gate.open()
        await asyncio.gather(held, *waiting)
        assert 1 <= len(commits) <= 2  # the gate alone, then all that waited behind it
        assert len(await database.read(words)) == 100
        await database.close()

    run(story())


def test_a_work_that_raises_is_undone_alone(tmp_path: Path) -> None:
    def half(connection: Connection) -> None:
        execute(connection, "INSERT INTO t (word) VALUES ('half')")
        raise ValueError("changed my mind")

    async def story() -> None:
        database = await opened(tmp_path / "j.db")
        gate = Gate()
        held = database.write_nowait(gate.work)
        before, bad, twice, after = (
            database.write_nowait(work) for work in (add("a"), half, add("a"), add("b"))
        )
        gate.open()
        results = await asyncio.gather(held, before, bad, twice, after, return_exceptions=True)
        assert isinstance(results[2], ValueError)
        assert isinstance(results[3], ConstraintError)
        assert await database.read(words) == ["a", "b"]
        await database.close()

    run(story())


@pytest.mark.parametrize("ending", ["ROLLBACK", "COMMIT", "ROLLBACK; BEGIN IMMEDIATE; COMMIT"])
def test_a_work_that_ends_the_transaction_fails_alone_and_its_neighbours_count_once(
    tmp_path: Path, ending: str
) -> None:
    async def story() -> None:
        database = await opened(tmp_path / "j.db")
        gate = Gate()
        held = database.write_nowait(gate.work)
        before = database.write_nowait(add("a"))
        bad = database.write_nowait(lambda connection: script(connection, ending))
        after = database.write_nowait(add("b"))
        gate.open()
        results = await asyncio.gather(held, before, bad, after, return_exceptions=True)
        assert isinstance(results[2], Bug | apsw.Error)
        assert results[1] == results[3] == 1
        assert await database.read(words) == ["a", "b"]
        await database.close()

    run(story())


def test_works_run_in_the_order_they_were_given(tmp_path: Path) -> None:
    async def story() -> None:
        database = await opened(tmp_path / "j.db")
        expected = [f"w{number}" for number in range(1500)]  # more than one group holds
        await asyncio.gather(*(database.write_nowait(add(word)) for word in expected))
        assert await database.read(words) == expected
        await database.close()

    run(story())


def test_giving_up_the_wait_does_not_undo_the_write(tmp_path: Path) -> None:
    async def story() -> None:
        database = await opened(tmp_path / "j.db")
        gate = Gate()
        held = database.write_nowait(gate.work)
        given_up = database.write_nowait(add("kept"))
        given_up.cancel()
        gate.open()
        await held
        await database.write(add("later"))
        assert await database.read(words) == ["kept", "later"]
        await database.close()

    run(story())


def test_a_full_queue_refuses_with_a_sentence_and_takes_again_later(tmp_path: Path) -> None:
    async def story() -> None:
        database = await opened(tmp_path / "j.db", queue_max=3)
        gate = Gate()
        waiting = [database.write_nowait(work) for work in (gate.work, add("a"), add("b"))]
        waiting[1].cancel()  # one who gave up still stands in the queue
        with pytest.raises(LimitReached, match="3 requests already wait"):
            database.write_nowait(add("c"))
        gate.open()
        await asyncio.gather(*waiting, return_exceptions=True)
        await database.write(add("c"))
        await database.close()

    run(story())


def test_only_power_is_fsynced_and_one_power_write_makes_its_whole_group_so(tmp_path: Path) -> None:
    recording = Recording()

    async def story() -> None:
        database = await opened(tmp_path / "j.db", "process", vfs="recorded")
        await database.write(add("first"), durability="power")  # begins the log, which syncs its header
        recording.steps.clear()
        await database.write(add("a"))
        assert recording.syncs("-wal") == 0
        await database.write(add("b"), durability="power")
        assert recording.syncs("-wal") == 1
        gate = Gate()
        held = database.write_nowait(gate.work)
        mixed = [
            database.write_nowait(add("c")),
            database.write_nowait(add("d"), durability="power"),
            database.write_nowait(add("e")),
        ]
        gate.open()
        await asyncio.gather(held, *mixed)
        assert recording.syncs("-wal") == 2
        await database.close()

    with mounted(RecordingDisk("recorded", recording)):
        run(story())


def test_a_read_sees_one_snapshot_and_cannot_write(tmp_path: Path) -> None:
    begun, written = threading.Event(), threading.Event()

    def slow(connection: Connection) -> tuple[int, int]:
        first = len(words(connection))
        begun.set()
        assert written.wait(20)
        return first, len(words(connection))

    async def story() -> None:
        database = await opened(tmp_path / "j.db")
        await database.write(add("a"))

        async def write_meanwhile() -> None:
            while not begun.is_set():
                await asyncio.sleep(0)
            await database.write(add("b"))
            written.set()

        (seen, _) = await asyncio.gather(database.read(slow), write_meanwhile())
        assert seen == (1, 1)
        with pytest.raises(StorageFailed):
            await database.read(add("c"))
        assert await database.read(words) == ["a", "b"]
        await database.close()

    run(story())


def test_two_reads_run_side_by_side_and_a_third_waits_its_turn(tmp_path: Path) -> None:
    meeting = threading.Barrier(2, timeout=100)

    async def story() -> None:
        database = await opened(tmp_path / "j.db")
        await asyncio.gather(*(database.read(lambda _: meeting.wait()) for _ in range(4)))
        assert sum(thread.name == "legion-reader" for thread in threading.enumerate()) == 2
        await database.close()

    run(story())


def test_closing_finishes_what_is_queued_and_empties_the_log(tmp_path: Path) -> None:
    async def story() -> None:
        database = await opened(tmp_path / "j.db")
        waiting = [database.write_nowait(add(f"w{number}")) for number in range(50)]
        await database.read(words)
        await database.close()
        assert all(future.done() and future.result() == 1 for future in waiting)
        await database.close()
        with pytest.raises(Conflict, match="closed"):
            await database.write(add("late"))
        with pytest.raises(Conflict, match="closed"):
            await database.read(words)
        assert [path.name for path in tmp_path.glob("j.db*")] == ["j.db"]

    run(story())


def test_a_close_that_was_given_up_can_be_finished(tmp_path: Path) -> None:
    async def story() -> None:
        database = await opened(tmp_path / "j.db")
        gate = Gate()
        held = database.write_nowait(gate.work)
        closing = asyncio.create_task(database.close())
        await asyncio.sleep(0)
        closing.cancel()
        gate.open()
        await asyncio.gather(held, closing, return_exceptions=True)
        await database.close()
        assert threading.active_count() >= 1
        assert not [thread for thread in threading.enumerate() if thread.name == "legion-writer"]

    run(story())


def test_an_opening_that_was_given_up_leaves_no_thread(tmp_path: Path) -> None:
    async def story() -> None:
        opening = asyncio.create_task(opened(tmp_path / "j.db"))
        await asyncio.sleep(0)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening

    run(story())  # the wall against leaks looks for the thread


@pytest.mark.parametrize("site", ["storage.begin", "storage.write", "storage.commit"])
def test_a_full_disk_refuses_the_write_keeps_the_rest_and_mends_itself(tmp_path: Path, site: str) -> None:
    def full(where: str) -> None:
        if where == site:
            raise OSError(28, "No space left on device")

    async def story() -> None:
        database = await opened(tmp_path / "j.db")
        await database.write(add("before"))
        faults.arm(full)
        with pytest.raises(DiskFull, match="no space left") as told:
            await database.write(add("refused"))
        assert "Free some space" in told.value.hint
        faults.arm(None)
        await database.write(add("after"))
        assert await database.read(words) == ["before", "after"]
        await database.close()

    try:
        run(story())
    finally:
        faults.arm(None)


def test_what_raises_outside_the_world_comes_out_as_it_is(tmp_path: Path) -> None:
    class Mine(Exception):
        pass

    def raising(_: Connection) -> None:
        raise Mine

    def stopping(_: Connection) -> None:
        raise StopIteration

    async def story() -> None:
        database = await opened(tmp_path / "j.db")
        with pytest.raises(Mine):
            await database.write(raising)
        with pytest.raises(Mine):
            await database.read(raising)
        with pytest.raises(Bug):
            await database.write(stopping)
        await database.close()

    run(story())


class HastyClock:
    """Each reading is a second after the one before: thirty seconds of waiting pass in thirty readings."""

    def __init__(self) -> None:
        self._now_s = 0.0

    def monotonic_s(self) -> float:
        self._now_s += 1.0
        return self._now_s

    def utc_now(self) -> datetime:
        return datetime(2025, 1, 1, tzinfo=UTC)

    def unix_s(self) -> float:
        return self.utc_now().timestamp()


def test_a_file_locked_by_another_program_is_waited_for_thirty_seconds_then_said(tmp_path: Path) -> None:
    path = tmp_path / "j.db"

    async def story() -> None:
        await (await opened(path)).close()
        database = await Database.open(path, migrations=SCHEMA, durability="process", clock=HastyClock())
        stranger = apsw.Connection(str(path))
        script(stranger, "BEGIN IMMEDIATE")
        with pytest.raises(StillLocked, match="locked for 30 seconds"):
            await database.write(add("refused"))
        script(stranger, "ROLLBACK")
        stranger.close()
        await database.write(add("taken"))
        assert await database.read(words) == ["taken"]
        await database.close()

    run(story())


def test_a_short_lock_is_never_seen(tmp_path: Path) -> None:
    path = tmp_path / "j.db"

    async def story() -> None:
        database = await opened(path)
        stranger = apsw.Connection(str(path))
        script(stranger, "BEGIN IMMEDIATE")
        waiting = database.write_nowait(add("patient"))
        assert await database.read(words) == []  # readers do not wait for writers
        script(stranger, "COMMIT")
        stranger.close()
        assert await waiting == 1
        await database.close()

    run(story())


def test_helpers_give_rows_one_row_counts_and_run_every_statement(tmp_path: Path) -> None:
    async def story() -> None:
        database = await opened(tmp_path / "j.db")

        def work(connection: Connection) -> tuple[object, ...]:
            execute_many(connection, "INSERT INTO t (word) VALUES (?)", [("a",), ("b",)])
            script(connection, "SELECT 1; INSERT INTO t (word) VALUES ('c')")
            changed = execute(connection, "UPDATE t SET word = word || '!' WHERE id > ?", (1,))
            return (
                changed,
                row(connection, "SELECT word FROM t WHERE id = ?", (3,)),
                row(connection, "SELECT 1 WHERE 0"),
            )

        assert await database.write(work) == (2, ("c!",), None)
        await database.close()

    run(story())
