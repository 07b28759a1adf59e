"""The activity list and the tasks behind it, in memory, with the facade's own words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from legion_core.api.activity import STATE_OF
from legion_core.api.activity_types import (
    ActivityHour,
    ActivityIndex,
    ActivityMark,
    ActivityQuery,
    ActivityRow,
)
from legion_core.api.task_types import SETTLED, Line, Reason, TaskStatus, TaskView
from legion_core.api.tasks import TaskAccepted, TaskFinished, TaskStarted
from legion_core.api.types import EventBus, LedgerRow, Usage
from legion_core.kernel.errors import NotFound


class FakeTasks:
    """Only what the window asks of single tasks."""

    def __init__(self) -> None:
        self.views: dict[str, TaskView] = {}
        self.lines: dict[str, tuple[Line, ...]] = {}
        self.calls: list[tuple[str, str]] = []

    async def get(self, task_id: str) -> TaskView:
        if task_id not in self.views:
            raise NotFound(f"There is no task {task_id}.")
        return self.views[task_id]

    async def logs(self, task_id: str) -> tuple[Line, ...]:
        return self.lines.get(task_id, ())

    async def cancel(self, task_id: str) -> TaskView:
        self.calls.append(("cancel", task_id))
        return self.views[task_id]

    async def retry(self, task_id: str) -> TaskView:
        self.calls.append(("retry", task_id))
        return self.views[task_id]


class FakeActivity:
    """Rows in the order they were added."""

    def __init__(self, bus: EventBus, tasks: FakeTasks, now: datetime) -> None:
        self.bus, self.tasks, self.now = bus, tasks, now
        self.held: dict[str, ActivityRow] = {}
        self.attempts: dict[str, tuple[LedgerRow, ...]] = {}
        self.queries: list[ActivityQuery] = []
        self.read: list[tuple[str, ...]] = []

    def add_task(
        self, name: str, status: TaskStatus = "succeeded", *, reason: str = "", minutes_ago: float = 0, is_told: bool = False,
        **more: Any,
    ) -> str:  # fmt: skip
        """A task with its view; with `is_told` the fact about it is published. Returns its id."""
        number = len(self.held) + 1
        at = self.now - timedelta(minutes=minutes_ago)
        is_over = status in SETTLED
        started = at + timedelta(seconds=1) if is_over or status == "running" else None
        why = Reason(code="task.raised", sentence=reason) if reason else None
        row = ActivityRow(
            key=f"t{number}", kind="task", id=f"task_{number:04d}", state=STATE_OF[status], status=status, reason=why,
            task=name, at=at, started_at=started, ended_at=started + timedelta(seconds=2) if is_over and started else None,
            took_s=2.0 if is_over else None, waited_s=1.0 if started else None, attempts=1 if started else 0,
            attempts_max=1, queue="default", who="owner", root=f"task_{number:04d}",
        )  # fmt: skip
        row = msgspec.structs.replace(row, **more)
        self.held[row.key] = row
        self.tasks.views[row.id] = TaskView(
            id=row.id,
            task=name,
            status=status,
            legacy_status="",
            reason=why,
            args={"url": "https://example.org/"},
        )
        if is_told:
            utc, mono = self.bus.stamp()
            self.bus.publish(TaskAccepted(at_utc=utc, at_mono_s=mono, id=row.id, task=name, status="queued"))
        return row.id

    def add_request(
        self, title: str, *, tier: str = "local", outcome: str = "succeeded", usd: float | None = 0.0
    ) -> str:
        number = len(self.held) + 1
        request = f"req_{number:04d}"
        state = outcome if outcome in ("succeeded", "cancelled") else "failed"
        self.held[f"r{request}"] = ActivityRow(
            key=f"r{request}", kind="request", id=request, state=state, status=outcome, at=self.now, started_at=self.now,  # type: ignore[arg-type]
            ended_at=self.now + timedelta(seconds=3), took_s=3.0, waited_s=1.0, attempts=2, tier=tier, instance="box",
            model="m1", input_tokens=40, output_tokens=20, cost_usd=usd, conversation="cnv_1", title=title,
            reason=None if state == "succeeded" else Reason(code=outcome, sentence="It was busy."),
        )  # fmt: skip
        self.attempts[request] = tuple(
            LedgerRow(
                request=request, attempt=at, tier=tier, instance=name, model="m1", usage=Usage(), cost_usd=usd, outcome=how,
                at=self.now + timedelta(seconds=at - 1), duration_s=1.0 * at, first_token_s=None if at == 1 else 0.5,
            )
            for at, (name, how) in enumerate((("first", "overloaded"), ("box", outcome)), 1)
        )  # fmt: skip
        return request

    def becomes(self, task_id: str, status: TaskStatus, reason: str = "") -> None:
        """A task changes, and the fact is published."""
        key = next(key for key, row in self.held.items() if row.id == task_id)
        why = Reason(code="task.raised", sentence=reason) if reason else None
        self.held[key] = msgspec.structs.replace(
            self.held[key], status=status, state=STATE_OF[status], reason=why, started_at=self.now
        )
        self.tasks.views[task_id] = msgspec.structs.replace(
            self.tasks.views[task_id], status=status, reason=why
        )
        utc, mono = self.bus.stamp()
        name = self.held[key].task
        if status == "running":
            self.bus.publish(TaskStarted(at_utc=utc, at_mono_s=mono, id=task_id, task=name, attempt=1))
        else:
            self.bus.publish(
                TaskFinished(at_utc=utc, at_mono_s=mono, id=task_id, task=name, status=status, reason=why)
            )

    async def index(
        self, query: ActivityQuery | None = None, *, after: ActivityMark | None = None, limit: int = 200_000
    ) -> ActivityIndex:
        wanted = query or ActivityQuery()
        self.queries.append(wanted)
        keys = [key for key, row in self.held.items() if _passes(row, wanted)]
        if after is not None:
            keys = [key for key in keys if list(self.held).index(key) >= after.task]
        return ActivityIndex(
            keys=tuple(keys[-limit:]), mark=ActivityMark(task=len(self.held)), is_cut=len(keys) > limit
        )

    async def rows(self, keys: Sequence[str]) -> tuple[ActivityRow, ...]:
        self.read.append(tuple(keys))
        return tuple(self.held[key] for key in keys if key in self.held)

    async def hours(self, since: datetime, count: int = 24) -> tuple[ActivityHour, ...]:
        made = [ActivityHour(at=since + timedelta(hours=at)) for at in range(count)]
        tasks = [row for row in self.held.values() if row.kind == "task"]
        requests = [row for row in self.held.values() if row.kind == "request"]
        made[-1] = ActivityHour(
            at=made[-1].at, tasks=len(tasks), failed=sum(row.state == "failed" for row in tasks), requests=len(requests),
            local=sum(row.tier == "local" for row in requests), cost_usd=sum(row.cost_usd or 0.0 for row in requests),
            unpriced=sum(row.cost_usd is None for row in requests),
        )  # fmt: skip
        return tuple(made)


def _passes(row: ActivityRow, wanted: ActivityQuery) -> bool:
    said = f"{row.task} {row.title} {row.id} {row.reason.sentence if row.reason else ''}".lower()
    return (
        (not wanted.kinds or row.kind in wanted.kinds)
        and (not wanted.states or row.state in wanted.states or row.status in wanted.states)
        and all(word.lower() in said for word in wanted.words)
        and (wanted.since is None or row.at >= wanted.since)
        and (not wanted.run or row.run == wanted.run)
        and (not wanted.root or row.root == wanted.root)
        and (row.took_s or 0.0) >= wanted.took_min_s
    )
