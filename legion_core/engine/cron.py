"""Pure: cron expressions: the grammar, and the moments they stand for in a zone.

    ┌──────── second 0-59, only where there are six fields
    │ ┌────── minute 0-59
    │ │ ┌──── hour 0-23
    │ │ │ ┌── day of month 1-31, L (the last), LW (the last weekday)
    │ │ │ │ ┌ month 1-12 or JAN-DEC
    │ │ │ │ │ ┌ day of week 0-7 (0 and 7 are Sunday) or SUN-SAT, 5L (the last Friday), 5#2 (the second)
    * * * * * *

The whole of it is `docs/schedules.md`. Libraries were held against a minute-by-minute reading first: `cronsim` 2.8
loses a run on the days when Lord Howe shifts its clocks by half an hour, `croniter` differs from Debian in the gap. So
the moments are found here, day by day, by what the zone says of that day.
"""

from bisect import bisect_right
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import islice
from typing import NamedTuple
from zoneinfo import ZoneInfo

from legion_core.engine.refusal import InvalidDocument, shown
from legion_core.kernel.config_check import Fault

CHARS_MAX = 200
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


_MINUTE = timedelta(minutes=1)


class _Field(NamedTuple):
    name: str
    low: int
    high: int
    words: tuple[str, ...] = ()


_FIELDS = (
    _Field("second", 0, 59),
    _Field("minute", 0, 59),
    _Field("hour", 0, 23),
    _Field("day of month", 1, 31),
    _Field("month", 1, 12, MONTHS),
    _Field("day of week", 0, 7, DAYS),
)


