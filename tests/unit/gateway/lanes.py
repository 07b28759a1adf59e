"""Lanes and requests to route."""

from legion_core.gateway.types import Capability, Lane, Message, ModelOffer, Price, Request, TextBlock, Tier

ALL: frozenset[Capability] = frozenset({"streaming", "tools", "vision", "thinking", "structured_output"})


def lane(
    tier: Tier, instance: str = "", *, model: str = "m", context: int = 32_000, price: Price | None = None,
    can: frozenset[Capability] = ALL,
) -> Lane:  # fmt: skip
    offer = ModelOffer(id=model, context=context, price=price, capabilities=can)
    return Lane(tier=tier, instance=instance or tier.word, kind="openai", offer=offer)


def ask(text: str = "hello", **more: object) -> Request:
    return Request(id="r", messages=(Message(role="user", content=(TextBlock(text=text),)),), **more)  # type: ignore[arg-type]
