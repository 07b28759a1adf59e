"""`/api/v1/schedules`: what is done again and again, and what became of each moment."""

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec

from legion_core.api.schedule_types import (
    Fires,
    Missed,
    Occurrence,
    Overlap,
    ScheduleRow,
    ScheduleSpec,
)
from legion_core.surfaces.rest.calls import Call, Desk, Operation, Reply
from legion_core.surfaces.rest.paging import PAGE_PARAMETERS, limit_of

FIRES_MAX = 1_000


class ScheduleBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A schedule: either `cron` in `zone` or `every_s`, and the task or `chain:NAME` it starts with `args`.

    `missed`: what becomes of moments that passed while nothing ran here: left out, one run for all of them, or each (at
    most the latest `missed_max`). `overlap`: what happens while the run before goes on. `jitter_s`: begin up to so
    much later, by chance.
    """

    name: Annotated[str, msgspec.Meta(max_length=1000)]
    target: Annotated[str, msgspec.Meta(max_length=1000)]
    args: dict[str, Any] = {}
    cron: Annotated[str, msgspec.Meta(max_length=1000)] = ""
    zone: Annotated[str, msgspec.Meta(max_length=100)] = "UTC"
    every_s: float = 0.0
    missed: Missed = "once"
    missed_max: int = 100
    overlap: Overlap = "skip"
    jitter_s: float = 0.0


class TimingBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A cron expression in a zone, or seconds between two runs; `after` now if absent."""

    cron: Annotated[str, msgspec.Meta(max_length=1000)] = ""
    zone: Annotated[str, msgspec.Meta(max_length=100)] = "UTC"
    every_s: float = 0.0
    after: datetime | None = None
    count: Annotated[int, msgspec.Meta(ge=1, le=FIRES_MAX)] = 10


async def preview_schedule(desk: Desk, call: Call) -> Reply:
    """By the code that fires."""
    asked = call.read(TimingBody)
    return Reply(
        desk.legion.schedules.preview(
            cron=asked.cron, zone=asked.zone, every_s=asked.every_s, after=asked.after, count=asked.count
        )
    )


async def list_schedules(desk: Desk, call: Call) -> Reply:
    """By name."""
    return Reply(await desk.legion.schedules.list())


async def add_schedule(desk: Desk, call: Call) -> Reply:
    """On disk when this is answered."""
    return Reply(await desk.legion.schedules.add(_spec(call), call.who), status=201)


async def show_schedule(desk: Desk, call: Call) -> Reply:
    """With its coming moments and the latest one."""
    return Reply(await desk.legion.schedules.get(call.path["name"]))


async def change_schedule(desk: Desk, call: Call) -> Reply:
    """The whole of it; what was decided stays."""
    return Reply(await desk.legion.schedules.change(call.path["name"], _spec(call), call.who))


async def remove_schedule(desk: Desk, call: Call) -> Reply:
    """What it started goes on."""
    await desk.legion.schedules.remove(call.path["name"], call.who)
    return Reply(Removed(removed=call.path["name"]))


async def pause_schedule(desk: Desk, call: Call) -> Reply:
    """Until it is resumed."""
    return Reply(await desk.legion.schedules.pause(call.path["name"], call.who))


async def resume_schedule(desk: Desk, call: Call) -> Reply:
    """What passed meanwhile is not made up for."""
    return Reply(await desk.legion.schedules.resume(call.path["name"], call.who))


async def run_schedule(desk: Desk, call: Call) -> Reply:
    """Outside its timing."""
    return Reply(await desk.legion.schedules.run_now(call.path["name"], call.who), status=201)


async def list_occurrences(desk: Desk, call: Call) -> Reply:
    """Latest first."""
    limit = limit_of(desk, call)
    page = await desk.legion.schedules.runs(
        call.path["name"], limit=limit, cursor=call.query.get("cursor", "")
    )
    return Reply(page.occurrences, meta={"limit": limit, "next": page.next or None})


class Removed(msgspec.Struct, frozen=True, kw_only=True):
    """What is gone."""

    removed: str


