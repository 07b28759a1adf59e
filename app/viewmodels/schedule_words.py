"""A schedule in the words of its page: when, when next, how the last moment went. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from zoneinfo import ZoneInfo

from app.viewmodels import wording
from app.viewmodels.schedule_reading import Run
from app.viewmodels.schedule_week import State
from legion_core.api.schedule_types import ScheduleRow

PILLS: dict[State, tuple[str, str, str]] = {
    "ok": ("OK", "ok", "circle-check"),
    "failed": ("Failed", "err", "circle-x"),
    "missed": ("Left out", "warn", "triangle-alert"),
    "running": ("Running", "accent", "loader"),
    "coming": ("Coming", "neutral", "clock"),
}


@dataclass(frozen=True, slots=True)
class ScheduleWords:
    """A line of the list; `rule` is the timing as it is written."""

    name: str
    target: str
    when: str
    rule: str
    next: str
    next_at: str
    pill: tuple[str, str, str] | None
    took: str
    is_active: bool
    problem: str

    @property
    def spoken(self) -> str:
        """The line as a screen reader says it."""
        parts = [
            self.name, "on" if self.is_active else "paused", self.when, f"runs {self.target}", f"next {self.next}",
            self.pill[0] if self.pill else "has not run yet", self.took, self.problem,
        ]  # fmt: skip
        return ", ".join(part for part in parts if part and part != wording.DASH)


def words_of(row: ScheduleRow, last: Run | None, now: datetime, zone: tzinfo | None) -> ScheduleWords:
    """The line of a schedule; moments are shown in `zone`."""
    return ScheduleWords(
        name=row.name,
        target=row.target.removeprefix("chain:"),
        when=capital(timing_words(row.words, row.zone, keeps=_differs(row.zone, now))) or wording.DASH,
        rule=row.cron or every_words(row.every_s),
        next=next_words(row, now),
        next_at=moment_words(row.next[0], now, zone) if row.next else wording.DASH,
        pill=pill_of(row, last),
        took=wording.duration(last.took_s) if last else wording.DASH,
        is_active=row.state == "active",
        problem=row.problem,
    )


def pill_of(row: ScheduleRow, last: Run | None) -> tuple[str, str, str] | None:
    """How it stands: broken and paused before how the last moment went; None where it never fired."""
    if row.state == "broken":
        return ("Broken", "err", "triangle-alert")
    if row.state == "paused":
        return ("Paused", "neutral", "circle-pause")
    return run_pill(last) if last else None


def run_pill(run: Run) -> tuple[str, str, str]:
    """How one moment went."""
    if run.state == "missed" and run.occurrence.reason is not None:
        words = {
            "schedule.missed": "Missed",
            "schedule.merged": "Missed",
            "schedule.overlap": "Left out",
        }.get(run.occurrence.reason.code, "Left out")
        return (f"{words} {run.occurrence.count}" if words == "Missed" else words, "warn", "triangle-alert")
    if run.occurrence.status == "waiting":
        return ("Waiting", "neutral", "clock")
    if run.occurrence.status == "blocked":
        return ("Blocked", "err", "hand")
    return PILLS[run.state]


def next_words(row: ScheduleRow, now: datetime) -> str:
    """`in 4 min`, `in 1 d 17 h`, `paused`, `never`."""
    if row.state == "paused":
        return "paused"
    if row.state == "broken":
        return "broken"
    return until_words(row.next[0], now) if row.next else "never"


def until_words(moment: datetime, now: datetime) -> str:
    """`now`, `in 40 s`, `in 4 min`, `in 3 h 20 min`, `in 1 d 17 h`."""
    seconds = (moment - now).total_seconds()
    if seconds < 1:
        return "now"
    if seconds < 60:
        return f"in {seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"in {minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"in {hours} h {minutes} min" if minutes and hours < 6 else f"in {hours} h"
    days, hours = divmod(hours, 24)
    return f"in {days} d {hours} h" if hours and days < 7 else f"in {wording.plural(days, 'day')}"


def moment_words(moment: datetime, now: datetime, zone: tzinfo | None) -> str:
    """`14:10` today, `Sun 01:30` within a week, then `2 Dec 01:30`."""
    local, today = moment.astimezone(zone), now.astimezone(zone)
    days = (local.date() - today.date()).days
    clock = f"{local:%H:%M:%S}" if local.second else f"{local:%H:%M}"
    if days == 0:
        return clock
    return f"{local:%a} {clock}" if 0 < days < 7 else f"{local.day} {local:%b} {clock}"


def fire_words(moment: datetime, zone: tzinfo | None) -> tuple[str, str, str]:
    """`(Sun 23 Nov, 01:30, 01:30 in UTC)` for the list of coming moments."""
    local, utc = moment.astimezone(zone), moment.astimezone(UTC)
    shape = "%H:%M:%S" if local.second else "%H:%M"
    return f"{local:%a} {local.day} {local:%b}", f"{local:{shape}}", f"{utc:{shape}}"


def every_words(seconds: float) -> str:
    """`every 6 h`."""
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length and seconds % length == 0:
            return f"every {seconds / length:.0f} {unit}"
    return f"every {seconds:g} s"


def timing_words(words: str, zone: str, *, keeps: bool = False) -> str:
    """The timing without its zone, where that stands beside it."""
    return words if keeps else words.removesuffix(f", {zone}")


def _differs(zone: str, now: datetime) -> bool:
    """Whether that zone's clock shows something else now."""
    try:
        return now.astimezone(ZoneInfo(zone)).utcoffset() != now.utcoffset()
    except (ValueError, OSError):
        return True


def capital(words: str) -> str:
    """With a capital at its beginning."""
    return words[:1].upper() + words[1:]
