"""Leases: one process of all on the journal holds a name, until it ends; `fencing` grows with every holder.

A lease does not run out: its holder is a process, and whether that lives is known, not guessed from a time-out. So a
holder that was stopped for an hour still holds, and nobody acts beside it. As in `engine.journal`, each function takes a
connection inside a transaction.
"""

from dataclasses import dataclass

from legion_core.engine import journal
from legion_core.storage.sqlite import Connection, execute, row


@dataclass(frozen=True, slots=True)
class Lease:
    """Who holds a name, and the how-manyeth holder that is."""

    owner: str
    fencing: int


def take(connection: Connection, name: str, owner: str, process: tuple[int, str], now_ms: int) -> Lease:
    """Hold `name` if nobody alive does; gives who holds it now. `process` is ours: pid and when it began."""
    if row(connection, "SELECT 1 FROM engines WHERE owner = ?", [owner]) is None:
        journal.join(connection, owner, *process, now_ms)  # or the others would take us for dead
    found = row(
        connection,
        "SELECT l.owner, l.fencing, e.owner FROM leases l LEFT JOIN engines e ON e.owner = l.owner WHERE l.name = ?",
        [name],
    )
    if found is not None and found[2] is not None:
        return Lease(str(found[0]), int(found[1]))
    fencing = 1 if found is None else int(found[1]) + 1
    execute(connection, "INSERT OR REPLACE INTO leases VALUES(?,?,?,?)", [name, owner, fencing, now_ms])
    return Lease(owner, fencing)


def holds(connection: Connection, name: str, lease: Lease) -> bool:
    """Whether this lease is still the one in force: asked in the transaction that acts on it."""
    return (
        row(
            connection,
            "SELECT 1 FROM leases WHERE name = ? AND owner = ? AND fencing = ?",
            [name, lease.owner, lease.fencing],
        )
        is not None
    )


def let_go(connection: Connection, owner: str, name: str = "") -> None:
    """Give back one name, or all that `owner` holds; the number of holders is kept."""
    sql = "UPDATE leases SET owner = '' WHERE owner = ?"
    if name:
        execute(connection, f"{sql} AND name = ?", [owner, name])
    else:
        execute(connection, sql, [owner])
