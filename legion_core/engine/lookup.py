"""Looking into the journal: tasks as the surfaces show them, and as the machine sees them.

As in `engine.journal`, each function takes a connection inside a transaction.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import msgspec

from legion_core.engine import attempts
from legion_core.engine.journal import NO_RETRY
from legion_core.engine.machine import State
from legion_core.engine.orders import Line
from legion_core.engine.reasons import because
from legion_core.engine.types import EffectClass, Reason, Retry, Task, TaskStatus
from legion_core.kernel.clock import iso
from legion_core.kernel.errors import NotFound
from legion_core.storage.sqlite import Connection, Row, Value, row, rows

_read_retry = msgspec.json.Decoder(Retry).decode
_read_reason = msgspec.json.Decoder(Reason).decode
_read_json = msgspec.json.Decoder().decode

_TASK = """id, task, status, reason, args, result, attempt, retry, effect, queue, priority, idempotency_key, parent, root,
    run, node, key, depth, timeout_s, is_redelivered, fencing, owner, due, created, started, ended"""
SETTLED_SQL = "('succeeded', 'failed', 'dead', 'blocked', 'skipped', 'cancelled', 'expired', 'unknown')"


def engines(connection: Connection) -> list[tuple[str, int, str]]:
    """The processes on this journal, dead ones too: `(owner, pid, started)`."""
    return [
        (str(owner), int(pid), str(started))
        for owner, pid, started in rows(connection, "SELECT owner, pid, started FROM engines")
    ]


def held_by(connection: Connection, owner: str) -> list[tuple[str, State]]:
    """What a process holds, by id."""
    found = rows(
        connection,
        "SELECT id, status, attempt, effect, retry, is_redelivered FROM tasks WHERE owner = ?",
        [owner],
    )
    return [(str(task_id), _state(*rest)) for task_id, *rest in found]


def state_of(connection: Connection, task_id: str) -> State:
    """A task as the machine sees it; NotFound if there is none."""
    found = row(
        connection,
        "SELECT status, attempt, effect, retry, is_redelivered, due, reason FROM tasks WHERE id = ?",
        [task_id],
    )
    if found is None:
        raise _unknown(task_id)
    *rest, due, reason = found
    state = _state(*rest)
    return msgspec.structs.replace(state, due_ms=int(due), reason=_read_reason(reason) if reason else None)


def queue_of(connection: Connection, task_id: str) -> str:
    """The queue of a task there is."""
    return str((row(connection, "SELECT queue FROM tasks WHERE id = ?", [task_id]) or ("",))[0])


def living(connection: Connection, task_id: str, count_max: int) -> list[tuple[str, State]]:
    """The task and those under it, at any depth, that wait or run and are not yet told to end; those that wait first."""
    found = rows(
        connection,
        "WITH RECURSIVE tree(id) AS (VALUES(?) UNION SELECT tasks.id FROM tree CROSS JOIN tasks "
        "WHERE tasks.parent = tree.id AND tasks.parent <> '') "
        "SELECT tasks.id, status, attempt, effect, retry, is_redelivered FROM tree CROSS JOIN tasks "
        "WHERE tasks.id = tree.id AND is_cancelling = 0 AND status IN "
        "('accepted', 'delayed', 'waiting_join', 'queued', 'retry_wait', 'leased', 'running') "
        "ORDER BY status IN ('leased', 'running') LIMIT ?",
        [task_id, count_max],
    )
    return [(str(each), _state(*rest)) for each, *rest in found]


def run_of(connection: Connection, task_id: str) -> str:
    """The run a task is part of; empty if it is part of none."""
    return str((row(connection, "SELECT run FROM tasks WHERE id = ?", [task_id]) or ("",))[0])


def known_runs(connection: Connection, runs: Collection[str]) -> set[str]:
    """Those of the runs there are."""
    return {run for run in runs if row(connection, "SELECT 1 FROM runs WHERE id = ?", [run]) is not None}


def runs_of(connection: Connection, owners: Sequence[str]) -> list[str]:
    """The runs of what these processes hold."""
    marks = ",".join("?" * len(owners))
    sql = f"SELECT DISTINCT run FROM tasks WHERE owner IN ({marks}) AND run <> ''"  # noqa: S608
    return [str(run) for (run,) in rows(connection, sql, list(owners))]


def overdue(connection: Connection, now_ms: int) -> list[tuple[str, State, int]]:
    """Waiting tasks that should not be begun any more: `(id, state, how long they had)`."""
    found = rows(
        connection,
        "SELECT id, status, attempt, effect, retry, is_redelivered, expires - created FROM tasks "
        "WHERE status = 'queued' AND expires > 0 AND expires <= ?",
        [now_ms],
    )
    return [
        (str(task_id), _state(*rest), int(had_ms)) for task_id, *rest, had_ms in (tuple(f) for f in found)
    ]


def next_due(connection: Connection) -> int:
    """When the next delayed task is due, in UTC milliseconds; 0 if there is none."""
    found = row(
        connection,
        "SELECT due FROM tasks INDEXED BY tasks_due WHERE due > 0 AND status IN ('delayed', 'retry_wait') "
        "ORDER BY due LIMIT 1",
    )
    return int(found[0]) if found else 0


def cancelling(connection: Connection, owner: str) -> list[str]:
    """What this process holds and was asked to end."""
    found = rows(connection, "SELECT id FROM tasks WHERE owner = ? AND is_cancelling = 1", [owner])
    return [str(task_id) for (task_id,) in found]


def read_outbox(connection: Connection, behind: int, but: str) -> tuple[int, list[tuple[int, str, bytes]]]:
    """Events of other processes behind a number, each with its own, and the newest number."""
    found = rows(
        connection, "SELECT number, owner, kind, body FROM outbox WHERE number > ? ORDER BY number", [behind]
    )
    newest = int(found[-1][0]) if found else behind
    return newest, [(int(n), str(kind), bytes(body)) for n, owner, kind, body in found if owner != but]


def newest_outbox(connection: Connection) -> int:
    """The newest number there is; 0 before the first."""
    return int((row(connection, "SELECT coalesce(max(number), 0) FROM outbox") or (0,))[0])


def effect(connection: Connection, task_id: str, seq: int) -> tuple[str, str] | None:
    """How far an effect got: `(state, detail)`."""
    found = row(connection, "SELECT state, detail FROM effects WHERE task = ? AND seq = ?", [task_id, seq])
    return (str(found[0]), str(found[1])) if found else None


def get(connection: Connection, task_id: str) -> Task:
    """One task with arguments and result; NotFound if there is none."""
    found = row(connection, f"SELECT {_TASK} FROM tasks WHERE id = ?", [task_id])  # noqa: S608
    if found is None:
        raise _unknown(task_id)
    task = msgspec.structs.replace(_task(found), tries=attempts.of_task(connection, task_id))
    if task.status == "queued":
        reason = because("task.queued", ahead=_ahead(connection, task), queue=task.queue)
        return msgspec.structs.replace(task, reason=task.reason or reason)
    return task


def page(
    connection: Connection, *, status: str, task: str, run: str, below: int, limit: int
) -> list[tuple[int, Task]]:
    """Tasks, newest first, with their row: the next page begins below the last one's. Results are left out."""
    where, args = ["1"], list[Value]()
    for column, value in (("status", status), ("task", task), ("run", run)):
        if value:
            # The index of runs leaves out tasks of none, and SQLite has to be told that these are not those.
            where.append("run = ? AND run <> ''" if column == "run" else f"{column} = ?")
            args.append(value)
    if below:
        where.append("n < ?")
        args.append(below)
    columns = _TASK.replace("result,", "NULL,")
    sql = f"SELECT n, {columns} FROM tasks WHERE {' AND '.join(where)} ORDER BY n DESC LIMIT ?"  # noqa: S608
    return [(int(n), _task(tuple(rest))) for n, *rest in rows(connection, sql, [*args, limit])]


