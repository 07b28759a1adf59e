"""`/api/v1/network`: every host this process has spoken to."""

from legion_core.api.network import Contact
from legion_core.surfaces.rest.calls import Call, Desk, Operation, Reply
from legion_core.surfaces.rest.examples import AT


async def list_hosts(desk: Desk, call: Call) -> Reply:
    """The latest first."""
    return Reply(desk.legion.network.hosts())


OPERATIONS = (
    Operation(
        method="GET",
        path="/api/v1/network",
        name="list_hosts",
        summary="Every host this process has spoken to, what for, and how often",
        handler=list_hosts,
        right=("network", "read"),
        answer=tuple[Contact, ...],
        example=(
            Contact(
                host="api.example.com", port=443, purpose="model provider", count=12, first_at=AT, last_at=AT
            ),
        ),
    ),
)
