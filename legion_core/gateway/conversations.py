"""Conversations kept here: a tree of messages with one active branch, words searchable, nothing ever overwritten.

Editing and regenerating add siblings; `head_id` says which branch is shown. An answer that streams is stored in
parts, so that a killed process loses at most the last quarter of a second of it; at the next start its parts
become an answer with the status `interrupted`.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal, TypeVar

import msgspec

from legion_core.gateway.conversation_types import ChatMessage, Conversation, ConversationView, MessageStatus
from legion_core.gateway.tool_turns import paired
from legion_core.gateway.types import (
    Attempt,
    Block,
    ImageBlock,
    Message,
    Seam,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
    Usage,
)
from legion_core.kernel.clock import Clock, iso
from legion_core.kernel.errors import InvalidInput, NotFound
from legion_core.kernel.ids import Ids
from legion_core.storage.sqlite import Connection, Database, Migration, Row, Value, execute, row, rows

if TYPE_CHECKING:
    from legion_core.gateway.import_chats import ImportedChat

B = TypeVar("B", ToolUseBlock, ToolResultBlock)
TITLE_CHARS_MAX = 60
SNIPPET_CHARS_MAX = 120
TEXT_CHARS_MAX = 4_000_000
TRASH_DAYS = 30
SEARCH_HITS_MAX = 500

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


class AnswerRecord(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How an answer came about, as stored beside its text."""

    request_id: str = ""
    tier: str = ""
    instance: str = ""
    model: str = ""
    usage: Usage | None = None
    cost_usd: float | None = None
    first_token_s: float | None = None
    duration_s: float | None = None
    attempts: tuple[Attempt, ...] = ()
    seams: tuple[Seam, ...] = ()
    error: str = ""


_encode = msgspec.json.Encoder().encode
_decode_record = msgspec.json.Decoder(AnswerRecord).decode
_decode_blocks = msgspec.json.Decoder(tuple[Block, ...]).decode

_LIST = """
    SELECT id, title, snippet, updated_at, created_at, message_count, tier, is_pinned, trashed_at, draft,
        EXISTS(SELECT 1 FROM private_conversations WHERE private_conversations.id = conversations.id)
    FROM conversations
"""


