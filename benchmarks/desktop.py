"""Starts the real workbench for a measurement and reads what it says of itself; shared by the start-up benchmarks."""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
READY_LIMIT_S = 60.0
STOP_LIMIT_S = 30.0
MODEL_CHILD = ("legion_core.workers.child", "--child")


def command() -> list[str]:
    """How the workbench is started: as a user does, by the console script beside this interpreter."""
    script = Path(sys.executable).with_name("legion")
    return [str(script)] if script.exists() else [sys.executable, "-m", "app"]


def environment(home: Path, **more: str) -> dict[str, str]:
    """No display, no keyring, a home of its own, any free port."""
    settings = {
        "LEGION_HOME": str(home),
        "LEGION_PORT": "0",
        "QT_QPA_PLATFORM": "offscreen",
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        **more,
    }
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("LEGION_")},
        **settings,
    }


class Desktop:
    """A running workbench whose lines on standard error can be waited for."""

    def __init__(self, home: Path, **more: str) -> None:
        self.begun_s = time.perf_counter()
        self.process = subprocess.Popen(
            command(),
            env=environment(home, **more),
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            cwd=home,
        )
        self.said: list[str] = []
        assert self.process.stderr is not None
        os.set_blocking(self.process.stderr.fileno(), False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self.process.stderr, selectors.EVENT_READ)
        self._rest = b""

    def figures(self, key: str, limit_s: float = READY_LIMIT_S) -> dict[str, Any]:
        """The next JSON line that has `key`; raises with what was said if the workbench ends or stays silent."""
        end_s = time.perf_counter() + limit_s
        while (left_s := end_s - time.perf_counter()) > 0:
            has_ended = (
                self.process.poll() is not None
            )  # asked first: what it said before its end is read below
            for line in self._lines(left_s):
                self.said.append(line)
                with contextlib.suppress(ValueError):
                    found = json.loads(line)
                    if isinstance(found, dict) and key in found:
                        return found
            if has_ended:
                break
        last = " / ".join(self.said[-8:])
        raise RuntimeError(f"no {key} from the workbench (exit {self.process.poll()}): {last}")

    def _lines(self, limit_s: float) -> Iterator[str]:
        if not self._selector.select(timeout=limit_s):
            return
        assert self.process.stderr is not None
        self._rest += self.process.stderr.read() or b""
        *whole, self._rest = self._rest.split(b"\n")
        yield from (line.decode("utf-8", "replace") for line in whole)

    def stop(self) -> int:
        """Ask it to end, wait, and give the exit status; a hang is ended by force and gives -9."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """The exit status of a workbench that ends by itself."""
        try:
            return self.process.wait(timeout=STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
        finally:
            assert self.process.stderr is not None
            with contextlib.suppress(OSError):
                self.said += (self.process.stderr.read() or b"").decode("utf-8", "replace").splitlines()
            self.process.stderr.close()
            self._selector.close()


@contextlib.contextmanager
def used_home() -> Generator[Path]:
    """A home in which the workbench was opened once already, so that what is measured is a warm start."""
    with tempfile.TemporaryDirectory(prefix="legion-measure-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        first = Desktop(home, LEGION_MEASURE_START="1", LEGION_MEASURE_EXIT="1")
        try:
            first.figures("ready_ms")
        finally:
            first.wait()
        yield home


def family(pid: int) -> list[int]:
    """The process and all its descendants, the native model's child and what it starts left out."""
    if any(word in _command_line(pid) for word in MODEL_CHILD):
        return []
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            for child in task.read_text(encoding="ascii").split():
                found += family(int(child))
    return found


def _command_line(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    return ""


def pss_kb(pid: int) -> int:
    """Proportional set size of one process: its own pages and its share of the shared ones."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


def cpu_s(pid: int) -> float:
    """Processor seconds of a process so far, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wakeups(pid: int) -> int:
    """Times any thread of the process went to sleep and was woken again."""
    total = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        with contextlib.suppress(OSError):
            for line in status.read_text(encoding="ascii").splitlines():
                if line.startswith("voluntary_ctxt_switches:"):
                    total += int(line.split()[1])
    return total
