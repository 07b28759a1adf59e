"""Carries the write-ahead log into the file beside the writer: a commit in whose course that happened waited for two fsyncs.

A checkpoint that others write under copies all but what they wrote meanwhile, and the log begins anew only once nothing is
left to copy. Under a load that never pauses the writer does the little that is left by itself, at `PAGES_MAX`.
"""

import contextlib
import threading
from queue import SimpleQueue

import apsw

from legion_core.storage.opening import Place, connect
from legion_core.storage.statements import Connection, row

PAGES_EAGER = 1000  # SQLite's own default
PAGES_MAX = 8 * PAGES_EAGER  # 32 MiB


class Checkpointer:
    """Its thread begins with the first work there is; `note` and `close` belong to the writer's thread."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._queue: SimpleQueue[bool] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()  # two checkpoints at once: SQLite would turn one away
        self._asked_at = 0
        self._is_under_way = False  # set by the writer's thread, taken back by the other

    def note(self, pages: int) -> bool:
        """The log has so many pages after a commit; whether the writer is to help now."""
        if pages < self._asked_at:
            self._asked_at = 0  # it has begun anew
        if pages - self._asked_at < PAGES_EAGER:
            return False
        self._asked_at = pages
        if pages >= PAGES_MAX:
            return True
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="legion-checkpoints", daemon=True)
            self._thread.start()
        if not self._is_under_way:
            self._is_under_way = True
            self._queue.put(True)
        return False

    def help(self, connection: Connection) -> bool:
        """The writer's own checkpoint, once the one under way is over; whether the log can begin anew, readers permitting."""
        with self._lock:
            is_busy, *_ = row(connection, "PRAGMA wal_checkpoint(PASSIVE)") or (0,)
        return not is_busy

    def close(self) -> None:
        """Return once the thread has ended and lets go of the file; idempotent."""
        if self._thread is not None:
            self._queue.put(False)
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        connection: Connection | None = None
        while self._queue.get():
            try:
                connection = connection or connect(self._place)
                with self._lock:
                    row(connection, "PRAGMA wal_checkpoint(PASSIVE)")
            except Exception:  # noqa: BLE001 - the log keeps what could not be copied, and the writer meets the same disk
                _drop(connection)
                connection = None
            self._is_under_way = False
        _drop(connection)


def _drop(connection: Connection | None) -> None:
    if connection is not None:
        with contextlib.suppress(apsw.Error):
            connection.close()
