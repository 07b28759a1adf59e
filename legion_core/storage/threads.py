"""The threads behind a database: one that writes in groups, some that read. They idle on a queue and never poll."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Literal

import apsw

from legion_core.kernel.errors import Bug
from legion_core.kernel.faults import fault
from legion_core.storage.checkpoints import Checkpointer
from legion_core.storage.failures import translated
from legion_core.storage.migrations import Migration
from legion_core.storage.opening import Place, connect, open_writer
from legion_core.storage.statements import Connection, row, script

GROUP_MAX = 512  # works in one transaction: bounds how long a neighbour waits, far past where fsync matters


@dataclass(slots=True, eq=False)
class Job:
    """One work on its way: what to run, who waits, and what became of it."""

    kind: Literal["write", "read", "sign"]  # a sign carries no work: it tells of an opening or an end
    work: Callable[[Connection], Any]
    future: "asyncio.Future[Any]"
    is_power: bool = False
    result: Any = None
    error: BaseException | None = None

    def settle(self) -> None:
        """Tell who waits; only on the loop's thread. One who gave up is not told."""
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.result)
        elif isinstance(self.error, StopIteration):  # a future cannot carry it
            self.future.set_exception(Bug("A work ran past the end of an iterator."))
        else:
            self.future.set_exception(self.error)


Settle = Callable[[Sequence[Job]], None]
Queue = SimpleQueue[Job | None]  # None ends the thread that takes it


