"""A conversation as one JSON document: every branch, every field, to be taken in again as it was."""

from datetime import datetime
from typing import Any, Literal

import msgspec

from legion_core.gateway.conversation_types import AnswerRecord
from legion_core.gateway.import_types import ImportedChat, Node
from legion_core.gateway.types import Block, JsonObject, Message

FORMAT = "legion-conversation"
VERSION = 1


class DocumentMessage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One message; `text` repeats the words of its blocks, for whoever reads the file."""

    id: str
    parent_id: str | None = None
    role: Literal["user", "assistant", "tool", "system"]
    status: str = "complete"
    created_at: datetime
    text: str = ""
    content: tuple[Block, ...]
    record: AnswerRecord = AnswerRecord()


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """The whole. `head_id` is the last message of the branch that is shown; messages stand in order of making."""

    format: str = FORMAT
    version: int = VERSION
    id: str
    title: str
    created_at: datetime
    updated_at: datetime
    tier: str = ""
    is_pinned: bool = False
    head_id: str | None
    messages: tuple[DocumentMessage, ...]


def document_of(chat: ImportedChat, now: datetime) -> bytes:
    """An imported chat as a document, under the ids it gets here; messages without a moment have the chat's, or `now`."""
    began = chat.at or now
    ids = chat.message_ids()
    dates = [node.at or began for node in chat.nodes]
    made = Document(
        id=chat.id,
        title=chat.title,
        created_at=began,
        updated_at=chat.updated_at or max([began, *dates]),
        tier=chat.tier,
        is_pinned=chat.is_pinned,
        head_id=None if chat.head is None else ids[chat.head],
        messages=tuple(
            DocumentMessage(
                id=name,
                parent_id=None if node.parent is None else ids[node.parent],
                role="system" if node.is_system else node.message.role,
                status=node.status,
                created_at=at,
                content=node.message.content,
                record=msgspec.json.decode(node.record, type=AnswerRecord),
            )
            for name, node, at in zip(ids, chat.nodes, dates, strict=True)
        ),
    )
    return msgspec.json.encode(made)


def is_document(row: JsonObject) -> bool:
    """Whether an object is one of ours."""
    return row.get("format") == FORMAT


def chat_of(row: JsonObject) -> ImportedChat:
    """A document on its way in; ValueError where it is of a later version, ValidationError where it is not one."""
    version: Any = row.get("version")
    if version != VERSION:
        raise ValueError(f"version {version!r} of the document is not known here")
    document = msgspec.convert(row, Document)
    places = {message.id: place for place, message in enumerate(document.messages)}
    chat = ImportedChat(
        title=document.title,
        at=document.created_at,
        own_id=document.id,
        updated_at=document.updated_at,
        is_pinned=document.is_pinned,
        tier=document.tier,
        head=places.get(document.head_id or ""),
    )
    for place, message in enumerate(document.messages):
        parent = None if message.parent_id is None else places.get(message.parent_id)
        if parent is not None and parent >= place:
            raise ValueError(f"message {message.id} stands before the one it answers")
        chat.nodes.append(
            Node(
                Message(
                    role="user" if message.role == "system" else message.role,
                    content=message.content,
                ),
                parent,
                message.created_at,
                message.id,
                is_system=message.role == "system",
                status="interrupted" if message.status == "streaming" else message.status,
                record=msgspec.json.encode(message.record),
            )
        )
    return chat
