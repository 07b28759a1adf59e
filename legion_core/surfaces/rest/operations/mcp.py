"""`/api/v1/mcp`: who calls our tools and what they may, and other people's servers whose tools we use."""

import asyncio

import msgspec

from legion_core.agent.mcp.types import ServerRow, ServerSpec, SignInState, ToolInfo
from legion_core.api.mcp_types import Approval, Grant, McpCall, McpClientRow, McpStatus, ToolRow
from legion_core.surfaces.rest.calls import Call, Desk, Operation, Parameter, Reply
from legion_core.surfaces.rest.examples import AT


class GrantBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Tools to allow or to hide: names, or patterns with `*`."""

    allow: tuple[str, ...] = ()
    forbid: tuple[str, ...] = ()


class PauseBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether every call is refused for now."""

    is_paused: bool


class ApproveBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The fingerprint of what the user saw."""

    fingerprint: str


class SwitchBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether the server may be used."""

    is_on: bool


class RemovedServer(msgspec.Struct, frozen=True, kw_only=True):
    """The name that is free again."""

    removed: str


async def show_mcp(desk: Desk, call: Call) -> Reply:
    """The MCP server at a glance."""
    return Reply(await desk.legion.mcp.status())


async def list_mcp_tools(desk: Desk, call: Call) -> Reply:
    """Every tool, and what one client may do with it."""
    return Reply(await desk.legion.mcp.tools(call.query.get("client", call.who.name)))


async def list_mcp_clients(desk: Desk, call: Call) -> Reply:
    """The last heard of first."""
    return Reply(desk.legion.mcp.clients())


async def list_mcp_calls(desk: Desk, call: Call) -> Reply:
    """Newest first."""
    limit = call.number("limit", default=100, maximum=desk.limits.page_max)
    return Reply(desk.legion.mcp.calls(limit))


async def list_mcp_grants(desk: Desk, call: Call) -> Reply:
    """By client."""
    return Reply(await desk.legion.mcp.grants())


async def change_mcp_grant(desk: Desk, call: Call) -> Reply:
    """Allow and hide tools."""
    body, client = call.read(GrantBody), call.path["client"]
    grant = Grant(client=client)
    if body.allow or not body.forbid:
        grant = await desk.legion.mcp.allow(client, body.allow, call.who)
    if body.forbid:
        grant = await desk.legion.mcp.forbid(client, body.forbid, call.who)
    return Reply(grant)


async def reset_mcp_grant(desk: Desk, call: Call) -> Reply:
    """Back to what only reads."""
    return Reply(await desk.legion.mcp.reset(call.path["client"], call.who))


async def pause_mcp(desk: Desk, call: Call) -> Reply:
    """Refuse every call, or go on."""
    desk.legion.mcp.pause(call.read(PauseBody).is_paused, call.who)
    return Reply(await desk.legion.mcp.status())


async def list_mcp_approvals(desk: Desk, call: Call) -> Reply:
    """Calls that wait for the user; only the window can answer them.

    What a call would change shows files, and its arguments what was said in chats: both are for the owner's eyes.
    """
    waiting = desk.legion.mcp.approvals()
    if call.who.carrier not in ("owner", "local"):
        waiting = tuple(msgspec.structs.replace(each, changes=(), arguments="{}") for each in waiting)
    return Reply(waiting)


async def list_mcp_servers(desk: Desk, call: Call) -> Reply:
    """By name; none is started."""
    return Reply(await desk.legion.mcp.servers.list())


async def show_mcp_server(desk: Desk, call: Call) -> Reply:
    """One server and its tools as they are known."""
    return Reply(await desk.legion.mcp.servers.get(call.path["name"]))


async def add_mcp_server(desk: Desk, call: Call) -> Reply:
    """Register one; nothing is started. The owner alone."""
    return Reply(await desk.legion.mcp.servers.add(call.read(ServerSpec), call.who), status=201)


async def look_at_mcp_server(desk: Desk, call: Call) -> Reply:
    """Start it and read its tools. The owner alone."""
    return Reply(await desk.legion.mcp.servers.look(call.path["name"], call.who))


async def approve_mcp_server(desk: Desk, call: Call) -> Reply:
    """Trust it as it was shown. The owner alone."""
    fingerprint = call.read(ApproveBody).fingerprint
    return Reply(await desk.legion.mcp.servers.approve(call.path["name"], fingerprint, call.who))


