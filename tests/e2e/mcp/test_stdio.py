"""`legion mcp`: frames over standard input and output, beside a running node and by itself."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.contract.surfaces.nodes import running_node

pytestmark = [pytest.mark.slow, pytest.mark.allow_log("^mcp")]
ROOT = Path(__file__).resolve().parents[3]


class Command:
    """The program, spoken to line by line."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self._id = 0

    def send(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(text + "\n")
        self._process.stdin.flush()

    def line(self) -> dict[str, Any]:
        """The next frame; every line is one."""
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def ask(self, method: str, **params: Any) -> dict[str, Any]:
        self._id += 1
        self.send(json.dumps({"jsonrpc": "2.0", "id": self._id, "method": method, "params": params}))
        while (frame := self.line()).get("id") != self._id:
            pass
        return frame


@contextmanager
def command(home: Path) -> Iterator[Command]:
    env = {**os.environ, "LEGION_HOME": str(home), "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-m", "legion_core", "mcp"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env,
    ) as process:  # fmt: skip
        watchdog = threading.Timer(400.0, process.kill)
        watchdog.start()
        try:
            yield Command(process)
            assert process.stdin is not None
            process.stdin.close()
            assert process.wait(100.0) == 0
        finally:
            process.kill()
            watchdog.cancel()
            watchdog.join()


def hello(command: Command) -> dict[str, Any]:
    told = command.ask(
        "initialize", protocolVersion="2025-11-25", capabilities={}, clientInfo={"name": "t", "version": "1"}
    )
    command.send('{"jsonrpc": "2.0", "method": "notifications/initialized"}')
    return told["result"]


META = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "t", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


def talk(spoken: Command) -> None:
    assert hello(spoken)["serverInfo"]["name"] == "legion-workbench"
    names = {tool["name"] for tool in spoken.ask("tools/list")["result"]["tools"]}
    assert {"workbench-status", "llm-chat"} <= names
    called = spoken.ask("tools/call", name="workbench-status", arguments={})["result"]
    assert called["structuredContent"]["version"]
    assert spoken.ask("no/such/method")["error"]["code"] == -32601


def talk_newly(spoken: Command) -> None:
    found = spoken.ask("server/discover", _meta=META)["result"]
    assert "2026-07-28" in found["supportedVersions"]
    called = spoken.ask("tools/call", name="workbench-status", arguments={}, _meta=META)["result"]
    assert called["resultType"] == "complete"


@pytest.mark.requirement("mcp.stdio-and-http")
@pytest.mark.parametrize("talking", [talk, talk_newly])
def test_it_carries_frames_to_the_running_node(legion_home: Path, talking: Any) -> None:
    with running_node(legion_home, {}), command(legion_home) as spoken:
        spoken.send("this is no frame")
        assert spoken.line()["error"]["code"] == -32700
        spoken.send(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "x", "params": "y" * (5 << 20)}))
        assert "larger" in spoken.line()["error"]["message"]
        talking(spoken)


@pytest.mark.parametrize("talking", [talk, talk_newly])
def test_without_a_running_node_it_answers_by_itself(legion_home: Path, talking: Any) -> None:
    with command(legion_home) as spoken:
        talking(spoken)
    assert not (legion_home / "run" / "node.json").exists()


def test_a_node_that_goes_away_is_told_as_an_error(legion_home: Path) -> None:
    with command_beside_node(legion_home) as spoken:
        told = spoken.ask("tools/list")
        assert "cannot be reached" in told["error"]["message"]


@contextmanager
def command_beside_node(home: Path) -> Iterator[Command]:
    """The command with a session on a node that has stopped since."""
    with running_node(home, {}):
        opened = command(home)
        spoken = opened.__enter__()
        hello(spoken)
        assert spoken.ask("ping")["result"] == {}
    try:
        yield spoken
    finally:
        opened.__exit__(None, None, None)


def test_it_ends_in_order_while_a_thread_still_waits_for_its_input() -> None:
    program = (
        "import threading\n"
        "from legion_core.surfaces.mcp.shim import stdio\n"
        "source, sink = stdio()\n"
        "is_there = threading.Event()\n"
        "threading.Thread(target=lambda: (is_there.set(), source.readline()), daemon=True).start()\n"
        "is_there.wait()\n"
        "sink.write(b'done\\n')\n"
        "sink.flush()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.read() == b"done\n"
        assert process.wait(100.0) == 0
