"""A process of its own that writes to a journal and tells each acknowledgement, until it is done or killed.

    python writer_child.py PATH DURABILITY FIRST COUNT [REOPENINGS]

Prints `ack NUMBER` for each row the journal acknowledged, and `done`. With `LEGION_TEST_DIE_AT=site:n` it kills
itself at the n-th visit of that fault site.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from legion_core.kernel import faults
from legion_core.kernel.clock import SystemClock
from legion_core.storage.sqlite import Connection, Database, Migration, execute

MIGRATIONS = (
    Migration("t-0001", "CREATE TABLE t (number INTEGER PRIMARY KEY, pair INTEGER, load TEXT) STRICT"),
    Migration("t-0002", "ALTER TABLE t ADD COLUMN mark TEXT; UPDATE t SET mark = 'marked'"),
    Migration("t-0003", "CREATE INDEX t_pair ON t (pair); CREATE TABLE u (number INTEGER PRIMARY KEY)"),
)
STEPS = int(os.environ.get("LEGION_TEST_STEPS", str(len(MIGRATIONS))))


def arm() -> None:
    wish = os.environ.get("LEGION_TEST_DIE_AT")
    if not wish:
        return
    name, _, count = wish.partition(":")
    left = [int(count)]

    def hook(site: str) -> None:
        if site == name:
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    faults.arm(hook)


async def main(path: Path, durability: str, first: int, count: int, reopenings: int) -> None:
    assert durability in ("process", "power")

    async def write(database: Database, number: int) -> None:
        def work(connection: Connection) -> None:
            # Two rows in one work: they must appear together or not at all.
            for one in (number, -number - 1):
                execute(
                    connection,
                    "INSERT INTO t (number, pair, load) VALUES (?, ?, ?)",
                    (one, number, "x" * (number % 700)),
                )

        await database.write(work)
        os.write(1, b"ack %d\n" % number)

    numbers = iter(range(first, first + count))

    async def worker(database: Database, share: int) -> None:
        for _ in range(share):
            await write(database, next(numbers))

    for _ in range(reopenings):
        database = await Database.open(
            path, migrations=MIGRATIONS[:STEPS], durability=durability, clock=SystemClock()
        )
        lanes = 8
        await asyncio.gather(*(worker(database, count // reopenings // lanes) for _ in range(lanes)))
        await database.close()
    os.write(1, b"done\n")


if __name__ == "__main__":
    arm()
    path, durability, first, count, *rest = sys.argv[1:]
    asyncio.run(main(Path(path), durability, int(first), int(count), int(rest[0]) if rest else 1))
