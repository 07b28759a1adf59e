"""`/api/v1/conditions/explain` and `/api/v1/schedules/preview`: what would happen, before it is saved."""

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec

from legion_core.api.previews import FIRES_MAX, Fires, explain, fires
from legion_core.surfaces.rest.calls import Call, Desk, Operation, Reply


class ConditionBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rule document, and the payload to hold it against."""

    when: dict[str, Any]
    payload: Any = None


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the condition holds, and each rule with what it found; a rule may be a group again."""

    valid: bool
    group: str
    rules: tuple[dict[str, Any], ...]


class CronBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A cron expression in a zone; `after` now if absent."""

    cron: Annotated[str, msgspec.Meta(max_length=1000)]
    zone: Annotated[str, msgspec.Meta(max_length=100)] = "UTC"
    after: datetime | None = None
    count: Annotated[int, msgspec.Meta(ge=1, le=FIRES_MAX)] = 10


async def explain_condition(desk: Desk, call: Call) -> Reply:
    """Nothing is saved and nothing runs."""
    asked = call.read(ConditionBody)
    return Reply(explain(asked.when, asked.payload))


async def preview_schedule(desk: Desk, call: Call) -> Reply:
    """By the code that fires."""
    asked = call.read(CronBody)
    after = asked.after or desk.clock.utc_now()
    if after.tzinfo is None:
        after = after.replace(tzinfo=UTC)
    return Reply(fires(asked.cron, asked.zone, after, asked.count))


_AT = datetime(2026, 6, 17, 9, tzinfo=UTC)
_RULE: dict[str, Any] = {"fact": "result.status", "operator": "equal", "value": 200}

OPERATIONS = (
    Operation(
        method="POST",
        path="/api/v1/conditions/explain",
        name="explain_condition",
        summary="What a condition says of a payload, rule by rule",
        handler=explain_condition,
        right=("chains", "read"),
        answer=Explained,
        example=Explained(valid=True, group="all", rules=({**_RULE, "actual": 200, "result": True},)),
        body=ConditionBody,
        body_example=ConditionBody(when={"all": [_RULE]}, payload={"result": {"status": 200}}),
    ),
    Operation(
        method="POST",
        path="/api/v1/schedules/preview",
        name="preview_schedule",
        summary="When a cron expression would fire",
        handler=preview_schedule,
        right=("schedules", "read"),
        answer=Fires,
        example=Fires(fires=(_AT,), words="every day at 09:00"),
        body=CronBody,
        body_example=CronBody(cron="0 9 * * *", zone="UTC", after=_AT, count=1),
    ),
)
