"""Ten thousand schedules due in the same second: how long until the last of them has begun to run?

    python -m benchmarks.schedules_due [--schedules N] [--rounds N] [--json]

Each moment is decided, written and its task begun durably (class `power`); the clock is real and so is the alarm. The
peer is APScheduler 3 with as many jobs in its memory, which writes nothing to disk; it runs in the same rounds, in an
environment of its own (`~/.cache/legion-bench-apscheduler`), and is left out where that cannot be made.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from legion_core.engine import schedule_store as store
from legion_core.engine.extension import function
from legion_core.engine.journal import MIGRATIONS as ENGINE
from legion_core.engine.registry import Registry
from legion_core.engine.schedule_migrations import MIGRATIONS as SCHEDULES
from legion_core.engine.schedule_service import Scheduler
from legion_core.engine.schedule_store import Stored
from legion_core.engine.schedule_targets import Targets
from legion_core.engine.schedule_types import ScheduleSpec
from legion_core.engine.service import Engine
from legion_core.kernel.clock import SystemClock
from legion_core.kernel.events import EventBus
from legion_core.kernel.ids import Ids, system_rng
from legion_core.kernel.ports import OwnerOnly
from legion_core.kernel.supervise import Supervisor
from legion_core.storage.sqlite import Connection, Database

PEER_HOME = Path.home() / ".cache" / "legion-bench-apscheduler"
LEAD_S = 1.5
PEER = """
import asyncio, datetime, sys, time
from apscheduler.schedulers.asyncio import AsyncIOScheduler
count, lead_s = int(sys.argv[1]), float(sys.argv[2])
begun = 0
done = asyncio.Event()
async def job():
    global begun
    begun += 1
    if begun == count:
        done.set()
async def main():
    scheduler = AsyncIOScheduler(job_defaults={"misfire_grace_time": 60})
    at = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=lead_s)
    scheduler.start(paused=True)
    for _ in range(count):
        scheduler.add_job(job, "cron", year="*", second=at.second, minute=at.minute, start_date=at.replace(microsecond=0), timezone="UTC")
    scheduler.resume()
    due = at.replace(microsecond=0).timestamp()
    assert time.time() < due, "too slow to add them"
    await done.wait()
    print(time.time() - due, time.process_time())
    scheduler.shutdown(wait=False)
asyncio.run(main())
"""


class Box:
    """The runner: counts."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.begun = 0
        self.done = asyncio.Event()
        self.first_s = self.last_s = 0.0

    @function(effect="pure")
    async def tick(self) -> None:
        """Nothing but its own beginning."""
        self.begun += 1
        if self.begun == 1:
            self.first_s = time.time()
        if self.begun == self.count:
            self.last_s = time.time()
            self.done.set()


async def ours(count: int) -> dict[str, float]:
    """Seconds from the due moment to the first and the last begin."""
    with tempfile.TemporaryDirectory() as folder:
        home, clock, rng = Path(folder), SystemClock(), system_rng()
        bus, supervisor, ids, box = EventBus(clock), Supervisor(), Ids(clock, rng), Box(count)
        database = await Database.open(
            home / "journal.db", migrations=(*ENGINE, *SCHEDULES), durability="power", clock=clock
        )
        registry = Registry({"a.b": box}, home / "extensions")
        engine = Engine(clock, ids, rng, bus, supervisor, OwnerOnly(), database, registry, home / "run")
        targets = Targets(engine, database, rng, lambda: None)
        scheduler = Scheduler(clock, ids, bus, supervisor, OwnerOnly(), database, engine, targets)
        await engine.serve()
        due_ms = (int((time.time() + LEAD_S) * 1000) // 1000 + 1) * 1000

        def fill(connection: Connection) -> None:
            for number in range(count):
                spec = ScheduleSpec(name=f"s{number}", target="a.b.tick", cron="0 0 1 1 *")
                store.insert(
                    connection,
                    Stored(
                        id=ids.new("sched"),
                        spec=spec,
                        who="owner",
                        state="active",
                        anchor_ms=0,
                        due_ms=due_ms,
                        next_ms=due_ms,
                        created_ms=0,
                        changed_ms=0,
                    ),
                )

        await database.write(fill)
        # As a node that starts finds them: `_set_back` would move what is due once a year to its own moment.
        scheduler.open_alarm()
        assert scheduler.alarm is not None
        scheduler.alarm.set(due_ms)
        await scheduler.rung()
        cpu_s = time.process_time()
        await scheduler.turn()
        await box.done.wait()
        cpu_s = time.process_time() - cpu_s
        found = {"first_s": box.first_s - due_ms / 1000, "last_s": box.last_s - due_ms / 1000, "cpu_s": cpu_s}
        await engine.stop()
        await supervisor.stop()
        scheduler.alarm.close()
        await database.close()
        return found


def peer_python() -> Path | None:
    """The peer's interpreter, made once; None where it cannot be had."""
    python = PEER_HOME / "bin" / "python"
    if not python.exists():
        made = subprocess.run(["uv", "venv", "-q", str(PEER_HOME)], capture_output=True, check=False)
        if made.returncode:
            return None
        wanted = ["uv", "pip", "install", "-q", "--python", str(python), "apscheduler>=3.11,<4"]
        if subprocess.run(wanted, capture_output=True, check=False).returncode:
            return None
    return python


def peer(python: Path, count: int) -> dict[str, float]:
    """The same of APScheduler."""
    lead_s = LEAD_S + count / 3_000
    for _ in range(4):
        ran = subprocess.run(
            [str(python), "-c", PEER, str(count), str(lead_s)], capture_output=True, text=True, check=False
        )
        if not ran.returncode:
            last_s, cpu_s = map(float, ran.stdout.split())
            return {"last_s": last_s, "cpu_s": cpu_s}
        lead_s *= 2  # it was still adding its jobs when they were due
    raise RuntimeError(ran.stderr)


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--schedules", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    python = peer_python()
    mine: list[dict[str, float]] = []
    theirs: list[dict[str, float]] = []
    for _ in range(args.rounds):
        mine.append(asyncio.run(ours(args.schedules)))
        if python is not None:
            theirs.append(peer(python, args.schedules))
    report: dict[str, Any] = {
        "schedules": args.schedules,
        "first_s": round(statistics.median(each["first_s"] for each in mine), 3),
        "last_s": round(statistics.median(each["last_s"] for each in mine), 3),
        "worst_s": round(max(each["last_s"] for each in mine), 3),
        "cpu_s": round(statistics.median(each["cpu_s"] for each in mine), 3),
        "load": os.getloadavg()[0],
    }
    if theirs:
        report["apscheduler_last_s"] = round(statistics.median(each["last_s"] for each in theirs), 3)
        report["apscheduler_cpu_s"] = round(statistics.median(each["cpu_s"] for each in theirs), 3)
    print(json.dumps(report) if args.json else "\n".join(f"{name} {value}" for name, value in report.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
