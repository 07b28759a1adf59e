"""Messages as they are read from the journal: rows to branches, to what is shown, and to what a model is told.

Each function takes a connection inside a transaction. The tree is read without its words; only a branch's are.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from legion_core.gateway.conversation_types import AnswerRecord, ChatMessage, Conversation
from legion_core.gateway.packing import Missing, kinds, names, unpack, unpack_record, unpack_where_possible
from legion_core.gateway.texts import fetch
from legion_core.gateway.types import (
    Block,
    DocumentBlock,
    ImageBlock,
    Message,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
)
from legion_core.kernel.errors import Corrupt, NotFound
from legion_core.storage.sqlite import Connection, Row, Value, row, rows

if TYPE_CHECKING:
    from legion_core.gateway.document import Document

DAMAGED = "What this message says is damaged on the disk. `legion conversation verify` tells more."
ASKED_MAX = 500  # rows in one statement
SHOWN = frozenset({"image", "document"})  # kinds whose bytes are read only when they are looked at

LIST = """
    SELECT id, title, snippet, updated_at, created_at, message_count, tier, is_pinned, trashed_at, draft,
        EXISTS(SELECT 1 FROM private_conversations WHERE private_conversations.id = conversations.id)
    FROM conversations
"""
_decode_record = msgspec.json.Decoder(AnswerRecord).decode
_COLUMNS = "n, id, parent_id, role, status, created_at, text, content, record, hash"


@dataclass(frozen=True, slots=True)
class Place:
    """A message's place in the tree, without its words."""

    n: int
    id: str
    parent_id: str | None


@dataclass(frozen=True, slots=True)
class Stored:
    """A message's row. `text` is filled in rows of before the texts had a table of their own."""

    n: int
    id: str
    parent_id: str | None
    role: str
    status: str
    created_at: str
    text: str
    content: bytes
    record: bytes  # as stored; `record_of` reads it
    hash: bytes | None


def tree(connection: Connection, conversation_id: str) -> list[Place]:
    """Every message of a conversation, in order of making."""
    found = rows(
        connection,
        "SELECT n, id, parent_id FROM messages WHERE conversation_id = ? ORDER BY n",
        [conversation_id],
    )
    return [Place(int(n), str(name), None if parent is None else str(parent)) for n, name, parent in found]


def path_to(places: Sequence[Place], leaf: str | None) -> list[Place]:
    """From the root down to `leaf`."""
    by_id = {place.id: place for place in places}
    path = list[Place]()
    at = leaf
    while at is not None and at in by_id:
        path.append(by_id[at])
        at = by_id[at].parent_id
    path.reverse()
    return path


def head_of(connection: Connection, conversation_id: str) -> str | None:
    """The id of the last message that is shown; NotFound without the conversation."""
    found = row(connection, "SELECT head_id FROM conversations WHERE id = ?", [conversation_id])
    if found is None:
        raise no_conversation(conversation_id)
    return None if found[0] is None else str(found[0])


def stored(connection: Connection, places: Sequence[Place]) -> list[Stored]:
    """The rows of these messages, in their order."""
    found = dict[int, Stored]()
    for at in range(0, len(places), ASKED_MAX):
        part: list[Value] = [place.n for place in places[at : at + ASKED_MAX]]
        marks = ",".join("?" * len(part))
        for each in rows(connection, f"SELECT {_COLUMNS} FROM messages WHERE n IN ({marks})", part):  # noqa: S608 - question marks
            one = _stored(each)
            found[one.n] = one
    return [found[place.n] for place in places if place.n in found]


def batch(connection: Connection, where: str, args: Sequence[Value]) -> list[Stored]:
    """The rows that `where` (a constant of ours) names."""
    sql = f"SELECT {_COLUMNS} FROM messages WHERE {where}"  # noqa: S608 - constants
    return [_stored(each) for each in rows(connection, sql, args)]


def branch(connection: Connection, conversation_id: str) -> list[ChatMessage]:
    """The active branch as it is shown, from the root to the leaf."""
    places = tree(connection, conversation_id)
    families = _families(places)
    found = stored(connection, path_to(places, head_of(connection, conversation_id)))
    texts = _texts_shown(connection, found)
    return [_chat_message(each, conversation_id, families, texts) for each in found]


