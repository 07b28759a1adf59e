"""An answer over several rounds: the model calls tools, they are run, what they gave goes back, until it only speaks.

    answer with calls → (a yes where one is needed) → run → message of results → next answer …

Each answer is a request of its own through the gateway's pipeline. What is called, and what became of it, is on disk
before the next step begins; a message of results is written before anything is called. Where a process was killed, what
it had called is not called again, and a person is asked before the same tool is; the other calls are begun. Neighbours that only read run side
by side, each once it may; whatever changes something runs alone, in its place.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Protocol

import msgspec

from legion_core.agent.tools.judge import Verdict, foreign, judge
from legion_core.agent.tools.store import ToolStore
from legion_core.agent.tools.telling import arguments_of, definitions, told
from legion_core.agent.tools.types import CallState, ChatCall, ChatCallChanged, Offered, Scope, Yes
from legion_core.gateway.answer import Answer
from legion_core.gateway.conversation_types import AnswerEnded, AnswerStarted, ChatMessage, MessageStatus
from legion_core.gateway.conversations import Conversations
from legion_core.gateway.pipeline import Pipeline
from legion_core.gateway.privacy import Privacy
from legion_core.gateway.reading import Given
from legion_core.gateway.tool_turns import LOST, ToolMessages
from legion_core.gateway.types import Request, ToolResultBlock, ToolUseBlock
from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import Denied, LegionError, LimitReached, TimedOut
from legion_core.kernel.events import EventBus
from legion_core.kernel.ids import Ids
from legion_core.kernel.ports import Principal

ROUNDS_MAX = 16
CALLS_MAX = 16  # of one answer
BESIDE_MAX = 4  # calls side by side
CALL_S = 600.0
RESULT_SHOWN_CHARS = 4_000
ARGUMENTS_SHOWN_CHARS = 4_000
STOPPED = "The user stopped this."


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """What a call gave: text, and the same as an object where it is one."""

    text: str
    structured: Mapping[str, Any] | None = None
    is_error: bool = False


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A call that waits for a person: everything the question shows."""

    tool: Offered
    call: ChatCall
    args: Mapping[str, Any]
    scopes: tuple[Scope, ...]
    notes: tuple[str, ...] = ()


class Toolbox(Protocol):
    """Where tools come from and who is asked; see `api.chat_bench`."""

    async def offered(self, sources: Sequence[str]) -> Sequence[Offered]:
        """The tools of these sources as they are now."""
        ...

    async def call(
        self, tool: Offered, args: Mapping[str, Any], who: Principal, began: Callable[[str], None]
    ) -> Ran:
        """Run it for `who`; `began` hears the id of its task. Raises Denied where `who` may not."""
        ...

    async def ask(self, wanted: Wanted) -> tuple[Scope, str]:
        """Wait for a person's yes, and how far it goes; Denied with what they noted if it is a no."""
        ...

    def shown(self, args: Mapping[str, Any]) -> str:
        """Arguments for a person, secrets masked."""
        ...


