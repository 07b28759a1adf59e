"""Runs the actors of extensions in this process: under supervision, in time, at one place where that is wanted.

    registry ──reconcile──▶ one life for each actor ──its moment──▶ a run: a task in the journal, or a call in place

A life that raises is started again with growing pauses; a run that fails is counted and told, and the next one comes.
Actors with `is_single` live where their lease is held (`engine.actor_lease`), and the run of one is written in the
transaction that sees that the lease is still ours.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from legion_core.engine import actor_lease, actor_memory, journal
from legion_core.engine.actor_calls import Calls, Outcome
from legion_core.engine.actor_lease import Lease
from legion_core.engine.actor_types import ActorRow, ActorState
from legion_core.engine.actors import Actor, Kind
from legion_core.engine.orders import Order
from legion_core.engine.registry import Function, Registry
from legion_core.engine.schedule_targets import Started, Targets
from legion_core.engine.service import Engine
from legion_core.engine.types import Retry
from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import Conflict, LegionError
from legion_core.kernel.ports import LOCAL_OWNER
from legion_core.kernel.supervise import Supervisor
from legion_core.storage.calls import in_thread
from legion_core.storage.home import process_started
from legion_core.storage.sqlite import Connection, Database

log = logging.getLogger("legion.actors")

BACKOFF_FIRST_S, BACKOFF_MAX_S = 0.2, 30.0
LEASE_LOOK_S = 5.0  # where processes cannot tell each other that they end

Publish = Callable[[str, Mapping[str, Any]], Awaitable[object]]


@dataclass(slots=True, eq=False)
class _Life:
    """One actor of this process."""

    function: Function
    actor: Actor
    state: ActorState = "waiting"
    runs: int = 0
    failures: int = 0
    skipped: int = 0
    problem: str = ""
    last_at_s: float | None = None
    next_at_s: float | None = None
    lease: Lease | None = None
    holder: str = ""
    task: str = ""  # the run under way, where it is one of the journal's
    work: "asyncio.Task[Any] | None" = None
    freed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def name(self) -> str:
        """The function's."""
        return self.function.name


