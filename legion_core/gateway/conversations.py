"""Conversations kept here: a tree of messages with one active branch, words searchable, nothing ever overwritten.

Editing and regenerating add siblings; `head_id` says which branch is shown. An answer that streams is stored in
parts, so that a killed process loses at most the last quarter of a second of it; at the next start its parts
become an answer with the status `interrupted`. How messages lie on disk is in `packing` and `texts`; what else happened
to a conversation stands in its log, from which it can be undone.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from legion_core.gateway.conversation_log import note, read_log, undo_last
from legion_core.gateway.conversation_rows import (
    LIST,
    SHOWN,
    blocks_of,
    branch,
    conversation,
    conversation_row,
    document,
    head_of,
    no_conversation,
    one_message,
    pictures_of,
    rules,
    said,
    shown_blocks,
    shown_of,
    tree,
)
from legion_core.gateway.conversation_schema import MIGRATIONS
from legion_core.gateway.conversation_types import (
    AnswerRecord,
    ChatMessage,
    Conversation,
    ConversationView,
    Damage,
    LogEntry,
    MessageStatus,
    Verified,
)
from legion_core.gateway.conversation_writing import (
    close_message,
    delete_conversation,
    end_message,
    insert_message,
)
from legion_core.gateway.packing import Packed, pack, unpack_record
from legion_core.gateway.tool_turns import paired
from legion_core.gateway.types import Block, DocumentBlock, ImageBlock, Message, TextBlock, ThinkingBlock
from legion_core.kernel.clock import Clock, iso
from legion_core.kernel.errors import InvalidInput
from legion_core.kernel.ids import Ids
from legion_core.storage.sqlite import Connection, Database, Value, execute, row, rows

if TYPE_CHECKING:
    from legion_core.gateway.document import Document
    from legion_core.gateway.import_types import ImportedChat

__all__ = ["MIGRATIONS", "AnswerRecord", "Conversations", "title_from"]

TITLE_CHARS_MAX = 60
SNIPPET_CHARS_MAX = 120
TRASH_DAYS = 30
PACKED_ASIDE_CHARS = 16_000  # more is compressed on a thread: the loop must not wait for it
DAMAGES_TOLD = 1_000
DRAFT_CHARS_MAX = 4_000_000

_encode = msgspec.json.Encoder().encode
_decode_record = msgspec.json.Decoder(AnswerRecord).decode


@dataclass(slots=True)
class TakenIn:
    """Ids of conversations that an import made and of those it added to; `known` were here already."""

    made: list[str] = field(default_factory=list[str])
    grown: list[str] = field(default_factory=list[str])
    known: int = 0


class Conversations:
    """The store. Every change is one transaction; reads see only whole ones."""

    def __init__(self, database: Database, clock: Clock, ids: Ids) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids

    async def recover(self) -> int:
        """Give answers a killed process left half-written the status `interrupted`; how many there were."""

        def work(connection: Connection) -> int:
            left = rows(
                connection, "SELECT id, role, record FROM messages WHERE status = 'streaming' ORDER BY n"
            )
            for message_id, role, record in left:
                if role == "tool":  # what tools gave stands there as it is known; see `tool_turns`
                    end_message(connection, str(message_id), "interrupted")
                    continue
                parts = rows(
                    connection,
                    "SELECT text, thinking FROM message_parts WHERE message_id = ? ORDER BY part",
                    [message_id],
                )
                text = "".join(str(part[0]) for part in parts)
                thinking = "".join(str(part[1]) for part in parts)
                kept = msgspec.structs.replace(
                    _decode_record(
                        unpack_record(record if isinstance(record, bytes) else str(record).encode())
                    ),
                    error="The workbench stopped while this answer was being written.",
                )
                close_message(
                    connection, str(message_id), _answer_blocks(text, thinking), "interrupted", _encode(kept)
                )
            return len(left)

        return await self._database.write(work)

    async def store_older_anew(self) -> int:
        """Bring what an earlier version wrote into the present form, in pieces between which others write; how many."""
        left = "SELECT 1 FROM messages WHERE hash IS NULL AND status <> 'streaming' LIMIT 1"
        if await self._database.read(lambda connection: row(connection, left)) is None:
            return 0
        from legion_core.gateway.conversation_links import store_older_anew

        after, pieces = 0, 0
        while True:
            at = after
            last = await self._database.write(
                lambda connection, at=at: store_older_anew(connection, at), durability="process"
            )
            if last is None:
                return pieces
            after, pieces = last, pieces + 1

    async def purge_trash(self) -> int:
        """Delete for good what has lain in the trash for 30 days."""
        before = iso(self._clock.utc_now() - timedelta(days=TRASH_DAYS))

        def work(connection: Connection) -> int:
            gone = rows(connection, "SELECT id FROM conversations WHERE trashed_at < ?", [before])
            for (conversation_id,) in gone:
                delete_conversation(connection, str(conversation_id))
            return len(gone)

        return await self._database.write(work)

    async def create(self, title: str = "") -> Conversation:
        """A new, empty conversation."""
        conversation_id, at = self._ids.new("cnv"), iso(self._clock.utc_now())

        def work(connection: Connection) -> Conversation:
            _insert_conversation(connection, conversation_id, title, at)
            return conversation(connection, conversation_id)

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
            return conversation(connection, conversation_id)

        return await self._database.write(work)

    async def ask(
        self, conversation_id: str, messages: Sequence[Message], *, parent_id: str | None, request_id: str
    ) -> tuple[ChatMessage | None, ChatMessage]:
        """Store `messages` below `parent_id` and open an empty answer below the last: `(question, answer)`.

        Without messages the answer becomes a sibling of the answers already below `parent_id`; question is None then.
        """
        stamp = iso(self._clock.utc_now())
        new_ids = [self._ids.new("msg") for _ in messages]
        answer_id = self._ids.new("msg")
        record = _encode(AnswerRecord(request_id=request_id))
        packed = [await _packed(message.content) for message in messages]

        def work(connection: Connection) -> tuple[ChatMessage | None, ChatMessage]:
            title, is_auto = _title(connection, conversation_id)
            above = parent_id
            for message_id, message, ready in zip(new_ids, messages, packed, strict=True):
                insert_message(
                    connection, message_id, conversation_id, above,
                    role=message.role, at=stamp, content=message.content, packed=ready,
                )  # fmt: skip
                above = message_id
            insert_message(
                connection, answer_id, conversation_id, above,
                role="assistant", at=stamp, status="streaming", record=record,
            )  # fmt: skip
            if is_auto and not title and messages:
                title = title_from(messages[0].text)
            snippet = messages[-1].text[:SNIPPET_CHARS_MAX] if messages else ""
            execute(
                connection,
                "UPDATE conversations SET head_id = ?, updated_at = ?, title = ?, draft = '', trashed_at = NULL, "
                "message_count = message_count + ?, snippet = CASE WHEN ? = '' THEN snippet ELSE ? END WHERE id = ?",
                [answer_id, stamp, title, len(messages) + 1, snippet, snippet, conversation_id],
            )
            question = one_message(connection, new_ids[-1]) if new_ids else None
            return question, one_message(connection, answer_id)

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
        packed = await _packed(content)

        def work(connection: Connection) -> ChatMessage:
            conversation_id = close_message(connection, answer_id, content, status, _encode(record), packed)
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
            return one_message(connection, answer_id)

        return await self._database.write(work)

    async def message(self, message_id: str) -> ChatMessage:
        """One message by its id."""
        return await self._database.read(lambda connection: one_message(connection, message_id))

    async def pictures(self, message_id: str) -> tuple[ImageBlock, ...]:
        """The pictures shown with a message, in their order."""
        return await self._database.read(
            lambda connection: pictures_of(blocks_of(connection, message_id, lambda kind: kind == "image"))
        )

    async def shown(self, message_id: str) -> tuple[ImageBlock | DocumentBlock, ...]:
        """The pictures and documents shown with a message, in their order."""
        return await self._database.read(
            lambda connection: shown_of(blocks_of(connection, message_id, SHOWN.__contains__))
        )

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

    async def left_of(self, answer_id: str) -> ChatMessage | None:
        """The last message of this answer's turn, where a killed process left it to be written on.

        An answer or results that were interrupted, or results that nobody answered. None where the turn was ended, or
        something was said behind it.
        """
        newest = "SELECT id FROM messages WHERE conversation_id = ? AND parent_id = ? ORDER BY n DESC LIMIT 1"

        def work(connection: Connection) -> ChatMessage | None:
            last = one_message(connection, answer_id)
            while (below := row(connection, newest, [last.conversation_id, last.id])) is not None:
                last = one_message(connection, str(below[0]))
                if last.role not in ("assistant", "tool"):
                    return None
            is_unanswered = last.role == "tool" and last.status == "complete"
            return last if is_unanswered or last.status == "interrupted" else None

        return await self._database.read(work)

    async def history(self, conversation_id: str, up_to: str | None) -> tuple[Message, ...]:
        """The canonical messages from the root down to `up_to`, leaving out answers that hold nothing."""
        if up_to is None:
            return ()
        found = await self._database.read(lambda connection: said(connection, conversation_id, up_to))
        return tuple(message for _, message in paired(found))

    async def take_in(self, chats: "Sequence[ImportedChat]") -> TakenIn:
        """Store imported chats, all or none; of one that is here already only what is new."""
        from legion_core.gateway.conversation_taking import take_in

        now = self._clock.utc_now()

        def work(connection: Connection) -> TakenIn:
            taken = TakenIn()
            for chat in chats:
                first = next(
                    (
                        node.message.text
                        for node in chat.nodes
                        if node.message.role == "user" and not node.is_system
                    ),
                    "",
                )
                name, how = take_in(connection, chat, title_from(first), now)
                if how == "known":
                    taken.known += 1
                else:
                    (taken.made if how == "new" else taken.grown).append(name)
            return taken

        return await self._database.write(work)

    async def system(self, conversation_id: str, up_to: str | None) -> tuple[str, ...]:
        """The rules of the whole conversation that stand above `up_to`, as an imported one has them."""
        if up_to is None:
            return ()
        return await self._database.read(lambda connection: rules(connection, conversation_id, up_to))

    async def document(self, conversation_id: str) -> "Document":
        """All of it, every branch, as it can be taken in again."""
        return await self._database.read(lambda connection: document(connection, conversation_id))

    async def shown_blocks(self, conversation_id: str) -> tuple[tuple[str, tuple[Block, ...]], ...]:
        """The active branch with all that it says, pictures and calls included: `(message id, blocks)`."""
        return await self._database.read(lambda connection: shown_blocks(connection, conversation_id))

    async def named_history(self, conversation_id: str) -> tuple[tuple[str, ...], tuple[Message, ...]]:
        """The active branch as `history` gives it, with the id of each message."""

        def work(connection: Connection) -> list[tuple[str, Message]]:
            return said(connection, conversation_id, head_of(connection, conversation_id))

        found = paired(await self._database.read(work))
        return tuple(name for name, _ in found), tuple(message for _, message in found)

    async def head(self, conversation_id: str) -> str | None:
        """The id of the active branch's last message; None if the conversation is empty."""
        return await self._database.read(lambda connection: head_of(connection, conversation_id))

    async def open(self, conversation_id: str) -> ConversationView:
        """The conversation and its active branch."""

        def work(connection: Connection) -> ConversationView:
            return ConversationView(
                conversation=conversation(connection, conversation_id),
                messages=tuple(branch(connection, conversation_id)),
            )

        return await self._database.read(work)

    async def choose(self, message_id: str) -> str:
        """Show the branch through this message, down to its newest leaf; gives the conversation's id."""
        at = iso(self._clock.utc_now())

        def work(connection: Connection) -> str:
            conversation_id = one_message(connection, message_id).conversation_id
            children: dict[str, str] = {}
            for place in tree(connection, conversation_id):
                children[str(place.parent_id)] = place.id  # in order of making: the newest child stays
            leaf = message_id
            while leaf in children:
                leaf = children[leaf]
            before = head_of(connection, conversation_id) or ""
            if leaf != before:
                execute(
                    connection, "UPDATE conversations SET head_id = ? WHERE id = ?", [leaf, conversation_id]
                )
                note(connection, conversation_id, at, "shown", before, leaf)
            return conversation_id

        return await self._database.write(work)

    async def list(self, query: str, *, limit: int, offset: int, trashed: bool) -> tuple[Conversation, ...]:
        """Pinned first, then newest first; with a query, those whose title or words match, newest match first."""

        def work(connection: Connection) -> tuple[Conversation, ...]:
            where = "trashed_at IS NOT NULL" if trashed else "trashed_at IS NULL"
            if not query.strip():
                sql = (
                    f"{LIST} WHERE {where} ORDER BY is_pinned DESC, updated_at DESC, id DESC LIMIT ? OFFSET ?"
                )
                return tuple(conversation_row(found) for found in rows(connection, sql, [limit, offset]))
            from legion_core.gateway.conversation_search import matches

            snippets = matches(connection, query)
            sql = f"{LIST} WHERE {where} AND title LIKE ? ESCAPE '\\' ORDER BY updated_at DESC LIMIT ?"
            titled = rows(connection, sql, [f"%{_like(query.strip())}%", limit])
            hits = {str(found[0]): conversation_row(found) for found in titled}
            for conversation_id, snippet in snippets.items():
                found = row(connection, f"{LIST} WHERE {where} AND id = ?", [conversation_id])
                if found is not None:
                    hits[conversation_id] = msgspec.structs.replace(conversation_row(found), snippet=snippet)
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
        await self._set(conversation_id, "titled", "title", title[:200].strip(), ", is_title_auto = 0")

    async def set_pinned(self, conversation_id: str, is_pinned: bool) -> None:
        """Keep it at the top of the list, or no longer."""
        await self._set(conversation_id, "pinned", "is_pinned", int(is_pinned))

    async def set_trashed(self, conversation_id: str, is_trashed: bool) -> None:
        """Move it to the trash, from which it can be taken back for 30 days, or take it back."""
        at = iso(self._clock.utc_now()) if is_trashed else None
        await self._set(conversation_id, "trashed", "trashed_at", at)

    async def set_draft(self, conversation_id: str, text: str) -> None:
        """Remember what is typed and not sent."""
        await self._set(conversation_id, "", "draft", text[:DRAFT_CHARS_MAX])

    async def log(self, conversation_id: str) -> tuple[LogEntry, ...]:
        """Everything that happened to a conversation, in order."""

        def work(connection: Connection) -> tuple[LogEntry, ...]:
            head_of(connection, conversation_id)
            return read_log(connection, conversation_id)

        return await self._database.read(work)

    async def undo(self, conversation_id: str) -> LogEntry:
        """Take back the last thing in the log that can be: a title, a pin, the trash, a branch. Conflict where there is none."""
        at = iso(self._clock.utc_now())

        def work(connection: Connection) -> LogEntry:
            head_of(connection, conversation_id)
            return undo_last(connection, conversation_id, at)

        return await self._database.write(work)

    async def verify(self, conversation_id: str | None = None) -> Verified:
        """Hold every text against its hash and every message against its link, of one conversation or of all."""
        from legion_core.gateway.conversation_links import check, check_archive, sizes

        after: int | None = 0
        messages = texts = 0
        damaged = list[Damage]()
        head = b""
        if conversation_id is not None:
            head = await self._database.read(lambda connection: _link_of_head(connection, conversation_id))
        while after is not None:
            at = after
            after, count, looked_at, found = await self._database.read(
                lambda connection, at=at: check(connection, conversation_id, at)
            )
            messages, texts, damaged = messages + count, texts + looked_at, [*damaged, *found][:DAMAGES_TOLD]
        key: str | None = ""
        while key is not None:
            name = key
            key, count, found = await self._database.read(
                lambda connection, name=name: check_archive(connection, conversation_id, name)
            )
            texts, damaged = texts + count, [*damaged, *found][:DAMAGES_TOLD]
        stored, told = await self._database.read(sizes)
        total = await self._database.read(
            lambda connection: row(connection, "SELECT count(*) FROM conversations")
        )
        return Verified(
            conversations=1 if conversation_id is not None else int(total[0]) if total else 0,
            messages=messages,
            texts=texts,
            stored_bytes=stored,
            said_bytes=told,
            damaged=tuple(damaged),
            head=head.hex(),
        )

    async def _set(self, conversation_id: str, what: str, column: str, value: Value, more: str = "") -> None:
        at = iso(self._clock.utc_now())

        def work(connection: Connection) -> None:
            before = row(connection, f"SELECT {column} FROM conversations WHERE id = ?", [conversation_id])  # noqa: S608 - four constants above
            if before is None:
                raise no_conversation(conversation_id)
            sql = f"UPDATE conversations SET {column} = ?{more} WHERE id = ?"  # noqa: S608
            execute(connection, sql, [value, conversation_id])
            if what and before[0] != value:
                note(connection, conversation_id, at, what, _told(before[0]), _told(value))

        await self._database.write(work)