def one_message(connection: Connection, message_id: str) -> ChatMessage:
    """A message by its id."""
    found = batch(connection, "id = ?", [message_id])
    if not found:
        raise NotFound(f"There is no message {message_id!r}.", hint="It may have been deleted with its chat.")
    of = row(connection, "SELECT conversation_id FROM messages WHERE id = ?", [message_id])
    assert of is not None
    family = rows(
        connection,
        "SELECT n, id, parent_id FROM messages WHERE conversation_id = ? AND parent_id IS ? ORDER BY n",
        [of[0], found[0].parent_id],
    )
    families = _families([Place(int(n), str(name), found[0].parent_id) for n, name, _ in family])
    return _chat_message(found[0], str(of[0]), families, _texts_shown(connection, found))


def said(connection: Connection, conversation_id: str, leaf: str | None) -> list[tuple[str, Message]]:
    """The ids and messages from the root down to `leaf` as a model is told them, without those that hold nothing.

    Corrupt where the words of one are damaged: a model must not answer to a history with a hole.
    """
    found = stored(connection, path_to(tree(connection, conversation_id), leaf))
    texts = _texts_shown(connection, found)
    told = list[tuple[str, Message]]()
    for one in found:
        if one.role == "system":
            continue  # no part of the talk: see `rules`
        try:
            texts |= fetch(connection, names(one.content, SHOWN.__contains__))
            content = unpack(one.content, texts)
        except (Missing, ValueError, TypeError, msgspec.DecodeError) as error:
            raise Corrupt(
                f"Message {one.id} of {conversation_id} is damaged on the disk.",
                hint=f"`legion conversation verify {conversation_id}` tells what is; begin anew from an earlier message.",
            ) from error
        if content:
            told.append((one.id, Message(role=one.role, content=content)))  # pyright: ignore[reportArgumentType] - written by us
    return told


def rules(connection: Connection, conversation_id: str, leaf: str | None) -> tuple[str, ...]:
    """The system texts from the root down to `leaf`, in their order."""
    places = path_to(tree(connection, conversation_id), leaf)
    found = [one for one in stored(connection, places) if one.role == "system"]
    texts = _texts_shown(connection, found)
    told = [words_of(unpack_where_possible(one.content, texts)[0]) for one in found]
    return tuple(text for text in told if text.strip())


def shown_blocks(connection: Connection, conversation_id: str) -> tuple[tuple[str, tuple[Block, ...]], ...]:
    """The active branch's messages with all their blocks; what is damaged of them is empty."""
    places = path_to(tree(connection, conversation_id), head_of(connection, conversation_id))
    return tuple((one.id, _whole(connection, one)) for one in stored(connection, places))


def document(connection: Connection, conversation_id: str) -> "Document":
    """All of a conversation, every branch."""
    from legion_core.gateway.document import Document, DocumentMessage

    told = conversation(connection, conversation_id)
    made = list[DocumentMessage]()
    for one in stored(connection, tree(connection, conversation_id)):
        content = _whole(connection, one)
        made.append(
            DocumentMessage(
                id=one.id,
                parent_id=one.parent_id,
                role=one.role,  # pyright: ignore[reportArgumentType] - written by us
                status=one.status,
                created_at=datetime.fromisoformat(one.created_at),
                text=one.text or words_of(content),
                content=content,
                record=record_of(one),
            )
        )
    return Document(
        id=told.id,
        title=told.title,
        created_at=told.created_at,
        updated_at=told.updated_at,
        tier=told.tier,
        is_pinned=told.is_pinned,
        head_id=head_of(connection, conversation_id),
        messages=tuple(made),
    )


def blocks_of(connection: Connection, message_id: str, wanted: Callable[[str], bool]) -> tuple[Block, ...]:
    """A message's blocks of the wanted kinds; what is damaged of them is left out."""
    found = batch(connection, "id = ?", [message_id])
    if not found:
        raise NotFound(f"There is no message {message_id!r}.", hint="It may have been deleted with its chat.")
    texts = fetch(connection, names(found[0].content, wanted))
    content, _ = unpack_where_possible(found[0].content, texts)
    return tuple(block for block in content if wanted(str(block.__struct_config__.tag)))


def conversation(connection: Connection, conversation_id: str) -> Conversation:
    """A row of the list."""
    found = row(connection, f"{LIST} WHERE id = ?", [conversation_id])
    if found is None:
        raise no_conversation(conversation_id)
    return conversation_row(found)


def conversation_row(found: Row) -> Conversation:
    """A row of `LIST` as it is told."""
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


