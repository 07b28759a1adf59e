"""The list of chats: grouped by day, searched in full text, renamed, pinned, trashed and brought back."""

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from PySide6.QtCore import QObject, QTimer, Signal

from app.bridge import Bridge
from app.viewmodels import wording
from legion_core.api.types import AnswerEnded, AnswerStarted, Conversation, ConversationChanged, Event

if TYPE_CHECKING:
    from legion_core.api.facade import Legion

Form = Literal["md", "json", "html"]
FORMS: tuple[Form, ...] = ("md", "json", "html")
PAGE = 200
SEARCH_PAUSE_MS = 90  # a fast typist's gap between two keys: fewer searches, no felt delay


@dataclass(frozen=True, slots=True)
class Row:
    """A caption (no conversation) or a chat; `time` is the text of its time column."""

    caption: str = ""
    conversation: Conversation | None = None
    time: str = ""

    @property
    def id(self) -> str:
        """The chat's id, or empty for a caption."""
        return self.conversation.id if self.conversation else ""


def arrange(found: Sequence[Conversation], now: datetime, *, is_search: bool) -> tuple[Row, ...]:
    """Captions and chats in the order shown. A search keeps its own order, best first, under one caption."""
    rows: list[Row] = []
    current = ""
    for conversation in found:
        moment = conversation.updated_at.astimezone(now.tzinfo)
        caption = (
            wording.plural(len(found), "match") if is_search and len(found) == 1
            else f"{len(found)} matches" if is_search
            else "Pinned" if conversation.is_pinned
            else wording.group_of(moment, now)
        )  # fmt: skip
        if caption != current:
            rows.append(Row(caption=caption))
            current = caption
        rows.append(Row(conversation=conversation, time=wording.list_time(moment, now)))
    return tuple(rows)


def match_in(snippet: str) -> str:
    """The words of a passage that a search marked with «», as far as they stand side by side; empty without a mark."""
    marked = re.search(r"«[^»]*»(?:\s+«[^»]*»)*", snippet)
    return "" if marked is None else re.sub("[«»]", "", marked[0])


