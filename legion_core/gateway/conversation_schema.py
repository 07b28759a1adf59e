"""The tables of conversations as they first were; `texts` says what became of them."""

from legion_core.storage.sqlite import Migration

MIGRATIONS = (
    Migration(
        name="conversations-0001",
        sql="""
        CREATE TABLE conversations(
            id TEXT PRIMARY KEY, title TEXT NOT NULL, is_title_auto INTEGER NOT NULL, created_at TEXT NOT NULL,
            updated_at TEXT NOT NULL, head_id TEXT, tier TEXT NOT NULL DEFAULT '', snippet TEXT NOT NULL DEFAULT '',
            message_count INTEGER NOT NULL DEFAULT 0, is_pinned INTEGER NOT NULL DEFAULT 0, trashed_at TEXT,
            draft TEXT NOT NULL DEFAULT ''
        ) WITHOUT ROWID;
        CREATE INDEX conversations_updated ON conversations(updated_at);
        CREATE TABLE messages(
            n INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, conversation_id TEXT NOT NULL, parent_id TEXT,
            role TEXT NOT NULL, status TEXT NOT NULL, created_at TEXT NOT NULL, text TEXT NOT NULL,
            content BLOB NOT NULL, record BLOB NOT NULL
        );
        CREATE INDEX messages_of ON messages(conversation_id, n);
        CREATE INDEX messages_below ON messages(conversation_id, parent_id, n);
        CREATE INDEX messages_streaming ON messages(status) WHERE status = 'streaming';
        CREATE TABLE message_parts(
            message_id TEXT NOT NULL, part INTEGER NOT NULL, text TEXT NOT NULL, thinking TEXT NOT NULL,
            PRIMARY KEY(message_id, part)
        ) WITHOUT ROWID;
        CREATE VIRTUAL TABLE messages_fts USING fts5(
            text, content='messages', content_rowid='n', tokenize='unicode61 remove_diacritics 2', prefix='2 3'
        );
        CREATE TRIGGER messages_fts_insert AFTER INSERT ON messages WHEN new.text <> '' BEGIN
            INSERT INTO messages_fts(rowid, text) VALUES(new.n, new.text);
        END;
        CREATE TRIGGER messages_fts_update AFTER UPDATE OF text ON messages WHEN new.text <> old.text BEGIN
            INSERT INTO messages_fts(messages_fts, rowid, text) SELECT 'delete', old.n, old.text WHERE old.text <> '';
            INSERT INTO messages_fts(rowid, text) VALUES(new.n, new.text);
        END;
        CREATE TRIGGER messages_fts_delete AFTER DELETE ON messages WHEN old.text <> '' BEGIN
            INSERT INTO messages_fts(messages_fts, rowid, text) VALUES('delete', old.n, old.text);
        END;
        """,
    ),
)
