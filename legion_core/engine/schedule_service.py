"""The scheduler: keeps schedules, and decides each of their moments once, whichever process gets there first.

    alarm at the earliest moment ─▶ what is due ─▶ plan (pure), check the target ─▶ one transaction:
        {the schedule's fencing number grows, a row for each moment, the tasks it starts} ─▶ alarm at the next

A process that was paused between looking and writing finds the fencing number changed and writes nothing. With no
schedule there is no alarm and no task.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import msgspec

from legion_core.engine import schedule_store as store
from legion_core.engine.events import ScheduleChanged, ScheduleFired
from legion_core.engine.reasons import because
from legion_core.engine.refusal import InvalidDocument
from legion_core.engine.schedule_alarm import Alarm, system_alarm
from legion_core.engine.schedule_plan import (
    GRACE_S,
    Plan,
    at_ms,
    faults_of,
    moment_at,
    plan,
    timing_of,
    upcoming,
)
from legion_core.engine.schedule_store import Stored
from legion_core.engine.schedule_targets import Begin, Started, Targets
from legion_core.engine.schedule_types import Occurrence, OccurrenceStatus, ScheduleSpec
from legion_core.engine.service import Engine
from legion_core.engine.types import Reason
from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import Conflict, LegionError
from legion_core.kernel.events import EventBus, Subscription
from legion_core.kernel.ids import Ids
from legion_core.kernel.ports import Authorizer, Principal
from legion_core.kernel.supervise import Supervisor
from legion_core.storage.sqlite import Connection, Database

log = logging.getLogger("legion.engine")

BATCH = 500  # schedules decided in one transaction
READ_MAX = 5_000  # schedules held in memory at a time
TURN = 32  # schedules looked at in one turn of the loop
STEP_BACK_MS = 2_000  # the clock was set back, rather than adjusted, where it lost more than this


@dataclass(frozen=True, slots=True)
class _Decision:
    """What to write about one schedule. `begins` starts each of the plan's moments, or says why it cannot be."""

    schedule: Stored
    plan: Plan
    begins: tuple[Begin | Reason, ...]
    due_ms: int
    next_ms: int


