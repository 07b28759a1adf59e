"""The heart of the engine: what its turn of the loop wants is written in one transaction, and what it took is run.

    accept ─▶ step (durable) ─▶ acknowledged
                 │ a free place: held from its first moment        step = one transaction: new tasks, ends, what
                 ▼                                                  follows, logs, the next tasks to run
              run under deadline ─▶ step {end, what follows, next} ─▶ run …

The journal is the queue: a process takes as many tasks as it has free places, in the transaction that ends others.
`turn` gathers what is wanted, `writer` writes it, `running` runs what was taken; ends that bring others' code with them
are transactions `apart`.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec

from legion_core.engine import journal
from legion_core.engine.alarm import Alarm
from legion_core.engine.apart import Apart
from legion_core.engine.cpu import CpuPool
from legion_core.engine.following import Followed, Follower, Room
from legion_core.engine.journal import Lease, NewTask
from legion_core.engine.machine import SETTLED
from legion_core.engine.orders import Accepted, Line
from legion_core.engine.presence import Presence
from legion_core.engine.queues import Queues
from legion_core.engine.registry import Registry
from legion_core.engine.runner import Runner
from legion_core.engine.running import Running
from legion_core.engine.steps import Done, Ending, Recorder, Step, write_step
from legion_core.engine.telling import Telling
from legion_core.engine.turn import Turn
from legion_core.engine.writer import Writer
from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import Conflict, LegionError
from legion_core.kernel.events import Event, EventBus
from legion_core.kernel.ids import Rng
from legion_core.kernel.ports import Authorizer, OwnerOnly
from legion_core.kernel.supervise import Supervisor
from legion_core.storage.sqlite import Database

log = logging.getLogger("legion.engine")

WAITED_FOR_MAX = 500  # tasks whose end elsewhere is asked for in one step


@dataclass(frozen=True, slots=True)
class Places:
    """How many tasks run at once, by where they run. `processes` 0: as many as there are processors."""

    loop: int = 256
    threads: int = 16
    processes: int = 0


PLACES = Places()


@dataclass(slots=True)
class _Batch:
    """New tasks of one caller, written in one step."""

    tasks: list[NewTask]
    future: "asyncio.Future[list[Accepted]]"


class Dispatcher:
    """See the module. All methods but `strange_room` and `tell_later` belong to the loop's thread."""

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
        self._database = database
        self._owner = owner
        self.recorder: Recorder | None = (
            None  # writes down what others than the owner order, where they order it
        )
        self._turn = Turn()
        self._writer = Writer(database, self._flush, self._look_anew)
        self._alarm = Alarm(self.now_ms, self._look_anew)
        self._presence = Presence(
            self._turn, self._writer, run_directory / "engines", owner, self.look, on_death
        )
        self.telling = Telling(bus, lambda: self._presence.has_peers, self._lay_out)
        self._cpu = CpuPool(places.processes)
        runner = Runner(self._cpu, self._thread_freed)
        self._queues = Queues(
            {"default": places.loop, "threads": places.threads, "processes": self._cpu.size},
            stuck=lambda queue: runner.stuck if queue == "threads" else 0,
        )
        self._running = Running(
            clock, rng, supervisor, database, registry, follower, runner, rights or OwnerOnly(), self.telling, owner,
            now_ms=self.now_ms, on_end=self._end, add_line=self._add_line,
        )  # fmt: skip
        self._apart = Apart(
            rng, bus, supervisor, owner, follower, self._queues, self._running, self.telling, self._turn, self._writer,
            self._alarm, self._presence, self._ended,
        )  # fmt: skip
        self._batches: list[_Batch] = []
        self._outbox_read = 0
        self.on_their_way = 0  # tasks accepted from callers and not yet on disk
        self.is_serving = False  # whether the tasks of others are taken too
        self.is_stopping = False

    @property
    def running(self) -> tuple[str, ...]:
        """What this process runs now, by id."""
        return self._running.ids

    @property
    def can_ring(self) -> bool:
        """Whether other processes can be woken on this system."""
        return self._presence.can_ring

    def accept(self, tasks: Sequence[NewTask]) -> "asyncio.Future[list[Accepted]]":
        """Have these written with the next step; settled once they are durable."""
        future: asyncio.Future[list[Accepted]] = asyncio.get_running_loop().create_future()
        self.on_their_way += len(tasks)
        self._batches.append(_Batch([self._placed(task) for task in tasks], future))
        self._writer.soon()
        return future

    def written(self, tasks: Sequence[NewTask]) -> None:
        """These were written by a transaction of somebody else's: tell watchers, and take what can be taken."""
        self._presence.join()
        for task in tasks:
            self.telling.accepted(task)
            if task.status == "queued":
                self._queues.hint(task.queue)
            self._alarm.at(task.due_ms)
            self._alarm.at(task.expires_ms)
        self._writer.soon()
        self._presence.ring()

    def hint(self, queue: str) -> None:
        """There is something new in this queue."""
        self._queues.hint(queue)
        self._writer.soon()

    def look(self) -> None:
        """Something may have changed in the journal: read it, and take what there is."""
        if self.is_stopping or not self._presence.has_joined:
            return
        self._queues.hint_all()
        self._turn.look()
        self._writer.soon()

    def listen(self) -> None:
        """Become known to the other processes; before that this one holds nothing and hears nothing."""
        self._presence.join()

    def ring(self) -> None:
        """Wake the other processes."""
        self._presence.ring()

    def tell(self, event: Event) -> None:
        """To watchers here, and where there are other processes, to theirs."""
        self.telling.tell(event)

    def stop_running(self, task_id: str, who: str) -> bool:
        """Tell a task of this process to end; False if it does not run here."""
        return self._running.stop(task_id, who)

    def now_ms(self) -> int:
        """The date in milliseconds, as stored."""
        return journal.utc_ms(self._clock.utc_now())

    async def stop(self, deadline_s: float) -> None:
        """Let running tasks end, at most `deadline_s`, give the others back, and write it all."""
        self.is_stopping = True
        self._alarm.close()
        self._apart.close()
        self._writer.close()
        await self._running.close(deadline_s)
        await self._writer.drain()
        await self._cpu.close()
        if self._presence.has_joined:
            try:
                await self._database.write(lambda connection: journal.leave(connection, self._owner))
            except (LegionError, AssertionError) as error:
                log.warning("the engine left tasks behind, which the next one takes over: %s", error)
        self._presence.close()
        self.telling.give_up(Conflict("The engine stopped while the task was waited for."))

    # Rooms, for the chains

    def room(self) -> Room:
        """Keep places for what a transaction may begin; `settle` or `release` gives them back."""
        return self._apart.room()

    def strange_room(self) -> Room:
        """Without places, for a transaction of somebody else's; safe from any thread."""
        return self._apart.strange_room()

    def release(self, room: Room) -> None:
        """Nothing was begun."""
        self._apart.release(room)

    def settle(self, room: Room, followed: Followed) -> None:
        """What a transaction brought about is durable: begin what was begun, and tell."""
        self._apart.settle(room, followed)

    def tell_later(self, followed: Followed) -> None:
        """Tell of it once everything written so far is durable; safe from any thread."""
        self._apart.tell_later(followed)

    # Steps

    def _placed(self, task: NewTask) -> NewTask:
        """Held by this process from its first moment where a place is free and nobody waits for it."""
        if task.status != "queued":
            return task
        if not self._writer.is_troubled and self._queues.hold(task.queue):
            return msgspec.structs.replace(task, status="running")
        self._queues.hint(task.queue)
        return task

    def _flush(self) -> None:
        if self._batches:
            self._presence.join()
        step, apart = self._turn.take()
        batches, self._batches = self._batches, []
        for batch in batches:
            step.inserts += batch.tasks
        if step.is_look:
            step.waited_for = self.telling.waited_for[:WAITED_FOR_MAX]
            step.outbox_read = self._outbox_read
        for ending in apart:
            self._apart.write(ending)
        if not self.is_stopping and not self._writer.is_troubled and self._presence.has_joined:
            step.claims = self._queues.claims()
        if not step.has_work:
            return
        work = partial(
            write_step,
            step=step,
            owner=self._owner,
            now_ms=self.now_ms(),
            rng=self._rng,
            only_mine=not self.is_serving,
            record=self.recorder,
        )
        try:
            future = self._writer.write(work, None if step.is_promise else "process")
        except LegionError as error:
            self._refused(step, batches, error)
            return
        future.add_done_callback(partial(self._written, step, batches))

    def _written(self, step: Step, batches: list[_Batch], future: "asyncio.Future[Done]") -> None:
        if future.cancelled():
            self._refused(step, batches, Conflict("The journal was closed."))
            return
        if (error := future.exception()) is not None:
            self._refused(step, batches, error)
            return
        done = future.result()
        self._writer.well()
        heard, self._outbox_read = self._outbox_read, max(self._outbox_read, done.outbox_read)
        self._accepted(batches, done)
        for ending, was_held in zip(step.endings, done.ended, strict=True):
            self._ended(ending, was_held)
        self._queues.found(step.claims, done.leases)
        for leases in done.leases.values():
            for lease in leases:
                self._apart.begin(lease)
        if self._queues.wants:  # places kept for nothing are free again, and tasks may have come meanwhile
            self._writer.soon()
        if step.told:
            self._presence.ring()
        for task_id, state in done.expired:
            self.telling.finished(task_id, "", state.status, state.reason, 0.0, "", "")
        if step.is_look:
            self._seen(done, heard)
        if step.is_look or step.is_due:
            self._alarm.at(done.next_due_ms)

    def _accepted(self, batches: list[_Batch], done: Done) -> None:
        others = False
        accepted = iter(done.accepted)
        for batch in batches:
            told: list[Accepted] = []
            for task in batch.tasks:
                found = next(accepted)
                if isinstance(found, Lease):
                    told.append(Accepted(id=task.id, status="running"))
                    self.telling.accepted(task)
                    self._apart.begin(found)
                elif found == task.id:
                    told.append(Accepted(id=task.id, status=task.status))
                    self.telling.accepted(task)
                    self._alarm.at(task.due_ms)
                    self._alarm.at(task.expires_ms)
                    others = True
                else:
                    # Known already: the place kept for it is free again.
                    self._queues.give(task.queue, int(task.status == "running"))
                    told.append(Accepted(id=found, status="accepted", is_new=False))
            self.on_their_way -= len(batch.tasks)
            if not batch.future.done():
                batch.future.set_result(told)
        if others:
            self._presence.ring()

    def _refused(self, step: Step, batches: list[_Batch], error: BaseException) -> None:
        """Nothing of the step was kept: callers are told; ends are kept in memory and written when it works again."""
        for batch in batches:
            self.on_their_way -= len(batch.tasks)
            for task in batch.tasks:
                self._queues.give(task.queue, int(task.status == "running"))
            if not batch.future.done():
                batch.future.set_exception(error)
        self._queues.dropped(step.claims)
        self._turn.put_back(step)
        self._writer.trouble(error)

    def _look_anew(self) -> None:
        """Something is due, or it is time to try again."""
        self._queues.hint_all()
        self._turn.due()
        self._writer.soon()

    def _seen(self, done: Done, heard: int) -> None:
        for task_id in done.cancelling:
            self.stop_running(task_id, "owner")
        for task_id in done.settled:
            self.telling.wake(task_id)
        self.telling.heard(done.heard, heard)

    # Ends

    def _end(self, ending: Ending) -> None:
        self._queues.over(ending.lease)
        self._turn.end(ending)
        self._writer.soon()

    def _ended(self, ending: Ending, was_held: bool) -> None:
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
            self._presence.ring()
        else:
            self._alarm.at(state.due_ms)

    def _thread_freed(self) -> None:
        if not self.is_stopping:
            self._writer.soon()

    def _add_line(self, line: Line) -> None:
        self._turn.line(line)
        self._writer.soon()

    def _lay_out(self, kind: str, body: bytes) -> None:
        self._turn.tell(kind, body)
        self._writer.soon()
