"""Programs, callers and servers in memory, for the Connect page."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import msgspec

from legion_core.api.chat_types import ChatCall, ChatTools, ToolSource, Yes
from legion_core.api.connect_types import (
    Change,
    ClientRow,
    ConnectChanged,
    DiffLine,
    FileChange,
    FileEnding,
    Undone,
)
from legion_core.api.mcp_types import Approval, Grant, McpCall, McpClientRow, McpStatus, ToolRow
from legion_core.api.network import Contact, HostRow, NetworkState
from legion_core.api.server_types import ServerRow, ServerSpec, ToolInfo
from legion_core.kernel.errors import ConfigError
from legion_core.kernel.events import EventBus

NOW = datetime(2026, 6, 17, 14, 6, tzinfo=UTC)


def program(name: str, title: str, state: str = "found", **more: Any) -> ClientRow:
    """A program in a state."""
    told: dict[str, Any] = {
        "name": name, "title": title, "letter": title[0], "state": state, "problem": "", "paths": (f"/p/{name}",),
        "parts": ("mcp",), "form": "stdio", "models": "written", "no_models": "", "applied_at": "", "link": "",
    }  # fmt: skip
    return ClientRow(**{**told, **more})


def tool(name: str, risk: str = "read", standing: str = "allowed", source: str = "workbench") -> ToolRow:
    """A tool on offer."""
    return ToolRow(
        name=name, title=name.capitalize(), description=f"Does {name}.", source=source, target=name, risk=risk,
        arguments={}, standing=standing,
    )  # fmt: skip


def approval(number: int = 1) -> Approval:
    """A call that waits."""
    return Approval(
        id=f"a{number}", client="cursor", software="Cursor 3", tool="shell.run", risk="danger",
        description="Runs a command.", arguments='{"command": ["rm", "-r", "build"]}', asked_at=NOW,
        expires_at=NOW + timedelta(minutes=2),
    )  # fmt: skip


class FakeConnect:
    def __init__(self, bus: EventBus) -> None:
        self.bus = bus
        self.rows = [
            program("zed", "Zed"),
            program("cursor", "Cursor", "connected", link="cursor://install", models="none"),
            program("claude-code", "Claude Code", "changed", models="asked"),
            program("codex", "Codex", "missing"),
        ]
        self.calls: list[tuple[Any, ...]] = []
        self.refuse: dict[str, str] = {}

    async def list(self) -> tuple[ClientRow, ...]:
        return tuple(self.rows)

    async def preview(self, client: str, parts: tuple[str, ...] = (), form: str = "stdio") -> Change:
        self.calls.append(("preview", client, tuple(parts)))
        if client in self.refuse:
            raise ConfigError(self.refuse[client], hint="It was left as it is.")
        lines = (
            DiffLine(sign=" ", number=1, text="{"),
            DiffLine(sign="+", number=2, text='  "legion": true'),
            DiffLine(sign=" ", number=3, text="}"),
        )
        row = self._row(client)
        lines = lines if row.state != "connected" else ()
        file = FileChange(
            path=f"/p/{client}",
            shown=f"~/{client}.json",
            is_new=False,
            added=len(lines) // 3,
            removed=0,
            lines=lines,
        )
        return Change(client=client, title=row.title, files=(file,), notes=("Begin a new session.",))

    async def apply(self, client: str, parts: tuple[str, ...] = (), form: str = "stdio") -> Change:
        self.calls.append(("apply", client, tuple(parts)))
        change = await self.preview(client, parts)
        self._set(client, "connected")
        return change

    async def undo(self, client: str) -> Undone:
        self.calls.append(("undo", client))
        self._set(client, "found")
        title = self._row(client).title
        return Undone(
            client=client, title=title, files=(FileEnding(path="/p", ending="restored"),),
            words=f"{title} is not connected any more.",
        )  # fmt: skip

    async def snippet(self, client: str, parts: tuple[str, ...] = ()) -> str:
        return f'{{"{client}": "legion"}}'

    async def key(self, client: str) -> str:
        return f"key of {client}"

    def command(self) -> tuple[str, ...]:
        return ("/opt/legion", "mcp")

    def _row(self, client: str) -> ClientRow:
        return next(row for row in self.rows if row.name == client)

    def _set(self, client: str, state: Any) -> None:
        self.rows = [
            msgspec.structs.replace(row, state=state) if row.name == client else row for row in self.rows
        ]
        at_utc, at_mono_s = self.bus.stamp()
        self.bus.publish(ConnectChanged(at_utc=at_utc, at_mono_s=at_mono_s, client=client))


ARGUMENTS = {
    "type": "object",
    "properties": {"path": {"type": "string", "description": "Where it lies."}},
    "required": ["path"],
}


class FakeServers:
    def __init__(self) -> None:
        self.rows: dict[str, ServerRow] = {}
        self.calls: list[tuple[Any, ...]] = []

    async def list(self) -> tuple[ServerRow, ...]:
        return tuple(self.rows.values())

    async def add(self, spec: ServerSpec, who: Any) -> ServerRow:
        self.calls.append(("add", spec.name, spec.command, spec.url))
        self.rows[spec.name] = ServerRow(name=spec.name, spec=spec, state="new")
        return self.rows[spec.name]

    async def look(self, name: str, who: Any) -> ServerRow:
        found = ToolInfo(name="read", function=f"mcp.{name}.read", description="Reads.", arguments=ARGUMENTS)
        row = msgspec.structs.replace(self.rows[name], fingerprint="f1", tools=(found,))
        self.rows[name] = row
        return row

    async def approve(self, name: str, fingerprint: str, who: Any) -> ServerRow:
        self.calls.append(("approve", name, fingerprint))
        self.rows[name] = msgspec.structs.replace(self.rows[name], approved=fingerprint, state="ready")
        return self.rows[name]

    async def switch(self, name: str, is_on: bool, who: Any) -> ServerRow:
        spec = msgspec.structs.replace(self.rows[name].spec, is_on=is_on)
        self.rows[name] = msgspec.structs.replace(
            self.rows[name], spec=spec, state="asleep" if is_on else "off"
        )
        return self.rows[name]

    async def remove(self, name: str, who: Any) -> None:
        del self.rows[name]


class FakeChats:
    """Tools of chats."""

    def __init__(self) -> None:
        self.on: dict[str, set[str]] = {}
        self.made: list[ChatCall] = []
        self.problem = ""
        self.standing: tuple[Yes, ...] = ()

    async def used(self, conversation_id: str) -> tuple[str, ...]:
        return tuple(sorted(self.on.get(conversation_id, ())))

    async def of(
        self, conversation_id: str, pins: Any = None, wished: frozenset[str] = frozenset()
    ) -> ChatTools:
        on = self.on.get(conversation_id, set()) | wished
        offered = (("server:notes", "notes", 2), ("extension:file", "file", 2), ("chains", "Chains", 1))
        sources = tuple(
            ToolSource(key=key, title=title, tools=tools, is_on=key in on) for key, title, tools in offered
        )
        count = sum(source.tools for source in sources if source.is_on)
        return ChatTools(
            conversation_id=conversation_id,
            sources=sources,
            count=count,
            problem=self.problem if count else "",
        )

    async def switch(self, conversation_id: str, source: str, is_on: bool) -> ChatTools:
        on = self.on.setdefault(conversation_id, set())
        on.add(source) if is_on else on.discard(source)
        return await self.of(conversation_id)

    async def calls(self, conversation_id: str) -> tuple[ChatCall, ...]:
        return tuple(call for call in self.made if call.conversation_id == conversation_id)

    async def yeses(self) -> tuple[Yes, ...]:
        return self.standing

    async def forget(self, tool: str) -> None:
        self.standing = tuple(yes for yes in self.standing if yes.tool != tool)


class FakeMcp:
    def __init__(self) -> None:
        self.servers = FakeServers()
        self.chats = FakeChats()
        self.is_paused = False
        self.told: list[McpCall] = []
        self.rows = [
            tool("status"),
            tool("remove", "danger", "hidden"),
            tool("ask", "write", "hidden", "model"),
        ]
        self.given: dict[str, Grant] = {}
        self.answers: list[tuple[str, str, str]] = []
        self.decided: list[tuple[str, bool]] = []
        self.desks = 0

    async def status(self) -> McpStatus:
        client = McpClientRow(
            name="cursor",
            software="Cursor 3",
            protocol="2026-07-28",
            transport="http",
            first_at=NOW,
            last_at=NOW,
        )
        return McpStatus(
            url="http://127.0.0.1:4567/mcp", command=("legion", "mcp"), is_paused=self.is_paused, tools=3,
            clients=(client,), running=0, waiting=0,
        )  # fmt: skip

    def calls(self, limit: int = 100) -> tuple[McpCall, ...]:
        return tuple(self.told)

    async def tools(self, client: str = "owner", *, is_all: bool = True) -> tuple[ToolRow, ...]:
        grant = self.given.get(client, Grant(client=client))

        def standing(row: ToolRow) -> str:
            if row.name in grant.allow:
                return "allowed"
            return "hidden" if row.name in grant.deny else row.standing

        return tuple(msgspec.structs.replace(row, standing=standing(row)) for row in self.rows)

    async def grants(self) -> tuple[Grant, ...]:
        return tuple(self.given.values())

    async def allow(self, client: str, names: tuple[str, ...]) -> None:
        self.given[client] = Grant(client=client, allow=names)

    async def forbid(self, client: str, names: tuple[str, ...]) -> None:
        self.given[client] = Grant(client=client, deny=names)

    async def reset(self, client: str) -> None:
        self.given.pop(client, None)

    def pause(self, is_paused: bool) -> None:
        self.is_paused = is_paused

    def decide(self, approval_id: str, is_allowed: bool, *, scope: str = "once", note: str = "") -> None:
        self.answers.append((approval_id, scope if is_allowed else "", note))
        self.decided.append((approval_id, is_allowed))

    def watching(self, is_watching: bool) -> None:
        self.desks += 1 if is_watching else -1


class FakeKeys:
    def __init__(self) -> None:
        self.rows = [
            SimpleNamespace(name="cursor", client="Cursor", tail="a91f", state="active", last_used_at=NOW),
            SimpleNamespace(name="old", client="", tail="0000", state="revoked", last_used_at=None),
        ]

    async def list(self) -> tuple[Any, ...]:
        return tuple(self.rows)

    async def revoke(self, name: str) -> Any:
        self.rows = [row for row in self.rows if row.name != name]


class FakeNetwork:
    def __init__(self) -> None:
        self.is_offline = False
        self.blocked: tuple[str, ...] = ()
        self.calls: list[tuple[str, Any]] = []

    async def rows(self) -> tuple[HostRow, ...]:
        first = Contact(
            host="api.example.org", port=443, purpose="model provider", by="example", count=3, sent_bytes=12_000,
            received_bytes=3_400_000, first_at=NOW - timedelta(hours=2), last_at=NOW,
        )  # fmt: skip
        other = msgspec.structs.replace(
            first, host="models.example", purpose="model download", by="tiny", count=1
        )
        return tuple(
            HostRow(
                host=each.host, contacts=(each,), blocked_by=each.host if each.host in self.blocked else ""
            )
            for each in (first, other)
        )

    def state(self) -> NetworkState:
        return NetworkState(is_offline=self.is_offline, blocked=self.blocked)

    async def set_offline(self, is_offline: bool) -> NetworkState:
        self.calls.append(("offline", is_offline))
        self.is_offline = is_offline
        return self.state()

    async def block(self, host: str) -> NetworkState:
        self.calls.append(("block", host))
        self.blocked = (*self.blocked, host)
        return self.state()

    async def allow(self, host: str) -> NetworkState:
        self.calls.append(("allow", host))
        self.blocked = tuple(each for each in self.blocked if each != host)
        return self.state()
