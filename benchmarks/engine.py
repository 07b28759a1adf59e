"""Durable jobs a second and the delay from acceptance to effect, beside four task queues in one interleaved run.

    python -m benchmarks.engine [--json] [--rounds N] [--jobs N] [--fsync-ms MS] [--only ARM …]

A job appends one byte to a file. Ours is accepted durably before it is acknowledged, and its end and result are durable
too: once with `power` (fsync before each acknowledgement), once with `process` (survives kill -9). The peers promise
less and are driven as their documentation says:

    huey                Huey on SQLite with its default synchronous mode, two worker threads; no end of a job in flight
    taskiq              Taskiq on RabbitMQ: publisher confirms, acknowledged when ended; no result
    celery              Celery on RabbitMQ, late acknowledgements; no confirms, no result
    dramatiq            Dramatiq on RabbitMQ, as it comes: no confirms, no result
    dramatiq_confirms   the same, each job confirmed by the broker before it counts as sent
    dramatiq_confirms_8 the same with eight senders side by side, as a confirm is mostly waiting

Ours has 200 callers on its loop, as has Taskiq; the others' senders block, so there is one. `power_one` is ours with one
caller, who waits for each job to be durable before the next.
Each arm runs in processes of its own, the arms of a round in shuffled order, and the number of effects is checked. As
disks differ eighty-fold, fsync and fdatasync of every process of every arm, the broker's included, are held at 4 ms by
`fsync_shim.c`; `--fsync-ms 0` leaves the disk as it is. Jobs a second are counted from the first one sent to the last
effect (ours: to the last end on disk). What the peers need is prepared on first use (`benchmarks.engine_peers`).
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
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.engine_peers import HERE, Broker, Ground, held, prepare
from legion_core.engine.extension import function
from legion_core.engine.orders import Order
from legion_core.kernel.ports import LOCAL_OWNER
from legion_core.storage.sqlite import Durability
from legion_core.testing.tasks import open_engine

CALLERS = 200
PROBES = 60
OURS: Mapping[str, tuple[Durability, int]] = {
    "power": ("power", CALLERS),
    "process": ("process", CALLERS),
    "power_one": ("power", 1),
}
# What is slower gets so much fewer jobs: each arm shall take a few seconds.
SHARE = {
    "power_one": 40,
    "huey": 40,
    "taskiq": 15,
    "celery": 7,
    "dramatiq": 5,
    "dramatiq_confirms": 40,
    "dramatiq_confirms_8": 20,
}
ARM_MAX_S = 400.0
HELD_SLACK = 1.5  # where fsync takes longer than what it is held at times this, the disk is the slower one


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


async def measure(name: str, folder: Path, jobs: int, probes: int = PROBES) -> dict[str, Any]:
    """One arm of ours in one round."""
    durability, callers = OURS[name]
    effects = Effects(folder / "effects")
    async with open_engine(folder, {"bench.it": effects}, durability=durability) as here:
        order = Order(task="bench.it.append")
        await here.engine.wait((await here.engine.submit(LOCAL_OWNER, order)).id)
        left = iter(range(jobs))

        async def caller() -> None:
            for _ in left:
                await here.engine.submit(LOCAL_OWNER, order)

        cpu_s, start_s = time.process_time(), time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(callers)))
        accepted_s = time.perf_counter() - start_s
        await effects.reach(jobs + 1)
        while await here.engine.counts():  # the ends, too, are durable
            await asyncio.sleep(0.001)
        whole_s, cpu_s = time.perf_counter() - start_s, time.process_time() - cpu_s
        latencies: list[float] = []
        for number in range(probes):
            await asyncio.sleep(0.02)  # idle in between
            begin_s = time.perf_counter()
            submitted = asyncio.ensure_future(here.engine.submit(LOCAL_OWNER, order))
            await effects.reach(jobs + number + 2)
            latencies.append(time.perf_counter() - begin_s)
            await submitted
    happened = (folder / "effects").stat().st_size
    assert happened == jobs + 1 + probes, f"{happened} effects of {jobs + 1 + probes}"
    return {
        "accept_per_s": jobs / accepted_s,
        "done_per_s": jobs / whole_s,
        "cpu_us": cpu_s / jobs * 1e6,
        "latencies_s": latencies,
        "fsync_ms": fsync_ms(folder),
    }


def fsync_ms(folder: Path) -> float:
    """What one small append and fsync costs on this disk, median of twenty."""
    times: list[float] = []
    with tempfile.NamedTemporaryFile(buffering=0, dir=folder) as stream:
        for _ in range(20):
            start_s = time.perf_counter()
            stream.write(b"x" * 4096)
            os.fsync(stream.fileno())
            times.append(time.perf_counter() - start_s)
    return statistics.median(times) * 1e3


class Arms:
    """Runs arms, each in processes of its own, under one environment."""

    def __init__(self, ground: Ground, environment: Mapping[str, str], jobs: int) -> None:
        self._ground = ground
        self._environment = environment
        self._jobs = jobs
        self._broker: Broker | None = None
        self._count = 0

    def names(self) -> list[str]:
        """What can run here."""
        found = list(OURS)
        if self._ground.python is not None:
            peers = [name for name in SHARE if name not in OURS]
            found += [name for name in peers if name == "huey" or self._ground.server is not None]
        return found

    def start_broker(self) -> None:
        """Once for all rounds; idle while others run."""
        assert self._ground.server is not None
        self._broker = Broker(self._ground.server, self._environment)
        shim = self._ground.shim
        if shim is not None and "LD_PRELOAD" in self._environment and not self._broker.is_held_by(shim):
            raise SystemExit("The shim over fsync is not in the broker, so the arms cannot be compared.")

    def run(self, name: str) -> dict[str, Any]:
        """One round of one arm."""
        self._count += 1
        with tempfile.TemporaryDirectory(prefix="legion-bench-") as folder:
            environment = dict(self._environment) | {
                "LEGION_BENCH_FOLDER": folder,
                "LEGION_BENCH_NAME": f"bench{self._count}",
                "LEGION_BENCH_CONFIRMS": str(int("_confirms" in name)),
                "LEGION_BENCH_SENDERS": "8" if name.endswith("_8") else "1",
            }
            if self._broker is not None:
                environment["LEGION_BENCH_AMQP_URL"] = self._broker.url
                environment["LEGION_BENCH_BROKER"] = str(self._broker.session)
            done = subprocess.run(
                self._command(name, folder),
                env=environment,
                capture_output=True,
                text=True,
                check=False,
                timeout=ARM_MAX_S,
            )
            if done.returncode:
                log = Path(folder, "worker.log")
                said = log.read_text("utf-8", "replace")[-1000:] if log.exists() else ""
                raise SystemExit(f"{name} failed: {done.stderr[-2000:]} {said}")
        return json.loads(done.stdout.splitlines()[-1])

    def _command(self, name: str, folder: str) -> list[str]:
        jobs = max(50, self._jobs // SHARE.get(name, 1))
        if name in OURS:
            ours = [sys.executable, "-m", "benchmarks.engine", "--arm", name, "--folder", folder]
            return [*ours, "--jobs", str(jobs)]
        script = HERE / f"engine_peer_{name.partition('_')[0]}.py"
        return [str(self._ground.python), str(script), str(jobs), str(PROBES // 2)]

    def close(self) -> None:
        """End the broker."""
        if self._broker is not None:
            self._broker.stop()


def figures_of(shots: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """Medians of each arm, and what ours is over each peer: the median of the rounds' ratios and the least of them."""
    figures: dict[str, Any] = {}
    for name, found in shots.items():
        delays = sorted(delay for shot in found for delay in shot["latencies_s"])
        figures |= {
            f"{name}_jobs_per_s": round(statistics.median(shot["done_per_s"] for shot in found)),
            f"{name}_accept_per_s": round(statistics.median(shot["accept_per_s"] for shot in found)),
            f"{name}_cpu_us": round(statistics.median(shot["cpu_us"] for shot in found)),
            f"{name}_p50_ms": round(_quantile(delays, 0.5) * 1e3, 2),
            f"{name}_p99_ms": round(_quantile(delays, 0.99) * 1e3, 2),
        }
        if name in OURS or "power" not in shots:
            continue
        figures[f"{name}_is"] = found[0]["peer"]
        pairs = zip(shots["power"], found, strict=True)
        ratios = [ours["done_per_s"] / peer["done_per_s"] for ours, peer in pairs]
        figures[f"over_{name}"] = round(statistics.median(ratios), 1)
        figures[f"over_{name}_least"] = round(min(ratios), 1)
    return figures


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def print_table(figures: Mapping[str, Any], names: Sequence[str]) -> None:
    """For people."""
    print(
        f"fsync {figures['fsync_ms']} ms (disk {figures['disk_fsync_ms']} ms), load {figures['load']}, "
        f"{figures['rounds']} rounds"
    )
    for name in names:
        over = f", power is {figures[f'over_{name}']} times that" if f"over_{name}" in figures else ""
        print(
            f"{figures.get(f'{name}_is', name):<28} {figures[f'{name}_jobs_per_s']:>7,} jobs/s, "
            f"{figures[f'{name}_cpu_us']:>5} µs of processor a job, acceptance to effect "
            f"{figures[f'{name}_p50_ms']} ms at the median, {figures[f'{name}_p99_ms']} ms at the 99th{over}"
        )
    for sentence in figures["missing"]:
        print(sentence)


