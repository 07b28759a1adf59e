"""A coding client at work through a real node while its upstream is killed: cases, and whether each was done right.

The first upstream is a process that ends by SIGKILL in the middle of an answer; the second speaks another wire and goes
on. A case passes if the client ended content with its file written to the letter (each step of the work shows when it is
done twice), every call was made once and answered once, and the ledger tells of the attempt that died.
"""

import asyncio
import json
import random
import struct
import sys
import tempfile
import zlib
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Final, get_args

from legion_core.gateway.ledger_types import LedgerRow
from legion_core.node import open_node
from legion_core.testing.agent_upstream import (
    JOBS,
    LAST_WORDS,
    PROMPT,
    RESULT,
    Asked,
    JobName,
    Place,
    Script,
    read,
)
from legion_core.testing.coding_clients import CLIENTS, ClientName, CodingClient, find
from legion_core.testing.upstreams import Answer, Recorded, Upstream, WireName

CASE_S: Final = 180.0
_MAIN: Final[tuple[WireName, ...]] = ("anthropic", "openai")
_LESS: Final = (
    ("tour", None, 0),
    ("write", "in a call", 1),
)  # left out where a client works for the third time
SECONDS: Final[dict[WireName, WireName]] = {
    "anthropic": "openai",
    "openai": "anthropic",
    "ollama": "anthropic",
    "gemini": "openai",
    "bedrock": "openai",
}
_INSTANCE: Final = """
[[gateway.instances]]
name = "{name}"
kind = "{kind}"
base_url = "{base_url}"
tier = "{tier}"
api_key = "env://ANY_KEY"

[[gateway.instances.models]]
id = "{model}"
context = 200000
capabilities = ["streaming", "tools", "vision", "thinking", "structured_output"]
continuation = "prefill"
price = {{ input = 3.0, output = 15.0 }}
"""


@dataclass(frozen=True, slots=True)
class Work:
    """One case: who works, over which wire, at what, and where its first upstream dies."""

    client: ClientName
    wire: WireName
    job: JobName = "write"
    killed: Place | None = None
    turn: int = 0

    def __str__(self) -> str:
        told = f"{self.client} over {self.wire}, {self.job}"
        return f"{told}, killed {self.killed} of turn {self.turn + 1}" if self.killed else told


@dataclass(slots=True)
class Done:
    """What became of a case; no `faults` is a pass."""

    work: Work
    faults: list[str] = field(default_factory=list[str])
    took_s: float = 0.0
    requests: int = 0
    moved: int = 0  # requests that a second upstream finished


def all_work() -> list[Work]:
    """Every client over each wire: left alone, killed at every place of every turn, and on a long tour."""
    out = list[Work]()
    for client in get_args(ClientName):
        for wire in _MAIN:
            out.append(Work(client, wire))
            out += [
                Work(client, wire, killed=place) for place in ("before a word", "in the words", "in a call")
            ]
            out.append(Work(client, wire, killed="in a call", turn=1))
            out.append(Work(client, wire, killed="in the words", turn=2))
            out.append(Work(client, wire, "tour"))
        out += [Work(client, wire, killed="in a call") for wire in _others(client)]
        out.append(Work(client, "openai", "tour", "in a call", 2))
    return out


def _others(client: ClientName) -> tuple[WireName, ...]:
    """At the last of them only models of one maker think, and two of the clients always ask for it."""
    return ("ollama", "gemini", "bedrock") if client.startswith("opencode") else ("ollama", "gemini")


def fair_work() -> list[Work]:
    """All of it, but that a client which speaks three dialects is not asked everything in each; in a mixed order.

    In all three it loses its upstream at every place and over every wire.
    """
    left_out = [
        each
        for each in all_work()
        if each.client.startswith("opencode")
        and each.wire in _MAIN
        and (each.wire != "openai" or (each.job, each.killed, each.turn) in _LESS)
        and (each.wire, each.killed, each.turn) != ("anthropic", "in a call", 0)
    ]
    out = [each for each in all_work() if each not in left_out]
    random.Random(0).shuffle(out)
    return out


def some_work() -> list[Work]:
    """One case of each kind, and each client killed in the middle of a call."""
    return [
        Work("claude code", "anthropic", killed="in a call"),
        Work("claude code", "openai", "tour"),
        Work("codex", "openai", killed="in a call"),
        Work("codex", "anthropic", killed="in the words", turn=2),
        Work("opencode chat", "openai", killed="in a call"),
    ]


async def do(work: Work) -> Done:
    """Let the client work, and judge."""
    client = next(each for each in CLIENTS if each.name == work.client)
    program = find(client.program)
    if program is None:
        raise FileNotFoundError(f"{client.program.package} is not installed.")
    done, loop = Done(work), asyncio.get_running_loop()
    begun_s = loop.time()
    with tempfile.TemporaryDirectory(prefix="legion-work-", ignore_cleanup_errors=True) as above:
        home, folder = Path(above) / "home", Path(above) / "work"
        home.mkdir(mode=0o700)
        folder.mkdir()
        _lay_out(folder)
        try:
            async with asyncio.timeout(CASE_S):
                await _do(done, client, program, home, folder)
        except TimeoutError:
            done.faults.append(f"not done after {CASE_S:.0f} s")
    done.took_s = loop.time() - begun_s
    return done


