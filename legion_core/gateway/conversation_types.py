"""The words for conversations that are kept here, and the facts told about them."""

from datetime import datetime
from typing import Literal

import msgspec

from legion_core.gateway.types import Attempt, Seam, ToolResultBlock, ToolUseBlock, Usage
from legion_core.kernel.events import Event

MessageStatus = Literal["complete", "streaming", "interrupted", "stopped", "failed"]


class PassedOver(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Models of one instance that were not to be asked when an answer began: the router's reason, in a word and a sentence."""

    tier: str
    instance: str
    models: tuple[str, ...]
    reason: str
    why: str = ""


class ChatMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One message of a conversation.

    Siblings share a parent: `variant` counts from 1 among `variants`, `siblings` are their ids in order of making.
    An answer carries its `request_id`, its `attempts`, its `seams`, who was `left_out` when it began (None where
    that was not kept) and, if it failed, its `error` sentence.
    `pictures` counts those shown with a question, `documents` names those given with it, `calls` are the tools an
    answer called, `results` what they gave.
    """

    id: str
    conversation_id: str
    parent_id: str | None
    role: Literal["user", "assistant", "tool", "system"]
    text: str
    pictures: int = 0
    documents: tuple[str, ...] = ()
    thinking: str = ""
    status: MessageStatus = "complete"
    created_at: datetime
    variant: int = 1
    variants: int = 1
    siblings: tuple[str, ...] = ()
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
    left_out: tuple[PassedOver, ...] | None = None
    error: str = ""
    calls: tuple[ToolUseBlock, ...] = ()
    results: tuple[ToolResultBlock, ...] = ()


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
    left_out: tuple[PassedOver, ...] | None = None
    error: str = ""


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the conversation list; `snippet` is the last text, or the match between «» when searching.

    `is_private`: nothing of it leaves this machine.
    """

    id: str
    title: str
    snippet: str = ""
    updated_at: datetime
    created_at: datetime
    message_count: int = 0
    tier: str = ""
    is_pinned: bool = False
    is_running: bool = False
    is_trashed: bool = False
    is_private: bool = False
    draft: str = ""


class ConversationView(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation opened: its active branch from root to leaf."""

    conversation: Conversation
    messages: tuple[ChatMessage, ...]


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """A question taken on: its answer streams by events that carry `answer_id`."""

    conversation_id: str
    question: ChatMessage
    answer_id: str


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """The conversations that an import made, those it only added to, and how many of the file were here already.

    `notes` say in sentences what came otherwise than it was, and what could not be read.
    """

    conversations: tuple[str, ...]
    grown: tuple[str, ...] = ()
    known: int = 0
    notes: tuple[str, ...] = ()


class Damage(msgspec.Struct, frozen=True, kw_only=True):
    """A message, or a text that curation moved away, that is not what was stored. `message` is empty for a text."""

    conversation: str
    title: str = ""
    message: str = ""
    what: str


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What a check of the links found. `head` is the link of the last message of the one conversation that was asked for."""

    conversations: int
    messages: int
    texts: int
    stored_bytes: int
    said_bytes: int
    damaged: tuple[Damage, ...] = ()
    head: str = ""


class LogEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened to a conversation.

    `what` is said, answered, titled, pinned, trashed, shown (another branch) or imported; `was` and `now` are its two
    states where there were two, `message` the one it is about. What can be undone has a `number`.
    """

    at: datetime
    what: str
    message: str = ""
    was: str = ""
    now: str = ""
    number: int = 0
    is_undone: bool = False


class ContextShares(msgspec.Struct, frozen=True, kw_only=True):
    """What the next request of a conversation is made of with nothing left out, in estimated tokens.

    `newest` is the last question and what followed it, `history` what was said before.
    """

    conversation_id: str
    system: int = 0
    tools: int = 0
    history: int = 0
    newest: int = 0


class ImportProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far the import of a file is: of its bytes, and conversations taken so far."""

    read_bytes: int
    total_bytes: int
    conversations: int


class AnswerStarted(Event, frozen=True, kw_only=True):
    """The answer exists and is empty; `message` is its first form."""

    message: ChatMessage


class AnswerOpened(Event, frozen=True, kw_only=True):
    """The first byte has come, from this lane; `attempts` counts those that failed before it and this one."""

    conversation_id: str
    answer_id: str
    tier: str
    instance: str
    model: str
    attempts: int = 1


class AnswerGrew(Event, frozen=True, kw_only=True):
    """`text` (or `thinking`) was added; `at_char` is where in the answer's text it begins, so no loss goes unseen."""

    conversation_id: str
    answer_id: str
    at_char: int
    text: str = ""
    thinking: str = ""
    tokens: int = 0


class AnswerJoined(Event, frozen=True, kw_only=True):
    """Another attempt carries on at `seam`."""

    conversation_id: str
    answer_id: str
    seam: Seam


class AnswerEnded(Event, frozen=True, kw_only=True):
    """The answer is durable in its final form."""

    message: ChatMessage


class CurationChanged(Event, frozen=True, kw_only=True):
    """The view of a conversation was made anew, with the tokens of all of it and those of the view."""

    conversation_id: str
    naive_tokens: int
    curated_tokens: int


class ConversationChanged(Event, frozen=True, kw_only=True):
    """Something in the list changed: made, renamed, pinned, trashed, restored or written to."""

    conversation_id: str
    is_gone: bool = False
