"""Vectors for texts: routed, tried and billed like an answer, but never by another model than the first one chosen.

Vectors of two models cannot be compared, so what fails is tried again only at other instances of the same model.
"""

from collections.abc import Callable
from dataclasses import dataclass

from legion_core.gateway.budget import Budget
from legion_core.gateway.cost import cost_usd
from legion_core.gateway.inventory import Inventory
from legion_core.gateway.ledger import Ledger
from legion_core.gateway.providers.base import Embedded
from legion_core.gateway.routing.policy import decide
from legion_core.gateway.types import Attempt, Lane, Request, RouteDecision, Usage
from legion_core.gateway.unanswered import no_candidate
from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import LegionError, ProviderError, Unsupported

ATTEMPTS_MAX = 4  # as for an answer


@dataclass(frozen=True, slots=True)
class Embedder:
    """Everything it takes to embed; holds no request's state."""

    clock: Clock
    inventory: Inventory
    budget: Budget
    ledger: Ledger
    is_local_only: Callable[[], bool]

    async def embed(
        self, request: Request, texts: tuple[str, ...], *, dimensions: int | None = None
    ) -> Embedded:
        """One vector per text. `request` holds each text as a message; its pins name the model.

        Unsupported where the model's vectors are not as long as `dimensions`: cut here they would be others.
        """
        decision = self._route(request)
        if not decision.candidates:
            raise no_candidate(request, decision.left_out)
        attempts = list[Attempt]()
        start_s, outcome = self.clock.monotonic_s(), "cancelled"
        try:
            request, decision = await self.budget.reserve(request, decision)
            found = await self._first_that_can(request, decision.candidates, texts, dimensions, attempts)
            outcome = "succeeded"
        except LegionError as error:
            outcome = error.public_code
            raise
        finally:
            duration_s = self.clock.monotonic_s() - start_s
            await self.ledger.settle(request, tuple(attempts), outcome=outcome, duration_s=duration_s)
        return found

    def _route(self, request: Request) -> RouteDecision:
        return decide(
            request,
            self.inventory.lanes(),
            self.inventory.health.snapshot(),
            now_s=self.clock.monotonic_s(),
            local_only=self.is_local_only(),
            operation="embed",
        )

    async def _first_that_can(
        self,
        request: Request,
        candidates: tuple[Lane, ...],
        texts: tuple[str, ...],
        dimensions: int | None,
        attempts: list[Attempt],
    ) -> Embedded:
        model, error = candidates[0].offer.id, None
        for lane in [lane for lane in candidates if lane.offer.id == model][:ATTEMPTS_MAX]:
            if attempts:
                await self.budget.extend(request, lane)
            try:
                found = await self._try(lane, texts, dimensions, attempts)
            except ProviderError as failure:
                error = failure
            else:
                if found is not None:
                    return found
        raise error or no_candidate(request, self._route(request).left_out)

    async def _try(
        self, lane: Lane, texts: tuple[str, ...], dimensions: int | None, attempts: list[Attempt]
    ) -> Embedded | None:
        """What the lane gives; None if its instance takes nothing at this moment."""
        health, start_s = self.inventory.health, self.clock.monotonic_s()
        if (ticket := health.start(lane.instance, start_s)) is None:
            return None
        at, outcome, why, usage, failure = (
            self.clock.utc_now(),
            "cancelled",
            "",
            Usage(is_estimated=True),
            None,
        )
        try:
            provider = self.inventory.get(lane.instance).provider
            found = await provider.embed(lane.offer.id, texts, dimensions=dimensions)
            usage = found.usage
            if dimensions is not None:
                _check_length(found, dimensions, lane)
            outcome = "succeeded"
        except LegionError as error:
            outcome, why, failure = error.public_code, error.message, error
            raise
        finally:
            now_s = self.clock.monotonic_s()
            health.end(ticket, failure, now_s, is_cancelled=outcome == "cancelled")
            attempts.append(
                Attempt(
                    number=len(attempts) + 1,
                    tier=lane.tier.word,
                    instance=lane.instance,
                    model=lane.offer.id,
                    outcome=outcome,
                    why=why,
                    usage=usage,
                    cost_usd=cost_usd(usage, lane.offer.price, lane.tier),
                    started_at=at,
                    duration_s=now_s - start_s,
                )
            )
        return found


def _check_length(found: Embedded, dimensions: int, lane: Lane) -> None:
    given = next((len(vector) for vector in found.vectors if len(vector) != dimensions), dimensions)
    if given != dimensions:
        raise Unsupported(
            f"{lane.offer.id} gives vectors of {given} numbers at {lane.instance}, and {dimensions} were asked for.",
            hint="Leave the number out, or choose a model whose vectors can be of that length; none is cut here.",
            capability="embeddings",
        )
