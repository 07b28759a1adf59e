"""Routing as it is promised, lane by lane and independent of the product, and random cases to hold it against.

A lane may answer if all of these hold:

1. Nothing private (or local only) leaves the machine, whatever is pinned.
2. It is what the pins name, and not above the highest tier allowed.
3. It does what is asked: chat, or embed.
4. It has every capability the request needs.
5. Input and answer (which may have half the window) fill at most nine tenths of its context.
6. Its instance is neither tripped, draining, resting nor open, and not half-open with a probe under way.

Where that leaves nobody, the sixth is not asked of `spare` instances.

Of those the nearest tier comes first, then the cheaper for a request of that length, then the one whose speed has to be doubled less often to be
the fastest of its equals, then the one configured first.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from random import Random
from typing import Any

from legion_core.gateway.routing.health import Circuit
from legion_core.gateway.routing.policy import decide
from legion_core.gateway.routing.speed import Speeds
from legion_core.gateway.routing.table import LaneTable
from legion_core.gateway.types import (
    Capability,
    DocumentBlock,
    ImageBlock,
    Lane,
    Message,
    ModelOffer,
    Operation,
    Params,
    Pins,
    Price,
    Request,
    TextBlock,
    Tier,
    ToolDefinition,
)

WORDS: tuple[Capability, ...] = ("tools", "vision", "thinking", "structured_output", "embeddings")


def naive_route(
    request: Request,
    lanes: Sequence[Lane],
    circuits: Mapping[str, Circuit],
    now_s: float,
    *,
    speeds: Speeds,
    local_only: bool = False,
    operation: Operation = "chat",
    requires: tuple[Capability, ...] = (),
    spare: frozenset[str] = frozenset(),
) -> list[Lane]:
    """The lanes that may answer, in the order to try them."""
    able = [
        lane for lane in lanes if is_able(lane, request, circuits, now_s, local_only, operation, requires)
    ]
    if not able and spare:
        circuits = {name: circuit for name, circuit in circuits.items() if name not in spare}
        return naive_route(
            request, lanes, circuits, now_s,
            speeds=speeds, local_only=local_only, operation=operation, requires=requires,
        )  # fmt: skip
    # The fastest equal is looked for among all lanes, able or not: an order does not change with the request.
    parts = parts_of_input(request, operation)
    return sorted(
        able,
        key=lambda lane: (
            lane.tier, price_of(lane, parts), doublings(lane, lanes, speeds, parts), lanes.index(lane)
        ),
    )  # fmt: skip


def is_able(
    lane: Lane,
    request: Request,
    circuits: Mapping[str, Circuit],
    now_s: float,
    local_only: bool,
    operation: Operation,
    requires: tuple[Capability, ...],
) -> bool:
    """The six sentences at the top of this file."""
    pins, offer = request.pins, lane.offer
    if (request.is_private or local_only) and lane.tier != Tier.LOCAL:
        return False
    if pins.tier is not None and lane.tier != pins.tier:
        return False
    if pins.tier_max is not None and lane.tier > pins.tier_max:
        return False
    if pins.instance is not None and lane.instance != pins.instance:
        return False
    if pins.model is not None and pins.model != offer.id and pins.model != f"{lane.instance}/{offer.id}":
        return False
    if operation == "embed":
        if "embeddings" not in offer.capabilities:
            return False
    elif offer.capabilities == {"embeddings"} or not needs(request, requires) <= offer.capabilities:
        return False
    room = min(Fraction(request.params.max_tokens or 0), Fraction(offer.context, 2))
    tokens = input_tokens(request) if operation == "chat" else longest_text(request)
    if Fraction(tokens) + room > Fraction(offer.context) * Fraction(9, 10):
        return False
    return is_open_for_business(circuits.get(lane.instance), now_s)


def needs(request: Request, requires: tuple[Capability, ...]) -> set[Capability]:
    """What the request cannot do without."""
    wanted = set(requires)
    if request.tools and request.tool_choice != "none":
        wanted.add("tools")
    if any(isinstance(block, ImageBlock) for message in request.messages for block in message.content):
        wanted.add("vision")
    if any(isinstance(block, DocumentBlock) for message in request.messages for block in message.content):
        wanted.add("documents")
    if request.params.json_mode or request.params.json_schema is not None:
        wanted.add("structured_output")
    if request.params.thinking_budget_tokens:
        wanted.add("thinking")
    return wanted


def input_tokens(request: Request) -> int:
    """Four characters a token, 256 for the frame, a thousand for a picture, two for a page."""
    blocks = [block for message in request.messages for block in message.content]
    chars = sum(len(block.text) for block in blocks if isinstance(block, TextBlock)) + sum(
        map(len, request.system)
    )
    chars += sum(len(tool.description) + len(str(tool.parameters)) for tool in request.tools)
    pages = sum(block.pages for block in blocks if isinstance(block, DocumentBlock))
    images = sum(isinstance(block, ImageBlock) for block in blocks)
    return chars // 4 + 256 + 1_000 * images + 2_000 * pages


def longest_text(request: Request) -> int:
    """Texts to embed are read one by one."""
    return max(len(message.text) // 4 for message in request.messages)


def is_open_for_business(circuit: Circuit | None, now_s: float) -> bool:
    """Whether the instance takes a request now."""
    if circuit is None:
        return True
    if circuit.is_tripped_by_hand or circuit.is_draining:
        return False
    if circuit.resting_until_s is not None and now_s < circuit.resting_until_s:
        return False
    if circuit.opened_at_s is None:
        return True
    return now_s >= circuit.opened_at_s + circuit.cooldown_s and not circuit.is_probing


def parts_of_input(request: Request, operation: Operation) -> float:
    """Input to one part of the answer: the nearest power of two from 1/8 to 256; an answer has at most 400 tokens."""
    if operation == "embed":
        return 256.0
    parts = input_tokens(request) / min(request.params.max_tokens or 400, 400)
    return min((2.0**power for power in range(-3, 9)), key=lambda power: abs(math.log(power / parts)))


def price_of(lane: Lane, parts: float) -> float:
    """That many parts input to one part output; nothing on one's own machines, and the dearest where it is unknown."""
    price = lane.offer.price
    if price is None:
        return math.inf if lane.tier in (Tier.CLOUD, Tier.FRONTIER) else 0.0
    share = 1 / (1 + parts)
    return (1 - share) * price.input + share * price.output


