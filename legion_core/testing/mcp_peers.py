"""Shows that we work with others: the official inspector against our server, two public servers with our client.

    python -m legion_core.testing.mcp_peers

Exits 0 if all did what they should, 1 if one did not, 2 if they cannot be had (npm is not reached).
"""

import asyncio
import json
import logging
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from legion_core.agent.mcp.types import ServerSpec
from legion_core.api.task_types import Order
from legion_core.kernel.errors import LegionError
from legion_core.kernel.ports import LOCAL_OWNER
from legion_core.node import Node, open_node
from legion_core.testing.mcp_suite import ROOT, NotToBeHad, install, node_and_npm

PINNED = ROOT / "packaging" / "mcp-peers"
WAIT_S = 120.0
Checks = list[tuple[str, bool, str]]


async def inspector(folder: Path, node: str, url: str, token: str) -> Checks:
    """The inspector's command line: list, call and read, over HTTP and over `legion mcp`."""
    program = folder / "node_modules/.bin/mcp-inspector"
    home = os.environ["LEGION_HOME"]
    over_http = [url, "--transport", "http", "--header", f"Authorization: Bearer {token}"]
    over_stdio = [sys.executable, "-m", "legion_core", "mcp"]
    found: Checks = []
    for where, words in (("HTTP", over_http), ("stdio", over_stdio)):
        for what, extra, is_right in _ASKED:
            said = await _run([node, str(program), "--cli", *words, *extra], home)
            found.append((f"inspector, {where}: {what}", _fits(said, is_right), said[:300]))
    return found


_ASKED: tuple[tuple[str, list[str], Callable[[Any], bool]], ...] = (
    (
        "tools/list",
        ["--method", "tools/list"],
        lambda told: any(tool["name"] == "workbench-status" for tool in told["tools"]),
    ),
    (
        "tools/call",
        ["--method", "tools/call", "--tool-name", "workbench-status"],
        lambda told: bool(told["structuredContent"]["version"]),
    ),
    (
        "resources/read",
        ["--method", "resources/read", "--uri", "legion://status"],
        lambda told: bool(told["contents"]),
    ),
    ("prompts/list", ["--method", "prompts/list"], lambda told: bool(told["prompts"])),
)


def _fits(said: str, is_right: Callable[[Any], bool]) -> bool:
    try:
        return is_right(json.loads(said[said.index("{") :]))
    except (ValueError, KeyError, TypeError):
        return False


async def _run(words: list[str], home: str) -> str:
    env = {**os.environ, "LEGION_HOME": home, "PYTHONPATH": str(ROOT)}
    process = await asyncio.create_subprocess_exec(
        *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env=env
    )
    try:
        async with asyncio.timeout(WAIT_S):
            said, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return "it did not end"
    return said.decode("utf-8", "replace")


async def public_servers(folder: Path, opened: Node, place: Path) -> Checks:
    """Register, look, approve and call two servers many people use."""
    (place / "note.txt").write_text("forty-two", encoding="utf-8")
    bin_ = folder / "node_modules/.bin"
    specs = (
        ServerSpec(name="everything", command=(str(bin_ / "mcp-server-everything"),)),
        ServerSpec(name="files", command=(str(bin_ / "mcp-server-filesystem"), str(place))),
    )
    calls: tuple[tuple[str, dict[str, Any], str], ...] = (
        ("mcp.everything.echo", {"message": "hello"}, "hello"),
        ("mcp.everything.get_sum", {"a": 40, "b": 2}, "42"),
        ("mcp.files.read_text_file", {"path": str(place / "note.txt")}, "forty-two"),
    )
    found: Checks = []
    servers = opened.legion.mcp.servers
    for spec in specs:
        try:
            await servers.add(spec, LOCAL_OWNER)
            row = await servers.look(spec.name, LOCAL_OWNER)
            row = await servers.approve(spec.name, row.fingerprint, LOCAL_OWNER)
            found.append((f"{spec.name}: {len(row.tools)} tools", row.state == "ready", row.software))
        except LegionError as error:
            found.append((spec.name, False, error.sentence()))
    for task, args, expected in calls:
        try:
            accepted = await opened.legion.tasks.submit(Order(task=task, args=args))
            view = await opened.legion.tasks.wait(accepted.id, WAIT_S)
            told = json.dumps(view.result) if view.reason is None else view.reason.sentence
            found.append((task, expected in told, told[:300]))
        except LegionError as error:
            found.append((task, False, error.sentence()))
    return found


async def run_all() -> Checks:
    """All of it, on a node of its own."""
    folder = install(PINNED)
    node, _ = node_and_npm()
    env = {**os.environ, "PATH": f"{Path(node).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    with tempfile.TemporaryDirectory(prefix="legion-peers-") as name:
        place = Path(name)
        home = place / "home"
        os.environ["LEGION_HOME"], os.environ["PATH"] = str(home), env["PATH"]
        files = place / "files"
        files.mkdir()
        async with open_node(home, env=env, serve=True, port=0) as opened:
            token = (home / "token").read_text(encoding="utf-8").strip()
            found = await public_servers(folder, opened, files)
            return [*found, *await inspector(folder, node, f"{opened.url}/mcp", token)]


def main() -> int:
    """See the module."""
    logging.disable(logging.CRITICAL)
    try:
        found = asyncio.run(run_all())
    except NotToBeHad as error:
        sys.stderr.write(f"peers: {error}\n")
        return 2
    for what, is_right, said in found:
        sys.stdout.write(
            f"{'ok ' if is_right else 'RED'} {what}\n{'' if is_right else f'    {said}' + chr(10)}"
        )
    return 0 if all(is_right for _, is_right, _ in found) else 1


if __name__ == "__main__":
    sys.exit(main())
