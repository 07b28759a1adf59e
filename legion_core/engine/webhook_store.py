"""Webhooks on disk, and every delivery that was signed rightly: unique by its id, so that it starts something once.

As in `engine.journal`, each function takes a connection inside a transaction.
"""

from dataclasses import dataclass
from typing import cast

import msgspec

from legion_core.engine.schedule_plan import at_ms, moment_at
from legion_core.engine.types import Reason
from legion_core.engine.webhook_types import Delivery, DeliveryStatus, HookSpec, HookState
from legion_core.kernel.errors import NotFound
from legion_core.storage.sqlite import Connection, Row, Value, execute, row, rows

KEPT_MS = 30 * 86_400_000  # far beyond every replay window
_PRUNE_EVERY = 100

_encode = msgspec.json.Encoder().encode
_read_spec = msgspec.json.Decoder(HookSpec).decode
_read_reason = msgspec.json.Decoder(Reason).decode
_COLUMNS = "name, spec, who, state, created, changed"
_DELIVERY = "n, hook, delivery, at, status, task, run, reason, bytes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """A webhook as it is kept; times are UTC milliseconds."""

    spec: HookSpec
    who: str
    state: HookState
    created_ms: int
    changed_ms: int


def insert(connection: Connection, hook: Hook) -> bool:
    """Keep a new one; False if the name is taken."""
    args: list[Value] = [
        hook.spec.name, _encode(hook.spec), hook.who, hook.state, hook.created_ms, hook.changed_ms
    ]  # fmt: skip
    return execute(connection, f"INSERT OR IGNORE INTO hooks({_COLUMNS}) VALUES(?,?,?,?,?,?)", args) == 1


def set_state(connection: Connection, name: str, state: HookState, now_ms: int) -> Hook:
    """Active or paused; NotFound."""
    execute(connection, "UPDATE hooks SET state = ?, changed = ? WHERE name = ?", [state, now_ms, name])
    return named(connection, name)


def remove(connection: Connection, name: str) -> Hook:
    """With its deliveries; NotFound."""
    found = named(connection, name)
    execute(connection, "DELETE FROM deliveries WHERE hook = ?", [name])
    execute(connection, "DELETE FROM hooks WHERE name = ?", [name])
    return found


def named(connection: Connection, name: str) -> Hook:
    """One of them; NotFound."""
    found = row(connection, f"SELECT {_COLUMNS} FROM hooks WHERE name = ?", [name])  # noqa: S608
    if found is None:
        raise NotFound(
            f"There is no webhook {name[:80]!r}.", hint="`legion hook list` shows those there are."
        )
    return _hook(found)


def every(connection: Connection) -> list[Hook]:
    """All by name."""
    return [_hook(each) for each in rows(connection, f"SELECT {_COLUMNS} FROM hooks ORDER BY name")]  # noqa: S608


def count(connection: Connection) -> int:
    """How many there are."""
    return int((row(connection, "SELECT count(*) FROM hooks") or (0,))[0])


def delivered(connection: Connection, hook: str, delivery: str) -> Delivery | None:
    """The delivery of that id, if it has come before."""
    found = row(
        connection,
        f"SELECT {_DELIVERY} FROM deliveries WHERE hook = ? AND delivery = ?",  # noqa: S608
        [hook, delivery],
    )
    return None if found is None else msgspec.structs.replace(_delivery(found)[1], is_new=False)


def note(connection: Connection, delivery: Delivery) -> None:
    """Write down a delivery that has not come before."""
    now_ms = at_ms(delivery.at)
    execute(
        connection,
        "INSERT INTO deliveries(hook, delivery, at, status, task, run, reason, bytes) VALUES(?,?,?,?,?,?,?,?)",
        [
            delivery.hook, delivery.delivery, now_ms, delivery.status, delivery.task, delivery.run,
            None if delivery.reason is None else _encode(delivery.reason), delivery.bytes,
        ],
    )  # fmt: skip
    if connection.last_insert_rowid() % _PRUNE_EVERY == 0:
        execute(connection, "DELETE FROM deliveries WHERE at < ?", [now_ms - KEPT_MS])


def page(connection: Connection, hook: str, below: int, limit: int) -> list[tuple[int, Delivery]]:
    """Deliveries, latest first, each with its place: the next page begins `below` the last one's."""
    named(connection, hook)
    where, args = "hook = ?", list[Value]([hook])
    if below:
        where += " AND n < ?"
        args.append(below)
    sql = f"SELECT {_DELIVERY} FROM deliveries WHERE {where} ORDER BY n DESC LIMIT ?"  # noqa: S608
    return [_delivery(each) for each in rows(connection, sql, [*args, limit])]


def latest(connection: Connection, hook: str) -> Delivery | None:
    """The latest one."""
    found = page(connection, hook, 0, 1)
    return found[0][1] if found else None


def _hook(found: Row) -> Hook:
    _, spec, who, state, created, changed = found
    return Hook(
        spec=_read_spec(spec), who=who, state=cast(HookState, state), created_ms=created, changed_ms=changed
    )


def _delivery(found: Row) -> tuple[int, Delivery]:
    n, hook, delivery, at, status, task, run, reason, size_bytes = found
    return int(n), Delivery(
        hook=hook, delivery=delivery, at=moment_at(at), status=cast(DeliveryStatus, status), task=task, run=run,
        reason=_read_reason(reason) if reason else None, bytes=size_bytes,
    )  # fmt: skip
