"""Time, read at one place so that tests can own it."""

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Readings that must never be mixed: intervals and dates."""

    def monotonic_s(self) -> float:
        """Seconds on a clock that never steps; only differences mean anything."""
        ...

    def utc_now(self) -> datetime:
        """The date and time to store and to show, timezone-aware UTC."""
        ...

    def unix_s(self) -> float:
        """The same as seconds since 1970."""
        ...


class SystemClock:
    """The machine's own clock."""

    def monotonic_s(self) -> float:
        """See `Clock`."""
        return time.monotonic()

    def utc_now(self) -> datetime:
        """See `Clock`."""
        return datetime.now(UTC)

    def unix_s(self) -> float:
        """See `Clock`."""
        return time.time()


def iso(moment: datetime) -> str:
    """RFC 3339 with milliseconds and `Z`, the one form stored and sent."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
