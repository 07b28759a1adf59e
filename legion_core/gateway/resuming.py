"""Coming back to an answer: hear the rest of it, and if its process was killed have it go on from its exact text."""

from collections.abc import Callable, Container, Coroutine
from contextlib import aclosing
from typing import TYPE_CHECKING, Protocol

from legion_core.gateway.conversation_types import ChatMessage
from legion_core.gateway.reading import CHARS_PER_TOKEN, Given
from legion_core.gateway.spoken import Begun, Spoken, Telling
from legion_core.gateway.types import Pins, Request
from legion_core.kernel.errors import Conflict, Denied, LegionError, NotFound
from legion_core.kernel.ids import Ids
from legion_core.kernel.ports import Principal

if TYPE_CHECKING:
    from legion_core.gateway.conversations import Conversations
    from legion_core.gateway.pipeline import Pipeline


class Defaults(Protocol):
    """What holds for a question that says nothing of its own."""

    @property
    def pins(self) -> Pins:
        """The route."""
        ...

    @property
    def system(self) -> tuple[str, ...]:
        """What is said beforehand."""
        ...


class Answering(Protocol):
    """Who has answers written: the `Chat`."""

    @property
    def defaults(self) -> Callable[[], Defaults]:
        """Read at each question."""
        ...

    @property
    def running(self) -> Container[str]:
        """The conversations whose answer is being written now."""
        ...

    def carry_on(self, answer: ChatMessage, writing: Coroutine[None, None, None]) -> None:
        """Have an answer written by a task."""
        ...


class Resuming:
    """Who watches an answer may lose the connection, or the whole node, and come back."""

    def __init__(
        self, chat: Answering, pipeline: "Pipeline", conversations: "Conversations", spoken: Spoken, ids: Ids
    ) -> None:
        self._chat = chat
        self._pipeline = pipeline
        self._conversations = conversations
        self._spoken = spoken
        self._ids = ids

    async def note(self, message_id: str, who: Principal, pins: Pins | None) -> None:
        """`who` watches this answer and may come back to it; durable when this returns."""
        await self._spoken.note(message_id, Begun(asker=who.name, pins=pins))

    async def come_back(
        self, conversation_id: str, message_id: str, who: Principal
    ) -> tuple[Telling | None, ChatMessage]:
        """The answer as it is told now, or None and its final form. What a killed process left goes on being written.

        Between the return and the next await of the caller nothing is told. Only whoever asked may come back: Denied
        for anybody else, NotFound where nobody watched, Conflict if another process writes it.
        """
        begun = await self._spoken.begun(message_id)
        if begun is None:
            raise NotFound(
                f"The answer {message_id!r} was not watched by anybody, or too long ago.",
                hint="Read it in its conversation.",
            )
        if begun.asker != who.name:
            raise Denied("Only the client that asked for an answer may come back to it.")
        message = await self._conversations.message(message_id)
        if message.conversation_id != conversation_id:
            raise NotFound(f"The answer {message_id!r} is not in this conversation.")
        if message.status == "interrupted":
            await self._go_on(message, who, begun.pins)
            message = await self._conversations.message(message_id)
        telling = self._spoken.live(message_id)
        if telling is None and message.status == "streaming":
            if message.conversation_id in self._chat.running:  # its task has not had a turn yet
                return self._spoken.begin(message_id), message
            message = await self._conversations.message(message_id)
            if message.status == "streaming":
                raise Conflict("Another process is writing this answer.", hint="Read it in its conversation.")
        return telling, message

    async def _go_on(self, message: ChatMessage, who: Principal, pins: Pins | None) -> None:
        """Write on behind what was told of an answer, by the first model that can."""
        if message.conversation_id in self._chat.running:
            return
        defaults = self._chat.defaults()
        system = await self._conversations.system(message.conversation_id, message.parent_id)
        request = Request(
            id=self._ids.new("req"),
            messages=(),
            system=(*defaults.system, *system),
            pins=pins or defaults.pins,
            client=who.name,
        )
        if message.conversation_id in self._chat.running:
            return
        told = await self._spoken.reopen(message.id)
        if told is None:
            return  # something was said behind it: it stays as it is
        self._spoken.begin(message.id, *told)
        self._chat.carry_on(message, self._write(request, who, message, given_of(*told)))

    async def _write(self, request: Request, who: Principal, message: ChatMessage, given: Given) -> None:
        try:
            async with aclosing(self._pipeline.handle(request, who, message, given=given)) as events:
                async for _ in events:
                    pass
        except LegionError:
            return  # the answer holds the sentence; there is nobody else to tell


def given_of(thinking: str, text: str) -> Given:
    """What a client has of an answer that another process had told, as a stream counts it."""
    given = Given()
    if thinking:
        given.thoughts.append(thinking)
    if text:
        given.pieces.append(text)
        given.chars = len(text)
    given.tokens = -(-(len(thinking) + len(text)) // CHARS_PER_TOKEN)
    return given
