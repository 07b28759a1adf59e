"""The tasks on disk: what was accepted, who holds it, what became of it. Each function is one step of a transaction.

All take a connection inside a transaction of `storage.sqlite.Database`; nothing here waits, reads a clock or decides
what a task becomes (`engine.machine` does). A task is held by one process at a time: `owner` names it, and `fencing`
grows with every lease, so that one who lost the task cannot write its end.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from legion_core.engine import attempts
from legion_core.engine.chain_migrations import MIGRATIONS as CHAINS
from legion_core.engine.machine import State
from legion_core.engine.orders import Line
from legion_core.engine.types import EffectClass, Reason, Retry, TaskStatus
from legion_core.storage.sqlite import Connection, Migration, Row, Value, execute, execute_many, row, rows

KEY_KEPT_MS = 24 * 3600 * 1000  # so long the same idempotency key gives the same task
OUTBOX_KEPT = 10_000
DUE_MAX = 1_000  # tasks queued in one transaction, so that others need not wait long for the writer
SUSPECT_FROM = 2  # attempts after which a task that was taken from a dead process may be what killed it
NO_RETRY = Retry()

MIGRATIONS = (
    Migration(
        name="engine-0001",
        sql="""
        CREATE TABLE tasks(
            n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, task TEXT NOT NULL, args BLOB NOT NULL,
            status TEXT NOT NULL, queue TEXT NOT NULL, priority INTEGER NOT NULL, attempt INTEGER NOT NULL,
            effect TEXT NOT NULL, retry BLOB, due INTEGER NOT NULL, expires INTEGER NOT NULL,
            owner TEXT, fencing INTEGER NOT NULL, submitter TEXT NOT NULL, is_redelivered INTEGER NOT NULL,
            is_cancelling INTEGER NOT NULL DEFAULT 0, idempotency_key TEXT, timeout_s REAL, who TEXT NOT NULL,
            parent TEXT NOT NULL, root TEXT NOT NULL, run TEXT NOT NULL, node TEXT NOT NULL, key TEXT NOT NULL,
            depth INTEGER NOT NULL, created INTEGER NOT NULL, started INTEGER, ended INTEGER, reason BLOB, result BLOB
        );
        CREATE INDEX tasks_ready ON tasks(queue, priority DESC, n) WHERE status = 'queued';
        CREATE INDEX tasks_due ON tasks(due) WHERE due > 0;
        CREATE INDEX tasks_expires ON tasks(expires) WHERE expires > 0 AND status = 'queued';
        CREATE INDEX tasks_held ON tasks(owner) WHERE owner IS NOT NULL;
        CREATE INDEX tasks_status ON tasks(status, n);
        CREATE INDEX tasks_task ON tasks(task, n);
        CREATE INDEX tasks_parent ON tasks(parent) WHERE parent <> '';
        CREATE UNIQUE INDEX tasks_run ON tasks(run, node, key) WHERE run <> '';
        CREATE INDEX tasks_key ON tasks(idempotency_key) WHERE idempotency_key IS NOT NULL;
        CREATE UNIQUE INDEX tasks_key_active ON tasks(idempotency_key) WHERE idempotency_key IS NOT NULL AND
            status IN ('accepted', 'delayed', 'waiting_join', 'queued', 'leased', 'running', 'retry_wait');
        CREATE TABLE task_logs(
            task TEXT NOT NULL, number INTEGER NOT NULL, at INTEGER NOT NULL, level TEXT NOT NULL,
            text TEXT NOT NULL, PRIMARY KEY(task, number)
        ) WITHOUT ROWID;
        CREATE TABLE effects(
            task TEXT NOT NULL, seq INTEGER NOT NULL, state TEXT NOT NULL, detail TEXT NOT NULL,
            PRIMARY KEY(task, seq)
        ) WITHOUT ROWID;
        CREATE TABLE engines(
            owner TEXT PRIMARY KEY, pid INTEGER NOT NULL, started TEXT NOT NULL, since INTEGER NOT NULL
        ) WITHOUT ROWID;
        CREATE TABLE outbox(number INTEGER PRIMARY KEY AUTOINCREMENT, owner TEXT NOT NULL, kind TEXT NOT NULL,
            body BLOB NOT NULL
        );
        """,
    ),
    Migration(
        name="engine-0002",
        sql="""
        CREATE INDEX tasks_suspect ON tasks(queue, priority DESC, n)
            WHERE status = 'queued' AND is_redelivered = 1 AND attempt >= 2;
        """,
    ),
    *CHAINS,
    *attempts.MIGRATIONS,
)


class NewTask(msgspec.Struct, frozen=True, kw_only=True):
    """A task to be written. `args` is JSON; times are UTC milliseconds, 0 for none.

    With a `status` of `running` its writer holds it from the first moment.
    """

    id: str
    task: str
    args: bytes
    created_ms: int
    submitter: str
    who: str
    status: TaskStatus = "queued"
    queue: str = "default"
    priority: int = 0
    effect: EffectClass = "plain"
    retry: Retry = NO_RETRY
    due_ms: int = 0
    expires_ms: int = 0
    idempotency_key: str = ""
    timeout_s: float | None = None
    parent: str = ""
    root: str = ""
    run: str = ""
    node: str = ""
    key: str = ""
    depth: int = 0
    reason: Reason | None = None


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """A task held by this process and everything needed to run it; `n` is its row."""

    n: int
    id: str
    task: str
    args: bytes
    queue: str
    priority: int
    attempt: int
    effect: EffectClass
    retry: Retry
    fencing: int
    submitter: str
    is_redelivered: bool
    timeout_s: float | None
    who: str
    parent: str
    root: str
    run: str
    node: str
    key: str
    depth: int
    created_ms: int
    started_ms: int

    @property
    def is_suspect(self) -> bool:
        """Whether its process went down under it twice already; `claim` takes such a task only where it is allowed to."""
        return self.is_redelivered and self.attempt > SUSPECT_FROM

    def state(self) -> State:
        """For the machine: running."""
        return State(
            status="running",
            attempt=self.attempt,
            retry=self.retry,
            effect=self.effect,
            is_redelivered=self.is_redelivered,
        )


_encode = msgspec.json.Encoder().encode
_read_retry = msgspec.json.Decoder(Retry).decode
_read_reason = msgspec.json.Decoder(Reason).decode
_read_json = msgspec.json.Decoder().decode

_INSERT = """
    INSERT INTO tasks(n, id, task, args, status, queue, priority, attempt, effect, retry, due, expires, owner, fencing,
        submitter, is_redelivered, idempotency_key, timeout_s, who, parent, root, run, node, key, depth, created,
        started, ended, reason)
    VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,0,?,?,?,?,?,?,?,?,?,?,?,?,?)
