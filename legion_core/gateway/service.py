"""The gateway of one node: its inventory, its pipeline, and the chats it keeps."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager

from legion_core.gateway.answer import Answer
from legion_core.gateway.chat import Chat, ChatDefaults, no_defaults
from legion_core.gateway.conversations import Conversations
from legion_core.gateway.failover import cost_usd, no_candidate
from legion_core.gateway.inventory import Inventory
from legion_core.gateway.ledger import Ledger
from legion_core.gateway.pipeline import Pipeline
from legion_core.gateway.providers.base import Embedded
from legion_core.gateway.routing.policy import decide
from legion_core.gateway.types import (
    Attempt,
    Capability,
    Message,
    Pins,
    Request,
    RouteDecision,
    StreamEvent,
    TextBlock,
    Usage,
)
from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import LegionError
from legion_core.kernel.events import EventBus
from legion_core.kernel.ids import Ids
from legion_core.kernel.ports import Authorizer, Principal
from legion_core.kernel.supervise import Supervisor


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
        ledger: Ledger,
        is_local_only: Callable[[], bool],
        chat_defaults: Callable[[], ChatDefaults] = no_defaults,
    ) -> None:
        self._clock = clock
        self._ids = ids
        self._authorizer = authorizer
        self._pipeline = pipeline
        self._is_local_only = is_local_only
        self.inventory = inventory
        self.conversations = conversations
        self.ledger = ledger
        self.chat = Chat(pipeline, conversations, bus, ids, supervisor, chat_defaults)

    async def start(self) -> None:
        """Mend what a killed process left behind."""
        await self.conversations.recover()
        await self.conversations.purge_trash()

    async def stop(self) -> None:
        """Close every provider: connections, children."""
        for provider in self.inventory.providers.values():
            await provider.aclose()

    def stream(
        self, request: Request, who: Principal
    ) -> AbstractAsyncContextManager[AsyncIterator[StreamEvent]]:
        """The answer's events: Opened first, Closed last. Leaving the context stops the answer.

        Raises before the first event if nothing could answer. A request that names a conversation is answered in
        it: its last messages are stored there, and the history kept there is what the model sees.
        """
        return self._stream(request, who)

    @asynccontextmanager
    async def _stream(self, request: Request, who: Principal) -> AsyncGenerator[AsyncIterator[StreamEvent]]:
        self._authorizer.authorise(who, "gateway/chat", "use")
        await self._discover_for(request.pins)
        into = None
        if request.conversation_id is not None:
            await self.conversations.ensure(request.conversation_id)
            head = await self.conversations.head(request.conversation_id)
            _, into = await self.conversations.ask(
                request.conversation_id, new_messages(request.messages), parent_id=head, request_id=request.id
            )
        async with aclosing(self._pipeline.handle(request, who, into)) as events:
            yield events

    async def answer(self, request: Request, who: Principal) -> Answer:
        """The whole answer. One that broke off after its first words is returned with its error in `closed`."""
        answer = Answer(request.id)
        async with self.stream(request, who) as events:
            async for event in events:
                answer.take(event)
        return answer

    async def embed(self, model: str | None, texts: tuple[str, ...], who: Principal) -> Embedded:
        """One vector per text from the nearest lane that embeds; `model` None lets the router choose."""
        self._authorizer.authorise(who, "gateway/embed", "use")
        pins = Pins(model=model)
        await self._discover_for(pins)
        told = tuple(Message(role="user", content=(TextBlock(text=text),)) for text in texts)
        request = Request(id=self._ids.new("req"), messages=told, pins=pins, stream=False, client=who.name)
        decision = decide(
            request,
            self.inventory.lanes(),
            self.inventory.health.snapshot(),
            now_s=self._clock.monotonic_s(),
            local_only=self._is_local_only(),
            operation="embed",
        )
        if not decision.candidates:
            raise no_candidate(request, decision.left_out)
        lane = decision.candidates[0]
        started_at, start_s = self._clock.utc_now(), self._clock.monotonic_s()
        outcome, why, usage = "cancelled", "", Usage(is_estimated=True)
        try:
            found = await self.inventory.get(lane.instance).provider.embed(lane.offer.id, texts)
            outcome, usage = "succeeded", found.usage
        except LegionError as error:
            outcome, why = error.public_code, error.message
            raise
        finally:
            duration_s = self._clock.monotonic_s() - start_s
            attempt = Attempt(
                number=1,
                tier=lane.tier.word,
                instance=lane.instance,
                model=lane.offer.id,
                outcome=outcome,
                why=why,
                usage=usage,
                cost_usd=cost_usd(usage, lane.offer.price, lane.tier),
                started_at=started_at,
                duration_s=duration_s,
            )
            await self.ledger.settle(request, (attempt,), outcome=outcome, duration_s=duration_s)
        return found

    async def explain(
        self, text: str, *, requires: tuple[Capability, ...] = (), pins: Pins | None = None
    ) -> RouteDecision:
        """Where a request with this text would go now and why not elsewhere; nothing is sent."""
        pins = pins or Pins()
        await self._discover_for(pins)
        told = (Message(role="user", content=(TextBlock(text=text),)),)
        return self._pipeline.route(Request(id=self._ids.new("req"), messages=told, pins=pins), requires)

    async def _discover_for(self, pins: Pins) -> None:
        wants = pins.model or pins.instance
        if wants is not None or not self.inventory.lanes():
            await self.inventory.discover(wants=wants)


def new_messages(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """What a client says anew: all behind the last answer it repeats. The rest is kept here already."""
    for index in range(len(messages) - 1, -1, -1):
        if messages[index].role == "assistant":
            return messages[index + 1 :]
    return messages
