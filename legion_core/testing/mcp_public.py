"""Where the official inspector and the public servers are tried: a node of its own, started as a user starts it.

`packaging/mcp-peers` pins them. Everything that is asked here is asked by a program of its own: `legion …` and the
inspector's command line.
"""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, cast

from legion_core.testing.npm import ROOT, install, node_and_npm

PINNED: Final = "mcp-peers"
COMMAND_S: Final = 120.0
AT_A_TIME: Final = 2
SAID_CHARS: Final = 400
_EXTENSION: Final = '''
"""Functions that another program calls."""

from typing import Annotated

import msgspec

from legion_core.engine.extension import Context, function


@function(effect="pure")
async def repeat(context: Context, text: str, times: Annotated[int, msgspec.Meta(ge=1, le=9)] = 1) -> dict[str, str]:
    """Say it back, so many times."""
    context.log("saying it")
    return {"text": text * times}


@function(risk="write")
async def keep(text: str) -> str:
    """Keep it."""
    return text
'''


@dataclass(slots=True)
class Sheet:
    """How many checks were made, and in words those that failed."""

    asked: int = 0
    faults: list[str] = field(default_factory=list[str])

    def expect(self, what: str, is_right: bool, said: object = "") -> bool:
        """Count a check; gives whether it held."""
        self.asked += 1
        if not is_right:
            self.faults.append(f"{what}: {' '.join(str(said).split())[:SAID_CHARS]}")
        return is_right


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def told(self) -> dict[str, Any]:
        """The JSON document it wrote; empty if it wrote none."""
        try:
            found: object = json.loads(self.out)
        except ValueError:
            return {}
        return cast("dict[str, Any]", found) if isinstance(found, dict) else {}

    @property
    def data(self) -> dict[str, Any]:
        """What a command of ours gave."""
        found: object = self.told.get("data")
        return cast("dict[str, Any]", found) if isinstance(found, dict) else {}

    @property
    def words(self) -> str:
        """All it said."""
        return self.out + self.err


@dataclass(slots=True)
class Place:
    """See the module. `files` is the folder that the file server may use, `url` where the node serves MCP."""

    home: Path
    files: Path
    packages: Path
    node: str
    sheet: Sheet
    url: str = ""
    secret: str = ""
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_A_TIME))

    @property
    def env(self) -> dict[str, str]:
        """What a clean shell would have, and the home."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("LEGION_")}
        return {**kept, "LEGION_HOME": str(self.home), "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}

    def package(self, name: str) -> Path:
        """Where a package of the protocol's own people lies."""
        return self.packages / "node_modules" / "@modelcontextprotocol" / name

    def server(self, name: str, *words: str) -> tuple[str, ...]:
        """How a public server is started."""
        return (self.node, str(self.package(name) / "dist" / "index.js"), *words)

    async def legion(self, *words: str) -> Ran:
        """One command of ours, answering with JSON."""
        return await self.run(sys.executable, "-m", "legion_core", "--json", *words)

    async def task(self, name: str, *arguments: str) -> tuple[str, str, dict[str, Any]]:
        """Run a function to its end: its status, what was said of a failure, its result."""
        ran = await self.legion("task", "run", name, *arguments, "--wait")
        data: Any = ran.data
        told: Any = data.get("reason") or ran.told.get("error") or {}
        reason = told.get("sentence") or told.get("message") or ""
        return data.get("status", "refused"), reason, data.get("result") or {}

    async def inspector(self, *words: str) -> Ran:
        """The inspector's command line."""
        program = self.package("inspector") / "clients" / "launcher" / "build" / "index.js"
        return await self.run(self.node, str(program), "--cli", *words)

    async def run(self, *words: str) -> Ran:
        """Any command, to its end."""
        async with self._turns:
            process = await asyncio.create_subprocess_exec(
                *words, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, env=self.env, cwd=self.files
            )
            try:
                async with asyncio.timeout(COMMAND_S):
                    out, err = await process.communicate()
            except TimeoutError:
                return Ran(-1, "", f"it did not end within {COMMAND_S:.0f} s")
            finally:
                await _ended(process, signal.SIGKILL)
            return Ran(process.returncode or 0, out.decode(errors="replace"), err.decode(errors="replace"))

    @asynccontextmanager
    async def started(self, words: Sequence[str], sign: str, **env: str) -> AsyncGenerator[Process]:
        """A program that serves until the end of the block, from when it has said `sign`."""
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**self.env, **env},
            cwd=self.files,
        )
        assert process.stdout is not None
        rest: asyncio.Task[None] | None = None
        try:
            async with asyncio.timeout(COMMAND_S):
                while sign.encode() not in (line := await process.stdout.readline()):
                    if not line:
                        raise ConnectionError(f"{words[-1]} ended before it served.")
            rest = asyncio.create_task(_drained(process.stdout))  # a full pipe would stop it
            yield process
        finally:
            await _ended(process, signal.SIGTERM)
            if rest is not None:
                await rest

    @asynccontextmanager
    async def serving(self) -> AsyncGenerator[None]:
        """`legion start`, in the foreground of its own process."""
        words = (sys.executable, "-m", "legion_core", "start", "--port", "0")
        async with self.started(words, "Ctrl-C"):
            record = json.loads((self.home / "run" / "node.json").read_text(encoding="utf-8"))
            self.url = f"http://127.0.0.1:{record['port']}/mcp"
            self.secret = (self.home / "token").read_text(encoding="utf-8").strip()
            yield


def laid_out(above: Path, sheet: Sheet) -> Place:
    """A home with an extension in it, and a folder for files. Raises NotToBeHad where npm cannot be reached."""
    packages = install(PINNED)
    home, files = above / "home", above / "files"
    home.mkdir(mode=0o700)
    files.mkdir()
    folder = home / "extensions" / "papers"
    folder.mkdir(parents=True)
    (folder / "notes.py").write_text(_EXTENSION, encoding="utf-8")
    (files / "note.txt").write_text("forty-two", encoding="utf-8")
    return Place(home, files, packages, node_and_npm()[0], sheet)


async def _drained(stream: asyncio.StreamReader) -> None:
    while await stream.read(1 << 16):
        pass


async def _ended(process: Process, number: int) -> None:
    # Not by the process's own methods: they reap one that has just ended, behind the back of whoever waits for it.
    for each in (number, signal.SIGKILL):
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(process.pid, each)
            with suppress(TimeoutError):
                async with asyncio.timeout(30.0):
                    await process.wait()
