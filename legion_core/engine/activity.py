"""Tasks for the activity list: which there are, as short keys, and what a line shows of some of them.

As in `engine.journal`, each function takes a connection inside a transaction. Results and arguments stay on disk.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import cast

import msgspec

from legion_core.engine.lookup import moment_of
from legion_core.engine.reasons import because
from legion_core.engine.types import Reason, TaskStatus
from legion_core.kernel.clock import iso
from legion_core.storage.sqlite import Connection, Value, rows

_read_reason = msgspec.json.Decoder(Reason).decode
GROUPS: dict[str, tuple[TaskStatus, ...]] = {
    "waiting": ("accepted", "delayed", "waiting_join", "queued", "retry_wait"),
    "running": ("leased", "running"),
    "succeeded": ("succeeded",),
    "failed": ("failed", "dead", "blocked", "expired", "unknown"),
    "cancelled": ("cancelled",),
    "skipped": ("skipped",),
}


class TaskLine(msgspec.Struct, frozen=True, kw_only=True):
    """A task as a line of the list; `n` is its place in the journal, `brief` the beginning of its arguments as JSON."""

    n: int
    id: str
    task: str
    brief: str
    status: TaskStatus
    reason: Reason | None
    attempt: int
    retries: int
    queue: str
    parent: str
    root: str
    run: str
    chain: str
    node: str
    who: str
    due_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


class TaskFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which tasks. `statuses` are statuses or names of `GROUPS`; every one of `words` must occur; dates in UTC ms."""

    statuses: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    since_ms: int = 0
    until_ms: int = 0
    took_min_ms: int = 0
    run: str = ""
    root: str = ""
    above: int = 0


def index(connection: Connection, wanted: TaskFilter, limit: int) -> list[tuple[int, int]]:
    """`(created, n)` of the newest `limit` tasks that pass, newest first; `created` in UTC milliseconds."""
    where, args = _where(wanted)
    found = rows(
        connection,
        f"SELECT created, n FROM tasks WHERE {where} ORDER BY n DESC LIMIT ?",  # noqa: S608
        [*args, limit],
    )
    return cast("list[tuple[int, int]]", found)


def lines(connection: Connection, places: Sequence[int]) -> list[TaskLine]:
    """Those tasks, in no order; who is gone by now is left out."""
    marks = ",".join("?" * len(places))
    found = rows(
        connection,
        "SELECT n, id, task, substr(CAST(args AS TEXT), 1, 240), status, reason, attempt, coalesce(json_extract(CAST(retry AS TEXT), '$.max'), 0), queue, "  # noqa: S608
        f"parent, root, run, node, who, due, created, started, ended FROM tasks WHERE n IN ({marks})",
        list(places),
    )
    chains = _chains(connection, {str(each[10]) for each in found if each[10]})
    return [_line(each, chains) for each in found]


def _chains(connection: Connection, runs: set[str]) -> dict[str, str]:
    """The chain of each run."""
    marks = ",".join("?" * len(runs))
    sql = f"SELECT id, chain FROM runs WHERE id IN ({marks})"  # noqa: S608
    return {str(run): str(chain) for run, chain in rows(connection, sql, list(runs))} if runs else {}


def by_hour(connection: Connection, since_ms: int, hour_ms: int) -> list[tuple[int, int, int]]:
    """`(hour, tasks, failed)` since a moment, hours counted from it; hours without tasks are left out."""
    failed = ",".join(f"'{status}'" for status in GROUPS["failed"])
    found = rows(
        connection,
        f"SELECT (created - ?1) / ?2, count(*), sum(status IN ({failed})) FROM tasks WHERE created >= ?1 "  # noqa: S608
        "GROUP BY 1",
        [since_ms, hour_ms],
    )
    return [(int(hour), int(count), int(bad)) for hour, count, bad in found]


def _where(wanted: TaskFilter) -> tuple[str, list[Value]]:
    where, args = ["1"], list[Value]()

    def add(clause: str, *values: Value) -> None:
        where.append(clause)
        args.extend(values)

    if wanted.above:
        add("n > ?", wanted.above)
    if wanted.statuses:
        exact = [status for name in wanted.statuses for status in GROUPS.get(name, (name,))]
        add(f"status IN ({','.join('?' * len(exact))})", *exact)
    if wanted.run:
        add("run = ?", wanted.run)
    if wanted.root:
        add("root = ?", wanted.root)
    if wanted.since_ms:
        add("created >= ?", wanted.since_ms)
    if wanted.until_ms:
        add("created < ?", wanted.until_ms)
    if wanted.took_min_ms:
        add("ended - started >= ?", wanted.took_min_ms)
    for word in wanted.words:
        # Arguments too: people look for an address or a file by its name.
        add(
            "(task || ' ' || id || ' ' || node || ' ' || run || ' ' || who || ' ' || status || ' ' || "
            "coalesce(CAST(reason AS TEXT), '') || ' ' || CAST(args AS TEXT)) LIKE ? ESCAPE '\\'",
            pattern(word),
        )
    return " AND ".join(where), args


def pattern(word: str) -> str:
    """A word as LIKE finds it anywhere."""
    for sign in ("\\", "%", "_"):
        word = word.replace(sign, f"\\{sign}")
    return f"%{word}%"


def _line(found: tuple[Value, ...], chains: Mapping[str, str]) -> TaskLine:
    (n, task_id, task, brief, status, reason, attempt, retries, queue, parent, root, run, node, who, due, created, started,
     ended) = found  # fmt: skip
    begun = moment_of(cast(int, created))
    assert begun is not None
    return TaskLine(
        n=cast(int, n), id=str(task_id), task=str(task), brief=str(brief), status=cast(TaskStatus, status),
        reason=_why(str(status), cast("bytes | None", reason), cast(int, attempt), moment_of(cast(int, due))),
        attempt=cast(int, attempt), retries=cast(int, retries), queue=str(queue), parent=str(parent), root=str(root),
        run=str(run), chain=chains.get(str(run), ""), node=str(node), who=str(who), due_at=moment_of(cast(int, due)), created_at=begun,
        started_at=moment_of(cast("int | None", started)), ended_at=moment_of(cast("int | None", ended)),
    )  # fmt: skip


def _why(status: str, stored: bytes | None, attempt: int, due: datetime | None) -> Reason | None:
    reason = _read_reason(stored) if stored else None
    if due is None:
        return reason
    if status == "retry_wait":
        what = reason.sentence if reason else "it failed"
        return because("task.retry_wait", attempt=attempt, what=what, until=iso(due))
    return reason or because("task.delayed", until=iso(due))
