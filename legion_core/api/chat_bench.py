"""What a chat's tools stand on: the one registry of tools, the call list, and the questions in the window."""

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from legion_core.agent.tools.turns import Ran, Wanted, is_strange
from legion_core.agent.tools.types import Offered, Scope, ToolSource
from legion_core.api.mcp_calls import shown
from legion_core.api.mcp_tools import Tool
from legion_core.api.mcp_types import CallOutcome, ToolRow
from legion_core.kernel.errors import Denied, LegionError, NotFound, TimedOut
from legion_core.kernel.ports import Principal

if TYPE_CHECKING:
    from legion_core.agent.mcp.service import Servers
    from legion_core.agent.mcp.types import ServerRow, ServerSpec, ToolInfo
    from legion_core.api.mcp_service import McpService

CLIENT, SOFTWARE = "chat", "A chat of this workbench"
DECIDE_S = 3_600.0  # whoever asked in the window may be away for a while
_LEFT_OUT = (
    "model",
    "workbench",
)  # a model asks no model, and what the workbench tells of itself is no tool of a chat
# What of our own has nothing to give to a chat: it moves messages and results about.
_PLUMBING = frozenset({"absorb", "log", "message", "webhook"})
_TITLES = {
    "chains": "Chains",
    "extension:file": "Files of the workbench",
    "extension:http": "Web requests",
    "extension:notify": "Notifications",
    "extension:schedule": "Schedules",
    "extension:shell": "Listed programs",
}
_PROBLEMS = {
    "off": "It is switched off in Connect.",
    "changed": "It is not what you approved. Look at it in Connect.",
    "new": "It waits for your approval in Connect.",
    "waiting": "It waits for your approval in Connect.",
}

Prints = Mapping[str, "tuple[str, ToolInfo, ServerSpec]"]


class ChatBench:
    """See `agent.tools.turns.Toolbox`. `authorise` is the node's one; `known` gives values to mask."""

    def __init__(
        self,
        service: "Callable[[], McpService]",
        servers: "Callable[[], Servers]",
        authorise: Callable[[Principal, str, str], None],
        known: Callable[[], tuple[str, ...]],
    ) -> None:
        self._service = service
        self._servers = servers
        self._authorise = authorise
        self._known = known

    async def sources(self, is_on: Sequence[str]) -> tuple[ToolSource, ...]:
        """Everything that offers tools: others' servers first, then our own, each by name."""
        tools = await self._tools()
        counts: dict[str, list[Offered]] = {}
        for _, offered in tools.values():
            counts.setdefault(offered.source, []).append(offered)
        found: list[ToolSource] = []
        for server in await self._servers().list():
            key = f"server:{server.name}"
            mine = counts.pop(key, [])
            found.append(
                ToolSource(
                    key=key,
                    title=server.name,
                    tools=len(mine),
                    is_on=key in is_on,
                    is_remote=_is_remote(server.spec),
                    problem=_problem(server),
                )
            )
        for key in sorted(counts):
            mine = counts[key]
            title = _TITLES.get(key, key.partition(":")[2])
            found.append(
                ToolSource(
                    key=key,
                    title=title,
                    tools=len(mine),
                    is_on=key in is_on,
                    is_remote=any(tool.is_remote for tool in mine),
                )
            )
        return tuple(found)

    async def offered(self, sources: Sequence[str]) -> Sequence[Offered]:
        """See `Toolbox`."""
        tools = await self._tools()
        return [offered for _, offered in tools.values() if offered.source in sources]

    async def call(
        self, tool: Offered, args: Mapping[str, Any], who: Principal, began: Callable[[str], None]
    ) -> Ran:
        """See `Toolbox`."""
        self._authorise(who, f"mcp/tools/{tool.name}", "use")
        found = (await self._tools()).get(tool.name)
        if found is None:
            raise NotFound(f"The tool {tool.title} is gone.")
        if found[1].print != tool.print:
            raise Denied(f"{tool.title} changed after it was offered.", hint="Ask again.")
        calls = self._service().calls
        listed = calls.begin(CLIENT, SOFTWARE, found[0].row, self.shown(args))
        outcome: CallOutcome = "cancelled"
        message = "The user stopped it."
        try:
            result = await found[0].call(
                who, args, _Hearing(began, lambda task: calls.change(listed.id, task=task))
            )
            outcome, message = ("error", result.text[:500]) if result.is_error else ("ok", "")
        except LegionError as error:
            outcome, message = _outcome(error), error.sentence()
            raise
        finally:
            calls.change(listed.id, outcome=outcome, message=message)
        return Ran(text=result.text, structured=result.structured, is_error=result.is_error)

    async def ask(self, wanted: Wanted) -> tuple[Scope, str]:
        """See `Toolbox`."""
        tool, service = wanted.tool, self._service()
        about = {
            "whose": tool.source,
            "scopes": wanted.scopes,
            "notes": (*wanted.notes, *tool.warnings),
            "changes": await service.look(tool.target, wanted.args),
            "conversation_id": wanted.call.conversation_id,
            "answer_id": wanted.call.answer_id,
            "call_id": wanted.call.id,
        }
        given = await service.approvals.ask(
            CLIENT, "", _row(tool), self.shown(wanted.args), about=about, decide_s=DECIDE_S
        )
        return given.scope, _DECIDED[given.scope]

    def shown(self, args: Mapping[str, Any]) -> str:
        """See `Toolbox`."""
        return shown(args, self._known)

    async def _tools(self) -> Mapping[str, tuple[Tool, Offered]]:
        prints: Prints = await self._servers().tool_prints()
        found: dict[str, tuple[Tool, Offered]] = {}
        for name, tool in (await self._service().catalogue.all()).items():
            if tool.row.source not in _LEFT_OUT and tool.row.target.partition(".")[0] not in _PLUMBING:
                found[name] = (tool, _offered(tool.row, prints))
        return found


