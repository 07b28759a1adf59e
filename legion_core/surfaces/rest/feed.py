"""The events of this node as a numbered, bounded ring that any number of clients read at their own pace.

A client names the last id it saw and goes on behind it; if that has fallen out of the ring (or was of an earlier
run), it is told that events are lost instead of being left to think that nothing happened.
"""

import asyncio
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from legion_core.api.types import Event, EventBus
from legion_core.kernel.errors import InvalidInput
from legion_core.kernel.supervise import Supervisor


@dataclass(frozen=True, slots=True)
class Kept:
    """One event in the ring; `number` counts from 1 without gaps."""

    number: int
    event: Event


class Feed:
    """Fills the ring from the bus. `run` names this run of the node, so that ids never mean another one's events."""

    def __init__(self, bus: EventBus, run: str, size_max: int) -> None:
        self._subscription = bus.subscribe(size_max=size_max)
        self._run = run
        self._ring: deque[Kept] = deque(maxlen=size_max)
        self._last = 0
        self._news = asyncio.Event()
        self.is_open = True

    def start(self, supervisor: Supervisor) -> None:
        """Begin to collect; sleeps while nothing happens."""
        supervisor.loop("rest.feed", self._collect)

    async def _collect(self) -> None:
        while taken := await self._subscription.take():
            self._last += (
                self._subscription.lost
            )  # a gap in the numbers: readers see that something is missing
            self._subscription.lost = 0
            for event in taken:
                self._last += 1
                self._ring.append(Kept(self._last, event))
            self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    @property
    def last(self) -> int:
        """The newest event's number; 0 before the first."""
        return self._last

    def id_of(self, number: int) -> str:
        """The id a client sees and may send back."""
        return f"{self._run}.{number}"

    def number_of(self, last_event_id: str) -> int | None:
        """The number behind an id of this run; None for another run's."""
        run, _, number = last_event_id.rpartition(".")
        if not (number.isascii() and number.isdecimal() and len(number) < 19):
            raise InvalidInput("Last-Event-ID is not an id of this event stream.")
        return min(int(number), self._last) if run == self._run else None

    def after(self, number: int) -> Iterator[Kept]:
        """What is in the ring behind `number`, oldest first."""
        return (kept for kept in tuple(self._ring) if kept.number > number)

    def lost_since(self, number: int) -> int:
        """How many events behind `number` are gone from the ring."""
        first = self._ring[0].number if self._ring else self._last + 1
        return max(0, first - number - 1)

    async def wait_past(self, number: int) -> None:
        """Return once there is something newer than `number`, or the feed is closed."""
        while self.is_open and self._last <= number:
            await self._news.wait()

    def close(self) -> None:
        """Stop collecting; every reader's wait returns."""
        self.is_open = False
        self._subscription.close()
        self._wake()


def frame(id: str, name: str, payload: object) -> bytes:  # noqa: A002
    """One event of a `text/event-stream`."""
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (id.encode(), name.encode(), msgspec.json.encode(payload))


def event_kinds() -> dict[str, type[Event]]:
    """Every kind of event this process knows, by name."""
    found: dict[str, type[Event]] = {}
    waiting: list[type[Event]] = [Event]
    while waiting:
        for kind in waiting.pop().__subclasses__():
            found[kind.__name__] = kind
            waiting.append(kind)
    return found
