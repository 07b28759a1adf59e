"""Facts for watchers: a typed, synchronous, bounded event bus.

`publish` cannot fail and cannot block; a slow watcher loses its own oldest events and can see how many. Control
never flows through here: whoever wants something done calls the one who does it.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Hashable
from datetime import datetime
from types import TracebackType
from typing import Self

import msgspec

from legion_core.kernel.clock import Clock


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A past-tense fact: ids, values and both times, never live objects."""

    at_utc: datetime
    at_mono_s: float


class Subscription:
    """A watcher's own queue: iterate it, close it.

    With `coalesce`, a newer event with the same key replaces the waiting one; otherwise the oldest is dropped
    at the bound. `lost` counts what was dropped.
    """

    def __init__(
        self,
        bus: "EventBus",
        kinds: tuple[type[Event], ...],
        size_max: int,
        coalesce: Callable[[Event], Hashable] | None,
    ) -> None:
        self._bus = bus
        self._kinds = kinds
        self._size_max = size_max
        self._coalesce = coalesce
        self._plain: deque[Event] = deque()
        self._keyed: OrderedDict[Hashable, Event] = OrderedDict()
        self._ready = asyncio.Event()
        self._is_open = True
        self.lost = 0

    def wants(self, kind: type[Event]) -> bool:
        """Whether events of this kind are listened to."""
        return issubclass(kind, self._kinds)

    def offer(self, event: Event) -> None:
        """Take an event that is wanted from the bus; for the bus alone."""
        if self._coalesce is None:
            if len(self._plain) >= self._size_max:
                self._plain.popleft()
                self.lost += 1
            self._plain.append(event)
        else:
            key = self._coalesce(event)
            if key not in self._keyed and len(self._keyed) >= self._size_max:
                self._keyed.popitem(last=False)
                self.lost += 1
            self._keyed[key] = event
        self._ready.set()

    def take_nowait(self) -> list[Event]:
        """All that waits now, oldest first."""
        taken = [*self._plain, *self._keyed.values()]
        self._plain.clear()
        self._keyed.clear()
        self._ready.clear()
        return taken

    async def wait(self) -> None:
        """Return once something is there, or it is closed."""
        await self._ready.wait()

    async def take(self) -> list[Event]:
        """Wait until something is there, then all of it; an empty list once closed."""
        while self._is_open:
            await self.wait()
            if taken := self.take_nowait():
                return taken
        return []

    async def __aiter__(self) -> AsyncIterator[Event]:
        while self._is_open:
            for event in await self.take():
                yield event

    def close(self) -> None:
        """Stop listening; a waiting `take` returns."""
        self._is_open = False
        self._bus.forget(self)
        self._ready.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class EventBus:
    """Delivers each published event to every open subscription, on the loop's own thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._subscriptions: list[Subscription] = []
        self._wanting: dict[type[Event], tuple[Subscription, ...]] = {}  # by kind, as far as it was asked

    def stamp(self) -> tuple[datetime, float]:
        """Both times for a new event: `(at_utc, at_mono_s)`."""
        return self._clock.utc_now(), self._clock.monotonic_s()

    def publish(self, event: Event) -> None:
        """Hand the fact to all watchers; never blocks, never raises."""
        kind = type(event)
        wanting = self._wanting.get(kind)
        if wanting is None:
            wanting = tuple(each for each in self._subscriptions if each.wants(kind))
            self._wanting[kind] = wanting
        for subscription in wanting:
            subscription.offer(event)

    def subscribe(
        self,
        *kinds: type[Event],
        size_max: int = 1024,
        coalesce: Callable[[Event], Hashable] | None = None,
    ) -> Subscription:
        """Listen to these kinds (all, if none is named); use as a context manager or close it."""
        subscription = Subscription(self, kinds or (Event,), size_max, coalesce)
        self._subscriptions.append(subscription)
        self._wanting.clear()
        return subscription

    def forget(self, subscription: Subscription) -> None:
        """Drop a subscription; harmless if it is gone already."""
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)
            self._wanting.clear()
