"""The engine of one process: accepts tasks, runs them, and keeps its word about them across crashes.

    submit ─▶ step (durable) ─▶ acknowledged
                 │ a free place: held from its first moment        step = one transaction: new tasks, ends, what
                 ▼                                                  follows, logs, the next tasks to run
              run under deadline ─▶ step {end, what follows, next} ─▶ run …

The journal is the queue: a process takes as many tasks as it has free places, in the transaction that ends others.
All waiting is by events (`engine.bell` between processes); one timer runs while a task has a date, none otherwise.
"""

import asyncio
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from legion_core.engine import journal
from legion_core.engine.bell import Bell
from legion_core.engine.context import TaskContext
from legion_core.engine.cpu import CpuPool
from legion_core.engine.events import (
    TOLD,
    NotificationSent,
    TaskAccepted,
    TaskFinished,
    TaskStarted,
    TaskWaits,
)
from legion_core.engine.journal import Follow, Lease, NewTask, no_follow
from legion_core.engine.machine import (
    HELD,
    SETTLED,
    WAITING,
    AskedAgain,
    Failed,
    GivenBack,
    OwnerDied,
    Refused,
    State,
    Stopped,
    Succeeded,
    after,
)
from legion_core.engine.orders import Accepted, Line, Order
from legion_core.engine.reasons import because
from legion_core.engine.registry import Function, Pool, Registry
from legion_core.engine.runner import Outcome, Raised, Returned, Runner
from legion_core.engine.steps import Done, Ending, Step, write_ending, write_step
from legion_core.engine.types import Reason, Task, TaskStatus
from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import Conflict, InvalidInput, LegionError, LimitReached, TimedOut
from legion_core.kernel.events import Event, EventBus
from legion_core.kernel.ids import Ids, Rng
from legion_core.kernel.ports import Authorizer, Principal
from legion_core.kernel.supervise import Supervisor
from legion_core.storage.calls import in_thread
from legion_core.storage.home import process_started
from legion_core.storage.sqlite import ConstraintError, Database

log = logging.getLogger("legion.engine")

ARGS_BYTES_MAX = 512 * 1024  # seed: the cap of a task's payload
WAITING_MAX = 20_000  # tasks on their way to the journal
BATCH_MAX = 10_000
PRIORITY_MAX = 100
TIMER_MAX_S = 3600.0  # a longer wait is looked at again in between, as dates may step
DELAY_MAX_S = 10 * 366 * 86_400.0
TROUBLE_FIRST_S, TROUBLE_MAX_S = 0.2, 30.0
LOOK_S = 1.0  # where processes cannot wake each other
KEPT_DAYS = 31  # seed: completed tasks are purged after so many days
PURGED_MAX = 5_000
STOP_S = 1.0  # how long running tasks may go on once the engine stops

QUEUES: dict[Pool, str] = {"loop": "default", "thread": "threads", "cpu": "processes"}


@dataclass(frozen=True, slots=True)
class Places:
    """How many tasks run at once, by where they run. `processes` 0: as many as there are processors."""

    loop: int = 256
    threads: int = 16
    processes: int = 0


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


