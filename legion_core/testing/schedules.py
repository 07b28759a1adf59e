"""A scheduler for tests: the real one on a real journal, with a clock and an alarm that the test moves by hand."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from legion_core.engine.journal import MIGRATIONS as ENGINE
from legion_core.engine.registry import Registry
from legion_core.engine.schedule_migrations import MIGRATIONS as SCHEDULES
from legion_core.engine.schedule_service import Scheduler
from legion_core.engine.schedule_targets import Chains, Targets
from legion_core.engine.schedule_types import Occurrence, ScheduleSpec
from legion_core.engine.service import Engine
from legion_core.kernel.clock import Clock, SystemClock
from legion_core.kernel.events import EventBus
from legion_core.kernel.ids import Ids, system_rng
from legion_core.kernel.ports import LOCAL_OWNER, OwnerOnly
from legion_core.kernel.supervise import Supervisor
from legion_core.storage.sqlite import Database


@dataclass(slots=True)
class HandAlarm:
    """See `Alarm`. `utc_ms` is what it was set to last; `ring` is the test's to call."""

    ring: Callable[[], None]
    utc_ms: int = 0
    sets: list[int] = field(default_factory=list[int])

    def set(self, utc_ms: int) -> None:
        """See `Alarm`."""
        self.utc_ms = utc_ms
        self.sets.append(utc_ms)

    def close(self) -> None:
        """See `Alarm`."""
        self.utc_ms = 0


@dataclass(frozen=True, slots=True)
class UnderTest:
    """A scheduler and what it stands on."""

    scheduler: Scheduler
    engine: Engine
    database: Database
    bus: EventBus
    supervisor: Supervisor
    alarm: HandAlarm

    async def add(self, name: str, target: str, /, **more: object) -> None:
        """As the owner; `more` are fields of `ScheduleSpec`."""
        spec: dict[str, object] = {"name": name, "target": target, **more}
        await self.scheduler.add(LOCAL_OWNER, ScheduleSpec(**spec))  # pyright: ignore[reportArgumentType]

    async def turn(self) -> None:
        """What the alarm would set off: decide all that is due now, to the end."""
        await self.scheduler.turn()

    async def rows(self, name: str) -> list[Occurrence]:
        """The moments of a schedule, oldest first."""
        return [each for _, each in reversed(await self.scheduler.page(name, 0, 1_000))]


@asynccontextmanager
async def open_scheduler(
    home: Path,
    runners: Mapping[str, object],
    clock: Clock,
    *,
    works: bool = True,
    chains: Chains | None = None,
) -> AsyncGenerator[UnderTest]:
    """Open the journal in `home` with an engine and a scheduler, which decides in `turn` alone.

    `works` False: the engine takes no tasks of others, as in a process that runs one command.
    """
    rng, bus, supervisor, alarms = system_rng(), EventBus(clock), Supervisor(), list[HandAlarm]()
    ids = Ids(clock, rng)
    database = await Database.open(
        home / "journal.db", migrations=(*ENGINE, *SCHEDULES), durability="process", clock=SystemClock()
    )
    registry = Registry(runners, home / "extensions")
    engine = Engine(clock, ids, rng, bus, supervisor, OwnerOnly(), database, registry, home / "run")

    def make_alarm(_: Clock, ring: Callable[[], None]) -> HandAlarm:
        alarms.append(HandAlarm(ring))
        return alarms[-1]

    scheduler = Scheduler(
        clock,
        ids,
        bus,
        supervisor,
        OwnerOnly(),
        database,
        engine,
        Targets(engine, database, rng, lambda: chains),
        make_alarm,
    )
    try:
        if works:
            await engine.serve()
        scheduler.open_alarm()
        yield UnderTest(scheduler, engine, database, bus, supervisor, alarms[0])
    finally:
        await engine.stop(0.1)
        await supervisor.stop()
        await database.close()
