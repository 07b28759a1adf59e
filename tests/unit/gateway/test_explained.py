"""What is explained is what happens: the first model named answers, and where none is named nobody does."""

import os
from pathlib import Path
from random import Random

import pytest

from legion_core.gateway.budget import Limits
from legion_core.gateway.routing.learned import TOOLS
from legion_core.gateway.types import (
    Capability,
    Message,
    ModelOffer,
    Pins,
    Price,
    Request,
    TextBlock,
    Tier,
    ToolCallDelta,
    ToolDefinition,
)
from legion_core.kernel.clock import SystemClock
from legion_core.kernel.errors import LegionError
from legion_core.kernel.ports import LOCAL_OWNER
from legion_core.testing.gateway import GatewayUnderTest, open_gateway
from legion_core.testing.scripted import ScriptedProvider, Step, say
from tests.support.aio import run

NODES, REQUESTS = (250, 40) if os.environ.get("LEGION_TEST_PROFILE") == "full" else (6, 25)
TOOL = ToolDefinition(name="look")


def furnish(under: GatewayUnderTest, rng: Random) -> list[str]:
    """Up to six instances of any tier, price and ability; some answer tools with calls that nobody can make."""
    names = [f"box-{number}" for number in range(rng.randint(1, 6))]
    for name in names:
        can: list[Capability] = ["streaming", *(["tools"] if rng.random() < 0.7 else [])]
        price = rng.choice((None, Price(input=1, output=5), Price(input=rng.uniform(0.1, 9), output=30)))
        offer = ModelOffer(
            id=rng.choice(("m1", "m2")),
            context=rng.choice((600, 2_048, 32_768)),
            capabilities=frozenset(can),
            price=price,
        )
        is_clumsy = rng.random() < 0.5

        def answer(
            request: Request, model: str, prefix: str, is_clumsy: bool = is_clumsy
        ) -> tuple[Step, ...]:
            if request.tools and is_clumsy:
                end = say(stop_reason="tool_use", output_tokens=3)
                return (ToolCallDelta(index=0, id="c1", name="jump", arguments="{}"), *end)
            return say("well", "!", input_tokens=200, output_tokens=40)

        under.put(ScriptedProvider(name, answer), rng.choice(tuple(Tier)), offer=offer)
    return names


def wanted(rng: Random, names: list[str], number: int) -> Request:
    """A request as a client may send it."""
    pins = Pins(
        tier_max=rng.choice(tuple(Tier)) if rng.random() < 0.15 else None,
        instance=rng.choice(names) if rng.random() < 0.1 else None,
        model=rng.choice(("m1", "m2")) if rng.random() < 0.1 else None,
    )
    text = TextBlock(text="x" * rng.choice((3, 900, 4_000, 40_000)))
    return Request(
        id=f"req_{number}",
        messages=(Message(role="user", content=(text,)),),
        tools=(TOOL,) if rng.random() < 0.5 else (),
        pins=pins,
        is_private=rng.random() < 0.1,
    )


@pytest.mark.requirement("gateway.explained")
@pytest.mark.parametrize("seed", range(NODES))
def test_the_first_model_explained_is_the_one_that_answers(seed: int, tmp_path: Path) -> None:
    run(_explained_and_asked(Random(seed), tmp_path))


async def _explained_and_asked(rng: Random, tmp_path: Path) -> None:
    limits = Limits(day_usd=rng.choice((0.0, 0.02, 0.5)), allow_unknown_price=rng.random() < 0.5)
    usd = rng.choice((0.0, 0.01, 1.0))
    reordered = 0
    async with open_gateway(tmp_path / "journal.db", limits=limits, bad_answer_usd=usd) as under:
        names = furnish(under, rng)
        for lane in under.gateway.inventory.lanes():
            for _ in range(rng.choice((0, 0, 4, 9))):
                under.gateway.inventory.learned.note(
                    lane.name, rng.choice((0, TOOLS)), "it was empty", SystemClock().monotonic_s()
                )
        for number in range(REQUESTS):
            if rng.random() < 0.1:
                name = rng.choice(names)
                under.health.set(name, under.health.of(name).tripped())
            if rng.random() < 0.1:
                under.gateway.inventory.reset(rng.choice(names))
            request = wanted(rng, names, number)
            # A tool's parameters are two characters of input, `{}`.
            text = request.messages[0].text + "x" * 2 * len(request.tools)
            requires: tuple[Capability, ...] = ("tools",) if request.tools else ()
            told = await under.gateway.explain(
                text, requires=requires, pins=request.pins, is_private=request.is_private
            )
            reordered += bool(told.stepped_back)
            try:
                answer = await under.gateway.answer(request, LOCAL_OWNER)
            except LegionError:
                assert not told.candidates
                continue
            assert (answer.tier, answer.instance) == (
                told.candidates[0].tier.word,
                told.candidates[0].instance,
            )
        assert usd or not reordered


@pytest.mark.requirement("gateway.explained")
def test_where_the_money_is_used_up_the_explanation_says_so_and_holds_nothing(tmp_path: Path) -> None:
    run(_without_money(tmp_path))


async def _without_money(tmp_path: Path) -> None:
    async with open_gateway(tmp_path / "journal.db", limits=Limits(day_usd=0.000_001)) as under:
        offer = ModelOffer(id="m1", context=32_768, price=Price(input=3, output=15))
        under.put(ScriptedProvider("paid", say("hi")), Tier.FRONTIER, offer=offer)
        under.put(ScriptedProvider("free", say("hi")), Tier.DIRECT)

        told = await under.gateway.explain("Hello")
        pinned = await under.gateway.explain("Hello", pins=Pins(instance="paid"))

        assert [lane.instance for lane in told.candidates] == ["free"]
        assert pinned.candidates == ()
        (why,) = [entry for entry in pinned.left_out if entry.reason == "price"]
        assert "is left of today's budget" in why.why
        assert [row.held_usd for row in await under.gateway.budget.rows()] == [0.0]
