"""Schedules on disk: each with its next moment, and one row for every moment that was decided, ever.

As in `engine.journal`, each function takes a connection inside a transaction. `occurrences` is unique by schedule and
moment, and `fencing` grows with every decision: of two processes that decide the same moment, one finds it decided.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import msgspec

from legion_core.engine.schedule_plan import Timing, moment_at, timing_of
from legion_core.engine.schedule_types import Occurrence, OccurrenceStatus, ScheduleSpec, ScheduleState
from legion_core.engine.types import Reason
from legion_core.kernel.errors import Conflict, NotFound
from legion_core.storage.sqlite import Connection, Row, Value, execute, row, rows

OCCURRENCES_KEPT = 10_000  # of one schedule; the oldest go
_PRUNE_EVERY = 100

_encode = msgspec.json.Encoder().encode
_read_spec = msgspec.json.Decoder(ScheduleSpec).decode
_read_reason = msgspec.json.Decoder(Reason).decode
_COLUMNS = "id, name, spec, who, state, problem, anchor, due, next, fencing, running, created, changed"
_MOMENT = "schedule, at, decided, status, task, run, reason, count, fencing, owner"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A schedule as it is kept. Times are UTC milliseconds.

    `due_ms` is its first moment not yet decided, `next_ms` when that is taken up; both 0 while it waits for none.
    `running` is what it started last: the id of a task or of a run.
    """

    id: str
    spec: ScheduleSpec
    who: str
    state: ScheduleState
    anchor_ms: int
    due_ms: int
    next_ms: int
    created_ms: int
    changed_ms: int
    problem: str = ""
    fencing: int = 0
    running: str = ""

    @property
    def timing(self) -> Timing:
        """When it is due."""
        return timing_of(self.spec, self.anchor_ms)


def insert(connection: Connection, schedule: Stored) -> bool:
    """Keep a new one; False if the name is taken."""
    if row(connection, "SELECT 1 FROM schedules WHERE name = ?", [schedule.spec.name]) is not None:
        return False
    execute(
        connection,
        f"INSERT INTO schedules({_COLUMNS}) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?)",
        [
            schedule.id, schedule.spec.name, _encode(schedule.spec), schedule.who, schedule.state, schedule.problem,
            schedule.anchor_ms, schedule.due_ms, schedule.next_ms, schedule.fencing, schedule.running, schedule.created_ms,
            schedule.changed_ms,
        ],
    )  # fmt: skip
    return True


def update(connection: Connection, schedule: Stored) -> bool:
    """Write what changed, if nobody decided anything since it was read; `fencing` of the argument is the one read."""
    args: list[Value] = [
        _encode(schedule.spec), schedule.state, schedule.problem, schedule.anchor_ms, schedule.due_ms,
        schedule.next_ms, schedule.running, schedule.changed_ms, schedule.id, schedule.fencing,
    ]  # fmt: skip
    return execute(connection, _UPDATE, args) == 1


_UPDATE = """UPDATE schedules SET spec = ?, state = ?, problem = ?, anchor = ?, due = ?, next = ?, running = ?,
    changed = ?,
    fencing = fencing + 1 WHERE id = ? AND fencing = ?"""


def advance(connection: Connection, schedule: Stored, due_ms: int, next_ms: int) -> bool:
    """Take the decision about what is due: when it is due again; False if another process decided first."""
    sql = "UPDATE schedules SET due = ?, next = ?, fencing = fencing + 1 WHERE id = ? AND fencing = ?"
    return execute(connection, sql, [due_ms, next_ms, schedule.id, schedule.fencing]) == 1


def started(connection: Connection, schedule_id: str, running: str) -> None:
    """What it started last."""
    execute(connection, "UPDATE schedules SET running = ? WHERE id = ?", [running, schedule_id])


def rename(connection: Connection, schedule_id: str, name: str) -> None:
    """Give it another name; Conflict if that is taken."""
    if row(connection, "SELECT 1 FROM schedules WHERE name = ?", [name]) is not None:
        raise Conflict(f"There is a schedule {name!r} already.", hint="Choose another name.")
    execute(connection, "UPDATE schedules SET name = ? WHERE id = ?", [name, schedule_id])


def remove(connection: Connection, schedule_id: str) -> None:
    """With all its moments."""
    execute(connection, "DELETE FROM occurrences WHERE schedule = ?", [schedule_id])
    execute(connection, "DELETE FROM schedules WHERE id = ?", [schedule_id])


def every(connection: Connection) -> list[Stored]:
    """All of them by name."""
    return [
        _stored(each)
        for each in rows(connection, f"SELECT {_COLUMNS} FROM schedules ORDER BY name")  # noqa: S608
    ]


def named(connection: Connection, name: str) -> Stored:
    """One of them; NotFound."""
    found = row(connection, f"SELECT {_COLUMNS} FROM schedules WHERE name = ?", [name])  # noqa: S608
    if found is None:
        raise NotFound(
            f"There is no schedule {name[:80]!r}.", hint="`legion schedule list` shows those there are."
        )
    return _stored(found)


def by_id(connection: Connection, schedule_id: str) -> Stored | None:
    """One of them, None once it was removed."""
    found = row(connection, f"SELECT {_COLUMNS} FROM schedules WHERE id = ?", [schedule_id])  # noqa: S608
    return None if found is None else _stored(found)


def due(connection: Connection, now_ms: int, limit: int) -> list[Stored]:
    """Those whose moment has come, longest due first."""
    found = rows(
        connection,
        f"SELECT {_COLUMNS} FROM schedules WHERE next > 0 AND next <= ? ORDER BY next LIMIT ?",  # noqa: S608
        [now_ms, limit],
    )
    return [_stored(each) for each in found]


