"""The ladder: five tiers with their instances, how each is, what runs there, and where a request would go."""

from collections.abc import Callable
from datetime import datetime

import msgspec

from legion_core.api.providers import Providers
from legion_core.api.types import Capability, Pins, ProviderRow, RouteDecision, Tier
from legion_core.gateway.measures import Figures, Measured, Measures
from legion_core.gateway.service import Gateway
from legion_core.gateway.traffic import AttemptBegan, AttemptEnded, Traffic
from legion_core.gateway.types import Lane, Operation
from legion_core.kernel.clock import Clock
from legion_core.kernel.settings_schema import Config

__all__ = ["AttemptBegan", "AttemptEnded", "Figures", "Ladder", "Measured", "Place", "Routes", "Rung"]

CHARS_PER_TOKEN = 4  # as the router estimates
CONTEXT_TOKENS_MAX = 4_000_000


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """An instance on its rung: how it is, how many attempts run there, and what was measured."""

    row: ProviderRow
    running: int = 0
    measured: Measured = Measured()


class Rung(msgspec.Struct, frozen=True, kw_only=True):
    """One tier. `closed` is a sentence if a policy keeps every request from it."""

    tier: str
    places: tuple[Place, ...] = ()
    closed: str = ""


class Ladder(msgspec.Struct, frozen=True, kw_only=True):
    """All of it at one moment, nearest tier first.

    `saved_usd` is what today's free answers would have cost at `saved_against`, the cheapest priced frontier lane;
    None where no frontier lane has a known price.
    """

    at: datetime
    rungs: tuple[Rung, ...]
    figures: Figures = Figures()
    live: tuple[AttemptBegan, ...] = ()
    saved_usd: float | None = None
    saved_against: str = ""


class Routes:
    """What the Routing page and `/api/v1/routes` do. Nothing here sends a request."""

    def __init__(
        self,
        gateway: Gateway,
        providers: Providers,
        measures: Measures,
        traffic: Traffic,
        clock: Clock,
        config: Callable[[], Config],
    ) -> None:
        self._gateway = gateway
        self._providers = providers
        self._measures = measures
        self._traffic = traffic
        self._clock = clock
        self._config = config

    async def ladder(self) -> Ladder:
        """Every tier with its instances as last seen: nobody is asked, so it never waits for one that hangs."""
        rows = self._providers.known()
        measured, figures = await self._measures.read()
        running = self._traffic.in_flight
        places = [
            Place(row=row, running=running.get(row.name, 0), measured=measured.get(row.name, Measured()))
            for row in rows
        ]
        saved, against = self._saved(figures)
        return Ladder(
            at=self._clock.utc_now(),
            rungs=tuple(
                Rung(
                    tier=tier.word,
                    places=tuple(place for place in places if place.row.tier == tier.word),
                    closed=self._closed(tier),
                )
                for tier in Tier
            ),
            figures=figures,
            live=self._traffic.live,
            saved_usd=saved,
            saved_against=against,
        )

    async def explain(
        self,
        text: str,
        *,
        requires: tuple[Capability, ...] = (),
        context_tokens: int = 0,
        pins: Pins | None = None,
        is_private: bool = False,
        operation: Operation = "chat",
    ) -> RouteDecision:
        """Where a request with this text, and `context_tokens` of history before it, would go now.

        The router itself decides, on a request of that length; nothing is sent.
        """
        missing = min(context_tokens, CONTEXT_TOKENS_MAX) * CHARS_PER_TOKEN - len(text)
        return await self._gateway.explain(
            text + " " * max(0, missing),
            requires=requires,
            pins=pins,
            is_private=is_private,
            operation=operation,
        )

    def _closed(self, tier: Tier) -> str:
        if self._config().privacy.local_only and tier > Tier.LOCAL:
            return "Local only is switched on: nothing leaves this computer"
        return ""

    def _saved(self, figures: Figures) -> tuple[float | None, str]:
        priced = [
            (lane, _cost(lane, figures))
            for lane in self._gateway.inventory.lanes()
            if lane.tier is Tier.FRONTIER and lane.offer.price is not None
        ]
        if not priced:
            return None, ""
        lane, cost = min(priced, key=lambda pair: pair[1])
        return cost, lane.name


def _cost(lane: Lane, figures: Figures) -> float:
    price = lane.offer.price
    assert price is not None
    return (figures.free_input_tokens * price.input + figures.free_output_tokens * price.output) / 1_000_000
