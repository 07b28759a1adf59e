"""Chains and their runs on disk. As in `engine.journal`, each function takes a connection inside a transaction.

A run is its input, its version, and the tasks that ended in it in their order, each with what was decided on its edges
(`run_steps`): from these the walk through the chain is made again, by any process. The tasks themselves, also those that
will never run, are rows of `tasks`.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from legion_core.engine.chain import Chain
from legion_core.engine.lookup import moment_of
from legion_core.engine.run_types import RunRow
from legion_core.engine.types import Reason, RunStatus, TaskStatus
from legion_core.kernel.errors import NotFound
from legion_core.storage.sqlite import Connection, Row, Value, execute, execute_many, row, rows

VERSIONS_KEPT = 100  # of one chain, beside those that kept runs are of
RUNS_KEPT = 10_000  # that ended, of all chains


class RunState(msgspec.Struct, frozen=True, kw_only=True):
    """A run as it is carried on: how far it is, and by which transaction it came there (`mark`)."""

    id: str
    chain: str
    version: int
    status: RunStatus
    input: bytes
    pins: bytes
    is_dry: bool
    parent: str
    parent_run: str
    depth: int
    root: str
    who: str
    cancelled_by: str
    finished: int
    mark: str


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A task that ended, as `run_steps` has it; `decisions` and `held` are JSON, None for none."""

    seq: int
    key: str
    status: TaskStatus
    at_ms: int
    decisions: bytes | None
    held: bytes | None
    mark: str


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a chain as it is kept."""

    name: str
    version: int
    document: bytes
    text: str
    applied_ms: int
    who: str


_encode = msgspec.json.Encoder().encode
_read_reason = msgspec.json.Decoder(Reason).decode
_read_chain = msgspec.json.Decoder(Chain).decode
_STATE = """id, chain, version, status, input, pins, is_dry, parent, parent_run, depth, root, who, cancelled_by, finished,
    mark"""
_ROW = """n, id, chain, version, status, reason, is_dry, parent, parent_run, depth, replay_of, replay_from, who, created,
    ended"""


def chain_of(version: Version) -> Chain:
    """The chain of a stored version, with its number."""
    return msgspec.structs.replace(_read_chain(version.document), version=version.version)


# Definitions


def add_version(connection: Connection, chain: Chain, text: str, who: str, now_ms: int) -> int:
    """Keep a version and give its number; the newest one's where nothing changed."""
    document = _encode(msgspec.structs.replace(chain, version=0))
    last = row(
        connection,
        "SELECT version, document, is_deleted FROM chains WHERE name = ? ORDER BY version DESC LIMIT 1",
        [chain.name],
    )
    if last is not None and last[1] == document and not last[2]:
        execute(
            connection,
            "UPDATE chains SET text = ? WHERE name = ? AND version = ?",
            [text, chain.name, last[0]],
        )
        return int(last[0])
    version = int(last[0]) + 1 if last is not None else 1
    args: list[Value] = [chain.name, version, document, text, now_ms, who]
    execute(
        connection,
        "INSERT INTO chains(name, version, document, text, applied, who) VALUES(?,?,?,?,?,?)",
        args,
    )
    execute(
        connection,
        "DELETE FROM chains WHERE name = ?1 AND version <= ?2 - ?3 AND NOT EXISTS "
        "(SELECT 1 FROM runs WHERE chain = ?1 AND runs.version = chains.version)",
        [chain.name, version, VERSIONS_KEPT],
    )
    return version


def version_of(
    connection: Connection, name: str, version: int = 0, *, even_deleted: bool = False
) -> Version | None:
    """A version of a chain, the newest for 0; None if there is none (any more)."""
    where = "version = ?" if version else "version > ?"
    deleted = "" if even_deleted else "AND NOT is_deleted"
    found = row(
        connection,
        f"SELECT name, version, document, text, applied, who FROM chains WHERE name = ? AND {where} {deleted} "  # noqa: S608 - our own words
        "ORDER BY version DESC LIMIT 1",
        [name, version],
    )
    if found is None:
        return None
    name, number, document, text, applied, who = found
    return Version(name=name, version=number, document=document, text=text, applied_ms=applied, who=who)


