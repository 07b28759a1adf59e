"""The bill: one row for each request and one for each attempt, written in one transaction."""

from datetime import UTC, datetime

import msgspec

from legion_core.gateway.ledger_types import By, LedgerRow, SummaryRow
from legion_core.gateway.types import Attempt, Request, Usage
from legion_core.kernel.clock import Clock, iso
from legion_core.kernel.faults import fault
from legion_core.storage.sqlite import Connection, Database, Migration, Value, execute, rows

MIGRATIONS = (
    Migration(
        name="ledger-0001",
        sql="""
        CREATE TABLE requests(
            id TEXT PRIMARY KEY, at TEXT NOT NULL, conversation TEXT NOT NULL, dialect TEXT NOT NULL,
            client TEXT NOT NULL, outcome TEXT NOT NULL, duration_s REAL NOT NULL, cost_usd REAL, is_priced INTEGER NOT NULL
        ) WITHOUT ROWID;
        CREATE INDEX requests_at ON requests(at);
        CREATE INDEX requests_conversation ON requests(conversation) WHERE conversation <> '';
        CREATE TABLE attempts(
            request TEXT NOT NULL, attempt INTEGER NOT NULL, at TEXT NOT NULL, tier TEXT NOT NULL, instance TEXT NOT NULL,
            model TEXT NOT NULL, input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL,
            cache_read_tokens INTEGER NOT NULL, cache_write_tokens INTEGER NOT NULL, thinking_tokens INTEGER NOT NULL,
            is_estimated INTEGER NOT NULL, cost_usd REAL, outcome TEXT NOT NULL, why TEXT NOT NULL,
            duration_s REAL NOT NULL, first_token_s REAL, PRIMARY KEY(request, attempt)
        ) WITHOUT ROWID;
        CREATE INDEX attempts_at ON attempts(at);
        """,
    ),
)

SPEED_TOKENS_MIN = 8  # a shorter answer says nothing about speed


_ATTEMPTS = """
    SELECT a.request, a.attempt, a.tier, a.instance, a.model, a.input_tokens, a.output_tokens, a.cache_read_tokens,
           a.cache_write_tokens, a.thinking_tokens, a.is_estimated, a.cost_usd, a.outcome, a.why, a.at, a.duration_s,
           a.first_token_s, r.conversation, r.dialect, r.client
    FROM attempts a JOIN requests r ON r.id = a.request
"""
_SUMMARY = """
    SELECT {key}, count(*), sum(input_tokens), sum(output_tokens), coalesce(sum(cost_usd), 0.0), sum(cost_usd IS NULL)
    FROM attempts GROUP BY 1 ORDER BY 1 DESC LIMIT 1000
"""
_SUMMARIES: dict[By, str] = {
    "tier": _SUMMARY.format(key="tier"),
    "model": _SUMMARY.format(key="model"),
    "day": _SUMMARY.format(key="substr(at, 1, 10)"),
}


class Ledger:
    """Writes and reads the bill of one node."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def settle(
        self, request: Request, attempts: tuple[Attempt, ...], *, outcome: str, duration_s: float
    ) -> None:
        """Record the request and all its attempts at once; a request settles once, a second time changes nothing."""
        at = iso(attempts[0].started_at if attempts else self._clock.utc_now())
        costs = [attempt.cost_usd for attempt in attempts]
        known = [cost for cost in costs if cost is not None]
        head = (
            request.id, at, request.conversation_id or "", request.dialect, request.client, outcome, duration_s,
            sum(known), int(len(known) == len(costs)),
        )  # fmt: skip

        def work(connection: Connection) -> None:
            fault("ledger.write")
            execute(connection, "INSERT OR IGNORE INTO requests VALUES(?,?,?,?,?,?,?,?,?)", head)
            for attempt in attempts:
                execute(
                    connection,
                    "INSERT OR IGNORE INTO attempts VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                    _columns(request.id, attempt),
                )

        await self._database.write(work, durability="process")

    async def rows(
        self, *, request: str = "", conversation: str = "", limit: int = 100, offset: int = 0
    ) -> tuple[LedgerRow, ...]:
        """Attempts, newest request first; of one request or one conversation if named."""
        where, args = "", list[Value]()
        if request:
            where, args = "WHERE a.request = ?", [request]
        elif conversation:
            where, args = "WHERE r.conversation = ?", [conversation]
        sql = f"{_ATTEMPTS} {where} ORDER BY r.at DESC, a.request DESC, a.attempt LIMIT ? OFFSET ?"
        found = await self._database.read(lambda connection: rows(connection, sql, [*args, limit, offset]))
        return tuple(_ledger_row(row) for row in found)

    async def summary(self, by: By) -> tuple[SummaryRow, ...]:
        """All attempts ever, added up by tier, model or UTC day."""
        found = await self._database.read(lambda connection: rows(connection, _SUMMARIES[by]))
        return tuple(
            msgspec.convert(
                dict(zip(SummaryRow.__struct_fields__, row, strict=True)), SummaryRow, strict=False
            )
            for row in found
        )

    async def speeds(self, instance: str) -> dict[str, tuple[float, datetime]]:
        """Tokens per second of the newest long enough answer of each model of `instance`, and when it was."""
        found = await self._database.read(
            lambda connection: rows(
                connection,
                "SELECT model, output_tokens / (duration_s - first_token_s), max(at) FROM attempts WHERE instance = ? "
                "AND outcome = 'succeeded' AND output_tokens >= ? AND duration_s > first_token_s GROUP BY model",
                [instance, SPEED_TOKENS_MIN],
            )
        )
        return {
            str(model): (float(str(speed)), datetime.fromisoformat(str(at))) for model, speed, at in found
        }

    async def spent_today(self) -> tuple[float, int]:
        """USD of the current UTC day, and how many requests of it have an unknown price."""
        since = iso(self._clock.utc_now().astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0))
        found = await self._database.read(
            lambda connection: rows(
                connection,
                "SELECT coalesce(sum(cost_usd), 0.0), coalesce(sum(NOT is_priced), 0) FROM requests WHERE at >= ?",
                [since],
            )
        )
        return msgspec.convert(found[0], tuple[float, int])


def _columns(request_id: str, attempt: Attempt) -> tuple[Value, ...]:
    usage = attempt.usage
    return (
        request_id, attempt.number, iso(attempt.started_at), attempt.tier, attempt.instance, attempt.model,
        usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, usage.cache_write_tokens,
        usage.thinking_tokens, int(usage.is_estimated), attempt.cost_usd, attempt.outcome, attempt.why,
        attempt.duration_s, attempt.first_token_s,
    )  # fmt: skip


def _ledger_row(row: tuple[Value, ...]) -> LedgerRow:
    (request, attempt, tier, instance, model, *tokens) = row[:11]
    (cost_usd, outcome, why, at, duration_s, first_token_s, conversation, dialect, client) = row[11:]
    usage = dict(zip(Usage.__struct_fields__, tokens, strict=True))
    return msgspec.convert(
        {
            "request": request, "attempt": attempt, "tier": tier, "instance": instance, "model": model, "usage": usage,
            "cost_usd": cost_usd, "outcome": outcome, "why": why, "at": at, "duration_s": duration_s,
            "first_token_s": first_token_s, "conversation": conversation, "dialect": dialect, "client": client,
        },
        LedgerRow,
        strict=False,
    )  # fmt: skip
