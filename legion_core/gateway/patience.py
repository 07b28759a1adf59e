"""Waiting for a stream's next chunk: not longer than its lane may be silent, and not at the cost of other streams."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final

from legion_core.gateway.types import Chunk
from legion_core.gateway.watchdog import Pace, patience_s
from legion_core.kernel.errors import TimedOut

TURN_S: Final = 0.002  # a stream whose chunks are all there lets the others have a turn after so long


class Patience:
    """One attempt's waits, of the task that makes it. `next` gives the chunks; `close` ends the timer.

    A single timer looks now and then whether the wait under way is too long: nothing is set or unset for a chunk.
    `may_give_up` says whether anybody else could go on; a silence nobody can end is waited out.
    """

    def __init__(self, who: str, pace: Pace, *, has_tools: bool, may_give_up: Callable[[], bool]) -> None:
        self._who = who
        self._pace = pace
        self._note = pace.note
        self._has_tools = has_tools
        self._may_give_up = may_give_up
        self._waiter: asyncio.Task[object] | None = asyncio.current_task()
        self._cancelling = self._waiter.cancelling() if self._waiter is not None else 0
        self._loop = self._waiter.get_loop() if self._waiter is not None else asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._waits_since_s = 0.0
        self._turn_since_s = self._loop.time()
        self._is_waiting = False
        self._is_first = True
        self._stalled_s = 0.0

    async def next(self, chunks: AsyncIterator[Chunk]) -> Chunk | None:
        """The next chunk, None at the end; TimedOut if the lane fell silent."""
        self._waits_since_s = self._loop.time()
        self._is_waiting = True
        if self._timer is None and not self._is_first:
            self._arm()
        try:
            chunk = await anext(chunks, None)
        except asyncio.CancelledError as error:
            waiter = self._waiter
            if self._stalled_s and waiter is not None and waiter.uncancel() <= self._cancelling:
                raise TimedOut(f"{self._who} fell silent for {self._stalled_s:.1f} s.") from error
            raise
        finally:
            self._is_waiting = False
        waited_s = self.arrived()
        if waited_s > TURN_S:
            self._turn_since_s = self._waits_since_s
        elif self._waits_since_s - self._turn_since_s > TURN_S:
            await asyncio.sleep(0)
            self._turn_since_s = self._loop.time()
        return chunk

    def arrived(self) -> float:
        """A chunk is there: it is told here if `next` goes on waiting. How long it was waited for, in seconds."""
        now_s = self._loop.time()
        waited_s = now_s - self._waits_since_s
        self._waits_since_s = now_s
        if self._is_first:
            self._is_first = False  # loading a model and reading a long prompt is no pause between tokens
        else:
            self._note(waited_s)
        if self._timer is None and self._is_waiting:  # an answer that came in one piece needs none
            self._arm()
        return waited_s

    def close(self) -> None:
        """No more waits; idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def _limit_s(self) -> float | None:
        return patience_s(self._pace.slow_s, has_tools=self._has_tools)

    def _arm(self) -> None:
        limit_s = self._limit_s
        if limit_s is not None:
            self._timer = self._loop.call_later(limit_s, self._look)

    def _look(self) -> None:
        self._timer = None
        limit_s = self._limit_s
        if limit_s is None:
            return
        silent_s = self._loop.time() - self._waits_since_s if self._is_waiting else 0.0
        if self._is_waiting and self._waiter is not None and silent_s >= limit_s and self._may_give_up():
            self._stalled_s = silent_s
            self._waiter.cancel()
            return
        self._timer = self._loop.call_later(max(limit_s - silent_s, limit_s / 4), self._look)
