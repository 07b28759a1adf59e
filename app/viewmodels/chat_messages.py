"""The messages of the chat that is open, and what has grown on them since they were loaded."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from app.viewmodels.growth import Growth, grow
from legion_core.api.types import AnswerGrew, ChatMessage

if TYPE_CHECKING:
    from legion_core.api.types import ToolResultBlock


class HeldMessages:
    """In order; a growing answer's pieces are kept apart until it ends, so that none is copied with each."""

    def __init__(self) -> None:
        self.all: list[ChatMessage] = []
        self._places: dict[str, int] = {}
        self._lengths: dict[str, int] = {}
        self._texts: dict[str, list[str]] = {}
        self._thoughts: dict[str, list[str]] = {}

    @property
    def running(self) -> ChatMessage | None:
        """The answer that is growing."""
        return next((message for message in reversed(self.all) if message.status == "streaming"), None)

    @property
    def last_answer(self) -> ChatMessage | None:
        """The latest answer that is not growing."""
        return next(
            (
                found
                for found in reversed(self.all)
                if found.role == "assistant" and found.status != "streaming"
            ),
            None,
        )

    @property
    def last_question(self) -> ChatMessage | None:
        """The latest message of the person."""
        return next((found for found in reversed(self.all) if found.role == "user"), None)

    def find(self, message_id: str) -> ChatMessage | None:
        """A message by id, as it was when it last came whole."""
        place = self._places.get(message_id)
        return None if place is None else self.all[place]

    def results_of(self, answer: ChatMessage) -> "dict[str, ToolResultBlock]":
        """What the calls of an answer gave, by the calls' ids, as far as it is known: messages of results follow it."""
        found: dict[str, ToolResultBlock] = {}
        place = self._places.get(answer.id, len(self.all)) + 1
        while place < len(self.all) and self.all[place].role == "tool":
            if self.all[place].status != "streaming":
                found.update((block.call_id, block) for block in self.all[place].results)
            place += 1
        return found

    def text_of(self, message_id: str) -> str:
        """The whole text of a message, growing ones included."""
        message = self.find(message_id)
        return "" if message is None else message.text + "".join(self._texts.get(message_id, []))

    def thinking_of(self, message_id: str) -> str:
        """The whole reasoning of an answer, growing ones included."""
        message = self.find(message_id)
        return "" if message is None else message.thinking + "".join(self._thoughts.get(message_id, []))

    def show(self, messages: Sequence[ChatMessage]) -> None:
        """These and no others."""
        self.all = list(messages)
        self._places = {message.id: place for place, message in enumerate(messages)}
        self._texts.clear()
        self._thoughts.clear()
        self._lengths = {message.id: len(message.text) for message in messages}

    def append(self, message: ChatMessage) -> None:
        """Another at the end."""
        self._places[message.id] = len(self.all)
        self.all.append(message)
        self._lengths[message.id] = len(message.text)

    def remove(self, message_id: str) -> None:
        """Without this one."""
        self.all = [message for message in self.all if message.id != message_id]
        self._places = {message.id: place for place, message in enumerate(self.all)}

    def rename(self, message_id: str, message: ChatMessage) -> bool:
        """Put a message in the place of another id; False if that is not here."""
        place = self._places.pop(message_id, None)
        if place is None:
            return False
        self.all[place] = message
        self._places[message.id] = place
        return True

    def grow(self, fact: AnswerGrew) -> Growth | None:
        """Take a piece of an answer; None for one that is not here, nothing is taken where something was lost."""
        if fact.answer_id not in self._lengths:
            return None
        growth = grow(self._lengths[fact.answer_id], fact.at_char, fact.text)
        if not growth.is_lost and (growth.tail or fact.thinking):
            self._lengths[fact.answer_id] += len(growth.tail)
            self._texts.setdefault(fact.answer_id, []).append(growth.tail)
            if fact.thinking:
                self._thoughts.setdefault(fact.answer_id, []).append(fact.thinking)
        return growth

    def replace(self, message: ChatMessage) -> ChatMessage | None:
        """The message in its new form, with what has grown already; None if it is not here."""
        place = self._places.get(message.id)
        if place is None:
            return None
        held, thought = self.text_of(message.id), self.thinking_of(message.id)
        if message.status == "streaming" and len(message.text) < len(held):
            message = msgspec.structs.replace(message, text=held)
        if message.status == "streaming" and len(message.thinking) < len(thought):
            message = msgspec.structs.replace(message, thinking=thought)
        self.all[place] = message
        self._texts.pop(message.id, None)
        self._thoughts.pop(message.id, None)
        self._lengths[message.id] = len(message.text)
        return message