def doublings(lane: Lane, lanes: Sequence[Lane], speeds: Speeds, parts: float) -> int:
    """How often its speed must be doubled to reach the fastest of equal tier and price; none if it is unknown."""
    own = speeds.stepped(lane.name)
    if own is None:
        return 0
    equals = [speeds.stepped(other.name) for other in lanes if alike(other, lane, parts)]
    fastest, count = max(speed for speed in equals if speed is not None), 0
    while own * 2 <= fastest:
        own, count = own * 2, count + 1
    return count


def alike(one: Lane, other: Lane, parts: float) -> bool:
    """Whether only speed tells them apart."""
    return one.tier == other.tier and price_of(one, parts) == price_of(other, parts)


Case = tuple[list[Lane], Speeds, dict[str, Circuit], Callable[[Random], dict[str, Any]]]


def random_case(rng: Random) -> Case:
    """Up to two dozen lanes with circuits at one moment, and a maker of random requests over them."""
    lanes, speeds, circuits = list[Lane](), Speeds(), dict[str, Circuit]()
    for number in range(rng.randrange(9)):
        name, tier = f"box-{number}", rng.choice(tuple(Tier))
        for model in rng.sample(range(6), rng.randrange(4)):
            offer = ModelOffer(
                id=f"m{model}",
                context=rng.choice((300, 511, 512, 2_047, 2_048, 4_096, 8_191, 8_192, 100_000)),
                capabilities=random_capabilities(rng),
                price=rng.choice((None, Price(input=1, output=5), Price(input=rng.random() * 9, output=3))),
            )
            lane = Lane(tier=tier, instance=name, kind="openai", offer=offer)
            lanes.append(lane)
            if rng.random() < 0.5:
                speeds.note(lane.name, rng.choice((5, 11, 25, 60, 150, 400)) * rng.uniform(0.9, 1.1))
        if rng.random() < 0.5:
            circuits[name] = random_circuit(rng)

    def make(rng: Random) -> dict[str, Any]:
        return random_request(rng, lanes)

    return lanes, speeds, circuits, make


def random_capabilities(rng: Random) -> frozenset[Capability]:
    """Half of the words by chance; now and then a model that only embeds."""
    if rng.random() < 0.15:
        return frozenset({"embeddings"})
    return frozenset({"streaming", *(word for word in WORDS if rng.random() < 0.5)})


