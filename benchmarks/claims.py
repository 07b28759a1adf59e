"""Lets several processes take tasks from one journal as fast as they can, and looks for one that was taken twice.

    python -m benchmarks.claims [--claims 1000000] [--processes 4] [--json]

Each process asks for a few tasks at a time, ends those it has and accepts as many new ones, all in one transaction, as
the engine does; the journal's lock is the only thing between them. Whatever comes out of a transaction as an error
ends the process and is counted. Exit status 1 if any task was taken twice or not at all, or if an error surfaced.
"""

import argparse
import asyncio
import json
import random
import subprocess
import sys
import tempfile
import time
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from legion_core.engine import journal
from legion_core.engine.journal import Lease, NewTask
from legion_core.engine.machine import Succeeded, after
from legion_core.kernel.clock import SystemClock
from legion_core.kernel.errors import LegionError
from legion_core.kernel.ids import Ids, system_rng
from legion_core.storage.sqlite import Connection, Database, row

AT_ONCE_MAX = 64  # tasks asked for in one transaction: one to so many
STOCK = 2_000  # waiting tasks at the start


class Taker:
    """One process: takes, ends and accepts until its share of new tasks is used up and nothing waits."""

    def __init__(self, database: Database, share: int, seed: int) -> None:
        self._database = database
        self._left = share
        self._rng = random.Random(seed)
        self._ids = Ids(SystemClock(), system_rng())
        self._owner = f"taker-{seed}"
        self._held: list[Lease] = []
        self.taken = array("q")  # rows, in the order they were taken
        self.lost = 0  # ends that were refused, as another held the task
        self.waits_s: list[float] = []

    async def run(self) -> None:
        """Until there is nothing left."""
        while True:
            count = self._rng.randint(1, AT_ONCE_MAX)
            begun_s = time.perf_counter()
            leases, lost = await self._database.write(
                lambda connection, count=count: self._turn(connection, count)
            )
            self.waits_s.append(time.perf_counter() - begun_s)
            self._left = max(0, self._left - count)
            self._held = leases
            self.lost += lost
            self.taken.extend(lease.n for lease in leases)
            if not leases and not self._left:
                return

    def _turn(self, connection: Connection, count: int) -> tuple[list[Lease], int]:
        lost = 0
        for lease in self._held:
            state = after(lease.state(), Succeeded(), now_ms=1, rng=system_rng())
            lost += not journal.end(connection, lease, state, b"null", self._owner, 1)
        add_tasks(connection, self._ids, min(count, self._left))
        return journal.claim(connection, "default", count, self._owner, 1, only_mine=False), lost


def add_tasks(connection: Connection, ids: Ids, count: int) -> None:
    """Accept so many."""
    tasks = [
        NewTask(
            id=ids.new("task"), task="claims.it.nothing", args=b"{}", created_ms=1, submitter="s", who="w"
        )
        for _ in range(count)
    ]
    journal.insert(connection, tasks, "s")


async def opened(home: Path) -> Database:
    """The journal, in the class that costs the lock the least rest."""
    return await Database.open(
        home / "journal.db", migrations=journal.MIGRATIONS, durability="process", clock=SystemClock()
    )


async def child(home: Path, share: int, seed: int) -> None:
    """A process: ready, then at the word `go` as fast as it can; its rows go into a file."""
    database = await opened(home)
    taker = Taker(database, share, seed)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    error = ""
    try:
        await taker.run()
    except LegionError as raised:
        error = f"{type(raised).__name__}: {raised}"
    await database.close()
    with (home / f"taken-{seed}").open("wb") as stream:
        taker.taken.tofile(stream)
    waits_s = sorted(taker.waits_s)
    print(
        json.dumps(
            {
                "lost": taker.lost,
                "error": error,
                "wait_p99_ms": waits_s[len(waits_s) * 99 // 100] * 1e3,
                "wait_max_ms": waits_s[-1] * 1e3,
            }
        ),
        flush=True,
    )


async def prepare(home: Path, stock: int) -> None:
    """A journal with tasks that wait."""
    database = await opened(home)
    ids = Ids(SystemClock(), system_rng())
    await database.write(lambda connection: add_tasks(connection, ids, stock))
    await database.close()


async def left_over(home: Path) -> int:
    """Tasks that were not taken and ended."""
    database = await opened(home)
    try:
        found = await database.read(
            lambda connection: row(connection, "SELECT count(*) FROM tasks WHERE status <> 'succeeded'")
        )
        assert found is not None
        return int(found[0])
    finally:
        await database.close()


def start(home: Path, share: int, seed: int) -> "subprocess.Popen[str]":
    """A process that is ready to go."""
    command = [sys.executable, "-m", "benchmarks.claims", "--child", str(home), str(share), str(seed)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert pipe_of(process.stdout).readline() == "ready\n"
    return process


def pipe_of(stream: IO[str] | None) -> IO[str]:
    """A pipe that was asked for is there."""
    assert stream is not None
    return stream


def measure(claims: int, processes: int) -> dict[str, Any]:
    """Run them all and count what is wrong."""
    stock = min(STOCK, claims)
    with tempfile.TemporaryDirectory(prefix="legion-claims-") as folder:
        home = Path(folder)
        asyncio.run(prepare(home, stock))
        shares = [(claims - stock) // processes] * processes
        shares[0] += claims - stock - sum(shares)
        crew: list[subprocess.Popen[str]] = []
        try:
            crew += (start(home, share, seed) for seed, share in enumerate(shares))
            begun_s = time.perf_counter()
            for process in crew:
                pipe_of(process.stdin).write("go\n")
                pipe_of(process.stdin).flush()
            said = [json.loads(process.communicate()[0].splitlines()[-1]) for process in crew]
        finally:
            for process in crew:
                process.kill()  # harmless to one that ended
        took_s = time.perf_counter() - begun_s
        taken = [_rows(home / f"taken-{seed}") for seed in range(processes)]
        left = asyncio.run(left_over(home))
    return judge(taken, claims) | {
        "left_over": left,
        "refused_ends": sum(each["lost"] for each in said),
        "surfaced": sum(bool(each["error"]) for each in said),
        "errors": [each["error"] for each in said if each["error"]],
        "processes": processes,
        "claims_per_s": round(claims / took_s),
        "wait_p99_ms": round(max(each["wait_p99_ms"] for each in said), 1),
        "wait_max_ms": round(max(each["wait_max_ms"] for each in said), 1),
    }


def judge(taken: Sequence[Sequence[int]], claims: int) -> dict[str, Any]:
    """How many tasks were taken more than once, and how many never."""
    count = sum(len(rows) for rows in taken)
    distinct = len({n for rows in taken for n in rows})
    return {
        "claims": count,
        "double": count - distinct,
        "never": claims - distinct,
        "least_share": min(len(rows) for rows in taken),
    }


def _rows(path: Path) -> "array[int]":
    rows = array("q")
    rows.frombytes(path.read_bytes())
    return rows


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--claims", type=int, default=1_000_000)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", nargs=3, metavar=("HOME", "SHARE", "SEED"))
    asked = parser.parse_args()
    if asked.child:
        home, share, seed = asked.child
        asyncio.run(child(Path(home), int(share), int(seed)))
        return
    figures = measure(asked.claims, asked.processes)
    print(json.dumps(figures) if asked.json else figures)
    if any(figures[name] for name in ("double", "never", "left_over", "refused_ends", "surfaced")):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
