"""A workbench that dies in the middle of an answer. Run as a program: `python killed.py HOME WHEN MARK YESES SCOPE`.

WHEN is `asked` (a call waits for a yes), `called` (the file MARK is there, which the called tool writes) or `told` (some
of the answer was told). Before it dies it says yes to YESES calls, as far as SCOPE.
"""

import asyncio
import os
import sys
from pathlib import Path

from legion_core.api.types import LOCAL_OWNER, AnswerGrew
from legion_core.node import open_node


async def main(home: Path, when: str, mark: Path, yeses: int, scope) -> None:
    async with open_node(home, env={}, serve=False) as node:
        node.supervisor.spawn("tasks", node.legion.tasks.work())
        await node.legion.mcp.servers.load()
        node.legion.mcp.watching(True)
        (chat,) = await node.legion.chat.list()
        with node.legion.events.subscribe(AnswerGrew, size_max=64) as grown:
            await node.legion.chat.send(chat.id, "Do it.")
            answered = set()
            for _ in range(yeses):
                asked = await question(node.legion.mcp.approvals, answered)
                answered.add(asked.id)
                node.legion.mcp.decide(asked.id, True, LOCAL_OWNER, scope=scope)
            if when == "asked":
                await question(node.legion.mcp.approvals, answered)
            elif when == "told":
                await anext(aiter(grown))
            while when == "called" and not mark.exists():
                await asyncio.sleep(0.01)
        os.kill(os.getpid(), 9)


async def question(approvals, answered):
    while not (new := [each for each in approvals() if each.id not in answered]):
        await asyncio.sleep(0.01)
    return new[0]


asyncio.run(main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]), sys.argv[5]))