class ConversationsViewModel(QObject):
    """What the chat page's second column shows. `now` gives local time."""

    changed = Signal()
    """`rows` is new."""
    trashed = Signal(str, str)
    """A chat went to the Trash: its id and title, for the notice with Undo."""
    gone = Signal(str)
    """This chat is no longer there to be shown."""

    def __init__(self, bridge: Bridge, now: Callable[[], datetime]) -> None:
        super().__init__()
        self.setObjectName("viewmodel.conversations")
        self._bridge = bridge
        self._now = now
        self.rows: tuple[Row, ...] = ()
        self.query = ""
        self.is_trash = False
        self.is_loaded = False
        self._limit = PAGE
        self._found: tuple[Conversation, ...] = ()
        self._is_loading = False
        self._is_stale = False
        self._pause = QTimer(self)
        self._pause.setObjectName("conversations.search")
        self._pause.setSingleShot(True)
        self._pause.setInterval(SEARCH_PAUSE_MS)
        self._pause.timeout.connect(self.refresh)
        bridge.watch(self._on_facts, ConversationChanged, AnswerStarted, AnswerEnded)
        bridge.connected.connect(self.refresh)
        bridge.lost.connect(self.refresh)

    @property
    def found(self) -> tuple[Conversation, ...]:
        """The chats of the rows, in order."""
        return self._found

    def title_of(self, conversation_id: str) -> str:
        """The title in the list, or empty."""
        return next((found.title for found in self._found if found.id == conversation_id), "")

    def find(self, conversation_id: str) -> Conversation | None:
        """The row's conversation, if it is in the list."""
        return next((found for found in self._found if found.id == conversation_id), None)

    def found_in(self, conversation_id: str) -> str:
        """What the search that is shown found in this chat, as it stands there; empty where nothing is searched."""
        found = self.find(conversation_id) if self.query else None
        return match_in(found.snippet) if found is not None else ""

    def search(self, query: str) -> None:
        """Show only what matches; an empty query shows all. Searches shortly after the last key."""
        if query.strip() == self.query:
            return
        self.query = query.strip()
        self._limit = PAGE
        self._pause.start()

    def show_trash(self, is_trash: bool) -> None:
        """Show what was moved to the Trash instead."""
        if is_trash != self.is_trash:
            self.is_trash = is_trash
            self.refresh()

    def load_more(self) -> None:
        """Another page, when the list was scrolled to its end and there may be more."""
        if len(self._found) >= self._limit:
            self._limit += PAGE
            self.refresh()

    def refresh(self) -> None:
        """Load again; calls while one is under way make one more load, not many."""
        self._pause.stop()
        if self._is_loading:
            self._is_stale = True
            return
        self._is_loading = True
        query, is_trash, limit = self.query, self.is_trash, self._limit
        self._bridge.launch(
            "conversations.list",
            lambda legion: legion.chat.list(query, limit=limit, trashed=is_trash),
            self._on_list,
            self._on_failure,
        )

    def rename(self, conversation_id: str, title: str) -> None:
        """Give a chat another name; an empty one is ignored."""
        if title.strip():
            self._bridge.launch(
                "conversation.rename", lambda legion: legion.chat.rename(conversation_id, title.strip())
            )

    def toggle_pin(self, conversation_id: str) -> None:
        """Keep at the top, or no longer."""
        found = self.find(conversation_id)
        if found is not None:
            self._bridge.launch(
                "conversation.pin", lambda legion: legion.chat.pin(conversation_id, not found.is_pinned)
            )

    def toggle_private(self, conversation_id: str) -> None:
        """Keep on this computer, or no longer."""
        found = self.find(conversation_id)
        if found is not None:
            self._bridge.launch(
                "conversation.private",
                lambda legion: legion.llm.keep_private(conversation_id, not found.is_private),
                lambda _: self.refresh(),
            )

    def trash(self, conversation_id: str) -> None:
        """Move to the Trash; `trashed` tells when it is there."""
        title = self.title_of(conversation_id)

        def done(_: object) -> None:
            self.gone.emit(conversation_id)
            self.trashed.emit(conversation_id, title)

        self._bridge.launch("conversation.trash", lambda legion: legion.chat.trash(conversation_id), done)

    def restore(self, conversation_id: str, done: Callable[[], None] | None = None) -> None:
        """Bring back from the Trash."""
        self._bridge.launch(
            "conversation.restore",
            lambda legion: legion.chat.restore(conversation_id),
            lambda _: done() if done else None,
        )

    def export(self, conversation_id: str, target: Path, done: Callable[[str], None]) -> None:
        """Write a chat to a file whose ending says the form: `md`, `json` or `html`; `done` gets the file's name."""
        ending = target.suffix.lstrip(".").lower()
        form: Form | None = next((known for known in FORMS if known == ending), None)
        chosen: Form = form or "md"
        place = target if form else target.with_name(f"{target.name}.md")

        async def act(legion: "Legion") -> str:
            text = await legion.chat.export(conversation_id, chosen)
            await asyncio.to_thread(place.write_text, text, encoding="utf-8")
            return place.name

        self._bridge.launch("conversation.export", act, done)

    def _on_list(self, found: tuple[Conversation, ...]) -> None:
        self._is_loading = False
        self.is_loaded = True
        self._found = found
        self.rows = arrange(found, self._now(), is_search=bool(self.query))
        self.changed.emit()
        if self._is_stale:
            self._is_stale = False
            self.refresh()

    def _on_failure(self, sentence: str) -> None:
        self._is_loading = False
        self._is_stale = False
        self._bridge.refused.emit(sentence)

    def _on_facts(self, facts: Sequence[Event]) -> None:
        for fact in facts:
            if isinstance(fact, ConversationChanged) and fact.is_gone:
                self.gone.emit(fact.conversation_id)
        self.refresh()
