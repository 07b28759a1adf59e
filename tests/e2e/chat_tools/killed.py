"""A workbench that dies in the middle of a call. Run as a program: `python killed.py HOME UPSTREAM-URL MARK`."""

import asyncio
import os
import sys
from pathlib import Path

from legion_core.api.types import LOCAL_OWNER
from legion_core.node import open_node


async def main(home: Path, mark: Path) -> None:
    async with open_node(home, env={}, serve=False) as node:
        node.supervisor.spawn("tasks", node.legion.tasks.work())
        await node.legion.mcp.servers.load()
        node.legion.mcp.watching(True)
        (chat,) = await node.legion.chat.list()
        await node.legion.chat.send(chat.id, "Do it.")
        while not node.legion.mcp.approvals():
            await asyncio.sleep(0.01)
        node.legion.mcp.decide(node.legion.mcp.approvals()[0].id, True, LOCAL_OWNER)
        while not mark.exists():
            await asyncio.sleep(0.01)
        os.kill(os.getpid(), 9)


asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
