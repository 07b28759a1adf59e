"""What the Schedules page reads: rows with how their last moment went, histories, a week of fires, previews, targets."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.resources import files
from itertools import pairwise
from typing import Any

from app.viewmodels.schedule_draft import Argument, arguments_of
from app.viewmodels.schedule_week import DRAWN_MAX, Fire, State
from app.viewmodels.schedule_zone import OFTEN, notes
from legion_core.api.schedule_types import Occurrence, ScheduleRow
from legion_core.api.schedules import local_zone
from legion_core.api.task_types import SETTLED, TaskView
from legion_core.kernel.errors import NotFound

RUNS_READ = 200
WEEK_FIRES_MAX = 7 * DRAWN_MAX + 1


@dataclass(frozen=True, slots=True)
class Run:
    """One moment that was decided, and how what it started went: `state` and `took_s` as far as they are known."""

    occurrence: Occurrence
    state: State
    took_s: float | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Preview:
    """What a timing would do: its words, its next moments (UTC), what changes of clocks do, or why it cannot be used."""

    words: str = ""
    fires: tuple[datetime, ...] = ()
    notes: tuple[str, ...] = ()
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """What a schedule can run."""

    name: str
    about: str
    arguments: tuple[Argument, ...] = ()


async def read_rows(legion: Any) -> tuple[tuple[ScheduleRow, ...], dict[str, Run]]:
    """All schedules, and how the last moment of each went."""
    rows: tuple[ScheduleRow, ...] = await legion.schedules.list()
    last = {
        row.name: (await read_runs(legion, (row.last,), row.target))[0]
        for row in rows
        if row.last is not None
    }
    return rows, last


async def read_runs(legion: Any, occurrences: Sequence[Occurrence], target: str) -> tuple[Run, ...]:
    """How what these moments started went."""
    made: list[Run] = []
    chains: Mapping[str, Any] = {}
    if target.startswith("chain:") and any(each.run for each in occurrences):
        page = await legion.chains.runs(target.removeprefix("chain:"), limit=RUNS_READ)
        chains = {run.id: run for run in page.runs}
    for occurrence in occurrences:
        why = occurrence.reason.sentence if occurrence.reason else ""
        if occurrence.status in ("skipped", "blocked"):
            made.append(Run(occurrence, "failed" if occurrence.status == "blocked" else "missed", why=why))
        elif occurrence.task:
            made.append(await _of_task(legion, occurrence))
        elif occurrence.run in chains:
            made.append(_of_chain(occurrence, chains[occurrence.run]))
        else:
            made.append(Run(occurrence, "running" if occurrence.status == "waiting" else "ok", why=why))
    return tuple(made)


async def _of_task(legion: Any, occurrence: Occurrence) -> Run:
    try:
        task: TaskView = await legion.tasks.get(occurrence.task)
    except NotFound:
        return Run(occurrence, "ok", why="Its task was deleted since.")  # tasks are purged before moments are
    why = task.reason.sentence if task.reason else ""
    if task.status not in SETTLED:
        return Run(occurrence, "running", why=why)
    return Run(
        occurrence,
        "ok" if task.status == "succeeded" else "failed",
        _took(task.started_at, task.ended_at),
        why,
    )


def _of_chain(occurrence: Occurrence, run: Any) -> Run:
    state: State = "running" if run.status == "running" else "ok" if run.status == "succeeded" else "failed"
    why = run.reason.sentence if run.reason else ""
    return Run(occurrence, state, _took(run.created_at, run.ended_at), why)


def _took(start: datetime | None, end: datetime | None) -> float | None:
    return max(0.0, (end - start).total_seconds()) if start is not None and end is not None else None


async def read_history(legion: Any, name: str, target: str, limit: int) -> tuple[Run, ...]:
    """The latest `limit` moments of one schedule."""
    return await read_runs(legion, (await legion.schedules.runs(name, limit=limit)).occurrences, target)


async def read_fires(
    legion: Any, rows: Sequence[ScheduleRow], start: datetime, now: datetime
) -> Sequence[Fire]:
    """What was, from the history; what comes, from the preview. Moments in the zone of `start`."""
    end, fires = start + timedelta(days=7), list[Fire]()
    for row in rows:
        if start < now:
            page = await legion.schedules.runs(row.name, limit=WEEK_FIRES_MAX)
            within = [each for each in page.occurrences if start <= each.at < end]
            fires += [
                Fire(row.name, run.occurrence.at.astimezone(start.tzinfo), run.state)
                for run in await read_runs(legion, within, row.target)
            ]
        if end > now and row.state == "active" and (row.cron or row.every_s):
            after = max(start, now)
            if row.every_s:
                coming = _every(row, after, end)
            else:
                found = legion.schedules.preview(
                    cron=row.cron, zone=row.zone, after=after, count=WEEK_FIRES_MAX
                )
                coming = found.fires
            fires += [
                Fire(row.name, at.astimezone(start.tzinfo), "coming") for at in coming if start <= at < end
            ]
    return fires


def _every(row: ScheduleRow, after: datetime, end: datetime) -> list[datetime]:
    """An interval counts from its own beginning, which its next moment tells."""
    if not row.next:
        return []
    at, step = row.next[0], timedelta(seconds=row.every_s)
    if at < after:
        at += step * (-((at - after) // step))
    found: list[datetime] = []
    while at < end and len(found) < WEEK_FIRES_MAX:
        found.append(at)
        at += step
    return found


async def read_preview(legion: Any, cron: str, zone: str, every_s: float, now: datetime) -> Preview:
    """What a timing would do; InvalidDocument where it cannot be used."""
    found = legion.schedules.preview(cron=cron, zone=zone, every_s=every_s, after=now, count=10)
    told: tuple[str, ...] = ()
    if cron and found.fires:
        # What comes rarely is not followed for years, and what comes often keeps its pace whatever the clocks say.
        gaps = [(later - sooner).total_seconds() for sooner, later in pairwise(found.fires)]
        many = int(90_000 / max(1.0, min(gaps, default=86_400))) + 4

        def fires(after: datetime, count: int) -> Sequence[datetime]:
            return legion.schedules.preview(cron=cron, zone=zone, after=after, count=min(count, many)).fires

        told = notes(zone, now, fires) if many < OFTEN + 4 else ()
    return Preview(words=found.words, fires=found.fires, notes=told)


async def read_choices(legion: Any) -> tuple[tuple[Target, ...], tuple[str, ...], str]:
    """What can be run, the zones there are, and the zone of this computer."""
    targets = [
        Target(function.name, function.description, arguments_of(function.arguments))
        for extension in await legion.extensions.list()
        for function in extension.functions
    ]
    targets += [Target(f"chain:{chain.name}", "A chain") for chain in await legion.chains.list()]
    return tuple(sorted(targets, key=lambda each: each.name)), _zones(), local_zone()


def _zones() -> tuple[str, ...]:
    # One small file; asking `zoneinfo` walks through six hundred.
    names = files("tzdata").joinpath("zones").read_text(encoding="utf-8").split()
    return ("UTC", *sorted(name for name in names if "/" in name and not name.startswith("Etc/")))


def rates_of(rows: Sequence[ScheduleRow]) -> dict[str, int]:
    """How often a day each comes, by its next moments."""
    found: dict[str, int] = {}
    for row in rows:
        gaps = [(later - sooner).total_seconds() for sooner, later in pairwise(row.next)]
        if gaps and min(gaps) > 0:
            found[row.name] = round(86_400 / min(gaps))
    return found
