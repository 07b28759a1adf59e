"""The endpoint `/mcp`: streamable HTTP by the official SDK, behind the guard of the HTTP surface like every other route.

The SDK is loaded when the first client comes. Its own checks of Host and Origin are off: the guard has made them, and
has told who asks. No credential goes further than the guard.
"""

import asyncio
import importlib
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from legion_core.kernel.errors import Unavailable
from legion_core.kernel.ports import Principal
from legion_core.kernel.supervise import Supervisor
from legion_core.surfaces.mcp.caller import WHO

if TYPE_CHECKING:
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

    from legion_core.api.facade import Legion
    from legion_core.surfaces.mcp.server import McpServer

log = logging.getLogger("legion.mcp")

SESSIONS_MAX = 160
IDLE_S = 30 * 60.0
BODY_BYTES_MAX = 4 << 20
PATH = "/mcp"
_CREDENTIALS = frozenset({b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key", b"cookie"})
Header = tuple[bytes, bytes]


class Out(Protocol):
    """Where the answer goes."""

    async def start(self, status: int, media_type: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        """Send the head, once."""
        ...

    async def send(self, chunk: bytes) -> None:
        """Send part of the body."""
        ...

    async def finish(self, last: bytes = b"") -> None:
        """End the body, once."""
        ...


class McpEndpoint:
    """Serves every client of one node; see the module."""

    def __init__(self, legion: "Legion", supervisor: Supervisor) -> None:
        self._legion = legion
        self._supervisor = supervisor
        self._opening = asyncio.Lock()
        self._manager: StreamableHTTPSessionManager | None = None
        self._server: McpServer | None = None

    async def handle(
        self, who: Principal, method: str, headers: Sequence[Header], body: bytes, out: Out
    ) -> None:
        """Answer one request. Cancelled when its client goes."""
        manager = await self._ready()
        scope = _scope(who, method, headers)
        receive = _Receive(body)
        sending = _Sending(out)
        await manager.handle_request(scope, receive, sending)  # pyright: ignore[reportArgumentType]
        await sending.finish()

    async def _ready(self) -> "StreamableHTTPSessionManager":
        async with self._opening:
            if self._manager is None:
                # In a thread: it takes a second, and the window's loop must not wait for it.
                await asyncio.to_thread(importlib.import_module, "legion_core.surfaces.mcp.server")
                self._manager = await self._open()
        return self._manager

    async def _open(self) -> "StreamableHTTPSessionManager":
        from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

        from legion_core.surfaces.mcp.server import McpServer

        _no_watcher()
        server = self._server = McpServer(self._legion, self._legion.events, self._supervisor)
        manager = StreamableHTTPSessionManager(
            server.sdk,
            session_idle_timeout=IDLE_S,
            max_sessions=SESSIONS_MAX,
            max_request_body_size=BODY_BYTES_MAX,
        )
        is_open = asyncio.Event()

        async def keep() -> None:
            async with manager.run():
                is_open.set()
                await asyncio.Event().wait()  # until the node stops

        kept = self._supervisor.spawn("mcp.sessions", keep())
        kept.add_done_callback(lambda _: self._closed())
        await is_open.wait()
        return manager

    def _closed(self) -> None:
        self._manager = None


def _no_watcher() -> None:
    """Keep sse-starlette (3.7) from starting its poll for uvicorn's shutdown, of which we have none: our server ends streams itself."""
    from sse_starlette import sse

    state: Any = sse._get_shutdown_state()  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001
    state.watcher_started = True


def _scope(who: Principal, method: str, headers: Sequence[Header]) -> Mapping[str, Any]:
    from mcp.server.auth.middleware.bearer_auth import AuthenticatedUser
    from mcp.server.auth.provider import AccessToken

    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": PATH,
        "raw_path": PATH.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(name, value) for name, value in headers if name not in _CREDENTIALS],
        "client": None,
        "server": None,
        "state": {},
        WHO: who,
        # A session belongs to whoever opened it; for everybody else it does not exist.
        "user": AuthenticatedUser(AccessToken(token="", client_id=f"{who.carrier} {who.name}", scopes=[])),
    }


class _Receive:
    """The body that is here already, and then nothing: who leaves is cancelled from outside."""

    def __init__(self, body: bytes) -> None:
        self._body: bytes | None = body

    async def __call__(self) -> dict[str, Any]:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await asyncio.Event().wait()
        raise Unavailable("The client is gone.")  # never reached


class _Sending:
    """The SDK's ASGI messages as our answer."""

    def __init__(self, out: Out) -> None:
        self._out = out
        self._is_finished = False
        self._has_started = False

    async def __call__(self, message: Mapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self._has_started = True
            media_type, headers = "application/octet-stream", list[tuple[str, str]]()
            for name, value in message.get("headers", ()):
                if name.lower() == b"content-type":
                    media_type = value.decode("latin-1")
                elif name.lower() not in _OURS:
                    headers.append((name.decode("latin-1"), value.decode("latin-1")))
            await self._out.start(message["status"], media_type, tuple(headers))
        elif message["type"] == "http.response.body":
            if message.get("more_body", False):
                await self._out.send(message.get("body", b""))
            else:
                self._is_finished = True
                await self._out.finish(message.get("body", b""))

    async def finish(self) -> None:
        """End an answer that has begun and was left open."""
        if self._has_started and not self._is_finished:
            await self._out.finish()


_OURS = frozenset({b"cache-control", b"connection"})  # the guard's are stricter; the connection is the wire's
