"""Tasks: what was asked to be run, by whom, and what became of it."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from legion_core.api.task_types import STATUSES, Accepted, Line, Order, TaskPage, TaskRow, TaskView
from legion_core.engine.events import (
    NotificationSent,
    TaskAccepted,
    TaskFinished,
    TaskStarted,
    TaskWaits,
)
from legion_core.engine.service import Engine
from legion_core.engine.types import Attempt, Task, legacy_status
from legion_core.kernel.errors import InvalidInput, TimedOut
from legion_core.kernel.ports import LOCAL_OWNER, Principal

__all__ = ["NotificationSent", "TaskAccepted", "TaskFinished", "TaskStarted", "TaskWaits", "Tasks"]


class Tasks:
    """Submit, look, cancel, try again."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def submit(self, order: Order, who: Principal = LOCAL_OWNER) -> Accepted:
        """Accept one task; durable when this returns.

        Raises Denied, NotFound (no such function), InvalidInput (arguments), LimitReached, StorageFailed.
        """
        return await self._engine.submit(who, order)

    async def submit_many(self, orders: Sequence[Order], who: Principal = LOCAL_OWNER) -> list[Accepted]:
        """Accept all of them at once, or none."""
        return await self._engine.submit_many(who, orders)

    async def list(
        self, *, status: str = "", task: str = "", run: str = "", limit: int = 50, cursor: str = ""
    ) -> TaskPage:
        """Newest first; `cursor` is the `next` of the page before."""
        if status and status not in STATUSES:
            raise InvalidInput(f"{status[:40]!r} is not a status.", hint=f"There are {', '.join(STATUSES)}.")
        below = _below(cursor)
        found = await self._engine.page(status=status, task=task, run=run, below=below, limit=limit + 1)
        more = len(found) > limit
        found = found[:limit]
        return TaskPage(
            tasks=tuple(row_of(each) for _, each in found), next=f"t{found[-1][0]}" if more else ""
        )

    async def get(self, task_id: str) -> TaskView:
        """One task; NotFound if there is none."""
        return view_of(await self._engine.get(task_id))

    async def logs(self, task_id: str) -> tuple[Line, ...]:
        """What the task wrote, oldest first."""
        return tuple(await self._engine.lines(task_id))

    async def cancel(self, task_id: str, who: Principal = LOCAL_OWNER) -> TaskView:
        """End it; Conflict if it has ended already."""
        return view_of(await self._engine.cancel(who, task_id))

    async def retry(self, task_id: str, who: Principal = LOCAL_OWNER) -> TaskView:
        """Queue again what failed, died, was blocked, expired or is unknown; else Conflict."""
        return view_of(await self._engine.retry(who, task_id))

    async def wait(self, task_id: str, timeout_s: float | None = None) -> TaskView:
        """The task once nothing more happens to it by itself; TimedOut after `timeout_s`."""
        return view_of(await self._engine.wait(task_id, timeout_s))

    async def wait_at_most(self, task_id: str, timeout_s: float) -> TaskView:
        """The task at its end, or as it is after `timeout_s`."""
        try:
            return await self.wait(task_id, timeout_s)
        except TimedOut:
            return await self.get(task_id)

    async def counts(self) -> Mapping[str, int]:
        """How many tasks wait and run, by status."""
        return await self._engine.counts()

    async def work(self) -> None:
        """From now on take the tasks of every process, as a node and `legion worker` do."""
        await self._engine.serve()

    @property
    def running(self) -> tuple[str, ...]:
        """What this process runs now, by id."""
        return self._engine.running


def row_of(task: Task) -> TaskRow:
    """At a glance."""
    return msgspec.convert(_shared(task), TaskRow)


def view_of(task: Task) -> TaskView:
    """Opened."""
    return msgspec.convert(
        {
            **_shared(task),
            "args": task.args,
            "result": task.result,
            "effect": task.effect,
            "retry": task.retry,
            "idempotency_key": task.idempotency_key,
            "timeout_s": task.timeout_s,
            "depth": task.depth,
            "tries": _earlier(task),
        },
        TaskView,
    )


def _earlier(task: Task) -> tuple[Attempt, ...]:
    """The tries the task's own dates do not tell of: while it waits again, they tell of one that is over."""
    if task.status in ("queued", "retry_wait"):
        return task.tries
    own = (task.attempt, task.started_at)
    return tuple(each for each in task.tries if (each.number, each.started_at) != own)


def _shared(task: Task) -> dict[str, Any]:
    found = {name: getattr(task, name) for name in _SHARED}
    return {**found, "legacy_status": legacy_status(task.status, task.reason)}


_SHARED = tuple(name for name in TaskRow.__struct_fields__ if name != "legacy_status")


def _below(cursor: str) -> int:
    digits = cursor.removeprefix("t")
    if not cursor:
        return 0
    if not (cursor.startswith("t") and digits.isascii() and digits.isdecimal() and len(digits) < 18):
        raise InvalidInput("`cursor` is not one we gave.")
    return max(1, int(digits))