def settled(connection: Connection, task_ids: Sequence[str]) -> list[str]:
    """Those of the tasks that nothing more happens to by itself."""
    marks = ",".join("?" * len(task_ids))
    sql = f"SELECT id FROM tasks WHERE id IN ({marks}) AND status IN {SETTLED_SQL}"  # noqa: S608
    return [str(task_id) for (task_id,) in rows(connection, sql, list(task_ids))]


def lines(connection: Connection, task_id: str) -> list[Line]:
    """The log of a task, oldest first; NotFound if there is no such task."""
    if row(connection, "SELECT 1 FROM tasks WHERE id = ?", [task_id]) is None:
        raise _unknown(task_id)
    found = rows(
        connection,
        "SELECT number, at, level, text FROM task_logs WHERE task = ? ORDER BY number",
        [task_id],
    )
    return [
        Line(task=task_id, number=number, at=moment_of(at) or datetime.fromtimestamp(0, UTC), level=level, text=text)
        for number, at, level, text in found
    ]  # fmt: skip


def counts(connection: Connection) -> Mapping[str, int]:
    """How many tasks there are of each status that is not an end."""
    found = rows(
        connection,
        "SELECT status, count(*) FROM tasks WHERE status IN "
        "('accepted', 'delayed', 'waiting_join', 'queued', 'leased', 'running', 'retry_wait') GROUP BY status",
    )
    return {str(status): int(count) for status, count in found}


