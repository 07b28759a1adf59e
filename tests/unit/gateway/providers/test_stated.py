"""What is said of a model stands above what its server tells, and leaves open what it does not say; at every provider."""

import pytest

from legion_core.gateway.providers.registry import make
from legion_core.gateway.providers.stated import filled, settled
from legion_core.gateway.types import Capability, ModelOffer, Price
from legion_core.kernel.clock import SystemClock
from legion_core.testing.upstreams import Served, Upstream
from tests.support.aio import run

TOLD = ModelOffer(
    id="m", context=32_768, capabilities=frozenset({"streaming", "vision"}), continuation="prefill",
    price=Price(input=1.0, output=2.0),
)  # fmt: skip
OPEN = ModelOffer(id="m", context=0, capabilities=frozenset(), continuation="instruct")


def test_what_is_not_said_is_as_told() -> None:
    found = filled(OPEN, TOLD)
    assert (found.context, found.capabilities, found.price) == (TOLD.context, TOLD.capabilities, TOLD.price)
    assert found.continuation == "instruct"


def test_what_is_said_stands() -> None:
    said = ModelOffer(
        id="m", context=5, capabilities=frozenset({"tools"}), price=Price(input=0.0, output=0.0)
    )
    assert filled(said, TOLD) == said
    assert filled(None, TOLD) == TOLD
    assert filled(None, None) is None


def test_where_nothing_is_told_it_is_a_plain_model() -> None:
    assert (settled(OPEN).context, settled(OPEN).capabilities) == (8192, {"streaming"})


@pytest.mark.parametrize(
    ("kind", "wire", "model"),
    [
        ("openai", "openai", "m1"),
        ("vllm", "openai", "m1"),
        ("mlx", "openai", "m1"),
        ("anthropic", "anthropic", "m1"),
        ("ollama", "ollama", "m1"),
        ("gemini", "gemini", "gemini-m1"),
    ],
)
def test_every_provider_fills_what_is_left_open_and_keeps_what_is_said(
    kind: str, wire: str, model: str
) -> None:
    async def probed(*said: ModelOffer) -> dict[str, ModelOffer]:
        async with Upstream(wire) as upstream:  # type: ignore[arg-type]
            upstream.models = (Served(model, 4_000, owner="vllm"),)
            root = (
                upstream.base_url.removesuffix("/v1")
                if kind in ("anthropic", "ollama")
                else upstream.base_url
            )
            provider = make("box", kind, SystemClock(), base_url=root, api_key="k", models=said)
            try:
                return {offer.id: offer for offer in (await provider.probe()).models}
            finally:
                await provider.aclose()

    told = run(probed())[model]
    able: frozenset[Capability] = frozenset({"streaming", "tools"})
    half = run(probed(ModelOffer(id=model, context=77, capabilities=frozenset())))[model]
    other = run(probed(ModelOffer(id=model, context=0, capabilities=able)))[model]

    assert (half.context, half.capabilities) == (77, told.capabilities)
    assert (other.context, other.capabilities) == (told.context, able)
