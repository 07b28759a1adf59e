"""`legion` as a person runs it: a process of its own, in a home of its own."""

import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from legion_core.node import open_node
from legion_core.surfaces.cli.main import run

ROOT = Path(__file__).resolve().parents[3]
BOUND_S = 300.0


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        document = json.loads(self.out)
        assert list(document) == ["data"], document
        return document["data"]

    @property
    def error(self) -> Any:
        document = json.loads(self.out)
        assert list(document) == ["error"], document
        return document["error"]


def environment(home: Path, **more: str) -> dict[str, str]:
    """What a clean shell would have, and the home."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LEGION_")}
    return {**kept, "LEGION_HOME": str(home), "PYTHONPATH": str(ROOT), **more}


def legion(home: Path, *words: str, given: str = "", **more: str) -> Ran:
    """Run one command to its end."""
    done = subprocess.run(
        [sys.executable, "-m", "legion_core", *words],
        input=given,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=BOUND_S,
        env=environment(home, **more),
        cwd=ROOT,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert "Traceback" not in done.stdout, done.stdout
    return Ran(done.returncode, done.stdout, done.stderr)


def inside(home: Path, *words: str, given: str = "", **more: str) -> Ran:
    """The same within this process: what starting Python would take is saved."""
    out, err, before = io.StringIO(), io.StringIO(), sys.stdin
    sys.stdin = io.StringIO(given)
    try:
        with redirect_stdout(out), redirect_stderr(err):
            status = run(words, open_node=open_node, env={"LEGION_HOME": str(home), **more})
    finally:
        sys.stdin = before
    return Ran(status, out.getvalue(), err.getvalue())


class Started:
    """`legion start` in the foreground; ended on leaving."""

    def __init__(self, home: Path, *words: str, **more: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "legion_core", "start", "--port", "0", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            env=environment(home, **more),
            cwd=ROOT,
        )
        assert self.process.stdout is not None
        self.first = line = self.process.stdout.readline()
        assert line.startswith("Legion Workbench runs at "), self.process.communicate()
        self.url = line.split()[-1]
        while not line.startswith("Ctrl-C"):
            self.first += (line := self.process.stdout.readline())

    def end(self, number: int) -> tuple[int, str, str]:
        """Send a signal; the exit status and what was said."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=BOUND_S)
        return self.process.returncode, self.first + out, err

    def __enter__(self) -> "Started":
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate(timeout=BOUND_S)
