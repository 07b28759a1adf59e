"""`/api/v1/routes`: where a request would go, and why not elsewhere."""

from typing import Annotated

import msgspec

from legion_core.api.routes import Ladder, Place, Rung
from legion_core.api.types import Capability
from legion_core.gateway.types import Operation as RoutedOperation
from legion_core.surfaces.rest import examples
from legion_core.surfaces.rest.calls import Call, Desk, Operation, Reply
from legion_core.surfaces.shapes import LaneShape, PinsShape, RouteShape


class ExplainBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A request's text and what it insists on."""

    text: str
    requires: tuple[Capability, ...] = ()
    pins: PinsShape = PinsShape()
    context_tokens: Annotated[int, msgspec.Meta(ge=0, le=4_000_000)] = 0
    private: bool = False
    operation: RoutedOperation = "chat"


async def explain_route(desk: Desk, call: Call) -> Reply:
    """Nothing is sent anywhere."""
    body = call.read(ExplainBody)
    decision = await desk.legion.routes.explain(
        body.text,
        requires=body.requires,
        context_tokens=body.context_tokens,
        pins=body.pins.pins(),
        is_private=body.private,
        operation=body.operation,
    )
    return Reply(RouteShape.of(decision, desk.legion.llm.tokens_per_s))


async def list_lanes(desk: Desk, call: Call) -> Reply:
    """Every model on every instance known now."""
    return Reply(tuple(LaneShape.of(lane) for lane in await desk.legion.llm.lanes()))


async def show_ladder(desk: Desk, call: Call) -> Reply:
    """Five tiers, nearest first; what runs there now, and what was measured in the last hour."""
    return Reply(await desk.legion.routes.ladder())


OPERATIONS = (
    Operation(
        method="GET",
        path="/api/v1/routes/ladder",
        name="show_ladder",
        summary="The five tiers, their instances, and how each is",
        handler=show_ladder,
        right=("routes", "read"),
        answer=Ladder,
        example=Ladder(
            at=examples.AT,
            rungs=(Rung(tier="direct", places=(Place(row=examples.PROVIDER, running=1),)),),
        ),
    ),
    Operation(
        method="GET",
        path="/api/v1/routes",
        name="list_lanes",
        summary="Every model on every instance",
        handler=list_lanes,
        right=("routes", "read"),
        answer=tuple[LaneShape, ...],
        example=(LaneShape.of(examples.LANE),),
    ),
    Operation(
        method="POST",
        path="/api/v1/routes/explain",
        name="explain_route",
        summary="Where a request would go now, and why not elsewhere",
        handler=explain_route,
        right=("routes", "read"),
        answer=RouteShape,
        example=examples.ROUTE,
        body=ExplainBody,
        body_example=ExplainBody(text="What is the time?", requires=("tools",)),
    ),
)