class Conversations:
    """The store. Every change is one transaction; reads see only whole ones."""

    def __init__(self, database: Database, clock: Clock, ids: Ids) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids

    async def recover(self) -> int:
        """Give answers a killed process left half-written the status `interrupted`; how many there were."""

        def work(connection: Connection) -> int:
            # What tools gave stands there as it is known; see `tool_turns`.
            execute(
                connection,
                "UPDATE messages SET status = 'interrupted' WHERE status = 'streaming' AND role = 'tool'",
            )
            left = rows(connection, "SELECT id, record FROM messages WHERE status = 'streaming'")
            for message_id, record in left:
                parts = rows(
                    connection,
                    "SELECT text, thinking FROM message_parts WHERE message_id = ? ORDER BY part",
                    [message_id],
                )
                text = "".join(str(part[0]) for part in parts)
                thinking = "".join(str(part[1]) for part in parts)
                kept = msgspec.structs.replace(
                    _decode_record(_bytes(record)),
                    error="The workbench stopped while this answer was being written.",
                )
                _close(connection, str(message_id), text, _answer_blocks(text, thinking), "interrupted", kept)
            return len(left)

        return await self._database.write(work)

    async def purge_trash(self) -> int:
        """Delete for good what has lain in the trash for 30 days."""
        before = iso(self._clock.utc_now() - timedelta(days=TRASH_DAYS))

        def work(connection: Connection) -> int:
            gone = rows(connection, "SELECT id FROM conversations WHERE trashed_at < ?", [before])
            for (conversation_id,) in gone:
                execute(connection, "DELETE FROM messages WHERE conversation_id = ?", [conversation_id])
                execute(connection, "DELETE FROM conversations WHERE id = ?", [conversation_id])
            return len(gone)

        return await self._database.write(work)

    async def create(self, title: str = "") -> Conversation:
        """A new, empty conversation."""
        conversation_id, at = self._ids.new("cnv"), iso(self._clock.utc_now())

        def work(connection: Connection) -> Conversation:
            _insert_conversation(connection, conversation_id, title, at)
            return _conversation(connection, conversation_id)

        return await self._database.write(work)

    async def ensure(self, conversation_id: str) -> Conversation:
        """The conversation of that id, made if a client names one that does not exist yet."""
        if not 1 <= len(conversation_id) <= 128 or not conversation_id.isprintable():
            raise InvalidInput(
                "A conversation's id is 1 to 128 printable characters.", hint="Send a shorter id."
            )
        at = iso(self._clock.utc_now())

        def work(connection: Connection) -> Conversation:
            if row(connection, "SELECT 1 FROM conversations WHERE id = ?", [conversation_id]) is None:
                _insert_conversation(connection, conversation_id, "", at)
            return _conversation(connection, conversation_id)

        return await self._database.write(work)

    async def ask(
        self, conversation_id: str, messages: Sequence[Message], *, parent_id: str | None, request_id: str
    ) -> tuple[ChatMessage | None, ChatMessage]:
        """Store `messages` below `parent_id` and open an empty answer below the last: `(question, answer)`.

        Without messages the answer becomes a sibling of the answers already below `parent_id`; question is None then.
        """
        at = self._clock.utc_now()
        stamp = iso(at)
        new_ids = [self._ids.new("msg") for _ in messages]
        answer_id = self._ids.new("msg")
        record = AnswerRecord(request_id=request_id)

        def work(connection: Connection) -> tuple[ChatMessage | None, ChatMessage]:
            title, is_auto = _title(connection, conversation_id)
            above = parent_id
            for message_id, message in zip(new_ids, messages, strict=True):
                _insert_message(connection, message_id, conversation_id, above, message, stamp)
                above = message_id
            execute(
                connection,
                "INSERT INTO messages(id, conversation_id, parent_id, role, status, created_at, text, content, record) "
                "VALUES(?,?,?,'assistant','streaming',?,'',?,?)",
                [answer_id, conversation_id, above, stamp, _encode(()), _encode(record)],
            )
            if is_auto and not title and messages:
                title = title_from(messages[0].text)
            snippet = messages[-1].text[:SNIPPET_CHARS_MAX] if messages else ""
            execute(
                connection,
                "UPDATE conversations SET head_id = ?, updated_at = ?, title = ?, draft = '', trashed_at = NULL, "
                "message_count = message_count + ?, snippet = CASE WHEN ? = '' THEN snippet ELSE ? END WHERE id = ?",
                [answer_id, stamp, title, len(messages) + 1, snippet, snippet, conversation_id],
            )
            question = _message(connection, new_ids[-1]) if new_ids else None
            return question, _message(connection, answer_id)

        return await self._database.write(work)

    def grow(self, answer_id: str, part: int, text: str, thinking: str) -> None:
        """Queue a part of an answer; it survives the process as soon as the writer gets to it."""
        self._database.write_nowait(
            lambda connection: execute(
                connection, "INSERT INTO message_parts VALUES(?,?,?,?)", [answer_id, part, text, thinking]
            ),
            durability="process",
        )

    async def finish(
        self,
        answer_id: str,
        text: str,
        content: tuple[Block, ...],
        status: MessageStatus,
        record: AnswerRecord,
    ) -> ChatMessage:
        """Store the answer in its final form; durable when this returns."""

        def work(connection: Connection) -> ChatMessage:
            conversation_id = _close(connection, answer_id, text, content, status, record)
            execute(
                connection,
                "UPDATE conversations SET tier = ?, snippet = CASE WHEN ? = '' THEN snippet ELSE ? END, updated_at = ? "
                "WHERE id = ?",
                [
                    record.tier,
                    text[:SNIPPET_CHARS_MAX],
                    text[:SNIPPET_CHARS_MAX],
                    iso(self._clock.utc_now()),
                    conversation_id,
                ],
            )
            return _message(connection, answer_id)

        return await self._database.write(work)

    async def message(self, message_id: str) -> ChatMessage:
        """One message by its id."""
        return await self._database.read(lambda connection: _message(connection, message_id))

    async def last_of(self, answer: ChatMessage) -> ChatMessage:
        """The last answer to the same question on the active branch, where `answer` called tools; else `answer`."""
        last, is_behind = answer, False
        for message in (await self.open(answer.conversation_id)).messages:
            is_behind = is_behind or message.id == answer.id
            if is_behind and message.role == "user":
                break
            if is_behind and message.role == "assistant":
                last = message
        return last

    async def history(self, conversation_id: str, up_to: str | None) -> tuple[Message, ...]:
        """The canonical messages from the root down to `up_to`, leaving out answers that hold nothing."""
        if up_to is None:
            return ()

        def work(connection: Connection) -> tuple[Message, ...]:
            path = _path(_rows_of(connection, conversation_id), up_to)
            return tuple(message for _, message in paired(_said(path)))

        return await self._database.read(work)

    async def take_in(self, chats: "Sequence[ImportedChat]") -> tuple[tuple[str, ...], int]:
        """Store imported chats, all or none: the ids of the new ones, and how many were here already."""
        now = self._clock.utc_now()

        def work(connection: Connection) -> tuple[tuple[str, ...], int]:
            made, known = list[str](), 0
            for chat in chats:
                if row(connection, "SELECT 1 FROM conversations WHERE id = ?", [chat.id]) is not None:
                    known += 1
                    continue
                _insert_imported(connection, chat, [self._ids.new("msg") for _ in chat.nodes], now)
                made.append(chat.id)
            return tuple(made), known

        return await self._database.write(work)

    async def named_history(self, conversation_id: str) -> tuple[tuple[str, ...], tuple[Message, ...]]:
        """The active branch as `history` gives it, with the id of each message."""

        def work(connection: Connection) -> tuple[tuple[str, ...], tuple[Message, ...]]:
            head = row(connection, "SELECT head_id FROM conversations WHERE id = ?", [conversation_id])
            if head is None:
                raise _no_conversation(conversation_id)
            leaf = None if head[0] is None else str(head[0])
            found = paired(_said(_path(_rows_of(connection, conversation_id), leaf)))
            return tuple(name for name, _ in found), tuple(message for _, message in found)

        return await self._database.read(work)

    async def head(self, conversation_id: str) -> str | None:
        """The id of the active branch's last message; None if the conversation is empty."""
        found = await self._database.read(
            lambda connection: row(
                connection, "SELECT head_id FROM conversations WHERE id = ?", [conversation_id]
            )
        )
        if found is None:
            raise _no_conversation(conversation_id)
        return None if found[0] is None else str(found[0])

    async def open(self, conversation_id: str) -> ConversationView:
        """The conversation and its active branch."""

        def work(connection: Connection) -> ConversationView:
            return ConversationView(
                conversation=_conversation(connection, conversation_id),
                messages=tuple(_branch(connection, conversation_id)),
            )

        return await self._database.read(work)

    async def choose(self, message_id: str) -> str:
        """Show the branch through this message, down to its newest leaf; gives the conversation's id."""

        def work(connection: Connection) -> str:
            conversation_id = _message(connection, message_id).conversation_id
            children: dict[str, str] = {}
            for stored in _rows_of(connection, conversation_id):
                children[str(stored[2])] = str(stored[1])  # in order of making: the newest child stays
            leaf = message_id
            while leaf in children:
                leaf = children[leaf]
            execute(connection, "UPDATE conversations SET head_id = ? WHERE id = ?", [leaf, conversation_id])
            return conversation_id

        return await self._database.write(work)

    async def list(self, query: str, *, limit: int, offset: int, trashed: bool) -> tuple[Conversation, ...]:
        """Pinned first, then newest first; with a query, those whose title or words match, newest match first."""

        def work(connection: Connection) -> tuple[Conversation, ...]:
            where = "trashed_at IS NOT NULL" if trashed else "trashed_at IS NULL"
            if not query.strip():
                sql = f"{_LIST} WHERE {where} ORDER BY is_pinned DESC, updated_at DESC, id DESC LIMIT ? OFFSET ?"
                return tuple(_conversation_row(found) for found in rows(connection, sql, [limit, offset]))
            snippets = _matches(connection, query)
            sql = f"{_LIST} WHERE {where} AND title LIKE ? ESCAPE '\\' ORDER BY updated_at DESC LIMIT ?"
            titled = rows(connection, sql, [f"%{_like(query.strip())}%", limit])
            hits = {str(found[0]): _conversation_row(found) for found in titled}
            for conversation_id, snippet in snippets.items():
                found = row(connection, f"{_LIST} WHERE {where} AND id = ?", [conversation_id])
                if found is not None:
                    hits[conversation_id] = msgspec.structs.replace(_conversation_row(found), snippet=snippet)
            ordered = sorted(hits.values(), key=lambda hit: hit.updated_at, reverse=True)
            return tuple(ordered[offset : offset + limit])

        return await self._database.read(work)

    async def count(self) -> int:
        """How many conversations there are outside the trash."""
        found = await self._database.read(
            lambda connection: row(connection, "SELECT count(*) FROM conversations WHERE trashed_at IS NULL")
        )
        return int(str(found[0])) if found else 0

    async def set_title(self, conversation_id: str, title: str) -> None:
        """Name it by hand; it keeps its place in the list."""
        await self._set(conversation_id, "title = ?, is_title_auto = 0", title[:200].strip())

    async def set_pinned(self, conversation_id: str, is_pinned: bool) -> None:
        """Keep it at the top of the list, or no longer."""
        await self._set(conversation_id, "is_pinned = ?", int(is_pinned))

    async def set_trashed(self, conversation_id: str, is_trashed: bool) -> None:
        """Move it to the trash, from which it can be taken back for 30 days, or take it back."""
        await self._set(conversation_id, "trashed_at = ?", iso(self._clock.utc_now()) if is_trashed else None)

    async def set_draft(self, conversation_id: str, text: str) -> None:
        """Remember what is typed and not sent."""
        await self._set(conversation_id, "draft = ?", text[:TEXT_CHARS_MAX])

    async def _set(self, conversation_id: str, assignment: str, value: Value) -> None:
        def work(connection: Connection) -> None:
            sql = f"UPDATE conversations SET {assignment} WHERE id = ?"  # noqa: S608 - four constants above
            if execute(connection, sql, [value, conversation_id]) == 0:
                raise _no_conversation(conversation_id)

        await self._database.write(work)


