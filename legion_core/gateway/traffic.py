"""Requests under way: which attempt runs where now, told as facts for watchers.

The router does not ask this; the window's ladder and `GET /api/v1/routes/ladder` do.
"""

from collections.abc import Mapping
from datetime import datetime

from legion_core.gateway.types import Lane, Request
from legion_core.kernel.events import Event, EventBus


class AttemptBegan(Event, frozen=True, kw_only=True):
    """An attempt was begun at a lane; `number` counts from 1 within its request."""

    request_id: str
    number: int
    tier: str
    instance: str
    model: str
    conversation_id: str = ""
    client: str = ""


class AttemptEnded(Event, frozen=True, kw_only=True):
    """That attempt is over. `outcome` is `succeeded`, `cancelled` or an error's public code; `tokens` it gave out."""

    request_id: str
    number: int
    tier: str
    instance: str
    model: str
    outcome: str
    tokens: int = 0


class Traffic:
    """Counts attempts in flight by instance and publishes their beginning and end."""

    def __init__(self, bus: EventBus) -> None:
        self._bus = bus
        self._live: dict[tuple[str, int], AttemptBegan] = {}
        self._counts = dict[str, int]()

    @property
    def live(self) -> tuple[AttemptBegan, ...]:
        """Every attempt under way, in the order they began."""
        return tuple(self._live.values())

    @property
    def in_flight(self) -> Mapping[str, int]:
        """How many attempts run at each instance; an instance without any is not there."""
        return self._counts

    def began(
        self, request: Request, lane: Lane, number: int, at: tuple[datetime, float] | None = None
    ) -> None:
        """Attempt `number` of `request` starts at `lane`, now or `at` the bus's two times."""
        at_utc, at_mono_s = at or self._bus.stamp()
        told = AttemptBegan(
            at_utc=at_utc,
            at_mono_s=at_mono_s,
            request_id=request.id,
            number=number,
            tier=lane.tier.word,
            instance=lane.instance,
            model=lane.offer.id,
            conversation_id=request.conversation_id or "",
            client=request.client,
        )
        self._live[request.id, number] = told
        self._counts[lane.instance] = self._counts.get(lane.instance, 0) + 1
        self._bus.publish(told)

    def ended(self, request: Request, lane: Lane, number: int, outcome: str, tokens: int = 0) -> None:
        """That attempt is over; one that never began changes nothing."""
        if self._live.pop((request.id, number), None) is None:
            return
        left = self._counts.pop(lane.instance) - 1
        if left:
            self._counts[lane.instance] = left
        at_utc, at_mono_s = self._bus.stamp()
        self._bus.publish(
            AttemptEnded(
                at_utc=at_utc,
                at_mono_s=at_mono_s,
                request_id=request.id,
                number=number,
                tier=lane.tier.word,
                instance=lane.instance,
                model=lane.offer.id,
                outcome=outcome,
                tokens=tokens,
            )
        )
