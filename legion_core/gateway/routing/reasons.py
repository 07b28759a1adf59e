"""Pure reasons: for each lane that a decision left out, the first hard axis it fails on, in a sentence.

The axes, in the order they are told: pin, policy, operation, capability, context, circuit.
"""

from collections.abc import Mapping, Sequence
from typing import cast, overload

import msgspec

from legion_core.gateway.routing.health import Circuit
from legion_core.gateway.types import Capability, Lane, LeftOut, Operation, Pins, Tier

CONTEXT_HEADROOM = 0.9  # a lane fits if the estimate is at most 90 % of its window
EMBED_ONLY: frozenset[Capability] = frozenset({"embeddings"})
_FRESH = Circuit()
_NO_PINS = Pins()


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What one request asks of a lane. `tokens` is about its input, `tokens_out` what it may get back."""

    pins: Pins = _NO_PINS
    operation: Operation = "chat"
    required: tuple[Capability, ...] = ()
    tokens: int = 0
    tokens_out: int = 0
    is_private: bool = False
    local_only: bool = False
    closed: Mapping[str, str] | None = None  # instances that may not be contacted, and why


def tokens_needed(wish: Wish, context: int) -> float:
    """What the request takes of a window that size: its input and its answer, which may have half of it."""
    return wish.tokens + min(wish.tokens_out, context / 2)


class LeftOuts(Sequence[LeftOut]):
    """The lanes left out and why, in configured order; worked out when somebody looks, from the decision's snapshot."""

    def __init__(
        self, lanes: Sequence[Lane], taken: int, wish: Wish, circuits: Mapping[str, Circuit], now_s: float
    ) -> None:
        self._lanes = lanes
        self._count = len(lanes) - taken
        self._wish = wish
        self._circuits = circuits
        self._now_s = now_s
        self._found: tuple[LeftOut, ...] | None = None

    @overload
    def __getitem__(self, index: int) -> LeftOut: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[LeftOut, ...]: ...
    def __getitem__(self, index: int | slice) -> LeftOut | tuple[LeftOut, ...]:
        return self._all()[index]

    def __len__(self) -> int:
        return self._count

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LeftOuts | tuple) and self._all() == tuple(cast("Sequence[LeftOut]", other))

    def __hash__(self) -> int:
        return hash(self._all())

    def _all(self) -> tuple[LeftOut, ...]:
        if self._found is None:
            self._found = tuple(
                obstacle
                for lane in self._lanes
                if (obstacle := obstacle_of(lane, self._wish, self._circuits, self._now_s)) is not None
            )
        return self._found


def obstacle_of(lane: Lane, wish: Wish, circuits: Mapping[str, Circuit], now_s: float) -> LeftOut | None:
    """Why `lane` may not answer `wish` now; None if it may."""
    return (
        _pin(lane, wish)
        or _policy(lane, wish)
        or _operation(lane, wish)
        or _capability(lane, wish)
        or _context(lane, wish)
        or _circuit(lane, circuits.get(lane.instance, _FRESH), now_s)
    )


def _pin(lane: Lane, wish: Wish) -> LeftOut | None:
    pins = wish.pins
    if pins.tier is not None and lane.tier != pins.tier:
        return LeftOut(lane=lane, reason="pin", why=f"The request asks for the {pins.tier.word} tier")
    if pins.instance is not None and lane.instance != pins.instance:
        return LeftOut(lane=lane, reason="pin", why=f"The request asks for the instance {pins.instance}")
    if pins.model is not None and pins.model not in (lane.offer.id, lane.name):
        return LeftOut(lane=lane, reason="pin", why=f"The request asks for the model {pins.model}")
    return None


def _policy(lane: Lane, wish: Wish) -> LeftOut | None:
    if lane.tier > Tier.LOCAL and wish.is_private:
        return LeftOut(lane=lane, reason="policy", why="Marked private: nothing of it leaves this machine")
    if lane.tier > Tier.LOCAL and wish.local_only:
        return LeftOut(
            lane=lane, reason="policy", why="Local only is switched on: nothing leaves this machine"
        )
    if wish.closed and lane.instance in wish.closed:
        return LeftOut(lane=lane, reason="policy", why=wish.closed[lane.instance])
    if wish.pins.tier_max is not None and lane.tier > wish.pins.tier_max:
        return LeftOut(lane=lane, reason="policy", why=f"Capped at {wish.pins.tier_max.word}")
    return None


def _operation(lane: Lane, wish: Wish) -> LeftOut | None:
    if wish.operation == "chat" and lane.offer.capabilities == EMBED_ONLY:
        return LeftOut(lane=lane, reason="operation", why="An embedding model cannot chat")
    return None


def _capability(lane: Lane, wish: Wish) -> LeftOut | None:
    missing = [word for word in wish.required if word not in lane.offer.capabilities]
    if missing:
        return LeftOut(lane=lane, reason="capability", why=f"No {' or '.join(missing).replace('_', ' ')}")
    return None


def _context(lane: Lane, wish: Wish) -> LeftOut | None:
    context = lane.offer.context
    needed = tokens_needed(wish, context)
    if needed > context * CONTEXT_HEADROOM:
        why = f"Context {context:,} is below the about {needed:,.0f} tokens needed"
        if needed <= context:
            why = f"The about {needed:,.0f} tokens needed fill over nine tenths of its context {context:,}"
        return LeftOut(lane=lane, reason="context", why=why)
    return None


def _circuit(lane: Lane, circuit: Circuit, now_s: float) -> LeftOut | None:
    if circuit.admits(now_s):
        return None
    wait_s = None if circuit.is_tripped_by_hand or circuit.is_draining else circuit.retry_in_s(now_s)
    return LeftOut(lane=lane, reason="circuit", why=_rest(circuit, now_s), retry_in_s=wait_s)


def _rest(circuit: Circuit, now_s: float) -> str:
    if circuit.is_tripped_by_hand:
        return "Tripped by hand"
    if circuit.is_draining:
        return "Draining: it finishes what runs and takes nothing new"
    state, wait_s = circuit.state(now_s), circuit.retry_in_s(now_s)
    if wait_s <= 0:
        return "Circuit half-open, one probe is under way"
    word = "Circuit open" if state == "open" else "Resting at the provider's wish"
    return f"{word}, retry in {wait_s:.0f} s"
