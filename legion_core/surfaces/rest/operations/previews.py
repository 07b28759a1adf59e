"""`/api/v1/conditions/explain`: what would happen, before it is saved."""

from typing import Any

import msgspec

from legion_core.api.previews import explain
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


async def explain_condition(desk: Desk, call: Call) -> Reply:
    """Nothing is saved and nothing runs."""
    asked = call.read(ConditionBody)
    return Reply(explain(asked.when, asked.payload))


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
)
