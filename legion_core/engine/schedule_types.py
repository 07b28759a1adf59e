"""Pure: schedules as they are kept: when, what, and what to do where the moment cannot be kept."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

from legion_core.engine.types import Reason

Missed = Literal["skip", "once", "all"]
Overlap = Literal["skip", "queue", "cancel", "allow"]
ScheduleState = Literal["active", "paused", "broken"]
OccurrenceStatus = Literal["started", "waiting", "skipped", "blocked"]

MISSED_MAX = 1_000
JITTER_MAX_S = 86_400.0
EVERY_MIN_S, EVERY_MAX_S = 1.0, 10 * 366 * 86_400.0


class ScheduleSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What somebody wants done again and again: either `cron` in `zone`, or `every_s` seconds.

    `target` is a task, EXTENSION.RUNNER.FUNCTION, or `chain:NAME`; `args` are its arguments. `missed` says what
    becomes of moments that passed while nothing ran here: none of them is made up for (`skip`), one run for all
    (`once`), or each, at most the latest `missed_max` (`all`). `overlap` says what happens while the run before goes
    on: this one is left out (`skip`), begins when that one ends, at most one waiting (`queue`), ends that one
    (`cancel`), or runs beside it (`allow`). Each run begins up to `jitter_s` seconds late, by chance.
    """

    name: str
    target: str
    args: Mapping[str, Any] = msgspec.field(default_factory=dict[str, Any])
    cron: str = ""
    zone: str = "UTC"
    every_s: float = 0.0
    missed: Missed = "once"
    missed_max: int = 100
    overlap: Overlap = "skip"
    jitter_s: float = 0.0


class Occurrence(msgspec.Struct, frozen=True, kw_only=True):
    """One moment of a schedule and what became of it: there is at most one for each moment, ever.

    `at` is the moment as the expression says, `decided_at` when it was taken up. `task` or `run` is what was started.
    A row that stands for several skipped moments has their number in `count`, and the last of them in `at`.
    `fencing` grows by one with each decision about the schedule, whichever process took it.
    """

    schedule: str
    at: datetime
    decided_at: datetime
    status: OccurrenceStatus
    task: str = ""
    run: str = ""
    reason: Reason | None = None
    count: int = 1
    fencing: int = 0
    by: str = ""