async def _do(done: Done, client: CodingClient, program: Path, home: Path, folder: Path) -> None:
    work = done.work
    asked_second = list[Asked]()
    async with (
        _first(work, folder) as first,
        Upstream(SECONDS[work.wire]) as second,
    ):
        script = Script(second.wire, folder, work.job)

        def answer(request: Recorded) -> Answer:
            asked_second.append(read(request))
            return script.answer(request)

        second.will(answer)
        legion = home / "legion"
        legion.mkdir(mode=0o700)
        settings = _settings("first", work.wire, first.base_url, "direct", client.model)
        settings += _settings("second", second.wire, second.base_url, "cloud", client.model)
        (legion / "config.toml").write_text(settings, encoding="utf-8")
        async with open_node(legion, env={"ANY_KEY": "any"}, serve=True, port=0) as node:
            token = (legion / "token").read_text(encoding="utf-8").strip()
            start = client.prepare(home, folder, node.url, token, PROMPT)
            process = await asyncio.create_subprocess_exec(
                str(program),
                *start.arguments,
                cwd=folder,
                env=start.env,
                stdin=DEVNULL,
                stdout=PIPE,
                stderr=PIPE,
            )
            out, err = await _until_ended(process)
            rows = await node.legion.llm.ledger(limit=1000)
        told = client.read(out)
        if process.returncode or not told.is_content:
            done.faults.append(f"exit status {process.returncode}: {(err or out)[-400:]!r}")
        if told.last_words != "".join(LAST_WORDS):
            done.faults.append(f"last words {told.last_words!r}")
        _judge_work(done, folder, told.tools_run, [*first.asked, *asked_second])
        _judge_attempts(done, rows, was_killed=first.process.returncode == -9)


@dataclass(slots=True)
class _First:
    """The upstream that may be killed, as its parent sees it."""

    process: Process
    base_url: str
    asked: list[Asked] = field(default_factory=list[Asked])


@asynccontextmanager
async def _first(work: Work, folder: Path) -> AsyncGenerator[_First]:
    asked = ["--wire", work.wire, "--folder", str(folder), "--job", work.job, "--turn", str(work.turn)]
    asked += ["--killed", work.killed] if work.killed else []
    module = "legion_core.testing.agent_upstream"
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", module, *asked, stdout=PIPE)
    assert process.stdout is not None
    first = _First(process, json.loads(await process.stdout.readline())["base_url"])

    async def listen(lines: asyncio.StreamReader) -> None:
        async for line in lines:
            told = json.loads(line)
            first.asked.append(Asked(told["is_work"], told["turns"], told["turns"], told["results"], ""))

    async with asyncio.TaskGroup() as group:
        group.create_task(listen(process.stdout))
        try:
            yield first
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()


async def _until_ended(process: Process) -> tuple[str, str]:
    try:
        out, err = await process.communicate()
    except asyncio.CancelledError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    return out.decode(errors="replace"), err.decode(errors="replace")


def _settings(name: str, wire: WireName, base_url: str, tier: str, model: str) -> str:
    return _INSTANCE.format(name=name, kind=wire, base_url=base_url, tier=tier, model=model)


def _judge_work(done: Done, folder: Path, tools_run: int, asked: Iterable[Asked]) -> None:
    path = folder / "out.txt"
    written = path.read_text(encoding="utf-8") if path.exists() else None
    if written != RESULT:
        done.faults.append(f"out.txt holds {written!r}")
    steps = len(JOBS["write"])
    if done.work.job == "write" and tools_run != steps:
        done.faults.append(f"{tools_run} tools run, not {steps}")
    last = max((each for each in asked if each.is_work), key=lambda each: each.results, default=None)
    if last is None or (done.work.job == "write" and last.results != steps):
        done.faults.append(f"the last question holds {last.results if last else 'no'} results")


def _judge_attempts(done: Done, rows: Sequence[LedgerRow], *, was_killed: bool) -> None:
    """Every request ended well, and where the first upstream died its attempt stands before the one that went on."""
    in_order = sorted(rows, key=lambda row: (row.request, row.attempt))
    requests = [list(group) for _, group in groupby(in_order, key=lambda row: row.request)]
    done.requests = len(requests)
    for attempts in requests:
        if attempts[-1].outcome != "succeeded":
            done.faults.append(f"a request ended {attempts[-1].outcome}: {attempts[-1].why}")
    moved = [each for each in requests if each[0].instance == "first" and each[-1].instance == "second"]
    done.moved = len(moved)
    if not done.work.killed:
        if any(len(each) > 1 for each in requests):
            done.faults.append("a request took several attempts though nothing broke")
        return
    if not was_killed:
        done.faults.append("the first upstream was not killed")
    broken = [each for each in moved if each[0].usage.output_tokens or done.work.killed == "before a word"]
    if not broken:
        done.faults.append("the ledger does not show the attempt that died")


def _lay_out(folder: Path) -> None:
    """What the tour reads: words, a picture, a paper."""
    (folder / "notes.txt").write_text("Bring the lämp.\n", encoding="utf-8")
    (folder / "picture.png").write_bytes(_picture(16))
    (folder / "paper.pdf").write_bytes(_paper())


def _picture(side: int) -> bytes:
    """A red square as PNG."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    rows = b"".join(b"\0" + b"\xff\x00\x00" * side for _ in range(side))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def _paper() -> bytes:
    """An empty page as PDF."""
    objects: Sequence[bytes] = (
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]>>",
    )
    out, places = b"%PDF-1.4\n", list[int]()
    for number, each in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj%sendobj\n" % (number, each)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"xref\n0 4\n0000000000 65535 f \n%strailer<</Size 4/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n"
    return out + end % (table, len(out))
