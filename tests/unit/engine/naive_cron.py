"""`docs/schedules.md` read a second time, minute by minute, with nothing clever in it."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
NAMES = {
    "month": ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
    "weekday": ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
}
RANGES = {
    "second": (0, 59),
    "minute": (0, 59),
    "hour": (0, 23),
    "day": (1, 31),
    "month": (1, 12),
    "weekday": (0, 6),
}


def number(word: str, field: str) -> int:
    names = NAMES.get(field, [])
    return names.index(word.upper()) + (field == "month") if word.upper() in names else int(word)


def values(text: str, field: str) -> set[int]:
    low, high = RANGES[field]
    found: set[int] = set()
    for item in text.split(","):
        span, _, step = item.partition("/")
        if span == "*":
            first, last = low, high
        elif "-" in span:
            first, last = (number(word, field) for word in span.split("-"))
            last = 7 if field == "weekday" and last == 0 and first > 0 else last
        else:
            first = number(span, field)
            last = high if step else first
        found |= set(range(first, last + 1, int(step or 1)))
    return {each % 7 for each in found} if field == "weekday" else found


def last_day(day: date) -> int:
    after = date(day.year + day.month // 12, day.month % 12 + 1, 1)
    return (after - timedelta(days=1)).day


def fits_day(text: str, day: date) -> bool:
    if text == "L":
        return day.day == last_day(day)
    if text == "LW":
        at = date(day.year, day.month, last_day(day))
        while at.weekday() > 4:
            at -= timedelta(days=1)
        return day == at
    return day.day in values(text, "day")


def fits_weekday(text: str, day: date) -> bool:
    ours = day.isoweekday() % 7
    if text.endswith("L"):
        return ours == int(text[:-1]) % 7 and day.day + 7 > last_day(day)
    if "#" in text:
        which, _, nth = text.partition("#")
        return ours == number(which, "weekday") % 7 and (day.day + 6) // 7 == int(nth)
    return ours in values(text, "weekday")


def fits(text_day: str, text_weekday: str, text_month: str, day: date) -> bool:
    if day.month not in values(text_month, "month"):
        return False
    by_day, by_weekday = fits_day(text_day, day), fits_weekday(text_weekday, day)
    needs_both = text_day.startswith("*") or text_weekday.startswith("*")
    return by_day and by_weekday if needs_both else by_day or by_weekday


@cache
def offset(zone: str, moment: datetime) -> timedelta:
    found = moment.astimezone(ZoneInfo(zone)).utcoffset()
    assert found is not None
    return found


def first_valid(naive: datetime, zone: str) -> datetime:
    """The moment a local time stands for; the first of two, and the first after a gap for one that is skipped."""
    at = naive
    while True:
        moment = at.replace(tzinfo=ZoneInfo(zone), fold=0).astimezone(UTC)
        if moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None, fold=0) == at:
            return moment
        at += MINUTE


def fires(expression: str, zone: str, start: datetime, end: datetime) -> list[datetime]:
    """Every moment in (start, end], ascending, UTC. Both on a whole minute."""
    words = expression.split()
    words = words if len(words) == 6 else ["0", *words]
    second, minute, hour, day, month, weekday = words
    seconds = sorted(values(second, "second"))
    if minute.startswith("*") or hour.startswith("*"):
        minutes = list(elapsed(minute, hour, day, month, weekday, zone, start - MINUTE, end))
    else:
        minutes = sorted(set(fixed(minute, hour, day, month, weekday, zone, start, end)))
    moments = [each + timedelta(seconds=one) for each in minutes for one in seconds]
    return [moment for moment in moments if start < moment <= end]


def fixed(
    minute: str, hour: str, day: str, month: str, weekday: str, zone: str, start: datetime, end: datetime
) -> Iterator[datetime]:
    at, last = start.date() - timedelta(days=3), end.date() + timedelta(days=3)
    while at <= last:
        if fits(day, weekday, month, at):
            for one in values(hour, "hour"):
                for part in values(minute, "minute"):
                    yield first_valid(datetime(at.year, at.month, at.day, one, part), zone)  # noqa: DTZ001
        at += timedelta(days=1)


def elapsed(
    minute: str, hour: str, day: str, month: str, weekday: str, zone: str, start: datetime, end: datetime
) -> Iterator[datetime]:
    minutes, hours = values(minute, "minute"), values(hour, "hour")
    days: dict[date, bool] = {}
    at = start
    while at <= end:
        top = at.replace(minute=0)
        same = offset(zone, top) == offset(zone, top + timedelta(hours=1))
        local = at + (offset(zone, top) if same else offset(zone, at))
        if local.minute in minutes and local.hour in hours:
            on = local.date()
            if on not in days:
                days[on] = fits(day, weekday, month, on)
            if days[on]:
                yield at
        at += MINUTE
