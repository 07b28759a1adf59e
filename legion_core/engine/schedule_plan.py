"""Pure: which moments of a schedule are due, which of them run, and when it is looked at again.

The preview, the list of coming moments and the scheduler all ask `moments` here. Moments are milliseconds since the
epoch, UTC.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from itertools import islice, takewhile

from legion_core.engine.cron import parsed, zone
from legion_core.engine.cron_words import in_words
from legion_core.engine.refusal import InvalidDocument
from legion_core.engine.schedule_types import (
    EVERY_MAX_S,
    EVERY_MIN_S,
    JITTER_MAX_S,
    MISSED_MAX,
    Missed,
    ScheduleSpec,
)
from legion_core.kernel.config_check import Fault

GRACE_S = 60.0  # a moment taken up no later than this was kept; later, it was missed
COUNTED_MAX = 1_000  # more missed moments than this are not counted one by one
_BACK_FIRST_MS = 60_000
_CALENDAR_END_MS = 253_402_300_800_000  # the year 10000, which has no date here


@dataclass(frozen=True, slots=True)
class Timing:
    """When: a cron expression in a zone, or every so many milliseconds from `anchor_ms` on."""

    cron: str = ""
    zone: str = "UTC"
    every_ms: int = 0
    anchor_ms: int = 0

    def __post_init__(self) -> None:
        assert bool(self.cron) != bool(self.every_ms)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now: run the moments `starts`, oldest first.

    `left_out_count` moments are not run, the last of them `left_out_ms`, for the reason of the code `left_out_why`.
    """

    starts: tuple[int, ...]
    left_out_ms: int = 0
    left_out_count: int = 0
    left_out_why: str = ""


def timing_of(spec: ScheduleSpec, anchor_ms: int) -> Timing:
    """The timing of a specification without faults."""
    return Timing(spec.cron, spec.zone, round(spec.every_s * 1000), anchor_ms)


def checked_timing(cron: str, zone_name: str, every_s: float, anchor_ms: int) -> Timing:
    """The timing of these words; InvalidDocument names every fault of them."""
    found = _timing_faults(cron, every_s)
    if cron.strip() and not found:
        for read, word in ((parsed, cron), (zone, zone_name)):
            try:
                read(word)
            except InvalidDocument as error:
                key = "cron" if read is parsed else "zone"
                found += [
                    Fault(
                        each.key if each.key == "zone" else f"{key} {each.key}".strip(),
                        each.message,
                        each.hint,
                    )
                    for each in error.faults
                ]
    if found:
        raise InvalidDocument("The schedule", found)
    return Timing(cron, zone_name, round(every_s * 1000), anchor_ms)


def moments(timing: Timing, after_ms: int) -> Iterator[int]:
    """The moments strictly after `after_ms`, ascending; raises InvalidDocument for an expression or zone of no use."""
    if timing.every_ms:
        return _multiples(timing, after_ms)
    return _fires(timing, after_ms)


def next_moment(timing: Timing, after_ms: int) -> int:
    """The first moment after; 0 if there is none."""
    if timing.every_ms:
        return next(_multiples(timing, after_ms), 0)
    return _next_fire(timing.cron, timing.zone, after_ms)


def upcoming(timing: Timing, after_ms: int, jitter_s: float, seed: str) -> tuple[int, int]:
    """The first moment after, and when it is taken up: up to `jitter_s` later, but before the next; 0, 0 if there is none.

    The delay follows from `seed` and the moment, so that every process reckons the same one.
    """
    first = next_moment(timing, after_ms)
    if not first or not jitter_s:
        return first, first
    second = next_moment(timing, first)
    digest = hashlib.blake2b(f"{seed} {first}".encode(), digest_size=8).digest()
    room_ms = min(jitter_s * 1000, second - first - 1) if second else jitter_s * 1000
    return first, first + int(room_ms * int.from_bytes(digest) / 2**64)


def plan(
    timing: Timing, due_ms: int, now_ms: int, missed: Missed, missed_max: int, late_s: float = GRACE_S
) -> Plan:
    """What to do at `now_ms` about a schedule whose first moment not yet decided is `due_ms`, which has come.

    A moment over `late_s` ago was missed.
    """
    assert due_ms <= now_ms
    due, count = _due(timing, due_ms, now_ms, missed_max if missed == "all" else 1)
    if missed == "all":
        starts, why = due[-missed_max:], "schedule.missed"
    elif missed == "once":
        starts, why = due[-1:], "schedule.merged"
    else:
        starts, why = due[-1:], "schedule.missed"
        if now_ms - starts[0] > late_s * 1000:
            starts = []
    left = count - len(starts)
    if not left:
        return Plan(tuple(starts))
    # One row stands for all of them, in the place of the last, where it can hide no moment that runs.
    last = due[-1] if not starts else due[-len(starts) - 1] if len(due) > len(starts) else due_ms
    return Plan(tuple(starts), left_out_ms=last, left_out_count=left, left_out_why=why)


