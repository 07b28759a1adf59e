"""What the engine tells: facts to the watchers of this process and of the others, and an end to whoever waits for it."""

import asyncio
from collections.abc import Callable, Sequence

import msgspec

from legion_core.engine.events import TOLD, TaskAccepted, TaskFinished, TaskStarted, TaskWaits
from legion_core.engine.journal import Lease, NewTask
from legion_core.engine.machine import State
from legion_core.engine.types import Reason, TaskStatus
from legion_core.kernel.errors import LegionError
from legion_core.kernel.events import Event, EventBus


class Telling:
    """See the module. `lay_out` has an event written for the other processes, where `has_peers` says that there are any.

    All methods belong to the loop's thread.
    """

    def __init__(
        self, bus: EventBus, has_peers: Callable[[], bool], lay_out: Callable[[str, bytes], None]
    ) -> None:
        self._bus = bus
        self._has_peers = has_peers
        self._lay_out = lay_out
        self._waiters: dict[str, list[asyncio.Future[None]]] = {}

    # Whoever waits

    @property
    def waited_for(self) -> tuple[str, ...]:
        """Tasks whose end somebody waits for."""
        return tuple(self._waiters)

    def watch(self, task_id: str) -> "asyncio.Future[None]":
        """Settled when nothing more happens to the task; give it back by `unwatch`."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.setdefault(task_id, []).append(future)
        return future

    def unwatch(self, task_id: str, future: "asyncio.Future[None]") -> None:
        """The other end of `watch`."""
        waiting = self._waiters[task_id]
        waiting.remove(future)
        if not waiting:
            del self._waiters[task_id]

    def wake(self, task_id: str) -> None:
        """Its end has come."""
        for future in self._waiters.get(task_id, ()):
            if not future.done():
                future.set_result(None)

    def give_up(self, error: LegionError) -> None:
        """No end will be told any more."""
        for waiting in self._waiters.values():
            for future in waiting:
                if not future.done():
                    future.set_exception(error)

    # Facts

    def accepted(self, task: NewTask) -> None:
        """To the watchers here alone: the others hear of it when it begins."""
        at_utc, at_mono_s = self._bus.stamp()
        self._bus.publish(
            TaskAccepted(
                at_utc=at_utc, at_mono_s=at_mono_s, id=task.id, task=task.task, status=task.status, run=task.run,
                node=task.node,
            )
        )  # fmt: skip

    def started(self, lease: Lease) -> None:
        """Its function is about to be called."""
        at_utc, at_mono_s = self._bus.stamp()
        self.tell(
            TaskStarted(
                at_utc=at_utc, at_mono_s=at_mono_s, id=lease.id, task=lease.task, attempt=lease.attempt, run=lease.run,
                node=lease.node,
            )
        )  # fmt: skip

    def waits(self, lease: Lease, state: State) -> None:
        """It goes on later, or elsewhere."""
        at_utc, at_mono_s = self._bus.stamp()
        self.tell(
            TaskWaits(
                at_utc=at_utc, at_mono_s=at_mono_s, id=lease.id, task=lease.task, status=state.status, reason=state.reason,
                run=lease.run, node=lease.node,
            )
        )  # fmt: skip

    def finished(
        self,
        task_id: str,
        task: str,
        status: TaskStatus,
        reason: Reason | None,
        duration_s: float = 0.0,
        run: str = "",
        node: str = "",
    ) -> None:
        """Tell watchers, and wake those who wait for it."""
        at_utc, at_mono_s = self._bus.stamp()
        self.tell(
            TaskFinished(
                at_utc=at_utc, at_mono_s=at_mono_s, id=task_id, task=task, status=status, reason=reason,
                duration_s=duration_s, run=run, node=node,
            )
        )  # fmt: skip
        self.wake(task_id)

    def tell(self, event: Event) -> None:
        """To watchers here, and where there are other processes, to theirs."""
        self._bus.publish(event)
        if self._has_peers():
            self._lay_out(type(event).__name__, msgspec.json.encode(event))

    def heard(self, told: Sequence[tuple[int, str, bytes]], behind: int) -> None:
        """What other processes told; up to `behind` it was heard by a look that was under way at the same time."""
        _, at_mono_s = self._bus.stamp()
        for number, kind, body in told:
            if number > behind and (event := TOLD.get(kind)) is not None:
                fact = msgspec.json.decode(body, type=event)
                # The other process's interval clock means nothing here.
                self._bus.publish(msgspec.structs.replace(fact, at_mono_s=at_mono_s))