"""
_LEASED = """n, id, task, args, queue, priority, attempt, effect, retry, fencing, submitter, is_redelivered, timeout_s,
    who, parent, root, run, node, key, depth, created, started"""
_CLAIM = f"""
    UPDATE tasks SET status = 'running', owner = ?, fencing = fencing + 1, attempt = attempt + 1, started = ?,
        reason = NULL
    WHERE n IN (
        SELECT n FROM tasks WHERE status = 'queued' AND queue = ? AND (expires = 0 OR expires > ?) {{which}}
        ORDER BY priority DESC, n LIMIT ?
    )
    RETURNING {_LEASED}
"""  # noqa: S608 - made of our own words alone, here and below
_MINE = "AND submitter = ?"
_SUSPECT = "AND is_redelivered = 1 AND attempt >= 2"
_CLEAR = "AND (is_redelivered = 0 OR attempt < 2)"
_CLAIM_ANY, _CLAIM_MINE = _CLAIM.format(which=_CLEAR), _CLAIM.format(which=f"{_CLEAR} {_MINE}")
_SUSPECT_ANY, _SUSPECT_MINE = _CLAIM.format(which=_SUSPECT), _CLAIM.format(which=f"{_SUSPECT} {_MINE}")
_END = """
    UPDATE tasks SET status = ?, attempt = ?, is_redelivered = ?, due = ?, reason = ?, result = ?, ended = ?,
        owner = NULL, is_cancelling = 0
    WHERE n = ? AND owner = ? AND fencing = ?
