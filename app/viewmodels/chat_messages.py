"""The messages of the chat that is open, and what has grown on them since they were loaded."""

from collections.abc import Sequence

import msgspec

from app.viewmodels.growth import Growth, grow
from legion_core.api.types import AnswerGrew, ChatMessage


class HeldMessages:
    """In order; a growing answer's pieces are kept apart until it ends, so that none is copied with each."""

    def __init__(self) -> None:
        self.all: list[ChatMessage] = []
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
        return next((found for found in self.all if found.id == message_id), None)

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
        self._texts.clear()
        self._thoughts.clear()
        self._lengths = {message.id: len(message.text) for message in messages}

    def append(self, message: ChatMessage) -> None:
        """Another at the end."""
        self.all.append(message)
        self._lengths[message.id] = len(message.text)

    def remove(self, message_id: str) -> None:
        """Without this one."""
        self.all = [message for message in self.all if message.id != message_id]

    def rename(self, message_id: str, message: ChatMessage) -> bool:
        """Put a message in the place of another id; False if that is not here."""
        for at, found in enumerate(self.all):
            if found.id == message_id:
                self.all[at] = message
                return True
        return False

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
        for at, found in enumerate(self.all):
            if found.id == message.id:
                held, thought = self.text_of(message.id), self.thinking_of(message.id)
                if message.status == "streaming" and len(message.text) < len(held):
                    message = msgspec.structs.replace(message, text=held)
                if message.status == "streaming" and len(message.thinking) < len(thought):
                    message = msgspec.structs.replace(message, thinking=thought)
                self.all[at] = message
                self._texts.pop(message.id, None)
                self._thoughts.pop(message.id, None)
                self._lengths[message.id] = len(message.text)
                return message
        return None
