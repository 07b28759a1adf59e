"""What this process runs now, each task from its first moment to what it came to.

begin(lease) ─▶ rights ─▶ arguments ─▶ its function, under deadline ─▶ on_end(Ending)
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from legion_core.engine.context import TaskContext
from legion_core.engine.following import LATE, Follower
from legion_core.engine.journal import Lease
from legion_core.engine.machine import Failed, GivenBack, State, Stopped, Succeeded, after
from legion_core.engine.orders import Line
from legion_core.engine.reasons import because
from legion_core.engine.registry import Registry
from legion_core.engine.runner import Outcome, Raised, Returned, Runner
from legion_core.engine.steps import Ending
from legion_core.engine.telling import Telling
from legion_core.engine.types import Reason
from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import Denied, LegionError, LimitReached
from legion_core.kernel.faults import fault
from legion_core.kernel.ids import Rng
from legion_core.kernel.ports import ACTING, LOCAL_OWNER, Authorizer
from legion_core.kernel.supervise import Supervisor
from legion_core.storage.sqlite import Database


@dataclass(slots=True, eq=False)
class _Run:
    lease: Lease
    context: TaskContext
    work: "asyncio.Task[None] | None" = None
    cancelled_by: str = ""


class Running:
    """See the module. `on_end` is told what each comes to, `add_line` what it logs; all on the loop's thread."""

    def __init__(
        self,
        clock: Clock,
        rng: Rng,
        supervisor: Supervisor,
        database: Database,
        registry: Registry,
        follower: Follower,
        runner: Runner,
        rights: Authorizer,
        telling: Telling,
        owner: str,
        *,
        now_ms: Callable[[], int],
        on_end: Callable[[Ending], None],
        add_line: Callable[[Line], None],
    ) -> None:
        self._clock = clock
        self._rng = rng
        self._supervisor = supervisor
        self._database = database
        self._registry = registry
        self._follower = follower
        self._runner = runner
        self._rights = rights
        self._telling = telling
        self._owner = owner
        self._now_ms = now_ms
        self._on_end = on_end
        self._add_line = add_line
        self._runs: dict[str, _Run] = {}
        self._is_closed = False

    @property
    def ids(self) -> tuple[str, ...]:
        """The tasks that run."""
        return tuple(self._runs)

    def begin(self, lease: Lease) -> None:
        """Run a task this process holds; where it cannot be begun, it is given back at once."""
        run = _Run(lease, TaskContext(lease, self._clock, self._database, self._add_line))
        self._runs[lease.id] = run
        try:
            if self._is_closed:
                raise LimitReached("The engine is stopping.")
            run.work = self._supervisor.spawn(f"task {lease.task}", self._run(run))
        except LimitReached:
            # Never begun, whatever the journal says: it goes back without a mark.
            state = msgspec.structs.replace(lease.state(), status="leased")
            self._end(run, after(state, GivenBack(self._owner), now_ms=0, rng=self._rng))

    def stop(self, task_id: str, who: str) -> bool:
        """Tell one to end; False if it does not run here."""
        run = self._runs.get(task_id)
        if run is None:
            return False
        run.cancelled_by = run.cancelled_by or who
        run.context.is_cancelled = True
        if run.work is not None:
            run.work.cancel()
        return True

    async def close(self, deadline_s: float) -> None:
        """Let all end, at most `deadline_s`, and give the others back; nothing is begun any more."""
        self._is_closed = True
        works = [run.work for run in self._runs.values() if run.work is not None]
        if not works:
            return
        together = asyncio.gather(*works, return_exceptions=True)
        try:
            await asyncio.wait_for(asyncio.shield(together), deadline_s)
        except TimeoutError:
            for work in works:
                work.cancel()
            await together

    async def _run(self, run: _Run) -> None:
        lease = run.lease
        self._telling.started(lease)
        try:
            outcome = await self._outcome(run)
        except asyncio.CancelledError:
            now_ms = self._now_ms()
            if run.cancelled_by:
                event = Stopped(run.cancelled_by)
                self._end(run, after(lease.state(), event, now_ms=now_ms, rng=self._rng))
                return  # it was this task alone that was told to end
            self._end(run, after(lease.state(), GivenBack(self._owner), now_ms=now_ms, rng=self._rng))
            raise
        self._end(run, self._state_after(lease, outcome), outcome)

    async def _outcome(self, run: _Run) -> Outcome:
        lease = run.lease
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
        return await self._runner.run(function, args, run.context, timeout_s)

    def _take_rights(self, lease: Lease) -> Raised | None:
        """Act for whoever ordered the task, with what they may do now: a token may have been revoked since."""
        who = LOCAL_OWNER
        if lease.who != LOCAL_OWNER.name:
            who = self._rights.named(lease.who)
            try:
                self._rights.authorise(who, f"tasks/{lease.task.replace('.', '/')}", "run")
            except Denied as error:
                rule = error.message.rstrip(".")
                reason = because("task.denied", who=lease.who, task=lease.task, rule=rule)
                return Raised(reason, reason.sentence, may_retry=False)
        ACTING.set(who)  # of this task's own context alone
        return None

    async def _late_arguments(self, lease: Lease, timeout_s: float) -> bytes | Raised:
        try:
            async with asyncio.timeout(timeout_s):
                made = await self._follower.arguments(lease)
        except TimeoutError:
            reason = because("task.timed_out", timeout_s=timeout_s)
            return Raised(reason, f"no arguments within {timeout_s} s")
        except LegionError as error:
            reason = because("transform.failed", what=error.sentence())
            return Raised(reason, reason.sentence, may_retry=error.retry != "never")
        return Raised(made, made.sentence, may_retry=False) if isinstance(made, Reason) else made

    def _state_after(self, lease: Lease, outcome: Outcome) -> State:
        if isinstance(outcome, Returned):
            event = Succeeded()
        else:
            event = Failed(outcome.reason, outcome.what, outcome.may_retry, outcome.retry_after_s)
        return after(lease.state(), event, now_ms=self._now_ms(), rng=self._rng)

    def _end(self, run: _Run, state: State, outcome: Outcome | None = None) -> None:
        run.context.is_over = run.context.is_cancelled = True
        del self._runs[run.lease.id]
        is_success = isinstance(outcome, Returned)
        deferred = tuple(run.context.deferred) if is_success else ()
        result = outcome.result if is_success else None
        self._on_end(Ending(run.lease, state, result, deferred))
