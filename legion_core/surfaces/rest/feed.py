"""The events of this node as a numbered, bounded ring that any number of clients read at their own pace.

A client names the last id it saw and goes on behind it; if that has fallen out of the ring (or was of an earlier
run), it is told that events are lost instead of being left to think that nothing happened.
"""

from collections import deque
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import msgspec

from legion_core.api.types import AnswerEnded, AnswerStarted, Event, EventBus
from legion_core.kernel.errors import InvalidInput
from legion_core.surfaces.shapes import MessageShape


@dataclass(frozen=True, slots=True)
class Kept:
    """One event in the ring; `number` counts from 1 without gaps."""

    number: int
    event: Event


class Feed:
    """The ring, filled from the bus when somebody looks: while nobody does, no event wakes anything.

    `run` names this run of the node, so that ids never mean another one's events.
    """

    def __init__(self, bus: EventBus, run: str, size_max: int) -> None:
        self._subscription = bus.subscribe(size_max=size_max)
        self._run = run
        self._kept: deque[Kept] = deque(maxlen=size_max)
        self._last = 0
        self.is_open = True
        self.readers = 0

    @property
    def _ring(self) -> deque[Kept]:
        """All that came until now."""
        self._last += self._subscription.lost  # a gap in the numbers: readers see that something is missing
        self._subscription.lost = 0
        for event in self._subscription.take_nowait():
            self._last += 1
            self._kept.append(Kept(self._last, event))
        return self._kept

    @property
    def last(self) -> int:
        """The newest event's number; 0 before the first."""
        ring = self._ring
        return ring[-1].number if ring else self._last

    def id_of(self, number: int) -> str:
        """The id a client sees and may send back."""
        return f"{self._run}.{number}"

    def number_of(self, last_event_id: str) -> int | None:
        """The number behind an id of this run; None for another run's."""
        run, _, number = last_event_id.rpartition(".")
        if not (number.isascii() and number.isdecimal() and len(number) < 19):
            raise InvalidInput("Last-Event-ID is not an id of this event stream.")
        return min(int(number), self.last) if run == self._run else None

    def after(self, number: int) -> Iterator[Kept]:
        """What is in the ring behind `number`, oldest first."""
        return (kept for kept in tuple(self._ring) if kept.number > number)

    @property
    def first(self) -> int:
        """The oldest event's number still here; one past the newest where there is none."""
        ring = self._ring
        return ring[0].number if ring else self._last + 1

    def lost_since(self, number: int) -> int:
        """How many events behind `number` are gone from the ring."""
        return max(0, self.first - number - 1)

    @contextmanager
    def reading(self) -> Generator[None]:
        """Count one reader."""
        self.readers += 1
        try:
            yield
        finally:
            self.readers -= 1

    async def wait_past(self, number: int) -> None:
        """Return once there is something newer than `number`, or the feed is closed."""
        while self.is_open and self.last <= number:
            await self._subscription.wait()

    def close(self) -> None:
        """Stop collecting; every reader's wait returns."""
        self.is_open = False
        self._subscription.close()


def frame(name: str, payload: object, event_id: str = "") -> bytes:
    """One event of a `text/event-stream`; a client that reconnects sends back the last `event_id`."""
    head = f"id: {event_id}\nevent: {name}\n" if event_id else f"event: {name}\n"
    return head.encode() + b"data: " + msgspec.json.encode(payload) + b"\n\n"


class MessageEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event about a message, with the message in its outside shape."""

    at_utc: datetime
    at_mono_s: float
    message: MessageShape


def event_shape(event: Event) -> object:
    """What is sent of an event: itself, or with its message in the outside shape."""
    if isinstance(event, AnswerStarted | AnswerEnded):
        return MessageEvent(
            at_utc=event.at_utc, at_mono_s=event.at_mono_s, message=MessageShape.of(event.message)
        )
    return event


def event_kinds() -> dict[str, type[Event]]:
    """Every kind of event this process knows, by name."""
    found: dict[str, type[Event]] = {}
    waiting: list[type[Event]] = [Event]
    while waiting:
        for kind in waiting.pop().__subclasses__():
            found[kind.__name__] = kind
            waiting.append(kind)
    return found
