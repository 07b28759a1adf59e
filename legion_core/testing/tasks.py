"""A task engine for tests and benchmarks: the real one on a real journal, with functions a test writes down."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from legion_core.engine.dispatch import PLACES, Places
from legion_core.engine.journal import MIGRATIONS
from legion_core.engine.orders import Accepted, Order
from legion_core.engine.registry import Registry
from legion_core.engine.service import Engine
from legion_core.engine.types import Task
from legion_core.kernel.clock import Clock, SystemClock
from legion_core.kernel.events import EventBus
from legion_core.kernel.ids import Ids, Rng, system_rng
from legion_core.kernel.ports import LOCAL_OWNER, Asker, Authorizer, OwnerOnly
from legion_core.kernel.supervise import Supervisor
from legion_core.storage.sqlite import Database, Durability


@dataclass(frozen=True, slots=True)
class UnderTest:
    """An engine and what it stands on."""

    engine: Engine
    database: Database
    bus: EventBus
    supervisor: Supervisor

    async def submit(self, task: str, /, **args: object) -> Accepted:
        """As the owner, at once."""
        return await self.engine.submit(LOCAL_OWNER, Order(task=task, args=args))

    async def run(self, task: str, /, **args: object) -> Task:
        """Submit and wait for its end."""
        return await self.engine.wait((await self.submit(task, **args)).id)


@asynccontextmanager
async def open_engine(
    home: Path,
    runners: Mapping[str, object],
    *,
    serve: bool = True,
    durability: Durability = "process",
    places: Places = PLACES,
    clock: Clock | None = None,
    rng: Rng | None = None,
    authorizer: Authorizer | None = None,
    asker: Asker | None = None,
    stop_s: float = 1.0,
    vfs: str = "",
) -> AsyncGenerator[UnderTest]:
    """Open the journal in `home` and an engine on it; closed in good order on leaving."""
    clock, rng = clock or SystemClock(), rng or system_rng()
    bus, supervisor = EventBus(clock), Supervisor()
    database = await Database.open(
        home / "journal.db", migrations=MIGRATIONS, durability=durability, clock=clock, vfs=vfs
    )
    engine = Engine(
        clock,
        Ids(clock, rng),
        rng,
        bus,
        supervisor,
        authorizer or OwnerOnly(),
        database,
        Registry(runners, home / "extensions"),
        home / "run",
        places=places,
        asker=asker,
    )
    try:
        if serve:
            await engine.serve()
        yield UnderTest(engine, database, bus, supervisor)
    finally:
        await engine.stop(stop_s)
        await supervisor.stop()
        await database.close()


async def turn(times: int = 1) -> None:
    """Let the loop go round."""
    for _ in range(times):
        await asyncio.sleep(0)
