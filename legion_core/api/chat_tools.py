"""Tools in chats: which are switched on where, what was called, which yeses stand. Cheap until a chat uses one."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from legion_core.agent.tools.store import ToolStore
from legion_core.agent.tools.types import ChatCall, ChatTools, ChatToolsChanged, ToolSource, Yes
from legion_core.gateway.types import Message, Pins, Request, TextBlock, ToolDefinition
from legion_core.kernel.errors import Denied, InvalidInput, NotFound
from legion_core.kernel.events import EventBus
from legion_core.kernel.ports import ACTING, LOCAL_OWNER, Principal

if TYPE_CHECKING:
    from legion_core.agent.tools.turns import ToolTurns
    from legion_core.api.chat_bench import ChatBench
    from legion_core.gateway.conversation_types import ChatMessage
    from legion_core.gateway.pipeline import Pipeline
    from legion_core.gateway.privacy import Privacy
    from legion_core.gateway.reading import Given

Noting = Callable[[str, str, str, str, str], Awaitable[None]]
NO_MODEL = "No model that may answer here can use tools, so they are left out."


class ChatToolsDoor:
    """See the module. `make` gives the bench and the rounds when a chat first needs them."""

    def __init__(
        self,
        store: ToolStore,
        bus: EventBus,
        pipeline: "Pipeline",
        privacy: "Privacy",
        make: "Callable[[], tuple[ChatBench, ToolTurns]]",
    ) -> None:
        self._store = store
        self._bus = bus
        self._pipeline = pipeline
        self._privacy = privacy
        self._make = make
        self._made: tuple[ChatBench, ToolTurns] | None = None
        self.note: Noting | None = None  # writes into the audit log: kind, path, action, outcome, detail

    async def used(self, conversation_id: str) -> tuple[str, ...]:
        """What is switched on in a chat; cheap."""
        return await self._store.sources(conversation_id)

    async def of(
        self, conversation_id: str, pins: Pins | None = None, wished: frozenset[str] = frozenset()
    ) -> ChatTools:
        """The tools of a chat, and whether a model on this route would be offered them.

        An empty id stands for a chat to come, in which `wished` will be switched on.
        """
        bench, _ = self._parts()
        is_on = await self._store.sources(conversation_id) if conversation_id else tuple(wished)
        sources = await bench.sources(is_on)
        count = sum(source.tools for source in sources if source.is_on and not source.problem)
        problem = ""
        if count and not await self._can(conversation_id, pins):
            problem = NO_MODEL
        return ChatTools(conversation_id=conversation_id, sources=sources, count=count, problem=problem)

    async def switch(
        self, conversation_id: str, source: str, is_on: bool, who: Principal = LOCAL_OWNER
    ) -> ChatTools:
        """Let this chat use the tools of a source, or no longer. Only the owner may."""
        _owner(who)
        if not await self._store.exists(conversation_id):
            raise NotFound(f"There is no chat {conversation_id!r}.")
        known = await self._known()
        if is_on and source not in known:
            raise InvalidInput(
                f"{source[:80]!r} offers no tools.", hint=f"There are: {', '.join(sorted(known)) or 'none'}."
            )
        if self.note is not None:
            detail = f"{source[:200]} {'on' if is_on else 'off'}"
            await self.note("mcp.chat", f"conversations/{conversation_id}", "write", "done", detail)
        await self._store.switch(conversation_id, source, is_on)
        at_utc, at_mono_s = self._bus.stamp()
        self._bus.publish(
            ChatToolsChanged(at_utc=at_utc, at_mono_s=at_mono_s, conversation_id=conversation_id)
        )
        return await self.of(conversation_id)

    async def definitions(self, conversation_id: str) -> tuple[ToolDefinition, ...]:
        """The tools of a chat as a model is told of them; cheap where it has none."""
        sources = await self._store.sources(conversation_id)
        if not sources:
            return ()
        from legion_core.agent.tools.telling import definitions

        return definitions(await self._parts()[0].offered(sources))

    async def calls(self, conversation_id: str) -> tuple[ChatCall, ...]:
        """What was called in a chat, in order."""
        return await self._store.calls(conversation_id)

    async def yeses(self) -> tuple[Yes, ...]:
        """The standing yeses that hold in every chat."""
        return await self._store.yeses()

    async def forget(self, tool: str, who: Principal = LOCAL_OWNER) -> None:
        """Ask for this tool again, in every chat; NotFound where no yes stood. Only the owner may."""
        _owner(who)
        if not await self._store.forget_yes(tool):
            raise NotFound(f"Nothing was allowed for {tool[:80]!r}.")
        if self.note is not None:  # afterwards: it only takes away
            await self.note(
                "mcp.forgotten", f"mcp/tools/{tool}", "write", "done", "asked for again in every chat"
            )

    async def write(
        self, request: Request, who: Principal, answer: "ChatMessage", given: "Given | None" = None
    ) -> bool:
        """Answer with tools where the chat has some; see `gateway.chat.Chat.with_tools`.

        A program that asks in a chat of the owner's is answered without: tools are for who switched them on.
        """
        acting = who if who != LOCAL_OWNER else ACTING.get()
        if acting.carrier not in ("owner", "local"):
            return False
        if not await self._store.sources(answer.conversation_id):
            return False
        return await self._parts()[1].write(request, acting, answer, given)

    async def recover(self) -> int:
        """Say of calls that a killed process left open that their end is not known; how many there were."""
        return await self._store.give_up_open()

    async def _known(self) -> frozenset[str]:
        sources: tuple[ToolSource, ...] = await self._parts()[0].sources(())
        return frozenset(source.key for source in sources)

    async def _can(self, conversation_id: str, pins: Pins | None) -> bool:
        any_tool = ToolDefinition(name="tool", parameters={"type": "object"})
        request = Request(
            id="", messages=(Message(role="user", content=(TextBlock(text=""),)),), tools=(any_tool,),
            pins=pins or Pins(), conversation_id=conversation_id or None,
        )  # fmt: skip
        return bool(self._pipeline.route(await self._privacy.marked(request)).candidates)

    def _parts(self) -> "tuple[ChatBench, ToolTurns]":
        if self._made is None:
            self._made = self._make()
        return self._made


def _owner(who: Principal) -> None:
    if who.carrier not in ("owner", "local"):
        raise Denied(f"{who.name} may not change which tools a chat uses: only the owner may.")
