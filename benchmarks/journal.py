"""Durable rows a second: the journal's group commit beside one commit a row, in one interleaved run.

    python -m benchmarks.journal [--json] [--rounds N]

Both arms insert the same rows into a WAL file on the same disk and have each row fsynced (synchronous=FULL) before it
counts. The peer is the standard library's `sqlite3`, one transaction a row, which is what a store without a writer
thread does. A third arm shows the journal with a single caller, where there is nothing to group.
"""

import argparse
import asyncio
import gc
import json
import os
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from legion_core.kernel.clock import SystemClock
from legion_core.storage.sqlite import Connection, Database, Migration, execute, rows

SCHEMA = "CREATE TABLE t (id INTEGER PRIMARY KEY, load TEXT NOT NULL)"
LOAD = "x" * 200
CALLERS = 64
GROUPED_ROWS = 4000
SINGLE_ROWS = 300


@dataclass(frozen=True, slots=True)
class Shot:
    """One arm in one round."""

    rows_per_s: float
    cpu_us_per_row: float


def measured(count: int, work: Callable[[], None]) -> Shot:
    """Wall and processor time of `work`, which makes `count` rows durable."""
    gc.collect()
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    work()
    wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
    return Shot(count / wall_s, cpu_s / count * 1e6)


def insert(connection: Connection) -> int:
    """One row, as a store would write it."""
    return execute(connection, "INSERT INTO t (load) VALUES (?)", (LOAD,))


def journal(folder: Path, callers: int, count: int) -> Shot:
    """`count` rows by `callers` at once, each awaited before its caller's next."""

    async def run() -> Shot:
        database = await Database.open(
            folder / "journal.db", migrations=(Migration("t", SCHEMA),), clock=SystemClock()
        )

        async def caller() -> None:
            for _ in range(count // callers):
                await database.write(insert)

        await database.write(insert)
        gc.collect()
        cpu_s, wall_s = time.process_time(), time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(callers)))
        wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
        made = count // callers * callers
        ((there,),) = await database.read(lambda connection: rows(connection, "SELECT count(*) FROM t"))
        assert there == made + 1
        await database.close()
        return Shot(made / wall_s, cpu_s / made * 1e6)

    return asyncio.run(run())


def one_by_one(folder: Path, count: int) -> Shot:
    """The peer: the standard library, a transaction for each row."""
    connection = sqlite3.connect(folder / "peer.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(SCHEMA)

    def work() -> None:
        for _ in range(count):
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO t (load) VALUES (?)", (LOAD,))
            connection.execute("COMMIT")

    shot = measured(count, work)
    connection.close()
    return shot


def fsync_us(folder: Path) -> float:
    """What one small append and fsync costs on this disk, median of fifty."""
    times: list[float] = []
    with (folder / "probe").open("ab", buffering=0) as stream:
        for _ in range(50):
            start_s = time.perf_counter()
            stream.write(b"x" * 4096)
            os.fsync(stream.fileno())
            times.append(time.perf_counter() - start_s)
    return statistics.median(times) * 1e6


def main() -> None:
    """Run the arms in shuffled order, several rounds, and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=7)
    asked = parser.parse_args()
    arms: dict[str, Callable[[Path], Shot]] = {
        "grouped": lambda folder: journal(folder, CALLERS, GROUPED_ROWS),
        "alone": lambda folder: journal(folder, 1, SINGLE_ROWS),
        "sqlite3": lambda folder: one_by_one(folder, SINGLE_ROWS),
    }
    shots: dict[str, list[Shot]] = {name: [] for name in arms}
    probes: list[float] = []
    order, chance = list(arms), random.Random(1)
    for _ in range(asked.rounds):
        chance.shuffle(order)
        for name in order:
            with tempfile.TemporaryDirectory() as folder:
                probes.append(fsync_us(Path(folder)))
                shots[name].append(arms[name](Path(folder)))
    rate = {name: statistics.median(shot.rows_per_s for shot in found) for name, found in shots.items()}
    cpu = {name: statistics.median(shot.cpu_us_per_row for shot in found) for name, found in shots.items()}
    ratios = [
        ours.rows_per_s / peer.rows_per_s
        for ours, peer in zip(shots["grouped"], shots["sqlite3"], strict=True)
    ]
    figures = {
        "rows_per_s": round(rate["grouped"]),
        "rows_per_s_alone": round(rate["alone"]),
        "rows_per_s_sqlite3": round(rate["sqlite3"]),
        "ratio": round(statistics.median(ratios), 1),
        "ratio_least": round(min(ratios), 1),
        "cpu_us_per_row": round(cpu["grouped"], 1),
        "cpu_us_per_row_sqlite3": round(cpu["sqlite3"], 1),
        "fsync_us": round(statistics.median(probes)),
        "rounds": asked.rounds,
        "callers": CALLERS,
        "peer": f"sqlite3 {sqlite3.sqlite_version}, one commit a row",
    }
    if asked.json:
        print(json.dumps(figures))
        return
    print(f"fsync of this disk: {figures['fsync_us']} µs; {asked.rounds} rounds, order shuffled")
    print(
        f"journal, {CALLERS} callers:  {rate['grouped']:>9,.0f} durable rows/s, {cpu['grouped']:6.1f} µs of processor a row"
    )
    print(
        f"journal, one caller:  {rate['alone']:>9,.0f} durable rows/s, {cpu['alone']:6.1f} µs of processor a row"
    )
    print(
        f"sqlite3, one by one:  {rate['sqlite3']:>9,.0f} durable rows/s, {cpu['sqlite3']:6.1f} µs of processor a row"
    )
    print(
        f"group commit over one by one: {figures['ratio']} times (least of the rounds {figures['ratio_least']})"
    )


if __name__ == "__main__":
    main()
