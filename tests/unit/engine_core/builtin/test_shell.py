"""A program that a task runs is gone with its task, and so is what it started."""

import asyncio
import gc
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from legion_core.engine.builtin import shell
from legion_core.engine.builtin.shell import Commands
from legion_core.kernel.errors import LimitReached
from tests.support.aio import run
from tests.support.timeouts import old_timeouts  # noqa: F401

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")
STAYS = "trap '' TERM; echo > \"$0\"; exec sleep 60"


class Deaf:
    """A task's context of which only the log is used."""

    def log(self, text: str, level: str = "info") -> None:
        del text, level


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Process]:
    """The programs that were started."""
    found: list[Process] = []
    start: Any = asyncio.create_subprocess_exec

    async def heard(*words: str, **keywords: Any) -> Process:
        found.append(await start(*words, **keywords))
        return found[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", heard)
    return found


def sh(*words: str, stdin: str = "") -> "asyncio.Task[dict[str, object]]":
    context: Any = Deaf()
    work = Commands(lambda: ("sh",)).run(context, ["sh", "-c", *words], stdin)
    return asyncio.get_running_loop().create_task(work)


async def until(is_so: Callable[[], bool]) -> None:
    while not is_so():
        await asyncio.sleep(0.01)


@pytest.mark.usefixtures("old_timeouts")
def test_one_that_does_not_mean_to_go_is_killed_with_its_task(
    monkeypatch: pytest.MonkeyPatch, started: list[Process], tmp_path: Path
) -> None:
    monkeypatch.setattr(shell, "END_S", 0.1)

    async def work() -> None:
        task = sh(STAYS, str(tmp_path / "ready"))
        await until(lambda: bool(started) and (tmp_path / "ready").exists())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await started[0].wait() == -signal.SIGKILL

    run(work())


def test_one_that_is_being_ended_is_killed_when_nobody_waits_for_it_any_longer(
    monkeypatch: pytest.MonkeyPatch, started: list[Process], tmp_path: Path
) -> None:
    monkeypatch.setattr(shell, "END_S", 90.0)
    is_ending = asyncio.Event()
    end: Any = shell._end

    async def heard(process: Process) -> None:
        is_ending.set()
        await end(process)

    monkeypatch.setattr(shell, "_end", heard)

    async def work() -> None:
        task = sh(STAYS, str(tmp_path / "ready"))
        await until(lambda: bool(started) and (tmp_path / "ready").exists())
        task.cancel()
        await is_ending.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await started[0].wait() == -signal.SIGKILL

    run(work())


def test_what_it_left_at_its_output_is_ended_too(started: list[Process], tmp_path: Path) -> None:
    pid = tmp_path / "pid"

    async def work() -> None:
        task = sh('sleep 60 & echo $! > "$0"', str(pid))
        await until(lambda: bool(started) and started[0].returncode == 0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(work())
    assert not _lives(int(pid.read_text()))


def test_one_that_says_too_much_is_told_so_and_leaves_nothing_open() -> None:
    open_before = psutil.Process().num_fds()

    async def work() -> int:
        with pytest.raises(LimitReached, match="says more than 256 kB"):
            await sh("exec yes")
        return psutil.Process().num_fds()

    run(work())
    gc.collect()  # a transport that nobody closed says so now
    assert psutil.Process().num_fds() <= open_before


def test_one_that_does_not_read_what_it_is_given_is_no_failure() -> None:
    async def work() -> None:
        assert (await sh("exec true", stdin="x" * 1_000_000))["exit_code"] == 0

    run(work())


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
