"""The bill: one row for each request and one for each attempt. How they are written is `bills` and `ledger_writing`."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import get_args

import msgspec

from legion_core.gateway.asking import Asking
from legion_core.gateway.bills import Bills, Saved, bill_of
from legion_core.gateway.ledger_types import By, LedgerRow, SummaryRow
from legion_core.gateway.ledger_writing import write_bills
from legion_core.gateway.types import Attempt, Request, Usage
from legion_core.gateway.underway import UnderWay
from legion_core.kernel.clock import Clock
from legion_core.storage.sqlite import Connection, Database, Migration, Value, rows

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
    # Sums by day, so that reports and limits read a few rows however long the ledger grows; and money held.
    Migration(
        name="ledger-0002",
        sql="""
        CREATE TABLE totals(
            day TEXT NOT NULL, client TEXT NOT NULL, tier TEXT NOT NULL, instance TEXT NOT NULL, model TEXT NOT NULL,
            outcome TEXT NOT NULL, attempts INTEGER NOT NULL, input_tokens INTEGER NOT NULL,
            output_tokens INTEGER NOT NULL, cost_usd REAL NOT NULL, unpriced INTEGER NOT NULL,
            cache_read_tokens INTEGER NOT NULL, cache_write_tokens INTEGER NOT NULL, thinking_tokens INTEGER NOT NULL,
            PRIMARY KEY(day, client, tier, instance, model, outcome)
        ) WITHOUT ROWID;
        INSERT INTO totals
            SELECT substr(a.at, 1, 10), 'earlier', a.tier, a.instance, a.model, a.outcome, count(*),
                   sum(a.input_tokens), sum(a.output_tokens), coalesce(sum(a.cost_usd), 0.0), sum(a.cost_usd IS NULL),
                   sum(a.cache_read_tokens), sum(a.cache_write_tokens), sum(a.thinking_tokens)
            FROM attempts a GROUP BY 1, a.tier, a.instance, a.model, a.outcome;
        CREATE TABLE reservations(
            request TEXT PRIMARY KEY, at TEXT NOT NULL, day TEXT NOT NULL, client TEXT NOT NULL,
            conversation TEXT NOT NULL, dialect TEXT NOT NULL, tier TEXT NOT NULL, instance TEXT NOT NULL,
            model TEXT NOT NULL, usd REAL NOT NULL, owner TEXT NOT NULL
        ) WITHOUT ROWID;
        """,
    ),
    # What curation left out of each attempt, and what that was worth; NULL: its price is unknown.
    Migration(
        name="ledger-0003",
        sql="""
        ALTER TABLE attempts ADD COLUMN saved_tokens INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE attempts ADD COLUMN saved_usd REAL DEFAULT 0.0;
        ALTER TABLE totals ADD COLUMN saved_tokens INTEGER NOT NULL DEFAULT 0;
        ALTER TABLE totals ADD COLUMN saved_usd REAL NOT NULL DEFAULT 0.0;
        ALTER TABLE totals ADD COLUMN saved_unpriced INTEGER NOT NULL DEFAULT 0;
        """,
    ),
    # The same sums by conversation.
    Migration(
        name="ledger-0004",
        sql="""
        CREATE TABLE conversation_totals(
            day TEXT NOT NULL, conversation TEXT NOT NULL, newest TEXT NOT NULL, attempts INTEGER NOT NULL,
            input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, cost_usd REAL NOT NULL,
            unpriced INTEGER NOT NULL, cache_read_tokens INTEGER NOT NULL, cache_write_tokens INTEGER NOT NULL,
            thinking_tokens INTEGER NOT NULL, saved_tokens INTEGER NOT NULL, saved_usd REAL NOT NULL,
            saved_unpriced INTEGER NOT NULL, PRIMARY KEY(day, conversation)
        ) WITHOUT ROWID;
        INSERT INTO conversation_totals
            SELECT substr(a.at, 1, 10), r.conversation, max(a.at), count(*), sum(a.input_tokens),
                   sum(a.output_tokens), coalesce(sum(a.cost_usd), 0.0), sum(a.cost_usd IS NULL),
                   sum(a.cache_read_tokens), sum(a.cache_write_tokens), sum(a.thinking_tokens), sum(a.saved_tokens),
                   coalesce(sum(a.saved_usd), 0.0), sum(a.saved_usd IS NULL)
            FROM requests r JOIN attempts a ON a.request = r.id WHERE r.conversation <> '' GROUP BY 1, 2;
        """,
    ),
)

SPEED_TOKENS_MIN = 8  # a shorter answer says nothing about speed


# The requests lead: a page is then read from the end of an index, however many there are before it.
_ATTEMPTS = """
    SELECT a.request, a.attempt, a.tier, a.instance, a.model, a.input_tokens, a.output_tokens, a.cache_read_tokens,
           a.cache_write_tokens, a.thinking_tokens, a.is_estimated, a.cost_usd, a.outcome, a.why, a.at, a.duration_s,
           a.first_token_s, r.conversation, r.dialect, r.client, a.saved_tokens, a.saved_usd
    FROM requests r CROSS JOIN attempts a ON a.request = r.id
