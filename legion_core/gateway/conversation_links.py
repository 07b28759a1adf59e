"""Whether what is stored is what was written: every text against its hash, every message against its link.

Each function takes a connection inside a transaction and looks at a bounded piece, so a large journal is checked while it is
used. Messages that an earlier version wrote get their form and their link here, a piece at a time.
"""

from collections.abc import Sequence

import msgspec

from legion_core.gateway.conversation_rows import Stored, batch, record_of
from legion_core.gateway.conversation_types import Damage
from legion_core.gateway.conversation_writing import store_anew
from legion_core.gateway.packing import is_packed, link, names, unpack, unpack_record
from legion_core.gateway.texts import expanded, hash_of
from legion_core.storage.sqlite import Connection, Value, row, rows

CHECKED_AT_ONCE = 100
ANEW_AT_ONCE = 50
ANEW_BYTES = 2_000_000


def store_older_anew(connection: Connection, after: int) -> int | None:
    """Within a write: some messages of an earlier version behind place `after`; where to go on, None at the end."""
    found = batch(
        connection,
        "hash IS NULL AND status <> 'streaming' AND n > ? ORDER BY n LIMIT ?",
        [after, ANEW_AT_ONCE],
    )
    done_bytes, last = 0, None
    for one in found:
        if done_bytes > ANEW_BYTES:
            break
        done_bytes += len(one.content)
        last = one.n
        try:
            store_anew(connection, one)
        except msgspec.DecodeError:
            continue  # it is damaged: it stays as it is, and a check names it
    return last


def check(
    connection: Connection, conversation_id: str | None, after: int
) -> tuple[int | None, int, int, list[Damage]]:
    """Some messages behind place `after`: where to go on (None at the end), messages, texts, and what is damaged."""
    where, args = "n > ?", list[Value]([after])
    if conversation_id is not None:
        where, args = "conversation_id = ? AND n > ?", [conversation_id, after]
    found = batch(connection, f"{where} ORDER BY n LIMIT ?", [*args, CHECKED_AT_ONCE])
    damaged, texts = list[Damage](), 0
    for one in found:
        faults, looked_at = _faults_of(connection, one)
        texts += looked_at
        damaged += [_named(connection, one, what) for what in faults]
    return (found[-1].n if len(found) == CHECKED_AT_ONCE else None), len(found), texts, damaged


def check_archive(
    connection: Connection, conversation_id: str | None, after: str
) -> tuple[str | None, int, list[Damage]]:
    """Some texts that curation moved away, behind the key `after`."""
    found = rows(
        connection,
        "SELECT a.curation || char(31) || a.key, c.conversation, a.key, a.hash, t.data FROM curation_archive a "
        "JOIN curations c ON c.id = a.curation LEFT JOIN texts t ON t.hash = a.hash "
        "WHERE a.curation || char(31) || a.key > ? AND (? IS NULL OR c.conversation = ?) ORDER BY 1 LIMIT ?",
        [after, conversation_id, conversation_id, CHECKED_AT_ONCE],
    )
    damaged = [
        Damage(conversation=str(conversation), what=f"The text {key} that curation moved away is {fault}.")
        for _, conversation, key, name, data in found
        if (fault := _fault(bytes(name), data))
    ]
    return (str(found[-1][0]) if len(found) == CHECKED_AT_ONCE else None), len(found), damaged


def sizes(connection: Connection) -> tuple[int, int]:
    """Bytes that are stored for what was said, and bytes that were said."""
    stored = row(
        connection,
        "SELECT coalesce((SELECT sum(length(data) + length(hash)) FROM texts), 0) + "
        "coalesce((SELECT sum(length(content) + length(record) + length(text)) FROM messages), 0)",
    )
    said = row(
        connection,
        "SELECT coalesce((SELECT sum(size_bytes * max(uses, 1)) FROM texts), 0) + "
        "coalesce((SELECT sum(length(content)) FROM messages), 0)",
    )
    assert stored is not None
    assert said is not None
    return int(stored[0]), int(said[0])


def _faults_of(connection: Connection, one: Stored) -> tuple[list[str], int]:
    """What is wrong with a message, in words, and how many texts were looked at."""
    faults = list[str]()
    wanted: Sequence[bytes] = ()
    try:
        wanted = names(one.content)
        for each in dict.fromkeys(wanted):
            found = row(connection, "SELECT data FROM texts WHERE hash = ?", [each])
            if fault := _fault(each, None if found is None else found[0]):
                faults.append(f"A text of it is {fault}.")
        if not wanted:
            unpack(one.content, {})
    except (ValueError, TypeError, msgspec.DecodeError):
        faults.append("What it says cannot be read.")
    try:
        record_of(one)
        record = unpack_record(one.record)
    except (ValueError, msgspec.DecodeError):
        return [*faults, "How it came about cannot be read."], len(wanted)
    if one.hash is None or one.status == "streaming" or not is_packed(one.content):
        return faults, len(wanted)
    before = None
    if one.parent_id is not None:
        above = row(connection, "SELECT hash FROM messages WHERE id = ?", [one.parent_id])
        if above is None:
            return [*faults, f"The message before it, {one.parent_id}, is gone."], len(wanted)
        before = None if above[0] is None else bytes(above[0])
    if link(before, one.role, one.created_at, one.status, one.content, record) != one.hash:
        faults.append("It, or the message before it, is not what was written.")
    return faults, len(wanted)


def _fault(name: bytes, data: bytes | None) -> str:
    if data is None:
        return "missing"
    try:
        text = expanded(bytes(data))
    except ValueError:
        return "damaged"
    return "" if hash_of(text.encode("utf-8", "surrogatepass")) == name else "another than was stored"


def _named(connection: Connection, one: Stored, what: str) -> Damage:
    found = row(
        connection,
        "SELECT m.conversation_id, coalesce(c.title, '') FROM messages m LEFT JOIN conversations c ON c.id = m.conversation_id "
        "WHERE m.n = ?",
        [one.n],
    )
    conversation, title = found if found is not None else ("", "")
    return Damage(conversation=str(conversation), title=str(title), message=one.id, what=what)
