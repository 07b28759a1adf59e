"""Reads conversations that were exported elsewhere: ChatGPT's and Claude's `conversations.json`, and plain JSON lines.

What cannot be read is refused with the place it stands at, and nothing of the file is taken. ChatGPT's tree of edits and
regenerated answers comes over whole, with the branch that was shown last on top. A picture comes as a note of where it
was. Bytes that are not UTF-8 become U+FFFD.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, cast

import msgspec

from legion_core.gateway.types import JsonObject, Message, TextBlock
from legion_core.kernel.errors import InvalidInput

CHATS_MAX = 20_000
_ENCODE = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Node:
    """A message in the tree; `parent` is the place of the one before it, None for a first one."""

    message: Message
    parent: int | None
    at: datetime | None = None


@dataclass(slots=True)
class ImportedChat:
    """One conversation as it was; `head` is the place of the last message of the branch that is shown."""

    title: str = ""
    at: datetime | None = None
    nodes: list[Node] = field(default_factory=list[Node])
    head: int | None = None

    @property
    def id(self) -> str:
        """An id made of the content, so that the same chat is imported once."""
        told = [(node.message, node.parent) for node in self.nodes]
        return "imp_" + blake2b(_ENCODE((self.title, told)), digest_size=12).hexdigest()


def read_chats(data: bytes, name: str = "the file") -> tuple[ImportedChat, ...]:
    """Every conversation of an export with at least one message, in its order; InvalidInput says what is wrong."""
    text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
    whole = _whole(text)
    if whole is not None:
        rows = [row for row in whole if "mapping" in row or "chat_messages" in row]
        if len(rows) > CHATS_MAX:
            raise InvalidInput(f"{name} holds {len(rows):,} conversations; {CHATS_MAX:,} is the most.")
        if rows:
            chats = [_chat(row, place, name) for place, row in enumerate(rows, 1)]
            return tuple(chat for chat in chats if chat.nodes)
    return (_lines(data, name),)


def _whole(text: str) -> list[JsonObject] | None:
    try:
        value: Any = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None
    if isinstance(value, dict):
        table = cast("JsonObject", value)
        value = table.get("conversations", [table])
    if not isinstance(value, list):
        return None
    return [cast("JsonObject", row) for row in cast("list[Any]", value) if isinstance(row, dict)]


def _chat(row: JsonObject, place: int, name: str) -> ImportedChat:
    try:
        return _chatgpt(row) if "mapping" in row else _claude(row)
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise InvalidInput(
            f"Conversation {place} of {name} is not what an export writes: {error}.",
            hint="Nothing was imported.",
        ) from error


def _chatgpt(row: JsonObject) -> ImportedChat:
    if not isinstance(row["mapping"], dict):
        raise TypeError("its `mapping` is no table of messages")
    mapping = cast("dict[str, JsonObject]", row["mapping"])
    chat = ImportedChat(title=_text(row.get("title")), at=_moment(row.get("create_time")))
    places = dict[str, int | None]()  # None: a node without words, whose children hang below its parent

    def place_of(node_id: object) -> int | None:
        """The nearest message at or above a node; walked without recursion, for chats are deep."""
        path = list[str]()
        at = node_id
        while isinstance(at, str) and at in mapping and at not in places and at not in path:
            path.append(at)
            at = mapping[at].get("parent")
        above = places.get(at) if isinstance(at, str) else None
        for step in reversed(path):
            message = _chatgpt_message(mapping[step].get("message"))
            if message is not None:
                moment = _moment(cast("JsonObject", mapping[step]["message"]).get("create_time"))
                chat.nodes.append(Node(message, above, moment))
                above = len(chat.nodes) - 1
            places[step] = above
        return above

    for node_id in mapping:
        place_of(node_id)
    chat.head = place_of(row.get("current_node")) if row.get("current_node") else None
    if chat.head is None and chat.nodes:
        chat.head = len(chat.nodes) - 1
    return chat


def _chatgpt_message(told: object) -> Message | None:
    if not isinstance(told, dict):
        return None
    message = cast("JsonObject", told)
    role = cast("JsonObject", message.get("author") or {}).get("role")
    content = cast("JsonObject", message.get("content") or {})
    hidden = cast("JsonObject", message.get("metadata") or {}).get("is_visually_hidden_from_conversation")
    if role not in ("user", "assistant") or hidden:
        return None
    parts = list[str]()
    for part in cast("Sequence[object]", content.get("parts") or [content.get("text") or ""]):
        if isinstance(part, str):
            parts.append(part)
        elif isinstance(part, dict):
            kind = _text(cast("JsonObject", part).get("content_type"))
            parts.append(_text(cast("JsonObject", part).get("text")) or f"[{kind or 'attachment'}]")
    return _said("user" if role == "user" else "assistant", "\n".join(part for part in parts if part))


def _claude(row: JsonObject) -> ImportedChat:
    chat = ImportedChat(title=_text(row.get("name")), at=_moment(row.get("created_at")))
    for told in cast("Sequence[JsonObject]", row["chat_messages"]):
        blocks = cast("Sequence[JsonObject]", told.get("content") or [])
        parts = [_text(block.get("text")) for block in blocks if block.get("type") == "text"]
        text = "\n\n".join(part for part in parts if part) or _text(told.get("text"))
        for attached in cast("Sequence[JsonObject]", told.get("attachments") or []):
            text += f"\n\n[{_text(attached.get('file_name')) or 'attachment'}]\n{_text(attached.get('extracted_content'))}"
        message = _said("user" if told.get("sender") == "human" else "assistant", text.strip())
        if message is not None:
            parent = len(chat.nodes) - 1 if chat.nodes else None
            chat.nodes.append(Node(message, parent, _moment(told.get("created_at"))))
    chat.head = len(chat.nodes) - 1 if chat.nodes else None
    return chat


def _lines(data: bytes, name: str) -> ImportedChat:
    from legion_core.gateway.transcripts import read_transcript

    chat = ImportedChat()
    for entry in read_transcript(data, name).entries:
        if entry.message.content:
            chat.nodes.append(Node(entry.message, len(chat.nodes) - 1 if chat.nodes else None))
    chat.head = len(chat.nodes) - 1 if chat.nodes else None
    return chat


def _said(role: str, text: str) -> Message | None:
    if not text:
        return None
    return Message(role="user" if role == "user" else "assistant", content=(TextBlock(text=text),))


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _moment(value: object) -> datetime | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return datetime.fromtimestamp(min(max(float(value), 0.0), 4e9), UTC)
    if isinstance(value, str) and value:
        moment = datetime.fromisoformat(value)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return None