"""
_SUMMARY = """
    SELECT {by}, sum(attempts), sum(input_tokens), sum(output_tokens), sum(cost_usd), sum(unpriced),
           sum(cache_read_tokens), sum(cache_write_tokens), sum(thinking_tokens), sum(saved_tokens), sum(saved_usd),
           sum(saved_unpriced)
    FROM totals WHERE day >= ? GROUP BY 1 ORDER BY 1 DESC LIMIT 1000
"""
_BY_CONVERSATION = """
    SELECT conversation, sum(attempts), sum(input_tokens), sum(output_tokens), sum(cost_usd), sum(unpriced),
           sum(cache_read_tokens), sum(cache_write_tokens), sum(thinking_tokens), sum(saved_tokens), sum(saved_usd),
           sum(saved_unpriced)
    FROM conversation_totals WHERE day >= ? GROUP BY 1 ORDER BY max(newest) DESC LIMIT 1000
"""
_SUMMARIES: dict[By, str] = {
    by: _BY_CONVERSATION if by == "conversation" else _SUMMARY.format(by=by) for by in get_args(By)
}
_SPEEDS = """
    SELECT instance || '/' || model, output_tokens / (duration_s - first_token_s), max(at)
    FROM (SELECT * FROM attempts ORDER BY at DESC LIMIT 2000)
    WHERE outcome = 'succeeded' AND output_tokens >= ? AND duration_s > first_token_s GROUP BY 1
"""

# The days come from the sums, so that no more than these days' attempts are read.
_ANSWERED_ON = """
    SELECT model, day FROM (
        SELECT model, day, row_number() OVER (PARTITION BY model ORDER BY day DESC) AS place
        FROM (SELECT DISTINCT model, day FROM totals WHERE instance = ? AND outcome = 'succeeded')
    ) WHERE place <= 3 ORDER BY day DESC
"""
_NEWEST_SPEED = """
    SELECT output_tokens / (duration_s - first_token_s), at FROM attempts
    WHERE at >= ? || 'T' AND at < ? || 'U' AND instance = ? AND model = ? AND outcome = 'succeeded'
        AND output_tokens >= ? AND duration_s > first_token_s ORDER BY at DESC LIMIT 1
