"""A process of its own that answers again and again until it is killed, and writes no bill by itself meanwhile.

    python biller_child.py PATH

Prints `done` behind each answer.
"""

import asyncio
import sys
from pathlib import Path

from legion_core.gateway import bills, underway
from legion_core.gateway.service import owner_of_this_process
from legion_core.kernel.ports import LOCAL_OWNER
from legion_core.testing.gateway import ask, open_gateway
from legion_core.testing.scripted import ScriptedProvider, say

ANSWERS_MAX = 5_000


async def main(path: Path) -> None:
    bills.BEHIND_S = underway.EVERY_S = 3600.0  # type: ignore[misc]  # only what has to be written is
    async with open_gateway(path, owner=owner_of_this_process()) as under_test:
        under_test.put(ScriptedProvider("local", *[say("a", "b")] * ANSWERS_MAX))
        for number in range(ANSWERS_MAX):
            await under_test.gateway.answer(ask(request_id=f"req_{number}"), LOCAL_OWNER)
            print("done", flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
