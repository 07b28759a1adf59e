"""Pure routing: which lanes may answer a request, in which order, and why each other one may not.

Hard axes first (pin, policy, operation, capability, context, circuit); what is left is ordered by tier, nearest
first, then by price, then by the order of the configuration. Source: seed ("cheapest capable tier first").
"""

from collections.abc import Mapping, Sequence

from legion_core.gateway.routing.health import Circuit
from legion_core.gateway.types import (
    Capability,
    ImageBlock,
    Lane,
    LeftOut,
    Operation,
    Price,
    Request,
    RouteDecision,
    Tier,
    ToolResultBlock,
    ToolUseBlock,
)

CHARS_PER_TOKEN = 4
FRAMING_TOKENS = 256
IMAGE_TOKENS = 1_000
CONTEXT_HEADROOM = 0.9  # a lane fits if the estimate is at most 90 % of its window


def required_capabilities(request: Request) -> tuple[Capability, ...]:
    """What the request cannot do without."""
    needed: list[Capability] = []
    if request.tools and request.tool_choice != "none":
        needed.append("tools")
    if any(isinstance(block, ImageBlock) for message in request.messages for block in message.content):
        needed.append("vision")
    if request.params.json_schema is not None or request.params.json_mode:
        needed.append("structured_output")
    if request.params.thinking_budget_tokens:
        needed.append("thinking")
    return tuple(needed)


def estimate_tokens(request: Request) -> int:
    """About how many tokens the request's input is, before any tokenizer is asked."""
    chars = sum(len(text) for text in request.system)
    images = 0
    for message in request.messages:
        for block in message.content:
            match block:
                case ToolUseBlock():
                    chars += len(block.arguments) + len(block.name)
                case ToolResultBlock():
                    chars += len(block.text)
                case ImageBlock():
                    images += 1
                case _:
                    chars += len(block.text)
    chars += sum(len(tool.description) + len(str(tool.parameters)) for tool in request.tools)
    return chars // CHARS_PER_TOKEN + FRAMING_TOKENS + images * IMAGE_TOKENS


def decide(
    request: Request,
    lanes: Sequence[Lane],
    circuits: Mapping[str, Circuit],
    *,
    now_s: float,
    local_only: bool = False,
    operation: Operation = "chat",
    requires: tuple[Capability, ...] = (),
) -> RouteDecision:
    """The route for `request` over `lanes` (in configured order), given a snapshot of the circuits.

    `requires` adds capabilities to those the request itself shows it needs.
    """
    required: tuple[Capability, ...] = ("embeddings",)
    if operation == "chat":
        required = tuple(dict.fromkeys((*required_capabilities(request), *requires)))
    tokens = estimate_tokens(request)
    taken: list[tuple[tuple[int, float, int], Lane]] = []
    left_out: list[LeftOut] = []
    for position, lane in enumerate(lanes):
        obstacle = (
            _pin(request, lane)
            or _policy(request, lane, local_only)
            or _operation(lane, operation)
            or _capability(lane, required)
            or _context(request, lane, tokens)
            or _circuit(lane, circuits.get(lane.instance, Circuit()), now_s)
        )
        if obstacle is None:
            taken.append(((int(lane.tier), _dearness(lane), position), lane))
        else:
            left_out.append(obstacle)
    taken.sort(key=lambda pair: pair[0])
    return RouteDecision(
        candidates=tuple(lane for _, lane in taken),
        left_out=tuple(left_out),
        required=required,
        estimated_tokens=tokens,
    )


def _pin(request: Request, lane: Lane) -> LeftOut | None:
    pins = request.pins
    if pins.tier is not None and lane.tier != pins.tier:
        return LeftOut(lane=lane, reason="pin", why=f"The request asks for the {pins.tier.word} tier")
    if pins.instance is not None and lane.instance != pins.instance:
        return LeftOut(lane=lane, reason="pin", why=f"The request asks for the instance {pins.instance}")
    if pins.model is not None and pins.model not in (lane.offer.id, lane.name):
        return LeftOut(lane=lane, reason="pin", why=f"The request asks for the model {pins.model}")
    return None


def _policy(request: Request, lane: Lane, local_only: bool) -> LeftOut | None:
    if local_only and lane.tier > Tier.LOCAL:
        return LeftOut(
            lane=lane, reason="policy", why="Local only is switched on: nothing leaves this machine"
        )
    if request.pins.tier_max is not None and lane.tier > request.pins.tier_max:
        return LeftOut(lane=lane, reason="policy", why=f"Capped at {request.pins.tier_max.word}")
    return None


def _operation(lane: Lane, operation: Operation) -> LeftOut | None:
    is_embedder = lane.offer.capabilities == frozenset({"embeddings"})
    if operation == "chat" and is_embedder:
        return LeftOut(lane=lane, reason="operation", why="An embedding model cannot chat")
    return None


def _capability(lane: Lane, required: tuple[Capability, ...]) -> LeftOut | None:
    missing = [word for word in required if word not in lane.offer.capabilities]
    if missing:
        return LeftOut(lane=lane, reason="capability", why=f"No {' or '.join(missing).replace('_', ' ')}")
    return None


def _context(request: Request, lane: Lane, tokens: int) -> LeftOut | None:
    needed = tokens + min(request.params.max_tokens or 0, lane.offer.context // 2)
    if needed > lane.offer.context * CONTEXT_HEADROOM:
        return LeftOut(
            lane=lane,
            reason="context",
            why=f"Context {lane.offer.context:,} is below the about {needed:,} tokens needed",
        )
    return None


def _circuit(lane: Lane, circuit: Circuit, now_s: float) -> LeftOut | None:
    if circuit.admits(now_s):
        return None
    if circuit.is_tripped_by_hand:
        return LeftOut(lane=lane, reason="circuit", why="Tripped by hand")
    if circuit.state(now_s) == "half_open":
        return LeftOut(lane=lane, reason="circuit", why="Circuit half-open, one probe is under way")
    wait_s = circuit.retry_in_s(now_s)
    word = "Circuit open" if circuit.state(now_s) == "open" else "Resting at the provider's wish"
    return LeftOut(lane=lane, reason="circuit", why=f"{word}, retry in {wait_s:.0f} s")


def _dearness(lane: Lane) -> float:
    """USD per million tokens at one part output to three parts input; unknown sorts last in its tier."""
    price: Price | None = lane.offer.price
    if price is None:
        return 0.0 if lane.tier <= Tier.FLEET else float("inf")
    return 0.75 * price.input + 0.25 * price.output
