"""Model files of a real node: a download outlives the node, and a file that changed on the disk is found out."""

from pathlib import Path

import pytest

from legion_core.api.types import PullProgressed
from legion_core.kernel.errors import InvalidInput
from legion_core.node import Node, open_node
from tests.support.aio import run
from tests.support.model_server import MODEL, model_server


async def until(node: Node, facts: object, state: str, done: int = 0) -> PullProgressed:
    async for fact in facts:  # type: ignore[attr-defined]
        if isinstance(fact, PullProgressed) and fact.state == state and fact.done_bytes >= done:
            return fact
    raise AssertionError("the facts ended")


def test_a_download_goes_on_in_the_next_node_and_the_model_is_offered(legion_home: Path) -> None:
    async def scenario() -> None:
        async with model_server() as server:
            async with open_node(legion_home, env={"LEGION_PORT": "0"}, serve=True) as node:
                with node.legion.events.subscribe(PullProgressed) as facts:
                    with pytest.raises(InvalidInput, match="your own network"):
                        await node.legion.models.pull(server.url())
                    await node.legion.models.pull(server.url(), allow_private=True)
                    await until(node, facts, "downloading", 1_000_000)
            server.gate.set()
            async with open_node(legion_home, env={"LEGION_PORT": "0"}, serve=True) as node:
                with node.legion.events.subscribe(PullProgressed) as facts:
                    if await node.legion.models.pulls():
                        await until(node, facts, "ready")
                rows = {row.name: row for row in await node.legion.models.list()}
                assert rows["toy"].size_bytes == len(MODEL)
                assert server.starts[-1] > 1_000_000
                assert await node.legion.models.pulls() == ()
                assert await node.legion.models.verify("toy") == rows["toy"].sha256
                path = Path(rows["toy"].path)
                held = bytearray(path.read_bytes())
                held[-1] ^= 0xFF
                path.write_bytes(held)
                assert await node.legion.models.verify("toy") != rows["toy"].sha256

    run(scenario())
