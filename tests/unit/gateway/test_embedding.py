"""Vectors: routed and billed like answers, and never by two models."""

from pathlib import Path

import pytest

from legion_core.gateway.budget import Limits
from legion_core.gateway.types import ModelOffer, Price, Tier
from legion_core.kernel.errors import ConnectionLost, ContextTooLong, LimitReached, Unsupported
from legion_core.kernel.ports import LOCAL_OWNER
from legion_core.testing.gateway import GatewayUnderTest, open_gateway
from legion_core.testing.scripted import ScriptedProvider, say
from tests.support.aio import run

TEXTS = ("one", "two")


def offer(model: str, *, price: Price | None = None, context: int = 512) -> ModelOffer:
    return ModelOffer(id=model, context=context, capabilities=frozenset({"embeddings"}), price=price)


def broken(name: str) -> ScriptedProvider:
    provider = ScriptedProvider(name, say())

    async def embed(model: str, texts: tuple[str, ...], *, dimensions: int | None = None) -> object:
        raise ConnectionLost("No route.")

    provider.embed = embed  # type: ignore[method-assign, assignment]
    return provider


async def outcomes(under_test: GatewayUnderTest) -> list[tuple[str, str]]:
    return [(row.instance, row.outcome) for row in await under_test.gateway.ledger.rows()]


def test_what_fails_is_tried_at_another_instance_of_the_same_model_and_both_are_on_the_bill(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            under_test.put(broken("first"), offer=offer("e1"))
            under_test.put(ScriptedProvider("other", say(), vector=(0.1, 0.2)), offer=offer("e2"))
            under_test.put(
                ScriptedProvider("second", say(), vector=(0.1, 0.2)), Tier.DIRECT, offer=offer("e1")
            )

            found = await under_test.gateway.embed(None, TEXTS, LOCAL_OWNER)

            assert len(found.vectors) == 2
            assert await outcomes(under_test) == [("first", "connection_lost"), ("second", "succeeded")]
            assert len(under_test.health.of("first").failures) == 1

    run(scenario())


def test_without_another_instance_of_that_model_the_failure_is_told(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            under_test.put(broken("first"), offer=offer("e1"))
            under_test.put(
                ScriptedProvider("other", say(), vector=(0.1, 0.2)), Tier.DIRECT, offer=offer("e2")
            )

            with pytest.raises(ConnectionLost):
                await under_test.gateway.embed(None, TEXTS, LOCAL_OWNER)

            assert await outcomes(under_test) == [("first", "connection_lost")]

    run(scenario())


def test_vectors_of_another_length_than_asked_for_are_refused_and_billed_and_another_instance_may_have_them(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            under_test.put(ScriptedProvider("long", say(), vector=(0.1, 0.2, 0.3)), offer=offer("e1"))
            under_test.put(
                ScriptedProvider("short", say(), vector=(0.1, 0.2)), Tier.DIRECT, offer=offer("e1")
            )

            found = await under_test.gateway.embed(None, TEXTS, LOCAL_OWNER, dimensions=2)
            assert found.vectors == ((0.1, 0.2),) * 2
            with pytest.raises(Unsupported, match="vectors of 2 numbers at short, and 5 were asked for"):
                await under_test.gateway.embed(None, TEXTS, LOCAL_OWNER, dimensions=5)

            rows = await under_test.gateway.ledger.rows()
            assert sorted((row.instance, row.outcome, row.usage.input_tokens) for row in rows) == [
                ("long", "unsupported", 2),
                ("long", "unsupported", 2),
                ("short", "succeeded", 2),
                ("short", "unsupported", 2),
            ]
            assert not under_test.health.of("long").failures

    run(scenario())


def test_each_text_has_the_window_to_itself(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            under_test.put(ScriptedProvider("box", say(), vector=(0.1, 0.2)), offer=offer("e1"))

            many = await under_test.gateway.embed(None, ("x" * 1_000,) * 50, LOCAL_OWNER)
            with pytest.raises(ContextTooLong):
                await under_test.gateway.embed(None, ("x" * 3_000,), LOCAL_OWNER)

        assert len(many.vectors) == 50

    run(scenario())


def test_vectors_are_paid_for_from_the_same_budget(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db", limits=Limits(day_usd=1e-6)) as under_test:
            paid = offer("e1", price=Price(input=1.0, output=0.0))
            under_test.put(ScriptedProvider("cloud", say(), vector=(0.1, 0.2)), Tier.CLOUD, offer=paid)

            with pytest.raises(LimitReached):
                await under_test.gateway.embed(None, TEXTS, LOCAL_OWNER)

    run(scenario())
