"""Who is connected, what each wants to hear, and the word to all of them when something changed.

Two ways to hear, as the protocol has two: sessions (until 2025-11-25) hold a connection, listeners (2026-07-28) a
request that stays open. While there is one of either, the extensions' folder is looked at now and then; else nothing runs.
"""

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from legion_core.api.chains import ChainChanged, RunAdvanced, RunEnded, RunStarted
from legion_core.api.mcp_service import McpService
from legion_core.api.mcp_types import McpToolsChanged
from legion_core.api.tasks import TaskFinished, TaskStarted
from legion_core.kernel.events import Event, EventBus
from legion_core.kernel.supervise import Supervisor
from legion_core.surfaces.mcp.reading import SCHEME

if TYPE_CHECKING:
    from mcp.server.connection import Connection
    from mcp.server.subscriptions import InMemorySubscriptionBus

LOOK_S = 0.4
SUBSCRIPTIONS_MAX = 500  # of one session
_KINDS = (ChainChanged, RunStarted, RunAdvanced, RunEnded, TaskStarted, TaskFinished, McpToolsChanged)


@dataclass(slots=True)
class Session:
    """What one session asked for."""

    connection: "Connection"
    client: str
    software: str
    protocol: str
    level: str = "debug"
    uris: set[str] = field(default_factory=set[str])


class Sessions:
    """See the module."""

    def __init__(
        self,
        service: McpService,
        events: EventBus,
        supervisor: Supervisor,
        listeners: "InMemorySubscriptionBus",
    ) -> None:
        self._service = service
        self._events = events
        self._supervisor = supervisor
        self._listeners = listeners
        self._sessions: dict[int, Session] = {}
        self._listening = 0
        self._tasks: list[asyncio.Task[None]] = []

    def came(self, session: Session) -> None:
        """A handshake is done."""
        connection = session.connection
        if id(connection) in self._sessions:
            return
        self._sessions[id(connection)] = session
        connection.exit_stack.callback(self._left, session)
        self._service.heard(session.client, session.software, session.protocol, "http", sessions=1)
        self._watch()

    def _left(self, session: Session) -> None:
        self._sessions.pop(id(session.connection), None)
        self._service.heard(session.client, session.software, session.protocol, "http", sessions=-1)
        self._watch()

    def listening(self, change: int) -> None:
        """A listener came (1) or left (-1)."""
        self._listening += change
        self._watch()

    def of(self, connection: "Connection") -> Session | None:
        """The session of a connection; None for one without."""
        return self._sessions.get(id(connection))

    def level_of(self, connection: "Connection") -> str:
        """The lowest level of log lines it wants."""
        session = self._sessions.get(id(connection))
        return session.level if session is not None else "debug"

    # Changes

    def _watch(self) -> None:
        wanted = bool(self._sessions) or self._listening > 0
        if wanted and not self._tasks:
            self._tasks = [
                self._supervisor.spawn("mcp.changes", self._tell_changes()),
                self._supervisor.spawn("mcp.look", self._look()),
            ]
        elif not wanted and self._tasks:
            tasks, self._tasks = self._tasks, []
            for task in tasks:
                task.cancel()

    async def _look(self) -> None:
        """A folder dropped into the extensions is nobody's call: look, as long as somebody would want to hear."""
        while True:
            await self._service.catalogue.all()
            await asyncio.sleep(LOOK_S)

    async def _tell_changes(self) -> None:
        with self._events.subscribe(*_KINDS, size_max=256) as changes:
            while taken := await changes.take():
                uris = {uri for event in taken for uri in _uris(event)}
                is_tools = any(isinstance(event, McpToolsChanged | ChainChanged) for event in taken)
                is_resources = any(isinstance(event, ChainChanged | RunStarted) for event in taken)
                await self._tell(uris, is_tools=is_tools, is_resources=is_resources)

    async def _tell(self, uris: set[str], *, is_tools: bool, is_resources: bool) -> None:
        from mcp.server.subscriptions import ResourcesListChanged, ResourceUpdated, ToolsListChanged

        for session in tuple(self._sessions.values()):
            if is_tools:
                await session.connection.send_tool_list_changed()
            if is_resources:
                await session.connection.send_resource_list_changed()
            for uri in sorted(uris & session.uris):
                await session.connection.send_resource_updated(uri)
        if self._listening:
            if is_tools:
                await self._listeners.publish(ToolsListChanged())
            if is_resources:
                await self._listeners.publish(ResourcesListChanged())
            for uri in sorted(uris):
                await self._listeners.publish(ResourceUpdated(uri))


def _uris(event: Event) -> tuple[str, ...]:
    """What reads differently since."""
    match event:
        case ChainChanged():
            return (f"{SCHEME}chains/{event.name}",)
        case RunStarted() | RunAdvanced() | RunEnded():
            return (f"{SCHEME}runs/{event.run}", f"{SCHEME}runs")
        case TaskStarted() | TaskFinished():
            return (f"{SCHEME}tasks/{event.id}", f"{SCHEME}tasks/{event.id}/log", f"{SCHEME}tasks")
        case _:
            return ()
