"""From one task's effect to the next one's: what a hop of a chain costs, in both classes of durability.

    python -m benchmarks.engine_hops [--hops 60] [--runs 10] [--rounds 5] [--fsync-ms 4] [--json]

A chain is a line of nodes; each edge asks a condition about the result and each node's arguments are made from it by a
template. A hop is from the moment one node's function is called to the moment the next one's is: the end of the task,
the condition, the transformation and the new task are one transaction, and in class `power` one fsync. fsync is held
at 4 ms, as in `benchmarks.engine`, and measured in the same process (`fsync_ms`); the ratio is to that.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from benchmarks.engine import fsync_ms
from benchmarks.engine_peers import held, prepare
from legion_core.engine.extension import function
from legion_core.kernel.ports import LOCAL_OWNER
from legion_core.storage.sqlite import Durability
from legion_core.testing.tasks import open_engine

CLASSES: tuple[Durability, ...] = ("power", "process")


class Steps:
    """The function of every node: notes when it was called, and with what."""

    def __init__(self) -> None:
        self.at_s: list[float] = []
        self.said: list[str] = []

    @function(effect="pure")
    async def note(self, text: str, number: int) -> dict[str, Any]:
        """Gives the next number."""
        self.at_s.append(time.perf_counter())
        self.said.append(text)
        return {"status": 200, "number": number + 1}


def document(hops: int) -> dict[str, Any]:
    """A line of so many hops, each with a condition and a transformation."""
    nodes: dict[str, Any] = {"n0": {"task": "hop.it.note", "args": {"text": "step 0", "number": 0}}}
    for number in range(1, hops + 1):
        nodes[f"n{number}"] = {
            "task": "hop.it.note",
            "args": {"number": number},
            "transform": {"engine": "liquid", "template": {"text": "step {{ result.number }}"}},
        }
    rule = {"fact": "result.status", "operator": "equal", "value": 200}
    edges = [
        {"from": f"n{number}", "to": f"n{number + 1}", "when": {"all": [rule]}} for number in range(hops)
    ]
    return {"name": "line", "nodes": nodes, "edges": edges}


async def measure(folder: Path, durability: Durability, hops: int, runs: int) -> dict[str, Any]:
    """One class in one round: the hops of some runs, one run after the other; the first run is not counted."""
    steps = Steps()
    delays_s: list[float] = []
    async with open_engine(folder, {"hop.it": steps}, durability=durability) as here:
        chains = here.engine.chains
        await chains.apply_value(LOCAL_OWNER, document(hops))
        cpu_s = 0.0
        for number in range(runs + 1):
            steps.at_s.clear()
            steps.said.clear()
            begun_s = time.process_time()
            run = await chains.run(LOCAL_OWNER, "line", None)
            view = await chains.wait(run)
            assert view.status == "succeeded", view
            assert steps.said == [f"step {each}" for each in range(hops + 1)], steps.said
            if number:
                cpu_s += time.process_time() - begun_s
                delays_s += [later - one for one, later in zip(steps.at_s, steps.at_s[1:], strict=False)]
    return {"delays_s": delays_s, "cpu_us": cpu_s / len(delays_s) * 1e6, "fsync_ms": fsync_ms(folder)}


def figures_of(shots: dict[str, list[dict[str, Any]]]) -> dict[str, float]:
    """Over all hops of all rounds; the ratio round by round, to what fsync took in that round."""
    figures: dict[str, float] = {}
    for name, found in shots.items():
        delays = sorted(delay for shot in found for delay in shot["delays_s"])
        figures |= {
            f"{name}_hop_p50_ms": round(_quantile(delays, 0.5) * 1e3, 2),
            f"{name}_hop_p99_ms": round(_quantile(delays, 0.99) * 1e3, 2),
            f"{name}_cpu_us": round(statistics.median(shot["cpu_us"] for shot in found)),
        }
    ratios = [statistics.median(shot["delays_s"]) * 1e3 / shot["fsync_ms"] for shot in shots.get("power", ())]
    if ratios:
        figures["power_hop_over_fsync"] = round(statistics.median(ratios), 2)
        figures["fsync_ms"] = round(statistics.median(shot["fsync_ms"] for shot in shots["power"]), 2)
    return figures


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--hops", type=int, default=60)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--fsync-ms", type=float, default=4.0, help="0: as the disk is")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--arm", choices=CLASSES, help="run this one here (for the benchmark itself)")
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    if asked.arm is not None:
        found = asyncio.run(measure(asked.folder, cast(Durability, asked.arm), asked.hops, asked.runs))
        print(json.dumps(found))
        return
    ground = prepare(with_peers=False)
    environment = held(ground.shim, round(asked.fsync_ms * 1000))
    shots: dict[str, list[dict[str, Any]]] = {name: [] for name in CLASSES}
    chance = random.Random(1)
    for _ in range(asked.rounds):
        for name in chance.sample(CLASSES, len(CLASSES)):
            with tempfile.TemporaryDirectory(prefix="legion-hops-") as folder:
                command = [sys.executable, "-m", "benchmarks.engine_hops", "--arm", name, "--folder", folder]
                command += ["--hops", str(asked.hops), "--runs", str(asked.runs)]
                done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
            shots[name].append(json.loads(done.stdout.splitlines()[-1]))
    figures: dict[str, Any] = figures_of(shots)
    figures |= {"rounds": asked.rounds, "hops": asked.hops, "load": round(os.getloadavg()[0], 1)}
    figures["missing"] = ground.missing
    print(json.dumps(figures) if asked.json else figures)


if __name__ == "__main__":
    main()