_DECIDED: dict[Scope, str] = {
    "once": "You allowed it once.",
    "chat": "You allowed it for this chat.",
    "always": "You allowed it for every chat.",
}


class _Hearing:
    """A reporter that passes on what runs for the call; there is nobody to hear of steps."""

    def __init__(self, began: Callable[[str], None], note: Callable[[str], None]) -> None:
        self._began = began
        self._note = note

    async def progress(self, done: float, total: float | None, message: str) -> None:
        """See `Reporter`."""
        await asyncio.sleep(0)

    async def log(self, level: str, text: str) -> None:
        """See `Reporter`."""
        await asyncio.sleep(0)

    def began(self, *, task: str = "", run: str = "") -> None:
        """See `Reporter`."""
        self._note(task or run)
        self._began(task or run)


def _offered(row: ToolRow, prints: Prints) -> Offered:
    known = prints.get(row.target)
    source = _source(row)
    return Offered(
        name=row.name,
        source=source,
        title=known[1].name if known else row.title,
        description=known[1].description if known else row.description,
        parameters=row.arguments,
        risk=row.risk,
        target=row.target,
        print=known[0] if known else hashlib.sha256(repr(row).encode()).hexdigest(),
        is_remote=_is_remote(known[2]) if known else row.is_open_world,
        is_foreign=is_strange(source),
        is_read_only=known[1].says_read_only and not known[1].says_destructive
        if known
        else row.risk == "read",
        warnings=known[1].warnings if known else (),
    )


def _source(row: ToolRow) -> str:
    match row.source:
        case "server":
            return f"server:{row.target.split('.')[1]}"
        case "chain":
            return "chains"
        case _:
            return f"extension:{row.target.partition('.')[0]}"


def _row(tool: Offered) -> ToolRow:
    return ToolRow(
        name=tool.name, title=tool.title, description=tool.description, source="server", target=tool.target,
        risk=tool.risk, arguments=tool.parameters,
    )  # fmt: skip


def _is_remote(spec: "ServerSpec") -> bool:
    """Whether what is given to it leaves this computer, as far as can be told: a program may do what it likes."""
    from urllib.parse import urlsplit

    host = urlsplit(spec.url).hostname or ""
    return bool(spec.url) and host not in ("localhost", "::1") and not host.startswith("127.")


def _problem(server: "ServerRow") -> str:
    return _PROBLEMS.get(server.state, server.problem if server.state == "failed" else "")


def _outcome(error: LegionError) -> CallOutcome:
    if isinstance(error, Denied):
        return "denied"
    return "timed_out" if isinstance(error, TimedOut) else "error"
