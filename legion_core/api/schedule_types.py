"""What a surface or the window sees of schedules: frozen values, cheap to import. The events are in `api.schedules`."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from legion_core.engine.schedule_types import (
    EVERY_MAX_S,
    EVERY_MIN_S,
    JITTER_MAX_S,
    MISSED_MAX,
    Missed,
    Occurrence,
    OccurrenceStatus,
    Overlap,
    ScheduleSpec,
    ScheduleState,
)

__all__ = [
    "EVERY_MAX_S",
    "EVERY_MIN_S",
    "JITTER_MAX_S",
    "MISSED_MAX",
    "Fires",
    "Missed",
    "Occurrence",
    "OccurrencePage",
    "OccurrenceStatus",
    "Overlap",
    "ScheduleRow",
    "ScheduleSpec",
    "ScheduleState",
]


class ScheduleRow(msgspec.Struct, frozen=True, kw_only=True):
    """A schedule at a glance; the fields of `ScheduleSpec`, and how it stands.

    `words` is its timing as a person would say it. `next` holds the coming moments (UTC), empty unless it is active.
    `problem` says why a `broken` one cannot go on; it goes on by itself once that is mended and it is resumed.
    `last` is the latest moment and what became of it.
    """

    id: str
    name: str
    target: str
    args: Mapping[str, Any]
    cron: str
    zone: str
    every_s: float
    missed: Missed
    missed_max: int
    overlap: Overlap
    jitter_s: float
    state: ScheduleState
    words: str
    next: tuple[datetime, ...] = ()
    last: Occurrence | None = None
    problem: str = ""
    created_at: datetime | None = None
    changed_at: datetime | None = None


class OccurrencePage(msgspec.Struct, frozen=True, kw_only=True):
    """Moments of one schedule, latest first; `next` continues below the last one, empty at the end."""

    occurrences: tuple[Occurrence, ...]
    next: str = ""


class Fires(msgspec.Struct, frozen=True, kw_only=True):
    """The next moments of a timing, UTC, and the timing in words."""

    fires: tuple[datetime, ...]
    words: str