async def switch_mcp_server(desk: Desk, call: Call) -> Reply:
    """On or off. The owner alone."""
    return Reply(
        await desk.legion.mcp.servers.switch(call.path["name"], call.read(SwitchBody).is_on, call.who)
    )


async def remove_mcp_server(desk: Desk, call: Call) -> Reply:
    """Forget it. The owner alone."""
    await desk.legion.mcp.servers.remove(call.path["name"], call.who)
    return Reply(RemovedServer(removed=call.path["name"]))


async def sign_in_at_mcp_server(desk: Desk, call: Call) -> Reply:
    """Begin to sign in; the address is for the user's own browser. The owner alone."""
    name = call.path["name"]
    return Reply(SignInState(name=name, url=await desk.legion.mcp.servers.sign_in(name, call.who)))


async def wait_for_sign_in(desk: Desk, call: Call) -> Reply:
    """Wait a while for the user; what went wrong is an error. The owner alone."""
    name = call.path["name"]
    try:
        async with asyncio.timeout(SIGN_IN_WAIT_S):
            await desk.legion.mcp.servers.signed_in(name, call.who)
    except TimeoutError:
        return Reply(SignInState(name=name))
    return Reply(SignInState(name=name, is_over=True))


async def sign_out_of_mcp_server(desk: Desk, call: Call) -> Reply:
    """Forget the tokens, and have the server end them. The owner alone."""
    return Reply(await desk.legion.mcp.servers.sign_out(call.path["name"], call.who))


SIGN_IN_WAIT_S = 15.0
_READ, _WRITE = ("mcp", "read"), ("mcp", "write")
_SERVERS = ("mcp/servers", "write")
_SCHEMA = {"type": "object", "properties": {"url": {"type": "string"}}, "required": ["url"]}
_TOOL = ToolRow(
    name="http-request-get",
    title="http.request.get",
    description="Fetch an address.",
    source="extension",
    target="http.request.get",
    risk="read",
    arguments=_SCHEMA,
    is_repeatable=True,
    is_open_world=True,
    standing="allowed",
)
_CLIENT = McpClientRow(
    name="owner",
    software="Zed 1.2",
    protocol="2025-11-25",
    transport="http",
    first_at=AT,
    last_at=AT,
    sessions=1,
    calls=3,
)
_CALL = McpCall(
    id="call_01kkq",
    client="owner",
    software="Zed 1.2",
    tool="http-request-get",
    risk="read",
    arguments='{"url":"https://example.org"}',
    started_at=AT,
    outcome="ok",
    duration_s=0.4,
    task="task_01kkq",
)
_STATUS = McpStatus(
    url="http://127.0.0.1:4567/mcp",
    command=("legion", "mcp"),
    is_paused=False,
    tools=24,
    clients=(_CLIENT,),
    running=0,
    waiting=0,
)
_GRANT = Grant(client="owner", allow=("chain-*",))
_APPROVAL = Approval(
    id="apr_01kkq",
    client="owner",
    software="Zed 1.2",
    tool="shell-command-run",
    risk="danger",
    description="Run a program to its end.",
    arguments='{"argv":["ls"]}',
    asked_at=AT,
    expires_at=AT,
)
_SIGN_IN = SignInState(name="notes", url="https://sign-in.example.com/authorize?client_id=…")
_SPEC = ServerSpec(name="files", command=("mcp-server-filesystem", "/home/ada/papers"))
_ROW = ServerRow(
    name="files",
    spec=_SPEC,
    state="asleep",
    fingerprint="9f2c",
    approved="9f2c",
    tools=(
        ToolInfo(
            name="read_file", function="mcp.files.read_file", description="Reads a file.", arguments=_SCHEMA
        ),
    ),
    approved_at=AT,
)