class Scheduler:
    """See the module. All methods belong to the loop's thread."""

    def __init__(
        self,
        clock: Clock,
        ids: Ids,
        bus: EventBus,
        supervisor: Supervisor,
        authorizer: Authorizer,
        database: Database,
        engine: Engine,
        targets: Targets,
        make_alarm: Callable[[Clock, Callable[[], None]], Alarm] = system_alarm,
    ) -> None:
        self._clock = clock
        self._ids = ids
        self._bus = bus
        self._supervisor = supervisor
        self._authorizer = authorizer
        self._database = database
        self._engine = engine
        self._targets = targets
        self._make_alarm = make_alarm
        self._woken = asyncio.Event()
        self.alarm: Alarm | None = None  # set by `open_alarm`
        self._offset_ms = 0
        self._awaited: set[str] = set()

    # Keeping

    async def add(self, who: Principal, spec: ScheduleSpec) -> Stored:
        """Keep a new schedule. Raises Denied, Conflict (the name), InvalidDocument, NotFound and InvalidInput (target)."""
        self._authorizer.authorise(who, "schedules", "write")
        await self._check(who, spec)
        now_ms = self._now_ms()
        schedule_id = self._ids.new("sched")
        due_ms, next_ms = upcoming(timing_of(spec, now_ms), now_ms, spec.jitter_s, schedule_id)
        schedule = Stored(
            id=schedule_id, spec=spec, who=who.name, state="active", anchor_ms=now_ms, due_ms=due_ms,
            next_ms=next_ms, created_ms=now_ms, changed_ms=now_ms,
        )  # fmt: skip
        if not await self._database.write(lambda connection: store.insert(connection, schedule)):
            raise Conflict(f"There is a schedule {spec.name!r} already.", hint="Remove it, or change it.")
        self._changed(spec.name)
        return schedule

    async def change(self, who: Principal, name: str, spec: ScheduleSpec) -> Stored:
        """Replace what it does and when; what was decided stays so. A new name must be free."""
        self._authorizer.authorise(who, "schedules", "write")
        await self._check(who, spec)

        def work(connection: Connection, found: Stored) -> Stored:
            if spec.name != name:
                store.rename(connection, found.id, spec.name)
            is_same_timing = (spec.cron, spec.zone, spec.every_s) == (
                found.spec.cron, found.spec.zone, found.spec.every_s
            )  # fmt: skip
            anchor_ms = found.anchor_ms if is_same_timing else self._now_ms()
            fresh = replace(found, spec=spec, who=who.name, anchor_ms=anchor_ms)
            return self._set_going(fresh) if found.state != "paused" else fresh

        changed = await self._edit(name, work)
        if spec.name != name:
            self._changed(name, is_gone=True)
        self._changed(spec.name)
        return changed

    async def pause(self, who: Principal, name: str) -> Stored:
        """Decide none of its moments until it is resumed; what runs goes on, what waits for that is left out."""
        self._authorizer.authorise(who, "schedules", "write")
        now_ms = self._now_ms()

        def work(connection: Connection, found: Stored) -> Stored:
            reason = because("schedule.paused", schedule=name)
            for moment in store.waiting(connection, found.id):
                store.settle(connection, found.id, self._row(found, moment, "skipped", now_ms, reason=reason))
            return replace(found, state="paused", due_ms=0, next_ms=0)

        paused = await self._edit(name, work)
        self._changed(name)
        return paused

    async def resume(self, who: Principal, name: str) -> Stored:
        """Go on with its next moment; what passed meanwhile is not made up for. Also mends a broken one."""
        self._authorizer.authorise(who, "schedules", "write")

        def work(connection: Connection, found: Stored) -> Stored:
            return found if found.state == "active" else self._set_going(found)

        resumed = await self._edit(name, work)
        self._changed(name)
        return resumed

    async def remove(self, who: Principal, name: str) -> None:
        """Forget it and its moments; what it started goes on."""
        self._authorizer.authorise(who, "schedules", "write")

        def work(connection: Connection) -> None:
            store.remove(connection, store.named(connection, name).id)

        await self._database.write(work)
        self._changed(name, is_gone=True)

    async def run_now(self, who: Principal, name: str) -> Occurrence:
        """One run more, outside its timing and whatever its overlap policy says."""
        self._authorizer.authorise(who, "schedules", "run")
        found = await self.get(name)
        maker = self._authorizer.named(found.who)
        begin = await self._targets.prepare(maker, found.spec.target, found.spec.args)
        now_ms = self._now_ms()

        def work(connection: Connection) -> tuple[Occurrence, Started]:
            schedule = store.named(connection, name)
            moment = _free_moment(connection, schedule, now_ms)
            started = begin(connection)
            store.started(connection, schedule.id, started.id)
            row = self._row(schedule, moment, "started", now_ms, started=started)
            store.note(connection, schedule.id, row)
            return row, started

        row, started = await self._database.write(work)
        self._targets.written((started,))
        self._tell(row)
        return row

    # Looking

    async def get(self, name: str) -> Stored:
        """One of them; NotFound."""
        return await self._database.read(lambda connection: store.named(connection, name))

    async def page(self, name: str, below_ms: int, limit: int) -> list[tuple[int, Occurrence]]:
        """Its moments, latest first; NotFound."""
        return await self._database.read(
            lambda connection: store.page(connection, store.named(connection, name), below_ms, limit)
        )

    async def all(self) -> list[tuple[Stored, Occurrence | None]]:
        """Every schedule by name, with the latest moment that was decided."""
        return await self._database.read(
            lambda connection: [(each, store.latest(connection, each)) for each in store.every(connection)]
        )

    # Firing

    def serve(self) -> None:
        """Decide moments from now on, until the supervisor stops; idempotent."""
        if self.alarm is None:
            self._supervisor.spawn("schedules alarm", self._live(self.open_alarm()))

    async def rung(self) -> None:
        """Until the alarm rings, or somebody else wakes the scheduler."""
        await self._woken.wait()

    def open_alarm(self) -> Alarm:
        """The alarm that `turn` sets; for `serve`, and for tests and benchmarks that take turns by hand."""
        self.alarm = self._make_alarm(self._clock, self._woken.set)
        return self.alarm

    async def _live(self, alarm: Alarm) -> None:
        try:
            await self._supervisor.loop("schedules", self._work)
        finally:
            alarm.close()

    async def _work(self) -> None:
        # First as if the clock had been set back: it may have been while nothing ran here.
        await self._set_back(self._now_ms())
        with self._bus.subscribe(ScheduleChanged, size_max=1, coalesce=type) as changes:
            hearing = self._supervisor.spawn("schedule changes", self._hear(changes))
            try:
                while True:
                    self._woken.clear()
                    await self.turn()
                    await self._woken.wait()
            finally:
                hearing.cancel()

    async def _hear(self, changes: Subscription) -> None:
        while await changes.take():
            self._woken.set()

    async def turn(self) -> None:
        """Decide all that is due, and set the alarm to what comes next."""
        assert self.alarm is not None
        now_ms = self._now_ms()
        offset_ms = now_ms - round(self._clock.monotonic_s() * 1000)
        if offset_ms < self._offset_ms - STEP_BACK_MS:
            await self._set_back(now_ms)
        self._offset_ms = offset_ms
        while True:
            due = await self._database.read(lambda connection: store.due(connection, now_ms, READ_MAX))
            await self._decide_all(due, now_ms)
            if len(due) < READ_MAX:
                break
        await self._let_go(now_ms)
        self.alarm.set(await self._database.read(store.next_due))

    async def _decide_all(self, due: Sequence[Stored], now_ms: int) -> None:
        """In batches: while one is on its way to the disk, the next is thought through."""
        writing: asyncio.Task[None] | None = None
        try:
            for first in range(0, len(due), BATCH):
                decisions = await self._decisions(due[first : first + BATCH], now_ms)
                if writing is not None:
                    await writing
                writing = self._supervisor.spawn("schedules write", self._write_all(decisions, now_ms))
            if writing is not None:
                await writing
        finally:
            if writing is not None:
                writing.cancel()

    async def _decisions(self, due: Sequence[Stored], now_ms: int) -> list[_Decision]:
        decisions: list[_Decision] = []
        for number, schedule in enumerate(due):
            if number % TURN == TURN - 1:
                await asyncio.sleep(0)
            try:
                decisions.append(await self._decision(schedule, now_ms))
            except InvalidDocument as error:  # a zone this system does not know any more
                await self._break(schedule, error.sentence())
        return decisions

    async def _write_all(self, decisions: Sequence[_Decision], now_ms: int) -> None:
        if not decisions:
            return

        def work(connection: Connection) -> list[tuple[Occurrence, Started | None]]:
            return [found for each in decisions for found in self._write(connection, each, now_ms)]

        written = await self._database.write(work)
        self._targets.written([started for _, started in written if started is not None])
        if any(each.schedule.spec.overlap == "cancel" for each in decisions):
            self._targets.look()  # what was told to end shall hear it
        for row, _ in written:
            self._tell(row)

    async def _decision(self, schedule: Stored, now_ms: int) -> _Decision:
        spec, timing = schedule.spec, schedule.timing
        found = plan(
            timing, schedule.due_ms, now_ms, spec.missed, spec.missed_max, late_s=GRACE_S + spec.jitter_s
        )
        begins = [await self._begin(schedule) for _ in found.starts]
        due_ms, next_ms = upcoming(timing, now_ms, spec.jitter_s, schedule.id)
        return _Decision(schedule, found, tuple(begins), due_ms, next_ms)

    async def _begin(self, schedule: Stored) -> Begin | Reason:
        try:
            who = self._authorizer.named(schedule.who)  # what they may do now, not when they made it
            return await self._targets.prepare(who, schedule.spec.target, schedule.spec.args)
        except LegionError as error:
            return because("schedule.refused", what=error.sentence())

    def _write(
        self, connection: Connection, decision: _Decision, now_ms: int
    ) -> list[tuple[Occurrence, Started | None]]:
        """In the transaction: nothing if another process decided since the schedule was read."""
        schedule, found = decision.schedule, decision.plan
        if not store.advance(connection, schedule, decision.due_ms, decision.next_ms):
            return []
        schedule = replace(schedule, fencing=schedule.fencing + 1)
        written: list[tuple[Occurrence, Started | None]] = []
        if found.left_out_count:
            reason = _left_out(found)
            row = self._row(schedule, found.left_out_ms, "skipped", now_ms, reason=reason)
            row = msgspec.structs.replace(row, count=found.left_out_count)
            if store.note(connection, schedule.id, row):
                written.append((row, None))
        for number, (moment, begin) in enumerate(zip(found.starts, decision.begins, strict=True)):
            if store.is_decided(connection, schedule.id, moment):
                if schedule.spec.cron:
                    continue  # the clock was set back: this moment was lived through before
                moment = _free_moment(connection, schedule, moment)
            row, started = self._occur(connection, schedule, moment, begin, now_ms, is_first=number == 0)
            store.note(connection, schedule.id, row)
            if started is not None:
                schedule = replace(schedule, running=started.id)
                store.started(connection, schedule.id, started.id)
            written.append((row, started))
        return written

    def _occur(
        self,
        connection: Connection,
        schedule: Stored,
        moment: int,
        begin: Begin | Reason,
        now_ms: int,
        *,
        is_first: bool,
    ) -> tuple[Occurrence, Started | None]:
        """What becomes of one moment."""
        if isinstance(begin, Reason):
            return self._row(schedule, moment, "blocked", now_ms, reason=begin), None
        policy, spec = schedule.spec.overlap, schedule.spec
        is_busy = bool(schedule.running) and not self._targets.is_over(connection, schedule.running)
        if is_busy and policy in ("skip", "queue"):
            reason = because("schedule.overlap", before=schedule.running)
            places = spec.missed_max if spec.missed == "all" else 1
            # What is made up for runs one after the other: leaving it out as overlapping would make up for nothing.
            may_wait = policy == "queue" or not is_first
            if may_wait and len(store.waiting(connection, schedule.id)) < places:
                return self._row(schedule, moment, "waiting", now_ms, reason=reason), None
            return self._row(schedule, moment, "skipped", now_ms, reason=reason), None
        if is_busy and policy == "cancel":
            self._targets.cancel(connection, schedule.running, f"schedule {spec.name}", now_ms)
        started = begin(connection)
        return self._row(schedule, moment, "started", now_ms, started=started), started

    async def _let_go(self, now_ms: int) -> None:
        """Start what waited for a run that has ended; for the others, wake when theirs has."""
        held = await self._database.read(store.holding_back)
        for schedule in held:
            begin = await self._begin(schedule)

            def work(
                connection: Connection, schedule: Stored = schedule, begin: Begin | Reason = begin
            ) -> tuple[Occurrence, Started | None] | None:
                fresh = store.by_id(connection, schedule.id)
                moments_waiting = store.waiting(connection, schedule.id)
                if fresh is None or not moments_waiting or fresh.running != schedule.running:
                    return None
                if fresh.running and not self._targets.is_over(connection, fresh.running):
                    return None
                if isinstance(begin, Reason):
                    row, started = self._row(fresh, moments_waiting[0], "blocked", now_ms, reason=begin), None
                else:
                    started = begin(connection)
                    store.started(connection, fresh.id, started.id)
                    row = self._row(fresh, moments_waiting[0], "started", now_ms, started=started)
                store.settle(connection, fresh.id, row)
                return row, started

            if (let_go := await self._database.write(work)) is not None:
                row, started = let_go
                self._targets.written([started] if started is not None else [])
                self._tell(row)
        for schedule in await self._database.read(store.holding_back):
            if schedule.running and schedule.running not in self._awaited:
                self._awaited.add(schedule.running)
                self._supervisor.spawn(f"schedule {schedule.spec.name}", self._await(schedule.running))

    async def _await(self, started: str) -> None:
        try:
            await self._targets.wait(started)
        finally:
            self._awaited.discard(started)
            self._woken.set()

    async def _set_back(self, now_ms: int) -> None:
        """The clock may have been set back: nothing waits for longer than it would from now.

        Moments decided before have their rows, so none of them is decided again.
        """

        def work(connection: Connection) -> None:
            for schedule in store.ahead_of(connection, now_ms):
                timing = schedule.timing
                if timing.every_ms and schedule.due_ms - now_ms > timing.every_ms:
                    schedule = replace(schedule, anchor_ms=now_ms)
                try:
                    due_ms, next_ms = upcoming(schedule.timing, now_ms, schedule.spec.jitter_s, schedule.id)
                except InvalidDocument:
                    continue  # said when it is due
                if due_ms and due_ms < schedule.due_ms:
                    store.update(connection, replace(schedule, due_ms=due_ms, next_ms=next_ms))

        await self._database.write(work)

    # Details

    async def _check(self, who: Principal, spec: ScheduleSpec) -> None:
        if found := faults_of(spec):
            raise InvalidDocument("The schedule", found)
        await self._targets.prepare(who, spec.target, spec.args)

    def _set_going(self, found: Stored) -> Stored:
        now_ms = self._now_ms()
        due_ms, next_ms = upcoming(found.timing, now_ms, found.spec.jitter_s, found.id)
        return replace(found, state="active", problem="", due_ms=due_ms, next_ms=next_ms)

    async def _edit(self, name: str, work: Callable[[Connection, Stored], Stored]) -> Stored:
        def edit(connection: Connection) -> Stored:
            found = store.named(connection, name)
            fresh = replace(work(connection, found), changed_ms=self._now_ms())
            is_written = store.update(connection, fresh)
            assert is_written  # read in this very transaction
            return fresh

        return await self._database.write(edit)

    async def _break(self, schedule: Stored, problem: str) -> None:
        log.error("the schedule %s cannot go on: %s", schedule.spec.name, problem)
        broken = replace(schedule, state="broken", problem=problem, due_ms=0, next_ms=0)
        await self._database.write(lambda connection: store.update(connection, broken))
        self._changed(schedule.spec.name)

    def _row(
        self,
        schedule: Stored,
        moment: int,
        status: OccurrenceStatus,
        now_ms: int,
        *,
        reason: Reason | None = None,
        started: Started | None = None,
    ) -> Occurrence:
        return Occurrence(
            schedule=schedule.spec.name, at=moment_at(moment), decided_at=moment_at(now_ms), status=status,
            task=started.task if started else "", run=started.run if started else "", reason=reason,
            fencing=schedule.fencing, by=self._engine.owner,
        )  # fmt: skip

    def _changed(self, name: str, *, is_gone: bool = False) -> None:
        at_utc, at_mono_s = self._bus.stamp()
        self._engine.announce(ScheduleChanged(at_utc=at_utc, at_mono_s=at_mono_s, name=name, is_gone=is_gone))

    def _tell(self, row: Occurrence) -> None:
        at_utc, at_mono_s = self._bus.stamp()
        self._engine.announce(
            ScheduleFired(
                at_utc=at_utc, at_mono_s=at_mono_s, schedule=row.schedule, at=row.at, status=row.status,
                task=row.task, run=row.run, reason=row.reason,
            )
        )  # fmt: skip

    def _now_ms(self) -> int:
        return at_ms(self._clock.utc_now())


def _free_moment(connection: Connection, schedule: Stored, moment: int) -> int:
    while store.is_decided(connection, schedule.id, moment):
        moment += 1
    return moment


def _left_out(found: Plan) -> Reason:
    if found.left_out_why == "schedule.merged":
        return because("schedule.merged", count=found.left_out_count + 1)
    return because("schedule.missed")
