"""The steps of a schema: each applied once, in order, in a transaction of its own, its name recorded."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from legion_core.kernel.clock import Clock, iso
from legion_core.kernel.errors import ConfigError
from legion_core.kernel.faults import fault
from legion_core.storage.statements import Connection, execute, row, rows, script

_TABLE = (
    "CREATE TABLE IF NOT EXISTS legion_migrations (name TEXT PRIMARY KEY, applied_at TEXT NOT NULL) STRICT"
)


@dataclass(frozen=True, slots=True)
class Migration:
    """A step of the schema: applied once, in the order given, in one transaction; `name` is recorded for ever.

    `sql` may hold many statements, but no BEGIN or COMMIT. Names are global within a file: `ledger-0001`.
    """

    name: str
    sql: str


def pending(connection: Connection, migrations: Sequence[Migration], path: Path) -> list[Migration]:
    """The steps not yet applied; raises ConfigError if the file holds a step we do not know."""
    applied = _applied(connection)
    unknown = sorted(applied - {migration.name for migration in migrations})
    if unknown:
        raise ConfigError(
            f"{path} was written by a newer version of the workbench (step {unknown[0]!r} is unknown here).",
            hint="Start the newer version, or set LEGION_HOME to another directory. Nothing was changed.",
        )
    return [migration for migration in migrations if migration.name not in applied]


def apply(connection: Connection, migrations: Sequence[Migration], clock: Clock) -> None:
    """Apply what is missing; safe while another process does the same."""
    names = [migration.name for migration in migrations]
    assert len(set(names)) == len(names), f"two migrations share a name: {names}"
    for migration in migrations:
        script(connection, "BEGIN IMMEDIATE")
        try:
            script(connection, _TABLE)
            if migration.name not in _applied(connection):
                fault("storage.write")
                script(connection, migration.sql)
                stamp = (migration.name, iso(clock.utc_now()))
                execute(connection, "INSERT INTO legion_migrations VALUES (?, ?)", stamp)
                assert connection.in_transaction, f"migration {migration.name!r} ended its transaction"
            script(connection, "COMMIT")
        except BaseException:
            if connection.in_transaction:
                script(connection, "ROLLBACK")
            raise


def _applied(connection: Connection) -> set[str]:
    if row(connection, "SELECT 1 FROM sqlite_schema WHERE name = 'legion_migrations'") is None:
        return set()
    return {str(name) for (name,) in rows(connection, "SELECT name FROM legion_migrations")}
