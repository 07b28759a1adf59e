"""The gateway of one node: its inventory, its pipeline, and the chats it keeps."""

import os
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType

import msgspec

from legion_core.gateway.answer import Answer
from legion_core.gateway.budget import Budget
from legion_core.gateway.chat import Chat, ChatDefaults, no_defaults
from legion_core.gateway.conversations import Conversations
from legion_core.gateway.embedding import Embedder
from legion_core.gateway.inventory import Inventory
from legion_core.gateway.ledger import Ledger
from legion_core.gateway.outlet import Outlet
from legion_core.gateway.pipeline import Pipeline
from legion_core.gateway.privacy import Privacy
from legion_core.gateway.providers.base import Embedded
from legion_core.gateway.spoken import Spoken
from legion_core.gateway.types import (
    Capability,
    Message,
    Operation,
    Pins,
    Request,
    RouteDecision,
    StreamEvent,
    TextBlock,
)
from legion_core.kernel.clock import Clock
from legion_core.kernel.events import EventBus
from legion_core.kernel.ids import Ids
from legion_core.kernel.ports import Authorizer, Principal
from legion_core.kernel.supervise import Supervisor
from legion_core.storage.home import process_started


class Gateway:
    """What surfaces reach through the api: stream, answer, embed, explain, and `chat`."""

    def __init__(
        self,
        clock: Clock,
        ids: Ids,
        bus: EventBus,
        supervisor: Supervisor,
        authorizer: Authorizer,
        inventory: Inventory,
        pipeline: Pipeline,
        conversations: Conversations,
        spoken: Spoken,
        ledger: Ledger,
        budget: Budget,
        privacy: Privacy,
        is_local_only: Callable[[], bool],
        chat_defaults: Callable[[], ChatDefaults] = no_defaults,
    ) -> None:
        self._ids = ids
        self._authorizer = authorizer
        self._pipeline = pipeline
        self._embedder = Embedder(clock, inventory, budget, ledger, is_local_only)
        self.inventory = inventory
        self.conversations = conversations
        self.ledger = ledger
        self.budget = budget
        self.privacy = privacy
        self._spoken = spoken
        self.chat = Chat(pipeline, conversations, spoken, bus, ids, supervisor, chat_defaults)

    async def start(self) -> None:
        """Mend what a killed process left behind, and remember how fast each model was."""
        await self._spoken.recover()  # first: what was told belongs to the answers that are mended next
        await self.conversations.recover()
        await self.conversations.purge_trash()
        self.chat.begin()
        await self.ledger.recover()  # first: what was billed is not held any more
        await self.budget.recover(is_running)
        for lane, tokens_per_s in (await self.ledger.learned_speeds()).items():
            self.inventory.speeds.note(lane, tokens_per_s)

    async def stop(self) -> None:
        """Close every provider: connections, children. Then the bill is complete."""
        for provider in tuple(self.inventory.providers.values()):
            await provider.aclose()
        await self.ledger.aclose()
        self._spoken.close()

    def stream(
        self, request: Request, who: Principal, outlet: Outlet | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[StreamEvent]]:
        """The answer's events: Opened first, Closed last. Leaving the context stops the answer.

        Most deltas go to `outlet`, if there is one, and are then no events.
        Raises before the first event if nothing could answer. A request that names a conversation is answered in
        it: its last messages are stored there, and the history kept there is what the model sees.
        """
        return _Streaming(lambda: self._asked(request, who, outlet))

    async def _asked(
        self, request: Request, who: Principal, outlet: Outlet | None
    ) -> AsyncGenerator[StreamEvent]:
        self._authorizer.authorise(who, "gateway/chat", "use")
        request = attributed(request, who)
        await self._discover_for(request.pins)
        into = None
        if request.conversation_id is not None:
            # To go on with a conversation is to read what was said in it, whoever knows its id.
            self._authorizer.authorise(who, "conversations", "write")
            await self.conversations.ensure(request.conversation_id)
            head = await self.conversations.head(request.conversation_id)
            _, into = await self.conversations.ask(
                request.conversation_id, new_messages(request.messages), parent_id=head, request_id=request.id
            )
        return self._pipeline.handle(request, who, into, outlet)

    async def answer(self, request: Request, who: Principal) -> Answer:
        """The whole answer. One that broke off after its first words is returned with its error in `closed`."""
        answer = Answer(request.id)
        async with self.stream(request, who) as events:
            async for event in events:
                answer.take(event)
        return answer

    async def embed(
        self, model: str | None, texts: tuple[str, ...], who: Principal, *, dimensions: int | None = None
    ) -> Embedded:
        """One vector per text from the nearest lane that embeds; `model` None lets the router choose."""
        self._authorizer.authorise(who, "gateway/embed", "use")
        pins = Pins(model=model)
        await self._discover_for(pins)
        told = tuple(Message(role="user", content=(TextBlock(text=text),)) for text in texts)
        request = Request(id=self._ids.new("req"), messages=told, pins=pins, stream=False, client=who.name)
        return await self._embedder.embed(request, texts, dimensions=dimensions)

    async def explain(
        self,
        text: str,
        *,
        requires: tuple[Capability, ...] = (),
        pins: Pins | None = None,
        is_private: bool = False,
        operation: Operation = "chat",
    ) -> RouteDecision:
        """Where a request with this text would go now and why not elsewhere; nothing is sent."""
        pins = pins or Pins()
        await self._discover_for(pins)
        told = (Message(role="user", content=(TextBlock(text=text),)),)
        request = Request(id=self._ids.new("req"), messages=told, pins=pins, is_private=is_private)
        return await self.budget.told(request, self._pipeline.route(request, requires, operation))

    async def _discover_for(self, pins: Pins) -> None:
        wants, lanes = pins.model or pins.instance, self.inventory.lanes()
        if not lanes or (wants is not None and not lanes.knows(wants)):
            await self.inventory.discover(wants=wants)


class _Streaming:
    """The context of one answer: entering it asks, leaving it stops what is left to come."""

    def __init__(self, begin: Callable[[], Awaitable[AsyncGenerator[StreamEvent]]]) -> None:
        self._begin = begin
        self._events: AsyncGenerator[StreamEvent] | None = None

    async def __aenter__(self) -> AsyncIterator[StreamEvent]:
        self._events = await self._begin()
        return self._events

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._events is not None
        await self._events.aclose()


def attributed(request: Request, who: Principal) -> Request:
    """The request with the client its cost is put down to: whoever is not the owner by name, the owner by program."""
    if who.carrier in ("owner", "local"):
        return request
    return msgspec.structs.replace(request, client=who.name)


def is_running(owner: str) -> bool:
    """Whether the process that `owner_of_this_process` named so still runs."""
    pid, _, started = owner.partition(":")
    return pid.isdigit() and process_started(int(pid)) == started


def owner_of_this_process() -> str:
    """This process among all that ever were: its number and when it began."""
    return f"{os.getpid()}:{process_started(os.getpid())}"


def new_messages(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """What a client says anew: all behind the last answer it repeats. The rest is kept here already."""
    for index in range(len(messages) - 1, -1, -1):
        if messages[index].role == "assistant":
            return messages[index + 1 :]
    return messages
