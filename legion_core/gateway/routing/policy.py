"""Pure routing: which lanes may answer a request, in which order, and why each other one may not.

Privacy and the other hard axes first (pin, policy, operation, capability, context, circuit); what is left is ordered
by tier, nearest first, then by price, then by measured speed, then by the order of the configuration. Source: seed
("cheapest capable tier first"). The sets behind it are `routing.table`, the sentences `routing.reasons`.
"""

from collections.abc import Mapping, Sequence

from legion_core.gateway.routing.health import Circuit
from legion_core.gateway.routing.reasons import Wish
from legion_core.gateway.routing.table import LaneTable
from legion_core.gateway.types import (
    Capability,
    DocumentBlock,
    ImageBlock,
    Lane,
    Operation,
    Request,
    RouteDecision,
    TextBlock,
    ToolResultBlock,
    ToolUseBlock,
)

CHARS_PER_TOKEN = 4
FRAMING_TOKENS = 256
IMAGE_TOKENS = 1_000
_SHOWN_BY: dict[type, Capability] = {ImageBlock: "vision", DocumentBlock: "documents"}


def required_capabilities(request: Request) -> tuple[Capability, ...]:
    """What the request cannot do without."""
    needed: list[Capability] = []
    if request.tools and request.tool_choice != "none":
        needed.append("tools")
    shown = {type(block) for message in request.messages for block in message.content}
    if not shown.isdisjoint(_SHOWN_BY):
        needed.extend(word for kind, word in _SHOWN_BY.items() if kind in shown)
    if request.params.json_schema is not None or request.params.json_mode:
        needed.append("structured_output")
    if request.params.thinking_budget_tokens:
        needed.append("thinking")
    if request.is_raw:
        needed.extend(("completions", "fim") if request.suffix else ("completions",))
    return tuple(needed)


def estimate_tokens(request: Request) -> int:
    """About how many tokens the request's input is, before any tokenizer is asked."""
    chars = len(request.suffix) + sum(len(text) for text in request.system)
    shown = 0
    for message in request.messages:
        for block in message.content:
            match block:
                case TextBlock():
                    chars += len(block.text)
                case ToolUseBlock():
                    chars += len(block.arguments) + len(block.name)
                case ToolResultBlock():
                    chars += len(block.text)
                case ImageBlock():
                    shown += IMAGE_TOKENS
                case DocumentBlock():
                    shown += block.tokens
                case _:
                    chars += len(block.text)
    chars += sum(len(tool.description) + len(str(tool.parameters)) for tool in request.tools)
    return chars // CHARS_PER_TOKEN + FRAMING_TOKENS + shown


def wish_of(
    request: Request,
    *,
    local_only: bool = False,
    operation: Operation = "chat",
    requires: tuple[Capability, ...] = (),
) -> Wish:
    """What `request` asks of a lane; `requires` adds to the capabilities it shows by itself that it needs."""
    required: tuple[Capability, ...] = ("embeddings",)
    if operation == "chat":
        required = tuple(dict.fromkeys((*required_capabilities(request), *requires)))
        tokens = estimate_tokens(request)
    else:  # each message is a text to embed by itself
        tokens = max((len(message.text) for message in request.messages), default=0) // CHARS_PER_TOKEN
    return Wish(
        pins=request.pins,
        operation=operation,
        required=required,
        tokens=tokens,
        tokens_out=request.params.max_tokens or 0,
        is_private=request.is_private,
        local_only=local_only,
    )


def decide(
    request: Request,
    lanes: Sequence[Lane],
    circuits: Mapping[str, Circuit],
    *,
    now_s: float,
    local_only: bool = False,
    operation: Operation = "chat",
    requires: tuple[Capability, ...] = (),
    seed: str = "",
    spare: frozenset[str] = frozenset(),
    bad_answer_usd: float = 0.0,
) -> RouteDecision:
    """The route for `request` over `lanes` (in configured order), given a snapshot of the circuits.

    A `LaneTable` is taken as it is; other lanes are prepared for this one decision, in configured order and without
    measured speeds. For `seed`, `spare` and `bad_answer_usd` see `LaneTable.decide`.
    """
    table = lanes if isinstance(lanes, LaneTable) else LaneTable(lanes)
    wish = wish_of(request, local_only=local_only, operation=operation, requires=requires)
    return table.decide(wish, circuits, now_s=now_s, seed=seed, spare=spare, bad_answer_usd=bad_answer_usd)
