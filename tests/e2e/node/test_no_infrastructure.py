"""Lite mode stands by itself: no broker, no cache, no database is asked for, and no program is started for one."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.cli.command import ROOT, environment

# What leaves the process is told by the interpreter itself, whichever library does it.
SCRIPT = """
import asyncio, sys
from pathlib import Path

REACHED = []

def watch(event, args):
    if event == "socket.connect" and not isinstance(args[1], (str, bytes)):
        REACHED.append(f"{event} {args[1]}")
    elif event in ("socket.getaddrinfo", "socket.gethostbyname", "subprocess.Popen", "os.posix_spawn", "os.system"):
        REACHED.append(f"{event} {args[0]}")

sys.addaudithook(watch)
from legion_core.node import open_node

CHAIN = '''
name: greet
nodes:
  hello: {task: log.message.write, args: {message: "Hello."}}
  again: {task: log.message.write, transform: {engine: liquid, template: {message: "{{ result.message }} Again."}}}
edges:
  - {from: hello, to: again}
'''

async def main():
    async with open_node(Path(sys.argv[1]), env={"LEGION_MODE": "lite"}, port=0) as node:
        legion = node.legion
        await legion.chains.apply(CHAIN)
        run = await legion.chains.run("greet")
        view = await legion.chains.wait(run.id, 90)
        assert view.status == "succeeded", view
        chat = await legion.chat.create()
        assert [row.id for row in await legion.chat.list()] == [chat.id]
        assert node.url.startswith("http://127.0.0.1:")

asyncio.run(main())
print("reached", REACHED)
"""


@pytest.mark.slow
@pytest.mark.requirement("whole.no-infrastructure")
def test_a_node_in_lite_mode_reaches_for_nothing_and_starts_nothing(legion_home: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(legion_home)],
        capture_output=True,
        text=True,
        env=environment(legion_home),
        cwd=ROOT,
        timeout=400,
        check=False,
    )
    assert ran.stdout == "reached []\n", ran.stdout + ran.stderr