def versions(connection: Connection, name: str) -> list[tuple[Version, int]]:
    """All versions of a chain, newest first, with how many runs are kept of each."""
    found = rows(
        connection,
        "SELECT name, version, document, text, applied, who, (SELECT count(*) FROM runs WHERE chain = chains.name AND "
        "runs.version = chains.version) FROM chains WHERE name = ? AND NOT is_deleted ORDER BY version DESC",
        [name],
    )
    return [
        (Version(name=n, version=v, document=d, text=t, applied_ms=a, who=w), int(runs))
        for n, v, d, t, a, w, runs in found
    ]


def newest(connection: Connection) -> list[Version]:
    """The newest version of every chain, by name."""
    found = rows(
        connection,
        "SELECT name, max(version), document, text, applied, who FROM chains WHERE NOT is_deleted GROUP BY name "
        "ORDER BY name",
    )
    return [Version(name=n, version=v, document=d, text=t, applied_ms=a, who=w) for n, v, d, t, a, w in found]


def delete(connection: Connection, name: str) -> bool:
    """Take a chain away: it cannot be run any more; runs under way go on with the version they began with."""
    return (
        execute(connection, "UPDATE chains SET is_deleted = 1 WHERE name = ? AND NOT is_deleted", [name]) > 0
    )


# Runs


def add_run(
    connection: Connection, state: RunState, now_ms: int, *, replay_of: str = "", replay_from: str = ""
) -> None:
    """Write a new run."""
    execute(
        connection,
        "INSERT INTO runs(id, chain, version, status, input, pins, is_dry, parent, parent_run, depth, root, replay_of, "
        "replay_from, who, finished, mark, created) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        [
            state.id, state.chain, state.version, state.status, state.input, state.pins, state.is_dry, state.parent,
            state.parent_run, state.depth, state.root, replay_of, replay_from, state.who, state.finished, state.mark,
            now_ms,
        ],
    )  # fmt: skip


def state_of(connection: Connection, run: str) -> RunState | None:
    """A run as it is carried on; None if there is none (any more)."""
    found = row(connection, f"SELECT {_STATE} FROM runs WHERE id = ?", [run])  # noqa: S608
    if found is None:
        return None
    (run_id, chain, version, status, given, pins, is_dry, parent, parent_run, depth, root, who, cancelled_by, finished,
     mark) = found  # fmt: skip
    return RunState(
        id=run_id, chain=chain, version=version, status=status, input=given, pins=pins, is_dry=bool(is_dry),
        parent=parent, parent_run=parent_run, depth=depth, root=root, who=who, cancelled_by=cancelled_by,
        finished=finished, mark=mark,
    )  # fmt: skip


def add_step(connection: Connection, run: str, step: Stored) -> None:
    """Write a task that ended, and how far the run is now."""
    execute(
        connection,
        "INSERT INTO run_steps VALUES(?,?,?,?,?,?,?,?)",
        [run, step.seq, step.key, step.status, step.at_ms, step.decisions, step.held, step.mark],
    )
    execute(connection, "UPDATE runs SET finished = ?, mark = ? WHERE id = ?", [step.seq, step.mark, run])


def steps(connection: Connection, run: str, *, behind: int = 0, limit: int = -1) -> list[Stored]:
    """The tasks that ended in a run, in their order, those behind a number."""
    found = rows(
        connection,
        "SELECT seq, key, status, at, decisions, held, mark FROM run_steps WHERE run = ? AND seq > ? ORDER BY seq LIMIT ?",
        [run, behind, limit],
    )
    return [_step(each) for each in found]


def step_at(connection: Connection, run: str, seq: int) -> Stored | None:
    """The task that ended as the `seq`-th."""
    found = row(
        connection,
        "SELECT seq, key, status, at, decisions, held, mark FROM run_steps WHERE run = ? AND seq = ?",
        [run, seq],
    )
    return _step(found) if found else None


def step_of(connection: Connection, run: str, key: str) -> Stored | None:
    """What was written when this task of a run ended."""
    found = row(
        connection,
        "SELECT seq, key, status, at, decisions, held, mark FROM run_steps WHERE run = ? AND key = ?",
        [run, key],
    )
    return _step(found) if found else None


