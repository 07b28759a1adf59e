# ruff: noqa: D102  (Qt overrides do what Qt says)
"""The asyncio loop on Qt's own: qasync's, with timers that end when they are cancelled and a fair ready queue.

qasync 0.28 starts one Qt timer for every call and lets a cancelled one run out, so an `asyncio.timeout(300)` wakes
the process five minutes after it was left. Here a cancelled timer is killed at once, and all that is ready now
shares one timer of zero length, which exists only while something is ready.
"""

import asyncio
import gc
from collections import deque
from collections.abc import Callable
from contextvars import Context
from typing import Any, cast

from PySide6.QtCore import QObject, Qt, QTimerEvent
from PySide6.QtWidgets import QApplication
from qasync import QEventLoop

GARBAGE_MAX = 5000  # new objects between two collections
LONGEST_MS = 2**31 - 1  # a QTimer's bound; a longer wait is cut here and started again


class Timers(QObject):
    """All timers of one loop. `count` is how many wait for their time."""

    def __init__(self) -> None:
        super().__init__()
        self._ready: deque[asyncio.Handle] = deque()
        self._pump = 0
        self._later: dict[int, asyncio.TimerHandle] = {}
        self._ids: dict[asyncio.TimerHandle, int] = {}
        self._is_stopped = False
        self._collections = 0
        self.collects_garbage = False
        """Whether garbage is collected here, on the loop's thread; then the interpreter's own collector is off."""

    @property
    def count(self) -> int:
        """Timers that wait for their time; 0 with nothing ready means the process can sleep."""
        return len(self._later)

    @property
    def ready(self) -> int:
        """Calls that run at the next turn."""
        return len(self._ready)

    def soon(self, handle: asyncio.Handle) -> None:
        """Run `handle` at the next turn, after what was ready before it."""
        self._ready.append(handle)
        if not self._pump and not self._is_stopped:
            self._pump = self.startTimer(0)

    def add_callback(self, handle: asyncio.Handle, delay: float = 0) -> asyncio.Handle:
        """What qasync and asyncio's signal handling call for a handle of their own."""
        if delay > 0 and isinstance(handle, asyncio.TimerHandle):
            self.later(handle, delay)
        else:
            self.soon(handle)
        return handle

    def later(self, handle: asyncio.TimerHandle, delay_s: float) -> None:
        """Run `handle` in `delay_s` seconds, not before."""
        # Rounded up: a deadline that comes a moment early makes its waiter ask again at once.
        length_ms = min(LONGEST_MS, int(delay_s * 1000) + 1)
        number = self.startTimer(length_ms, Qt.TimerType.PreciseTimer)
        self._later[number] = handle
        self._ids[handle] = number

    def cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Forget a timer that nobody waits for any more."""
        number = self._ids.pop(handle, 0)
        if number:
            self._later.pop(number, None)
            self.killTimer(number)

    def stop(self) -> None:
        """End all of them, for good."""
        self._is_stopped = True
        for number in self._later:
            self.killTimer(number)
        self._later.clear()
        self._ids.clear()
        self._ready.clear()
        self._end_pump()

    def set_debug(self, enabled: bool) -> None:
        """Part of what qasync expects of its timers; nothing to do."""

    def timerEvent(self, event: QTimerEvent) -> None:
        number = event.timerId()
        if number == self._pump:
            self._run_ready()
            return
        self.killTimer(number)
        handle = self._later.pop(number, None)
        if handle is not None:
            self._ids.pop(handle, None)
            self.soon(handle)

    def _run_ready(self) -> None:
        # Only what was ready at the start, so that painting and input get their turn between two rounds.
        for _ in range(len(self._ready)):
            if not self._ready:
                break
            handle = self._ready.popleft()
            if not handle.cancelled():
                handle._run()  # noqa: SLF001  # what every asyncio loop calls
        if not self._ready:
            self._end_pump()
        if self.collects_garbage and gc.get_count()[0] > GARBAGE_MAX:
            self._collect()

    def _collect(self) -> None:
        # Mostly the youngest, now and then all: the proportions of the interpreter's own collector.
        self._collections += 1
        gc.collect(2 if self._collections % 50 == 0 else 1 if self._collections % 10 == 0 else 0)

    def _end_pump(self) -> None:
        if self._pump:
            self.killTimer(self._pump)
            self._pump = 0


class WorkbenchLoop(QEventLoop):
    """The one loop of the window and its engine."""

    def __init__(self, app: QApplication) -> None:
        super().__init__(app)  # pyright: ignore[reportUnknownMemberType]
        self.timers = Timers()
        self._timer = self.timers

    def call_soon(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """See `asyncio.loop.call_soon`."""
        handle = asyncio.Handle(callback, args, cast("asyncio.AbstractEventLoop", self), context)
        self.timers.soon(handle)
        return handle

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """See `asyncio.loop.call_later`."""
        loop = cast("asyncio.AbstractEventLoop", self)
        handle = asyncio.TimerHandle(loop.time() + max(0.0, delay), callback, args, loop, context)
        self.timers.later(handle, max(0.0, delay))
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        self.timers.cancelled(handle)
