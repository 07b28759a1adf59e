"""Schedules: what is done again and again, when next, and what became of each moment.

The scheduler is brought in once there is a schedule: a node without one has no timer, and no code of it in memory.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from legion_core.api.schedule_types import (
    Fires,
    Occurrence,
    OccurrencePage,
    ScheduleRow,
    ScheduleSpec,
)
from legion_core.engine.events import ScheduleChanged, ScheduleFired
from legion_core.engine.schedule_zone import local_zone
from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import InvalidInput
from legion_core.kernel.events import EventBus
from legion_core.kernel.ports import LOCAL_OWNER, Principal
from legion_core.kernel.supervise import Supervisor
from legion_core.storage.sqlite import Connection, Database, row

if TYPE_CHECKING:
    from legion_core.engine.schedule_service import Scheduler
    from legion_core.engine.schedule_store import Stored

__all__ = ["ScheduleChanged", "ScheduleFired", "Schedules", "local_zone"]

UPCOMING = 5  # coming moments shown with each schedule
FIRES_MAX = 1_000


class Schedules:
    """Add, look, pause, remove. `make` brings in the scheduler."""

    def __init__(
        self,
        clock: Clock,
        bus: EventBus,
        supervisor: Supervisor,
        database: Database,
        make: "Callable[[], Scheduler]",
    ) -> None:
        self._clock = clock
        self._bus = bus
        self._supervisor = supervisor
        self._database = database
        self._make = make
        self._scheduler: Scheduler | None = None
        self._is_serving = False

    async def list(self) -> tuple[ScheduleRow, ...]:
        """All of them, by name."""
        return tuple(self._row(each, last) for each, last in await self.service().all())

    async def get(self, name: str) -> ScheduleRow:
        """One of them; NotFound."""
        found = await self.service().get(name)
        latest = await self.service().page(name, 0, 1)
        return self._row(found, latest[0][1] if latest else None)

    async def add(self, spec: ScheduleSpec, who: Principal = LOCAL_OWNER) -> ScheduleRow:
        """Keep a new schedule; it is due from now on.

        Raises Conflict (the name is taken), InvalidDocument (every fault of it), NotFound (no such task or chain),
        InvalidInput (the arguments do not fit).
        """
        return self._row(await self.service().add(who, spec), None)

    async def change(self, name: str, spec: ScheduleSpec, who: Principal = LOCAL_OWNER) -> ScheduleRow:
        """Replace it; what was decided stays. Raises as `add`, and NotFound."""
        await self.service().change(who, name, spec)
        return await self.get(spec.name)

    async def pause(self, name: str, who: Principal = LOCAL_OWNER) -> ScheduleRow:
        """None of its moments is taken up until it is resumed."""
        await self.service().pause(who, name)
        return await self.get(name)

    async def resume(self, name: str, who: Principal = LOCAL_OWNER) -> ScheduleRow:
        """Go on with its next moment; what passed meanwhile is not made up for."""
        await self.service().resume(who, name)
        return await self.get(name)

    async def remove(self, name: str, who: Principal = LOCAL_OWNER) -> None:
        """Forget it and its moments; what it started goes on."""
        await self.service().remove(who, name)

    async def run_now(self, name: str, who: Principal = LOCAL_OWNER) -> Occurrence:
        """One run more, outside its timing."""
        return await self.service().run_now(who, name)

    async def runs(self, name: str, *, limit: int = 50, cursor: str = "") -> OccurrencePage:
        """What became of its moments, latest first; `cursor` is the `next` of the page before."""
        digits = cursor.removeprefix("o")
        if cursor and not (cursor[0] == "o" and digits.isascii() and digits.isdecimal() and len(digits) < 18):
            raise InvalidInput("`cursor` is not one we gave.")
        found = await self.service().page(name, int(digits or 0), limit + 1)
        more = len(found) > limit
        found = found[:limit]
        return OccurrencePage(
            occurrences=tuple(each for _, each in found), next=f"o{found[-1][0]}" if more else ""
        )

    def preview(
        self,
        *,
        cron: str = "",
        zone: str = "UTC",
        every_s: float = 0.0,
        after: datetime | None = None,
        count: int = 10,
    ) -> Fires:
        """The next `count` (at most 1,000) moments after `after` (now), by the code that fires.

        InvalidDocument names every fault of the timing.
        """
        from legion_core.engine.schedule_plan import at_ms, checked_timing, moment_at, moments, timing_words

        start = after or self._clock.utc_now()
        start_ms = at_ms(start if start.tzinfo else start.replace(tzinfo=UTC))
        timing = checked_timing(cron, zone, every_s, start_ms)
        found = moments(timing, start_ms)
        fires = tuple(moment_at(each) for each, _ in zip(found, range(min(count, FIRES_MAX)), strict=False))
        return Fires(fires=fires, words=timing_words(timing))

    async def work(self) -> None:
        """From now on take up moments, as soon as there is a schedule; idempotent."""
        if self._is_serving:
            return
        self._is_serving = True
        if await self._database.read(_has_any):
            self.service().serve()
        else:
            self._supervisor.spawn("first schedule", self._first())

    async def _first(self) -> None:
        """Sleep until somebody, here or in another process, adds the first schedule."""
        with self._bus.subscribe(ScheduleChanged, size_max=1) as changes:
            await changes.take()
            self.service().serve()

    def service(self) -> "Scheduler":
        """The scheduler itself, for what else in the node keeps schedules."""
        if self._scheduler is None:
            self._scheduler = self._make()
        return self._scheduler

    def _row(self, stored: "Stored", last: Occurrence | None) -> ScheduleRow:
        from legion_core.engine.schedule_plan import moment_at, moments, timing_words

        spec = stored.spec
        coming: tuple[datetime, ...] = ()
        words, problem = "", stored.problem
        try:
            words = timing_words(stored.timing)
            if stored.state == "active" and stored.due_ms:
                found = moments(stored.timing, stored.due_ms - 1)
                coming = tuple(moment_at(each) for each, _ in zip(found, range(UPCOMING), strict=False))
        except InvalidInput as error:
            problem = problem or error.sentence()
        return ScheduleRow(
            id=stored.id, name=spec.name, target=spec.target, args=spec.args, cron=spec.cron, zone=spec.zone,
            every_s=spec.every_s, missed=spec.missed, missed_max=spec.missed_max, overlap=spec.overlap,
            jitter_s=spec.jitter_s, state=stored.state, words=words, next=coming, last=last, problem=problem,
            created_at=moment_at(stored.created_ms), changed_at=moment_at(stored.changed_ms),
        )  # fmt: skip


def _has_any(connection: Connection) -> bool:
    return row(connection, "SELECT 1 FROM schedules LIMIT 1") is not None
