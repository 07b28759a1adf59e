"""A process of its own that tells half of some answers and waits, until it is killed.

    python streaming_child.py PATH COUNT DAY_USD

Sends COUNT requests at once; the first model of each breaks off after three pieces, the second says two more and falls
silent. Prints `told` once all of them are known beside the journal.
"""

import asyncio
import sys
from pathlib import Path

from legion_core.gateway import underway
from legion_core.gateway.budget import Limits
from legion_core.gateway.ledger import Ledger
from legion_core.gateway.service import owner_of_this_process
from legion_core.gateway.types import ModelOffer, Price, TextDelta, Tier
from legion_core.kernel.errors import StreamBroken
from legion_core.kernel.ports import LOCAL_OWNER
from legion_core.testing.gateway import ask, open_gateway
from legion_core.testing.scripted import ScriptedProvider, Stall

PAID = ModelOffer(id="m1", context=32_768, price=Price(input=1.0, output=10.0), continuation="prefill")


def words(count: int) -> list[TextDelta]:
    return [TextDelta(text=f"w{number} ", tokens=1) for number in range(count)]


async def main(path: Path, count: int, day_usd: float) -> None:
    underway.EVERY_S = 0.01
    limits = Limits(day_usd=day_usd)
    async with open_gateway(path, limits=limits, owner=owner_of_this_process()) as under_test:
        first = ScriptedProvider("one", *[[*words(3), StreamBroken("It broke.")]] * count)
        second = ScriptedProvider("two", *[[*words(2), Stall()]] * count)
        under_test.put(first, Tier.CLOUD, offer=PAID)
        under_test.put(second, Tier.FRONTIER, offer=PAID)
        for number in range(count):
            request = ask(request_id=f"req_{number}")
            task = under_test.gateway.answer(request, LOCAL_OWNER)
            under_test.supervisor.spawn(f"ask {number}", task)
        async with asyncio.timeout(60):
            while not is_known(under_test.gateway.ledger, count):
                await asyncio.sleep(0.01)
        print("told", flush=True)
        await asyncio.Event().wait()


def is_known(ledger: Ledger, count: int) -> bool:
    """Whether the latest line tells of five tokens of each request."""
    page = ledger._under_way._page
    lines = page.path.read_bytes().splitlines() if page is not None else []
    told = underway.latest(lines[-1:])
    tokens = [sum(attempt.usage.output_tokens for attempt in bill.attempts) for bill in told]
    return tokens == [5] * count


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
