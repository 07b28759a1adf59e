"""Asking models: the canonical stream, the client dialects, the route, and the bill."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager

from legion_core.gateway.answer import Answer
from legion_core.gateway.dialects.base import Dialect
from legion_core.gateway.ledger_types import BudgetRow, By, LedgerRow, SummaryRow
from legion_core.gateway.outlet import Outlet
from legion_core.gateway.providers.base import Embedded
from legion_core.gateway.service import Gateway
from legion_core.gateway.types import Capability, Lane, Operation, Pins, Request, RouteDecision, StreamEvent
from legion_core.kernel.ports import Principal


class Llm:
    """The gateway as a surface sees it."""

    def __init__(self, gateway: Gateway, dialects: Mapping[str, Dialect]) -> None:
        self._gateway = gateway
        self.dialects = dialects

    def stream(
        self, request: Request, who: Principal, outlet: Outlet | None = None
    ) -> AbstractAsyncContextManager[AsyncIterator[StreamEvent]]:
        """The answer's events, `Opened` first and `Closed` last; raises before the first if nothing could answer.

        Most deltas go to `outlet`, if there is one, and are then no events.
        """
        return self._gateway.stream(request, who, outlet)

    async def answer(self, request: Request, who: Principal) -> Answer:
        """The whole answer; one that broke off has the stop reason `error` in `closed`."""
        return await self._gateway.answer(request, who)

    async def embed(
        self, model: str | None, texts: tuple[str, ...], who: Principal, *, dimensions: int | None = None
    ) -> Embedded:
        """One vector per text, as long as `dimensions` says; `model` None lets the router choose."""
        return await self._gateway.embed(model, texts, who, dimensions=dimensions)

    async def explain(
        self,
        text: str,
        *,
        requires: tuple[Capability, ...] = (),
        pins: Pins | None = None,
        is_private: bool = False,
        operation: Operation = "chat",
    ) -> RouteDecision:
        """Where a request with this text would go now, and why not elsewhere; nothing is sent."""
        return await self._gateway.explain(
            text, requires=requires, pins=pins, is_private=is_private, operation=operation
        )

    async def lanes(self) -> tuple[Lane, ...]:
        """Every model on every instance known now."""
        await self._gateway.inventory.discover()
        return tuple(self._gateway.inventory.lanes())

    async def ledger(
        self, *, request: str = "", conversation: str = "", limit: int = 100, offset: int = 0
    ) -> tuple[LedgerRow, ...]:
        """Attempts, newest request first."""
        return await self._gateway.ledger.rows(
            request=request, conversation=conversation, limit=limit, offset=offset
        )

    async def ledger_summary(self, by: By, since: str = "") -> tuple[SummaryRow, ...]:
        """Attempts added up by one key, from the UTC day `since` (ISO) on; empty: all ever."""
        return await self._gateway.ledger.summary(by, since)

    async def budgets(self) -> tuple[BudgetRow, ...]:
        """Every limit on money that is set, with what is spent and held; see `gateway.budget`."""
        return await self._gateway.budget.rows()

    async def keep_private(self, conversation_id: str, is_private: bool = True) -> None:
        """Mark a conversation: nothing of it leaves this machine from its next request on, whatever is pinned."""
        await self._gateway.privacy.mark(conversation_id, is_private)

    async def is_private(self, conversation_id: str) -> bool:
        """Whether the conversation is marked private."""
        return await self._gateway.privacy.is_private(conversation_id)

    def tokens_per_s(self, lane: str) -> float | None:
        """How fast the lane called `instance/model` was lately; None: never measured."""
        return self._gateway.inventory.speeds.tokens_per_s(lane)
