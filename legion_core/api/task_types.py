"""What a surface or the window sees of tasks: frozen values, cheap to import. The events are in `api.tasks`."""

from datetime import datetime
from typing import Any

import msgspec

from legion_core.engine.orders import Accepted, Line, Order
from legion_core.engine.types import ENDED, Attempt, EffectClass, Reason, Retry, TaskStatus

__all__ = [
    "SETTLED",
    "STATUSES",
    "Accepted",
    "Attempt",
    "Line",
    "Order",
    "Reason",
    "Retry",
    "TaskPage",
    "TaskRow",
    "TaskStatus",
    "TaskView",
]

STATUSES: tuple[TaskStatus, ...] = TaskStatus.__args__
SETTLED: frozenset[TaskStatus] = ENDED | frozenset[TaskStatus]({"unknown"})  # nothing more happens by itself


class TaskRow(msgspec.Struct, frozen=True, kw_only=True):
    """A task at a glance. `reason` says why it is where it is; `legacy_status` is `engine.types.legacy_status` of it."""

    id: str
    task: str
    status: TaskStatus
    legacy_status: str
    reason: Reason | None = None
    attempt: int = 0
    queue: str = "default"
    priority: int = 0
    is_redelivered: bool = False
    parent: str = ""
    root: str = ""
    run: str = ""
    node: str = ""
    due_at: datetime | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None


class TaskView(TaskRow, frozen=True, kw_only=True):
    """A task opened: what it was given and what it gave. `tries` are the earlier ones, oldest first."""

    args: Any = None
    result: Any = None
    effect: EffectClass = "plain"
    retry: Retry = Retry()
    idempotency_key: str = ""
    timeout_s: float | None = None
    depth: int = 0
    tries: tuple[Attempt, ...] = ()


class TaskPage(msgspec.Struct, frozen=True, kw_only=True):
    """Tasks, newest first; `next` continues below the last one, empty at the end."""

    tasks: tuple[TaskRow, ...]
    next: str = ""