class ToolTurns:
    """See the module; `write` is one whole answer."""

    def __init__(
        self,
        clock: Clock,
        bus: EventBus,
        ids: Ids,
        pipeline: Pipeline,
        conversations: Conversations,
        privacy: Privacy,
        messages: ToolMessages,
        store: ToolStore,
        toolbox: Toolbox,
    ) -> None:
        self._clock = clock
        self._bus = bus
        self._ids = ids
        self._pipeline = pipeline
        self._conversations = conversations
        self._privacy = privacy
        self._messages = messages
        self._store = store
        self._toolbox = toolbox

    async def write(
        self, request: Request, who: Principal, answer: ChatMessage, given: Given | None = None
    ) -> bool:
        """Answer with the tools of this chat; False, and nothing done, where a model could not be offered any.

        `answer` is open and goes on behind `given`, or the message of results that a killed process left open.
        """
        conversation_id = answer.conversation_id
        sources = await self._store.sources(conversation_id)
        offered = {tool.name: tool for tool in await self._toolbox.offered(sources)}
        if not offered:
            return False
        request = await self._privacy.marked(
            msgspec.structs.replace(
                request, conversation_id=conversation_id, tools=definitions([*offered.values()])
            )
        )
        if not self._pipeline.route(request).candidates:
            return False
        if answer.role == "tool":
            below = await self._round_left(answer, offered, who, is_private=request.is_private)
            request, answer = await self._next(request, below)
        for number in range(ROUNDS_MAX + 1):
            if number == ROUNDS_MAX:
                request = msgspec.structs.replace(request, tool_choice="none")
            said = Answer(request.id)
            async with aclosing(self._pipeline.handle(request, who, answer, given=given)) as events:
                async for event in events:
                    said.take(event)
            is_over = number == ROUNDS_MAX or said.closed.stop_reason in ("error", "cancelled")
            if not said.tool_calls or is_over:
                return True
            below = await self._round(answer, said.tool_calls, offered, who, is_private=request.is_private)
            request, answer = await self._next(request, below)
            given = None
        return True

    async def _next(self, request: Request, results: ChatMessage) -> tuple[Request, ChatMessage]:
        """The next answer, open, and what it is asked with."""
        request = msgspec.structs.replace(request, id=self._ids.new("req"))
        _, answer = await self._conversations.ask(
            results.conversation_id, (), parent_id=results.id, request_id=request.id
        )
        return request, answer

    async def _round(
        self,
        answer: ChatMessage,
        calls: Sequence[ToolUseBlock],
        offered: Mapping[str, Offered],
        who: Principal,
        *,
        is_private: bool,
    ) -> ChatMessage:
        message, named = await self._messages.open(answer, calls)
        return await self._run_all(answer, message, named, {}, {}, offered, who, is_private=is_private)

    async def _round_left(
        self, message: ChatMessage, offered: Mapping[str, Offered], who: Principal, *, is_private: bool
    ) -> ChatMessage:
        """Begin the calls that a killed process had not begun; the others are as it left them."""
        assert message.parent_id is not None
        answer = await self._conversations.message(message.parent_id)
        known = await self._store.calls_of(answer)
        begun = {
            result.call_id: _as_known(call, result)
            for result in message.results
            if (call := known.get(result.call_id)) is not None and not _never_began(call)
        }
        message = await self._messages.take_on(message)
        return await self._run_all(
            answer, message, answer.calls, begun, known, offered, who, is_private=is_private
        )

    async def _run_all(
        self,
        answer: ChatMessage,
        message: ChatMessage,
        calls: Sequence[ToolUseBlock],
        results: dict[str, ToolResultBlock],
        known: Mapping[str, ChatCall],
        offered: Mapping[str, Offered],
        who: Principal,
        *,
        is_private: bool,
    ) -> ChatMessage:
        """Run the calls that have no result yet, and write down what all of them gave."""
        at_utc, at_mono_s = self._bus.stamp()
        self._bus.publish(AnswerStarted(at_utc=at_utc, at_mono_s=at_mono_s, message=message))
        left = [place for place, call in enumerate(calls) if call.id not in results]
        status: MessageStatus = "complete"

        def told(otherwise: str) -> list[ToolResultBlock]:
            return [
                results.get(call.id) or ToolResultBlock(call_id=call.id, text=otherwise, is_error=True)
                for call in calls
            ]

        async def one(place: int, may: Callable[[], None]) -> None:
            call = calls[place]
            results[call.id] = await self._one(
                answer, place, call, known.get(call.id), offered, who, may, is_private=is_private
            )
            if len(results) < len(calls):
                await self._messages.keep(message, told(LOST))

        try:
            try:
                for places in _beside(calls, left, offered):
                    await _side_by_side(places, one)
            except asyncio.CancelledError:
                status = "stopped"
                raise
            finally:
                message = await self._messages.finish(message, told(STOPPED), status)
        finally:
            at_utc, at_mono_s = self._bus.stamp()
            ended = msgspec.structs.replace(message, status=status)
            self._bus.publish(AnswerEnded(at_utc=at_utc, at_mono_s=at_mono_s, message=ended))
        return message

    async def _one(
        self,
        answer: ChatMessage,
        place: int,
        block: ToolUseBlock,
        known: ChatCall | None,
        offered: Mapping[str, Offered],
        who: Principal,
        may: Callable[[], None],
        *,
        is_private: bool,
    ) -> ToolResultBlock:
        """One call to its end; whatever goes wrong is its result. Only a cancellation goes on. `may`: it is allowed."""
        tool = offered.get(block.name)
        call = ChatCall(
            id=known.id if known else self._ids.new("ccl"), conversation_id=answer.conversation_id, answer_id=answer.id, place=place,
            call_id=block.id, tool=block.name[:128], title=tool.title if tool else block.name[:128],
            source=tool.source if tool else "", risk=tool.risk if tool else "read",
            arguments=block.arguments[:ARGUMENTS_SHOWN_CHARS], state="running", started_at=self._clock.utc_now(),
        )  # fmt: skip
        began_s = self._clock.monotonic_s()
        state: CallState = "stopped"
        text = STOPPED
        try:
            if tool is None:
                raise LimitReached(
                    f"There is no tool {block.name[:80]!r}.", hint=f"There are: {', '.join(offered)}."
                )
            if place >= CALLS_MAX:
                raise LimitReached(f"{CALLS_MAX} calls of one answer are run, and no more. Call again.")
            args = arguments_of(block.arguments)
            call = msgspec.structs.replace(call, arguments=self._toolbox.shown(args)[:ARGUMENTS_SHOWN_CHARS])
            call = await self._allowed(tool, call, args, is_private=is_private)
            call = await self._tell(msgspec.structs.replace(call, state="running"))
            may()
            began_s = self._clock.monotonic_s()
            ran = await self._run(tool, call, args, who)
            call = msgspec.structs.replace(call, task=ran[1])
            state, text = (
                ("failed" if ran[0].is_error else "done"),
                told(tool, ran[0].text, ran[0].structured),
            )
        except Denied as error:
            state, text = "denied", error.sentence()
        except LegionError as error:
            state, text = "failed", error.sentence()
        finally:
            await self._tell(
                msgspec.structs.replace(
                    call,
                    state=state,
                    result=text[:RESULT_SHOWN_CHARS],
                    duration_s=self._clock.monotonic_s() - began_s,
                    decision=call.decision or (text[:200] if state == "denied" else ""),
                )
            )
        return ToolResultBlock(call_id=block.id, text=text, is_error=state != "done")

    async def _allowed(
        self, tool: Offered, call: ChatCall, args: Mapping[str, Any], *, is_private: bool
    ) -> ChatCall:
        heard = frozenset(filter(is_strange, await self._store.heard(call.conversation_id)))
        verdict = judge(
            tool,
            await self._store.yes(call.conversation_id, tool.name),
            heard,
            is_private=is_private,
            is_unsure=await self._store.is_unsure(call.conversation_id, tool.name),
        )
        if not verdict.needs_yes:
            return msgspec.structs.replace(call, decision=verdict.why)
        call = await self._tell(msgspec.structs.replace(call, state="waiting"))
        return await self._asked(tool, call, args, verdict, heard)

    async def _asked(
        self,
        tool: Offered,
        call: ChatCall,
        args: Mapping[str, Any],
        verdict: Verdict,
        heard: frozenset[str],
    ) -> ChatCall:
        wanted = Wanted(tool=tool, call=call, args=args, scopes=verdict.scopes, notes=verdict.notes)
        scope, said = await self._toolbox.ask(wanted)
        if scope != "once":
            yes = Yes(
                tool=tool.name, title=tool.title, source=tool.source, print=tool.print,
                conversation_id=call.conversation_id if scope == "chat" else "",
                beside=tuple(sorted(foreign(tool, heard))), at=self._clock.utc_now(),
            )  # fmt: skip
            await self._store.keep_yes(yes)
        return msgspec.structs.replace(call, decision=said)

    async def _run(
        self, tool: Offered, call: ChatCall, args: Mapping[str, Any], who: Principal
    ) -> tuple[Ran, str]:
        task = ""

        def began(name: str) -> None:
            nonlocal task
            task = name
            running = msgspec.structs.replace(call, task=name)
            self._store.put_nowait(running)
            self._publish(running)

        try:
            async with asyncio.timeout(CALL_S):
                return await self._toolbox.call(tool, args, who, began), task
        except TimeoutError as error:
            raise TimedOut(f"{tool.title} had not ended after {CALL_S:.0f} s and was stopped.") from error

    async def _tell(self, call: ChatCall) -> ChatCall:
        await self._store.put(call)
        self._publish(call)
        return call

    def _publish(self, call: ChatCall) -> None:
        at_utc, at_mono_s = self._bus.stamp()
        self._bus.publish(ChatCallChanged(at_utc=at_utc, at_mono_s=at_mono_s, call=call))