class ActorHost:
    """See the module. `publish` sends what a poll without a target has found."""

    def __init__(
        self,
        clock: Clock,
        supervisor: Supervisor,
        database: Database,
        engine: Engine,
        targets: Targets,
        publish: Publish,
    ) -> None:
        self._clock = clock
        self._supervisor = supervisor
        self._database = database
        self.engine = engine
        self._registry: Registry = engine.registry
        self._targets = targets
        self._publish = publish
        self._calls = Calls(clock, database)
        self._lives: dict[str, _Life] = {}
        self._process: tuple[int, str] | None = None
        self._reconciling = asyncio.Lock()
        self._is_changed = False
        self._has_begun = False

    async def start(self) -> None:
        """Find the actors there are and bring them to life; idempotent."""
        if self._has_begun:
            return
        self._has_begun = True
        pid = os.getpid()
        self._process = (pid, await in_thread("process start", lambda: process_started(pid)) or "")
        self.engine.on_peer_gone.append(self._free)
        self._registry.on_change = self._changed
        await self.reconcile(is_start=True)

    async def stop(self) -> None:
        """End the lives and give back what is held; idempotent."""
        self._registry.on_change = None
        if self._free in self.engine.on_peer_gone:
            self.engine.on_peer_gone.remove(self._free)
        for life in self._lives.values():
            if life.work is not None:
                life.work.cancel()
        works = [life.work for life in self._lives.values() if life.work is not None]
        await asyncio.gather(*works, return_exceptions=True)
        self._lives.clear()
        await self._calls.close()
        if self._has_begun:
            owner = self.engine.owner
            try:
                await self._database.write(lambda connection: actor_lease.let_go(connection, owner))
            except LegionError as error:
                log.warning("leases were left behind, which are free once this process has ended: %s", error)

    async def reconcile(self, *, is_start: bool = False) -> None:
        """Make what lives here what the extensions say now."""
        async with self._reconciling:
            wanted = {function.name: function for function in await self._found()}
            for name, life in list(self._lives.items()):
                if wanted.get(name) is not life.function:
                    del self._lives[name]
                    await self._end(life)
            for name, function in wanted.items():
                if name not in self._lives and function.actor is not None:
                    life = self._lives[name] = _Life(function, function.actor)
                    life.problem = _unfit(function, function.actor)
                    if not life.problem:
                        life.work = self._supervisor.loop(
                            f"actor {name}", lambda life=life: self._live(life, is_start=is_start)
                        )

    async def of_kind(self, kind: Kind) -> list[tuple[Function, Actor]]:
        """The actors of one kind, whether they live here or not."""
        if self._has_begun:
            return [
                (life.function, life.actor)
                for life in self._lives.values()
                if life.actor.kind == kind and not life.problem
            ]
        return [
            (function, function.actor)
            for function in await self._found()
            if function.actor is not None
            and function.actor.kind == kind
            and not _unfit(function, function.actor)
        ]

    async def _found(self) -> list[Function]:
        return [
            function
            for extension in await self._registry.extensions()
            for function in extension.functions.values()
            if function.actor is not None
        ]

    def row(self, function: Function) -> ActorRow | None:
        """How the actor of a function stands here; None if it is none, or is not known here."""
        life = self._lives.get(function.name)
        return None if life is None else self._row(life)

    def _row(self, life: _Life) -> ActorRow:
        now, now_s = self._clock.utc_now(), self._clock.monotonic_s()

        def date(at_s: float | None) -> Any:
            return None if at_s is None else now + timedelta(seconds=at_s - now_s)

        state: ActorState = "failing" if life.problem and life.state == "waiting" else life.state
        return ActorRow(
            function=life.name, kind=life.actor.kind, state=state, words=words_of(life.actor), runs=life.runs,
            failures=life.failures, skipped=life.skipped, last_at=date(life.last_at_s),
            next_at=date(life.next_at_s) if life.state in ("waiting", "running") else None, problem=life.problem,
            holder=life.holder, fencing=life.lease.fencing if life.lease else 0,
        )  # fmt: skip

    # Lives

    async def _live(self, life: _Life, *, is_start: bool) -> None:
        actor = life.actor
        if actor.kind in ("nothing", "subscription", "absorber_dispatch"):
            life.state = "idle" if actor.kind == "nothing" else "waiting"
            return  # what they wait for comes to them: a message, an input, or never anything
        if actor.is_single and not await self._hold(life) and actor.kind == "once":
            # Held by another process, which has run it; should that end, this one does not run it again.
            return
        if actor.kind == "once" and not is_start:
            life.state = "ended"
            return
        life.state = "waiting"
        match actor.kind:
            case "once":
                await self._pause(life, actor.after_s)
                await self._run(life)
                life.state, life.next_at_s = "ended", None
            case "loop":
                await self._again_and_again(life)
            case _:
                await self._in_time(life)

    async def _hold(self, life: _Life) -> bool:
        """Wait until this process holds the actor; whether it did at once."""
        assert self._process is not None
        owner, process, name = self.engine.owner, self._process, f"actor {life.name}"

        def work(connection: Connection) -> Lease:
            now_ms = journal.utc_ms(self._clock.utc_now())
            return actor_lease.take(connection, name, owner, process, now_ms)

        at_once = True
        while True:
            life.freed.clear()
            lease = await self._database.write(work)
            life.holder = lease.owner
            if lease.owner == owner:
                life.lease = lease
                return at_once
            life.state = "held"
            if life.actor.kind == "once":
                return False
            at_once = False
            if self.engine.can_ring:
                await life.freed.wait()
            else:
                await asyncio.sleep(LEASE_LOOK_S)

    async def _again_and_again(self, life: _Life) -> None:
        pause_s = BACKOFF_FIRST_S
        while True:
            if await self._run(life):
                pause_s = BACKOFF_FIRST_S
                await self._pause(life, life.actor.pause_s)
            else:
                await self._pause(life, max(pause_s, life.actor.pause_s))
                pause_s = min(pause_s * 2, BACKOFF_MAX_S)

    async def _in_time(self, life: _Life) -> None:
        """At `after_s` and every `every_s` from there; the run is apart, so that its moment never waits for it."""
        actor = life.actor
        next_s = self._clock.monotonic_s() + actor.after_s
        running: asyncio.Task[bool] | None = None
        is_queued = False
        try:
            while True:
                await self._pause(life, next_s - self._clock.monotonic_s(), running if is_queued else None)
                is_busy = running is not None and not running.done()
                if is_queued and not is_busy:
                    is_queued = False
                    running = self._supervisor.spawn(f"run {life.name}", self._run(life))
                if (now_s := self._clock.monotonic_s()) < next_s:
                    continue
                passed = int((now_s - next_s) // actor.every_s)
                next_s += (passed + 1) * actor.every_s
                life.skipped += passed
                if running is not None and not running.done():
                    if actor.overlap == "skip" or is_queued:
                        life.skipped += 1
                        continue
                    if actor.overlap == "queue":
                        is_queued = True
                        continue
                    await self._cancel(life, running)
                running = self._supervisor.spawn(f"run {life.name}", self._run(life))
        finally:
            if running is not None:
                running.cancel()

    async def _pause(self, life: _Life, wait_s: float, until: "asyncio.Task[Any] | None" = None) -> None:
        """Sleep so long, or until that task ends."""
        life.next_at_s = self._clock.monotonic_s() + max(0.0, wait_s)
        if until is None:
            await asyncio.sleep(max(0.0, wait_s))
            return
        try:
            async with asyncio.timeout(max(0.0, wait_s)):
                await asyncio.gather(asyncio.shield(until), return_exceptions=True)
        except TimeoutError:
            return

    async def _cancel(self, life: _Life, running: "asyncio.Task[bool]") -> None:
        if life.task:
            try:
                await self.engine.cancel(LOCAL_OWNER, life.task)
            except LegionError:
                return  # it ended by itself just now
        else:
            running.cancel()

    # Runs

    async def _run(self, life: _Life) -> bool:
        """One run to its end; whether it went well. What it raised is kept for the row, and raises nothing here."""
        life.state, life.last_at_s = "running", self._clock.monotonic_s()
        outcome = Outcome(is_success=False, problem="It was cancelled.")
        try:
            outcome = await self._outcome(life)
        except LegionError as error:
            outcome = Outcome(is_success=False, problem=error.sentence())
        finally:
            life.task = ""
            life.state = "waiting"
            life.runs += 1
            life.failures += not outcome.is_success
            life.problem = outcome.problem
        if not outcome.is_success:
            log.info("actor %s failed: %s", life.name, outcome.problem)
        return outcome.is_success

    async def _outcome(self, life: _Life) -> Outcome:
        actor = life.actor
        # Found anew: a folder that changed is imported, and this life ended by what that sets off.
        function = await self._registry.find(life.name)
        if actor.kind == "poll":
            return await self._look(life, function)
        if not actor.keeps_record:
            return await self._calls.call(function, {}, life.runs + 1, actor.timeout_s)
        order = Order(task=life.name, timeout_s=actor.timeout_s, retry=_no_retry(actor))
        task = await self.engine.prepared(LOCAL_OWNER, order)
        lease = life.lease if actor.is_single else None

        def work(connection: Connection) -> bool:
            if lease is not None and not actor_lease.holds(connection, f"actor {life.name}", lease):
                return False
            journal.insert(connection, (task,), self.engine.owner)
            return True

        if not await self._database.write(work):
            raise Conflict("Another process holds this actor now.")
        life.task = task.id
        self.engine.written((task,))
        done = await self.engine.wait(task.id)
        return Outcome(
            is_success=done.status == "succeeded", problem=done.reason.sentence if done.reason else ""
        )

    async def _look(self, life: _Life, function: Function) -> Outcome:
        """A poll: what is found is kept, and a change starts its target, in one transaction."""
        outcome = await self._calls.call(function, {}, life.runs + 1, life.actor.timeout_s)
        if not outcome.is_success:
            return outcome
        found, to = outcome.result, life.actor.to
        before = await self._database.read(lambda connection: actor_memory.recall(connection, life.name))
        if before == found:
            return outcome
        change: Mapping[str, Any] = {}
        begin = None
        if before is not None:
            change = actor_memory.change(before, found)
            if to:
                args = await self._fitting(to, change)
                begin = await self._targets.prepare(LOCAL_OWNER, to, args)
        now_ms = journal.utc_ms(self._clock.utc_now())

        def work(connection: Connection) -> Started | None:
            lease = life.lease if life.actor.is_single else None
            if lease is not None and not actor_lease.holds(connection, f"actor {life.name}", lease):
                return None
            actor_memory.remember(connection, life.name, found, now_ms)
            return begin(connection) if begin is not None else Started()

        started = await self._database.write(work)
        if started is not None and started.tasks:
            self._targets.written((started,))
        if started is not None and change and not to:
            await self._publish(life.name, change)
        return outcome

    async def _fitting(self, to: str, change: Mapping[str, Any]) -> Mapping[str, Any]:
        """As much of a change as the target takes; a chain takes all of it."""
        if to.startswith("chain:"):
            return change
        function = await self._registry.find(to)
        return {name: value for name, value in change.items() if name in function.signature.names}

    # Changes

    def _changed(self) -> None:
        # Not at once: whoever imports a folder is in the middle of finding a function.
        if not self._is_changed:
            self._is_changed = True
            self._supervisor.spawn("actors change", self._follow())

    async def _follow(self) -> None:
        self._is_changed = False
        await self.reconcile()

    def _free(self) -> None:
        for life in self._lives.values():
            life.freed.set()

    async def _end(self, life: _Life) -> None:
        if life.work is not None:
            life.work.cancel()
            await asyncio.gather(life.work, return_exceptions=True)
        if life.lease is not None:
            owner, name = self.engine.owner, f"actor {life.name}"
            await self._database.write(lambda connection: actor_lease.let_go(connection, owner, name))


def words_of(actor: Actor) -> str:
    """When it runs, as a person would say it."""
    match actor.kind:
        case "every" | "singleton":
            where = "" if actor.is_single else ", in every process"
            return f"every {actor.every_s:g} s{where}"
        case "poll":
            what = f", a change starts {actor.to}" if actor.to else ", a change is published"
            return f"looks every {actor.every_s:g} s{what}"
        case "once":
            return f"once, {actor.after_s:g} s after the start"
        case "loop":
            return "again as soon as it ended"
        case "subscription":
            return f"for each message under {actor.topic}"
        case "absorber_dispatch":
            what = {"any": "what", "url": "addresses that", "file": "files that"}[actor.takes]
            return f"takes {what} match {actor.pattern}"
        case _:
            return "never by itself"


def _no_retry(actor: Actor) -> Retry:
    # The next run comes anyway; a run that is tried again would overlap with it.
    return Retry(max=actor.retries)


def _unfit(function: Function, actor: Actor) -> str:
    """Why a function cannot be this kind of actor; empty if it can."""
    needs = set(function.signature.schema["required"])
    given = {
        "subscription": {"topic", "message"},
        "absorber_dispatch": {"input", "metadata", "ancestors"},
    }.get(actor.kind, set[str]())
    missing = sorted(needs - given)
    if missing and actor.kind != "nothing":
        return f"Nobody gives it {', '.join(f'`{name}`' for name in missing)}: it needs a default."
    if function.traits.effect == "at_most_once" and actor.retries:
        return "What must not run twice is not tried again: set retries=0."
    return ""
