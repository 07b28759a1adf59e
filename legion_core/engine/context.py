"""The Context a running function gets in this process: its log, its keys, and writes that happen once."""

import asyncio
import concurrent.futures
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from legion_core.engine import journal, lookup
from legion_core.engine.extension import Level, Work
from legion_core.engine.journal import Lease
from legion_core.engine.orders import Line
from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import Conflict, LegionError
from legion_core.kernel.files import sync_directory
from legion_core.kernel.redact import redact
from legion_core.storage.failures import from_os
from legion_core.storage.sqlite import Connection, Database

LINES_MAX = 1_000
LINE_CHARS_MAX = 4_000
DEFERRED_MAX = 1_000
_ATTEMPT_LINES = 10_000  # line numbers of one attempt: those of the next stand behind them

T = TypeVar("T")


class TaskContext:
    """See `extension.Context`. `add_line` is called on the loop's thread, whichever thread logs."""

    def __init__(
        self, lease: Lease, clock: Clock, database: Database, add_line: Callable[[Line], None]
    ) -> None:
        self._lease = lease
        self._clock = clock
        self._database = database
        self._add_line = add_line
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._lines = 0
        self.deferred: list[Work] = []
        self.is_cancelled = False
        self.is_over = False

    @property
    def task_id(self) -> str:
        """See `Context`."""
        return self._lease.id

    @property
    def attempt(self) -> int:
        """See `Context`."""
        return self._lease.attempt

    @property
    def is_redelivered(self) -> bool:
        """See `Context`."""
        return self._lease.is_redelivered

    def key(self, number: int = 0) -> str:
        """See `Context`."""
        return f"{self._lease.id}-{number}"

    def log(self, text: str, level: Level = "info") -> None:
        """See `Context`."""
        self._lines += 1
        if self._lines > LINES_MAX or self.is_over:
            return
        if self._lines == LINES_MAX:
            text, level = f"No more than {LINES_MAX:,} lines are kept of one attempt.", "warning"
        line = Line(
            task=self._lease.id,
            number=self._lease.attempt * _ATTEMPT_LINES + self._lines,
            at=self._clock.utc_now(),
            level=level,
            text=redact(text[:LINE_CHARS_MAX]),
        )
        if threading.get_ident() == self._thread:
            self._add_line(line)
        else:
            self._loop.call_soon_threadsafe(self._add_line, line)

    def defer(self, work: Work) -> None:
        """See `Context`."""
        if self.is_over or len(self.deferred) >= DEFERRED_MAX:
            raise Conflict(f"The task has ended, or deferred {DEFERRED_MAX:,} writes already.")
        self.deferred.append(work)

    def write_file(self, path: str, content: bytes, number: int = 0) -> bool:
        """See `Context`.

        The content is laid down under another name, recorded as prepared, and renamed. Renaming takes the prepared
        file away, so after a crash its absence says that the effect has happened.
        """
        if threading.get_ident() == self._thread:
            raise Conflict("write_file blocks: call it from a plain function, not from an asynchronous one.")
        target = Path(path)
        known = self._journal(lambda connection: lookup.effect(connection, self._lease.id, number))
        if known is not None and known[0] == "done":
            return False
        try:
            if known is None:
                prepared = target.with_name(f".{target.name}.{self.key(number)}.part")
                _write_synced(prepared, content)
                self._record(number, "prepared", str(prepared))
            else:
                prepared = Path(known[1])
            has_happened = not prepared.exists()
            if not has_happened:
                os.replace(prepared, target)
                sync_directory(target.parent)
        except OSError as error:
            raise from_os(error, target) from error
        self._record(number, "done", str(target))
        return not has_happened

    def _record(self, number: int, state: str, detail: str) -> None:
        self._journal(
            lambda connection: journal.set_effect(connection, self._lease.id, number, state, detail)
        )

    def _journal(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on the journal from a thread, and wait for it."""
        if self.is_over:
            raise Conflict("The task has ended: it was cancelled, or its time is over.")
        answer: concurrent.futures.Future[T] = concurrent.futures.Future()

        def begin() -> None:
            try:
                self._database.write_nowait(work).add_done_callback(settle)
            except LegionError as error:
                answer.set_exception(error)

        def settle(future: "asyncio.Future[Any]") -> None:
            if future.cancelled():
                answer.cancel()
            elif (error := future.exception()) is not None:
                answer.set_exception(error)
            else:
                answer.set_result(future.result())

        self._loop.call_soon_threadsafe(begin)
        return answer.result()


def _write_synced(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(handle, view) :]
        os.fsync(handle)
    finally:
        os.close(handle)
