"""Requests under way that a client may send once more: a retry hears the running answer from its beginning.

Clients that lost their connection ask again, and each question would cost money of its own. Here one task reads the
answer and keeps its events; whoever asks the same listens from the first event on. When nobody has listened for
LINGER_S the answer is stopped, and so is its upstream.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Final

from legion_core.gateway.outlet import Outlet
from legion_core.gateway.reading import Ready
from legion_core.gateway.types import Request, StreamEvent, TextDelta, ThinkingDelta, ToolCallDelta
from legion_core.kernel.errors import Conflict
from legion_core.kernel.supervise import Supervisor

LINGER_S: Final = 0.5  # a retry comes at once or not at all; the upstream has to be left within a second
KEPT_S: Final = 60.0  # a finished answer under an idempotency key
KEPT_MAX: Final = 64
RUNNING_MAX: Final = 256
KEPT_CHARS_MAX: Final = 4 * 1024 * 1024  # of one answer; a longer one cannot be joined any more
LAG_EVENTS_MAX: Final = 1024  # how far the upstream is read ahead of the slowest client

Opening = Callable[[Outlet], AbstractAsyncContextManager[AsyncIterator[StreamEvent]]]
Key = tuple[str, ...]


@dataclass(slots=True, eq=False)
class _Listener:
    """How many events it has heard, and whether it waits for the next; a delta may then go to its outlet."""

    outlet: Outlet | None
    heard: int = 0
    is_waiting: bool = False


class Running:
    """One answer, kept from its first event as long as it may be joined; the `Outlet` of its own reader."""

    def __init__(self, request: Request, fingerprint: bytes) -> None:
        self.request = request
        self.fingerprint = fingerprint
        self.task: asyncio.Task[None] | None = None
        self.done_at_s: float | None = None  # by the loop's clock
        self._events: list[StreamEvent] = []
        self._chars = 0
        self._error: BaseException | None = None
        self._has_news = asyncio.Event()
        self._has_room = asyncio.Event()
        self._listeners = list[_Listener]()

    @property
    def listeners(self) -> int:
        """How many hear it now."""
        return len(self._listeners)

    @property
    def is_done(self) -> bool:
        """Whether its last event has come."""
        return self.done_at_s is not None

    @property
    def can_be_joined(self) -> bool:
        """Whether its beginning is still here, and it did not fail."""
        return self._chars <= KEPT_CHARS_MAX and self._error is None

    async def read(self, opening: Opening) -> None:
        """Read the answer to its end; its failure is told to whoever listens."""
        try:
            async with opening(self) as events:
                async for event in events:
                    self._add(event)
                    if not self.is_open:
                        await self._room()
        except asyncio.CancelledError:
            self._error = asyncio.CancelledError()
            raise
        except BaseException as error:  # noqa: BLE001  # raised again in the listeners
            self._error = error
        finally:
            self.done_at_s = asyncio.get_running_loop().time()
            self._has_news.set()

    async def listen(self, outlet: Outlet | None = None) -> AsyncGenerator[StreamEvent]:
        """Every event from the first on, deltas to `outlet` where they may; raises what the answer failed with."""
        me = _Listener(outlet)
        self._listeners.append(me)
        try:
            while True:
                while me.heard < len(self._events):
                    event = self._events[me.heard]
                    me.heard += 1
                    self._has_room.set()
                    yield event
                if self.is_done:
                    if self._error is not None:
                        raise self._error
                    return
                self._has_news.clear()
                me.is_waiting = True
                try:
                    await self._has_news.wait()
                finally:
                    me.is_waiting = False
        finally:
            self._listeners.remove(me)
            self._has_room.set()

    @property
    def is_open(self) -> bool:
        """See `Outlet`: whether everyone follows closely enough."""
        return len(self._events) - self._slowest <= LAG_EVENTS_MAX

    def give(self, delta: Ready) -> None:
        """See `Outlet`."""
        self._add(delta)

    def _add(self, event: StreamEvent) -> None:
        before = len(self._events)
        self._events.append(event)
        match event:
            case TextDelta() | ThinkingDelta():
                self._chars += len(event.text)
            case ToolCallDelta():
                self._chars += len(event.arguments)
            case _:
                self._has_news.set()
                return
        for listener in self._listeners:
            outlet = listener.outlet
            if outlet is not None and listener.is_waiting and listener.heard == before and outlet.is_open:
                listener.heard += 1
                outlet.give(event)
            else:
                self._has_news.set()

    @property
    def _slowest(self) -> int:
        return min([listener.heard for listener in self._listeners], default=len(self._events))

    async def _room(self) -> None:
        while not self.is_open:
            self._has_room.clear()
            await self._has_room.wait()


class InFlight:
    """The answers of one surface that may be joined, by client, address and key."""

    def __init__(self) -> None:
        self._running: OrderedDict[Key, Running] = OrderedDict()

    def __len__(self) -> int:
        return len(self._running)

    def find(self, key: Key, fingerprint: bytes, *, is_retry: bool) -> Running | None:
        """The answer to join; None if there is none. Conflict if the key was used with another question.

        Without `is_retry` only an answer that lost its listener is joined: two equal questions at once are two.
        """
        self._forget_old()
        running = self._running.get(key)
        if running is None:
            return None
        if running.fingerprint != fingerprint:
            raise Conflict(
                "This Idempotency-Key was used with another body.", hint="Use a new key for a new question."
            )
        if not running.can_be_joined or not (is_retry or running.listeners == 0):
            return None
        return running

    @asynccontextmanager
    async def listen(
        self, running: Running, key: Key, *, is_kept: bool, outlet: Outlet | None = None
    ) -> AsyncGenerator[AsyncIterator[StreamEvent]]:
        """The answer's events from the first on. Leaving it last stops the answer, a little later.

        `is_kept`: it stays for a while when it is finished.
        """
        events = running.listen(outlet)
        try:
            yield events
        finally:
            await events.aclose()
            if running.is_done and not (is_kept and running.can_be_joined):
                self._forget(key, running)
            elif running.listeners == 0 and not running.is_done:
                asyncio.get_running_loop().call_later(LINGER_S, self._let_go, key, running)

    def start(
        self, supervisor: Supervisor, key: Key, fingerprint: bytes, request: Request, opening: Opening
    ) -> Running | None:
        """Begin an answer that may be joined; None if too many are."""
        self._forget_old()
        if len(self._running) >= RUNNING_MAX:
            return None
        running = Running(request, fingerprint)
        running.task = supervisor.spawn(f"shared answer {request.id}", running.read(opening))
        self._running[key] = running
        return running

    def _let_go(self, key: Key, running: Running) -> None:
        if running.listeners:
            return
        if not running.is_done and running.task is not None:
            running.task.cancel()
        self._forget(key, running)

    def _forget(self, key: Key, running: Running) -> None:
        if self._running.get(key) is running:
            del self._running[key]

    def _forget_old(self) -> None:
        """Finished ones go after a while, and but for the latest at once."""
        horizon = asyncio.get_running_loop().time() - KEPT_S
        finished = [key for key, running in self._running.items() if running.is_done]
        for at, key in enumerate(reversed(finished)):
            done_at_s = self._running[key].done_at_s
            if at >= KEPT_MAX or (done_at_s is not None and done_at_s < horizon):
                del self._running[key]