def title_from(text: str) -> str:
    """A title for a conversation that begins with `text`: its first line, cut at a word."""
    line = next((line.strip(" #>*-\t") for line in text.splitlines() if line.strip(" #>*-\t")), "")
    if len(line) <= TITLE_CHARS_MAX:
        return line
    return line[:TITLE_CHARS_MAX].rsplit(" ", 1)[0] + "…"


def _answer_blocks(text: str, thinking: str) -> tuple[Block, ...]:
    blocks: list[Block] = []
    if thinking:
        blocks.append(ThinkingBlock(text=thinking))
    if text:
        blocks.append(TextBlock(text=text))
    return tuple(blocks)


def _insert_conversation(connection: Connection, conversation_id: str, title: str, at: str) -> None:
    execute(
        connection,
        "INSERT INTO conversations(id, title, is_title_auto, created_at, updated_at) VALUES(?,?,?,?,?)",
        [conversation_id, title, int(not title), at, at],
    )


def _insert_imported(connection: Connection, chat: "ImportedChat", ids: Sequence[str], now: datetime) -> None:
    began = chat.at or now
    first = next((node.message.text for node in chat.nodes if node.message.role == "user"), "")
    _insert_conversation(connection, chat.id, chat.title[:200] or title_from(first), iso(began))
    last = began
    for name, node in zip(ids, chat.nodes, strict=True):
        last = max(last, node.at or began)
        parent = None if node.parent is None else ids[node.parent]
        _insert_message(connection, name, chat.id, parent, node.message, iso(node.at or began))
    shown = "" if chat.head is None else chat.nodes[chat.head].message.text[:SNIPPET_CHARS_MAX]
    execute(
        connection,
        "UPDATE conversations SET head_id = ?, updated_at = ?, message_count = ?, snippet = ? WHERE id = ?",
        [None if chat.head is None else ids[chat.head], iso(last), len(chat.nodes), shown, chat.id],
    )