def _never_began(call: ChatCall) -> bool:
    """Whether a killed process left this call waiting for a yes: what was allowed says how."""
    return call.state == "stopped" and not call.decision


def _as_known(call: ChatCall, result: ToolResultBlock) -> ToolResultBlock:
    """What a call gave whose process was killed: as kept, or before it could be, as its card says."""
    if result.text != LOST or call.state == "lost" or len(call.result) >= RESULT_SHOWN_CHARS:
        return result
    return ToolResultBlock(call_id=result.call_id, text=call.result, is_error=call.state != "done")


def _beside(
    calls: Sequence[ToolUseBlock], left: Sequence[int], offered: Mapping[str, Offered]
) -> list[list[int]]:
    """The places `left` in the order in which they run; what stands in one list may run side by side."""
    found: list[list[int]] = []
    was_reading = False
    for place in left:
        tool = offered.get(calls[place].name)
        is_reading = tool is not None and tool.is_read_only
        if is_reading and was_reading:
            found[-1].append(place)
        else:
            found.append([place])
        was_reading = is_reading
    return found


async def _side_by_side(
    places: Sequence[int], one: Callable[[int, Callable[[], None]], Awaitable[None]]
) -> None:
    """Run them, BESIDE_MAX at a time. A person is asked for one after the other, in order, as if they ran so."""
    room = asyncio.Semaphore(BESIDE_MAX)

    async def run(place: int, is_under_way: asyncio.Event) -> None:
        try:
            await one(place, is_under_way.set)
        finally:
            room.release()
            is_under_way.set()

    try:
        async with asyncio.TaskGroup() as group:
            for place in places:
                await room.acquire()
                is_under_way = asyncio.Event()
                group.create_task(run(place, is_under_way), name=f"chat.call.{place}")
                await is_under_way.wait()
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from errors


def is_strange(source: str) -> bool:
    """Whether what this source gives may have been written by anybody."""
    return source.startswith("server:") or source in ("extension:http", "chains")
