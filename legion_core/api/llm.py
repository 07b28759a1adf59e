"""Asking models: the canonical stream, the client dialects, the route, and the bill."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager

from legion_core.gateway.answer import Answer
from legion_core.gateway.dialects.base import Dialect
from legion_core.gateway.ledger_types import By, LedgerRow, SummaryRow
from legion_core.gateway.providers.base import Embedded
from legion_core.gateway.service import Gateway
from legion_core.gateway.types import Capability, Lane, Pins, Request, RouteDecision, StreamEvent
from legion_core.kernel.ports import Principal


class Llm:
    """The gateway as a surface sees it."""

    def __init__(self, gateway: Gateway, dialects: Mapping[str, Dialect]) -> None:
        self._gateway = gateway
        self.dialects = dialects

    def stream(
        self, request: Request, who: Principal
    ) -> AbstractAsyncContextManager[AsyncIterator[StreamEvent]]:
        """The answer's events, `Opened` first and `Closed` last; raises before the first if nothing could answer."""
        return self._gateway.stream(request, who)

    async def answer(self, request: Request, who: Principal) -> Answer:
        """The whole answer; one that broke off has the stop reason `error` in `closed`."""
        return await self._gateway.answer(request, who)

    async def embed(self, model: str | None, texts: tuple[str, ...], who: Principal) -> Embedded:
        """One vector per text; `model` None lets the router choose."""
        return await self._gateway.embed(model, texts, who)

    async def explain(
        self, text: str, *, requires: tuple[Capability, ...] = (), pins: Pins | None = None
    ) -> RouteDecision:
        """Where a request with this text would go now, and why not elsewhere; nothing is sent."""
        return await self._gateway.explain(text, requires=requires, pins=pins)

    async def lanes(self) -> tuple[Lane, ...]:
        """Every model on every instance known now."""
        await self._gateway.inventory.discover()
        return self._gateway.inventory.lanes()

    async def ledger(
        self, *, request: str = "", conversation: str = "", limit: int = 100, offset: int = 0
    ) -> tuple[LedgerRow, ...]:
        """Attempts, newest request first."""
        return await self._gateway.ledger.rows(
            request=request, conversation=conversation, limit=limit, offset=offset
        )

    async def ledger_summary(self, by: By) -> tuple[SummaryRow, ...]:
        """All attempts added up by tier, model or UTC day."""
        return await self._gateway.ledger.summary(by)
