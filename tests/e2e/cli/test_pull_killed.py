"""`legion model pull`, killed with -9 at chance places: the next one goes on, and the file is the server's, byte for byte."""

import asyncio
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.model_server import MODEL, ModelServer, model_server

ROOT = Path(__file__).resolve().parents[3]
KILLS = 3


@contextmanager
def in_thread() -> Iterator[tuple[ModelServer, asyncio.AbstractEventLoop]]:
    """The server, in a loop of its own: the client is another process."""
    ready, stop = threading.Event(), asyncio.Event()
    made: list[tuple[ModelServer, asyncio.AbstractEventLoop]] = []

    async def serve() -> None:
        async with model_server() as server:
            made.append((server, asyncio.get_running_loop()))
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="model server")
    thread.start()
    assert ready.wait(100)
    try:
        yield made[0]
    finally:
        made[0][1].call_soon_threadsafe(stop.set)
        thread.join(100)


def pull(server: ModelServer, home: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "legion_core", "model", "pull", server.url(), "--private", "--json"],
        cwd=ROOT,
        env={**os.environ, "LEGION_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_a_killed_download_goes_on_and_fetches_only_what_is_missing(legion_home: Path) -> None:
    chance = random.Random(11)
    part = legion_home / "models" / ".downloads" / "toy.part"
    with in_thread() as (server, loop):
        for _ in range(KILLS):
            server.reached.clear()
            server.stop_at = chance.randrange(server.stop_at // 2 + 1_100_000, len(MODEL) - 100_000)
            child = pull(server, legion_home)
            assert server.reached.wait(300), child.communicate(timeout=100)
            child.send_signal(signal.SIGKILL)
            child.communicate(timeout=100)
        held = part.stat().st_size if part.exists() else 0
        loop.call_soon_threadsafe(server.gate.set)
        child = pull(server, legion_home)
        out, err = child.communicate(timeout=300)
        assert child.returncode == 0, err.decode()
        assert json.loads(out)["data"]["state"] == "ready"
        assert server.starts[-1] == held
        # What was on the disk when a process died was never asked for again.
        assert server.starts == sorted(server.starts)
    stored = legion_home / "models" / "toy.gguf"
    assert hashlib.sha256(stored.read_bytes()).digest() == hashlib.sha256(MODEL).digest()
    assert not part.exists()
