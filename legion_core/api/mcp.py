"""MCP, both ways: our tools for other programs, and other people's servers as tools of ours. Cheap until used."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from legion_core.api.mcp_types import Approval, Grant, McpCall, McpClientRow, McpStatus, Scope, ToolRow
from legion_core.kernel.errors import Denied, InvalidInput
from legion_core.kernel.ports import LOCAL_OWNER, Principal

if TYPE_CHECKING:
    from legion_core.agent.mcp.service import Servers
    from legion_core.api.chat_tools import ChatToolsDoor
    from legion_core.api.mcp_service import McpService

T = TypeVar("T")
CALLS_SHOWN = 100
Noting = Callable[[str, str, str, str, str], Awaitable[None]]
STDIO = ("legion", "mcp")


class Mcp:
    """Who calls what, what they may, and what waits for the user. `make` brings the service in when somebody asks."""

    def __init__(
        self,
        make: "Callable[[], McpService]",
        servers: "Callable[[], Servers]",
        url: Callable[[], str],
        note: Noting | None = None,
    ) -> None:
        """`note` writes into the audit log: kind, path, action, outcome, detail."""
        self._make = make
        self._note = note
        self._chats: ChatToolsDoor | None = None
        self.sees: tuple[Path, Callable[[], tuple[str, ...]]] | None = None
        """Where our own files lie, and what gives the secrets to mask: for showing what a call would change."""
        self._make_servers = servers
        self._url = url
        self._made: McpService | None = None
        self._desks = 0
        self._servers: Servers | None = None
        self._endpoint: Any = None

    async def status(self) -> McpStatus:
        """At a glance."""
        service, url = self.service(), self._url()
        return McpStatus(
            url=f"{url}/mcp" if url else "",
            command=STDIO,
            is_paused=service.is_paused,
            tools=len(await service.catalogue.all()),
            clients=service.connected(),
            running=service.calls.count("running"),
            waiting=service.calls.count("waiting"),
        )

    async def tools(self, client: str = "owner", *, is_all: bool = True) -> tuple[ToolRow, ...]:
        """Every tool and what this client may do with it; without `is_all` only what it sees."""
        return await self.service().tools(client, is_all=is_all)

    def clients(self) -> tuple[McpClientRow, ...]:
        """Who calls, the last heard of first."""
        return self.service().clients()

    def calls(self, limit: int = CALLS_SHOWN) -> tuple[McpCall, ...]:
        """What was called, newest first."""
        return self.service().calls.latest(limit)

    async def grants(self) -> tuple[Grant, ...]:
        """What the user allowed and forbade, by client; `*` is every client."""
        return await self.service().grants.all()

    async def allow(self, client: str, names: tuple[str, ...], who: Principal = LOCAL_OWNER) -> Grant:
        """Let a client call these tools (names, or patterns with `*`). Only the owner may."""
        return await self._change(client, names, (), who)

    async def forbid(self, client: str, names: tuple[str, ...], who: Principal = LOCAL_OWNER) -> Grant:
        """Hide these tools from a client, even those that only read. Only the owner may."""
        return await self._change(client, (), names, who)

    async def reset(self, client: str, who: Principal = LOCAL_OWNER) -> Grant:
        """Back to what only reads."""
        _owner(who)
        await self._noted("mcp.grant", f"mcp/clients/{client}", "back to what only reads")
        grant = await self.service().grants.set(Grant(client=client))
        self.service().tools_changed("grants")
        return grant

    def pause(self, is_paused: bool, who: Principal = LOCAL_OWNER) -> None:
        """Refuse every call until told to go on. Only the owner may."""
        _owner(who)
        self.service().is_paused = is_paused

    def approvals(self) -> tuple[Approval, ...]:
        """The calls that wait for the user at the desktop, oldest first."""
        return self.service().approvals.waiting()

    def decide(
        self,
        approval_id: str,
        is_allowed: bool,
        who: Principal = LOCAL_OWNER,
        *,
        scope: Scope = "once",
        note: str = "",
    ) -> None:
        """The user's answer; Denied for anybody but this process's own window, NotFound if it is too late.

        `scope` is how far a yes goes; the model or client is told `note` with a no.
        """
        self.service().approvals.decide(approval_id, is_allowed, who, scope=scope, note=note)

    def watching(self, is_watching: bool) -> None:
        """A window that shows approvals opened or closed: without one every dangerous call is refused at once."""
        self._desks = max(self._desks + (1 if is_watching else -1), 0)
        if self._made is not None:
            self._made.approvals.desks = self._desks

    def endpoint(self, make: Callable[[], T]) -> T:
        """What answers at /mcp, made once for the node: sessions outlive a change of the port."""
        if self._endpoint is None:
            self._endpoint = make()
        return self._endpoint

    @property
    def servers(self) -> "Servers":
        """Other people's servers."""
        if self._servers is None:
            self._servers = self._make_servers()
            if self._note is not None:
                self._servers.note = self._note
        return self._servers

    def service(self) -> "McpService":
        """What the protocol's surface talks to."""
        if self._made is None:
            self._made = self._make()
            self._made.approvals.desks = self._desks
            if self._note is not None:
                self._made.approvals.note = self._note
            if self.sees is not None:
                from legion_core.api.mcp_changes import Lookout

                self._made.look = Lookout(self.sees[0], lambda: self.servers, self.sees[1]).of
        return self._made

    @property
    def chats(self) -> "ChatToolsDoor":
        """The tools of chats."""
        assert self._chats is not None, "this node has no chats"
        return self._chats

    @chats.setter
    def chats(self, door: "ChatToolsDoor") -> None:
        self._chats = door
        door.note = self._note

    async def stop(self) -> None:
        """End what was begun; idempotent."""
        if self._servers is not None:
            await self._servers.stop()

    async def _change(
        self, client: str, allow: tuple[str, ...], deny: tuple[str, ...], who: Principal
    ) -> Grant:
        _owner(who)
        if any(not name.strip() or len(name) > 128 for name in (*allow, *deny)):
            raise InvalidInput("A tool's name has 1 to 128 characters.")
        service = self.service()
        found = {grant.client: grant for grant in await service.grants.all()}
        before = found.get(client, Grant(client=client))
        grant = Grant(
            client=client,
            allow=tuple(dict.fromkeys(name for name in (*before.allow, *allow) if name not in deny)),
            deny=tuple(dict.fromkeys(name for name in (*before.deny, *deny) if name not in allow)),
        )
        told = "; ".join(
            f"{verb} {', '.join(names)}"[:500] for verb, names in (("allow", allow), ("hide", deny)) if names
        )
        await self._noted("mcp.grant", f"mcp/clients/{client}", told)
        await service.grants.set(grant)
        service.tools_changed("grants")
        return grant

    async def _noted(self, kind: str, path: str, detail: str) -> None:
        if self._note is not None:
            await self._note(kind, path, "write", "done", detail)


def _owner(who: Principal) -> None:
    if who.carrier not in ("owner", "local"):
        raise Denied(f"{who.name} may not change what tools may be called: only the owner may.")