def main() -> None:
    """Run the arms in shuffled order, several rounds, and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--fsync-ms", type=float, default=4.0, help="0: as the disk is")
    parser.add_argument("--only", nargs="+", default=[], metavar="ARM")
    parser.add_argument("--arm", choices=[*OURS], help="run this one here (for the benchmark itself)")
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    if asked.arm is not None:
        print(json.dumps(asyncio.run(measure(asked.arm, asked.folder, asked.jobs))))
        return
    ground = prepare(with_peers=not asked.only or not set(asked.only) <= OURS.keys())
    arms = Arms(ground, held(ground.shim, round(asked.fsync_ms * 1000)), asked.jobs)
    names = [name for name in arms.names() if not asked.only or name in asked.only]
    shots: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    chance = random.Random(1)
    disk_ms = fsync_ms(Path(tempfile.gettempdir()))
    try:
        if not set(names) <= {*OURS, "huey"}:
            arms.start_broker()
        for _ in range(asked.rounds):
            for name in chance.sample(names, len(names)):
                shots[name].append(arms.run(name))
    finally:
        arms.close()
    figures = {
        "rounds": asked.rounds,
        "disk_fsync_ms": round(disk_ms, 2),
        "load": round(os.getloadavg()[0], 1),
        "missing": ground.missing,
    } | figures_of(shots)
    probes = [shot["fsync_ms"] for name in OURS for shot in shots.get(name, ())]
    figures["fsync_ms"] = round(statistics.median(probes), 2) if probes else 0.0
    if asked.fsync_ms and figures["fsync_ms"] > asked.fsync_ms * HELD_SLACK:
        ground.missing.append(
            f"This disk is slower than the {asked.fsync_ms} ms that fsync was to be held at."
        )
    if asked.json:
        print(json.dumps(figures))
    else:
        print_table(figures, names)


if __name__ == "__main__":
    main()
