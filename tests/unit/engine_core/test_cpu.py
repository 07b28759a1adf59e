"""A function that keeps a processor busy runs in a process of its own, which can be killed."""

import asyncio
from pathlib import Path

import psutil
import pytest

from legion_core.engine.dispatch import Places
from legion_core.kernel.ports import LOCAL_OWNER
from legion_core.testing.tasks import open_engine
from tests.support.aio import run

RUNNER = """
import os, sys, time
from legion_core.engine.extension import Context, function

@function(effect="pure", cpu=True)
def where(context: Context, n: int = 1) -> dict[str, object]:
    context.log(f"n is {n}")
    print("noise on standard output")
    return {"pid": os.getpid(), "n": n, "key": context.key()}

@function(cpu=True, timeout_s=0.5)
def spin() -> None:
    while True:
        pass

@function(cpu=True)
def spin_long() -> None:
    while True:
        pass

@function(cpu=True)
def fail() -> None:
    raise ValueError("not today")

@function(cpu=True)
def die() -> None:
    os._exit(7)

@function(cpu=True)
def quit() -> None:
    sys.exit(3)

@function(cpu=True)
def defer(context: Context) -> None:
    context.defer(lambda connection: None)
"""


def children() -> list[psutil.Process]:
    """The processes of this one that work for the engine; an X server of other tests is none."""
    return [found for found in psutil.Process().children() if found.name() not in ("Xvfb", "openbox")]


def is_alive(child: psutil.Process) -> bool:
    """Only looked at: `child.wait()` would take its end from the event loop, which then warns of a stranger."""
    try:
        return child.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def write(home: Path, text: str = RUNNER) -> Path:
    path = home / "extensions" / "busy" / "runner.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_it_runs_elsewhere_keeps_its_process_and_sees_edits(tmp_path: Path) -> None:
    path = write(tmp_path)

    async def work() -> None:
        async with open_engine(tmp_path, {}, places=Places(processes=1)) as here:
            first = await here.run("busy.runner.where", n=5)
            assert first.status == "succeeded", first.reason
            assert isinstance(first.result, dict)
            assert first.result["pid"] != psutil.Process().pid
            assert (first.result["n"], first.result["key"]) == (5, f"{first.id}-0")
            assert [line.text for line in await here.engine.lines(first.id)] == ["n is 5"]
            second = await here.run("busy.runner.where")
            assert isinstance(second.result, dict)
            assert second.result["pid"] == first.result["pid"]
            path.write_text(RUNNER.replace('"n": n', '"n": n * 100'), encoding="utf-8")
            third = await here.run("busy.runner.where", n=2)
            assert isinstance(third.result, dict)
            assert third.result["n"] == 200

    run(work())
    assert not children()


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("fail", "ValueError: not today"),
        ("die", "ended with 7"),
        ("quit", "SystemExit: 3"),
        ("defer", "cannot write to the journal"),
        ("spin", "did not end within 0.5"),
    ],
)
def test_whatever_it_does_is_a_failure_of_this_task_alone(tmp_path: Path, task: str, words: str) -> None:
    write(tmp_path)

    async def work() -> None:
        async with open_engine(tmp_path, {}, places=Places(processes=1)) as here:
            done = await here.run(f"busy.runner.{task}")
            assert done.status == "failed"
            assert done.reason is not None
            assert words in done.reason.sentence
            assert (await here.run("busy.runner.where")).status == "succeeded"

    run(work())


def test_cancelling_kills_its_process(tmp_path: Path) -> None:
    write(tmp_path)

    async def work() -> None:
        async with open_engine(tmp_path, {}, places=Places(processes=1)) as here:
            accepted = await here.submit("busy.runner.spin_long")
            while not children():
                await asyncio.sleep(0.01)
            (child,) = children()
            assert (await here.engine.cancel(LOCAL_OWNER, accepted.id)).status == "cancelled"
            while is_alive(child):
                await asyncio.sleep(0.01)
            assert (await here.run("busy.runner.where")).status == "succeeded"

    run(work())
