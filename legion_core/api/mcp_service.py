"""What happens when somebody calls a tool: may they, does the user want it, run it, tell of it. Knows no protocol.

find → standing of this client → authorise → (danger: the user's yes) → run under bounds → outcome in the call list
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any, Literal

import msgspec

from legion_core.agent.change_types import Change
from legion_core.api.mcp_calls import Approvals, CallList, shown
from legion_core.api.mcp_grants import Grants
from legion_core.api.mcp_tools import FRESH_S, Catalogue, Reporter, Tool, ToolResult, standing
from legion_core.api.mcp_types import (
    CallOutcome,
    McpCall,
    McpClientRow,
    McpClientsChanged,
    McpToolsChanged,
    ToolRow,
)
from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import Denied, LegionError, LimitReached, NotFound, TimedOut
from legion_core.kernel.events import EventBus
from legion_core.kernel.ports import Principal

Look = Callable[[str, Mapping[str, Any]], Awaitable[tuple[Change, ...]]]
CALL_S = 3_600.0  # the longest a call may take
RUNNING_MAX = 256
RUNNING_PER_CLIENT_MAX = 200
ARGUMENTS_BYTES_MAX = 1 << 20
RESULT_CHARS_MAX = 400_000
CLIENTS_KEPT = 200
SOFTWARE_CHARS = 80
LATELY_S = 60.0
HANDSHAKES = ("2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25")  # revisions with sessions


class McpService:
    """See the module. `authorise` is the node's one; `secrets` gives values to mask."""

    def __init__(
        self,
        clock: Clock,
        bus: EventBus,
        catalogue: Catalogue,
        calls: CallList,
        approvals: Approvals,
        grants: Grants,
        authorise: Callable[[Principal, str, str], None],
        secrets: Callable[[], tuple[str, ...]],
    ) -> None:
        self._clock = clock
        self._bus = bus
        self._authorise = authorise
        self._secrets = secrets
        self.catalogue = catalogue
        self.calls = calls
        self.approvals = approvals
        self.grants = grants
        self.is_paused = False
        self.look: Look = _unseen
        """What a call would change, for the question whether it may be made."""
        self.extras: list[
            Any
        ] = []  # what the conformance suite's fixture adds; see `surfaces.mcp.server.Extra`
        self._clients: OrderedDict[tuple[str, str], McpClientRow] = OrderedDict()
        self._running: Counter[str] = Counter()
        self._listings: dict[str, tuple[tuple[str, int], tuple[ToolRow, ...]]] = {}
        self._version = 0
        catalogue.on_change = lambda: self.tools_changed("tools")

    # Looking

    async def tools(
        self, client: str, *, is_all: bool = False, fresh_s: float = FRESH_S
    ) -> tuple[ToolRow, ...]:
        """What this client may see, by name; `is_all` also what it may not, told by `standing`."""
        tools = await self.catalogue.all(fresh_s=fresh_s)
        key, mark = f"{is_all} {client}", (self.catalogue.print, self._version)
        known = self._listings.get(key)
        if known is not None and known[0] == mark:
            return known[1]
        grant = await self.grants.of(client)
        rows = tuple(
            msgspec.structs.replace(tool.row, standing=stands)
            for tool in tools.values()
            if (stands := standing(tool.row, grant)) != "hidden" or is_all
        )
        if len(self._listings) >= CLIENTS_KEPT:
            self._listings.clear()
        self._listings[key] = (mark, rows)
        return rows

    def clients(self) -> tuple[McpClientRow, ...]:
        """The last heard of first."""
        return tuple(sorted(self._clients.values(), key=lambda row: row.last_at, reverse=True))

    def connected(self) -> tuple[McpClientRow, ...]:
        """Those that hold a session or a listener, or, where the protocol has neither, called just now."""
        since = self._clock.utc_now() - timedelta(seconds=LATELY_S)
        return tuple(
            row
            for row in self.clients()
            if row.sessions > 0 or (row.protocol not in HANDSHAKES and row.last_at >= since)
        )

    # Being told

    def tools_changed(self, reason: str) -> None:
        """What is offered is not what it was."""
        self._version += 1
        at_utc, at_mono_s = self._bus.stamp()
        self._bus.publish(McpToolsChanged(at_utc=at_utc, at_mono_s=at_mono_s, reason=reason))

    def heard(
        self,
        client: str,
        software: str,
        protocol: str,
        transport: Literal["http", "stdio"],
        *,
        sessions: int = 0,
        calls: int = 0,
    ) -> None:
        """A client came (`sessions` 1), left (-1), called, or asked for anything else."""
        software = "".join(each for each in software if each.isprintable())[:SOFTWARE_CHARS]
        key, now = (client, software), self._clock.utc_now()
        before = self._clients.pop(key, None)
        if before is None and sessions < 0:
            return
        if before is None:
            before = McpClientRow(
                name=client,
                software=software,
                protocol=protocol,
                transport=transport,
                first_at=now,
                last_at=now,
            )
        while len(self._clients) >= CLIENTS_KEPT:
            self._clients.popitem(last=False)
        is_news = sessions != 0 or before.first_at == now
        self._clients[key] = msgspec.structs.replace(
            before,
            protocol=protocol or before.protocol,
            last_at=now,
            sessions=max(before.sessions + sessions, 0),
            calls=before.calls + calls,
        )
        if is_news:
            at_utc, at_mono_s = self._bus.stamp()
            self._bus.publish(McpClientsChanged(at_utc=at_utc, at_mono_s=at_mono_s, name=client))

    # Calling

    async def call(
        self, who: Principal, software: str, name: str, args: Mapping[str, Any], reporter: Reporter
    ) -> ToolResult:
        """Run a tool. NotFound if this client has none of that name; everything else that goes wrong is a result."""
        if self.is_paused:
            return ToolResult("The user has paused all calls. Ask them to go on.", is_error=True)
        tools = await self.catalogue.all()
        tool = tools.get(name) or (await self.catalogue.all(fresh_s=0.0)).get(name)
        if tool is None:
            raise NotFound(f"There is no tool {name[:80]!r}.")
        if self._running.total() >= RUNNING_MAX or self._running[who.name] >= RUNNING_PER_CLIENT_MAX:
            return ToolResult(
                f"{RUNNING_PER_CLIENT_MAX} calls of one client and {RUNNING_MAX} of all run at a time. Wait for one to end.",
                is_error=True,
            )
        told = shown(args, self._secrets)
        call = self.calls.begin(who.name, software, tool.row, told)
        self._running[who.name] += 1
        outcome: CallOutcome = "cancelled"
        message = "The client cancelled it."
        try:
            result = await self._run(tool, call, who, args, told, reporter)
            outcome, message = ("error", result.text[:500]) if result.is_error else ("ok", "")
            return _bounded(result)
        except Denied as error:
            outcome, message = "denied", error.sentence()
            return ToolResult(error.sentence(), is_error=True)
        except TimedOut as error:
            outcome, message = "timed_out", error.sentence()
            return ToolResult(error.sentence(), is_error=True)
        except LegionError as error:
            outcome, message = "error", error.sentence()
            return ToolResult(error.sentence(), is_error=True)
        except Exception:
            outcome, message = "error", "Something broke inside."
            raise
        finally:
            self._running[who.name] -= 1
            if not self._running[who.name]:
                del self._running[who.name]
            self.calls.change(call.id, outcome=outcome, message=message)

    async def _run(
        self,
        tool: Tool,
        call: McpCall,
        who: Principal,
        args: Mapping[str, Any],
        told: str,
        reporter: Reporter,
    ) -> ToolResult:
        row = tool.row
        stands = standing(row, await self.grants.of(who.name))
        if stands == "hidden":
            raise Denied(
                f"{who.name} may not call {row.name}: the user has not allowed it.",
                hint=f"The user can: `legion mcp allow {row.name} --client {who.name}`.",
            )
        self._authorise(who, f"mcp/tools/{row.name}", "use")
        if len(msgspec.json.encode(args)) > ARGUMENTS_BYTES_MAX:
            raise LimitReached(f"The arguments are larger than {ARGUMENTS_BYTES_MAX:,} bytes.")
        if stands == "asks":
            self.calls.change(call.id, outcome="waiting")
            about = {"changes": await self.look(row.target, args), "whose": row.target.partition(".")[0]}
            await self.approvals.ask(who.name, call.software, row, told, about=about)
            self.calls.change(call.id, outcome="running")
        try:
            async with asyncio.timeout(CALL_S):
                return await tool.call(who, args, _Noting(reporter, self.calls, call.id))
        except TimeoutError as error:
            raise TimedOut(f"{row.name} had not ended after {CALL_S:.0f} s and was cancelled.") from error


class _Noting:
    """A reporter that also notes in the call list what runs for the call."""

    def __init__(self, reporter: Reporter, calls: CallList, call_id: str) -> None:
        self._reporter = reporter
        self._calls = calls
        self._call_id = call_id

    async def progress(self, done: float, total: float | None, message: str) -> None:
        """See `Reporter`."""
        await self._reporter.progress(done, total, message)

    async def log(self, level: str, text: str) -> None:
        """See `Reporter`."""
        await self._reporter.log(level, text)

    def began(self, *, task: str = "", run: str = "") -> None:
        """See `Reporter`."""
        self._calls.change(self._call_id, task=task, run=run)
        self._reporter.began(task=task, run=run)


async def _unseen(target: str, args: Mapping[str, Any]) -> tuple[Change, ...]:
    return ()


def _bounded(result: ToolResult) -> ToolResult:
    if len(result.text) <= RESULT_CHARS_MAX:
        return result
    cut = f"{result.text[:RESULT_CHARS_MAX]}\n… cut: the result has {len(result.text):,} characters."
    return ToolResult(cut, is_error=result.is_error)
