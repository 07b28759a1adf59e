"""The words of imports: a conversation as another program kept it, on its way in."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from typing import cast

import msgspec

from legion_core.gateway.types import Block, ImageBlock, JsonObject, Message, Role, TextBlock

_ENCODE = msgspec.msgpack.Encoder().encode
DATES = (0.0, 4e9)  # seconds since 1970 that are believed


@dataclass(slots=True)
class Node:
    """A message in the tree; `parent` is the place of the one before it, None for a first one.

    `key` is its name where it came from, so that a longer export adds only what is new. `is_system` is a rule of the whole
    conversation, whatever the message's role. `status` and `record` (JSON) come only with our own exports.
    """

    message: Message
    parent: int | None
    at: datetime | None = None
    key: str = ""
    is_system: bool = False
    status: str = "complete"
    record: bytes = b"{}"


@dataclass(slots=True)
class ImportedChat:
    """One conversation as it was; `head` is the place of the last message of the branch that is shown."""

    title: str = ""
    at: datetime | None = None
    nodes: list[Node] = field(default_factory=list[Node])
    head: int | None = None
    source: str = ""
    """What names it where it came from; empty: what it says does."""
    own_id: str = ""
    """Its id here; only our own exports have one."""
    updated_at: datetime | None = None
    is_pinned: bool = False
    tier: str = ""

    @property
    def id(self) -> str:
        """The same for the same conversation, so that it comes in once."""
        if self.own_id:
            return self.own_id
        told: object = self.source or (
            self.title,
            [(node.message.role, node.is_system, _plain(node.message), node.parent) for node in self.nodes],
        )
        return "imp_" + blake2b(_ENCODE(told), digest_size=12).hexdigest()

    def message_ids(self) -> list[str]:
        """Each message's id here, the same for the same message."""
        own, name = bool(self.own_id), self.id  # the name covers all that is said: it is reckoned once
        return [
            node.key
            if own and node.key
            else "msg_" + blake2b(_ENCODE((name, node.key or place)), digest_size=12).hexdigest()
            for place, node in enumerate(self.nodes)
        ]


@dataclass(slots=True)
class Notes:
    """What is said after an import: what came as words because it is not known here, what was left out, and why."""

    as_text: Counter[str] = field(default_factory=Counter[str])
    not_there: int = 0
    broken: list[str] = field(default_factory=list[str])

    def sentences(self) -> tuple[str, ...]:
        """For people, shortest first."""
        told = list[str]()
        if self.not_there:
            told.append(
                f"{self.not_there:,} pictures and files are named where they were; the export does not hold them."
            )
        if self.as_text:
            kinds = ", ".join(f"{kind} ({count:,})" for kind, count in self.as_text.most_common(8))
            told.append(f"Parts of kinds that are not known here came as text: {kinds}.")
        return (*told, *self.broken)


FindImage = Callable[[str], ImageBlock | None]
"""The picture of that name where the export holds it."""


def no_image(name: str) -> ImageBlock | None:
    """An export without pictures."""
    del name
    return None


def message_of(role: str, blocks: list[Block]) -> Message:
    """A message of blocks with words in them."""
    return Message(role=cast("Role", role), content=tuple(blocks))


def words(value: object) -> str:
    """A text without what no text may hold; anything else is no text."""
    if not isinstance(value, str):
        return ""
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-8", "replace").decode()
    return value


def moment(value: object) -> datetime | None:
    """A date as exports write it; ValueError for a text that is none."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        low, high = DATES
        return datetime.fromtimestamp(min(max(float(value), low), high), UTC)
    if isinstance(value, str) and value:
        told = datetime.fromisoformat(value)
        return told if told.tzinfo else told.replace(tzinfo=UTC)
    return None


def as_json(part: object) -> str:
    """What is not known here, as it was written."""
    told = words(msgspec.json.format(msgspec.json.encode(part), indent=2).decode("utf-8", "replace"))
    return f"```json\n{told}\n```"


def objects(value: object) -> list[JsonObject]:
    """Those of a list's values that are objects."""
    if not isinstance(value, list):
        return []
    return [cast("JsonObject", row) for row in cast("list[object]", value) if isinstance(row, dict)]


def _plain(message: Message) -> list[object]:
    return [
        block.text if isinstance(block, TextBlock) else msgspec.to_builtins(block)
        for block in message.content
    ]
