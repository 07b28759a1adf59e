"""The audit log in the journal: what is recorded is written in the same transaction as what it is about."""

from collections.abc import Iterator, Sequence
from typing import Final

from legion_core.rbac.audit_chain import (
    BROKEN,
    GENESIS,
    Entry,
    Mark,
    Note,
    is_anchored,
    is_vouched,
    linked,
    mark_of,
)
from legion_core.storage.sqlite import Connection, Migration, Row, execute, execute_many, row, rows

MIGRATIONS: Final = (
    Migration(
        "audit-0001",
        """
        CREATE TABLE audit (
            seq INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, kind TEXT NOT NULL, who TEXT NOT NULL,
            path TEXT NOT NULL, action TEXT NOT NULL, outcome TEXT NOT NULL, detail TEXT NOT NULL,
            prev BLOB NOT NULL, hash BLOB NOT NULL, seal BLOB NOT NULL
        ) STRICT;
        CREATE TABLE audit_marks (
            word TEXT PRIMARY KEY, seq INTEGER NOT NULL, hash BLOB NOT NULL, seal BLOB NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE audit_keys (id TEXT PRIMARY KEY, place TEXT NOT NULL, since INTEGER NOT NULL) STRICT;
        """,
    ),
)
_COLUMNS = "seq, at_us, kind, who, path, action, outcome, detail, prev, hash, seal"
PAGE: Final = 5_000


def append(connection: Connection, key: bytes, at_us: int, notes: Sequence[Note]) -> Mark:
    """Write `notes` behind the last entry and give the new head. Part of the caller's transaction."""
    before = mark(connection, "head")
    # What was anchored once stays so: the word of the seal is all that tells that there is a head elsewhere.
    word = "anchored" if is_anchored(key, before) else "head"
    if before is None or not is_vouched(key, word, before):
        before, notes = _found(connection, before, notes)
    made = linked(key, before, at_us, notes)
    if not made:
        return before
    execute_many(
        connection,
        f"INSERT INTO audit ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
        [
            (
                each.seq, each.at_us, each.kind, each.who, each.path, each.action, each.outcome, each.detail, each.prev,
                each.hash, each.seal,
            )
            for each in made
        ],
    )  # fmt: skip
    head = mark_of(key, word, made[-1].seq, made[-1].hash)
    _set_mark(connection, "head", head)
    return head


def _found(connection: Connection, head: Mark | None, notes: Sequence[Note]) -> tuple[Mark, Sequence[Note]]:
    """Where to go on when the head cannot be relied on: what is amiss is said first, so that going on hides nothing."""
    last = row(connection, "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")
    if head is None and last is None:
        return Mark(seq=0, hash=GENESIS, seal=b""), notes
    seq = max(head.seq if head else 0, last[0] if last else 0)
    why = "there is no head" if head is None else "the head is not vouched for"
    said = Note(kind=BROKEN, who="workbench", path="audit", action="write", outcome="failed", detail=why)
    return Mark(seq=seq, hash=last[1] if last else GENESIS, seal=b""), (said, *notes)


def mark(connection: Connection, word: str) -> Mark | None:
    """The `head` or the `base`, if there is one."""
    found = row(connection, "SELECT seq, hash, seal FROM audit_marks WHERE word = ?", [word])
    return None if found is None else Mark(seq=found[0], hash=found[1], seal=found[2])


def set_anchored(connection: Connection, key: bytes) -> None:
    """Say in the seal of the head that it is kept elsewhere too, if that is not said yet. The caller's transaction."""
    head = mark(connection, "head")
    if head is not None and is_vouched(key, "head", head):
        _set_mark(connection, "head", mark_of(key, "anchored", head.seq, head.hash))


def _set_mark(connection: Connection, word: str, given: Mark) -> None:
    execute(
        connection,
        "INSERT INTO audit_marks VALUES (?, ?, ?, ?) ON CONFLICT (word) DO UPDATE "
        "SET seq = excluded.seq, hash = excluded.hash, seal = excluded.seal",
        [word, given.seq, given.hash, given.seal],
    )


def every(connection: Connection, after: int = 0, to: int | None = None) -> Iterator[Entry]:
    """All entries behind `after`, oldest first, a page at a time."""
    while True:
        found = rows(
            connection,
            f"SELECT {_COLUMNS} FROM audit WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?",  # noqa: S608
            [after, (1 << 62) if to is None else to, PAGE],
        )
        for each in found:
            yield _entry(each)
        if len(found) < PAGE:
            return
        after = found[-1][0]


def latest(
    connection: Connection,
    *,
    below: int = 0,
    limit: int = 100,
    kind: str = "",
    who: str = "",
    outcome: str = "",
) -> list[Entry]:
    """Newest first; `kind` also takes the beginning of one, up to a dot."""
    where, args = ["1"], list[str | int]()
    if below:
        where.append("seq < ?")
        args.append(below)
    if kind:
        where.append("(kind = ? OR substr(kind, 1, ?) = ?)")
        args += [kind, len(kind) + 1, f"{kind}."]
    for column, value in (("who", who), ("outcome", outcome)):
        if value:
            where.append(f"{column} = ?")
            args.append(value)
    found = rows(
        connection,
        f"SELECT {_COLUMNS} FROM audit WHERE {' AND '.join(where)} ORDER BY seq DESC LIMIT ?",  # noqa: S608
        [*args, limit],
    )
    return [_entry(each) for each in found]


def cut(connection: Connection, key: bytes, upto: int) -> None:
    """Let go of the entries up to `upto`, which are kept elsewhere; what stays hangs on the base. The caller's transaction."""
    found = row(connection, "SELECT hash FROM audit WHERE seq = ?", [upto])
    if found is None:
        return
    _set_mark(connection, "base", mark_of(key, "base", upto, found[0]))
    execute(connection, "DELETE FROM audit WHERE seq <= ?", [upto])


def key_in_use(connection: Connection) -> tuple[str, str] | None:
    """The newest key's id, and where it lies."""
    found = row(connection, "SELECT id, place FROM audit_keys ORDER BY since DESC, rowid DESC LIMIT 1")
    return None if found is None else (str(found[0]), str(found[1]))


def note_key(connection: Connection, key_id: str, place: str, instead_of: str = "") -> bool:
    """Say which key seals from now on; False if another process said so first."""
    known = key_in_use(connection)
    if (known[0] if known else "") != instead_of:
        return False
    head = mark(connection, "head")
    execute(connection, "INSERT INTO audit_keys VALUES (?, ?, ?)", [key_id, place, head.seq if head else 0])
    return True


def _entry(found: Row) -> Entry:
    seq, at_us, kind, who, path, action, outcome, detail, prev, digest, seal = found
    return Entry(
        seq=seq, at_us=at_us, kind=kind, who=who, path=path, action=action, outcome=outcome, detail=detail, prev=prev,
        hash=digest, seal=seal,
    )  # fmt: skip
