"""`/api/v1/nodes`: this node, its state and its check-up."""

from legion_core.api.types import Check, Status
from legion_core.surfaces.rest import examples
from legion_core.surfaces.rest.calls import Call, Desk, Operation, Reply


async def list_nodes(desk: Desk, call: Call) -> Reply:
    """In lite mode there is one: this."""
    return Reply((await desk.legion.ops.status(),))


async def show_node(desk: Desk, call: Call) -> Reply:
    """The node at a glance."""
    return Reply(await desk.legion.ops.status())


async def examine(desk: Desk, call: Call) -> Reply:
    """Everything worth looking at, with what to do."""
    return Reply(await desk.legion.ops.doctor())


OPERATIONS = (
    Operation(
        method="GET",
        path="/api/v1/nodes",
        name="list_nodes",
        summary="The nodes known here",
        handler=list_nodes,
        right=("nodes", "read"),
        answer=tuple[Status, ...],
        example=(examples.STATUS,),
    ),
    Operation(
        method="GET",
        path="/api/v1/nodes/self",
        name="show_node",
        summary="This node at a glance",
        handler=show_node,
        right=("nodes", "read"),
        answer=Status,
        example=examples.STATUS,
    ),
    Operation(
        method="GET",
        path="/api/v1/nodes/self/doctor",
        name="examine_node",
        summary="Check this node and say what to do",
        handler=examine,
        right=("nodes", "read"),
        answer=tuple[Check, ...],
        example=(examples.CHECK,),
    ),
)
