"""The tables of curation; apart, so that opening the journal brings nothing else along."""

from legion_core.storage.sqlite import Migration

MIGRATIONS = (
    Migration(
        name="curation-0001",
        sql="""
        CREATE TABLE curations(
            id TEXT PRIMARY KEY, conversation TEXT NOT NULL, at TEXT NOT NULL, head BLOB NOT NULL,
            fed INTEGER NOT NULL, turns INTEGER NOT NULL, epoch INTEGER NOT NULL, naive_tokens INTEGER NOT NULL,
            curated_tokens INTEGER NOT NULL, marks BLOB NOT NULL, view BLOB NOT NULL
        ) WITHOUT ROWID;
        CREATE INDEX curations_head ON curations(head);
        CREATE INDEX curations_conversation ON curations(conversation, at);
        CREATE TABLE curation_texts(
            hash BLOB PRIMARY KEY, size_bytes INTEGER NOT NULL, data BLOB NOT NULL
        ) WITHOUT ROWID;
        CREATE TABLE curation_archive(
            curation TEXT NOT NULL, key TEXT NOT NULL, hash BLOB NOT NULL, ids TEXT NOT NULL, label TEXT NOT NULL,
            PRIMARY KEY(curation, key)
        ) WITHOUT ROWID;
        CREATE INDEX curation_archive_hash ON curation_archive(hash);
        CREATE TABLE curation_edits(
            curation TEXT NOT NULL, number INTEGER NOT NULL, edit BLOB NOT NULL, PRIMARY KEY(curation, number)
        ) WITHOUT ROWID;
        CREATE TABLE curation_switches(conversation TEXT PRIMARY KEY, is_on INTEGER NOT NULL) WITHOUT ROWID;
        CREATE TABLE curated_requests(
            request TEXT PRIMARY KEY, day TEXT NOT NULL, conversation TEXT NOT NULL,
            naive_tokens INTEGER NOT NULL, curated_tokens INTEGER NOT NULL
        ) WITHOUT ROWID;
        CREATE INDEX curated_requests_day ON curated_requests(day);
        CREATE TRIGGER curation_of_deleted AFTER DELETE ON conversations BEGIN
            DELETE FROM curations WHERE conversation = old.id;
            DELETE FROM curation_switches WHERE conversation = old.id;
        END;
        CREATE TRIGGER curation_parts_of_deleted AFTER DELETE ON curations BEGIN
            DELETE FROM curation_texts WHERE hash IN (SELECT hash FROM curation_archive WHERE curation = old.id)
                AND NOT EXISTS (SELECT 1 FROM curation_archive a WHERE a.hash = curation_texts.hash AND a.curation <> old.id);
            DELETE FROM curation_archive WHERE curation = old.id;
            DELETE FROM curation_edits WHERE curation = old.id;
        END;
        """,
    ),
)