def random_circuit(rng: Random) -> Circuit:
    """Any state there is, as of about 100 s."""
    return Circuit(
        opened_at_s=rng.choice((None, 10.0, 40.0, 40.001, 90.0)),
        is_probing=rng.random() < 0.3,
        resting_until_s=rng.choice((None, None, 99.0, 100.0, 130.0)),
        is_tripped_by_hand=rng.random() < 0.1,
        is_draining=rng.random() < 0.1,
    )


def random_request(rng: Random, lanes: Sequence[Lane]) -> dict[str, Any]:
    """The arguments of a decision at 100 s: a request, and what surrounds it."""
    lane = rng.choice(lanes) if lanes else None
    pins = Pins(
        tier=rng.choice(tuple(Tier)) if rng.random() < 0.1 else None,
        instance=lane.instance if lane and rng.random() < 0.15 else None,
        model=rng.choice((lane.name, lane.offer.id, "m9")) if lane and rng.random() < 0.2 else None,
        tier_max=rng.choice(tuple(Tier)) if rng.random() < 0.2 else None,
    )
    blocks = [TextBlock(text="x" * rng.choice((0, 4, 700, 1_023, 6_000, 30_000)))]
    image = (ImageBlock(media_type="image/png", data="aGk="),) if rng.random() < 0.15 else ()
    paper = (DocumentBlock(data="JVBERi0=", pages=rng.choice((1, 4))),) if rng.random() < 0.1 else ()
    request = Request(
        id="r",
        messages=(Message(role="user", content=(*blocks, *image, *paper)),),
        tools=(ToolDefinition(name="t", description="d" * 40),) if rng.random() < 0.3 else (),
        tool_choice=rng.choice(("auto", "auto", "none")),
        params=Params(
            max_tokens=rng.choice((None, 0, 1, 256, 1_000, 100_000)),
            json_mode=rng.random() < 0.1,
            thinking_budget_tokens=1_024 if rng.random() < 0.1 else None,
        ),
        pins=pins,
        is_private=rng.random() < 0.15,
    )
    return {
        "request": request,
        "local_only": rng.random() < 0.1,
        "operation": "embed" if rng.random() < 0.15 else "chat",
        "requires": tuple(rng.sample(WORDS[:4], rng.choice((0, 0, 0, 1, 2)))),
        "spare": frozenset(lane.instance for lane in lanes if rng.random() < 0.1),
    }


def violations(
    table: LaneTable,
    lanes: Sequence[Lane],
    speeds: Speeds,
    circuits: Mapping[str, Circuit],
    asked: dict[str, Any],
    now_s: float = 100.0,
) -> str:
    """Where the product's decision differs from this file's; empty where it does not."""
    asked = dict(asked)
    request = asked.pop("request")
    decision = decide(request, table, circuits, now_s=now_s, **asked)
    expected = naive_route(request, lanes, circuits, now_s, speeds=speeds, **asked)
    if list(decision.candidates) != expected:
        return f"{[lane.name for lane in decision.candidates]} but {[lane.name for lane in expected]} of {request.pins} {asked}"
    nobody_rests = naive_route(request, lanes, {}, now_s, speeds=speeds, **{**asked, "spare": frozenset()})
    spared = [lane for lane in nobody_rests if lane.instance in asked["spare"] and lane not in expected]
    if set(decision.spare) - set(spared) or (
        decision.spare and [lane for lane in spared if lane in decision.spare] != spared
    ):
        return f"spare are {[lane.name for lane in decision.spare]} but {[lane.name for lane in spared]}"
    told = [left_out.lane for left_out in decision.left_out]
    if told != [lane for lane in lanes if lane not in expected] or len(decision.left_out) != len(told):
        return f"left out are {[lane.name for lane in told]}"
    spread = decide(request, table, circuits, now_s=now_s, seed="a seed", **asked).candidates
    parts = parts_of_input(request, asked["operation"])
    ranks = [(lane.tier, price_of(lane, parts), doublings(lane, lanes, speeds, parts)) for lane in spread]
    if sorted(spread, key=lanes.index) != sorted(expected, key=lanes.index) or ranks != sorted(ranks):
        return f"with a seed {[lane.name for lane in spread]}"
    return ""
