"""The hands of the engine: writes what its turn of the loop wants in one transaction, and runs what it took.

    accept ─▶ step (durable) ─▶ acknowledged
                 │ a free place: held from its first moment        step = one transaction: new tasks, ends, what
                 ▼                                                  follows, logs, the next tasks to run
              run under deadline ─▶ step {end, what follows, next} ─▶ run …

The journal is the queue: a process takes as many tasks as it has free places, in the transaction that ends others.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from legion_core.engine import journal, lookup
from legion_core.engine.bell import Bell
from legion_core.engine.context import TaskContext
from legion_core.engine.cpu import CpuPool
from legion_core.engine.following import LATE, BrokenRun, Followed, Follower, Room
from legion_core.engine.journal import Lease, NewTask
from legion_core.engine.machine import SETTLED, Failed, GivenBack, State, Stopped, Succeeded, after
from legion_core.engine.orders import Accepted, Line
from legion_core.engine.queues import Queues
from legion_core.engine.reasons import because
from legion_core.engine.registry import Registry
from legion_core.engine.runner import Outcome, Raised, Returned, Runner
from legion_core.engine.steps import Done, Ending, Recorder, Step, write_ending, write_step
from legion_core.engine.telling import Telling
from legion_core.engine.types import Reason
from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import Conflict, Denied, LegionError, LimitReached
from legion_core.kernel.events import Event, EventBus
from legion_core.kernel.faults import fault
from legion_core.kernel.ids import Rng
from legion_core.kernel.ports import ACTING, LOCAL_OWNER, Authorizer, OwnerOnly
from legion_core.kernel.supervise import Supervisor
from legion_core.storage.home import process_started
from legion_core.storage.sqlite import Database

log = logging.getLogger("legion.engine")

# A longer wait is looked at again in between: dates may step, and the clock of intervals stands still while the machine
# sleeps.
TIMER_MAX_S = 30.0
TROUBLE_FIRST_S, TROUBLE_MAX_S = 0.2, 30.0
LAST_WRITES_MAX = 5
ROOM_PLACES = 4  # in each queue, for what follows one end and may begin with it
TOLD_OVER_MAX = 200  # tasks whose end one transaction brought about, and that are told of
WAITED_FOR_MAX = 500  # tasks whose end elsewhere is asked for in one step


@dataclass(frozen=True, slots=True)
class Places:
    """How many tasks run at once, by where they run. `processes` 0: as many as there are processors."""

    loop: int = 256
    threads: int = 16
    processes: int = 0


PLACES = Places()


@dataclass(slots=True, eq=False)
class _Running:
    lease: Lease
    context: TaskContext
    work: "asyncio.Task[None] | None" = None
    cancelled_by: str = ""


@dataclass(slots=True)
class _Batch:
    """New tasks of one caller, written in one step."""

    tasks: list[NewTask]
    future: "asyncio.Future[list[Accepted]]"


class Dispatcher:
    """See the module. All methods belong to the loop's thread."""

    def __init__(
        self,
        clock: Clock,
        rng: Rng,
        bus: EventBus,
        supervisor: Supervisor,
        database: Database,
        registry: Registry,
        owner: str,
        run_directory: Path,
        places: Places,
        follower: Follower,
        on_death: Callable[[str], None],
        rights: Authorizer | None = None,
    ) -> None:
        self._clock = clock
        self._rng = rng
        self._bus = bus
        self._supervisor = supervisor
        self._database = database
        self._registry = registry
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._follower = follower
        self._bell = Bell(run_directory / "engines", owner, self.look, on_death)
        self.telling = Telling(bus, lambda: bool(self._bell.peers), self._lay_out)
        self._cpu = CpuPool(places.processes)
        self._runner = Runner(self._cpu, self._thread_freed)
        self.rights: Authorizer = rights or OwnerOnly()
        self.recorder: Recorder | None = (
            None  # writes down what others than the owner order, where they order it
        )
        self._queues = Queues(
            {"default": places.loop, "threads": places.threads, "processes": self._cpu.size},
            stuck=lambda queue: self._runner.stuck if queue == "threads" else 0,
        )
        self._running: dict[str, _Running] = {}
        self._batches: list[_Batch] = []
        self._step = Step()
        self._is_flush_due = False
        self._writing: set[asyncio.Future[Any]] = set()
        self._trouble_s = 0.0
        self._outbox_read = 0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ms = 0
        self._has_joined = False
        self._is_looking_due = False
        self.on_their_way = 0  # tasks accepted from callers and not yet on disk
        self.is_serving = False  # whether the tasks of others are taken too
        self.is_stopping = False

    @property
    def running(self) -> tuple[str, ...]:
        """What this process runs now, by id."""
        return tuple(self._running)

    @property
    def can_ring(self) -> bool:
        """Whether other processes can be woken on this system."""
        return self._bell.can_ring

    def accept(self, tasks: Sequence[NewTask]) -> "asyncio.Future[list[Accepted]]":
        """Have these written with the next step; settled once they are durable."""
        future: asyncio.Future[list[Accepted]] = asyncio.get_running_loop().create_future()
        self.on_their_way += len(tasks)
        self._batches.append(_Batch([self._placed(task) for task in tasks], future))
        self._flush_soon()
        return future

    def written(self, tasks: Sequence[NewTask]) -> None:
        """These were written by a transaction of somebody else's: tell watchers, and take what can be taken."""
        self.listen()
        for task in tasks:
            self.telling.accepted(task)
            if task.status == "queued":
                self._queues.hint(task.queue)
            self._arm(task.due_ms)
            self._arm(task.expires_ms)
        self._flush_soon()
        self._bell.ring()

    def hint(self, queue: str) -> None:
        """There is something new in this queue."""
        self._queues.hint(queue)
        self._flush_soon()

    def look(self) -> None:
        """Something may have changed in the journal: read it, and take what there is."""
        if self.is_stopping or not self._has_joined:
            return
        self._queues.hint_all()
        self._is_looking_due = True
        self._flush_soon()

    def listen(self) -> None:
        """Become known to the other processes; before that this one holds nothing and hears nothing."""
        if not self._has_joined:
            self._has_joined = True
            self._step.join = (os.getpid(), process_started(os.getpid()) or "")
            self._bell.open()
            self._flush_soon()

    def ring(self) -> None:
        """Wake the other processes."""
        self._bell.ring()

    def stop_running(self, task_id: str, who: str) -> bool:
        """Tell a task of this process to end; False if it does not run here."""
        running = self._running.get(task_id)
        if running is None:
            return False
        running.cancelled_by = running.cancelled_by or who
        running.context.is_cancelled = True
        if running.work is not None:
            running.work.cancel()
        return True

    async def stop(self, deadline_s: float) -> None:
        """Let running tasks end, at most `deadline_s`, give the others back, and write it all."""
        self.is_stopping = True
        if self._timer is not None:
            self._timer.cancel()
        await self._end_all(deadline_s)
        self._flush()
        # A write under way may still bring tasks, which are given back by another; a disk that refuses ends it.
        for _ in range(LAST_WRITES_MAX):
            if not self._writing:
                break
            await asyncio.gather(*self._writing, return_exceptions=True)
            self._flush()
        await self._cpu.close()
        if self._has_joined:
            try:
                await self._database.write(lambda connection: journal.leave(connection, self._owner))
            except (LegionError, AssertionError) as error:
                log.warning("the engine left tasks behind, which the next one takes over: %s", error)
        self._bell.ring()
        self._bell.close()
        self.telling.give_up(Conflict("The engine stopped while the task was waited for."))

    async def _end_all(self, deadline_s: float) -> None:
        works = [running.work for running in self._running.values() if running.work is not None]
        if not works:
            return
        together = asyncio.gather(*works, return_exceptions=True)
        try:
            async with asyncio.timeout(deadline_s):
                await asyncio.shield(together)
        except TimeoutError:
            for work in works:
                work.cancel()
            await together

    def _placed(self, task: NewTask) -> NewTask:
        """Held by this process from its first moment where a place is free and nobody waits for it."""
        queue = task.queue
        if task.status != "queued":
            return task
        if not self._trouble_s and self._queues.hold(queue):
            return msgspec.structs.replace(task, status="running")
        self._queues.hint(queue)
        return task

    # Steps

    def _flush_soon(self) -> None:
        # At the end of this turn of the loop: what all its callbacks want is written together.
        if not self._is_flush_due:
            self._is_flush_due = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._is_flush_due = False
        if self._batches:
            self.listen()
        step, self._step = self._step, Step()
        batches, self._batches = self._batches, []
        for batch in batches:
            step.inserts += batch.tasks
        if self._is_looking_due:
            self._is_looking_due = False
            step.is_look = True
            step.waited_for = self.telling.waited_for[:WAITED_FOR_MAX]
            step.outbox_read = self._outbox_read
        apart = [each for each in step.endings if each.is_apart]
        if apart:
            step.endings = [each for each in step.endings if not each.is_apart]
            for ending in apart:
                self._write_apart(ending)
        if not self.is_stopping and not self._trouble_s and self._has_joined:
            step.claims = self._queues.claims()
        if not step.has_work:
            return
        now_ms = self.now_ms()
        work = partial(
            write_step,
            step=step,
            owner=self._owner,
            now_ms=now_ms,
            rng=self._rng,
            only_mine=not self.is_serving,
            record=self.recorder,
        )
        try:
            future = self._database.write_nowait(work, durability=None if step.is_promise else "process")
        except LegionError as error:  # too much waits for the disk, or it is closed
            self._refused(step, batches, error)
            return
        self._writing.add(future)
        future.add_done_callback(partial(self._written, step, batches))

    def _written(self, step: Step, batches: list[_Batch], future: "asyncio.Future[Done]") -> None:
        self._writing.discard(future)
        if future.cancelled():
            self._refused(step, batches, Conflict("The journal was closed."))
            return
        if (error := future.exception()) is not None:
            self._refused(step, batches, error)
            return
        done = future.result()
        self._trouble_s = 0.0
        heard, self._outbox_read = self._outbox_read, max(self._outbox_read, done.outbox_read)
        self._accept(batches, done)
        for ending, was_held in zip(step.endings, done.ended, strict=True):
            self._ended(ending, was_held=was_held)
        self._queues.found(step.claims, done.leases)
        for leases in done.leases.values():
            for lease in leases:
                self._start(lease)
        self._claim_on()
        if step.told:
            self._bell.ring()
        for task_id, state in done.expired:
            self.telling.finished(task_id, "", state.status, state.reason, 0.0, "", "")
        if step.is_look:
            self._seen(step, done, heard)
        if step.is_look or step.is_due:
            self._arm(done.next_due_ms)

    def _claim_on(self) -> None:
        """Places that were kept for nothing are free again, and tasks may have come meanwhile."""
        if self._queues.wants:
            self._flush_soon()

    def _accept(self, batches: list[_Batch], done: Done) -> None:
        others = False
        accepted = iter(done.accepted)
        for batch in batches:
            told: list[Accepted] = []
            for task in batch.tasks:
                found = next(accepted)
                if isinstance(found, Lease):
                    told.append(Accepted(id=task.id, status="running"))
                    self.telling.accepted(task)
                    self._start(found)
                elif found == task.id:
                    told.append(Accepted(id=task.id, status=task.status))
                    self.telling.accepted(task)
                    self._arm(task.due_ms)
                    self._arm(task.expires_ms)
                    others = True
                else:
                    # Known already: the place kept for it is free again.
                    self._queues.give(task.queue, int(task.status == "running"))
                    told.append(Accepted(id=found, status="accepted", is_new=False))
            self.on_their_way -= len(batch.tasks)
            if not batch.future.done():
                batch.future.set_result(told)
        if others:
            self._bell.ring()

    def _refused(self, step: Step, batches: list[_Batch], error: BaseException) -> None:
        """Nothing of the step was kept: callers are told; ends are kept in memory and written when it works again."""
        for batch in batches:
            self.on_their_way -= len(batch.tasks)
            for task in batch.tasks:
                self._queues.give(task.queue, int(task.status == "running"))
            if not batch.future.done():
                batch.future.set_exception(error)
        self._queues.dropped(step.claims)
        self._step.endings = [*step.endings, *self._step.endings]
        self._step.lines = [*step.lines, *self._step.lines]
        self._step.told = [*step.told, *self._step.told]
        self._step.join = step.join or self._step.join
        self._step.is_due = step.is_due or self._step.is_due
        self._is_looking_due = step.is_look or self._is_looking_due
        if self.is_stopping:
            log.error("what tasks came to could not be written: %s", error)
            return
        if not self._trouble_s:
            log.error("the journal of tasks cannot be written, and no task is begun until it can: %s", error)
        self._trouble_s = min(max(TROUBLE_FIRST_S, self._trouble_s * 2), TROUBLE_MAX_S)
        asyncio.get_running_loop().call_later(self._trouble_s, self._try_again)

    def _try_again(self) -> None:
        self._queues.hint_all()
        self._step.is_due = True  # so that there is something to write
        self._flush_soon()

    # What follows in chains

    def room(self) -> Room:
        """Keep places for what a transaction may begin; `settle` or `release` gives them back."""
        kept: dict[str, int] = {}
        is_known = self._has_joined and self._step.join is None  # one that is not holds nothing
        if is_known and not self.is_stopping and not self._trouble_s:
            kept = self._queues.keep(ROOM_PLACES)
        return Room(owner=self._owner, now_ms=self.now_ms(), stamp=self._bus.stamp(), kept=kept).anew()

    def strange_room(self) -> Room:
        """Without places, for a transaction of somebody else's; safe from any thread."""
        return Room(owner=self._owner, now_ms=self.now_ms(), stamp=self._bus.stamp())

    def tell_later(self, followed: Followed) -> None:
        """Tell of it once everything written so far is durable; safe from any thread."""
        self._loop.call_soon_threadsafe(self._tell_after_it, followed)

    def _tell_after_it(self, followed: Followed) -> None:
        # Written behind the transaction it came from: what is told then can be read. One that was undone left no run.
        wanted = {str(getattr(event, "run", "")) for event in followed.events}
        future = self._database.write_nowait(
            lambda connection: lookup.known_runs(connection, wanted), durability="process"
        )
        self._writing.add(future)

        def tell(known: "asyncio.Future[set[str]]") -> None:
            self._writing.discard(future)
            if known.cancelled() or known.exception() is not None:
                return
            followed.events = [each for each in followed.events if getattr(each, "run", "") in known.result()]
            followed.tasks.clear()  # whoever wrote them has them taken
            followed.leases.clear()
            followed.stopping.clear()
            self.settle(Room(owner=self._owner, now_ms=0, stamp=self._bus.stamp()), followed)

        future.add_done_callback(tell)

    def release(self, room: Room) -> None:
        """Nothing was begun."""
        for queue, kept in room.kept.items():
            self._queues.give(queue, kept)
        room.kept.clear()
        self._claim_on()

    def settle(self, room: Room, followed: Followed) -> None:
        """What a transaction brought about is durable: begin what was begun, and tell."""
        fault("engine.settle")
        for lease in followed.leases:
            room.kept[lease.queue] -= 1
            self._start(lease)
        self.release(room)
        others = False
        if followed.tasks:
            self.listen()
        for task in followed.tasks:
            if task.status in ("running", "queued", "delayed"):
                self.telling.accepted(task)
            if task.status == "queued":
                self._queues.hint(task.queue)
                others = True
            self._arm(task.due_ms)
        for event in followed.events:
            self.tell(event)
        for task_id in followed.stopping:
            others = not self.stop_running(task_id, "owner") or others
        for each in followed.over[:TOLD_OVER_MAX]:
            self.telling.finished(each.id, each.task, each.status, each.reason, 0.0, each.run, each.node)
        if followed.runs and self._follower.ended(followed.runs) and not self.is_stopping:
            self._supervisor.spawn("purge runs", self._follower.purge())
        if others:
            self._flush_soon()
            self._bell.ring()

    def _write_apart(self, ending: Ending, given_up: str = "") -> None:
        if ending.lease.run and not self._follower.is_ready(ending.lease.run):
            self._make_ready(ending.lease.run, partial(self._write_apart, ending, given_up))
            return
        room = self.room()
        work = partial(write_ending, ending=ending, room=room, follower=self._follower, given_up=given_up)
        try:
            future = self._database.write_nowait(work)
        except LegionError:
            self.release(room)
            self._step.endings.append(ending)
            return
        self._writing.add(future)
        future.add_done_callback(partial(self._written_apart, ending, room))

    def _make_ready(self, run: str, go_on: Callable[[], None]) -> None:
        """Have the functions of a run at hand before anything of it is written."""

        async def work() -> None:
            await self._follower.make_ready(run)
            go_on()

        task = self._supervisor.spawn("chain functions", work())
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    def _written_apart(self, ending: Ending, room: Room, future: "asyncio.Future[Followed | None]") -> None:
        self._writing.discard(future)
        error = Conflict("The journal was closed.") if future.cancelled() else future.exception()
        if error is None:
            followed = future.result()
            self._ended(ending, was_held=followed is not None)
            self.settle(room, followed or Followed())
            return
        self.release(room)
        if isinstance(error, LegionError) and error.public_code.startswith(("storage", "disk", "read_only")):
            self._step.endings.append(ending)
            self._refused(Step(), [], error)
            return
        if isinstance(error, BrokenRun):
            log.error("the run %s cannot be carried on: %s", ending.lease.run, error)
            self._write_apart(ending, given_up=str(error))
            return
        # What the function deferred cannot be written: then the task failed, and says so.
        what = f"{type(error).__name__}: {error}"
        reason = Reason(code="task.raised", sentence=what, facts={"what": what})
        state = after(
            ending.lease.state(), Failed(reason, what, may_retry=False), now_ms=self.now_ms(), rng=self._rng
        )
        # Were it that run itself that cannot be ended, the task is: it must not be tried for ever.
        is_twice = ending.state.status == "failed" and not ending.deferred
        lease = msgspec.structs.replace(ending.lease, run="") if is_twice else ending.lease
        self._step.endings.append(Ending(lease, state))
        self._flush_soon()

    def _hand_over(self, lease: Lease) -> None:
        """A task that stands for a sub-chain: it is nobody's while the sub-chain goes on."""
        if not self._follower.is_ready(lease.run):
            self._make_ready(lease.run, partial(self._hand_over, lease))
            return
        room = self.room()
        work = partial(self._follower.hand_over, lease=lease, room=room)
        try:
            future = self._database.write_nowait(work)
        except LegionError:
            self._handed_over(lease, room, None)
            return
        self._writing.add(future)
        future.add_done_callback(partial(self._handed_over, lease, room))

    def _handed_over(
        self, lease: Lease, room: Room, future: "asyncio.Future[Followed | None] | None"
    ) -> None:
        if future is not None:
            self._writing.discard(future)
            if not future.cancelled() and future.exception() is None:
                self._queues.over(lease)
                self.settle(room, future.result() or Followed())
                return
            log.warning("the sub-chain %s could not be begun: %s", lease.task, future)
        self.release(room)
        if not self.is_stopping:
            asyncio.get_running_loop().call_later(TROUBLE_FIRST_S, self._hand_over, lease)

    def _seen(self, step: Step, done: Done, heard: int) -> None:
        for task_id in done.cancelling:
            self.stop_running(task_id, "owner")
        for task_id in done.settled:
            self.telling.wake(task_id)
        self.telling.heard(done.heard, heard)

    # Running

    def _start(self, lease: Lease) -> None:
        if lease.task.startswith("chain:"):
            self._hand_over(lease)
            return
        context = TaskContext(lease, self._clock, self._database, self._add_line)
        running = _Running(lease, context)
        self._running[lease.id] = running
        try:
            if self.is_stopping:
                raise LimitReached("The engine is stopping.")
            running.work = self._supervisor.spawn(f"task {lease.task}", self._run(running))
        except LimitReached:
            # Never begun, whatever the journal says: it goes back without a mark.
            state = msgspec.structs.replace(lease.state(), status="leased")
            self._end(running, after(state, GivenBack(self._owner), now_ms=0, rng=self._rng))

    async def _run(self, running: _Running) -> None:
        lease = running.lease
        self.telling.started(lease)
        try:
            outcome = await self._outcome(running)
        except asyncio.CancelledError:
            now_ms = self.now_ms()
            if running.cancelled_by:
                event = Stopped(running.cancelled_by)
                self._end(running, after(lease.state(), event, now_ms=now_ms, rng=self._rng))
                return  # it was this task alone that was told to end
            self._end(running, after(lease.state(), GivenBack(self._owner), now_ms=now_ms, rng=self._rng))
            raise
        self._end(running, self._state_after(lease, outcome), outcome)

    async def _outcome(self, running: _Running) -> Outcome:
        lease = running.lease
        try:
            function = self._registry.known(lease.task) or await self._registry.find(lease.task)
        except LegionError as error:
            reason = because("task.function_unknown", task=lease.task)
            return Raised(reason, error.sentence(), may_retry=False)
        fault("engine.run")
        if (denied := self._take_rights(lease)) is not None:
            return denied
        timeout_s = lease.timeout_s or function.traits.timeout_s
        args = lease.args
        if lease.run and args == LATE:
            made = await self._late_arguments(lease, timeout_s)
            if isinstance(made, Raised):
                return made
            args = made
        return await self._runner.run(function, args, running.context, timeout_s)

    def _take_rights(self, lease: Lease) -> Raised | None:
        """Act for whoever ordered the task, with what they may do now: a token may have been revoked since."""
        who = LOCAL_OWNER
        if lease.who != LOCAL_OWNER.name:
            who = self.rights.named(lease.who)
            try:
                self.rights.authorise(who, f"tasks/{lease.task.replace('.', '/')}", "run")
            except Denied as error:
                reason = because(
                    "task.denied", who=lease.who, task=lease.task, rule=error.message.rstrip(".")
                )
                return Raised(reason, reason.sentence, may_retry=False)
        ACTING.set(who)  # of this task's own context alone
        return None

    async def _late_arguments(self, lease: Lease, timeout_s: float) -> bytes | Raised:
        try:
            async with asyncio.timeout(timeout_s):
                made = await self._follower.arguments(lease)
        except TimeoutError:
            return Raised(
                because("task.timed_out", timeout_s=timeout_s), f"no arguments within {timeout_s} s"
            )
        except LegionError as error:
            reason = because("transform.failed", what=error.sentence())
            return Raised(reason, reason.sentence, may_retry=error.retry != "never")
        return Raised(made, made.sentence, may_retry=False) if isinstance(made, Reason) else made

    def _state_after(self, lease: Lease, outcome: Outcome) -> State:
        if isinstance(outcome, Returned):
            event = Succeeded()
        else:
            event = Failed(outcome.reason, outcome.what, outcome.may_retry, outcome.retry_after_s)
        return after(lease.state(), event, now_ms=self.now_ms(), rng=self._rng)

    def _end(self, running: _Running, state: State, outcome: Outcome | None = None) -> None:
        running.context.is_over = running.context.is_cancelled = True
        del self._running[running.lease.id]
        self._queues.over(running.lease)
        is_success = isinstance(outcome, Returned)
        deferred = tuple(running.context.deferred) if is_success else ()
        result = outcome.result if is_success else None
        self._step.endings.append(Ending(running.lease, state, result, deferred))
        self._flush_soon()

    def _ended(self, ending: Ending, *, was_held: bool) -> None:
        lease, state = ending.lease, ending.state
        if not was_held:
            log.warning("task %s was taken from this process; what it came to here is dropped", lease.id)
            return
        if state.status in SETTLED:
            duration_s = max(0.0, (self.now_ms() - lease.started_ms) / 1000)
            self.telling.finished(
                lease.id, lease.task, state.status, state.reason, duration_s, lease.run, lease.node
            )
            return
        self.telling.waits(lease, state)
        if state.status == "queued":
            self._queues.hint(lease.queue)
            self._bell.ring()
        else:
            self._arm(state.due_ms)

    def _thread_freed(self) -> None:
        if not self.is_stopping:
            self._flush_soon()

    def _add_line(self, line: Line) -> None:
        self._step.lines.append(line)
        self._flush_soon()

    # Telling

    def tell(self, event: Event) -> None:
        """To watchers here, and where there are other processes, to theirs."""
        self.telling.tell(event)

    def _lay_out(self, kind: str, body: bytes) -> None:
        self._step.told.append((kind, body))
        self._flush_soon()

    # Time

    def now_ms(self) -> int:
        """The date in milliseconds, as stored."""
        return journal.utc_ms(self._clock.utc_now())

    def _arm(self, due_ms: int) -> None:
        """Wake at that moment, unless something earlier does; 0 is no moment."""
        if not due_ms or self.is_stopping or (self._timer is not None and self._timer_ms <= due_ms):
            return
        if self._timer is not None:
            self._timer.cancel()
        wait_s = min(max(0.0, (due_ms - self.now_ms()) / 1000), TIMER_MAX_S)
        self._timer_ms = due_ms
        self._timer = asyncio.get_running_loop().call_later(wait_s, self._due)

    def _due(self) -> None:
        self._timer = None
        if self._timer_ms > self.now_ms():
            self._arm(self._timer_ms)
            return
        self._queues.hint_all()
        self._step.is_due = True
        self._flush_soon()
