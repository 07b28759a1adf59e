"""The thin hand that writes: once in a turn of the loop, and again after a pause where the disk refused.

Everything that is under way is known, so that a stop can wait for it.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, TypeVar

from legion_core.storage.sqlite import Connection, Database, Durability

log = logging.getLogger("legion.engine")

T = TypeVar("T")

TROUBLE_FIRST_S, TROUBLE_MAX_S = 0.2, 30.0
LAST_WRITES_MAX = 5


class Writer:
    """`flush` writes what the turn wants, by `write`; `again` is called when it is time to try once more after trouble."""

    def __init__(self, database: Database, flush: Callable[[], None], again: Callable[[], None]) -> None:
        self._database = database
        self._flush = flush
        self._again = again
        self._is_due = False
        self._is_closed = False
        self._trouble_s = 0.0
        self._under_way: set[asyncio.Future[Any]] = set()

    @property
    def is_troubled(self) -> bool:
        """Whether the journal could not be written the last time."""
        return self._trouble_s > 0

    def soon(self) -> None:
        """Flush at the end of this turn of the loop: what all its callbacks want is written together."""
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self.now)

    def now(self) -> None:
        """Flush at once."""
        self._is_due = False
        self._flush()

    def write(
        self, work: Callable[[Connection], T], durability: Durability | None = None
    ) -> "asyncio.Future[T]":
        """One transaction, not waited for; raises LegionError if too much waits for the disk, or it is closed."""
        future = self._database.write_nowait(work, durability=durability)
        self.wait_for(future)
        return future

    def wait_for(self, future: "asyncio.Future[Any]") -> None:
        """A stop is not complete before this is."""
        self._under_way.add(future)
        future.add_done_callback(self._under_way.discard)

    def well(self) -> None:
        """It could be written."""
        self._trouble_s = 0.0

    def trouble(self, error: BaseException) -> None:
        """It could not: try again after a pause that grows."""
        if self._is_closed:
            log.error("what tasks came to could not be written: %s", error)
            return
        if not self._trouble_s:
            log.error("the journal of tasks cannot be written, and no task is begun until it can: %s", error)
        self._trouble_s = min(max(TROUBLE_FIRST_S, self._trouble_s * 2), TROUBLE_MAX_S)
        asyncio.get_running_loop().call_later(self._trouble_s, self._again)

    def close(self) -> None:
        """Trouble from now on is told, and not tried again."""
        self._is_closed = True

    async def drain(self) -> None:
        """Write all there is. A write may bring more to write; a disk that goes on refusing ends it."""
        self.now()
        for _ in range(LAST_WRITES_MAX):
            if not self._under_way:
                break
            await asyncio.gather(*self._under_way, return_exceptions=True)
            self.now()
