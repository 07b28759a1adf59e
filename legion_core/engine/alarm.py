"""Wakes the engine at the earliest date something is due."""

import asyncio
from collections.abc import Callable

# A longer wait is looked at again in between: dates may step, and the clock of intervals stands still while the machine
# sleeps.
TIMER_MAX_S = 30.0


class Alarm:
    """One timer for all dates. `now_ms` gives the date in milliseconds; `ring` is called once the earliest has come."""

    def __init__(self, now_ms: Callable[[], int], ring: Callable[[], None]) -> None:
        self.now_ms = now_ms
        self._ring = ring
        self._timer: asyncio.TimerHandle | None = None
        self._at_ms = 0
        self._is_closed = False

    @property
    def is_set(self) -> bool:
        """Whether anything is waited for."""
        return self._timer is not None

    def at(self, due_ms: int) -> None:
        """Wake at that moment, unless something earlier does; 0 is no moment."""
        if not due_ms or self._is_closed or (self._timer is not None and self._at_ms <= due_ms):
            return
        if self._timer is not None:
            self._timer.cancel()
        wait_s = min(max(0.0, (due_ms - self.now_ms()) / 1000), TIMER_MAX_S)
        self._at_ms = due_ms
        self._timer = asyncio.get_running_loop().call_later(wait_s, self._due)

    def close(self) -> None:
        """Wake no more."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()

    def _due(self) -> None:
        self._timer = None
        if self._at_ms > self.now_ms():
            self.at(self._at_ms)
        else:
            self._ring()
