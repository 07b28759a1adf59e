"""A clock that a test owns: it stands still, follows a simulated loop, or is moved by hand."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

START_UTC = datetime(2026, 1, 1, tzinfo=UTC)


class SimClock:
    """Both readings from one virtual time; the date may be wrong and may step, the interval clock never does."""

    def __init__(self, *, source: Callable[[], float] | None = None, start_utc: datetime = START_UTC) -> None:
        self._source = source or (lambda: 0.0)
        self._start_utc = start_utc
        self._advanced_s = 0.0
        self._skew_s = 0.0

    @classmethod
    def on_loop(cls, *, start_utc: datetime = START_UTC) -> "SimClock":
        """A clock that reads the running loop's time, which on a `SimLoop` is virtual."""
        return cls(source=asyncio.get_running_loop().time, start_utc=start_utc)

    def monotonic_s(self) -> float:
        """See `Clock`."""
        return self._source() + self._advanced_s

    def utc_now(self) -> datetime:
        """See `Clock`."""
        return self._start_utc + timedelta(seconds=self.monotonic_s() + self._skew_s)

    def unix_s(self) -> float:
        """See `Clock`."""
        return self.utc_now().timestamp()

    def advance(self, by_s: float) -> None:
        """Let time pass; never backwards."""
        assert by_s >= 0, "time does not run backwards; `step_date` moves the date alone"
        self._advanced_s += by_s

    def step_date(self, by_s: float) -> None:
        """Set the date forwards or backwards, as a user or a time server does; intervals do not notice."""
        self._skew_s += by_s
