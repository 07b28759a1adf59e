"""The log of a conversation: what was said and answered is in its messages, all else that happened to it here.

Each function takes a connection inside a transaction. Nothing is taken out of the log: what is undone is named as undone.
"""

from datetime import datetime

from legion_core.gateway.conversation_types import LogEntry
from legion_core.kernel.errors import Conflict
from legion_core.storage.sqlite import Connection, Value, execute, row, rows

WHATS = {"titled": "title", "pinned": "is_pinned", "trashed": "trashed_at", "shown": "head_id"}
ENTRIES_MAX = 10_000


def note(connection: Connection, conversation_id: str, at: str, what: str, was: str, now: str) -> None:
    """Within a write: one more entry."""
    sql = "INSERT INTO conversation_log(conversation_id, at, what, was, now) VALUES(?,?,?,?,?)"
    execute(connection, sql, [conversation_id, at, what, was, now])


def read_log(connection: Connection, conversation_id: str) -> tuple[LogEntry, ...]:
    """Messages and changes in order of time, the newest ten thousand of each."""
    messages = rows(
        connection,
        "SELECT created_at, role, id, coalesce(parent_id, '') FROM messages WHERE conversation_id = ? ORDER BY n DESC LIMIT ?",
        [conversation_id, ENTRIES_MAX],
    )
    found = [
        LogEntry(
            at=datetime.fromisoformat(str(at)),
            what="said" if role == "user" else "answered" if role == "assistant" else "called",
            message=str(name),
            was=str(parent),
        )
        for at, role, name, parent in reversed(messages)
    ]
    changes = rows(
        connection,
        "SELECT n, at, what, was, now, undone_by FROM conversation_log WHERE conversation_id = ? ORDER BY n DESC LIMIT ?",
        [conversation_id, ENTRIES_MAX],
    )
    found += [_entry(*each) for each in reversed(changes)]
    return tuple(sorted(found, key=lambda entry: entry.at))


def undo_last(connection: Connection, conversation_id: str, at: str) -> LogEntry:
    """Within a write: take back the last change that stands, and note that too."""
    found = row(
        connection,
        "SELECT n, at, what, was, now, undone_by FROM conversation_log WHERE conversation_id = ? AND undone_by IS NULL "
        "AND what IN ('titled', 'pinned', 'trashed', 'shown') ORDER BY n DESC LIMIT 1",
        [conversation_id],
    )
    if found is None:
        raise Conflict(
            "There is nothing to undo in this chat.", hint="Titles, pins, the trash and branches are undone."
        )
    number, happened_at, what, was, now, _ = found
    value: Value = int(was) if what == "pinned" else str(was) if was or what == "titled" else None
    column = WHATS[str(what)]
    execute(connection, f"UPDATE conversations SET {column} = ? WHERE id = ?", [value, conversation_id])  # noqa: S608 - a constant
    note(connection, conversation_id, at, f"un{what}", str(now), str(was))
    by = connection.last_insert_rowid()
    execute(connection, "UPDATE conversation_log SET undone_by = ? WHERE n = ?", [by, number])
    return _entry(int(number), str(happened_at), str(what), str(was), str(now), by)


def _entry(number: int, at: str, what: str, was: str, now: str, undone_by: int | None) -> LogEntry:
    return LogEntry(
        at=datetime.fromisoformat(at),
        what=what,
        was=was,
        now=now,
        number=number if what in WHATS else 0,
        is_undone=undone_by is not None,
    )
