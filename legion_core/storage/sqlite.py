"""The durable journal: one SQLite file, one writer thread with group commit, two readers on snapshots."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar

import apsw

from legion_core.kernel.clock import Clock

T = TypeVar("T")
Connection: TypeAlias = apsw.Connection
ConstraintError = apsw.ConstraintError  # what a store may catch inside its own work: UNIQUE, NOT NULL, CHECK, …
Value: TypeAlias = None | int | float | str | bytes
Row: TypeAlias = tuple[Value, ...]
Durability = Literal["process", "power"]


@dataclass(frozen=True, slots=True)
class Migration:
    """A step of the schema: applied once, in the order given, in one transaction; `name` is recorded for ever.

    `sql` may hold many statements, but no BEGIN or COMMIT. Names are global within a file: `ledger-0001`.
    """

    name: str
    sql: str


def rows(connection: Connection, sql: str, args: Sequence[Value] = ()) -> list[Row]:
    """Run one statement and give all its rows; `args` fill its question marks. For use inside a work."""
    raise NotImplementedError


def row(connection: Connection, sql: str, args: Sequence[Value] = ()) -> Row | None:
    """The first row, or None. For use inside a work."""
    raise NotImplementedError


def execute(connection: Connection, sql: str, args: Sequence[Value] = ()) -> int:
    """Run one statement; gives how many rows it changed. For use inside a work."""
    raise NotImplementedError


class Database:
    """One file. `write` and `read` take a work: a plain function of a connection, run on the store's own threads.

    A work acts through its connection and its return value alone: it may be run a second time when a neighbour
    in its group broke the transaction, and it must not begin or commit. Works of one caller run in the order
    they were given. What was raised inside comes out of the await; failures of the world (disk full, read-only,
    damaged) come out as `LegionError`.
    """

    path: Path
    notes: tuple[str, ...]  # sentences about what was found at the opening, for a person; usually empty

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        migrations: Sequence[Migration],
        durability: Durability = "power",
        clock: Clock,
        queue_max: int = 10_000,
    ) -> "Database":
        """Open or create the file and bring its schema up to date.

        Raises ConfigError (a directory, another program's file, a newer schema, SQLite too old), Corrupt (empty,
        not a database, damaged; the file is left and a copy laid beside it), StorageFailed (no space, no
        permission).
        """
        raise NotImplementedError

    async def write(self, work: Callable[[Connection], T], *, durability: Durability | None = None) -> T:
        """Run `work` in a transaction and give its result once it is durable.

        All that waits is committed together, each work in its own savepoint: one that raises is undone alone.
        `power` has been fsynced when this returns, `process` outlives the process but not a power cut. Giving
        up the wait does not undo the write. Raises LimitReached when `queue_max` works wait already.
        """
        raise NotImplementedError

    def write_nowait(
        self, work: Callable[[Connection], T], *, durability: Durability | None = None
    ) -> "asyncio.Future[T]":
        """Queue the work and return its future; only on the loop's thread. See `write`."""
        raise NotImplementedError

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on one snapshot of all that was acknowledged before; writing there fails."""
        raise NotImplementedError

    async def check(self) -> list[str]:
        """What SQLite finds wrong with the file, one sentence each; empty is good. Reads the whole file."""
        raise NotImplementedError

    async def close(self) -> None:
        """Finish what is queued, checkpoint and close; harmless the second time."""
        raise NotImplementedError
