"""A running node for clients that block, and a home whose one paid instance plays what a test wants."""

import asyncio
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from legion_core.node import open_node
from legion_core.testing.upstreams import Upstream

CONFIG = """
[[gateway.instances]]
name = "box-a"
kind = "openai"
base_url = "{base_url}"
tier = "direct"

[[gateway.instances.models]]
id = "m1"
context = 32768
capabilities = ["streaming", "tools"]
price = {{ input = 3.0, output = 15.0 }}

[[gateway.instances.models]]
id = "e1"
capabilities = ["embeddings"]
"""


def write_config(home: Path, upstream: Upstream) -> None:
    """One instance, on the upstream."""
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    (home / "config.toml").write_text(CONFIG.format(base_url=upstream.base_url), encoding="utf-8")


@contextmanager
def running_node(home: Path, env: Mapping[str, str], port: int = 0) -> Iterator[str]:
    """A node in a thread of its own; gives its address."""
    started = threading.Event()
    told: list[tuple[asyncio.AbstractEventLoop, asyncio.Event, str]] = []
    failed: list[BaseException] = []

    async def serve() -> None:
        async with open_node(home, env=env, serve=True, port=port) as node:
            stop = asyncio.Event()
            told.append((asyncio.get_running_loop(), stop, node.url))
            started.set()
            await stop.wait()

    def work() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:
            failed.append(error)
        finally:
            started.set()

    thread = threading.Thread(target=work, name="node", daemon=True)
    thread.start()
    assert started.wait(100.0), "the node did not start"
    if failed:
        raise failed[0]
    loop, stop, url = told[0]
    try:
        yield url
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(100.0)
        assert not thread.is_alive(), "the node did not stop"
        if failed:
            raise failed[0]
