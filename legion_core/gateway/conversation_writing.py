"""How messages are written: words beside the tree, each text once, and a link from each message to the one before.

Each function takes a connection inside a write. A message that is still being written has no link; it gets one when it
is closed, and with it whatever was put below in the meantime.
"""

from collections.abc import Sequence

from legion_core.gateway.conversation_rows import Stored, batch, words_of
from legion_core.gateway.packing import (
    Packed,
    is_packed,
    link,
    names,
    pack,
    pack_record,
    unpack,
    unpack_record,
)
from legion_core.gateway.texts import put, release
from legion_core.gateway.types import Block
from legion_core.kernel.errors import InvalidInput, NotFound
from legion_core.storage.sqlite import Connection, execute, row, rows

TEXT_CHARS_MAX = 4_000_000
NO_RECORD = b"{}"


def insert_message(
    connection: Connection,
    message_id: str,
    conversation_id: str,
    parent_id: str | None,
    *,
    role: str,
    at: str,
    content: Sequence[Block] = (),
    packed: Packed | None = None,
    status: str = "complete",
    record: bytes = NO_RECORD,
) -> None:
    """Put a message below another. `packed` is `content` made ready beforehand; `record` is JSON."""
    text = words_of(content)
    if len(text) > TEXT_CHARS_MAX:
        raise InvalidInput(f"The message has {len(text):,} characters; {TEXT_CHARS_MAX:,} is the most.")
    ready = packed or pack(content)
    put(connection, ready.texts)
    execute(
        connection,
        "INSERT INTO messages(id, conversation_id, parent_id, role, status, created_at, text, content, record) "
        "VALUES(?,?,?,?,?,?,'',?,?)",
        [message_id, conversation_id, parent_id, role, status, at, ready.skeleton, pack_record(record)],
    )
    _index(connection, connection.last_insert_rowid(), text)
    link_from(connection, message_id)


def close_message(
    connection: Connection,
    message_id: str,
    content: Sequence[Block],
    status: str,
    record: bytes | None = None,
    packed: Packed | None = None,
) -> str:
    """Give a message its final form and drop its parts; gives its conversation's id. No `record`: it keeps its own."""
    conversation_id = replace_content(connection, message_id, content, status, record, packed)
    execute(connection, "DELETE FROM message_parts WHERE message_id = ?", [message_id])
    return conversation_id


def replace_content(
    connection: Connection,
    message_id: str,
    content: Sequence[Block],
    status: str | None = None,
    record: bytes | None = None,
    packed: Packed | None = None,
) -> str:
    """Write what a message says anew and link it and what lies below it again; gives its conversation's id."""
    found = row(connection, "SELECT n, conversation_id, content FROM messages WHERE id = ?", [message_id])
    if found is None:
        raise NotFound(f"The message {message_id!r} does not exist any more.")
    n, conversation_id, before = int(found[0]), str(found[1]), found[2]
    ready = packed or pack(content)
    put(connection, ready.texts)  # first: what stays must not go and come
    release(connection, names(before if isinstance(before, bytes) else str(before).encode()))
    execute(
        connection,
        "UPDATE messages SET text = '', content = ?, status = coalesce(?, status), record = coalesce(?, record), hash = NULL "
        "WHERE n = ?",
        [ready.skeleton, status, None if record is None else pack_record(record), n],
    )
    _index(connection, n, words_of(content))
    link_from(connection, message_id)
    return conversation_id


def end_message(connection: Connection, message_id: str, status: str) -> None:
    """A message is as it will stay: with what it says, under another status."""
    execute(connection, "UPDATE messages SET status = ?, hash = NULL WHERE id = ?", [status, message_id])
    link_from(connection, message_id)


def link_from(connection: Connection, message_id: str) -> None:
    """Link a message to the one before it, and again whatever lies below. One that is being written waits."""
    waiting = [message_id]
    while waiting:
        found = batch(connection, "id = ?", [waiting.pop()])
        if not found or not _link(connection, found[0]):
            continue
        below = rows(connection, "SELECT id FROM messages WHERE conversation_id = (SELECT conversation_id FROM messages WHERE id = ?) AND parent_id = ?", [found[0].id, found[0].id])  # fmt: skip
        waiting += [str(name) for (name,) in below]


def delete_conversation(connection: Connection, conversation_id: str) -> None:
    """Delete it for good, with the texts that nothing else holds."""
    stored = rows(connection, "SELECT n, content FROM messages WHERE conversation_id = ?", [conversation_id])
    for n, content in stored:
        release(connection, names(content if isinstance(content, bytes) else str(content).encode()))
        execute(connection, "DELETE FROM messages_words WHERE rowid = ?", [n])
    execute(connection, "DELETE FROM messages WHERE conversation_id = ?", [conversation_id])
    execute(connection, "DELETE FROM conversation_log WHERE conversation_id = ?", [conversation_id])
    execute(connection, "DELETE FROM conversations WHERE id = ?", [conversation_id])


def store_anew(connection: Connection, one: Stored) -> None:
    """Bring a message written by an earlier version into this form, and link it; it says what it said before."""
    if not is_packed(one.content):
        content = unpack(one.content, {})
        ready = pack(content)
        put(connection, ready.texts)
        execute(
            connection,
            "UPDATE messages SET text = '', content = ?, record = ? WHERE n = ?",
            [ready.skeleton, pack_record(one.record), one.n],
        )
    link_from(connection, one.id)


def _link(connection: Connection, one: Stored) -> bool:
    """Write a message's hash; False where it has to wait, or is as it was."""
    if one.status == "streaming" or not is_packed(one.content):
        return False
    before: bytes | None = None
    if one.parent_id is not None:
        above = row(connection, "SELECT hash FROM messages WHERE id = ?", [one.parent_id])
        if above is not None and above[0] is None:
            return False
        before = None if above is None else bytes(above[0])
    made = link(before, one.role, one.created_at, one.status, one.content, unpack_record(one.record))
    if made == one.hash:
        return False
    execute(connection, "UPDATE messages SET hash = ? WHERE n = ?", [made, one.n])
    return True


def _index(connection: Connection, n: int, text: str) -> None:
    """Have the words found by search; what was found there before is not any more."""
    execute(connection, "DELETE FROM messages_words WHERE rowid = ?", [n])
    if text:
        execute(connection, "INSERT INTO messages_words(rowid, text) VALUES(?,?)", [n, text])
