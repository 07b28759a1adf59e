"""`/mcp`: MCP over streamable HTTP."""

from legion_core.surfaces.mcp.http import PATH, McpEndpoint
from legion_core.surfaces.rest.calls import Call, Client, Desk, Handler, Operation, Streamed


def _answering(method: str) -> Handler:
    async def answer(desk: Desk, call: Call) -> Streamed:
        """By the official SDK, which is loaded when the first client comes."""
        endpoint = desk.legion.mcp.endpoint(lambda: McpEndpoint(desk.legion, desk.supervisor))

        async def write(client: Client) -> None:
            work = desk.supervisor.spawn(
                f"mcp.{method}", endpoint.handle(call.who, method, call.raw_headers, call.body, client)
            )
            closing = desk.supervisor.spawn("mcp.closing", _until_closed(desk))
            closing.add_done_callback(lambda _: work.cancel())
            try:
                await work
            finally:
                work.cancel()
                closing.cancel()

        return Streamed(write)

    return answer


async def _until_closed(desk: Desk) -> None:
    """Return when the HTTP surface stops: a stream of the protocol has no end of its own."""
    while desk.feed.is_open:
        await desk.feed.wait_past(desk.feed.last)


_EXAMPLE = 'event: message\ndata: {"jsonrpc":"2.0","id":1,"result":{"tools":[]}}\n\n'
_RIGHT = ("mcp", "use")

OPERATIONS = (
    Operation(
        method="POST",
        path=PATH,
        name="mcp_post",
        summary="MCP: one JSON-RPC message (revisions 2025-11-25 and 2026-07-28)",
        handler=_answering("POST"),
        right=_RIGHT,
        example=_EXAMPLE,
        body=dict,
        body_example={"jsonrpc": "2.0", "id": 1, "method": "tools/list"},
        media_type="text/event-stream",
        is_enveloped=False,
    ),
    Operation(
        method="GET",
        path=PATH,
        name="mcp_get",
        summary="MCP: what the server says unasked, within a session",
        handler=_answering("GET"),
        right=_RIGHT,
        example=_EXAMPLE,
        media_type="text/event-stream",
        is_enveloped=False,
    ),
    Operation(
        method="DELETE",
        path=PATH,
        name="mcp_delete",
        summary="MCP: end a session",
        handler=_answering("DELETE"),
        right=_RIGHT,
        example="",
        media_type="text/plain",
        is_enveloped=False,
    ),
)
