"""The inspector of the Activity page: all there is about one task or request, loaded when it is looked at."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from PySide6.QtCore import QObject, QTimer, Signal

from app.bridge import Bridge
from app.viewmodels.activity import ActivityViewModel
from app.viewmodels.waterfall import Waterfall, of_request, of_run, of_task
from legion_core.api.activity_types import ActivityQuery, ActivityRow
from legion_core.api.task_types import SETTLED, Line, TaskView
from legion_core.api.tasks import TaskFinished, TaskStarted, TaskWaits
from legion_core.api.types import Event, LedgerRow

HOPS_MAX = 200
LINES_SHOWN = 500
CAN_RETRY = frozenset({"failed", "dead", "blocked", "expired", "unknown"})
RELOAD_PAUSE_MS = 200


@dataclass(frozen=True, slots=True)
class Detail:
    """What was found. `hops` are the tasks of the same run or family, in the order they came; this one is among them."""

    row: ActivityRow
    task: TaskView | None = None
    lines: tuple[Line, ...] = ()
    hops: tuple[ActivityRow, ...] = ()
    attempts: tuple[LedgerRow, ...] = ()

    @property
    def raw_json(self) -> str:
        """All of it, indented."""
        shown: object = self.task if self.row.kind == "task" else self.attempts
        return msgspec.json.format(msgspec.json.encode(shown), indent=2).decode()

    @property
    def can_cancel(self) -> bool:
        """Whether there is anything left to cancel."""
        return self.task is not None and self.task.status not in SETTLED

    @property
    def can_retry(self) -> bool:
        """Whether a person may have it tried again."""
        return self.task is not None and self.task.status in CAN_RETRY


class ActivityDetailViewModel(QObject):
    """Follows the list's selection."""

    changed = Signal()
    done = Signal(str)
    """A sentence about what was just done."""

    def __init__(self, bridge: Bridge, lists: ActivityViewModel, now: Callable[[], datetime]) -> None:
        super().__init__()
        self.setObjectName("viewmodel.activityDetail")
        self._bridge = bridge
        self._lists = lists
        self.now = now
        self.detail: Detail | None = None
        self._key = ""
        self._pause = QTimer(self)
        self._pause.setObjectName("activity.detail")
        self._pause.setSingleShot(True)
        self._pause.setInterval(RELOAD_PAUSE_MS)
        self._pause.timeout.connect(self._load)
        lists.selected_changed.connect(self._selected)
        bridge.watch(self._on_facts, TaskStarted, TaskWaits, TaskFinished)

    @property
    def waterfall(self) -> Waterfall:
        """Where the time of what is shown went."""
        detail = self.detail
        if detail is None:
            return Waterfall()
        if detail.row.kind == "request":
            return of_request(detail.attempts)
        return of_task(detail.row, detail.task.tries if detail.task else (), self.now())

    @property
    def run_fall(self) -> Waterfall:
        """The whole run or family of what is shown; empty where it stands alone."""
        return (
            of_run(self.detail.hops, self.now()) if self.detail and len(self.detail.hops) > 1 else Waterfall()
        )

    def cancel(self) -> None:
        """Cancel the task that is shown."""
        self._order("cancel", lambda legion, task: legion.tasks.cancel(task), "Cancelled")

    def retry(self) -> None:
        """Have the task that is shown tried again."""
        self._order("retry", lambda legion, task: legion.tasks.retry(task), "Queued again")

    def _order(self, verb: str, act: Callable[[Any, str], Any], word: str) -> None:
        if self.detail is None or self.detail.task is None:
            return
        task = self.detail.task

        def done(_: TaskView) -> None:
            self.done.emit(f"{word}: {task.task}.")
            self._load()

        self._bridge.launch(f"activity.{verb}", lambda legion: act(legion, task.id), done)

    def _selected(self) -> None:
        if self._lists.selected != self._key:
            self._key = self._lists.selected
            self._load()
        elif self.detail is not None and self._lists.current not in (None, self.detail.row):
            self._pause.start()

    def _load(self) -> None:
        key = self._key
        if not key:
            self.detail = None
            self.changed.emit()
            return

        def loaded(found: Detail | None) -> None:
            if key == self._key:
                self.detail = found
                self.changed.emit()

        self._bridge.launch("activity.detail", lambda legion: _detail(legion, key), loaded)

    def _on_facts(self, facts: Sequence[Event]) -> None:
        shown = self.detail.row.id if self.detail else ""
        if any(getattr(fact, "id", "") == shown for fact in facts):
            self._pause.start()


async def _detail(legion: Any, key: str) -> Detail | None:
    found: tuple[ActivityRow, ...] = await legion.activity.rows((key,))
    if not found:
        return None
    row = found[0]
    if row.kind == "request":
        return Detail(row=row, attempts=tuple(await legion.llm.ledger(request=row.id)))
    hops: tuple[ActivityRow, ...] = ()
    query = ActivityQuery(run=row.run) if row.run else ActivityQuery(root=row.root) if row.root else None
    if query is not None:
        keys = (await legion.activity.index(query, limit=HOPS_MAX)).keys
        hops = await legion.activity.rows(keys) if len(keys) > 1 else ()
    lines = tuple(await legion.tasks.logs(row.id))[-LINES_SHOWN:]
    return Detail(row=row, task=await legion.tasks.get(row.id), lines=lines, hops=hops)