"""


class Ledger:
    """Writes and reads the bill of one node."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._bills = Bills(database, write_bills)
        self._under_way = UnderWay(database, clock)

    async def settle(
        self,
        request: Request,
        attempts: tuple[Attempt, ...],
        *,
        outcome: str,
        duration_s: float,
        saved: Sequence[Saved] = (),
    ) -> None:
        """Record the request and all its attempts, and free what was held for it.

        When this returns the bill outlives the process, and whoever reads finds it; see `gateway.bills`. A request
        settles once, a second time changes nothing. `saved` is what curation saved of each attempt, in their order;
        none where it had no part.
        """
        at = None if attempts else self._clock.utc_now()
        bill = bill_of(request, attempts, outcome, duration_s, at=at, saved=saved)
        self._under_way.end(request.id)
        await self._bills.put(bill)

    def begin(self, request: Request, asking: Asking) -> None:
        """A process that is killed from now on leaves the request's bill, as far as it is known; see `underway`."""
        self._under_way.begin(request, asking)

    async def admit(self) -> None:
        """Return if something may be asked now; raises why its bill could not be kept."""
        await self._bills.admit()

    async def recover(self) -> None:
        """Write the bills that killed processes left beside the journal, and of what they had under way."""
        await self._bills.recover()
        await self._under_way.recover(write_bills)

    async def aclose(self) -> None:
        """Write what is not in the journal yet."""
        self._under_way.close()
        await self._bills.aclose()

    async def rows(
        self, *, request: str = "", conversation: str = "", limit: int = 100, offset: int = 0
    ) -> tuple[LedgerRow, ...]:
        """Attempts, newest request first; of one request or one conversation if named."""
        where, args = "", list[Value]()
        if request:
            where, args = "WHERE r.id = ?", [request]
        elif conversation:
            where, args = (
                "WHERE r.conversation = ? AND r.conversation <> ''",
                [conversation],
            )  # as the index has it
        sql = f"{_ATTEMPTS} {where} ORDER BY r.at DESC, r.id DESC, a.attempt LIMIT ? OFFSET ?"
        found = await self._database.read(lambda connection: rows(connection, sql, [*args, limit, offset]))
        return tuple(_ledger_row(row) for row in found)

    async def summary(self, by: By, since: str = "") -> tuple[SummaryRow, ...]:
        """Attempts added up by one key, from the UTC day `since` (ISO) on; empty: from the first on."""
        found = await self._database.read(lambda connection: rows(connection, _SUMMARIES[by], [since]))
        return tuple(
            msgspec.convert(
                dict(zip(SummaryRow.__struct_fields__, row, strict=True)), SummaryRow, strict=False
            )
            for row in found
        )

    async def learned_speeds(self) -> dict[str, float]:
        """Tokens per second of the newest long enough answer of each lane (`instance/model`) in the newest 2,000."""
        found = await self._database.read(lambda connection: rows(connection, _SPEEDS, [SPEED_TOKENS_MIN]))
        return {str(lane): float(str(speed)) for lane, speed, _ in found}

    async def speeds(self, instance: str) -> dict[str, tuple[float, datetime]]:
        """Tokens per second of the newest long enough answer of each model of `instance`, and when it was.

        Of a model it is looked for on the newest three days on which it answered.
        """

        def work(connection: Connection) -> dict[str, tuple[float, datetime]]:
            found = dict[str, tuple[float, datetime]]()
            for model, day in rows(connection, _ANSWERED_ON, [instance]):
                if str(model) in found:
                    continue
                newest = rows(connection, _NEWEST_SPEED, [day, day, instance, model, SPEED_TOKENS_MIN])
                for speed, at in newest:
                    found[str(model)] = float(str(speed)), datetime.fromisoformat(str(at))
            return found

        return await self._database.read(work)

    async def spent_today(self) -> tuple[float, int]:
        """USD of the current UTC day, and how many attempts of it have an unknown price."""
        day = self._clock.utc_now().astimezone(UTC).date().isoformat()
        found = await self._database.read(
            lambda connection: rows(
                connection,
                "SELECT coalesce(sum(cost_usd), 0.0), coalesce(sum(unpriced), 0) FROM totals WHERE day = ?",
                [day],
            )
        )
        return msgspec.convert(found[0], tuple[float, int])


def _ledger_row(row: tuple[Value, ...]) -> LedgerRow:
    (request, attempt, tier, instance, model, *tokens) = row[:11]
    (cost_usd, outcome, why, at, duration_s, first_token_s, conversation, dialect, client) = row[11:20]
    usage = dict(zip(Usage.__struct_fields__, tokens, strict=True))
    return msgspec.convert(
        {
            "request": request, "attempt": attempt, "tier": tier, "instance": instance, "model": model, "usage": usage,
            "cost_usd": cost_usd, "outcome": outcome, "why": why, "at": at, "duration_s": duration_s,
            "first_token_s": first_token_s, "conversation": conversation, "dialect": dialect, "client": client,
            "saved_tokens": row[20], "saved_usd": row[21],
        },
        LedgerRow,
        strict=False,
    )  # fmt: skip
