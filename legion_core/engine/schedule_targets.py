"""What a schedule or a webhook starts: a task by its dotted name, or a chain by `chain:NAME`.

Starting has two halves. `prepare` checks everything and may wait; what it gives writes the start inside the caller's
transaction, so that the reason for the start and the start itself are one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from legion_core.engine import journal, lookup
from legion_core.engine.journal import NewTask
from legion_core.engine.machine import HELD, SETTLED, WAITING, Refused, after
from legion_core.engine.orders import Order
from legion_core.engine.reasons import because
from legion_core.engine.service import Engine
from legion_core.kernel.errors import LegionError, NotFound, Unsupported
from legion_core.kernel.ids import Rng
from legion_core.kernel.ports import Principal
from legion_core.storage.sqlite import Connection, Database

CHAIN = "chain:"


@dataclass(frozen=True, slots=True)
class Started:
    """What was written: the id of a task or of a run, and the tasks that may run now."""

    task: str = ""
    run: str = ""
    tasks: Sequence[NewTask] = ()

    @property
    def id(self) -> str:
        """Of whichever it is."""
        return self.task or self.run


Begin = Callable[[Connection], Started]


class Chains(Protocol):
    """What is needed of the chains, whoever keeps them."""

    async def prepare(self, who: Principal, name: str, given: Mapping[str, Any]) -> Begin:
        """Check that a run of the chain may begin; the answer begins it. Raises Denied, NotFound, InvalidInput."""
        ...

    async def exists(self, name: str) -> None:
        """Raises NotFound where there is no chain of that name."""
        ...

    def is_over(self, connection: Connection, run: str) -> bool:
        """Whether the run has ended, or is not known any more."""
        ...

    def cancel_in(self, connection: Connection, run: str, who: str, now_ms: int) -> None:
        """End the run, as far as a transaction can: what runs is told to end."""
        ...

    async def wait(self, run: str) -> None:
        """Until the run has ended."""
        ...


class Targets:
    """See the module. `chains` gives the chains once somebody needs them; None where there are none."""

    def __init__(
        self, engine: Engine, database: Database, rng: Rng, chains: Callable[[], Chains | None]
    ) -> None:
        self._engine = engine
        self._database = database
        self._rng = rng
        self._chains = chains

    async def prepare(self, who: Principal, target: str, args: Mapping[str, Any]) -> Begin:
        """Check that `target` may be started with these arguments; the answer starts it, once.

        Raises Denied, NotFound, InvalidInput, LimitReached.
        """
        if target.startswith(CHAIN):
            return await self._the_chains().prepare(who, target.removeprefix(CHAIN), args)
        task = await self._engine.prepared(who, Order(task=target, args=args))

        def begin(connection: Connection) -> Started:
            journal.insert(connection, (task,), self._engine.owner)
            return Started(task=task.id, tasks=(task,))

        return begin

    async def exists(self, target: str) -> None:
        """Raises NotFound, or Unavailable, where there is no such task or chain; its arguments are not known yet."""
        if target.startswith(CHAIN):
            await self._the_chains().exists(target.removeprefix(CHAIN))
        else:
            await self._engine.registry.find(target)

    def is_over(self, connection: Connection, started: str) -> bool:
        """Whether what was started has ended, or is gone."""
        if not started.startswith("task_"):
            chains = self._chains()
            return chains is None or chains.is_over(connection, started)
        try:
            return lookup.state_of(connection, started).status in SETTLED
        except NotFound:
            return True

    def cancel(self, connection: Connection, started: str, who: str, now_ms: int) -> None:
        """End it: what waits at once, what runs as soon as it stops."""
        if not started.startswith("task_"):
            if (chains := self._chains()) is not None:
                chains.cancel_in(connection, started, who, now_ms)
            return
        state = lookup.state_of(connection, started)
        if state.status in WAITING:
            reason = because("task.cancelled", who=who)
            state = after(state, Refused("cancelled", reason), now_ms=now_ms, rng=self._rng)
            journal.change(connection, started, state, now_ms)
        elif state.status in HELD:
            journal.ask_to_cancel(connection, started)

    async def wait(self, started: str) -> None:
        """Until it has ended, wherever it runs; at once if it is gone."""
        try:
            if started.startswith("task_"):
                await self._engine.wait(started)
            else:
                await self._the_chains().wait(started)
        except LegionError:
            return  # gone, or the engine stops: whoever waits looks for themselves

    def written(self, started: Sequence[Started]) -> None:
        """The transaction is durable: have the tasks taken."""
        self._engine.written([task for each in started for task in each.tasks])

    def look(self) -> None:
        """Something was cancelled: have those who run it see that."""
        self._engine.look()

    def _the_chains(self) -> Chains:
        chains = self._chains()
        if chains is None:
            raise Unsupported("There are no chains in this engine.", capability="chains")
        return chains
