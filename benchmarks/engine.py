"""Durable jobs a second and the delay from acceptance to effect, beside Huey on SQLite in one interleaved run.

    python -m benchmarks.engine [--json] [--rounds N] [--jobs N]

A job appends one byte to a file. Ours is accepted durably before it is acknowledged, and its end and result are durable
too: once with `power` (fsync before each acknowledgement), once with `process` (survives kill -9). Each arm runs in a
process of its own, rounds are shuffled, and the number of effects is checked. Huey runs on its default settings with two
worker threads; it stores no durable end of a job in flight. It is taken from an interpreter of its own
(~/.cache/legion-bench-venv, made by `python -m venv` and `pip install huey`) and left out where that is not there.
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
from pathlib import Path
from typing import Any, cast

from legion_core.engine.extension import function
from legion_core.engine.orders import Order
from legion_core.kernel.ports import LOCAL_OWNER
from legion_core.storage.sqlite import Durability
from legion_core.testing.tasks import open_engine

CALLERS = 200
PROBES = 60
PEER_PYTHON = Path("~/.cache/legion-bench-venv/bin/python").expanduser()
PEER_SHARE = 20  # the peer gets so much fewer jobs, as it is slower


class Effects:
    """The function under test."""

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._moved = asyncio.Event()
        self.done = 0

    @function(effect="pure")
    async def append(self) -> None:
        """One byte."""
        os.write(self._handle, b".")
        self.done += 1
        self._moved.set()

    async def reach(self, count: int) -> None:
        """Wait until so many have happened."""
        while self.done < count:
            self._moved.clear()
            await self._moved.wait()


async def measure(folder: Path, durability: Durability, jobs: int) -> dict[str, Any]:
    """One arm in one round."""
    effects = Effects(folder / "effects")
    async with open_engine(folder, {"bench.it": effects}, durability=durability) as here:
        order = Order(task="bench.it.append")
        await here.engine.wait((await here.engine.submit(LOCAL_OWNER, order)).id)

        async def caller(count: int) -> None:
            for _ in range(count):
                await here.engine.submit(LOCAL_OWNER, order)

        cpu_s, start_s = time.process_time(), time.perf_counter()
        await asyncio.gather(*(caller(jobs // CALLERS) for _ in range(CALLERS)))
        accepted_s = time.perf_counter() - start_s
        made = jobs // CALLERS * CALLERS
        await effects.reach(made + 1)
        while await here.engine.counts():  # the ends, too, are durable
            await asyncio.sleep(0.001)
        whole_s, cpu_s = time.perf_counter() - start_s, time.process_time() - cpu_s
        latencies: list[float] = []
        for number in range(PROBES):
            await asyncio.sleep(0.02)  # idle in between
            begin_s = time.perf_counter()
            submitted = asyncio.ensure_future(here.engine.submit(LOCAL_OWNER, order))
            await effects.reach(made + number + 2)
            latencies.append(time.perf_counter() - begin_s)
            await submitted
    assert (folder / "effects").stat().st_size == made + 1 + PROBES
    return {
        "accept_per_s": made / accepted_s,
        "done_per_s": made / whole_s,
        "cpu_us": cpu_s / made * 1e6,
        "latencies_s": latencies,
    }


def one_arm(name: str, jobs: int) -> dict[str, Any]:
    """Run an arm in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        if name == "huey":
            peer = Path(__file__).with_name("engine_peer_huey.py")
            command = [
                str(PEER_PYTHON),
                str(peer),
                folder,
                str(max(100, jobs // PEER_SHARE)),
                str(PROBES // 2),
            ]
        else:
            command = [
                sys.executable,
                "-m",
                "benchmarks.engine",
                "--arm",
                name,
                "--jobs",
                str(jobs),
                "--folder",
                folder,
            ]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def fsync_ms() -> float:
    """What one small append and fsync costs on this disk, median of thirty."""
    times: list[float] = []
    with tempfile.NamedTemporaryFile(buffering=0) as stream:
        for _ in range(30):
            start_s = time.perf_counter()
            stream.write(b"x" * 4096)
            os.fsync(stream.fileno())
            times.append(time.perf_counter() - start_s)
    return statistics.median(times) * 1e3


def _quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def main() -> None:
    """Run the arms in shuffled order, several rounds, and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--arm", choices=("power", "process"))
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    if asked.arm is not None:
        print(json.dumps(asyncio.run(measure(asked.folder, cast(Durability, asked.arm), asked.jobs))))
        return
    arms = ["power", "process"]
    if PEER_PYTHON.exists():
        arms.append("huey")
    shots: dict[str, list[dict[str, Any]]] = {name: [] for name in arms}
    probes: list[float] = []
    chance = random.Random(1)
    for _ in range(asked.rounds):
        chance.shuffle(arms)
        for name in arms:
            probes.append(fsync_ms())
            shots[name].append(one_arm(name, asked.jobs))
    figures: dict[str, Any] = {
        "rounds": asked.rounds,
        "fsync_ms": round(statistics.median(probes), 2),
        "load": round(os.getloadavg()[0], 1),
    }
    for name, found in sorted(shots.items()):
        delays = [delay for shot in found for delay in shot["latencies_s"]]
        figures |= {
            f"{name}_jobs_per_s": round(statistics.median(shot["done_per_s"] for shot in found)),
            f"{name}_accept_per_s": round(statistics.median(shot["accept_per_s"] for shot in found)),
            f"{name}_cpu_us": round(statistics.median(shot["cpu_us"] for shot in found)),
            f"{name}_p50_ms": round(_quantile(delays, 0.5) * 1e3, 2),
            f"{name}_p99_ms": round(_quantile(delays, 0.99) * 1e3, 2),
        }
    if "huey" in shots:
        ratios = [
            ours["done_per_s"] / peer["done_per_s"]
            for ours, peer in zip(shots["power"], shots["huey"], strict=True)
        ]
        figures |= {"ratio": round(statistics.median(ratios), 1), "ratio_least": round(min(ratios), 1)}
        figures["peer"] = shots["huey"][0]["peer"]
    if asked.json:
        print(json.dumps(figures))
        return
    print(f"fsync of this disk {figures['fsync_ms']} ms, load {figures['load']}, {asked.rounds} rounds")
    for name in sorted(shots):
        print(
            f"{name:<8} {figures[f'{name}_jobs_per_s']:>7,} jobs/s, {figures[f'{name}_cpu_us']:>5} µs of processor a job, "
            f"acceptance to effect {figures[f'{name}_p50_ms']} ms at the median, {figures[f'{name}_p99_ms']} ms at the 99th"
        )
    if "ratio" in figures:
        print(f"power over {figures['peer']}: {figures['ratio']} times (least {figures['ratio_least']})")


if __name__ == "__main__":
    main()
