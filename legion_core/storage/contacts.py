"""The record of hosts contacted, in the journal: what each process counted is added to what is there."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, cast

from legion_core.kernel.contacts import Contact, Purpose
from legion_core.storage.sqlite import Connection, Migration, execute, rows

ROWS_MAX: Final = 2_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

MIGRATIONS: Final = (
    Migration(
        "network-0001",
        """
        CREATE TABLE network_hosts (
            host TEXT NOT NULL, port INTEGER NOT NULL, purpose TEXT NOT NULL, "by" TEXT NOT NULL,
            count INTEGER NOT NULL, refused INTEGER NOT NULL, sent INTEGER NOT NULL, received INTEGER NOT NULL,
            first_us INTEGER NOT NULL, last_us INTEGER NOT NULL, PRIMARY KEY (host, port, purpose, "by")
        ) STRICT, WITHOUT ROWID;
        """,
    ),
)


def add(connection: Connection, found: Sequence[Contact]) -> None:
    """Add what was counted; of too many hosts those that were silent longest go."""
    for row in found:
        execute(
            connection,
            'INSERT INTO network_hosts (host, port, purpose, "by", count, refused, sent, received, first_us, last_us) '
            'VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (host, port, purpose, "by") DO UPDATE SET '
            "count = count + excluded.count, refused = refused + excluded.refused, sent = sent + excluded.sent, "
            "received = received + excluded.received, last_us = max(last_us, excluded.last_us)",
            (
                row.host, row.port, row.purpose, row.by, row.count, row.refused, row.sent_bytes, row.received_bytes,
                _us(row.first_at), _us(row.last_at),
            ),
        )  # fmt: skip
    execute(
        connection,
        'DELETE FROM network_hosts WHERE (host, port, purpose, "by") IN (SELECT host, port, purpose, "by" '
        "FROM network_hosts ORDER BY last_us DESC LIMIT -1 OFFSET ?)",
        (ROWS_MAX,),
    )


def latest(connection: Connection, limit: int) -> tuple[Contact, ...]:
    """The latest first."""
    found = rows(
        connection,
        'SELECT host, port, purpose, "by", count, refused, sent, received, first_us, last_us FROM network_hosts '
        "ORDER BY last_us DESC, host, port, purpose LIMIT ?",
        (limit,),
    )
    return tuple(
        Contact(
            host=str(host), port=int(port), purpose=cast("Purpose", purpose), by=str(by), count=int(count),
            refused=int(refused), sent_bytes=int(sent), received_bytes=int(received),
            first_at=_at(int(first_us)), last_at=_at(int(last_us)),
        )
        for host, port, purpose, by, count, refused, sent, received, first_us, last_us in found
    )  # fmt: skip


def forget(connection: Connection) -> None:
    """Empty the record."""
    execute(connection, "DELETE FROM network_hosts", ())


def _us(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)


def _at(us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=us)
