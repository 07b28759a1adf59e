"""Who is behind a request of the protocol, and how what a tool tells on its way reaches them."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol

from legion_core.kernel.ports import NOBODY, Principal

if TYPE_CHECKING:
    from mcp.server.connection import Connection
    from mcp.server.context import ServerRequestContext

WHO = "legion.who"  # the principal, in the scope the guard has passed
LOGGER = "legion"
_LEVELS: Mapping[str, Literal["debug", "info", "warning", "error"]] = {
    "debug": "debug",
    "info": "info",
    "warning": "warning",
    "error": "error",
}
_ORDER = ("debug", "info", "notice", "warning", "error", "critical", "alert", "emergency")


class Caller:
    """One request's client: `who` proved it, `software` is what it says of itself."""

    __slots__ = ("protocol", "session", "software", "who")

    def __init__(self, ctx: "ServerRequestContext[Any, Any]", own: Principal | None) -> None:
        scope: Mapping[str, Any] = getattr(ctx.request, "scope", {})
        self.who: Principal = scope.get(WHO, NOBODY) if own is None else own
        info = ctx.session.client_params.client_info if ctx.session.client_params is not None else None
        self.software = f"{info.name} {info.version}".strip() if info is not None else ""
        self.protocol = ctx.protocol_version
        self.session = connection_of(ctx).session_id or ""


def connection_of(ctx: "ServerRequestContext[Any, Any]") -> "Connection":
    """The connection behind a request: the SDK (2.3) has no public way to it, and it alone knows when the client left."""
    return ctx.session._connection  # pyright: ignore[reportPrivateUsage]  # noqa: SLF001


class Levels(Protocol):
    """Which log lines a connection wants."""

    def level_of(self, connection: "Connection") -> str:
        """The lowest level it asked for."""
        ...


class Told:
    """See `api.mcp_tools.Reporter`: progress and log lines to the client of one request."""

    def __init__(self, ctx: "ServerRequestContext[Any, Any]", levels: Levels) -> None:
        self._ctx = ctx
        self._levels = levels
        self._done = 0.0

    async def progress(self, done: float, total: float | None, message: str) -> None:
        """Nothing is sent unless the client asked for it; what is sent only ever grows."""
        if done <= self._done:
            return
        self._done = done
        await self._ctx.session.report_progress(done, total, message or None)

    async def log(self, level: str, text: str) -> None:
        """A `notifications/message`, if the client wants lines of this level."""
        from mcp.server.connection import allowed_log_levels
        from mcp_types import LoggingMessageNotification, LoggingMessageNotificationParams

        ctx, named = self._ctx, _LEVELS.get(level, "info")
        if named not in allowed_log_levels(ctx.protocol_version, ctx.meta):
            return
        least = self._levels.level_of(connection_of(ctx))
        if _ORDER.index(named) < _ORDER.index(least):
            return
        params = LoggingMessageNotificationParams(level=named, data=text, logger=LOGGER)
        await ctx.session.send_notification(LoggingMessageNotification(params=params), ctx.request_id)

    def began(self, *, task: str = "", run: str = "") -> None:
        """The call list has it."""
