"""A server that is a program is gone once it was left, however that came about."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import Mapping
from typing import Any

import pytest

from legion_core.agent.mcp import pipe
from legion_core.agent.mcp.pipe import Ending, piped
from legion_core.agent.mcp.types import ServerSpec
from legion_core.kernel.errors import LimitReached
from legion_core.kernel.supervise import Supervisor
from tests.support.aio import run
from tests.support.timeouts import old_timeouts  # noqa: F401

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="signals")]
READY = """import json, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(json.dumps({"jsonrpc": "2.0", "method": "ready"}), flush=True)
"""
STAYS = READY + "time.sleep(60)"  # through the end of its input and SIGTERM
LEAVES = READY + "sys.stdin.read()"


def spec(program: str) -> ServerSpec:
    return ServerSpec(name="theirs", command=(sys.executable, "-c", program))


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Process]:
    """The programs that were started."""
    found: list[Process] = []
    start = pipe._start

    async def heard(spec: ServerSpec, env: Mapping[str, str]) -> Process:
        found.append(await start(spec, env))
        return found[-1]

    monkeypatch.setattr(pipe, "_start", heard)
    return found


async def held(supervisor: Supervisor) -> "asyncio.Task[None]":
    """A task that talks with a program which does not mean to go, and is at it."""
    is_ready = asyncio.Event()

    async def hold() -> None:
        async with piped(spec(STAYS), os.environ, supervisor, Ending()) as (heard, _):
            await heard.receive()
            is_ready.set()
            await asyncio.Event().wait()

    task = supervisor.spawn("hold", hold())
    await is_ready.wait()
    return task


@pytest.mark.usefixtures("old_timeouts")
def test_one_that_does_not_mean_to_go_is_killed_when_all_is_stopped(
    monkeypatch: pytest.MonkeyPatch, started: list[Process]
) -> None:
    monkeypatch.setattr(pipe, "END_S", 0.2)

    async def work() -> None:
        supervisor = Supervisor()
        await held(supervisor)
        await supervisor.stop()
        assert await started[0].wait() == -signal.SIGKILL

    run(work())


def test_one_that_is_being_ended_is_killed_when_nobody_waits_for_it_any_longer(
    monkeypatch: pytest.MonkeyPatch, started: list[Process]
) -> None:
    monkeypatch.setattr(pipe, "END_S", 90.0)
    is_ending = asyncio.Event()
    end: Any = pipe._end

    async def heard(process: Process) -> None:
        is_ending.set()
        await end(process)

    monkeypatch.setattr(pipe, "_end", heard)

    async def work() -> None:
        supervisor = Supervisor()
        task = await held(supervisor)
        task.cancel()
        await is_ending.wait()
        await supervisor.stop()
        assert task.cancelled()
        assert await started[0].wait() == -signal.SIGKILL
        assert not supervisor.census

    run(work())


def test_one_that_begins_while_all_is_stopped_is_ended(
    monkeypatch: pytest.MonkeyPatch, started: list[Process]
) -> None:
    monkeypatch.setattr(pipe, "END_S", 90.0)

    async def work() -> None:
        supervisor = Supervisor()
        await supervisor.stop()
        with pytest.raises(LimitReached):
            async with piped(spec(LEAVES), os.environ, supervisor, Ending()):
                raise AssertionError("there is nobody to talk with it")
        assert started[0].returncode == 0

    run(work())
