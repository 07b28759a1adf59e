"""Imported conversations on their way into the journal: each once, and of a longer export only what is new.

Each function takes a connection inside a write.
"""

from datetime import datetime
from typing import Literal

from legion_core.gateway.conversation_log import note
from legion_core.gateway.conversation_writing import insert_message
from legion_core.gateway.import_types import ImportedChat
from legion_core.kernel.clock import iso
from legion_core.storage.sqlite import Connection, execute, row, rows

SNIPPET_CHARS_MAX = 120
ID_CHARS_MAX = 128
Taken = Literal["new", "grown", "known"]


def take_in(connection: Connection, chat: ImportedChat, title: str, now: datetime) -> tuple[str, Taken]:
    """Its id here, and whether it is new, has grown since it was taken, or was here already. `title` is for one without."""
    name = chat.id
    if len(name) > ID_CHARS_MAX or not name.isprintable():
        name = name.encode("utf-8", "replace").hex()[:64]
    began = chat.at or now
    known = row(connection, "SELECT head_id FROM conversations WHERE id = ?", [name])
    if known is None:
        execute(
            connection,
            "INSERT INTO conversations(id, title, is_title_auto, created_at, updated_at, is_pinned, tier) VALUES(?,?,?,?,?,?,?)",
            [name, chat.title[:200] or title, 0, iso(began), iso(began), int(chat.is_pinned), chat.tier],
        )
    held = {
        str(each) for (each,) in rows(connection, "SELECT id FROM messages WHERE conversation_id = ?", [name])
    }
    ids, last, added = list[str](), began, 0
    for message_id, node in zip(chat.message_ids(), chat.nodes, strict=True):
        if (
            message_id not in held
            and row(connection, "SELECT 1 FROM messages WHERE id = ?", [message_id]) is not None
        ):
            message_id = f"{message_id}_{name[-12:]}"  # another conversation has a message of that id
        ids.append(message_id)
        last = max(last, node.at or began)
        if message_id in held:
            continue
        insert_message(
            connection,
            message_id,
            name,
            None if node.parent is None else ids[node.parent],
            role="system" if node.is_system else node.message.role,
            at=iso(node.at or began),
            content=node.message.content,
            status=node.status,
            record=node.record,
        )
        held.add(message_id)
        added += 1
    if known is not None and not added:
        return name, "known"
    if known is None or _is_imported(str(known[0]), ids):
        shown = _last_words(chat)[:SNIPPET_CHARS_MAX]
        execute(
            connection,
            "UPDATE conversations SET head_id = ?, snippet = ? WHERE id = ?",
            [None if chat.head is None else ids[chat.head], shown, name],
        )
    execute(
        connection,
        "UPDATE conversations SET updated_at = max(updated_at, ?), message_count = message_count + ? WHERE id = ?",
        [iso(chat.updated_at or last), added, name],
    )
    note(connection, name, iso(now), "imported", "", str(added))
    return name, "new" if known is None else "grown"


def _last_words(chat: ImportedChat) -> str:
    """The last text of the branch that is shown: a session often ends in a call."""
    place = chat.head
    while place is not None:
        node = chat.nodes[place]
        if node.message.role != "tool" and (text := node.message.text.strip()):
            return text
        place = node.parent
    return ""


def _is_imported(head: str, ids: list[str]) -> bool:
    """Whether what is shown came from there too: where somebody went on here, that stays in sight."""
    return head in set(ids)
