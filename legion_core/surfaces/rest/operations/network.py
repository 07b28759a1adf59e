"""`/api/v1/network`: every host this workbench has contacted, and which it may."""

import msgspec

from legion_core.api.network import Contact, NetworkState
from legion_core.surfaces.rest.calls import Call, Desk, Operation, Reply
from legion_core.surfaces.rest.examples import AT


class OfflineBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether only this computer is contacted."""

    is_offline: bool


async def list_hosts(desk: Desk, call: Call) -> Reply:
    """The latest first."""
    return Reply(await desk.legion.network.hosts())


async def show_state(desk: Desk, call: Call) -> Reply:
    """Offline or not, and what is blocked."""
    return Reply(desk.legion.network.state())


async def set_offline(desk: Desk, call: Call) -> Reply:
    """In force at once, for what is under way too."""
    return Reply(await desk.legion.network.set_offline(call.read(OfflineBody).is_offline))


async def block(desk: Desk, call: Call) -> Reply:
    """Never contact it again."""
    return Reply(await desk.legion.network.block(call.path["host"]))


async def allow(desk: Desk, call: Call) -> Reply:
    """Let it through."""
    return Reply(await desk.legion.network.allow(call.path["host"]))


async def forget(desk: Desk, call: Call) -> Reply:
    """Empties the record, which is itself recorded in the audit log."""
    await desk.legion.network.forget()
    return Reply(desk.legion.network.state())


_READ, _MANAGE = ("network", "read"), ("network", "manage")
_STATE = NetworkState(is_offline=False, blocked=("tracker.example.com",))

OPERATIONS = (
    Operation(
        method="GET",
        path="/api/v1/network",
        name="list_hosts",
        summary="Every host contacted: what for, by which part, how often, and bytes each way",
        handler=list_hosts,
        right=_READ,
        answer=tuple[Contact, ...],
        example=(
            Contact(
                host="api.example.com",
                port=443,
                purpose="model provider",
                by="example",
                count=12,
                sent_bytes=48_211,
                received_bytes=1_204_118,
                first_at=AT,
                last_at=AT,
            ),
        ),
    ),
    Operation(
        method="GET",
        path="/api/v1/network/state",
        name="show_network",
        summary="Whether the workbench is offline, and which hosts are blocked",
        handler=show_state,
        right=_READ,
        answer=NetworkState,
        example=_STATE,
    ),
    Operation(
        method="PUT",
        path="/api/v1/network/offline",
        name="set_offline",
        summary="Contact only this computer, or others again",
        handler=set_offline,
        right=_MANAGE,
        answer=NetworkState,
        example=_STATE,
        body=OfflineBody,
        body_example=OfflineBody(is_offline=False),
    ),
    Operation(
        method="PUT",
        path="/api/v1/network/blocked/{host}",
        name="block_host",
        summary="Never contact a host",
        handler=block,
        right=_MANAGE,
        answer=NetworkState,
        example=_STATE,
    ),
    Operation(
        method="DELETE",
        path="/api/v1/network/blocked/{host}",
        name="allow_host",
        summary="Let a host through again",
        handler=allow,
        right=_MANAGE,
        answer=NetworkState,
        example=_STATE,
    ),
    Operation(
        method="DELETE",
        path="/api/v1/network/hosts",
        name="forget_hosts",
        summary="Empty the record of hosts contacted",
        handler=forget,
        right=_MANAGE,
        answer=NetworkState,
        example=_STATE,
    ),
)