def timing_words(timing: Timing) -> str:
    """The timing as a person would say it."""
    if timing.cron:
        words = in_words(parsed(timing.cron))
        return words if timing.zone == "UTC" else f"{words}, {timing.zone}"
    seconds = timing.every_ms / 1000
    for unit_s, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= unit_s and seconds % unit_s == 0:
            number = int(seconds // unit_s)
            return f"every {name}" if number == 1 else f"every {number} {name}s"
    return "every second" if seconds == 1 else f"every {seconds:g} seconds"


def faults_of(spec: ScheduleSpec) -> list[Fault]:
    """Everything wrong with a specification, its target left aside."""
    found: list[Fault] = []
    try:
        checked_timing(spec.cron, spec.zone, spec.every_s, 0)
    except InvalidDocument as error:
        found += error.faults
    if not spec.name or len(spec.name) > 100 or not spec.name.isprintable() or spec.name != spec.name.strip():
        found.append(Fault("name", "has 1 to 100 printable characters.", "Such as nightly-report."))
    elif "/" in spec.name or spec.name in (".", ".."):
        found.append(Fault("name", "holds no slash.", "Such as nightly-report."))
    if not 1 <= spec.missed_max <= MISSED_MAX:
        found.append(Fault("missed_max", f"is 1 to {MISSED_MAX:,}."))
    if not 0 <= spec.jitter_s <= JITTER_MAX_S:
        found.append(Fault("jitter_s", f"is 0 to {JITTER_MAX_S:,.0f} seconds."))
    return found


def _timing_faults(cron: str, every_s: float) -> list[Fault]:
    if bool(cron.strip()) == bool(every_s):
        return [Fault("cron", "exactly one of `cron` and `every_s` is given.")]
    if every_s and not EVERY_MIN_S <= every_s <= EVERY_MAX_S:
        return [Fault("every_s", f"is {EVERY_MIN_S:g} to {EVERY_MAX_S:,.0f} seconds.")]
    return []


def at_ms(moment: datetime) -> int:
    """Milliseconds since the epoch."""
    return int(moment.timestamp() * 1000)


def moment_at(utc_ms: int) -> datetime:
    """The date of that many milliseconds, UTC."""
    return datetime.fromtimestamp(utc_ms / 1000, UTC)


def _multiples(timing: Timing, after_ms: int) -> Iterator[int]:
    number = max(1, (after_ms - timing.anchor_ms) // timing.every_ms + 1)
    while (moment := timing.anchor_ms + number * timing.every_ms) < _CALENDAR_END_MS:
        yield moment
        number += 1


@lru_cache(maxsize=4096)
def _next_fire(cron: str, zone_name: str, after_ms: int) -> int:
    # Kept: thousands of schedules may share an expression, and each decision asks about the same moment again.
    return next(_fires(Timing(cron, zone_name), after_ms), 0)


def _fires(timing: Timing, after_ms: int) -> Iterator[int]:
    for moment in parsed(timing.cron).fires(zone(timing.zone), moment_at(after_ms)):
        yield at_ms(moment)


def _due(timing: Timing, due_ms: int, now_ms: int, wanted: int) -> tuple[list[int], int]:
    """The latest due moments, at least `wanted` of them where there are so many, and how many are due in all."""
    following = next_moment(timing, due_ms)
    if not following or following > now_ms:
        return [due_ms], 1
    found = [due_ms, *islice(takewhile(lambda each: each <= now_ms, moments(timing, due_ms)), COUNTED_MAX)]
    if len(found) <= COUNTED_MAX:
        return found, len(found)
    if timing.every_ms:
        count = (now_ms - due_ms) // timing.every_ms + 1
        last = due_ms + (count - 1) * timing.every_ms
        return [last - back * timing.every_ms for back in range(min(wanted, count) - 1, -1, -1)], count
    # Too many to walk through (the machine slept for long, or the expression is dense): look backwards from now.
    span_ms = _BACK_FIRST_MS
    while True:
        start_ms = max(due_ms - 1, now_ms - span_ms)
        latest = list(takewhile(lambda each: each <= now_ms, moments(timing, start_ms)))
        if len(latest) >= wanted + 1 or start_ms < due_ms:
            return latest, max(len(latest), COUNTED_MAX)
        span_ms *= 4
