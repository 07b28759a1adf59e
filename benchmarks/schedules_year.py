"""A simulated year of schedules over three nodes that are killed at chance moments: is each moment decided once?

    python -m benchmarks.schedules_year [--days N] [--kills N] [--seed N] [--json]

Three processes share a journal and a clock of ours, which runs a year in as long as the decisions take; it also jumps
forwards and is set back. Every node decides all that is due whenever the clock has moved, as if its alarm had rung. Now
and then one is killed (SIGKILL) and another begins. Afterwards the moments on disk are held against a second reading of
the expressions, minute by minute (`tests/unit/engine/naive_cron.py`), and each against the one task it started and the
one effect that had.
"""

import argparse
import asyncio
import json
import mmap
import os
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import apsw

from legion_core.engine.extension import Context, function
from legion_core.storage.sqlite import Connection, execute

NODES = 3
START = datetime(2026, 1, 1, tzinfo=UTC)
STEP_MAX_S = 10_800.0
SETTLE_S = 120.0
CRON = {
    "quarters": ("*/15 * * * *", "UTC"),
    "hourly": ("7 * * * *", "America/St_Johns"),
    "night": ("30 2 * * *", "Europe/Berlin"),
    "gap": ("15,45 2 * * *", "America/New_York"),
    "half": ("30 1,2 * * *", "Australia/Lord_Howe"),
    "weekdays": ("0 9 * * MON-FRI", "Asia/Kolkata"),
    "month": ("0 0 L * *", "Pacific/Apia"),
    "both": ("0 12 1,15 * 1", "Africa/Casablanca"),
}
EVERY = {"even": 1_800.0, "odd": 2_718.281}


class SharedClock:
    """The clock of all processes: eight bytes of a file, written by the parent alone."""

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as stream:
            self._map = mmap.mmap(stream.fileno(), 16)

    def read(self) -> tuple[float, float]:
        """Seconds since the start by the date, and by a clock that never steps."""
        date_s, steady_s = struct.unpack("dd", self._map[:16])
        return date_s, steady_s

    def write(self, date_s: float, steady_s: float) -> None:
        """For the parent."""
        self._map[:16] = struct.pack("dd", date_s, steady_s)

    def monotonic_s(self) -> float:
        """See `Clock`."""
        return self.read()[1]

    def utc_now(self) -> datetime:
        """See `Clock`."""
        return START + timedelta(seconds=self.read()[0])

    def unix_s(self) -> float:
        """See `Clock`."""
        return self.utc_now().timestamp()


class Effects:
    """The runner: writes a row together with the task's end."""

    @function(effect="transactional")
    async def happen(self, context: Context) -> None:
        """Once for each task."""
        task = context.task_id

        def work(connection: Connection) -> None:
            execute(connection, "INSERT INTO effects_seen VALUES (?)", [task])

        context.defer(work)


async def node(home: Path) -> None:
    """One process: decides whenever the clock has moved, until it is killed or told to end."""
    from legion_core.engine import schedule_store
    from legion_core.testing.schedules import open_scheduler

    schedule_store.OCCURRENCES_KEPT = 10**9  # a year of them is judged at its end
    clock = SharedClock(home / "clock")
    told_to_end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told_to_end.set)
    async with open_scheduler(home, {"a.b": Effects()}, clock) as here:  # type: ignore[arg-type]
        print("ready", flush=True)
        seen = (-1.0, -1.0)
        while not told_to_end.is_set():
            if (now := clock.read()) != seen:
                seen = now
                await here.turn()
            await asyncio.sleep(0.002)


async def prepare(home: Path) -> None:
    """The schedules, on a fresh journal."""
    from legion_core.testing.schedules import open_scheduler

    clock = SharedClock(home / "clock")
    async with open_scheduler(home, {"a.b": Effects()}, clock, works=False) as here:  # type: ignore[arg-type]
        policy: dict[str, object] = {"missed": "all", "missed_max": 1_000, "overlap": "allow"}
        for name, (cron, zone) in CRON.items():
            await here.add(name, "a.b.happen", cron=cron, zone=zone, **policy)
        for name, every_s in EVERY.items():
            await here.add(name, "a.b.happen", every_s=every_s, **policy)
        await here.database.write(
            lambda connection: execute(connection, "CREATE TABLE effects_seen (task TEXT NOT NULL)")
        )