def _spec(call: Call) -> ScheduleSpec:
    return msgspec.convert(msgspec.structs.asdict(call.read(ScheduleBody)), ScheduleSpec)


_READ, _WRITE = ("schedules", "read"), ("schedules", "write")
_ONE = "/api/v1/schedules/{name}"
_AT = datetime(2026, 6, 17, 9, tzinfo=UTC)
_BODY = ScheduleBody(
    name="morning",
    target="log.message.write",
    args={"message": "Good morning."},
    cron="0 9 * * MON-FRI",
    zone="Europe/Berlin",
)
_OCCURRENCE = Occurrence(
    schedule="morning",
    at=_AT,
    decided_at=_AT,
    status="started",
    task="task_01kkq8e9x0fjz2m3a4b5c6d7e8",
    fencing=4,
    by="eng_01kkq8e9x0fjz2m3a4b5c6d7e8",
)
ROW = ScheduleRow(
    id="sched_01kkq8e9x0fjz2m3a4b5c6d7e8",
    name="morning",
    target="log.message.write",
    args={"message": "Good morning."},
    cron="0 9 * * MON-FRI",
    zone="Europe/Berlin",
    every_s=0.0,
    missed="once",
    missed_max=100,
    overlap="skip",
    jitter_s=0.0,
    state="active",
    words="every weekday at 09:00, Europe/Berlin",
    next=(_AT,),
    last=_OCCURRENCE,
    created_at=_AT,
    changed_at=_AT,
)

OPERATIONS = (
    Operation(
        method="POST",
        path="/api/v1/schedules/preview",
        name="preview_schedule",
        summary="When a timing would fire",
        handler=preview_schedule,
        right=_READ,
        answer=Fires,
        example=Fires(fires=(_AT,), words="every day at 09:00"),
        body=TimingBody,
        body_example=TimingBody(cron="0 9 * * *", after=_AT, count=1),
    ),
    Operation(
        method="GET",
        path="/api/v1/schedules",
        name="list_schedules",
        summary="Schedules, by name",
        handler=list_schedules,
        right=_READ,
        answer=tuple[ScheduleRow, ...],
        example=(ROW,),
    ),
    Operation(
        method="POST",
        path="/api/v1/schedules",
        name="add_schedule",
        summary="Do something again and again",
        handler=add_schedule,
        right=_WRITE,
        answer=ScheduleRow,
        example=ROW,
        status=201,
        body=ScheduleBody,
        body_example=_BODY,
    ),
    Operation(
        method="GET",
        path=_ONE,
        name="show_schedule",
        summary="One schedule",
        handler=show_schedule,
        right=_READ,
        answer=ScheduleRow,
        example=ROW,
    ),
    Operation(
        method="PUT",
        path=_ONE,
        name="change_schedule",
        summary="Replace a schedule",
        handler=change_schedule,
        right=_WRITE,
        answer=ScheduleRow,
        example=ROW,
        body=ScheduleBody,
        body_example=_BODY,
    ),
    Operation(
        method="DELETE",
        path=_ONE,
        name="remove_schedule",
        summary="Forget a schedule",
        handler=remove_schedule,
        right=_WRITE,
        answer=Removed,
        example=Removed(removed="morning"),
    ),
    Operation(
        method="GET",
        path=f"{_ONE}/runs",
        name="list_occurrences",
        summary="What became of its moments",
        handler=list_occurrences,
        right=_READ,
        answer=tuple[Occurrence, ...],
        example=(_OCCURRENCE,),
        query=PAGE_PARAMETERS,
    ),
    *(
        Operation(
            method="POST",
            path=f"{_ONE}/{word}",
            name=f"{word}_schedule",
            summary=summary,
            handler=handler,
            right=_WRITE,
            answer=answer,
            example=example,
            status=status,
        )
        for word, summary, handler, answer, example, status in (
            ("pause", "Take up none of its moments", pause_schedule, ScheduleRow, ROW, 200),
            ("resume", "Go on with its next moment", resume_schedule, ScheduleRow, ROW, 200),
            ("run", "Run it once more, now", run_schedule, Occurrence, _OCCURRENCE, 201),
        )
    ),
)
