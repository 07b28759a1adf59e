"""The durable journal: one SQLite file, one writer thread with group commit, two readers on snapshots.

    await database.write(work) ──▶ queue ──▶ writer thread: BEGIN, one SAVEPOINT a work, COMMIT (fsync) ──▶ all awake
    await database.read(work)  ──▶ queue ──▶ reader thread: a snapshot

Why `apsw`: the SQLite that many Pythons link has the WAL-reset race; the wheel brings a mended one.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Literal, TypeVar, cast

import apsw

from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import Conflict, LimitReached
from legion_core.kernel.ids import system_rng
from legion_core.storage.migrations import Migration
from legion_core.storage.opening import Place
from legion_core.storage.statements import (
    Connection,
    Row,
    Value,
    execute,
    execute_many,
    insert,
    row,
    rows,
    script,
)
from legion_core.storage.threads import Job, Queue, Reader, Writer

__all__ = [
    "Connection",
    "ConstraintError",
    "Database",
    "Durability",
    "Migration",
    "Row",
    "Value",
    "execute",
    "execute_many",
    "insert",
    "row",
    "rows",
    "script",
]

T = TypeVar("T")
Durability = Literal["process", "power"]
# Queues what was held back; gives what ends, without an error, once that was tried, and None if nothing is held back.
HandOver = Callable[[], "asyncio.Future[None] | None"]
ConstraintError = (
    apsw.ConstraintError
)  # what a store may catch inside its own work: UNIQUE, NOT NULL, CHECK, …
READERS_MAX = 2
QUEUE_MAX = 10_000


class Database:
    """One file. `write` and `read` take a work: a plain function of a connection, run on the store's own threads.

    A work acts through its connection and its return value alone: it may be run a second time when a neighbour
    in its group broke the transaction, and it must not begin or commit. Works run in the order they were given.
    What somebody writes a little later (`let_first`) is written before any other work of this process and seen by it.
    What was raised inside comes out of the await; failures of the world (disk full, read-only, damaged) come out
    as `LegionError`. All methods belong to the thread of the loop that opened it.
    """

    def __init__(self, place: Place, durability: Durability, queue_max: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._place = place
        self._durability = durability
        self._queue_max = queue_max
        self._writes: Queue = SimpleQueue()
        self._reads: Queue = SimpleQueue()
        self._writes_waiting = 0
        self._reads_waiting = 0
        self._readers: list[Job] = []  # one for each reader thread: settled when it ends
        self._writer_ended = self._watch()
        self._threads: list[threading.Thread] = []
        self._is_closing = False
        self._is_writer_told = False
        self._holding: tuple[HandOver, ...] = ()
        self.path = place.path
        self.notes: tuple[str, ...] = ()  # what was found at the opening, for a person; usually empty

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        migrations: Sequence[Migration],
        durability: Durability = "power",
        clock: Clock,
        queue_max: int = QUEUE_MAX,
        vfs: str = "",
    ) -> "Database":
        """Open or create the file and bring its schema up to date.

        Raises ConfigError (a directory, another program's file, a newer schema, SQLite too old), Corrupt (empty,
        not a database, damaged; the file is left and a copy laid beside it), StorageFailed (no space, no
        permission). `vfs` names SQLite's file layer, for tests that break it.
        """
        place = Place(path=path, clock=clock, rng=system_rng(), stopping=threading.Event(), vfs=vfs)
        database = cls(place, durability, queue_max)
        opened = database._watch()
        writer = Writer(place, migrations, database._writes, database._post)
        database._threads.append(writer.start(opened, database._writer_ended))
        try:
            await opened.future
        except BaseException:
            place.stopping.set()
            database._writes.put(None)  # where it opened after all, the thread closes it and ends
            raise
        database.notes = writer.notes
        return database

    async def write(self, work: Callable[[Connection], T], *, durability: Durability | None = None) -> T:
        """Run `work` in a transaction and give its result once it is durable.

        All that waits is committed together, each work in its own savepoint: one that raises is undone alone.
        `power` has been fsynced when this returns, `process` outlives the process but not a power cut. Giving
        up the wait does not undo the write. Raises LimitReached when `queue_max` works wait already.
        """
        return await self.write_nowait(work, durability=durability)

    def write_nowait(
        self, work: Callable[[Connection], T], *, durability: Durability | None = None
    ) -> "asyncio.Future[T]":
        """Queue the work and return its future. See `write`."""
        for hand_over in self._holding:
            hand_over()
        self._admit(self._writes_waiting)
        future: asyncio.Future[T] = self._loop.create_future()
        self._writes_waiting += 1
        is_power = (durability or self._durability) == "power"
        self._writes.put(Job("write", work, cast("asyncio.Future[Any]", future), is_power=is_power))
        return future

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on one snapshot of all that was acknowledged before; writing there fails."""
        for hand_over in self._holding:
            if (writing := hand_over()) is not None:
                await asyncio.shield(writing)  # where it failed, what can be read is read all the same
        self._admit(self._reads_waiting)
        if self._reads_waiting >= len(self._readers) < READERS_MAX:
            ended = self._watch()
            self._readers.append(ended)
            self._threads.append(Reader(self._place, self._reads, self._post).start(ended))
        future: asyncio.Future[T] = self._loop.create_future()
        self._reads_waiting += 1
        self._reads.put(Job("read", work, cast("asyncio.Future[Any]", future)))
        return await future

    def let_first(self, hand_over: HandOver) -> None:
        """Ask `hand_over` before every write, read and the close: for one who collects small writes for a while."""
        self._holding = (*self._holding, hand_over)

    async def check(self) -> list[str]:
        """What SQLite finds wrong with the file, one sentence each; empty is good. Reads the whole file."""
        return await self.read(_faults)

    async def close(self) -> None:
        """Finish what is queued, checkpoint and close; harmless the second time."""
        if not self._is_closing:
            for hand_over in self._holding:
                hand_over()
            self._is_closing = True
            for _ in self._readers:
                self._reads.put(None)
        for ended in self._readers:
            await asyncio.shield(ended.future)
        if not self._is_writer_told:
            # Last, so that its checkpoint meets no reader of ours and the log can be emptied.
            self._is_writer_told = True
            self._writes.put(None)
        await asyncio.shield(self._writer_ended.future)
        for thread in self._threads:  # each has told its end: what is left of it takes microseconds
            thread.join()

    def _watch(self) -> Job:
        return Job("sign", _nothing, self._loop.create_future())

    def _admit(self, waiting: int) -> None:
        if self._is_closing:
            raise Conflict(f"{self.path.name} is closed, so nothing can be saved or read any more.")
        if waiting >= self._queue_max:
            raise LimitReached(
                f"{waiting} requests already wait for {self.path.name}; no more are taken.",
                hint="The disk is slower than the work: try again in a moment.",
            )

    def _post(self, jobs: Sequence[Job]) -> None:
        """From a store's thread: wake the loop once for all of `jobs`."""
        with contextlib.suppress(RuntimeError):  # the loop was closed without us: nobody waits any more
            self._loop.call_soon_threadsafe(self._settle, jobs)

    def _settle(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            if job.kind == "write":
                self._writes_waiting -= 1
            elif job.kind == "read":
                self._reads_waiting -= 1
            job.settle()


def _nothing(_: Connection) -> None:
    raise AssertionError("a sign is settled, never run")


def _faults(connection: Connection) -> list[str]:
    found = [str(fault) for (fault,) in rows(connection, "PRAGMA integrity_check(100)") if fault != "ok"]
    for table, row_id, parent, _ in rows(connection, "PRAGMA foreign_key_check"):
        found.append(f"row {row_id} of {table} points to a row of {parent} that is not there")
    return found