def end_run(
    connection: Connection,
    run: str,
    status: RunStatus,
    reason: Reason | None,
    result: bytes | None,
    now_ms: int,
) -> None:
    """Nothing more follows."""
    execute(
        connection,
        "UPDATE runs SET status = ?, reason = ?, result = ?, ended = ? WHERE id = ?",
        [status, _encode(reason) if reason else None, result, now_ms, run],
    )


def set_cancelled(connection: Connection, run: str, who: str) -> None:
    """From now on nothing follows in it."""
    execute(connection, "UPDATE runs SET cancelled_by = ? WHERE id = ?", [who, run])


def add_origins(connection: Connection, found: Sequence[tuple[str, bytes]]) -> None:
    """Keep what led to tasks, where it is not just the one task before."""
    execute_many(connection, "INSERT INTO run_origins VALUES(?,?)", found)


def origins(connection: Connection, task: str) -> bytes | None:
    """What led to a task, if that was kept."""
    found = row(connection, "SELECT body FROM run_origins WHERE task = ?", [task])
    return bytes(found[0]) if found else None


def result_of(connection: Connection, run: str, node: str, key: str) -> bytes | None:
    """What a task of a run gave, as JSON; None if it gave nothing or is not there."""
    found = row(
        connection,
        "SELECT result FROM tasks INDEXED BY tasks_run WHERE run = ? AND run <> '' AND node = ? AND key = ?",
        [run, node, key],
    )
    return found[0] if found else None


def set_args(connection: Connection, task: str, fencing: int, args: bytes) -> None:
    """Keep the arguments that a task was begun with."""
    execute(connection, "UPDATE tasks SET args = ? WHERE id = ? AND fencing = ?", [args, task, fencing])


def has_living(connection: Connection, run: str) -> bool:
    """Whether a task of the run has not ended."""
    sql = (
        "SELECT 1 FROM tasks INDEXED BY tasks_run WHERE run = ? AND run <> '' AND status IN ('accepted', 'delayed', 'waiting_join', 'queued', 'leased', "
        "'running', 'retry_wait', 'unknown') LIMIT 1"
    )
    return row(connection, sql, [run]) is not None


def living(connection: Connection, run: str) -> list[tuple[str, str, str, str, str, int, str, bool]]:
    """The tasks of a run that have not ended: `(id, task, node, key, status, depth, owner, is_chain)`."""
    found = rows(
        connection,
        "SELECT id, task, node, key, status, depth, coalesce(owner, '') FROM tasks INDEXED BY tasks_run WHERE run = ? AND run <> '' AND status IN "
        "('accepted', 'delayed', 'waiting_join', 'queued', 'leased', 'running', 'retry_wait', 'unknown') ORDER BY n",
        [run],
    )
    return [
        (str(i), str(t), str(n), str(k), str(s), int(d), str(o), str(t).startswith("chain:"))
        for i, t, n, k, s, d, o in found
    ]


def child_of(connection: Connection, task: str) -> str:
    """The run a node with a sub-chain started; empty if there is none."""
    found = row(connection, "SELECT id FROM runs WHERE parent = ? AND parent <> ''", [task])
    return str(found[0]) if found else ""


def get_row(connection: Connection, run: str) -> RunRow:
    """A run at a glance; NotFound if there is none."""
    found = row(connection, f"SELECT {_ROW} FROM runs WHERE id = ?", [run])  # noqa: S608
    if found is None:
        raise unknown_run(run)
    return row_of(found)[1]


def page(
    connection: Connection, *, chain: str, status: str, below: int, limit: int
) -> list[tuple[int, RunRow]]:
    """Runs, newest first, with their place: the next page begins below the last one's."""
    where, args = ["1"], list[Value]()
    for column, value in (("chain", chain), ("status", status)):
        if value:
            where.append(f"{column} = ?")
            args.append(value)
    if below:
        where.append("n < ?")
        args.append(below)
    sql = f"SELECT {_ROW} FROM runs WHERE {' AND '.join(where)} ORDER BY n DESC LIMIT ?"  # noqa: S608
    return [row_of(each) for each in rows(connection, sql, [*args, limit])]