def _insert_message(
    connection: Connection,
    message_id: str,
    conversation_id: str,
    parent_id: str | None,
    message: Message,
    at: str,
) -> None:
    text = message.text
    if len(text) > TEXT_CHARS_MAX:
        raise InvalidInput(f"The message has {len(text):,} characters; {TEXT_CHARS_MAX:,} is the most.")
    execute(
        connection,
        "INSERT INTO messages(id, conversation_id, parent_id, role, status, created_at, text, content, record) "
        "VALUES(?,?,?,?,'complete',?,?,?,?)",
        [message_id, conversation_id, parent_id, message.role, at, text, _encode(message.content), b"{}"],
    )


def _close(
    connection: Connection,
    message_id: str,
    text: str,
    content: tuple[Block, ...],
    status: MessageStatus,
    record: AnswerRecord,
) -> str:
    """Write a message's final form and drop its parts; gives its conversation's id."""
    changed = execute(
        connection,
        "UPDATE messages SET text = ?, content = ?, status = ?, record = ? WHERE id = ?",
        [text, _encode(content), status, _encode(record), message_id],
    )
    if changed == 0:
        raise NotFound(f"The message {message_id!r} does not exist any more.")
    execute(connection, "DELETE FROM message_parts WHERE message_id = ?", [message_id])
    found = row(connection, "SELECT conversation_id FROM messages WHERE id = ?", [message_id])
    assert found is not None
    return str(found[0])