OPERATIONS = (
    Operation(
        method="GET", path="/api/v1/mcp", name="show_mcp", summary="The MCP server at a glance",
        handler=show_mcp, right=_READ, answer=McpStatus, example=_STATUS,
    ),
    Operation(
        method="GET", path="/api/v1/mcp/tools", name="list_mcp_tools", summary="Tools, and what a client may do with them",
        handler=list_mcp_tools, right=_READ, answer=tuple[ToolRow, ...], example=(_TOOL,),
        query=(Parameter("client", "Whose token; the caller's if absent."),),
    ),
    Operation(
        method="GET", path="/api/v1/mcp/clients", name="list_mcp_clients", summary="Who calls",
        handler=list_mcp_clients, right=_READ, answer=tuple[McpClientRow, ...], example=(_CLIENT,),
    ),
    Operation(
        method="GET", path="/api/v1/mcp/calls", name="list_mcp_calls", summary="What was called, newest first",
        handler=list_mcp_calls, right=_READ, answer=tuple[McpCall, ...], example=(_CALL,),
        query=(Parameter("limit", "How many.", {"type": "integer", "minimum": 1}),),
    ),
    Operation(
        method="GET", path="/api/v1/mcp/grants", name="list_mcp_grants", summary="What the user allowed and forbade",
        handler=list_mcp_grants, right=_READ, answer=tuple[Grant, ...], example=(_GRANT,),
    ),
    Operation(
        method="POST", path="/api/v1/mcp/grants/{client}", name="change_mcp_grant", summary="Allow and hide tools",
        handler=change_mcp_grant, right=_WRITE, answer=Grant, example=_GRANT,
        body=GrantBody, body_example=GrantBody(allow=("chain-*",)),
    ),
    Operation(
        method="DELETE", path="/api/v1/mcp/grants/{client}", name="reset_mcp_grant", summary="Back to what only reads",
        handler=reset_mcp_grant, right=_WRITE, answer=Grant, example=Grant(client="owner"),
    ),
    Operation(
        method="POST", path="/api/v1/mcp/pause", name="pause_mcp", summary="Refuse every call, or go on",
        handler=pause_mcp, right=_WRITE, answer=McpStatus, example=_STATUS,
        body=PauseBody, body_example=PauseBody(is_paused=False),
    ),
    Operation(
        method="GET", path="/api/v1/mcp/approvals", name="list_mcp_approvals", summary="Calls that wait for the user",
        handler=list_mcp_approvals, right=_READ, answer=tuple[Approval, ...], example=(_APPROVAL,),
    ),
    Operation(
        method="GET", path="/api/v1/mcp/servers", name="list_mcp_servers", summary="Other people's servers",
        handler=list_mcp_servers, right=_READ, answer=tuple[ServerRow, ...], example=(_ROW,),
    ),
    Operation(
        method="POST", path="/api/v1/mcp/servers", name="add_mcp_server", summary="Register a server",
        handler=add_mcp_server, right=_SERVERS, answer=ServerRow, example=_ROW, status=201,
        body=ServerSpec, body_example=_SPEC,
    ),
    Operation(
        method="GET", path="/api/v1/mcp/servers/{name}", name="show_mcp_server", summary="One server and its tools",
        handler=show_mcp_server, right=_READ, answer=ServerRow, example=_ROW,
    ),
    Operation(
        method="POST", path="/api/v1/mcp/servers/{name}/look", name="look_at_mcp_server", summary="Start it and read its tools",
        handler=look_at_mcp_server, right=_SERVERS, answer=ServerRow, example=_ROW,
    ),
    Operation(
        method="POST", path="/api/v1/mcp/servers/{name}/approve", name="approve_mcp_server", summary="Trust it as it was shown",
        handler=approve_mcp_server, right=_SERVERS, answer=ServerRow, example=_ROW,
        body=ApproveBody, body_example=ApproveBody(fingerprint="9f2c"),
    ),
    Operation(
        method="POST", path="/api/v1/mcp/servers/{name}/switch", name="switch_mcp_server", summary="Let it be used, or not",
        handler=switch_mcp_server, right=_SERVERS, answer=ServerRow, example=_ROW,
        body=SwitchBody, body_example=SwitchBody(is_on=True),
    ),
    Operation(
        method="POST", path="/api/v1/mcp/servers/{name}/login", name="sign_in_at_mcp_server", summary="Begin to sign in at a server",
        handler=sign_in_at_mcp_server, right=_SERVERS, answer=SignInState, example=_SIGN_IN,
    ),
    Operation(
        method="GET", path="/api/v1/mcp/servers/{name}/login", name="wait_for_sign_in", summary="Wait for the user to sign in",
        handler=wait_for_sign_in, right=_SERVERS, answer=SignInState, example=_SIGN_IN,
    ),
    Operation(
        method="DELETE", path="/api/v1/mcp/servers/{name}/login", name="sign_out_of_mcp_server", summary="Sign out, and end the tokens",
        handler=sign_out_of_mcp_server, right=_SERVERS, answer=ServerRow, example=_ROW,
    ),
    Operation(
        method="DELETE", path="/api/v1/mcp/servers/{name}", name="remove_mcp_server", summary="Forget a server",
        handler=remove_mcp_server, right=_SERVERS, answer=RemovedServer, example=RemovedServer(removed="files"),
    ),
)  # fmt: skip
