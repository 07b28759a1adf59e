"""A week of fires as marks on a calendar: chips for what comes rarely, blocks and dots for what comes often. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Literal

DRAWN_MAX = 24  # a schedule that fires more often on a day is told, not drawn
CHIPS_MAX = 2
BLOCK_HOURS_MAX = 12
State = Literal["ok", "failed", "missed", "running", "coming"]
WORST: dict[State, int] = {"coming": 0, "running": 1, "ok": 2, "missed": 3, "failed": 4}
CHIP_HOURS = 1.2  # so high is a chip, at least


@dataclass(frozen=True, slots=True)
class Fire:
    """One moment of a schedule, in the zone of the calendar, and how it went."""

    schedule: str
    at: datetime
    state: State


@dataclass(frozen=True, slots=True)
class Mark:
    """A chip (one fire), a block (several in a stretch) or a dot at the day's right edge. Hours from midnight.

    `lane` of `lanes` stand side by side.
    """

    kind: Literal["chip", "block", "dot"]
    schedule: str
    start_h: float
    end_h: float
    state: State
    dots: tuple[tuple[float, State], ...] = ()
    lane: int = 0
    lanes: int = 1

    @property
    def detail(self) -> str:
        """`5 of 5`, `4 of 5, 1 failed`."""
        if self.kind != "block":
            return ""
        done = sum(state == "ok" for _, state in self.dots)
        failed = sum(state == "failed" for _, state in self.dots)
        missed = sum(state == "missed" for _, state in self.dots)
        if all(state == "coming" for _, state in self.dots):
            return f"{len(self.dots)} to come"
        parts = [f"{done} of {len(self.dots)}"]
        if failed:
            parts.append(f"{failed} failed")
        if missed:
            parts.append(f"{missed} missed")
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Week:
    """Marks by day, seven of them from `monday` on, and what is not drawn one by one."""

    monday: date
    days: tuple[tuple[Mark, ...], ...]
    dotted: tuple[str, ...] = ()
    undrawn: tuple[tuple[str, int], ...] = ()

    @property
    def title(self) -> str:
        """`17 to 23 November`."""
        last = self.monday + timedelta(days=6)
        first = (
            f"{self.monday.day}" if self.monday.month == last.month else f"{self.monday.day} {self.monday:%B}"
        )
        return f"{first} to {last.day} {last:%B}"

    @property
    def sentence(self) -> str:
        """What the marks leave unsaid."""
        parts: list[str] = []
        if self.dotted:
            parts.append(f"Dots at the right edge: {_and(self.dotted)}.")
        if self.undrawn:
            named = [f"{name}, {count:,} a day" for name, count in self.undrawn[:2]]
            more = [f"{len(self.undrawn) - 2} more"] if len(self.undrawn) > 2 else []
            parts.append(f"Not drawn: {_and([*named, *more])}.")
        return " ".join([f"{self.title}.", *parts])


def monday_of(day: date) -> date:
    """The Monday of its week."""
    return day - timedelta(days=day.weekday())


def week_of(monday: date, fires: Sequence[Fire], rates: Mapping[str, int] | None = None) -> Week:
    """The marks of a week; `rates` says how often a day those come that come too often to be drawn."""
    by_day: list[dict[str, list[Fire]]] = [{} for _ in range(7)]
    for fire in fires:
        place = (fire.at.date() - monday).days
        if 0 <= place < 7:
            by_day[place].setdefault(fire.schedule, []).append(fire)
    most: dict[str, int] = {}
    for day in by_day:
        for name, found in day.items():
            most[name] = max(most.get(name, 0), len(found))
    undrawn = {name for name, count in most.items() if count > DRAWN_MAX}
    dotted = {
        name for name, count in most.items() if CHIPS_MAX < count <= DRAWN_MAX and not _is_block(name, by_day)
    }
    days = tuple(
        _lanes(
            [
                mark
                for name in sorted(day)
                if name not in undrawn
                for mark in _marks(name, day[name], name in dotted)
            ]
        )
        for day in by_day
    )
    return Week(
        monday=monday,
        days=days,
        dotted=tuple(sorted(dotted)),
        undrawn=tuple(sorted((name, max(most[name], (rates or {}).get(name, 0))) for name in undrawn)),
    )


def _is_block(name: str, days: Sequence[dict[str, list[Fire]]]) -> bool:
    for day in days:
        hours = [_hour(fire) for fire in day.get(name, ())]
        if hours and max(hours) - min(hours) > BLOCK_HOURS_MAX:
            return False
    return True


def _marks(name: str, fires: Sequence[Fire], is_dotted: bool) -> list[Mark]:
    ordered = sorted(fires, key=_hour)
    if is_dotted:
        return [Mark("dot", name, _hour(fire), _hour(fire), fire.state) for fire in ordered]
    if len(ordered) > CHIPS_MAX:
        dots: tuple[tuple[float, State], ...] = tuple((_hour(fire), fire.state) for fire in ordered)
        worst = max(ordered, key=lambda fire: WORST[fire.state]).state
        return [Mark("block", name, dots[0][0], max(dots[-1][0], dots[0][0] + 2 * CHIP_HOURS), worst, dots)]
    return [Mark("chip", name, _hour(fire), _hour(fire) + CHIP_HOURS, fire.state) for fire in ordered]


def _lanes(marks: Sequence[Mark]) -> tuple[Mark, ...]:
    """Marks that would cover each other stand side by side."""
    solid = sorted(
        (mark for mark in marks if mark.kind != "dot"), key=lambda mark: (mark.start_h, mark.schedule)
    )
    placed: list[Mark] = []
    group: list[Mark] = []
    end = -1.0
    for mark in [*solid, None]:
        if mark is None or mark.start_h >= end:
            lanes = max((held.lane for held in group), default=0) + 1
            placed += [replace(held, lanes=lanes) for held in group]
            group, end = [], -1.0
        if mark is not None:
            taken = {held.lane for held in group if held.end_h > mark.start_h}
            lane = next(at for at in range(len(group) + 1) if at not in taken)
            group.append(replace(mark, lane=lane))
            end = max(end, mark.end_h)
    return (*placed, *(mark for mark in marks if mark.kind == "dot"))


def _hour(fire: Fire) -> float:
    return fire.at.hour + fire.at.minute / 60 + fire.at.second / 3600


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
