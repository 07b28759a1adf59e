"""The ladder shows what the circuits are, at every boundary of their time, from a real gateway."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from app.viewmodels.routing_cards import Card, rungs_of
from legion_core.api.providers import Providers
from legion_core.api.routes import Routes
from legion_core.gateway.measures import Measures
from legion_core.gateway.traffic import Traffic
from legion_core.gateway.types import ModelOffer, Price, Tier
from legion_core.kernel.errors import Overloaded, RateLimited
from legion_core.testing.clock import SimClock
from legion_core.testing.gateway import GatewayUnderTest, open_gateway
from legion_core.testing.scripted import ScriptedProvider
from tests.support.aio import run


class Bench:
    """A gateway on a clock of ours, and the ladder made from it."""

    def __init__(self, under_test: GatewayUnderTest, clock: SimClock) -> None:
        self.health, self.clock = under_test.health, clock
        gateway = under_test.gateway

        async def never(*_: object) -> None:
            raise AssertionError("not in this test")

        self.providers = Providers(gateway.inventory, clock, under_test.bus, never, never, never)  # type: ignore[arg-type]
        self.routes = Routes(
            gateway,
            self.providers,
            Measures(under_test.database, clock),
            Traffic(under_test.bus),
            clock,
            lambda: SimpleNamespace(privacy=SimpleNamespace(local_only=False)),  # type: ignore[arg-type,return-value]
        )

    async def card(self) -> Card:
        ladder = await self.routes.ladder()
        return next(card for rung in rungs_of(ladder, ladder.at) for card in rung.cards if card.name == "box")

    async def shows(self) -> tuple[str, int]:
        card = await self.card()
        return card.pill(self.clock.utc_now()), card.failures

    def fail(self, error: Exception | None = None) -> None:
        ticket = self.health.start("box", self.clock.monotonic_s())
        assert ticket is not None
        self.health.end(ticket, error or Overloaded("Busy."), self.clock.monotonic_s())  # type: ignore[arg-type]


def on_bench(path: Path, scenario: object) -> None:
    async def work() -> None:
        clock = SimClock()
        async with open_gateway(path / "j.db", clock) as under_test:
            under_test.put(ScriptedProvider("box"), Tier.CLOUD)
            await scenario(Bench(under_test, clock))  # type: ignore[operator]

    run(work())


@pytest.mark.requirement("gateway.circuit-trip")
def test_three_failures_open_the_card_and_a_minute_half_opens_it(tmp_path: Path) -> None:
    async def scenario(at: Bench) -> None:
        assert await at.shows() == ("Closed", 0)
        for failures in (1, 2):
            at.fail()
            assert await at.shows() == ("Closed", failures)
        at.fail()
        assert await at.shows() == ("Open, 60 s", 3)
        card = await at.card()
        assert card.left_s(at.clock.utc_now()) / card.whole_s == 1.0
        at.clock.advance(30.0)
        assert await at.shows() == ("Open, 30 s", 3)
        at.clock.advance(29.9)
        assert (await at.shows())[0].startswith("Open")
        at.clock.advance(0.2)
        assert await at.shows() == ("Half-open", 3)
        probe = at.health.start("box", at.clock.monotonic_s())
        assert probe is not None
        card = await at.card()
        assert (card.state, card.running) == ("probing", 1)
        at.health.end(probe, None, at.clock.monotonic_s())
        assert await at.shows() == ("Closed", 0)

    on_bench(tmp_path, scenario)


@pytest.mark.requirement("gateway.circuit-window")
def test_a_pip_goes_out_after_five_minutes(tmp_path: Path) -> None:
    async def scenario(at: Bench) -> None:
        at.fail()
        at.clock.advance(299.9)
        assert await at.shows() == ("Closed", 1)
        at.clock.advance(0.2)
        assert await at.shows() == ("Closed", 0)

    on_bench(tmp_path, scenario)


def test_trip_drain_and_reset_are_shown_and_keep_requests_away(tmp_path: Path) -> None:
    async def scenario(at: Bench) -> None:
        at.providers.trip("box")
        assert await at.shows() == ("Tripped", 0)
        assert [left.why for left in (await at.routes.explain("x")).left_out] == ["Tripped by hand"]
        at.providers.reset("box")
        running = at.health.start("box", at.clock.monotonic_s())
        assert running is not None
        at.providers.drain("box")
        card = await at.card()
        assert (card.state, card.running) == ("draining", 1)
        assert at.health.start("box", at.clock.monotonic_s()) is None
        (left,) = (await at.routes.explain("x")).left_out
        assert left.why == "Draining: it finishes what runs and takes nothing new"
        at.health.end(running, None, at.clock.monotonic_s())
        assert (await at.card()).running == 0
        at.providers.reset("box")
        assert await at.shows() == ("Closed", 0)

    on_bench(tmp_path, scenario)


def test_a_pause_the_provider_asked_for_counts_down_without_a_pip(tmp_path: Path) -> None:
    async def scenario(at: Bench) -> None:
        at.fail(RateLimited("Slow down.", retry_after_s=12.0))
        assert await at.shows() == ("Resting, 12 s", 0)
        card = await at.card()
        assert card.left_s(at.clock.utc_now()) / card.whole_s == 1.0
        at.clock.advance(12.1)
        assert await at.shows() == ("Closed", 0)

    on_bench(tmp_path, scenario)


def test_a_long_conversation_leaves_out_what_cannot_hold_it_and_savings_need_a_known_price(
    tmp_path: Path,
) -> None:
    async def work() -> None:
        clock = SimClock()
        async with open_gateway(tmp_path / "j.db", clock) as under_test:
            under_test.put(ScriptedProvider("box"), Tier.LOCAL)
            big = ModelOffer(id="big", context=400_000, price=Price(input=3.0, output=15.0))
            under_test.put(ScriptedProvider("lab"), Tier.FRONTIER, offer=big)
            at = Bench(under_test, clock)
            near = await at.routes.explain("hello")
            far = await at.routes.explain("hello", context_tokens=131_072)
            assert [lane.instance for lane in near.candidates] == ["box", "lab"]
            assert [lane.instance for lane in far.candidates] == ["lab"]
            assert far.left_out[0].reason == "context"
            ladder = await at.routes.ladder()
            assert (ladder.saved_usd, ladder.saved_against) == (0.0, "lab/big")

    run(work())
