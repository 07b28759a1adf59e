"""Pure: a cron expression in words for people: `0 9 * * MON-FRI` is "every weekday at 09:00"."""

import re

from legion_core.engine.cron import Cron

_DAY_NAMES = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
_MONTH_NAMES = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_TIMES_MAX = 4


def in_words(cron: Cron) -> str:
    """One phrase, in lower case at its start, without a full stop."""
    second, minute, hour, day, month, weekday = cron.fields
    phrase = _phrase(minute, hour, day, weekday) if second == "0" else None
    if phrase is None or "*" in month[1:]:
        return _field_by_field(cron)
    if month == "*":
        return phrase
    if not _is_list(month):
        return _field_by_field(cron)
    phrase = phrase.replace(" of every month", "")
    return f"{phrase} in {_listed([_MONTH_NAMES[int(each) - 1] for each in month.split(',')])}"


def _phrase(minute: str, hour: str, day: str, weekday: str) -> str | None:
    interval = _interval(minute, hour)
    days = _days(day, weekday)
    if days is None:
        return None
    if interval is not None:
        on = {"every day": "", "every weekday": " on weekdays"}.get(
            days, f" {days.replace('every ', 'on every ', 1)}"
        )
        return f"{interval}{on}"
    if not (_is_list(minute) and _is_list(hour)):
        return None
    times = [f"{int(each):02}:{int(part):02}" for each in hour.split(",") for part in minute.split(",")]
    return f"{days} at {_listed(times)}" if len(times) <= _TIMES_MAX else None


def _interval(minute: str, hour: str) -> str | None:
    steps = re.fullmatch(r"\*/(\d+)", minute)
    if steps and 60 % int(steps[1]):
        return None  # the last stretch of the hour is shorter, so it is not "every 7 minutes"
    every = "every minute" if minute == "*" else f"every {steps[1]} minutes" if steps else None
    if every is not None:
        if hour == "*":
            return every
        hours = [int(each) for each in hour.split(",")] if _is_list(hour) else []
        if hours and hours == list(range(hours[0], hours[-1] + 1)):
            return f"{every} from {hours[0]:02}:00 to {hours[-1]:02}:59"
        return None
    if not minute.isdigit():
        return None
    past = "" if minute == "0" else f" at {minute} past"
    if (stretch := _stretch(minute, hour)) is not None:
        return stretch
    hourly = re.fullmatch(r"\*/(\d+)", hour)
    if hour == "*":
        return f"every hour{past}"
    return f"every {hourly[1]} hours{past}" if hourly and 24 % int(hourly[1]) == 0 else None


def _stretch(minute: str, hour: str) -> str | None:
    """`every 2 hours from 09:00 to 17:00`, for more hours than are named one by one."""
    hours = [int(each) for each in hour.split(",")] if _is_list(hour) else []
    if len(hours) <= _TIMES_MAX:
        return None
    step = hours[1] - hours[0]
    if hours != list(range(hours[0], hours[-1] + 1, step)):
        return None
    every = "every hour" if step == 1 else f"every {step} hours"
    return f"{every} from {hours[0]:02}:{int(minute):02} to {hours[-1]:02}:{int(minute):02}"


def _days(day: str, weekday: str) -> str | None:
    if day == "*" and weekday == "*":
        return "every day"
    on_day = _month_days(day) if day != "*" else None
    on_weekday = _weekdays(weekday) if weekday != "*" else None
    if (day != "*" and on_day is None) or (weekday != "*" and on_weekday is None):
        return None
    if on_day and on_weekday:
        return f"{on_day} and {on_weekday}"
    return on_day or on_weekday


def _weekdays(weekday: str) -> str | None:
    if weekday in ("1,2,3,4,5", "0,6", "6,7", "6,0"):
        return "every weekday" if weekday.startswith("1") else "every Saturday and Sunday"
    if match := re.fullmatch(r"([0-7])L", weekday):
        return f"on the last {_DAY_NAMES[int(match[1]) % 7]} of every month"
    if match := re.fullmatch(r"([0-7])#([1-5])", weekday):
        return f"on the {_ordinal(int(match[2]))} {_DAY_NAMES[int(match[1]) % 7]} of every month"
    if not _is_list(weekday):
        return None
    return f"every {_listed([_DAY_NAMES[int(each) % 7] for each in weekday.split(',')])}"


def _month_days(day: str) -> str | None:
    if day in ("L", "LW"):
        return f"on the last {'day' if day == 'L' else 'weekday'} of every month"
    if not _is_list(day):
        return None
    return f"on the {_listed([_ordinal(int(each)) for each in day.split(',')])} of every month"


def _is_list(field: str) -> bool:
    return re.fullmatch(r"\d+(,\d+)*", field) is not None


def _ordinal(number: int) -> str:
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _field_by_field(cron: Cron) -> str:
    """What has no short phrase: every field that says something, for itself."""
    second, minute, hour, day, month, weekday = cron.fields
    days = (
        _days(day, weekday) or f"on days {_spaced(day)} of the month or days {_spaced(weekday)} of the week"
    )
    parts = [days]
    if month != "*":
        is_list = _is_list(month)
        names = _listed([_MONTH_NAMES[int(each) - 1] for each in month.split(",")]) if is_list else ""
        parts.append(f"in {names}" if is_list else f"in months {_spaced(month)}")
    parts.append("in every hour" if hour == "*" else f"at hour {_spaced(hour)}")
    parts.append("in every minute" if minute == "*" else f"minute {_spaced(minute)}")
    if second != "0":
        parts.append("in every second" if second == "*" else f"second {_spaced(second)}")
    return ", ".join(parts)


def _spaced(field: str) -> str:
    return field.replace(",", ", ").replace("*/", "every ")