class Engine:
    """See the module. All methods belong to the loop's thread."""

    def __init__(
        self,
        clock: Clock,
        ids: Ids,
        rng: Rng,
        bus: EventBus,
        supervisor: Supervisor,
        authorizer: Authorizer,
        database: Database,
        registry: Registry,
        run_directory: Path,
        *,
        places: Places = Places(),
        follow: Follow = no_follow,
    ) -> None:
        self._clock = clock
        self._ids = ids
        self._rng = rng
        self._bus = bus
        self._supervisor = supervisor
        self._authorizer = authorizer
        self._database = database
        self._follow = follow
        self.registry = registry
        self.owner = ids.new("eng")
        self._bell = Bell(run_directory / "engines", self.owner, self._look, self._peer_died)
        self._cpu = CpuPool(places.processes)
        self._runner = Runner(self._cpu, self._thread_freed)
        self._places = {
            "default": places.loop,
            "threads": places.threads,
            "processes": self._cpu.size,
        }
        self._taken = dict.fromkeys(self._places, 0)
        # How often there was a reason to look into a queue, and up to which of them it was found empty.
        self._hints = dict.fromkeys(self._places, 0)
        self._dry = dict.fromkeys(self._places, 0)
        self._running: dict[str, _Running] = {}
        self._waiters: dict[str, list[asyncio.Future[None]]] = {}
        self._batches: list[_Batch] = []
        self._step = Step()
        self._is_flush_due = False
        self._writing: set[asyncio.Future[Any]] = set()
        self._on_their_way = 0
        self._trouble_s = 0.0
        self._outbox_read = 0
        self._timer: asyncio.TimerHandle | None = None
        self._timer_ms = 0
        self._has_joined = False
        self._is_serving = False
        self._is_stopping = False
        self._is_looking_due = False

    # Accepting

    async def submit(self, who: Principal, order: Order) -> Accepted:
        """Accept one task: durable when this returns. Raises Denied, NotFound, InvalidInput, LimitReached, StorageFailed."""
        return (await self.submit_many(who, (order,)))[0]

    async def submit_many(self, who: Principal, orders: Sequence[Order]) -> list[Accepted]:
        """Accept all of them in one transaction, or none."""
        if not 1 <= len(orders) <= BATCH_MAX:
            raise InvalidInput(f"A batch holds 1 to {BATCH_MAX:,} tasks, not {len(orders):,}.")
        if self._is_stopping:
            raise Conflict(because("task.engine_stopping").sentence)
        if self._on_their_way + len(orders) > WAITING_MAX:
            raise LimitReached(
                because("task.queue_full", queue="for the journal", count=self._on_their_way).sentence
            )
        now_ms = self._now_ms()
        tasks = [await self._new_task(who, order, now_ms) for order in orders]
        future: asyncio.Future[list[Accepted]] = asyncio.get_running_loop().create_future()
        self._on_their_way += len(tasks)
        self._batches.append(_Batch([self._placed(task) for task in tasks], future))
        self._flush_soon()
        return await future

    async def check(self, who: Principal, order: Order) -> Function:
        """The function an order names, if it may be run with these arguments; raises as `submit` does."""
        self._authorizer.authorise(who, f"tasks/{order.task.replace('.', '/')}", "run")
        function = self.registry.known(order.task) or await self.registry.find(order.task)
        function.signature.check(order.args)
        return function

    async def _new_task(self, who: Principal, order: Order, now_ms: int) -> NewTask:
        self._authorizer.authorise(who, f"tasks/{order.task.replace('.', '/')}", "run")
        _check_bounds(order)
        function = self.registry.known(order.task) or await self.registry.find(order.task)
        args = function.signature.check(order.args)
        if len(args) > ARGS_BYTES_MAX:
            raise LimitReached(
                because("task.payload_too_large", size_bytes=len(args), limit_bytes=ARGS_BYTES_MAX).sentence
            )
        traits = function.traits
        is_early = order.delay_s > 0
        retry = order.retry or traits.retry
        return NewTask(
            id=self._ids.new("task"),
            task=order.task,
            args=args,
            created_ms=now_ms,
            submitter=self.owner,
            who=who.name,
            status="delayed" if is_early else "queued",
            queue=QUEUES[function.pool],
            priority=order.priority,
            effect=traits.effect,
            retry=journal.NO_RETRY if retry.max == 0 or traits.effect == "at_most_once" else retry,
            due_ms=now_ms + round(order.delay_s * 1000) if is_early else 0,
            expires_ms=now_ms + round(order.expires_s * 1000) if order.expires_s else 0,
            idempotency_key=order.idempotency_key,
            timeout_s=order.timeout_s,
            parent=order.parent,
            root=order.root,
            run=order.run,
            node=order.node,
            key=order.key,
            depth=order.depth,
        )

    def _placed(self, task: NewTask) -> NewTask:
        """Held by this process from its first moment where a place is free and nobody waits for it."""
        queue = task.queue
        if task.status != "queued":
            return task
        if self._dry[queue] == self._hints[queue] and self._free(queue) > 0 and not self._trouble_s:
            self._taken[queue] += 1
            return msgspec.structs.replace(task, status="running")
        self._hints[queue] += 1
        return task

    # Looking

    async def get(self, task_id: str) -> Task:
        """One task; NotFound if there is none."""
        return await self._database.read(lambda connection: journal.get(connection, task_id))

    async def page(
        self, *, status: str = "", task: str = "", run: str = "", below: int = 0, limit: int = 50
    ) -> list[tuple[int, Task]]:
        """Tasks, newest first, each with its place: the next page begins `below` the last one's."""
        return await self._database.read(
            lambda connection: journal.page(
                connection, status=status, task=task, run=run, below=below, limit=limit
            )
        )

    async def lines(self, task_id: str) -> list[Line]:
        """The task's log, oldest first."""
        return await self._database.read(lambda connection: journal.lines(connection, task_id))

    async def counts(self) -> Mapping[str, int]:
        """How many tasks wait and run, by status."""
        return await self._database.read(journal.counts)

    async def wait(self, task_id: str, timeout_s: float | None = None) -> Task:
        """The task once nothing more happens to it by itself, wherever it runs; TimedOut after `timeout_s`."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(task_id, []).append(future)
        try:
            found = await self.get(task_id)
            if found.status in SETTLED:
                return found
            self._listen()
            self._look()  # it may have ended between the reading and the listening
            async with asyncio.timeout(timeout_s):
                await future
        except TimeoutError as error:
            raise TimedOut(f"Task {task_id} had not ended after {timeout_s} s.") from error
        finally:
            waiting = self._waiters[task_id]
            waiting.remove(future)
            if not waiting:
                del self._waiters[task_id]
        return await self.get(task_id)

    # Ordering about

    async def cancel(self, who: Principal, task_id: str) -> Task:
        """End it: a waiting task at once, a running one as soon as it stops. Conflict if it has ended already."""
        self._authorizer.authorise(who, "tasks", "cancel")
        if (running := self._running.get(task_id)) is not None:
            self._stop_running(running, who.name)
            return await self.wait(task_id, timeout_s=30.0)
        now_ms = self._now_ms()

        def work(connection: journal.Connection) -> TaskStatus:
            state = journal.state_of(connection, task_id)
            if state.status in WAITING:
                reason = because("task.cancelled", who=who.name)
                state = after(state, Refused("cancelled", reason), now_ms=now_ms, rng=self._rng)
                journal.change(connection, task_id, state, now_ms)
            elif state.status in HELD:
                journal.ask_to_cancel(connection, task_id)
            else:
                raise Conflict(f"Task {task_id} has ended already: it is {state.status}.")
            return state.status

        status = await self._database.write(work)
        task = await self.get(task_id)
        if status in HELD:
            self._listen()
            self._bell.ring()
            self._look()
            return await self.wait(task_id, timeout_s=30.0)
        self._finished(task.id, task.task, task.status, task.reason, 0.0, task.run, task.node)
        return task

    async def retry(self, who: Principal, task_id: str) -> Task:
        """Queue it again from its first attempt; Conflict where its status does not allow that."""
        self._authorizer.authorise(who, "tasks", "retry")
        now_ms = self._now_ms()

        def work(connection: journal.Connection) -> str:
            state = journal.state_of(connection, task_id)
            try:
                state = after(state, AskedAgain(), now_ms=now_ms, rng=self._rng)
            except (AssertionError, KeyError) as error:
                raise Conflict(
                    f"Task {task_id} is {state.status}, which cannot be tried again.",
                    hint="What failed, died, was blocked, expired or is unknown can be.",
                ) from error
            try:
                journal.change(connection, task_id, state, now_ms)
            except ConstraintError as error:
                raise Conflict("Another task with the same idempotency key is under way.") from error
            return str(journal.queue_of(connection, task_id))

        queue = await self._database.write(work)
        self._listen()
        self._hints[queue] += 1
        self._flush_soon()
        self._bell.ring()
        return await self.get(task_id)

    def notify(self, title: str, text: str, task: str = "") -> None:
        """Tell the person, here or in the process that has the window."""
        at_utc, at_mono_s = self._bus.stamp()
        self._tell(NotificationSent(at_utc=at_utc, at_mono_s=at_mono_s, title=title, text=text, task=task))

    # Life

    async def serve(self) -> None:
        """Take any task from now on, also those of others and of those that died. Returns at once if it does already."""
        if self._is_serving or self._is_stopping:
            return
        self._is_serving = True
        self._listen()
        await self._take_over()
        await self._purge()
        self._look()
        if not self._bell.can_ring:
            self._supervisor.loop("engine look", self._look_now_and_then)

    async def stop(self, deadline_s: float = STOP_S) -> None:
        """Let running tasks end, at most `deadline_s`, give the others back, and leave; idempotent."""
        if self._is_stopping:
            return
        self._is_stopping = True
        if self._timer is not None:
            self._timer.cancel()
        works = [running.work for running in self._running.values() if running.work is not None]
        if works:
            together = asyncio.gather(*works, return_exceptions=True)
            try:
                async with asyncio.timeout(deadline_s):
                    await asyncio.shield(together)
            except TimeoutError:
                for work in works:
                    work.cancel()
                await together
        self._flush()
        while self._writing:
            await asyncio.gather(*self._writing, return_exceptions=True)
        await self._cpu.close()
        if self._has_joined:
            try:
                await self._database.write(lambda connection: journal.leave(connection, self.owner))
            except (LegionError, AssertionError) as error:
                log.warning("the engine left tasks behind, which the next one takes over: %s", error)
        self._bell.ring()
        self._bell.close()
        for waiting in self._waiters.values():
            for future in waiting:
                if not future.done():
                    future.set_exception(Conflict("The engine stopped while the task was waited for."))

    @property
    def running(self) -> tuple[str, ...]:
        """What this process runs now, by id."""
        return tuple(self._running)

    def _listen(self) -> None:
        if not self._has_joined:
            self._has_joined = True
            self._step.join = (os.getpid(), process_started(os.getpid()) or "")
            self._bell.open()
            self._flush_soon()

    async def _look_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            self._look()

    def _peer_died(self, owner: str) -> None:
        if not self._is_stopping:
            self._supervisor.spawn("engine take over", self._take_over())

    async def _take_over(self) -> None:
        """Give back to the queues what dead processes held."""
        known = await self._database.read(journal.engines)
        dead = await in_thread("engine liveness", lambda: _dead(known, self.owner))
        if not dead:
            return
        now_ms = self._now_ms()

        def work(connection: journal.Connection) -> list[tuple[str, State]]:
            changed: list[tuple[str, State]] = []
            for owner in dead:
                for task_id, state in journal.held_by(connection, owner):
                    fresh = after(state, OwnerDied(owner), now_ms=now_ms, rng=self._rng)
                    journal.change(connection, task_id, fresh, now_ms)
                    changed.append((task_id, fresh))
                journal.leave(connection, owner)
            return changed

        changed = await self._database.write(work)
        if changed:
            log.warning("%d tasks of processes that died were taken over", len(changed))
        for task_id, state in changed:
            if state.status in SETTLED:
                await self._announce(task_id)
        self._look()
        self._bell.ring()

    async def _purge(self) -> None:
        before_ms = self._now_ms() - KEPT_DAYS * 86_400_000
        gone = await self._database.write(lambda connection: journal.purge(connection, before_ms, PURGED_MAX))
        if gone:
            log.info("%d tasks that ended over %d days ago were deleted", gone, KEPT_DAYS)

    # Steps

    def _look(self) -> None:
        """Something may have changed in the journal: read it, and take what there is."""
        if self._is_stopping or not self._has_joined:
            return
        for queue in self._hints:
            self._hints[queue] += 1
        self._is_looking_due = True
        self._flush_soon()

    def _flush_soon(self) -> None:
        # At the end of this turn of the loop: what all its callbacks want is written together.
        if not self._is_flush_due:
            self._is_flush_due = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._is_flush_due = False
        if self._batches:
            self._listen()
        step, self._step = self._step, Step()
        batches, self._batches = self._batches, []
        for batch in batches:
            step.inserts += batch.tasks
        if self._is_looking_due:
            self._is_looking_due = False
            step.is_look = True
            step.waited_for = tuple(self._waiters)[:500]
            step.outbox_read = self._outbox_read
        apart = [each for each in step.endings if each.is_apart]
        if apart:
            step.endings = [each for each in step.endings if not each.is_apart]
            for ending in apart:
                self._write_apart(ending)
        hints = self._plan_claims(step)
        if not step.has_work:
            return
        now_ms = self._now_ms()
        work = partial(
            write_step,
            step=step,
            owner=self.owner,
            now_ms=now_ms,
            rng=self._rng,
            only_mine=not self._is_serving,
        )
        try:
            future = self._database.write_nowait(work, durability=None if step.is_promise else "process")
        except LegionError as error:  # too much waits for the disk, or it is closed
            self._refused(step, batches, hints, error)
            return
        self._writing.add(future)
        future.add_done_callback(partial(self._written, step, batches, hints))

    def _plan_claims(self, step: Step) -> dict[str, int]:
        """Reserve places for what the step shall take; gives up to which hint each queue is looked into."""
        if self._is_stopping or self._trouble_s or not self._has_joined:
            return {}
        hints: dict[str, int] = {}
        for queue, hint in self._hints.items():
            if hint != self._dry[queue] and (free := self._free(queue)) > 0:
                step.claims[queue] = free
                self._taken[queue] += free
                hints[queue] = hint
        return hints

    def _written(
        self, step: Step, batches: list[_Batch], hints: dict[str, int], future: "asyncio.Future[Done]"
    ) -> None:
        self._writing.discard(future)
        if future.cancelled():
            self._refused(step, batches, hints, Conflict("The journal was closed."))
            return
        if (error := future.exception()) is not None:
            self._refused(step, batches, hints, error)
            return
        done = future.result()
        self._trouble_s = 0.0
        self._accept(batches, done)
        for ending, was_held in zip(step.endings, done.ended, strict=True):
            self._ended(ending, was_held=was_held)
        for queue, leases in done.leases.items():
            asked = step.claims[queue]
            self._taken[queue] -= asked - len(leases)
            if len(leases) < asked:
                self._dry[queue] = hints[queue]
            for lease in leases:
                self._start(lease)
        self._claim_on()
        if step.told:
            self._bell.ring()
        for task_id, state in done.expired:
            self._finished(task_id, "", state.status, state.reason, 0.0, "", "")
        if step.is_look:
            self._seen(step, done)
        if step.is_look or step.is_due:
            self._arm(done.next_due_ms)

    def _claim_on(self) -> None:
        """Places that were kept for nothing are free again, and tasks may have come meanwhile."""
        for queue, hint in self._hints.items():
            if hint != self._dry[queue] and self._free(queue) > 0:
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
                    self._announce_accepted(task)
                    self._start(found)
                elif found == task.id:
                    told.append(Accepted(id=task.id, status=task.status))
                    self._announce_accepted(task)
                    self._arm(task.due_ms)
                    self._arm(task.expires_ms)
                    others = True
                else:
                    # Known already: the place kept for it is free again.
                    self._taken[task.queue] -= task.status == "running"
                    told.append(Accepted(id=found, status="accepted", is_new=False))
            self._on_their_way -= len(batch.tasks)
            if not batch.future.done():
                batch.future.set_result(told)
        if others:
            self._bell.ring()

    def _refused(
        self, step: Step, batches: list[_Batch], hints: dict[str, int], error: BaseException
    ) -> None:
        """Nothing of the step was kept: callers are told; ends are kept in memory and written when it works again."""
        for batch in batches:
            self._on_their_way -= len(batch.tasks)
            for task in batch.tasks:
                self._taken[task.queue] -= task.status == "running"
            if not batch.future.done():
                batch.future.set_exception(error)
        for queue, count in step.claims.items():
            self._taken[queue] -= count
        self._step.endings = [*step.endings, *self._step.endings]
        self._step.lines = [*step.lines, *self._step.lines]
        self._step.told = [*step.told, *self._step.told]
        self._step.join = step.join or self._step.join
        self._step.is_due = step.is_due or self._step.is_due
        self._is_looking_due = step.is_look or self._is_looking_due
        if self._is_stopping:
            log.error("what tasks came to could not be written: %s", error)
            return
        if not self._trouble_s:
            log.error("the journal of tasks cannot be written, and no task is begun until it can: %s", error)
        self._trouble_s = min(max(TROUBLE_FIRST_S, self._trouble_s * 2), TROUBLE_MAX_S)
        asyncio.get_running_loop().call_later(self._trouble_s, self._try_again)

    def _try_again(self) -> None:
        for queue in self._hints:
            self._hints[queue] += 1
        self._step.is_due = True  # so that there is something to write
        self._flush_soon()

    def _write_apart(self, ending: Ending) -> None:
        work = partial(
            write_ending, ending=ending, owner=self.owner, now_ms=self._now_ms(), follow=self._follow
        )
        try:
            future = self._database.write_nowait(work)
        except LegionError:
            self._step.endings.append(ending)
            return
        self._writing.add(future)
        future.add_done_callback(partial(self._written_apart, ending))

    def _written_apart(
        self, ending: Ending, future: "asyncio.Future[tuple[bool, Sequence[NewTask]]]"
    ) -> None:
        self._writing.discard(future)
        error = Conflict("The journal was closed.") if future.cancelled() else future.exception()
        if error is None:
            was_held, children = future.result()
            self._ended(ending, was_held=was_held)
            for child in children:
                self._announce_accepted(child)
                self._hints[child.queue] += 1
                self._arm(child.due_ms)
            if children:
                self._flush_soon()
            return
        if isinstance(error, LegionError) and error.public_code.startswith(("storage", "disk", "read_only")):
            self._step.endings.append(ending)
            self._refused(Step(), [], {}, error)
            return
        # What the function deferred, or what follows, cannot be written: then the task failed, and says so.
        what = f"{type(error).__name__}: {error}"
        reason = Reason(code="task.raised", sentence=what, facts={"what": what})
        state = after(
            ending.lease.state(), Failed(reason, what, may_retry=False), now_ms=self._now_ms(), rng=self._rng
        )
        lease = msgspec.structs.replace(ending.lease, run="")
        self._step.endings.append(Ending(lease, state))
        self._flush_soon()

    def _seen(self, step: Step, done: Done) -> None:
        self._outbox_read = max(self._outbox_read, done.outbox_read)
        for task_id in done.cancelling:
            if (running := self._running.get(task_id)) is not None:
                self._stop_running(running, "owner")
        for task_id in done.settled:
            self._wake(task_id)
        _, at_mono_s = self._bus.stamp()
        for kind, body in done.heard:
            if (event := TOLD.get(kind)) is not None:
                heard = msgspec.json.decode(body, type=event)
                # The other process's interval clock means nothing here.
                self._bus.publish(msgspec.structs.replace(heard, at_mono_s=at_mono_s))

    # Running

    def _start(self, lease: Lease) -> None:
        context = TaskContext(lease, self._clock, self._database, self._add_line)
        running = _Running(lease, context)
        self._running[lease.id] = running
        try:
            running.work = self._supervisor.spawn(f"task {lease.task}", self._run(running))
        except LimitReached:
            self._end(running, after(lease.state(), GivenBack(self.owner), now_ms=0, rng=self._rng))

    async def _run(self, running: _Running) -> None:
        lease = running.lease
        at_utc, at_mono_s = self._bus.stamp()
        self._tell(
            TaskStarted(
                at_utc=at_utc,
                at_mono_s=at_mono_s,
                id=lease.id,
                task=lease.task,
                attempt=lease.attempt,
                run=lease.run,
                node=lease.node,
            )
        )
        try:
            outcome = await self._outcome(running)
        except asyncio.CancelledError:
            now_ms = self._now_ms()
            if running.cancelled_by:
                event = Stopped(running.cancelled_by)
                self._end(running, after(lease.state(), event, now_ms=now_ms, rng=self._rng))
                return  # it was this task alone that was told to end
            self._end(running, after(lease.state(), GivenBack(self.owner), now_ms=now_ms, rng=self._rng))
            raise
        self._end(running, self._state_after(lease, outcome), outcome)

    async def _outcome(self, running: _Running) -> Outcome:
        lease = running.lease
        try:
            function = self.registry.known(lease.task) or await self.registry.find(lease.task)
        except LegionError as error:
            reason = because("task.function_unknown", task=lease.task)
            return Raised(reason, error.sentence(), may_retry=False)
        timeout_s = lease.timeout_s or function.traits.timeout_s
        return await self._runner.run(function, lease.args, running.context, timeout_s)

    def _state_after(self, lease: Lease, outcome: Outcome) -> State:
        if isinstance(outcome, Returned):
            event = Succeeded()
        else:
            event = Failed(outcome.reason, outcome.what, outcome.may_retry, outcome.retry_after_s)
        return after(lease.state(), event, now_ms=self._now_ms(), rng=self._rng)

    def _end(self, running: _Running, state: State, outcome: Outcome | None = None) -> None:
        running.context.is_over = running.context.is_cancelled = True
        del self._running[running.lease.id]
        self._taken[running.lease.queue] -= 1
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
            duration_s = max(0.0, (self._now_ms() - lease.started_ms) / 1000)
            self._finished(
                lease.id, lease.task, state.status, state.reason, duration_s, lease.run, lease.node
            )
            return
        at_utc, at_mono_s = self._bus.stamp()
        self._tell(
            TaskWaits(
                at_utc=at_utc,
                at_mono_s=at_mono_s,
                id=lease.id,
                task=lease.task,
                status=state.status,
                reason=state.reason,
                run=lease.run,
                node=lease.node,
            )
        )
        if state.status == "queued":
            self._hints[lease.queue] += 1
            self._bell.ring()
        else:
            self._arm(state.due_ms)

    def _stop_running(self, running: _Running, who: str) -> None:
        running.cancelled_by = running.cancelled_by or who
        running.context.is_cancelled = True
        if running.work is not None:
            running.work.cancel()

    def _free(self, queue: str) -> int:
        stuck = self._runner.stuck if queue == "threads" else 0
        return self._places[queue] - self._taken[queue] - stuck

    def _thread_freed(self) -> None:
        if not self._is_stopping:
            self._flush_soon()

    def _add_line(self, line: Line) -> None:
        self._step.lines.append(line)
        self._flush_soon()

    # Telling

    def _announce_accepted(self, task: NewTask) -> None:
        at_utc, at_mono_s = self._bus.stamp()
        self._bus.publish(
            TaskAccepted(
                at_utc=at_utc,
                at_mono_s=at_mono_s,
                id=task.id,
                task=task.task,
                status=task.status,
                run=task.run,
                node=task.node,
            )
        )

    async def _announce(self, task_id: str) -> None:
        task = await self.get(task_id)
        self._finished(task.id, task.task, task.status, task.reason, 0.0, task.run, task.node)

    def _finished(
        self,
        task_id: str,
        task: str,
        status: TaskStatus,
        reason: Reason | None,
        duration_s: float,
        run: str,
        node: str,
    ) -> None:
        at_utc, at_mono_s = self._bus.stamp()
        self._tell(
            TaskFinished(
                at_utc=at_utc,
                at_mono_s=at_mono_s,
                id=task_id,
                task=task,
                status=status,
                reason=reason,
                duration_s=duration_s,
                run=run,
                node=node,
            )
        )
        self._wake(task_id)

    def _tell(self, event: Event) -> None:
        """To watchers here, and where there are other processes, to theirs."""
        self._bus.publish(event)
        if self._bell.peers:
            self._step.told.append((type(event).__name__, msgspec.json.encode(event)))
            self._flush_soon()

    def _wake(self, task_id: str) -> None:
        for future in self._waiters.get(task_id, ()):
            if not future.done():
                future.set_result(None)

    # Time

    def _now_ms(self) -> int:
        return journal.utc_ms(self._clock.utc_now())

    def _arm(self, due_ms: int) -> None:
        """Wake at that moment, unless something earlier does; 0 is no moment."""
        if not due_ms or self._is_stopping or (self._timer is not None and self._timer_ms <= due_ms):
            return
        if self._timer is not None:
            self._timer.cancel()
        wait_s = min(max(0.0, (due_ms - self._now_ms()) / 1000), TIMER_MAX_S)
        self._timer_ms = due_ms
        self._timer = asyncio.get_running_loop().call_later(wait_s, self._due)

    def _due(self) -> None:
        self._timer = None
        for queue in self._hints:
            self._hints[queue] += 1
        self._step.is_due = True
        self._flush_soon()


def _check_bounds(order: Order) -> None:
    if not 0 <= order.delay_s <= DELAY_MAX_S:
        raise InvalidInput(f"`delay_s` must be 0 to {DELAY_MAX_S:,.0f} seconds.")
    if not 0 <= order.expires_s <= DELAY_MAX_S:
        raise InvalidInput(f"`expires_s` must be 0 to {DELAY_MAX_S:,.0f} seconds.")
    if abs(order.priority) > PRIORITY_MAX:
        raise InvalidInput(f"`priority` must be -{PRIORITY_MAX} to {PRIORITY_MAX}.")
    if order.timeout_s is not None and not 0 < order.timeout_s <= DELAY_MAX_S:
        raise InvalidInput("`timeout_s` must be more than 0.")
    if len(order.idempotency_key) > 200 or not order.idempotency_key.isprintable():
        raise InvalidInput("An idempotency key has at most 200 printable characters.")


def _dead(known: Sequence[tuple[str, int, str]], own: str) -> list[str]:
    """Which of the processes are gone. Blocks: it asks the system about each."""
    return [owner for owner, pid, started in known if owner != own and process_started(pid) != started]