def record_of(one: Stored) -> AnswerRecord:
    """How an answer came about; ValueError or DecodeError where that is damaged."""
    return _decode_record(unpack_record(one.record))


def words_of(content: Iterable[Block]) -> str:
    """What of a message is found by search, and shown as its text."""
    return "".join(block.text for block in content if isinstance(block, TextBlock))


def no_conversation(conversation_id: str) -> NotFound:
    """The error of a conversation that is not here."""
    return NotFound(f"There is no chat {conversation_id!r}.", hint="`legion conversation list` shows all.")


def _whole(connection: Connection, one: Stored) -> tuple[Block, ...]:
    """What a message says, from texts that are read for it alone: pictures are large."""
    try:
        return unpack_where_possible(one.content, fetch(connection, names(one.content)))[0]
    except (ValueError, TypeError, msgspec.DecodeError):
        return ()


def _stored(found: Row) -> Stored:
    n, name, parent, role, status, created_at, text, content, record, link = found
    return Stored(
        int(n),
        str(name),
        None if parent is None else str(parent),
        str(role),
        str(status),
        str(created_at),
        str(text),
        content if isinstance(content, bytes) else str(content).encode(),
        record if isinstance(record, bytes) else str(record).encode(),
        None if link is None else bytes(link),
    )


def _families(places: Sequence[Place]) -> dict[str, list[str]]:
    """Message ids by parent id (`` for roots), in order of making."""
    found = dict[str, list[str]]()
    for place in places:
        found.setdefault(place.parent_id or "", []).append(place.id)
    return found


def _texts_shown(connection: Connection, found: Sequence[Stored]) -> dict[bytes, str]:
    """The texts that the transcript shows: the bytes of pictures and documents are read when somebody looks at them."""
    return fetch(connection, [each for one in found for each in _names_shown(one)])


def _names_shown(one: Stored) -> list[bytes]:
    try:
        return names(one.content, lambda kind: kind not in SHOWN)
    except (ValueError, TypeError, msgspec.DecodeError):
        return []  # it is told as damaged


def _chat_message(
    one: Stored, conversation_id: str, families: dict[str, list[str]], texts: dict[bytes, str]
) -> ChatMessage:
    family = families.get(one.parent_id or "", [one.id])
    error = ""
    content: tuple[Block, ...] = ()
    pictures = 0
    record = AnswerRecord()
    try:
        pictures = sum(kind == "image" for kind in kinds(one.content))
        content, is_wanting = unpack_where_possible(one.content, texts)
        if is_wanting and not all(each in texts for each in _names_shown(one)):
            error = DAMAGED
        record = record_of(one)
    except (ValueError, TypeError, msgspec.DecodeError):
        error = DAMAGED
    return ChatMessage(
        id=one.id,
        conversation_id=conversation_id,
        parent_id=one.parent_id,
        role=one.role,  # pyright: ignore[reportArgumentType] - written by us from the same Literal
        text=one.text or words_of(content),
        results=tuple(block for block in content if isinstance(block, ToolResultBlock)),
        calls=tuple(block for block in content if isinstance(block, ToolUseBlock)),
        pictures=pictures,
        documents=tuple(block.name or "document" for block in content if isinstance(block, DocumentBlock)),
        thinking="".join(block.text for block in content if isinstance(block, ThinkingBlock)),
        status=one.status,  # pyright: ignore[reportArgumentType]
        created_at=datetime.fromisoformat(one.created_at),
        variant=family.index(one.id) + 1,
        variants=len(family),
        siblings=tuple(family) if len(family) > 1 else (),
        request_id=record.request_id,
        tier=record.tier,
        instance=record.instance,
        model=record.model,
        usage=record.usage,
        cost_usd=record.cost_usd,
        first_token_s=record.first_token_s,
        duration_s=record.duration_s,
        attempts=record.attempts,
        seams=record.seams,
        left_out=record.left_out,
        error=error or record.error,
    )


def pictures_of(content: Iterable[Block]) -> tuple[ImageBlock, ...]:
    """The pictures shown with a message."""
    return tuple(block for block in content if isinstance(block, ImageBlock))


def shown_of(content: Iterable[Block]) -> tuple[ImageBlock | DocumentBlock, ...]:
    """The pictures and documents shown with a message."""
    return tuple(block for block in content if isinstance(block, ImageBlock | DocumentBlock))
