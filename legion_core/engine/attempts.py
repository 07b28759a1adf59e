"""Each try of a task: when it began, when it ended, and how. Functions of a transaction, as in `engine.journal`.

The last try stands in the task's own row, so a task that is tried once writes nothing here.
"""

from datetime import UTC, datetime

import msgspec

from legion_core.engine.types import Attempt, Reason
from legion_core.storage.sqlite import Connection, Migration, execute, rows

KEPT_MAX = 200  # tries of one task; a person may have it tried again for ever

MIGRATIONS = (
    Migration(
        name="engine-0003",
        sql="""
        CREATE TABLE task_attempts(
            n INTEGER PRIMARY KEY, task TEXT NOT NULL, number INTEGER NOT NULL, started INTEGER NOT NULL,
            ended INTEGER NOT NULL, outcome TEXT NOT NULL, reason BLOB
        );
        CREATE INDEX task_attempts_task ON task_attempts(task, n);
        """,
    ),
)

_read_reason = msgspec.json.Decoder(Reason).decode


def record(
    connection: Connection, task_id: str, number: int, started_ms: int, now_ms: int, outcome: str, reason: bytes | None
) -> None:  # fmt: skip
    """A try is over and the task goes on; the oldest go where there are too many."""
    execute(
        connection,
        "INSERT INTO task_attempts(task, number, started, ended, outcome, reason) VALUES(?,?,?,?,?,?)",
        [task_id, number, started_ms, now_ms, outcome, reason],
    )
    execute(
        connection,
        "DELETE FROM task_attempts WHERE task = ?1 AND n <= "
        "(SELECT n FROM task_attempts WHERE task = ?1 ORDER BY n DESC LIMIT 1 OFFSET ?2)",
        [task_id, KEPT_MAX],
    )


def record_row(connection: Connection, task_id: str, now_ms: int) -> None:
    """Keep the try that stands in the task's row, before the task is queued anew: lost with its process, or as it ended."""
    execute(
        connection,
        "INSERT INTO task_attempts(task, number, started, ended, outcome, reason) "
        "SELECT id, attempt, started, coalesce(ended, ?1), iif(owner IS NULL, status, 'lost'), reason FROM tasks "
        "WHERE id = ?2 AND started IS NOT NULL AND (owner IS NOT NULL OR ended IS NOT NULL)",
        [now_ms, task_id],
    )


def forget(connection: Connection, task_id: str) -> None:
    """With the task."""
    execute(connection, "DELETE FROM task_attempts WHERE task = ?", [task_id])


def of_task(connection: Connection, task_id: str) -> tuple[Attempt, ...]:
    """All that are over and after which the task went on, oldest first."""
    found = rows(
        connection,
        "SELECT number, started, ended, outcome, reason FROM task_attempts WHERE task = ? ORDER BY n",
        [task_id],
    )
    return tuple(
        Attempt(
            number=int(number),
            started_at=datetime.fromtimestamp(started / 1000, UTC),
            ended_at=datetime.fromtimestamp(ended / 1000, UTC),
            outcome=str(outcome),
            reason=_read_reason(reason) if reason else None,
        )
        for number, started, ended, outcome, reason in found
    )