class Writer:
    """Owns the one connection that writes, and its thread."""

    def __init__(self, place: Place, migrations: Sequence[Migration], queue: Queue, settle: Settle) -> None:
        self._place = place
        self._migrations = migrations
        self._queue = queue
        self._settle = settle
        self._connection: Connection | None = None
        self._may_commit = False
        self._is_full_sync = True
        self._was_distrusted = False
        self._checkpoints = Checkpointer(place)
        self._must_help = False  # the log is long, and the checkpoints beside do not catch up
        self.notes: tuple[str, ...] = ()

    def start(self, opened: Job, closed: Job) -> threading.Thread:
        """Begin, and give the thread; `opened` is settled once the file is ready or refused, `closed` when the thread ends."""
        thread = threading.Thread(target=self._run, args=(opened, closed), name="legion-writer", daemon=True)
        thread.start()
        return thread

    def _run(self, opened: Job, closed: Job) -> None:
        try:
            ready = open_writer(self._place, self._migrations)
            self.notes = ready.notes
            self._adopt(ready.connection)
        except BaseException as error:  # noqa: BLE001 - carried to who opens
            opened.error = error
            self._settle([opened, closed])
            return
        self._settle([opened])
        while (first := self._queue.get()) is not None:
            group, is_last = self._gather(first)
            self._commit(group)
            self._settle(group)
            if is_last:
                break
        self._end()
        self._settle([closed])

    def _gather(self, first: Job) -> tuple[list[Job], bool]:
        group = [first]
        with contextlib.suppress(Empty):
            while len(group) < GROUP_MAX:
                job = self._queue.get_nowait()
                if job is None:
                    return group, True
                group.append(job)
        return group, False

    def _commit(self, group: list[Job]) -> None:
        """Make all of the group durable; where one breaks the transaction, the others run again, each alone."""
        try:
            for job in self._attempt(group):
                job.result = job.error = None
                self._attempt([job])
        except BaseException as error:  # noqa: BLE001 - the thread must outlive anything
            self._refuse(group, error)

    def _attempt(self, group: list[Job]) -> list[Job]:
        """One transaction; gives the jobs that must run again because a neighbour ended it under them."""
        try:
            connection = self._ready(is_full=any(job.is_power for job in group))
            fault("storage.begin")
            script(connection, "BEGIN IMMEDIATE")
        except BaseException as error:  # noqa: BLE001 - carried to those who wait
            self._refuse(group, error)
            return []
        for job in group:
            self._run_in_savepoint(connection, job)
            if not connection.in_transaction:
                if job.error is None:
                    job.error = Bug("A work ended the transaction it was given.")
                return [other for other in group if other is not job]
        try:
            fault("storage.commit")
            self._may_commit = True
            script(connection, "COMMIT")
        except BaseException as error:  # noqa: BLE001 - carried to those who wait
            self._refuse(group, error)
        finally:
            self._may_commit = False
        return []

    def _run_in_savepoint(self, connection: Connection, job: Job) -> None:
        try:
            script(connection, "SAVEPOINT work")
            fault("storage.write")
            job.result = job.work(connection)
            script(connection, "RELEASE work")
        except BaseException as error:  # noqa: BLE001 - carried to who waits
            job.error = translated(error, self._place.path)
            job.result = None
            if connection.in_transaction:
                try:
                    script(connection, "ROLLBACK TO work; RELEASE work")
                except apsw.Error:
                    with contextlib.suppress(apsw.Error):
                        script(connection, "ROLLBACK")

    def _refuse(self, group: list[Job], error: BaseException) -> None:
        """Nothing of the group was kept. A handle that reported an I/O error is not trusted again."""
        for job in group:
            job.error = job.error or translated(error, self._place.path)
            job.result = None
        connection = self._connection
        if connection is None:
            return
        with contextlib.suppress(apsw.Error):
            if connection.in_transaction:
                script(connection, "ROLLBACK")
        if not isinstance(error, apsw.BusyError):
            self._connection = None
            self._was_distrusted = True
            with contextlib.suppress(apsw.Error):
                connection.close()

    def _ready(self, *, is_full: bool) -> Connection:
        if self._connection is None:
            self._adopt(connect(self._place))
        connection = self._connection
        assert connection is not None
        if self._was_distrusted:
            # After a failed fsync the kernel may call lost pages clean. What the log still holds is therefore
            # carried into the main file and synced there before anything new is acknowledged.
            row(connection, "PRAGMA wal_checkpoint(TRUNCATE)")
            self._was_distrusted = False
        if self._must_help:
            self._must_help = not self._checkpoints.help(connection)  # another process may be at it
        if is_full is not self._is_full_sync:
            script(connection, f"PRAGMA synchronous={'FULL' if is_full else 'NORMAL'}")
            self._is_full_sync = is_full
        return connection

    def _adopt(self, connection: Connection) -> None:
        script(connection, "PRAGMA synchronous=FULL")
        self._is_full_sync = True
        # A work that commits would make its neighbours' halves durable: SQLite rolls back when this says True.
        connection.set_commit_hook(lambda: not self._may_commit)
        connection.set_wal_hook(
            self._committed
        )  # in place of SQLite's own, which checkpoints within the commit
        self._connection = connection

    def _committed(self, connection: Connection, name: str, pages: int) -> int:
        self._must_help = self._checkpoints.note(pages) or self._must_help
        return apsw.SQLITE_OK

    def _end(self) -> None:
        self._checkpoints.close()
        if self._connection is None:
            return
        with contextlib.suppress(
            apsw.Error
        ):  # other processes may be reading: the log then stays, and is whole
            row(self._connection, "PRAGMA wal_checkpoint(TRUNCATE)")
        with contextlib.suppress(apsw.Error):
            self._connection.close()


class Reader:
    """One read-only connection and its thread; several share a queue."""

    def __init__(self, place: Place, queue: Queue, settle: Settle) -> None:
        self._place = place
        self._queue = queue
        self._settle = settle
        self._connection: Connection | None = None

    def start(self, closed: Job) -> threading.Thread:
        """Begin, and give the thread; `closed` is settled when the thread ends."""
        thread = threading.Thread(target=self._run, args=(closed,), name="legion-reader", daemon=True)
        thread.start()
        return thread

    def _run(self, closed: Job) -> None:
        while (job := self._queue.get()) is not None:
            self._read(job)
            self._settle([job])
        if self._connection is not None:
            with contextlib.suppress(apsw.Error):
                self._connection.close()
        self._settle([closed])

    def _read(self, job: Job) -> None:
        try:
            if self._connection is None:
                self._connection = connect(self._place, is_reader=True)
            script(self._connection, "BEGIN")
            try:
                job.result = job.work(self._connection)
            finally:
                if self._connection.in_transaction:
                    script(self._connection, "ROLLBACK")
        except BaseException as error:  # noqa: BLE001 - carried to who waits
            job.error = translated(error, self._place.path)
            if isinstance(error, apsw.IOError | apsw.CorruptError) and self._connection is not None:
                with contextlib.suppress(apsw.Error):
                    self._connection.close()
                self._connection = None