@dataclass(frozen=True, slots=True)
class Cron:
    """An expression that is sound. `fields` are its six fields in plain numbers, seconds first.

    `is_fixed` means it names times of day: then a time that the clocks skip runs at the first moment after the gap,
    and one that comes twice runs the first time. Otherwise it follows elapsed time.
    """

    text: str
    fields: tuple[str, str, str, str, str, str]
    is_fixed: bool
    seconds: tuple[int, ...]
    minutes: tuple[int, ...]  # of the day, ascending
    days: "Days"

    def fires(self, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
        """The moments (UTC) strictly after `after` (aware), ascending; ends with the year 9999.

        UTC, because two local times of one zone compare by the clock on the wall, which goes back once a year.
        """
        assert after.tzinfo is not None
        last = after.astimezone(UTC)
        try:
            for minute in self._minutes(zone, last):
                for second in self.seconds:
                    moment = minute + timedelta(seconds=second)
                    # Two times in one gap become one moment, and so may two days where a zone skipped one.
                    if moment > last:
                        last = moment
                        yield moment
        except (OverflowError, ValueError):
            return

    def _minutes(self, zone: ZoneInfo, after: datetime) -> Iterator[datetime]:
        """The minutes (UTC) from the one of `after` on; some may come twice."""
        since = after - _MINUTE
        # A time of the day before may be due today, where the zone skipped the end of that day or all of it.
        for day in self.days.from_day(since.astimezone(zone).date() - timedelta(days=2)):
            midnight = datetime.combine(day, time())
            offset = _offset(midnight, zone)
            if offset == _offset(midnight + timedelta(days=1), zone):
                start = (midnight - offset).replace(tzinfo=UTC)
                first = bisect_right(self.minutes, (since - start) // _MINUTE)
                for minute in self.minutes[first:]:
                    yield start + timedelta(minutes=minute)
            else:
                yield from self._around_change(midnight, zone, since)

    def _around_change(self, midnight: datetime, zone: ZoneInfo, since: datetime) -> Iterator[datetime]:
        """The minutes of a day on which the clocks change."""
        found: set[datetime] = set()
        for minute in self.minutes:
            local = midnight + timedelta(minutes=minute)
            moments = [_moment(local, zone, fold) for fold in (0, 1)]
            if self.is_fixed:
                while moments[0] is None:
                    local += _MINUTE
                    moments[0] = _moment(local, zone, 0)
                del moments[1]
            found.update(moment for moment in moments if moment is not None and moment > since)
        yield from sorted(found)


@dataclass(frozen=True, slots=True)
class Days:
    """Which days an expression is for."""

    months: frozenset[int]
    in_month: frozenset[int]
    is_last: bool
    is_last_weekday: bool
    weekdays: frozenset[int]  # 0 is Sunday
    last_weekdays: frozenset[int]
    nth_weekdays: frozenset[tuple[int, int]]
    needs_both: bool

    def from_day(self, day: date) -> Iterator[date]:
        """Every such day from `day` on."""
        while True:
            if day.month not in self.months:
                day = date(day.year + day.month // 12, day.month % 12 + 1, 1)
                continue
            if self.has(day):
                yield day
            day += timedelta(days=1)

    def has(self, day: date) -> bool:
        """Whether it is one of them; its month is known to be."""
        by_day, by_weekday = self._by_day(day), self._by_weekday(day)
        return by_day and by_weekday if self.needs_both else by_day or by_weekday

    def _by_day(self, day: date) -> bool:
        if day.day in self.in_month:
            return True
        if not (self.is_last or self.is_last_weekday) or day.day < 26:
            return False
        last = monthrange(day.year, day.month)[1]
        if self.is_last and day.day == last:
            return True
        weekend = max(0, date(day.year, day.month, last).weekday() - 4)  # Saturday 1, Sunday 2
        return self.is_last_weekday and day.day == last - weekend

    def _by_weekday(self, day: date) -> bool:
        weekday = day.isoweekday() % 7
        if weekday in self.weekdays or (weekday, (day.day + 6) // 7) in self.nth_weekdays:
            return True
        return weekday in self.last_weekdays and day.day + 7 > monthrange(day.year, day.month)[1]


@lru_cache(maxsize=1024)
def parsed(text: str) -> Cron:
    """The expression, checked; raises InvalidDocument with every fault in it."""
    reader = _Reader(text)
    cron = reader.cron()
    if reader.faults or cron is None:
        raise InvalidDocument("The cron expression", reader.faults)
    return cron


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """The zone of that name in the IANA database; raises InvalidDocument."""
    try:
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError, TypeError):
        hint = "Write it as Europe/Berlin, or UTC."
        raise InvalidDocument(
            "The schedule", [Fault("zone", f"there is no zone {shown(name)}.", hint)]
        ) from None


def next_fires(text: str, zone_name: str, after: datetime, count: int) -> tuple[datetime, ...]:
    """The next `count` moments (UTC) after `after`; fewer only at the end of the calendar.

    The preview and the scheduler both ask here. Raises InvalidDocument for a text or zone that cannot be used.
    """
    return tuple(islice(parsed(text).fires(zone(zone_name), after), max(0, count)))


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.faults: list[Fault] = []

    def cron(self) -> Cron | None:
        if len(self.text) > CHARS_MAX:
            return self._fault("", f"has {len(self.text)} characters; at most {CHARS_MAX} are taken.")
        words = self.text.split()
        if len(words) == 1 and words[0].startswith("@"):
            expression = MACROS.get(words[0].lower())
            if expression is None:
                return self._fault("", f"there is no {shown(words[0])}.", _hint(words[0]))
            words = expression.split()
        if len(words) not in (5, 6):
            return self._fault(
                "",
                f"has {len(words)} fields, not five (or six, with seconds first).",
                "Such as: 0 9 * * MON-FRI",
            )
        if len(words) == 5:
            words = ["0", *words]
        fields = [self._field(word.upper(), field) for word, field in zip(words, _FIELDS, strict=True)]
        if self.faults:
            return None
        second, minute, hour, day, month, weekday = fields
        if not _ever_comes(fields):
            return self._fault("", f"{self.text!r} never comes: no such month has that day.")
        return Cron(
            text=self.text,
            fields=(second, minute, hour, day, month, weekday),
            is_fixed=not minute.startswith("*") and not hour.startswith("*"),
            seconds=tuple(sorted(_members(second, _FIELDS[0]))),
            minutes=tuple(
                one * 60 + part
                for one in sorted(_members(hour, _FIELDS[2]))
                for part in sorted(_members(minute, _FIELDS[1]))
            ),
            days=_days(day, month, weekday),
        )

    def _field(self, word: str, field: _Field) -> str:
        """The field in plain numbers; steps are written out, but a leading `*` stays, for it has a meaning."""
        items = [self._item(item, field) for item in word.split(",")]
        return ",".join(item for item in items if item)

    def _item(self, item: str, field: _Field) -> str:
        if field.name == "day of month" and item in ("L", "LW"):
            return item
        if field.name == "day of week" and (special := self._special(item, field)) is not None:
            return special
        span, slash, step = item.partition("/")
        stride = self._step(step, field) if slash else 1
        if span == "*":
            return "*" if stride == 1 else f"*/{stride}"
        first, dash, last = span.partition("-")
        low = self._number(first, field)
        high = self._number(last, field, is_last=True) if dash else (field.high if slash else low)
        if low is None or high is None or stride is None:
            return ""
        if field.name == "day of week" and slash and not dash:
            high = 6  # 7 is 0 once more
        if high < low:
            self._fault(
                field.name, f"{item!r} goes backwards.", "Write it as two ranges, with a comma between."
            )
            return ""
        return ",".join(map(str, range(low, high + 1, stride)))

    def _special(self, item: str, field: _Field) -> str | None:
        """`5L` and `5#2`, None if the item is neither."""
        if "#" in item:
            day, _, number = item.partition("#")
            found = self._number(day, field)
            if number not in ("1", "2", "3", "4", "5"):
                self._fault(field.name, f"{item!r}: after # stands a number from 1 to 5.")
            return f"{found}#{number}"
        if item.endswith("L") and item != "L":
            found = self._number(item[:-1], field)
            return f"{found}L"
        return None

    def _step(self, step: str, field: _Field) -> int | None:
        width = (6 if field.name == "day of week" else field.high) - field.low
        if not (step.isascii() and step.isdigit() and len(step) < 4 and 1 <= int(step) <= width):
            self._fault(field.name, f"a step is a number from 1 to {width}, not {shown(step)}.")
            return None
        return int(step)

    def _number(self, word: str, field: _Field, *, is_last: bool = False) -> int | None:
        if word in field.words:
            found = field.words.index(word) + (1 if field.name == "month" else 0)
            return 7 if is_last and word == "SUN" else found  # MON-SUN is a week
        if word.isascii() and word.isdigit() and len(word) < 4 and field.low <= int(word) <= field.high:
            return int(word)
        names = f" or {field.words[0]} to {field.words[-1]}" if field.words else ""
        hint = "Write * for any." if word == "?" else ""
        self._fault(field.name, f"expected {field.low} to {field.high}{names}, found {shown(word)}.", hint)
        return None

    def _fault(self, where: str, message: str, hint: str = "") -> None:
        self.faults.append(Fault(where, message, hint))


def _hint(macro: str) -> str:
    if macro.lower() == "@reboot":
        return "An actor of the kind `once` runs at start."
    if macro.lower() == "@every":
        return "Give an interval in seconds instead of a cron expression."
    return f"There are {', '.join(MACROS)}."


def _members(text: str, field: _Field) -> set[int]:
    """The numbers a field stands for, leaving out `L` and `#`."""
    found: set[int] = set()
    for item in text.split(","):
        span, _, step = item.partition("/")
        if span == "*":
            found.update(range(field.low, field.high + 1, int(step or 1)))
        elif item.isdigit():
            found.add(int(item))
    return found


def _days(day: str, month: str, weekday: str) -> Days:
    parts = weekday.split(",")
    nth = [part.split("#") for part in parts if "#" in part]
    return Days(
        months=frozenset(_members(month, _FIELDS[4])),
        in_month=frozenset(_members(day, _FIELDS[3])),
        is_last="L" in day.split(","),
        is_last_weekday="LW" in day.split(","),
        weekdays=frozenset(each % 7 for each in _members(weekday, _FIELDS[5])),
        last_weekdays=frozenset(int(part[:-1]) % 7 for part in parts if part.endswith("L")),
        nth_weekdays=frozenset((int(which) % 7, int(number)) for which, number in nth),
        needs_both=day.startswith("*") or weekday.startswith("*"),
    )


def _ever_comes(fields: list[str]) -> bool:
    """Whether some month has the day; asked only where the day of month must hold."""
    day, month, weekday = fields[3:]
    if "L" in day or not (day.startswith("*") or weekday.startswith("*")):
        return True
    longest = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}
    return min(_members(day, _FIELDS[3])) <= max(
        longest.get(each, 31) for each in _members(month, _FIELDS[4])
    )


def _offset(local: datetime, zone: ZoneInfo) -> timedelta:
    """How far the zone is from UTC at a local time; before the change where the time is skipped or comes twice."""
    return local.replace(tzinfo=zone).utcoffset() or timedelta()


def _moment(local: datetime, zone: ZoneInfo, fold: int) -> datetime | None:
    """The moment (UTC) of a local time, the first or the second time it comes; None if it is skipped."""
    moment = local.replace(tzinfo=zone, fold=fold).astimezone(UTC)
    return moment if moment.astimezone(zone).replace(tzinfo=None, fold=0) == local else None