def _ahead(connection: Connection, task: Task) -> int:
    """How many tasks will be taken before this one."""
    found = row(
        connection,
        "SELECT count(*) FROM tasks WHERE status = 'queued' AND queue = ?1 AND (priority > ?2 OR "
        "(priority = ?2 AND n < (SELECT n FROM tasks WHERE id = ?3)))",
        [task.queue, task.priority, task.id],
    )
    return int((found or (0,))[0])


def _unknown(task_id: str) -> NotFound:
    return NotFound(f"There is no task {task_id[:80]!r}.", hint="`legion task list` shows the latest.")


def _state(status: Any, attempt: Any, effect_class: Any, retry: Any, is_redelivered: Any) -> State:
    return State(
        status=cast(TaskStatus, status),
        attempt=int(attempt),
        retry=NO_RETRY if retry is None else _read_retry(retry),
        effect=cast(EffectClass, effect_class),
        is_redelivered=bool(is_redelivered),
    )


def why(status: str, stored: bytes | None, attempt: int, due: int) -> Reason | None:
    """The reason as stored; what waits for a date says for which."""
    reason = _read_reason(stored) if stored else None
    moment = moment_of(due)
    if moment is None:
        return reason
    if status == "retry_wait":
        what = reason.sentence if reason else "it failed"
        return because("task.retry_wait", attempt=attempt, what=what, until=iso(moment))
    return reason or because("task.delayed", until=iso(moment))


def _task(found: Row) -> Task:
    (task_id, task, status, reason, args, result, attempt, retry, effect_class, queue, priority, idempotency_key,
     parent, root, run, node, key, depth, timeout_s, is_redelivered, fencing, owner, due, created, started,
     ended) = found  # fmt: skip
    return Task(
        id=task_id, task=task, status=status, reason=why(status, reason, attempt, due),
        args=_read_json(args), result=None if result is None else _read_json(result), attempt=attempt,
        retry=NO_RETRY if retry is None else _read_retry(retry), effect=effect_class, queue=queue,
        priority=priority, idempotency_key=idempotency_key or "", parent=parent, root=root, run=run, node=node,
        key=key, depth=depth, timeout_s=timeout_s, is_redelivered=bool(is_redelivered), fencing=fencing,
        lease_owner=owner or "", due_at=moment_of(due), created_at=moment_of(created),
        started_at=moment_of(started), ended_at=moment_of(ended),
    )  # fmt: skip


def moment_of(utc_milliseconds: int | None) -> datetime | None:
    """The date stored as milliseconds; 0 and NULL are none."""
    return datetime.fromtimestamp(utc_milliseconds / 1000, UTC) if utc_milliseconds else None
