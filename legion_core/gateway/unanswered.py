"""Words for a request that no model answered: why no lane may, or why each that was asked did not."""

from collections.abc import Sequence

from legion_core.gateway.abilities import ABILITIES, flag_of
from legion_core.gateway.routing.policy import required_capabilities
from legion_core.gateway.types import Attempt, LeftOut, Request
from legion_core.kernel.errors import (
    ContextTooLong,
    LegionError,
    NotFound,
    ProviderError,
    Unavailable,
    Unsupported,
)

_UNABLE = {"capability", "operation"}
_FOR_GOOD = _UNABLE | {"pin", "context", "policy"}


def no_candidate(request: Request, left_out: Sequence[LeftOut]) -> LegionError:
    """Why no lane may answer, as the error a client gets."""
    pins = request.pins
    reasons = {item.reason for item in left_out}
    if not left_out:
        return Unavailable(
            "No model is set up: there is no model file here and no provider is configured.",
            hint="Run `make run` once more to fetch the starter model, or add a provider on the Models page.",
        )
    if reasons == {"pin"}:
        wanted = pins.model or pins.instance or (pins.tier.word if pins.tier is not None else "")
        known = sorted({item.lane.offer.id for item in left_out})
        return NotFound(
            f"No model or instance goes by {wanted!r} here.",
            hint=f"Known models: {', '.join(known[:8])}; or use auto.",
        )
    unpinned = [item for item in left_out if item.reason != "pin"]
    if all(item.reason == "context" for item in unpinned):
        return ContextTooLong(
            f"The request is too long: {unpinned[-1].why}.",
            hint="Shorten it, start a new chat, or add a model with a larger context.",
            limit=max(item.lane.offer.context for item in unpinned),
        )
    told = "; ".join(f"{item.lane.name}: {item.why.lower()}" for item in unpinned[:4])
    if reasons & _UNABLE and reasons <= _FOR_GOOD:
        # No waiting helps: as a fault of the server it would be sent again, by clients and by people.
        return Unsupported(
            f"No model here can do this: {told}.",
            hint=_to_be_said(request, unpinned),
        )
    waits = [item.retry_in_s for item in unpinned if item.retry_in_s is not None]
    return Unavailable(
        f"No model may answer this: {told}.",
        hint="`legion route explain` shows every candidate.",
        retry_after_s=min(waits, default=None),
    )


def _to_be_said(request: Request, left_out: Sequence[LeftOut]) -> str:
    """What to do where no model is known to be able: one may be, and only its server does not tell."""
    for item in left_out:
        if item.reason == "capability" and item.lane.kind != "llamacpp":  # of our own files all is known
            lane, lacks = item.lane, set(required_capabilities(request)) - item.lane.offer.capabilities
            flags = " ".join(f"--{flag_of(word)} yes" for word in ABILITIES if word in lacks)
            if not flags:
                break  # vectors: no model of words makes them
            return (
                f"If {lane.name} can: `legion provider model set {lane.instance} {lane.offer.id} {flags}`"
                f" (`… model try` asks it); its capabilities are then in the configuration."
            )
    return "Add a model that can."


def exhausted(attempts: Sequence[Attempt], last: LegionError) -> LegionError:
    """The error to raise when every attempt failed before its first byte: the last one, or all of them told together."""
    if len(attempts) <= 1 or not isinstance(last, ProviderError):
        return last
    told = "; ".join(f"{attempt.instance}: {attempt.why}" for attempt in attempts)
    return Unavailable(f"No model could answer after {len(attempts)} attempts: {told}", hint=last.hint)
