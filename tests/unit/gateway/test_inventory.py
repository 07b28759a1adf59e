"""What a node can ask: prices reach the lanes, the table for routing follows every change, speed changes its order."""

import asyncio

from legion_core.gateway.inventory import Instance, Inventory
from legion_core.gateway.prices import OwnPrice, Prices
from legion_core.gateway.providers.base import ProbeResult
from legion_core.gateway.routing.health import Health
from legion_core.gateway.types import ModelOffer, Price, Tier
from legion_core.testing.clock import SimClock
from legion_core.testing.scripted import ScriptedProvider
from tests.support.aio import run

OWN = Price(input=7.0, output=9.0)


def inventory(own: list[OwnPrice] | None = None) -> Inventory:
    clock = SimClock()
    return Inventory(clock, Health(), lambda _: None, Prices(clock, lambda: [] if own is None else own).of)


def instance(name: str, *models: str, tier: Tier = Tier.FRONTIER, base_url: str = "") -> Instance:
    offers = tuple(ModelOffer(id=model) for model in models)
    return Instance(
        provider=ScriptedProvider(name, kind="openai"), tier=tier, base_url=base_url, offers=offers
    )


def prices(inventory: Inventory) -> dict[str, float | None]:
    return {lane.name: lane.offer.price and lane.offer.price.input for lane in inventory.lanes()}


def test_a_model_without_a_price_has_that_of_the_table_where_its_host_is_known_and_else_none() -> None:
    under_test = inventory()
    under_test.put(instance("openai", "gpt-4o", "nobody-knows"))
    under_test.put(instance("box", "gpt-4o", base_url="http://127.0.0.1:9001/v1"))

    assert prices(under_test) == {"openai/gpt-4o": 2.5, "openai/nobody-knows": None, "box/gpt-4o": None}


def test_own_prices_hold_at_once_and_are_gone_with_their_entry() -> None:
    own = list[OwnPrice]()
    under_test = inventory(own)
    under_test.put(instance("openai", "gpt-4o"))

    own.append(OwnPrice(model="gpt-4o", price=OWN))
    under_test.price_anew()
    assert prices(under_test) == {"openai/gpt-4o": 7.0}

    own.clear()
    under_test.price_anew()
    assert prices(under_test) == {"openai/gpt-4o": 2.5}


def test_the_table_is_made_once_and_anew_when_something_changed() -> None:
    under_test = inventory()
    under_test.put(instance("a", "m", tier=Tier.DIRECT))
    under_test.put(instance("b", "m", tier=Tier.DIRECT))
    table = under_test.lanes()
    assert under_test.lanes() is table

    under_test.speeds.note("a/m", 10.0)
    under_test.speeds.note("b/m", 100.0)
    assert under_test.lanes() is not table

    under_test.remove("a")
    assert [lane.instance for lane in under_test.lanes()] == ["b"]
    under_test.set_offers("b", (ModelOffer(id="other"),))
    assert [lane.name for lane in under_test.lanes()] == ["b/other"]


class Slow(ScriptedProvider):
    """Answers a probe when it is let."""

    def __init__(self) -> None:
        super().__init__("slow")
        self.is_asked, self.may_answer = asyncio.Event(), asyncio.Event()

    async def probe(self) -> ProbeResult:
        """See `Provider`."""
        self.is_asked.set()
        await self.may_answer.wait()
        return ProbeResult(is_ok=True, why="", models=(ModelOffer(id="m"),))


def test_who_asks_while_an_instance_is_being_asked_waits_for_its_answer_too() -> None:
    async def body() -> None:
        under_test, slow = inventory(), Slow()
        under_test.put(Instance(provider=slow, tier=Tier.DIRECT, is_discovered=True))
        first = asyncio.create_task(under_test.discover())
        await slow.is_asked.wait()
        second = asyncio.create_task(under_test.discover())
        await asyncio.sleep(0)
        assert not second.done()
        slow.may_answer.set()
        await second
        assert [lane.name for lane in under_test.lanes()] == ["slow/m"]
        await first

    run(body())
