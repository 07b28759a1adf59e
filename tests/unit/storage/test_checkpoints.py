"""The log is carried into the file beside the writer: it stays short, and no commit waits for it."""

import threading
from pathlib import Path

import apsw
import pytest

from legion_core.kernel.clock import SystemClock
from legion_core.kernel.ids import system_rng
from legion_core.storage import checkpoints
from legion_core.storage.checkpoints import PAGES_EAGER, PAGES_MAX, Checkpointer
from legion_core.storage.opening import Place
from legion_core.storage.sqlite import Connection, Database, Migration, execute, row
from tests.support.aio import run

TABLE = Migration(name="test-0001", sql="CREATE TABLE lines(n INTEGER PRIMARY KEY, text BLOB NOT NULL)")
PAGE_BYTES = 4096


def place(path: Path) -> Place:
    return Place(path=path, clock=SystemClock(), rng=system_rng(), stopping=threading.Event(), vfs="")


def fill(pages: int):  # type: ignore[no-untyped-def]
    def work(connection: Connection) -> None:
        for _ in range(pages):
            execute(connection, "INSERT INTO lines(text) VALUES(zeroblob(?))", [PAGE_BYTES])

    return work


@pytest.mark.parametrize("writes", [40])
def test_the_log_stays_short_under_writing_that_never_pauses(tmp_path: Path, writes: int) -> None:
    async def work() -> tuple[int, int]:
        database = await Database.open(
            tmp_path / "it.db", migrations=(TABLE,), durability="process", clock=SystemClock()
        )
        try:
            longest = 0
            for _ in range(writes):
                await database.write(fill(PAGES_EAGER // 2))
                longest = max(longest, (tmp_path / "it.db-wal").stat().st_size)
            count = await database.read(lambda c: (row(c, "SELECT count(*) FROM lines") or (0,))[0])
        finally:
            await database.close()
        return longest, int(count)

    longest, count = run(work())
    assert count == writes * (PAGES_EAGER // 2)
    assert longest <= (PAGES_MAX + 3 * PAGES_EAGER) * PAGE_BYTES


def test_a_commit_asks_for_help_once_in_a_thousand_pages_and_for_the_writers_at_the_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = threading.Event()
    monkeypatch.setattr(checkpoints, "connect", lambda place: asked.set() or apsw.Connection(":memory:"))
    beside = Checkpointer(place(tmp_path / "none.db"))
    try:
        assert not beside.note(PAGES_EAGER - 1)
        assert not asked.is_set()
        assert not beside.note(PAGES_EAGER)
        assert asked.wait(20.0)
        assert [beside.note(pages) for pages in (PAGES_EAGER + 1, PAGES_MAX, PAGES_MAX + 1)] == [
            False,
            True,
            False,
        ]
        assert not beside.note(5)  # the log began anew
        assert not beside.note(PAGES_EAGER + 5)
    finally:
        beside.close()
        beside.close()


def test_a_disk_that_refuses_a_checkpoint_harms_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = threading.Semaphore(0)

    def refuse(place: Place) -> Connection:
        tried.release()
        raise apsw.IOError("no")

    monkeypatch.setattr(checkpoints, "connect", refuse)
    beside = Checkpointer(place(tmp_path / "none.db"))
    beside.note(PAGES_EAGER)
    assert tried.acquire(timeout=100.0)
    beside.close()
    beside.note(2 * PAGES_EAGER)  # asked again, by a thread of its own again
    assert tried.acquire(timeout=100.0)
    beside.close()
