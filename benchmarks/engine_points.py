"""Kills a task engine at every named point of its code, on each of its first visits, while chains fan out and join.

Each child begins some runs (reporting each once it is acknowledged), and kills itself with SIGKILL at the given visit of
the given point (`legion_core.kernel.faults`); the next process runs what it left. At the end every acknowledged run must have ended well, each of its nodes must have run as often as
the chain says, the join once, and each transactional effect must be there once.

    python -m benchmarks.engine_points [--visits 12] [--runs 3] [--json]
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from legion_core.engine.extension import Context, function
from legion_core.kernel.faults import SITES, arm
from legion_core.kernel.ports import LOCAL_OWNER
from legion_core.storage.sqlite import Connection, execute, rows
from legion_core.testing.tasks import UnderTest, open_engine

POINTS = tuple(sorted(site for site in SITES if site.startswith(("engine.", "storage."))))
ITEMS = 4
CHILD_S = 120.0
EXPECTED = {"first": 1, "each": ITEMS, "more": ITEMS, "side": 1, "sub": 1, "join": 1, "last": 1}
CHAIN: dict[str, Any] = {
    "name": "points",
    "nodes": {
        "first": {"task": "point.it.mark", "args": {"items": ITEMS}},
        "each": {"task": "point.it.mark", "args": {"text": "{{ item }}"}},
        "more": {"task": "point.it.thread"},
        "side": {"task": "point.it.mark"},
        "sub": {"chain": "inner"},
        "join": {"task": "point.it.mark", "join": "all"},
        "last": {"task": "point.it.mark", "args": {"text": "{{ results.join.text }}"}},
    },
    "edges": [
        {
            "from": "first",
            "to": "each",
            "each": "$.items",
            "when": {"all": [{"fact": "result.items", "operator": "size_equal", "value": ITEMS}]},
        },
        {"from": "each", "to": "more"},
        {"from": "first", "to": "side", "delay": 0.005},
        {"from": "first", "to": "sub"},
        {"from": "more", "to": "join"},
        {"from": "side", "to": "join"},
        {"from": "sub", "to": "join"},
        {"from": "join", "to": "last"},
    ],
}
INNER: dict[str, Any] = {"name": "inner", "nodes": {"x": {"task": "point.it.mark"}}}


class Effects:
    """Each leaves a row together with its completion."""

    @function(effect="transactional")
    async def mark(self, context: Context, items: int = 0, text: str = "") -> dict[str, Any]:
        """On the loop."""
        self._leave(context)
        return {"items": list(range(items)), "text": text}

    @function(effect="transactional")
    def thread(self, context: Context) -> None:
        """In a thread."""
        self._leave(context)

    def _leave(self, context: Context) -> None:
        task_id = context.task_id

        def work(connection: Connection) -> None:
            execute(connection, "INSERT INTO ext_points VALUES(?)", [task_id])

        context.defer(work)


def opened(home: Path) -> Any:
    """An engine with these functions on the journal of `home`."""
    return open_engine(home, {"point.it": Effects()}, stop_s=5.0)


async def over(here: UnderTest) -> None:
    """Until no run goes on."""
    while found := await here.engine.chains.page(status="running", limit=1000):
        for _, each in found:
            await here.engine.chains.wait(each.id)


async def child(home: Path, point: str, visit: int, runs: int) -> None:
    """Begin some runs and wait for their end; killed on the way, if the point is visited so often."""
    left = visit

    def strike(site: str) -> None:
        nonlocal left
        if site == point:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    async with opened(home) as here:
        arm(strike)
        for _ in range(runs):
            run = await here.engine.chains.run(LOCAL_OWNER, "points", {})
            os.write(1, f"{run}\n".encode())  # straight to the pipe: what was printed was acknowledged before
        await over(here)
    arm(None)


async def prepare(home: Path) -> None:
    """The journal, the chains, and what the functions write to."""
    home.mkdir(parents=True)
    async with opened(home) as here:
        await here.database.write(lambda c: execute(c, "CREATE TABLE ext_points(task TEXT)"))
        for document in (INNER, CHAIN):
            await here.engine.chains.apply_value(LOCAL_OWNER, document)


async def examine(home: Path, acknowledged: list[str]) -> dict[str, int]:
    """Run what is left, and count what is wrong."""
    found = Counter(lost=0, doubled=0, unfinished=0, joins=0, corrupt=0)
    async with opened(home) as here:
        async with asyncio.timeout(CHILD_S):
            await over(here)
        runs = dict(
            await here.database.read(lambda c: rows(c, "SELECT id, status FROM runs WHERE parent = ''"))
        )
        tasks = await here.database.read(lambda c: rows(c, "SELECT id, run, node, task, status FROM tasks"))
        effects = Counter(
            t for (t,) in await here.database.read(lambda c: rows(c, "SELECT task FROM ext_points"))
        )
        found["corrupt"] = len(await here.database.check())
    had: dict[str, Counter[str]] = {}
    for task, run, node, name, status in tasks:
        had.setdefault(run, Counter())[node] += 1
        if not name.startswith("chain:"):
            found["lost"] += status == "succeeded" and effects[task] == 0
            found["doubled"] += effects[task] > 1
    found["lost"] += sum(run not in runs for run in acknowledged)
    for run, status in runs.items():
        found["unfinished"] += status != "succeeded"
        found["joins"] += had[run]["join"] != 1
        found["lost"] += sum((Counter(EXPECTED) - had[run]).values())
        found["doubled"] += sum((had[run] - Counter(EXPECTED)).values())
    return dict(found) | {"tasks": len(tasks), "runs": len(runs)}


async def carry_on(home: Path) -> None:
    """Run what a killed one left."""
    async with opened(home) as here, asyncio.timeout(CHILD_S):
        await over(here)


def strike(home: Path, point: str, visit: int, runs: int) -> tuple[list[str], bool]:
    """One child; what it acknowledged, and whether it was killed."""
    command = [sys.executable, "-m", "benchmarks.engine_points", "--child", str(home)]
    command += ["--point", point, "--visits", str(visit), "--runs", str(runs)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=CHILD_S, check=False)
    if done.returncode not in (0, -signal.SIGKILL):
        raise SystemExit(f"a child ended by itself with {done.returncode} at {point}, visit {visit}")
    whole = done.stdout[: done.stdout.rfind("\n") + 1].split()
    return whole, done.returncode != 0


def campaign(visits: int, runs: int, points: tuple[str, ...] = POINTS) -> dict[str, int]:
    """All points; the sums."""
    kills, reached, acknowledged = 0, set[str](), list[str]()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        asyncio.run(prepare(home))
        for point in points:
            for visit in range(1, visits + 1):
                said, was_killed = strike(home, point, visit, runs)
                acknowledged += said
                if not was_killed:
                    break
                kills += 1
                reached.add(point)
                asyncio.run(carry_on(home))  # a task that ends its process three times would be parked
        found = asyncio.run(examine(home, acknowledged))
    unreached = len(set(points) - reached)
    return {"kills": kills, "unreached": unreached, "acknowledged": len(acknowledged)} | found


def main() -> None:
    """Run it and print the sums."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--visits", type=int, default=12)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", type=Path)
    parser.add_argument("--point", default="")
    options = parser.parse_args()
    if options.child is not None:
        asyncio.run(child(options.child, options.point, options.visits, options.runs))
        return
    sums = campaign(options.visits, options.runs)
    print(json.dumps(sums) if options.json else sums)
    if any(sums[name] for name in ("lost", "doubled", "unfinished", "joins", "corrupt", "unreached")):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
