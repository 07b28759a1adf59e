"""What watchers of the engine are told: facts about tasks, from this process and from the others on its journal."""

from datetime import datetime

from legion_core.engine.run_events import RUNS_TOLD
from legion_core.engine.types import Reason, TaskStatus
from legion_core.kernel.events import Event


class TaskAccepted(Event, frozen=True, kw_only=True):
    """A task is on disk: it will run, or it says why not. `run` and `node` name its place in a chain, if it has one."""

    id: str
    task: str
    status: TaskStatus
    run: str = ""
    node: str = ""


class TaskStarted(Event, frozen=True, kw_only=True):
    """Attempt number `attempt` of a task has begun."""

    id: str
    task: str
    attempt: int
    run: str = ""
    node: str = ""


class TaskWaits(Event, frozen=True, kw_only=True):
    """A task that had begun waits again: to be tried once more, or because it was given back."""

    id: str
    task: str
    status: TaskStatus
    reason: Reason | None
    run: str = ""
    node: str = ""


class TaskFinished(Event, frozen=True, kw_only=True):
    """Nothing more happens to this task by itself. `duration_s` is of the last attempt, 0 if it never began."""

    id: str
    task: str
    status: TaskStatus
    reason: Reason | None = None
    duration_s: float = 0.0
    run: str = ""
    node: str = ""


class NotificationSent(Event, frozen=True, kw_only=True):
    """A task wants a person's eye; the window or tray shows it."""

    title: str
    text: str
    task: str = ""


class ScheduleChanged(Event, frozen=True, kw_only=True):
    """A schedule was added, changed, paused, resumed or removed (`is_gone`)."""

    name: str
    is_gone: bool = False


class ScheduleFired(Event, frozen=True, kw_only=True):
    """A moment of a schedule was decided: `task` or `run` was started, or `reason` says why not."""

    schedule: str
    at: datetime
    status: str
    task: str = ""
    run: str = ""
    reason: Reason | None = None


TOLD: dict[str, type[Event]] = {
    kind.__name__: kind
    for kind in (TaskStarted, TaskWaits, TaskFinished, NotificationSent, ScheduleChanged, ScheduleFired)
} | RUNS_TOLD