def next_due(connection: Connection) -> int:
    """The earliest moment of all; 0 if there is none."""
    found = row(connection, "SELECT min(next) FROM schedules WHERE next > 0")
    return int(found[0] or 0) if found else 0


def ahead_of(connection: Connection, now_ms: int) -> list[Stored]:
    """Those that wait for something: asked after the clock was set back, as some may now wait for too long."""
    found = rows(
        connection,
        f"SELECT {_COLUMNS} FROM schedules WHERE next > ?",  # noqa: S608
        [now_ms],
    )
    return [_stored(each) for each in found]


def note(connection: Connection, schedule_id: str, occurrence: Occurrence) -> bool:
    """Write down what became of a moment; False if it was decided before."""
    done = execute(
        connection,
        f"INSERT OR IGNORE INTO occurrences({_MOMENT}) VALUES(?,?,?,?,?,?,?,?,?,?)",
        [
            schedule_id, _ms(occurrence.at), _ms(occurrence.decided_at), occurrence.status, occurrence.task,
            occurrence.run, None if occurrence.reason is None else _encode(occurrence.reason), occurrence.count,
            occurrence.fencing, occurrence.by,
        ],
    )  # fmt: skip
    if done and occurrence.fencing % _PRUNE_EVERY == 0:
        execute(
            connection,
            "DELETE FROM occurrences WHERE schedule = ?1 AND at < (SELECT at FROM occurrences WHERE schedule = ?1 "
            "ORDER BY at DESC LIMIT 1 OFFSET ?2) AND status <> 'waiting'",
            [schedule_id, OCCURRENCES_KEPT],
        )
    return bool(done)


def is_decided(connection: Connection, schedule_id: str, at_ms: int) -> bool:
    """Whether this moment has its row."""
    return (
        row(connection, "SELECT 1 FROM occurrences WHERE schedule = ? AND at = ?", [schedule_id, at_ms])
        is not None
    )


def settle(connection: Connection, schedule_id: str, occurrence: Occurrence) -> None:
    """A moment that waited: what became of it."""
    execute(
        connection,
        "UPDATE occurrences SET status = ?, task = ?, run = ?, reason = ?, decided = ?, fencing = ?, owner = ? "
        "WHERE schedule = ? AND at = ? AND status = 'waiting'",
        [
            occurrence.status, occurrence.task, occurrence.run,
            None if occurrence.reason is None else _encode(occurrence.reason), _ms(occurrence.decided_at),
            occurrence.fencing, occurrence.by, schedule_id, _ms(occurrence.at),
        ],
    )  # fmt: skip


def waiting(connection: Connection, schedule_id: str) -> list[int]:
    """The moments of a schedule that wait for the run before them, oldest first."""
    found = rows(
        connection,
        "SELECT at FROM occurrences WHERE schedule = ? AND status = 'waiting' ORDER BY at",
        [schedule_id],
    )
    return [int(at) for (at,) in found]


def holding_back(connection: Connection) -> list[Stored]:
    """Schedules of which a moment waits."""
    names = ", ".join(f"s.{name}" for name in _COLUMNS.split(", "))
    found = rows(
        connection,
        f"SELECT DISTINCT {names} FROM schedules s JOIN occurrences o ON o.schedule = s.id "  # noqa: S608
        "WHERE o.status = 'waiting'",
    )
    return [_stored(each) for each in found]


def latest(connection: Connection, schedule: Stored) -> Occurrence | None:
    """The latest moment decided."""
    found = _moments(connection, schedule, 0, 1)
    return found[0][1] if found else None


def page(connection: Connection, schedule: Stored, below_ms: int, limit: int) -> list[tuple[int, Occurrence]]:
    """Moments, latest first, each with its place: the next page begins `below` the last one's."""
    return _moments(connection, schedule, below_ms, limit)


def _moments(
    connection: Connection, schedule: Stored, below_ms: int, limit: int
) -> list[tuple[int, Occurrence]]:
    where, args = "schedule = ?", list[Value]([schedule.id])
    if below_ms:
        where += " AND at < ?"
        args.append(below_ms)
    found = rows(
        connection,
        f"SELECT {_MOMENT} FROM occurrences WHERE {where} ORDER BY at DESC LIMIT ?",  # noqa: S608
        [*args, limit],
    )
    return [(int(each[1]), _occurrence(schedule.spec.name, each)) for each in found]


def _occurrence(name: str, found: Row) -> Occurrence:
    (_, at, decided, status, task, run, reason, count, fencing, owner) = found
    return Occurrence(
        schedule=name, at=moment_at(at), decided_at=moment_at(decided), status=cast(OccurrenceStatus, status),
        task=task, run=run, reason=_read_reason(reason) if reason else None, count=count, fencing=fencing, by=owner,
    )  # fmt: skip


def _stored(found: Sequence[Any]) -> Stored:
    (
        schedule_id,
        _,
        spec,
        who,
        state,
        problem,
        anchor,
        due_ms,
        next_ms,
        fencing,
        running,
        created,
        changed,
    ) = found
    return Stored(
        id=schedule_id, spec=_read_spec(spec), who=who, state=cast(ScheduleState, state), problem=problem,
        anchor_ms=anchor, due_ms=due_ms, next_ms=next_ms, fencing=fencing, running=running, created_ms=created, changed_ms=changed,
    )  # fmt: skip


def _ms(moment: Any) -> int:
    return round(moment.timestamp() * 1000)
