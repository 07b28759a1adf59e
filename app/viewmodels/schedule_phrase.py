"""A timing said in plain words, as cron or as an interval: `every weekday at 9`, `every 10 minutes`. Pure."""

import re
from dataclasses import dataclass

DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5}
NUMBERS = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "ten": 10, "fifteen": 15, "twenty": 20, "thirty": 30, "half an": 0}  # fmt: skip
UNITS_S = {"second": 1, "minute": 60, "min": 60, "hour": 3600, "day": 86_400, "week": 604_800}
EXAMPLES = (
    "every weekday at 9:00",
    "every 10 minutes",
    "monday and thursday at 18:30",
    "on the 1st of every month at 7",
    "every 2 hours from 9 to 17 on weekdays",
    "last friday of the month at noon",
)
_TIME = re.compile(r"\b(?:(\d{1,2})(?::(\d{2}))?\s*(am|pm)?|(noon|midnight))\b")
_EVERY = re.compile(r"\bevery\s+(?:(\d+|half an|[a-z]+)\s+)?(second|minute|min|hour|day|week)s?\b")
_RANGE = re.compile(
    r"\b(?:from|between)\s+(\d{1,2})(?::00)?\s*(am|pm)?\s+(?:to|until|till|and)\s+(\d{1,2})(?::00)?\s*(am|pm)?"
)
_NTH_DAY = re.compile(r"\b(first|second|third|fourth|fifth|last)\s+(" + "|".join(DAYS) + r")\b")
_MONTH_DAY = re.compile(r"\b(\d{1,2})(?:st|nd|rd|th)\b")


@dataclass(frozen=True, slots=True)
class Phrase:
    """Either `cron`, or `every_s` seconds."""

    cron: str = ""
    every_s: float = 0.0


def understood(words: str) -> Phrase | None:
    """What the words stand for; None where they are not understood."""
    text = re.sub(r"[,.;]", " ", words.lower().strip())
    text = re.sub(r"\s+", " ", text).replace("o'clock", "").strip()
    if not text:
        return None
    days = _days(text)
    if (found := _EVERY.search(text)) is not None and found[2] not in ("day", "week"):
        return _every(text, found, days)
    if text.startswith("hourly"):
        return _every(text, None, days)
    times = _times(text)
    if times is None:
        return None
    return _daily(text, times, days)


def _every(text: str, found: "re.Match[str] | None", days: str) -> Phrase | None:
    count, unit = _count(found[1]) if found else 1, found[2] if found else "hour"
    if count is None:
        return None
    seconds = 1800 if count == 0 else count * UNITS_S[unit]
    past = re.search(r"\bat (\d{1,2})(?: minutes?)? past\b|\bat :(\d{2})\b", text)
    hours = _hours(text)
    if hours is None:
        return None
    if seconds < 60 or seconds % 60:
        return Phrase(every_s=float(seconds)) if days == "*" and hours == "*" else None
    minutes = seconds // 60
    if minutes < 60 and 60 % minutes == 0:
        step = "*" if minutes == 1 else f"*/{minutes}"
        # From 9 to 17 ends at 17:00, not at 17:50.
        start, dash, end = hours.partition("-")
        within = f"{start}-{int(end) - 1}" if dash and int(end) - 1 > int(start) else start
        return Phrase(cron=f"{step} {within} * * {days}")
    if minutes % 60 == 0 and minutes // 60 < 24 and 24 % (minutes // 60) == 0:
        step = minutes // 60
        minute = int(past[1] or past[2]) if past else 0
        if minute > 59:
            return None
        each = hours if step == 1 else f"{'*' if hours == '*' else hours}/{step}"
        return Phrase(cron=f"{minute} {each} * * {days}")
    return Phrase(every_s=float(seconds)) if days == "*" and hours == "*" else None


def _daily(text: str, times: list[tuple[int, int]], days: str) -> Phrase | None:
    minutes = sorted({minute for _, minute in times})
    hours = sorted({hour for hour, _ in times})
    if len(minutes) * len(hours) != len(times):
        return None  # 9:00 and 17:30 are two expressions
    at = f"{_list(minutes)} {_list(hours)}"
    is_monthly = "month" in text
    if (nth := _NTH_DAY.search(text)) is not None and is_monthly:
        day = DAYS.index(nth[2])
        return Phrase(cron=f"{at} * * {day}L" if nth[1] == "last" else f"{at} * * {day}#{ORDINALS[nth[1]]}")
    if is_monthly:
        if "last weekday" in text:
            return Phrase(cron=f"{at} LW * *")
        if "last day" in text:
            return Phrase(cron=f"{at} L * *")
        dates = sorted({int(found) for found in _MONTH_DAY.findall(text)})
        if any(not 1 <= date <= 31 for date in dates):
            return None
        if dates or text.startswith("monthly") or "every month" in text:
            return Phrase(cron=f"{at} {_list(dates or [1])} * *")
        return None
    if days != "*" or re.search(r"\b(day|daily|nightly|morning|evening|night|today)\b", text) or times:
        return Phrase(cron=f"{at} * * {days}")
    return None


def _days(text: str) -> str:
    if re.search(r"\bweekdays?\b|\bworking days?\b|\bworkdays?\b", text) and "last weekday" not in text:
        return "1-5"
    if re.search(r"\bweekends?\b", text):
        return "0,6"
    if _NTH_DAY.search(text) and "month" in text:
        return "*"
    named = sorted({at for at, day in enumerate(DAYS) if re.search(rf"\b{day}s?\b|\b{day[:3]}\b", text)})
    if named:
        return _list(named)
    return "1" if re.search(r"\bweekly\b|\bevery week\b", text) else "*"


def _times(text: str) -> list[tuple[int, int]] | None:
    """Hours and minutes that are named; None for an impossible one; midnight where none is named."""
    found: list[tuple[int, int]] = []
    place = re.search(r"\bat\b", text)
    rest = text[place.end() :] if place else _MONTH_DAY.sub(" ", text)
    rest = re.split(r"\b(?:on|of|every|each)\b", rest)[0] if place else rest
    for hour, minute, half, word in _TIME.findall(rest):
        if word:
            found.append((12, 0) if word == "noon" else (0, 0))
            continue
        number = int(hour)
        if half and not 1 <= number <= 12:
            return None
        if half:
            number = number % 12 + (12 if half == "pm" else 0)
        if number > 23 or int(minute or 0) > 59:
            return None
        found.append((number, int(minute or 0)))
    if found:
        return sorted(set(found))
    is_timing = _days(text) != "*" or re.search(r"\b(daily|every day|weekly|monthly|month|nightly)\b", text)
    return [(0, 0)] if is_timing else None


def _hours(text: str) -> str | None:
    found = _RANGE.search(text)
    if found is None:
        return "*"
    start, end = _hour(found[1], found[2] or found[4]), _hour(found[3], found[4])
    return f"{start}-{end}" if start is not None and end is not None and start < end else None


def _hour(digits: str, half: str | None) -> int | None:
    number = int(digits)
    if half:
        return number % 12 + (12 if half == "pm" else 0) if 1 <= number <= 12 else None
    return number if number <= 23 else None


def _count(word: str | None) -> int | None:
    if not word:
        return 1
    return int(word) if word.isdigit() and 0 < int(word) < 100_000 else NUMBERS.get(word)


def _list(numbers: list[int]) -> str:
    return ",".join(str(number) for number in numbers)