def counts(connection: Connection) -> dict[str, tuple[int, int]]:
    """By chain: how many runs are kept, and how many of them go on."""
    found = rows(connection, "SELECT chain, count(*), sum(status = 'running') FROM runs GROUP BY chain")
    return {str(chain): (int(count), int(running or 0)) for chain, count, running in found}


def latest(connection: Connection, chain: str) -> RunRow | None:
    """The newest run of a chain that was no dry one."""
    found = row(
        connection,
        f"SELECT {_ROW} FROM runs WHERE chain = ? AND NOT is_dry ORDER BY n DESC LIMIT 1",  # noqa: S608
        [chain],
    )
    return row_of(found)[1] if found else None


def purge(connection: Connection, before_ms: int, count_max: int) -> int:
    """Delete runs that ended before, and the oldest beyond `RUNS_KEPT`, with all they left. How many went.

    A run goes together with the run it is a part of.
    """
    (kept,) = row(connection, "SELECT count(*) FROM runs WHERE ended IS NOT NULL AND parent = ''") or (0,)
    too_many = min(max(0, int(kept) - RUNS_KEPT), count_max)
    found = rows(
        connection,
        "SELECT id FROM runs WHERE ended IS NOT NULL AND ended < ?1 AND parent = '' "
        "UNION SELECT id FROM (SELECT id FROM runs WHERE ended IS NOT NULL AND parent = '' ORDER BY n LIMIT ?2) LIMIT ?3",
        [before_ms, too_many, count_max],
    )
    gone = 0
    for (root,) in found:
        for (run,) in rows(connection, "SELECT id FROM runs WHERE id = ?1 OR root = ?1", [root]):
            _forget(connection, str(run))
            gone += 1
    execute(
        connection,
        "DELETE FROM chains WHERE is_deleted AND NOT EXISTS "
        "(SELECT 1 FROM runs WHERE runs.chain = chains.name AND runs.version = chains.version) AND version < "
        "(SELECT max(version) FROM chains AS other WHERE other.name = chains.name)",
    )
    return gone


def _forget(connection: Connection, run: str) -> None:
    mine = "(SELECT id FROM tasks INDEXED BY tasks_run WHERE run = ? AND run <> '')"
    for sql in (
        f"DELETE FROM run_origins WHERE task IN {mine}",  # noqa: S608
        f"DELETE FROM task_logs WHERE task IN {mine}",  # noqa: S608
        f"DELETE FROM effects WHERE task IN {mine}",  # noqa: S608
        f"DELETE FROM task_attempts WHERE task IN {mine}",  # noqa: S608
        "DELETE FROM tasks INDEXED BY tasks_run WHERE run = ? AND run <> ''",
        "DELETE FROM run_steps WHERE run = ?",
        "DELETE FROM runs WHERE id = ?",
    ):
        execute(connection, sql, [run])


def unknown_run(run: str) -> NotFound:
    """What is said of a run that is not there."""
    return NotFound(f"There is no run {run[:80]!r}.", hint="`legion chain runs NAME` shows the latest.")


def unknown_chain(name: str, version: int = 0) -> NotFound:
    """What is said of a chain that is not there."""
    which = f" of version {version}" if version else ""
    return NotFound(
        f"There is no chain {name[:80]!r}{which}.", hint="`legion chain list` shows what there is."
    )


def _step(found: Row) -> Stored:
    seq, key, status, at, decisions, held, mark = found
    return Stored(seq=seq, key=key, status=status, at_ms=at, decisions=decisions, held=held, mark=mark)


def row_of(found: Row) -> tuple[int, RunRow]:
    """A run at a glance, with its place among all."""
    (n, run, chain, version, status, reason, is_dry, parent, parent_run, depth, replay_of, replay_from, who, created,
     ended) = found  # fmt: skip
    made: dict[str, Any] = {"created_at": moment_of(created), "ended_at": moment_of(ended)}
    return int(n), RunRow(
        id=run, chain=chain, version=version, status=status, reason=_read_reason(reason) if reason else None,
        is_dry=bool(is_dry), parent=parent, parent_run=parent_run, depth=depth, replay_of=replay_of,
        replay_from=replay_from, who=who, **made,
    )  # fmt: skip
