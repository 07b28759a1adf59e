"""What a change of clocks does to a schedule, told in sentences. Pure."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

AHEAD_DAYS = 400
NOTES_MAX = 3
OFTEN = 24  # what comes so often a day keeps its pace, whatever the clocks say
Fires = Callable[[datetime, int], Sequence[datetime]]
DAY = timedelta(days=1)


def transitions(
    zone: ZoneInfo, start: datetime, days: int = AHEAD_DAYS
) -> tuple[tuple[datetime, timedelta], ...]:
    """The moments (UTC) in the coming days when the zone's clocks change, and by how much."""
    found: list[tuple[datetime, timedelta]] = []
    at = start.astimezone(UTC)
    end = at + DAY * days
    while at < end:
        later = at + DAY
        before, after = _offset(zone, at), _offset(zone, later)
        if before != after:
            low, high = at, later
            while high - low > timedelta(seconds=1):
                middle = low + (high - low) / 2
                low, high = (middle, high) if _offset(zone, middle) == before else (low, middle)
            found.append((high.replace(microsecond=0), after - before))
        at = later
    return tuple(found)


def notes(zone_name: str, start: datetime, fires: Fires) -> tuple[str, ...]:
    """What happens to the fires on the days when the clocks change; `fires(after, count)` gives the moments after one."""
    zone = ZoneInfo(zone_name)
    place = zone_name.rpartition("/")[2].replace("_", " ")
    said: list[str] = []
    for moment, shift in transitions(zone, start):
        day = (moment - timedelta(seconds=1)).astimezone(zone).date()
        today, usual = _of_day(zone, day, fires), _of_day(zone, day - timedelta(days=7), fires)
        if len(usual) >= OFTEN:
            continue
        sentence = _sentence(zone, place, moment, shift, today, usual)
        if sentence:
            said.append(sentence)
        if len(said) == NOTES_MAX:
            break
    return tuple(said)


def _sentence(
    zone: ZoneInfo,
    place: str,
    moment: datetime,
    shift: timedelta,
    today: Sequence[datetime],
    usual: Sequence[datetime],
) -> str:
    local = moment.astimezone(zone)
    name = f"{local.day} {local:%B}"
    wall_today = [fire.astimezone(zone) for fire in today]
    times_today = [f"{fire:%H:%M}" for fire in wall_today]
    times_usual = {f"{fire.astimezone(zone):%H:%M}" for fire in usual}
    if shift > timedelta(0):
        gap_start = moment.astimezone(UTC) + _offset(zone, moment) - shift
        gap = {
            (gap_start + timedelta(minutes=at)).strftime("%H:%M")
            for at in range(int(shift.total_seconds() // 60))
        }
        lost = sorted(time for time in times_usual if time in gap and time not in times_today)
        if not lost:
            return ""
        first = f"{local:%H:%M}"
        if (
            len(lost) == 1
            and first in times_today
            and (first not in times_usual or times_today.count(first) > 1)
        ):
            return f"On {name} {lost[0]} does not exist in {place}. That run starts at {first}."
        which = lost[0] if len(lost) == 1 else f"{lost[0]} to {lost[-1]}"
        verb = "does" if len(lost) == 1 else "do"
        return f"On {name} {which} {verb} not exist in {place}: the clocks go forward, and nothing runs in the gap."
    twice = sorted({time for time in times_today if times_today.count(time) > 1})
    if twice:
        which = twice[0] if len(twice) == 1 else f"{twice[0]} to {twice[-1]}"
        comes = "comes" if len(twice) == 1 else "come"
        return f"On {name} {which} {comes} twice in {place}, and it runs both times."
    once = sorted(
        f"{fire:%H:%M}"
        for fire in wall_today
        if fire.replace(fold=0).utcoffset() != fire.replace(fold=1).utcoffset()
    )
    if once:
        return f"On {name} {once[0]} comes twice in {place}. It runs the first time."
    return ""


def _of_day(zone: ZoneInfo, day: date, fires: Fires) -> list[datetime]:
    start = datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
    found = fires(start - timedelta(milliseconds=1), 1000)
    return [fire for fire in found if fire.astimezone(zone).date() == day]


def _offset(zone: ZoneInfo, moment: datetime) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta(0)
