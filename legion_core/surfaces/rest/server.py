"""The HTTP surface of one node: binds, serves in the node's own loop, and stops in order.

uvicorn brings its protocol, not its server: that one wakes ten times a second for a date and a flag, ours sleeps
until a byte arrives.
"""

import asyncio
import contextlib
import importlib
import logging
from typing import TYPE_CHECKING

from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import Bug
from legion_core.kernel.ids import Ids
from legion_core.kernel.supervise import Supervisor
from legion_core.surfaces.rest.calls import Desk, Operation
from legion_core.surfaces.rest.feed import Feed
from legion_core.surfaces.rest.limits import Limits
from legion_core.surfaces.rest.listening import Listening, PortHeld, listen, naming_the_holder
from legion_core.surfaces.rest.tally import Tally

if TYPE_CHECKING:
    from legion_core.api.facade import Legion
    from legion_core.surfaces.rest.wire import Door

log = logging.getLogger("legion.rest")


class RestServer:
    """`start`, then `stop`; not restartable. `url` and `port` are known once it listens.

    `extra` are operations of others, behind the same guard.
    """

    def __init__(
        self,
        legion: "Legion",
        *,
        clock: Clock,
        ids: Ids,
        supervisor: Supervisor,
        limits: Limits | None = None,
        extra: tuple[Operation, ...] = (),
    ) -> None:
        limits = limits or Limits()
        feed = Feed(legion.events, ids.new("run"), limits.events_kept)
        self._desk = Desk(legion, clock, ids, supervisor, limits, feed, Tally())
        self._extra = extra
        self._listening: Listening | None = None
        self._servers: list[asyncio.Server] = []
        self._door: Door | None = None
        self._opening: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Such as `http://127.0.0.1:4567`; empty before `start`."""
        return self._listening.url if self._listening else ""

    @property
    def port(self) -> int:
        """The port it listens on; 0 before `start`."""
        return self._listening.own.port if self._listening else 0

    async def start(self, host: str | None, port: int) -> None:
        """Listen. None or a loopback name means 127.0.0.1 and ::1. Raises Conflict naming who holds the port.

        What answers is loaded when the first client knocks: a door nobody uses costs no memory.
        """
        if self._listening is not None:
            raise Bug("The HTTP surface was started twice.")
        try:
            listening = listen(host, port)
        except PortHeld as error:
            raise await asyncio.to_thread(naming_the_holder, error) from error
        self._listening = listening
        loop = asyncio.get_running_loop()
        try:
            for each in listening.sockets:
                loop.add_reader(each.fileno(), self._knocked)
        except NotImplementedError:  # Windows' own loop watches no sockets
            self._knocked()
        log.info("listening on %s", self.url)

    def _knocked(self) -> None:
        """The first client waits in the queue of a socket."""
        self._forget_knocks()
        if self._opening is None:
            self._opening = self._desk.supervisor.spawn("open the HTTP surface", self._open())

    def _forget_knocks(self) -> None:
        if self._listening is not None:
            loop = asyncio.get_running_loop()
            for each in self._listening.sockets:
                if each.fileno() >= 0 and not self._servers:
                    with contextlib.suppress(NotImplementedError):
                        loop.remove_reader(each.fileno())

    async def _open(self) -> None:
        """Load what answers, in a thread as it takes a while, and let it take the sockets over."""
        listening = self._listening
        assert listening is not None
        await asyncio.to_thread(importlib.import_module, "legion_core.surfaces.rest.wire")
        await asyncio.to_thread(importlib.import_module, "starlette.applications")
        from uvicorn.config import Config

        from legion_core.surfaces.rest import app, routes, wire
        from legion_core.surfaces.rest.guard import Guard
        from legion_core.surfaces.rest.methods import Methods

        desk = self._desk
        operations = (*routes.operations(), *self._extra)
        application = app.build(desk, operations)
        methods_at = Methods(operations).at
        ops = desk.legion.ops
        guard = Guard(
            application, listening.own, ops.principal, desk.limits, desk.tally, methods_at, ops.ends_in_s
        )
        ops.on_token_end(guard.drop)
        config = Config(
            guard,
            http="httptools",
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=int(desk.limits.keep_alive_s),
        )
        self._door = wire.Door(config, desk.limits, desk.clock)
        loop = asyncio.get_running_loop()
        for each in listening.sockets:
            self._servers.append(await loop.create_server(self._door.factory(), sock=each))

    async def stop(self, deadline_s: float = 5.0) -> None:
        """Take no more requests, let those under way end within the deadline, cancel the rest. Idempotent."""
        self._desk.feed.close()
        self._desk.legion.ops.on_token_end(None)
        self._forget_knocks()
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.gather(self._opening, return_exceptions=True)
        for server in self._servers:
            server.close()
        if self._listening is not None and not self._servers:
            self._listening.close()
        door = self._door
        if door is None:
            return
        for connection in tuple(door.state.connections):
            connection.shutdown()
        tasks = tuple(door.state.tasks)
        is_over = asyncio.gather(*tasks, return_exceptions=True)
        try:
            # Not `asyncio.timeout`: see `Supervisor.stop`.
            await asyncio.wait_for(asyncio.shield(is_over), deadline_s)
        except TimeoutError:
            log.info("%d requests under way are cut off", len(door.state.tasks))
        for connection in tuple(door.state.connections):
            connection.transport.abort()
        await asyncio.sleep(
            0
        )  # the connections hear of it first: what is cancelled next has nobody left to tell
        for task in tasks:
            task.cancel()
        await is_over
        for server in self._servers:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(server.wait_closed(), deadline_s)
        self._servers.clear()
        self._door = None
