"""A process of its own that asks a paid model and waits for ever, or answers again and again, until it is killed.

    python spender_child.py PATH COUNT

Opens the gateway on the journal at PATH and sends COUNT requests at once to a model that never answers the last of
them. Prints `held` once that one is under way, behind the `done` of each other.
"""

import asyncio
import sys
from pathlib import Path

import msgspec

from legion_core.gateway.budget import Limits
from legion_core.gateway.service import owner_of_this_process
from legion_core.gateway.types import ModelOffer, Params, Price, Tier
from legion_core.kernel.ports import LOCAL_OWNER
from legion_core.testing.gateway import ask, open_gateway
from legion_core.testing.scripted import ScriptedProvider, Stall, say

LIMITS = Limits(day_usd=1.0)
PAID = ModelOffer(id="m1", context=32_768, price=Price(input=1.0, output=10.0))


async def main(path: Path, count: int) -> None:
    async with open_gateway(path, limits=LIMITS, owner=owner_of_this_process()) as under_test:
        scripts = [say("a", "b")] * (count - 1)
        cloud = under_test.put(ScriptedProvider("cloud", *scripts, [Stall()]), Tier.CLOUD, offer=PAID)
        for number in range(count):
            request = msgspec.structs.replace(ask(request_id=f"req_{number}"), params=Params(max_tokens=100))
            if number < count - 1:
                await under_test.gateway.answer(request, LOCAL_OWNER)
                print("done", flush=True)
                continue
            task = asyncio.ensure_future(under_test.gateway.answer(request, LOCAL_OWNER))
            while len(cloud.calls) < count:
                await asyncio.sleep(0)
            print("held", flush=True)
            await task


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
