"""The engine of one process: accepts tasks, looks at them, and keeps its word about them across crashes.

What is accepted is on disk before it is acknowledged; `engine.dispatch` writes and runs. All waiting is by events
(`engine.bell` between processes); one timer runs while a task has a date, none otherwise.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from legion_core.engine import chain_store, journal, lookup
from legion_core.engine.chains import Chains
from legion_core.engine.dispatch import PLACES, Dispatcher, Places
from legion_core.engine.events import (
    NotificationSent,
)
from legion_core.engine.following import Ended, Followed
from legion_core.engine.journal import NewTask
from legion_core.engine.machine import (
    HELD,
    SETTLED,
    WAITING,
    AskedAgain,
    OwnerDied,
    Refused,
    State,
    after,
)
from legion_core.engine.orders import Accepted, Line, Order
from legion_core.engine.reasons import because
from legion_core.engine.registry import Pool, Registry
from legion_core.engine.steps import Recorder
from legion_core.engine.types import ENDED, Task, TaskStatus
from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import Conflict, InvalidInput, LimitReached, TimedOut
from legion_core.kernel.events import Event, EventBus
from legion_core.kernel.ids import Ids, Rng
from legion_core.kernel.ports import Asker, Authorizer, NoAsker, Principal
from legion_core.kernel.supervise import Supervisor
from legion_core.storage.calls import in_thread
from legion_core.storage.home import process_started
from legion_core.storage.sqlite import ConstraintError, Database

log = logging.getLogger("legion.engine")

ARGS_BYTES_MAX = 512 * 1024  # seed: the cap of a task's payload
WAITING_MAX = 20_000  # tasks on their way to the journal
BATCH_MAX = 10_000
PRIORITY_MAX = 100
DELAY_MAX_S = 10 * 366 * 86_400.0
LOOK_S = 1.0  # where processes cannot wake each other
KEPT_DAYS = 31  # seed: completed tasks are purged after so many days
PURGED_MAX = 5_000
CANCELLED_MAX = 2_000  # tasks of a tree that are ended in one transaction
CANCEL_S = 30.0  # how long a running task may take to stop
STOP_S = 1.0  # how long running tasks may go on once the engine stops

QUEUES: dict[Pool, str] = {"loop": "default", "thread": "threads", "cpu": "processes"}


class _PartOfRun(Exception):
    pass


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
        places: Places = PLACES,
        asker: Asker | None = None,
    ) -> None:
        self._ids = ids
        self._rng = rng
        self._bus = bus
        self._supervisor = supervisor
        self._authorizer = authorizer
        self._database = database
        self.registry = registry
        self.owner = ids.new("eng")
        self.on_peer_gone: list[Callable[[], None]] = []  # called once what a process held is free again
        self.chains = Chains(
            ids, Ids(clock, rng), bus, authorizer, database, registry, asker or NoAsker(), KEPT_DAYS
        )
        self._work = Dispatcher(
            clock,
            rng,
            bus,
            supervisor,
            database,
            registry,
            self.owner,
            run_directory,
            places,
            self.chains,
            self._peer_died,
            authorizer,
        )
        self.chains.bind(self._work)

    def record_by(self, recorder: Recorder) -> None:
        """Have `recorder` write down what others than the owner order, in the transaction that accepts it."""
        self._work.recorder = recorder

    # Accepting

    async def submit(self, who: Principal, order: Order) -> Accepted:
        """Accept one task: durable when this returns. Raises Denied, NotFound, InvalidInput, LimitReached, StorageFailed."""
        return (await self.submit_many(who, (order,)))[0]

    async def submit_many(self, who: Principal, orders: Sequence[Order]) -> list[Accepted]:
        """Accept all of them in one transaction, or none."""
        if not 1 <= len(orders) <= BATCH_MAX:
            raise InvalidInput(f"A batch holds 1 to {BATCH_MAX:,} tasks, not {len(orders):,}.")
        if self._work.is_stopping:
            raise Conflict(because("task.engine_stopping").sentence)
        if self._work.on_their_way + len(orders) > WAITING_MAX:
            raise LimitReached(
                because("task.queue_full", queue="for the journal", count=self._work.on_their_way).sentence
            )
        now_ms = self._work.now_ms()
        tasks = [await self._new_task(who, order, now_ms) for order in orders]
        return await self._work.accept(tasks)

    async def prepared(self, who: Principal, order: Order) -> NewTask:
        """Check an order as `submit` does, and write nothing: for whoever writes it in a transaction of their own."""
        if self._work.is_stopping:
            raise Conflict(because("task.engine_stopping").sentence)
        return await self._new_task(who, order, self._work.now_ms())

    def written(self, tasks: Sequence[NewTask]) -> None:
        """Tasks made by `prepared` are on disk now: tell watchers, and have them taken."""
        self._work.written(tasks)

    def look(self) -> None:
        """Somebody else's transaction changed tasks: see what, here and in the other processes."""
        self._work.listen()
        self._work.look()
        self._work.ring()

    def announce(self, event: Event) -> None:
        """Tell the watchers of every process on this journal; the event's kind is in `events.TOLD`."""
        self._work.listen()
        self._work.tell(event)

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
            effect="at_most_once" if order.is_once and traits.effect == "plain" else traits.effect,
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

    # Looking

    async def get(self, task_id: str) -> Task:
        """One task; NotFound if there is none."""
        return await self._database.read(lambda connection: lookup.get(connection, task_id))

    async def page(
        self, *, status: str = "", task: str = "", run: str = "", below: int = 0, limit: int = 50
    ) -> list[tuple[int, Task]]:
        """Tasks, newest first, each with its place: the next page begins `below` the last one's."""
        return await self._database.read(
            lambda connection: lookup.page(
                connection, status=status, task=task, run=run, below=below, limit=limit
            )
        )

    async def lines(self, task_id: str) -> list[Line]:
        """The task's log, oldest first."""
        return await self._database.read(lambda connection: lookup.lines(connection, task_id))

    async def counts(self) -> Mapping[str, int]:
        """How many tasks wait and run, by status."""
        return await self._database.read(lookup.counts)

    async def wait(self, task_id: str, timeout_s: float | None = None) -> Task:
        """The task once nothing more happens to it by itself, wherever it runs; TimedOut after `timeout_s`."""
        future = self._work.telling.watch(task_id)
        try:
            found = await self.get(task_id)
            if found.status in SETTLED:
                return found
            self._work.listen()
            self._work.look()  # it may have ended between the reading and the listening
            async with asyncio.timeout(timeout_s):
                await future
        except TimeoutError as error:
            raise TimedOut(f"Task {task_id} had not ended after {timeout_s} s.") from error
        finally:
            self._work.telling.unwatch(task_id, future)
        return await self.get(task_id)

    # Ordering about

    async def cancel(self, who: Principal, task_id: str) -> Task:
        """End it and every task under it: what waits at once, what runs as soon as it stops.

        Returns when all have ended. Conflict if nothing of the tree was left to end; TimedOut if one does not stop.
        """
        self._authorizer.authorise(who, "tasks", "cancel")
        held: set[str] = set()
        while True:
            try:
                more, ended = await self._cancel_some(who, task_id, held)
            except _PartOfRun:
                return await self._cancel_in_run(who, await self.get(task_id))
            for task in ended:
                self._work.telling.finished(
                    task.id, task.task, task.status, task.reason, run=task.run, node=task.node
                )
            if not more:
                break
        if held - {each for each in held if self._work.stop_running(each, who.name)}:
            self._work.listen()
            self._work.ring()
            self._work.look()
        for each in held:
            await self.wait(each, timeout_s=CANCEL_S)
        return await self.get(task_id)

    async def _cancel_in_run(self, who: Principal, task: Task) -> Task:
        """One task of a chain, whose edges are followed; for the node of a sub-chain, the run that goes on for it."""
        if task.status == "running" and task.task.startswith("chain:"):
            child = await self._database.read(lambda connection: chain_store.child_of(connection, task.id))
            await self.chains.cancel(who, child)
            return await self.get(task.id)
        await self._ready(task.run)
        room = self._work.room()

        def work(connection: journal.Connection) -> tuple[TaskStatus, Followed]:
            state = lookup.state_of(connection, task.id)
            followed = Followed()
            if state.status in WAITING:
                reason = because("task.cancelled", who=who.name)
                state = after(state, Refused("cancelled", reason), now_ms=room.now_ms, rng=self._rng)
                journal.change(connection, task.id, state, room.now_ms)
                followed = self.chains.follow(connection, (_ended(task, state),), room.anew())
            elif state.status in HELD:
                journal.ask_to_cancel(connection, task.id)
            else:
                raise Conflict(f"Task {task.id} has ended already: it is {state.status}.")
            return state.status, followed

        try:
            status, followed = await self._database.write(work)
        except BaseException:
            self._work.release(room)
            raise
        self._work.settle(room, followed)
        if status not in HELD:
            found = await self.get(task.id)
            self._work.telling.finished(
                found.id, found.task, found.status, found.reason, run=found.run, node=found.node
            )
            return found
        if not self._work.stop_running(task.id, who.name):
            self._work.listen()
            self._work.ring()
            self._work.look()
        return await self.wait(task.id, timeout_s=CANCEL_S)

    async def _ready(self, *runs: str) -> None:
        for run in runs:
            if run and not self.chains.is_ready(run):
                await self.chains.make_ready(run)

    async def _cancel_some(self, who: Principal, task_id: str, held: set[str]) -> tuple[bool, list[Task]]:
        """One transaction's worth of it; gives whether there may be more, and what was ended. `held` is added to."""
        now_ms = self._work.now_ms()
        reason = because("task.cancelled", who=who.name)

        def work(connection: journal.Connection) -> tuple[list[str], list[Task]]:
            if lookup.run_of(connection, task_id):
                raise _PartOfRun
            found = lookup.living(connection, task_id, CANCELLED_MAX)
            if not found and not held:
                task = lookup.get(connection, task_id)
                if task.status not in HELD:
                    raise Conflict(f"Task {task_id} has ended already: it is {task.status}.")
                return [task_id], []  # somebody told it before: it is on its way to its end
            waiting = [(each, state) for each, state in found if state.status in WAITING]
            for each, state in waiting:
                over = after(state, Refused("cancelled", reason), now_ms=now_ms, rng=self._rng)
                journal.change(connection, each, over, now_ms)
            asked = [each for each, state in found if state.status in HELD]
            for each in asked:
                journal.ask_to_cancel(connection, each)
            return asked, [lookup.get(connection, each) for each, _ in waiting]

        asked, ended = await self._database.write(work)
        held.update(asked)
        return bool(ended) and len(ended) + len(asked) == CANCELLED_MAX, ended

    async def retry(self, who: Principal, task_id: str) -> Task:
        """Queue it again from its first attempt; Conflict where its status does not allow that."""
        self._authorizer.authorise(who, "tasks", "retry")
        now_ms = self._work.now_ms()

        def work(connection: journal.Connection) -> str:
            state = lookup.state_of(connection, task_id)
            run = lookup.run_of(connection, task_id)
            if run and state.status != "unknown":
                raise Conflict(
                    f"Task {task_id} is part of the run {run}, which has gone on without it.",
                    hint=f"`legion chain replay {run} --from NODE` runs it, and what follows it, anew.",
                )
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
            return str(lookup.queue_of(connection, task_id))

        queue = await self._database.write(work)
        self._work.listen()
        self._work.hint(queue)
        self._work.ring()
        return await self.get(task_id)

    def notify(self, title: str, text: str, task: str = "") -> None:
        """Tell the person, here or in the process that has the window."""
        at_utc, at_mono_s = self._bus.stamp()
        self._work.tell(
            NotificationSent(at_utc=at_utc, at_mono_s=at_mono_s, title=title, text=text, task=task)
        )

    # Life

    async def serve(self) -> None:
        """Take any task from now on, also those of others and of those that died. Returns at once if it does already."""
        if self._work.is_serving or self._work.is_stopping:
            return
        self._work.is_serving = True
        self._work.listen()
        await self._take_over()
        await self._purge()
        self._work.look()
        if not self._work.can_ring:
            self._supervisor.loop("engine look", self._look_now_and_then)

    async def stop(self, deadline_s: float = STOP_S) -> None:
        """Let running tasks end, at most `deadline_s`, give the others back, and leave; idempotent."""
        if not self._work.is_stopping:
            await self._work.stop(deadline_s)

    @property
    def can_ring(self) -> bool:
        """Whether processes here hear of each other's end; where not, look now and then."""
        return self._work.can_ring

    @property
    def running(self) -> tuple[str, ...]:
        """What this process runs now, by id."""
        return self._work.running

    async def _look_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            self._work.look()

    def _peer_died(self, owner: str) -> None:
        if not self._work.is_stopping:
            self._supervisor.spawn("engine take over", self._succeed_peer(owner))

    async def _succeed_peer(self, owner: str) -> None:
        await self._take_over(owner)
        for tell in tuple(self.on_peer_gone):
            tell()

    async def _take_over(self, gone: str = "") -> None:
        """Give back to the queues what dead processes held.

        `gone` has let go of its life line: the system may still call it running, while it takes the process apart.
        """
        known = await self._database.read(lookup.engines)
        dead = await in_thread("engine liveness", lambda: _dead(known, self.owner, gone))
        if not dead:
            return
        await self._ready(*await self._database.read(lambda connection: lookup.runs_of(connection, dead)))
        room = self._work.room()

        def work(connection: journal.Connection) -> tuple[list[tuple[str, State]], Followed]:
            changed: list[tuple[str, State]] = []
            ended: list[Ended] = []
            for owner in dead:
                for task_id, state in lookup.held_by(connection, owner):
                    fresh = after(state, OwnerDied(owner), now_ms=room.now_ms, rng=self._rng)
                    journal.change(connection, task_id, fresh, room.now_ms)
                    changed.append((task_id, fresh))
                    if fresh.status in ENDED and lookup.run_of(connection, task_id):
                        ended.append(_ended(lookup.get(connection, task_id), fresh))
                journal.leave(connection, owner)
            return changed, self.chains.follow(connection, ended, room.anew()) if ended else Followed()

        try:
            changed, followed = await self._database.write(work)
        except BaseException:
            self._work.release(room)
            raise
        self._work.settle(room, followed)
        if changed:
            log.warning("%d tasks of processes that died were taken over", len(changed))
        for task_id, state in changed:
            if state.status in SETTLED:
                task = await self.get(task_id)
                self._work.telling.finished(
                    task.id, task.task, task.status, task.reason, run=task.run, node=task.node
                )
        self._work.look()
        self._work.ring()

    async def _purge(self) -> None:
        before_ms = self._work.now_ms() - KEPT_DAYS * 86_400_000
        gone = await self._database.write(lambda connection: journal.purge(connection, before_ms, PURGED_MAX))
        if gone:
            log.info("%d tasks that ended over %d days ago were deleted", gone, KEPT_DAYS)
        await self.chains.purge()


def _ended(task: Task, state: State) -> Ended:
    """A task of a run that ended without having been run here."""
    return Ended(
        id=task.id,
        task=task.task,
        run=task.run,
        node=task.node,
        key=task.key,
        depth=task.depth,
        status=state.status,
        reason=state.reason,
    )


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


def _dead(known: Sequence[tuple[str, int, str]], own: str, gone: str) -> list[str]:
    """Which of the processes are gone. Blocks: it asks the system about each."""
    others = [each for each in known if each[0] != own]
    return [owner for owner, pid, started in others if owner == gone or process_started(pid) != started]