def _rows_of(connection: Connection, conversation_id: str) -> list[Row]:
    """All messages of a conversation in order of making; columns as `_chat_message` takes them."""
    return rows(
        connection,
        "SELECT n, id, parent_id, role, status, created_at, text, content, record FROM messages "
        "WHERE conversation_id = ? ORDER BY n",
        [conversation_id],
    )


def _path(stored: list[Row], leaf: str | None) -> list[Row]:
    """The rows from the root down to `leaf`."""
    by_id = {str(found[1]): found for found in stored}
    path: list[Row] = []
    at = leaf
    while at is not None and at in by_id:
        path.append(by_id[at])
        parent = by_id[at][2]
        at = None if parent is None else str(parent)
    path.reverse()
    return path


def _said(path: list[Row]) -> list[tuple[str, Message]]:
    """The canonical messages of a path with their ids, leaving out answers that hold nothing."""
    found: list[tuple[str, Message]] = []
    for stored in path:
        content = _decode_blocks(_bytes(stored[7]))
        if content:
            role: Literal["user", "assistant", "tool"] = str(stored[3])  # pyright: ignore[reportAssignmentType]
            found.append((str(stored[1]), Message(role=role, content=content)))
    return found


def _branch(connection: Connection, conversation_id: str) -> list[ChatMessage]:
    head = row(connection, "SELECT head_id FROM conversations WHERE id = ?", [conversation_id])
    if head is None:
        raise _no_conversation(conversation_id)
    stored = _rows_of(connection, conversation_id)
    siblings = _siblings(stored)
    leaf = None if head[0] is None else str(head[0])
    return [_chat_message(found, conversation_id, siblings) for found in _path(stored, leaf)]


def _siblings(stored: list[Row]) -> dict[str, list[str]]:
    """Message ids by parent id (`` for roots), in order of making."""
    found: dict[str, list[str]] = {}
    for message in stored:
        found.setdefault(str(message[2] or ""), []).append(str(message[1]))
    return found


def _message(connection: Connection, message_id: str) -> ChatMessage:
    found = row(
        connection,
        "SELECT n, id, parent_id, role, status, created_at, text, content, record, conversation_id FROM messages "
        "WHERE id = ?",
        [message_id],
    )
    if found is None:
        raise NotFound(f"There is no message {message_id!r}.", hint="It may have been deleted with its chat.")
    *stored, conversation_id = found
    family = rows(
        connection,
        "SELECT id FROM messages WHERE conversation_id = ? AND parent_id IS ? ORDER BY n",
        [conversation_id, found[2]],
    )
    siblings = {str(found[2] or ""): [str(sibling[0]) for sibling in family]}
    return _chat_message(tuple(stored), str(conversation_id), siblings)


