"""Ten thousand tasks whose time comes at the same moment: how long until each of them has begun.

    python -m benchmarks.due [--tasks 10000] [--rounds 5] [--fsync-ms 4] [--json]

They are accepted long before, durably, with dates that fall together; then the moment is waited for. Counted is from
that moment to the first and to the last effect, in class `power`. fsync is held at 4 ms, as in `benchmarks.engine`.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.engine import fsync_ms
from benchmarks.engine_peers import held, prepare
from legion_core.engine.extension import function
from legion_core.engine.orders import Order
from legion_core.kernel.ports import LOCAL_OWNER
from legion_core.testing.tasks import open_engine

BATCH = 1_000
AHEAD_S = 2.0  # at least so long after the last was accepted


class Effects:
    """The function under test: notes when it was called."""

    def __init__(self, count: int) -> None:
        self._count = count
        self.at_s: list[float] = []
        self.all = asyncio.Event()

    @function(effect="pure")
    async def note(self) -> None:
        """The date, in seconds."""
        self.at_s.append(time.time())
        if len(self.at_s) == self._count:
            self.all.set()


async def measure(folder: Path, count: int, ahead_s: float = AHEAD_S) -> dict[str, float]:
    """One round, in this process."""
    effects = Effects(count)
    async with open_engine(folder, {"due.it": effects}, durability="power") as here:
        moment_s = time.time() + ahead_s + count / 2_000
        for begin in range(0, count, BATCH):
            orders = [
                Order(task="due.it.note", delay_s=moment_s - time.time())
                for _ in range(min(BATCH, count - begin))
            ]
            await here.engine.submit_many(LOCAL_OWNER, orders)
        assert not effects.at_s, "accepting took longer than the time ahead"
        cpu_s = time.process_time()
        await effects.all.wait()
        cpu_s = time.process_time() - cpu_s
        while await here.engine.counts():
            await asyncio.sleep(0.01)
        tasks = await here.engine.page(limit=1)
        assert tasks[0][1].status == "succeeded"
    assert len(effects.at_s) == count
    return {
        "first_ms": (min(effects.at_s) - moment_s) * 1e3,
        "last_s": max(effects.at_s) - moment_s,
        "cpu_us": cpu_s / count * 1e6,
        "fsync_ms": fsync_ms(folder),
    }


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--fsync-ms", type=float, default=4.0, help="0: as the disk is")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--folder", type=Path, help="one round here (for the benchmark itself)")
    asked = parser.parse_args()
    if asked.folder is not None:
        print(json.dumps(asyncio.run(measure(asked.folder, asked.tasks))))
        return
    ground = prepare(with_peers=False)
    environment = held(ground.shim, round(asked.fsync_ms * 1000))
    rounds: list[dict[str, float]] = []
    for _ in range(asked.rounds):
        with tempfile.TemporaryDirectory(prefix="legion-due-") as folder:
            command = [
                sys.executable,
                "-m",
                "benchmarks.due",
                "--folder",
                folder,
                "--tasks",
                str(asked.tasks),
            ]
            done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        rounds.append(json.loads(done.stdout.splitlines()[-1]))
    figures: dict[str, Any] = {
        name: round(statistics.median(each[name] for each in rounds), 2) for name in rounds[0]
    }
    figures |= {"worst_s": round(max(each["last_s"] for each in rounds), 2), "rounds": asked.rounds}
    figures["missing"] = ground.missing
    print(json.dumps(figures) if asked.json else figures)


if __name__ == "__main__":
    main()
