"""Coming back to an answer: hear the rest of it, and if its process was killed have it go on from its exact text.

What was under way of its tools is not called again: see `agent.tools.turns`. Calls nobody had allowed are asked for anew.
"""

import asyncio
from collections.abc import Awaitable, Callable, Container, Coroutine
from contextlib import AbstractContextManager
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

    @property
    def with_tools(self) -> Callable[[Request, Principal, ChatMessage, Given | None], Awaitable[bool]] | None:
        """See `Chat`."""
        ...

    def taking_on(self, conversation_id: str) -> AbstractContextManager[None]:
        """Nobody else begins an answer in this conversation meanwhile; Conflict where somebody does."""
        ...

    def carry_on(self, answer: ChatMessage, writing: Coroutine[None, None, None]) -> None:
        """Have an answer written by a task."""
        ...

    async def write(
        self, request: Request, who: Principal, answer: ChatMessage, given: Given | None = None
    ) -> None:
        """Write it."""
        ...


class Resuming:
    """Who watches an answer may lose the connection, or the whole node, and come back."""

    def __init__(self, chat: Answering, conversations: "Conversations", spoken: Spoken, ids: Ids) -> None:
        self._chat = chat
        self._conversations = conversations
        self._spoken = spoken
        self._ids = ids
        self._one_by_one = asyncio.Lock()

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
        if await self._go_on(message, who, begun.pins):
            message = await self._conversations.message(message_id)
        telling = self._spoken.live(message_id)
        if telling is None and message.status == "streaming":
            if message.conversation_id in self._chat.running:  # its task has not had a turn yet
                return self._spoken.begin(message_id), message
            message = await self._conversations.message(message_id)
            if message.status == "streaming":
                raise Conflict("Another process is writing this answer.", hint="Read it in its conversation.")
        return telling, message

    async def go_on(self, conversation_id: str, who: Principal, pins: Pins | None = None) -> bool:
        """Have what a killed process left of a chat's last answer written on; False where there is nothing to do.

        Without `pins` on the route that was insisted on, where it was watched, or on any.
        """
        head = await self._conversations.head(conversation_id)
        if head is None:
            return False
        if pins is None and (begun := await self._spoken.begun(head)) is not None:
            pins = begun.pins
        return await self._go_on(await self._conversations.message(head), who, pins)

    async def _go_on(self, answer: ChatMessage, who: Principal, pins: Pins | None) -> bool:
        """Write on behind what was told of an answer's turn, by the first model that can."""
        async with self._one_by_one:
            if answer.conversation_id in self._chat.running:
                return False
            with self._chat.taking_on(answer.conversation_id):
                left = await self._conversations.left_of(answer.id)
                return left is not None and await self._begin(left, who, pins)

    async def _begin(self, left: ChatMessage, who: Principal, pins: Pins | None) -> bool:
        defaults = self._chat.defaults()
        system = await self._conversations.system(left.conversation_id, left.parent_id)
        request = Request(
            id=self._ids.new("req"),
            messages=(),
            system=(*defaults.system, *system),
            pins=pins or defaults.pins,
            client=who.name,
        )
        if left.role == "tool":
            self._chat.carry_on(left, self._write_below(request, who, left))
            return True
        told = await self._spoken.reopen(left.id)
        if told is None:
            return False  # something was said behind it: it stays as it is
        self._spoken.begin(left.id, *told)
        self._chat.carry_on(left, self._chat.write(request, who, left, given_of(*told)))
        return True

    async def _write_below(self, request: Request, who: Principal, results: ChatMessage) -> None:
        """Have the open calls settled, and what came of them answered."""
        try:
            with_tools = self._chat.with_tools if results.status == "interrupted" else None
            if with_tools is not None and await with_tools(request, who, results, None):
                return
            _, answer = await self._conversations.ask(
                results.conversation_id, (), parent_id=results.id, request_id=request.id
            )
        except LegionError:
            return  # nothing is open; what is known of the calls stands in the chat
        await self._chat.write(request, who, answer)


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