def begin(home: Path) -> "subprocess.Popen[str]":
    """Start a node and wait until it decides."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.schedules_year", "--node", str(home)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parent.parent,
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "ready", "a node did not start"
    return process


def due(home: Path, now_ms: int) -> int:
    """How many schedules wait to be decided, asked of the file itself."""
    connection = apsw.Connection(str(home / "journal.db"), flags=apsw.SQLITE_OPEN_READONLY)
    connection.set_busy_timeout(30_000)
    ((count,),) = list(
        connection.execute("SELECT count(*) FROM schedules WHERE next > 0 AND next <= ?", (now_ms,))
    )
    connection.close()
    return int(count)


def live(home: Path, days: float, kills: int, chance: random.Random) -> dict[str, Any]:
    """Let the time pass, and kill; what was done to the nodes."""
    clock = SharedClock(home / "clock")
    nodes = [begin(home) for _ in range(NODES)]
    date_s, steady_s, end_s = 0.0, 0.0, days * 86_400
    kill_at = sorted(chance.uniform(0, end_s) for _ in range(kills))
    back_at = sorted(chance.uniform(0, end_s) for _ in range(max(2, kills // 10)))
    done = {"kills": 0, "set_back": 0, "steps": 0}
    try:
        while date_s < end_s:
            step_s = chance.uniform(1.0, STEP_MAX_S)
            date_s, steady_s = min(end_s, date_s + step_s), steady_s + step_s
            if back_at and date_s > back_at[0]:
                back_at.pop(0)
                date_s -= min(3 * 3600.0, date_s)
                done["set_back"] += 1
            clock.write(date_s, steady_s)
            done["steps"] += 1
            if kill_at and date_s > kill_at[0]:
                kill_at.pop(0)
                time.sleep(chance.uniform(0, 0.01))
                victim = nodes.pop(chance.randrange(len(nodes)))
                victim.kill()
                victim.wait()
                done["kills"] += 1
                nodes.append(begin(home))
            deadline = time.monotonic() + SETTLE_S
            while due(home, int((START.timestamp() + date_s) * 1000)):
                assert time.monotonic() < deadline, "what is due is not decided"
                time.sleep(0.001)
        settle(home)
    finally:
        for process in nodes:
            process.terminate()
        for process in nodes:
            process.wait()
    return done


def settle(home: Path) -> None:
    """Until every task has ended."""
    deadline = time.monotonic() + SETTLE_S
    while time.monotonic() < deadline:
        connection = apsw.Connection(str(home / "journal.db"), flags=apsw.SQLITE_OPEN_READONLY)
        connection.set_busy_timeout(30_000)
        ((waiting,),) = list(
            connection.execute(
                "SELECT count(*) FROM tasks WHERE status NOT IN ('succeeded', 'failed', 'dead')"
            )
        )
        connection.close()
        if not waiting:
            return
        time.sleep(0.02)


def judge(home: Path, days: float) -> dict[str, Any]:
    """The moments on disk against the second reading; tasks and effects against the moments."""
    from tests.unit.engine.naive_cron import fires

    connection = apsw.Connection(str(home / "journal.db"), flags=apsw.SQLITE_OPEN_READONLY)
    found: dict[str, list[datetime]] = {}
    tasks: list[str] = []
    skipped = 0
    for name, at, status, task in connection.execute(
        "SELECT s.name, o.at, o.status, o.task FROM occurrences o JOIN schedules s ON s.id = o.schedule"
    ):
        if status != "started":
            skipped += 1
            continue
        found.setdefault(str(name), []).append(datetime.fromtimestamp(int(at) / 1000, UTC))
        tasks.append(str(task))
    end = START + timedelta(days=days)
    lost = doubled = strange = 0
    for name, (cron, zone) in CRON.items():
        wanted = Counter(fires(cron, zone, START, end))
        got = Counter(found.get(name, []))
        lost += sum((wanted - got).values())
        strange += sum((got - wanted).values())
    for name, every_s in EVERY.items():
        moments = sorted(found.get(name, []))
        gaps = [(after - before).total_seconds() for before, after in pairwise(moments)]
        doubled += sum(gap <= 0 for gap in gaps)
        if moments:
            # An interval is counted from where the clock was set back, so it may be cut short there, never missed.
            lost += sum(gap > every_s + 0.002 for gap in gaps)
    effects = Counter(str(task) for (task,) in connection.execute("SELECT task FROM effects_seen"))
    doubled += sum(count - 1 for count in Counter(tasks).values())
    doubled += sum(count - 1 for count in effects.values())
    lost += len(set(tasks) - set(effects))
    strange += len(set(effects) - set(tasks))
    connection.close()
    return {"moments": len(tasks), "lost": lost, "doubled": doubled, "strange": strange, "skipped": skipped}


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--days", type=float, default=365.0)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--node", metavar="HOME")
    args = parser.parse_args()
    if args.node:
        asyncio.run(node(Path(args.node)))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "clock").write_bytes(bytes(16))
        started_s = time.monotonic()
        asyncio.run(prepare(home))
        done = live(home, args.days, args.kills, random.Random(args.seed))
        report = {"days": args.days, **done, **judge(home, args.days), "took_s": time.monotonic() - started_s}
    print(json.dumps(report) if args.json else "\n".join(f"{name} {value}" for name, value in report.items()))
    return 1 if report["lost"] or report["doubled"] or report["strange"] else 0


if __name__ == "__main__":
    os.environ.setdefault("PYTHONHASHSEED", "0")
    sys.exit(main())
