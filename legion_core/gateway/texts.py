"""Texts by their hash: each is stored once, compressed, however many messages and archives hold it.

    hash = blake2b-160 of the UTF-8 bytes ──▶ (how many messages use it, bytes, zlib)

The table is shared by messages, which count their uses, and by the archives of curation, which are looked up when a text
is let go. A text that nothing holds any more is deleted with the last that held it.
"""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from legion_core.storage.sqlite import Connection, Migration, Value, execute, rows

COMPRESSION = 6
HASH_BYTES = 20
ASKED_MAX = 500  # hashes in one statement

MIGRATIONS = (
    Migration(
        name="texts-0001",
        sql="""
        ALTER TABLE curation_texts RENAME TO texts;
        ALTER TABLE texts ADD COLUMN uses INTEGER NOT NULL DEFAULT 0;
        DROP TRIGGER curation_parts_of_deleted;
        CREATE TRIGGER curation_parts_of_deleted AFTER DELETE ON curations BEGIN
            DELETE FROM texts WHERE uses <= 0
                AND hash IN (SELECT hash FROM curation_archive WHERE curation = old.id)
                AND NOT EXISTS (SELECT 1 FROM curation_archive a WHERE a.hash = texts.hash AND a.curation <> old.id);
            DELETE FROM curation_archive WHERE curation = old.id;
            DELETE FROM curation_edits WHERE curation = old.id;
        END;
        ALTER TABLE messages ADD COLUMN hash BLOB;
        CREATE INDEX messages_unlinked ON messages(n) WHERE hash IS NULL;
        CREATE TABLE conversation_log(
            n INTEGER PRIMARY KEY, conversation_id TEXT NOT NULL, at TEXT NOT NULL, what TEXT NOT NULL,
            was TEXT NOT NULL, now TEXT NOT NULL, undone_by INTEGER
        );
        CREATE INDEX conversation_log_of ON conversation_log(conversation_id, n);
        DROP TRIGGER messages_fts_insert;
        DROP TRIGGER messages_fts_update;
        DROP TRIGGER messages_fts_delete;
        CREATE VIRTUAL TABLE messages_words USING fts5(
            text, content='', contentless_delete=1, detail=none, tokenize='unicode61 remove_diacritics 2'
        );
        INSERT INTO messages_words(rowid, text) SELECT n, text FROM messages WHERE text <> '';
        DROP TABLE messages_fts;
        """,
    ),
)


@dataclass(frozen=True, slots=True)
class StoredText:
    """A text as it lies on disk."""

    hash: bytes
    size_bytes: int
    data: bytes


def hash_of(data: bytes) -> bytes:
    """Under which name bytes are stored."""
    return blake2b(data, digest_size=HASH_BYTES).digest()


def compressed(text: str) -> StoredText:
    """A text made ready to be stored; a lone surrogate is kept as it is."""
    data = text.encode("utf-8", "surrogatepass")
    return StoredText(hash_of(data), len(data), zlib.compress(data, COMPRESSION))


def expanded(data: bytes) -> str:
    """The text of what was stored; ValueError where it is damaged."""
    try:
        return zlib.decompress(data).decode("utf-8", "surrogatepass")
    except zlib.error as error:
        raise ValueError(str(error)) from error


def put(connection: Connection, texts: Iterable[StoredText]) -> None:
    """Within a write: store each once, and count one more use of it."""
    for text in texts:
        execute(
            connection,
            "INSERT INTO texts(hash, size_bytes, data, uses) VALUES(?,?,?,1) "
            "ON CONFLICT(hash) DO UPDATE SET uses = uses + 1",
            [text.hash, text.size_bytes, text.data],
        )


def release(connection: Connection, hashes: Iterable[bytes]) -> None:
    """Within a write: one use less of each; what neither a message nor an archive holds goes."""
    for each in hashes:
        execute(connection, "UPDATE texts SET uses = uses - 1 WHERE hash = ?", [each])
        execute(
            connection,
            "DELETE FROM texts WHERE hash = ? AND uses <= 0 "
            "AND NOT EXISTS (SELECT 1 FROM curation_archive a WHERE a.hash = texts.hash)",
            [each],
        )


def fetch(connection: Connection, hashes: Sequence[bytes]) -> dict[bytes, str]:
    """The texts of these hashes; one that is missing or damaged is not among them."""
    found = dict[bytes, str]()
    wanted = list(dict.fromkeys(hashes))
    for at in range(0, len(wanted), ASKED_MAX):
        part: list[Value] = [*wanted[at : at + ASKED_MAX]]
        marks = ",".join("?" * len(part))
        for each, data in rows(connection, f"SELECT hash, data FROM texts WHERE hash IN ({marks})", part):  # noqa: S608 - question marks
            try:
                found[bytes(each)] = expanded(bytes(data))
            except ValueError:
                continue
    return found