"""


def utc_ms(moment: datetime) -> int:
    """Milliseconds since the epoch, as stored."""
    return int(moment.timestamp() * 1000)


def insert(connection: Connection, tasks: Sequence[NewTask], owner: str) -> list[Lease | str]:
    """Write new tasks, in order. For each: the lease where its writer holds it, else the id of the task there is now.

    A task whose idempotency key is known already is not written; the id given is that of the one there is.
    """
    (last,) = row(connection, "SELECT coalesce(max(n), 0) FROM tasks") or (0,)
    n = int(last)
    columns: list[tuple[Value, ...]] = []
    found: list[Lease | str] = []
    for task in tasks:
        if task.idempotency_key:
            # Written one by one: the next of the same key must see it.
            execute_many(connection, _INSERT, columns)
            columns.clear()
            if (other := _same_key(connection, task)) is not None:
                found.append(other)
                continue
        n += 1
        is_held = task.status == "running"
        columns.append(_columns(task, n, owner if is_held else None))
        found.append(_lease_of(task, n) if is_held else task.id)
    execute_many(connection, _INSERT, columns)
    return found


def claim(
    connection: Connection,
    queue: str,
    count: int,
    owner: str,
    now_ms: int,
    *,
    only_mine: bool,
    with_suspect: bool = False,
) -> list[Lease]:
    """Take up to `count` waiting tasks of a queue, the most urgent and oldest first; no other process can take them too.

    One of them may be a suspect where `with_suspect` says so: of tasks whose process went down under them twice, a
    process runs one at a time, so that a third time blames the one that did it and not all that ran beside it.
    """
    found: list[Row] = []
    args: list[Value] = [owner, now_ms, queue, now_ms, *([owner] if only_mine else [])]
    if with_suspect:
        found = rows(connection, _SUSPECT_MINE if only_mine else _SUSPECT_ANY, [*args, 1])
    if len(found) < count:
        found += rows(connection, _CLAIM_MINE if only_mine else _CLAIM_ANY, [*args, count - len(found)])
    leases = [_lease(each) for each in found]
    leases.sort(key=lambda lease: (-lease.priority, lease.n))
    return leases


def end(
    connection: Connection, lease: Lease, state: State, result: bytes | None, owner: str, now_ms: int
) -> bool:
    """Write what became of a held task and let it go; False if this process does not hold it any more."""
    is_over = state.status not in ("queued", "retry_wait")
    reason = None if state.reason is None else _encode(state.reason)
    args: tuple[Value, ...] = (
        state.status, state.attempt, state.is_redelivered, state.due_ms,
        reason, result, now_ms if is_over else None,
        lease.n, owner, lease.fencing,
    )  # fmt: skip
    was_held = execute(connection, _END, args) == 1
    if was_held and not is_over:
        outcome = "failed" if state.status == "retry_wait" else "given_back"
        attempts.record(connection, lease.id, lease.attempt, lease.started_ms, now_ms, outcome, reason)
    return was_held


def change(connection: Connection, task_id: str, state: State, now_ms: int) -> None:
    """Write what became of a task nobody runs: refused, cancelled, asked for again, taken from a dead process."""
    is_over = state.status in ("blocked", "skipped", "cancelled", "expired", "unknown", "dead", "failed")
    if state.status == "queued":
        attempts.record_row(connection, task_id, now_ms)
    execute(
        connection,
        "UPDATE tasks SET status = ?, attempt = ?, is_redelivered = ?, due = ?, reason = ?, ended = ?, owner = NULL, "
        "is_cancelling = 0 WHERE id = ?",
        [
            state.status, state.attempt, state.is_redelivered, state.due_ms,
            None if state.reason is None else _encode(state.reason), now_ms if is_over else None, task_id,
        ],
    )  # fmt: skip


def queue_due(connection: Connection, now_ms: int) -> int:
    """Queue what is due now, the earliest first and at most `DUE_MAX`; how many. What else has a date stays as it is."""
    return execute(
        connection,
        "UPDATE tasks SET status = 'queued', due = 0, reason = NULL WHERE n IN (SELECT n FROM tasks "
        "INDEXED BY tasks_due WHERE due > 0 AND due <= ? AND status IN ('delayed', 'retry_wait') ORDER BY due LIMIT ?)",
        [now_ms, DUE_MAX],
    )


def ask_to_cancel(connection: Connection, task_id: str) -> None:
    """Leave word for the process that holds the task."""
    execute(connection, "UPDATE tasks SET is_cancelling = 1 WHERE id = ? AND owner IS NOT NULL", [task_id])


def add_lines(connection: Connection, lines: Sequence[Line]) -> None:
    """Add to the logs of tasks."""
    execute_many(
        connection,
        "INSERT OR IGNORE INTO task_logs VALUES(?,?,?,?,?)",
        [(line.task, line.number, utc_ms(line.at), line.level, line.text) for line in lines],
    )


def set_effect(connection: Connection, task_id: str, seq: int, state: str, detail: str) -> None:
    """Record how far an effect of a task got."""
    execute(
        connection,
        "INSERT INTO effects VALUES(?,?,?,?) ON CONFLICT DO UPDATE SET state = excluded.state, detail = excluded.detail",
        [task_id, seq, state, detail],
    )


def tell(connection: Connection, owner: str, events: Sequence[tuple[str, bytes]]) -> None:
    """Lay events out for the other processes on this journal; the oldest go where there are too many."""
    execute_many(
        connection,
        "INSERT INTO outbox(owner, kind, body) VALUES(?,?,?)",
        [(owner, kind, body) for kind, body in events],
    )
    execute(
        connection,
        "DELETE FROM outbox WHERE number <= (SELECT max(number) FROM outbox) - ?",
        [OUTBOX_KEPT],
    )


def join(connection: Connection, owner: str, pid: int, started: str, now_ms: int) -> None:
    """Write who this process is, before it holds anything."""
    execute(connection, "INSERT OR REPLACE INTO engines VALUES(?,?,?,?)", [owner, pid, started, now_ms])


def leave(connection: Connection, owner: str) -> None:
    """Take a process off the list; it holds nothing any more."""
    assert row(connection, "SELECT 1 FROM tasks WHERE owner = ? LIMIT 1", [owner]) is None
    execute(connection, "DELETE FROM engines WHERE owner = ?", [owner])


def purge(connection: Connection, before_ms: int, count_max: int) -> int:
    """Delete tasks that ended before, with all they left; at most `count_max`. How many went."""
    found = rows(
        connection,
        "SELECT n, id FROM tasks WHERE ended IS NOT NULL AND ended < ? AND status <> 'unknown' AND run = '' "
        "ORDER BY n LIMIT ?",
        [before_ms, count_max],
    )
    for n, task_id in found:
        execute(connection, "DELETE FROM task_logs WHERE task = ?", [task_id])
        execute(connection, "DELETE FROM effects WHERE task = ?", [task_id])
        attempts.forget(connection, task_id)
        execute(connection, "DELETE FROM tasks WHERE n = ?", [n])
    return len(found)


def _same_key(connection: Connection, task: NewTask) -> str | None:
    found = row(
        connection,
        "SELECT id FROM tasks WHERE idempotency_key = ? AND (created > ? OR ended IS NULL) ORDER BY n DESC LIMIT 1",
        [task.idempotency_key, task.created_ms - KEY_KEPT_MS],
    )
    return str(found[0]) if found else None


def _columns(task: NewTask, n: int, owner: str | None) -> tuple[Value, ...]:
    is_held = owner is not None
    is_over = task.status in ("succeeded", "failed", "blocked", "skipped", "cancelled", "expired")
    return (
        n, task.id, task.task, task.args, task.status, task.queue, task.priority, int(is_held), task.effect,
        None if task.retry is NO_RETRY else _encode(task.retry), task.due_ms, task.expires_ms, owner, int(is_held),
        task.submitter, task.idempotency_key or None, task.timeout_s, task.who, task.parent, task.root or task.id,
        task.run, task.node, task.key, task.depth, task.created_ms, task.created_ms if is_held else None,
        task.created_ms if is_over else None, None if task.reason is None else _encode(task.reason),
    )  # fmt: skip


def _lease_of(task: NewTask, n: int) -> Lease:
    return Lease(
        n=n, id=task.id, task=task.task, args=task.args, queue=task.queue, priority=task.priority, attempt=1,
        effect=task.effect, retry=task.retry, fencing=1, submitter=task.submitter, is_redelivered=False,
        timeout_s=task.timeout_s, who=task.who, parent=task.parent, root=task.root or task.id, run=task.run,
        node=task.node, key=task.key, depth=task.depth, created_ms=task.created_ms, started_ms=task.created_ms,
    )  # fmt: skip


def _lease(found: Row) -> Lease:
    (n, task_id, task, args, queue, priority, attempt, effect_class, retry, fencing, submitter, is_redelivered,
     timeout_s, who, parent, root, run, node, key, depth, created, started) = found  # fmt: skip
    return Lease(
        n=n, id=task_id, task=task, args=args, queue=queue, priority=priority, attempt=attempt, effect=effect_class,
        retry=NO_RETRY if retry is None else _read_retry(retry), fencing=fencing, submitter=submitter,
        is_redelivered=bool(is_redelivered), timeout_s=timeout_s, who=who, parent=parent, root=root, run=run,
        node=node, key=key, depth=depth, created_ms=created, started_ms=started,
    )  # fmt: skip