def title_from(text: str) -> str:
    """A title for a conversation that begins with `text`: its first line, cut at a word."""
    lines = (line.replace("`", "").replace("**", "").strip(" #>*-\t") for line in text.splitlines())
    line = next((line for line in lines if line), "")
    if len(line) <= TITLE_CHARS_MAX:
        return line
    return line[:TITLE_CHARS_MAX].rsplit(" ", 1)[0].rstrip(" .,:;") + "…"


async def _packed(content: Sequence[Block]) -> Packed:
    weight = sum(len(getattr(block, "text", "")) + len(getattr(block, "data", "")) for block in content)
    return pack(content) if weight <= PACKED_ASIDE_CHARS else await asyncio.to_thread(pack, content)


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


def _link_of_head(connection: Connection, conversation_id: str) -> bytes:
    found = row(connection, "SELECT hash FROM messages WHERE id = ?", [head_of(connection, conversation_id)])
    return bytes(found[0]) if found is not None and found[0] is not None else b""


def _title(connection: Connection, conversation_id: str) -> tuple[str, bool]:
    found = row(connection, "SELECT title, is_title_auto FROM conversations WHERE id = ?", [conversation_id])
    if found is None:
        raise no_conversation(conversation_id)
    return str(found[0]), bool(found[1])


def _told(value: object) -> str:
    return "" if value is None else str(value)


def _like(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