def _chat_message(stored: Row, conversation_id: str, siblings: dict[str, list[str]]) -> ChatMessage:
    (_, message_id, parent_id, role, status, created_at, text, content, record) = stored
    family = siblings.get(str(parent_id or ""), [str(message_id)])
    told = _decode_record(_bytes(record))
    return ChatMessage(
        id=str(message_id),
        conversation_id=conversation_id,
        parent_id=None if parent_id is None else str(parent_id),
        role=str(role),  # pyright: ignore[reportArgumentType] - written by us from the same Literal
        text=str(text),
        pictures=_pictures(_bytes(content)) if role == "user" else 0,
        thinking=_thinking(_bytes(content)),
        calls=_blocks(_bytes(content), b'"tool_use"', ToolUseBlock),
        results=_blocks(_bytes(content), b'"tool_result"', ToolResultBlock),
        status=str(status),  # pyright: ignore[reportArgumentType]
        created_at=datetime.fromisoformat(str(created_at)),
        variant=family.index(str(message_id)) + 1,
        variants=len(family),
        siblings=tuple(family) if len(family) > 1 else (),
        request_id=told.request_id,
        tier=told.tier,
        instance=told.instance,
        model=told.model,
        usage=told.usage,
        cost_usd=told.cost_usd,
        first_token_s=told.first_token_s,
        duration_s=told.duration_s,
        attempts=told.attempts,
        seams=told.seams,
        error=told.error,
    )


def _thinking(content: bytes) -> str:
    if b'"thinking"' not in content:
        return ""
    return "".join(block.text for block in _decode_blocks(content) if isinstance(block, ThinkingBlock))


def _blocks(content: bytes, tag: bytes, kind: type[B]) -> tuple[B, ...]:
    if tag not in content:
        return ()
    return tuple(block for block in _decode_blocks(content) if isinstance(block, kind))


def _pictures(content: bytes) -> int:
    if b'"image"' not in content:
        return 0
    return sum(isinstance(block, ImageBlock) for block in _decode_blocks(content))


def _title(connection: Connection, conversation_id: str) -> tuple[str, bool]:
    found = row(connection, "SELECT title, is_title_auto FROM conversations WHERE id = ?", [conversation_id])
    if found is None:
        raise _no_conversation(conversation_id)
    return str(found[0]), bool(found[1])


def _conversation(connection: Connection, conversation_id: str) -> Conversation:
    found = row(connection, f"{_LIST} WHERE id = ?", [conversation_id])
    if found is None:
        raise _no_conversation(conversation_id)
    return _conversation_row(found)


def _conversation_row(found: Row) -> Conversation:
    conversation_id, title, snippet, updated_at, created_at, count, tier = found[:7]
    is_pinned, trashed_at, draft, is_private = found[7:]
    return Conversation(
        id=str(conversation_id),
        title=str(title),
        snippet=str(snippet),
        updated_at=datetime.fromisoformat(str(updated_at)),
        created_at=datetime.fromisoformat(str(created_at)),
        message_count=int(str(count)),
        tier=str(tier),
        is_pinned=bool(is_pinned),
        is_trashed=trashed_at is not None,
        is_private=bool(is_private),
        draft=str(draft),
    )


def _matches(connection: Connection, query: str) -> dict[str, str]:
    """Conversation ids whose words match, with the newest matching passage of each."""
    words = [word.replace('"', '""') for word in query.split()]
    expression = " ".join(f'"{word}"*' for word in words if word.strip('"'))
    if not expression:
        return {}
    found = rows(
        connection,
        "SELECT m.conversation_id, snippet(messages_fts, 0, '«', '»', '…', 12) FROM messages_fts "
        "JOIN messages m ON m.n = messages_fts.rowid WHERE messages_fts MATCH ? ORDER BY messages_fts.rowid DESC LIMIT ?",
        [expression, SEARCH_HITS_MAX],
    )
    hits: dict[str, str] = {}
    for conversation_id, snippet in found:
        hits.setdefault(str(conversation_id), str(snippet))
    return hits


def _like(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _bytes(value: Value) -> bytes:
    assert isinstance(value, bytes | str)
    return value if isinstance(value, bytes) else value.encode()


def _no_conversation(conversation_id: str) -> NotFound:
    return NotFound(f"There is no chat {conversation_id!r}.", hint="`legion conversation list` shows all.")
