"""Actors of a drop-in extension in processes of their own: listed, reloaded, and at one place even through kill -9."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.cli.command import ROOT, environment, legion

EXTENSION = '''"""Beats."""

import os
from legion_core.engine.actors import singleton, nothing

@singleton(seconds=0.1, record=False)
def beat() -> None:
    """Writes which process it is in."""
    with open({path!r}, "a") as pulse:
        pulse.write(f"{{os.getpid()}}\\n")

@nothing
def still() -> None:
    """Never runs by itself."""
'''


@contextmanager
def worker(home: Path) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-m", "legion_core", "worker"],
        stdout=subprocess.PIPE,
        text=True,
        env=environment(home),
        cwd=ROOT,
    )
    try:
        assert process.stdout is not None
        assert "Takes tasks" in process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


class Pulse:
    """Reads a pipe into which the actor writes, one line a beat."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self._handle = os.open(path, os.O_RDWR)
        self._stream = os.fdopen(self._handle, "r", encoding="utf-8")

    def beat(self) -> int:
        return int(self._stream.readline())

    def close(self) -> None:
        self._stream.close()


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="processes wake each other by named pipes")
def test_a_singleton_moves_to_another_process_when_its_own_is_killed_and_not_before(
    legion_home: Path,
) -> None:
    folder = legion_home / "extensions" / "heart"
    folder.mkdir(parents=True, mode=0o700)
    pulse = Pulse(legion_home / "pulse")
    try:
        (folder / "rhythm.py").write_text(EXTENSION.format(path=str(legion_home / "pulse")), encoding="utf-8")
        with worker(legion_home) as first:
            assert pulse.beat() == first.pid
            with worker(legion_home) as second:
                assert {pulse.beat() for _ in range(5)} == {first.pid}
                first.send_signal(signal.SIGSTOP)
                # Stopped is not dead: nobody takes over, and what is stopped beats on afterwards.
                info = legion(legion_home, "extension", "info", "heart", "--json")
                assert {actor["function"] for actor in info.data["actors"]} == {
                    "heart.rhythm.beat", "heart.rhythm.still",
                }  # fmt: skip
                first.send_signal(signal.SIGCONT)
                assert {pulse.beat() for _ in range(5)} == {first.pid}
                first.kill()
                first.wait()
                while (pid := pulse.beat()) == first.pid:
                    continue  # written before it was killed
                assert pid == second.pid
    finally:
        pulse.close()
