"""An actor host for tests: the real one on a real journal, with functions a test writes down."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from legion_core.engine.actor_host import ActorHost
from legion_core.engine.actor_types import ActorRow
from legion_core.engine.messages import Messages
from legion_core.engine.schedule_targets import Targets
from legion_core.engine.service import Engine
from legion_core.engine.types import Task
from legion_core.kernel.clock import SystemClock
from legion_core.kernel.ids import system_rng
from legion_core.kernel.ports import LOCAL_OWNER
from legion_core.testing.schedules import open_scheduler


@dataclass(frozen=True, slots=True)
class Hosted:
    """A host and what it stands on."""

    host: ActorHost
    messages: Messages
    engine: Engine

    def row(self, name: str) -> ActorRow:
        """How an actor stands; asserts that there is one."""
        function = self.engine.registry.known(name)
        assert function is not None
        row = self.host.row(function)
        assert row is not None
        return row

    async def tasks(self, name: str) -> list[Task]:
        """The tasks of one function, newest first."""
        return [task for _, task in await self.engine.page(task=name)]


@asynccontextmanager
async def open_host(
    home: Path, runners: Mapping[str, object], *, starts: bool = True
) -> AsyncGenerator[Hosted]:
    """Open the journal in `home` with an engine and a host; closed in good order on leaving."""
    clock = SystemClock()
    async with open_scheduler(home, runners, clock) as here:
        targets = Targets(here.engine, here.database, system_rng(), lambda: None)

        async def publish(topic: str, message: Mapping[str, object]) -> None:
            await messages.publish(LOCAL_OWNER, topic, message)

        host = ActorHost(clock, here.supervisor, here.database, here.engine, targets, publish)
        messages = Messages(here.engine, host)
        try:
            if starts:
                await host.start()
            yield Hosted(host, messages, here.engine)
        finally:
            await host.stop()
