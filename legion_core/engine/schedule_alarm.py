"""One wake-up at a date, on the clock of the wall: it keeps the date through sleep and through clocks that are set.

A timer of the event loop counts time awake, so after a night's sleep it is late by a night. Linux has timers on the
date itself, which also tell when the clock was set (`timerfd`); elsewhere the date is looked at again now and then,
while something is waited for, and never otherwise.
"""

import asyncio
import contextlib
import ctypes
import os
import sys
from collections.abc import Callable
from typing import Protocol

from legion_core.kernel.clock import Clock

LOOK_S = 30.0  # where the system has no timer on the date
_CLOCK_REALTIME = 0
_TFD_NONBLOCK, _TFD_CLOEXEC = os.O_NONBLOCK if hasattr(os, "O_NONBLOCK") else 0, 0o2000000
_TFD_TIMER_ABSTIME, _TFD_TIMER_CANCEL_ON_SET = 1, 2


class Alarm(Protocol):
    """Rings `on_ring` once, at or soon after the date it was set to; also early, when the clock was set."""

    def set(self, utc_ms: int) -> None:
        """Ring at that date instead of any before; 0 is never."""
        ...

    def close(self) -> None:
        """Never ring again; idempotent."""
        ...


class LoopAlarm:
    """See `Alarm`: a timer of the loop, which looks at the date again at least every `look_s`."""

    def __init__(self, clock: Clock, on_ring: Callable[[], None], look_s: float = LOOK_S) -> None:
        self._clock = clock
        self._on_ring = on_ring
        self._look_s = look_s
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False

    def set(self, utc_ms: int) -> None:
        """See `Alarm`."""
        self._cancel()
        if utc_ms and not self._is_closed:
            wait_s = utc_ms / 1000 - self._clock.unix_s()
            self._timer = asyncio.get_running_loop().call_later(
                min(max(0.0, wait_s), self._look_s), self._ring
            )

    def close(self) -> None:
        """See `Alarm`."""
        self._is_closed = True
        self._cancel()

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        self._timer = None
        self._on_ring()


class DateAlarm:
    """See `Alarm`: Linux's timer on the date. OSError where the system has none."""

    def __init__(self, on_ring: Callable[[], None]) -> None:
        self._on_ring = on_ring
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._handle = self._libc.timerfd_create(_CLOCK_REALTIME, _TFD_NONBLOCK | _TFD_CLOEXEC)
        if self._handle < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._handle, self._ring)

    def set(self, utc_ms: int) -> None:
        """See `Alarm`."""
        if self._handle < 0:
            return
        spec = _Spec(_Time(0, 0), _Time(utc_ms // 1000, utc_ms % 1000 * 1_000_000))
        flags = _TFD_TIMER_ABSTIME | _TFD_TIMER_CANCEL_ON_SET
        if self._libc.timerfd_settime(self._handle, flags, ctypes.byref(spec), None) < 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime")

    def close(self) -> None:
        """See `Alarm`."""
        if self._handle >= 0:
            self._loop.remove_reader(self._handle)
            os.close(self._handle)
            self._handle = -1

    def _ring(self) -> None:
        with contextlib.suppress(OSError):  # ECANCELED: the clock was set, which is a reason to ring
            os.read(self._handle, 8)
        self._on_ring()


class _Time(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Spec(ctypes.Structure):
    _fields_ = (("interval", _Time), ("value", _Time))


def system_alarm(clock: Clock, on_ring: Callable[[], None]) -> Alarm:
    """The best this system has."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            return DateAlarm(on_ring)
    return LoopAlarm(clock, on_ring)
