"""A simulated event loop: time jumps to the next timer, and the order of what is ready is drawn from a seed.

The same seed gives the same run, step by step; another seed gives another order that asyncio could have taken. A
program with nothing left to wait for has hung, and says so. Threads, sockets and child processes are not
simulated: work for an executor runs inline. Ideas: trio's MockClock, FoundationDB's simulator.
"""

import asyncio
import heapq
import random
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
TURNS_MAX = 5_000_000


class Deadlock(RuntimeError):
    """Nothing is ready and no timer is set: whoever still waits will wait for ever."""


class SimLoop(asyncio.SelectorEventLoop):
    """An asyncio loop on virtual time; `seed` decides the order of callbacks that are ready together.

    A real loop runs ready callbacks first in, first out. Programs should not lean on that between tasks, and a
    shuffled order finds the ones that do.
    """

    # What `asyncio.BaseEventLoop` keeps its callbacks in; unchanged from Python 3.4 to 3.14.
    _ready: deque[asyncio.Handle]
    _scheduled: list[asyncio.TimerHandle]
    _stopping: bool

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.seed = seed
        self.turns = 0
        self._now_s = 0.0
        self._order = random.Random(seed)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now_s

    def _run_once(self) -> None:
        self.turns += 1
        if self.turns > TURNS_MAX:
            raise Deadlock(f"{TURNS_MAX} turns without an end (seed {self.seed}): something spins")
        self._take_due_timers()
        ready = list(self._ready)
        self._order.shuffle(ready)
        self._ready.clear()
        self._ready.extend(ready)
        # Something is ready now, so the base class does not wait in its select.
        super()._run_once()  # pyright: ignore[reportUnknownMemberType, reportAttributeAccessIssue]

    def _take_due_timers(self) -> None:
        scheduled = self._scheduled
        while scheduled and scheduled[0].cancelled():
            self._drop_first(scheduled)
        if not self._ready and not self._stopping:
            if not scheduled:
                raise Deadlock(f"nothing is scheduled (seed {self.seed}), but these wait: {self._names()}")
            self._now_s = max(self._now_s, scheduled[0].when())
        while scheduled and scheduled[0].when() <= self._now_s:
            handle = self._drop_first(scheduled)
            if not handle.cancelled():
                self._ready.append(handle)

    @staticmethod
    def _drop_first(scheduled: list[asyncio.TimerHandle]) -> asyncio.TimerHandle:
        handle = heapq.heappop(scheduled)
        handle._scheduled = False  # what the base class does, or cancelling it would be miscounted
        return handle

    def _names(self) -> str:
        return ", ".join(sorted(task.get_name() for task in asyncio.all_tasks(self))) or "no task"

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> "asyncio.Future[T]":
        """Run `func` now, on this thread; its outcome arrives on a later turn, as a thread's would."""
        outcome: asyncio.Future[T] = self.create_future()
        try:
            value = func(*args)
        except Exception as error:  # handed on to whoever awaits, as an executor does
            self.call_soon(_fail, outcome, error)
        else:
            self.call_soon(_succeed, outcome, value)
        return outcome


def _succeed(outcome: "asyncio.Future[T]", value: T) -> None:
    if not outcome.cancelled():
        outcome.set_result(value)


def _fail(outcome: "asyncio.Future[Any]", error: Exception) -> None:
    if not outcome.cancelled():
        outcome.set_exception(error)


def simulate(work: Coroutine[Any, Any, T], *, seed: int = 0) -> T:
    """Run `work` to its end on a fresh `SimLoop`; raises `Deadlock` where a real run would hang."""
    with asyncio.Runner(loop_factory=lambda: SimLoop(seed)) as runner:
        return runner.run(work)
