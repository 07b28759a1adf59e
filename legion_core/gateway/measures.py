"""How instances have been doing, read from the ledger: speed, latency, spend, and their last failures."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from legion_core.gateway.abilities import TRIAL_CLIENT
from legion_core.gateway.ledger import SPEED_TOKENS_MIN
from legion_core.kernel.clock import Clock, iso
from legion_core.storage.sqlite import Connection, Database, rows

WINDOW = timedelta(hours=1)
FAILURES_SHOWN = 5
FAILURES_READ = 4 * FAILURES_SHOWN  # a trial of a model may be among them, and shows nothing of its instance
POINTS_MAX = 60  # newest answers of an instance that its wait and speed are reckoned from

# What ended by the asker's will or by the answer itself says nothing of the instance.
NOT_FAILURES = ("succeeded", "cancelled")


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt that failed: when, its public code, why in a sentence, and how long it took."""

    at: datetime
    outcome: str
    why: str
    duration_s: float


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """The wait for one answer's first token."""

    at: datetime
    first_token_s: float


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One instance over the last hour; None where nothing was measured. Money is of the current UTC day.

    A trial of a model is none of its requests, though it is paid for. `unpriced` of today's attempts have an unknown price and are not in `spent_usd`.
    """

    requests: int = 0
    first_token_p50_s: float | None = None
    first_token_p95_s: float | None = None
    tokens_per_s: float | None = None
    spent_usd: float = 0.0
    unpriced: int = 0
    answered_at: datetime | None = None
    failures: tuple[Failure, ...] = ()
    points: tuple[Point, ...] = ()


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """All instances together: the last hour without trials of models, and money of the current UTC day, theirs too.

    `moved` requests of the hour were answered by more than one instance, after the first word had come.
    """

    requests: int = 0
    stayed_local: int = 0
    moved: int = 0
    spent_usd: float = 0.0
    unpriced: int = 0
    free_input_tokens: int = 0  # answered today at no price
    free_output_tokens: int = 0


class Measures:
    """Reads the ledger; writes nothing."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def read(self) -> tuple[dict[str, Measured], Figures]:
        """By instance, and all together."""
        now = self._clock.utc_now().astimezone(UTC)
        hour, day = iso(now - WINDOW), iso(now.replace(hour=0, minute=0, second=0, microsecond=0))

        def work(connection: Connection) -> tuple[dict[str, Measured], Figures]:
            # Reckoned in the reader's thread: many rows would hold the loop for longer than a frame.
            newest = [
                msgspec.convert(row, _Row, strict=False)
                for row in rows(connection, _NEWEST, [hour, POINTS_MAX, FAILURES_READ, TRIAL_CLIENT])
            ]
            # A trial's own request may have begun before the hour that its attempts are in.
            trials = (iso(now - 2 * WINDOW), TRIAL_CLIENT)
            counts = {
                str(name): int(str(count)) for name, count in rows(connection, _COUNTS, [hour, *trials])
            }
            money = [msgspec.convert(row, _Day, strict=False) for row in rows(connection, _DAY, [day])]
            whole = msgspec.convert(
                rows(connection, _WHOLE, [hour, hour, *trials])[0],
                tuple[int, int, int],
                strict=False,
            )
            return _by_instance(newest, counts, money), _figures(whole, money)

        return await self._database.read(work)


# The newest answers and the newest failures of each instance but for trials, oldest first. Who asked is looked up for
# these few alone.
_NEWEST = """
    SELECT instance, output_tokens, outcome, why, at, duration_s, first_token_s FROM (
        SELECT *, outcome NOT IN ('succeeded', 'cancelled') AS failed, row_number() OVER (
            PARTITION BY instance, outcome NOT IN ('succeeded', 'cancelled') ORDER BY at DESC
        ) AS place FROM attempts WHERE at >= ?
    ) WHERE place <= CASE failed WHEN 0 THEN ? ELSE ? END
        AND NOT EXISTS (SELECT 1 FROM requests WHERE id = request AND client = ?) ORDER BY at
"""
_COUNTS = """
    SELECT instance, count(DISTINCT request) FROM attempts
    WHERE at >= ? AND request NOT IN (SELECT id FROM requests WHERE at >= ? AND client = ?) GROUP BY instance
"""
_DAY = """
    SELECT instance, coalesce(sum(cost_usd), 0.0), sum(cost_usd IS NULL),
           coalesce(sum(CASE WHEN cost_usd = 0.0 THEN input_tokens END), 0),
           coalesce(sum(CASE WHEN cost_usd = 0.0 THEN output_tokens END), 0)
    FROM attempts WHERE at >= ? GROUP BY instance
"""
# By `+request`, or the index of requests would be taken to group by, and with it all there ever was be read.
_WHOLE = """
    SELECT count(*), coalesce(sum(NOT has_left), 0), (
        SELECT count(DISTINCT +broken.request) FROM attempts broken
        WHERE broken.at >= ? AND broken.output_tokens > 0 AND broken.outcome NOT IN ('succeeded', 'cancelled')
            AND EXISTS (
                SELECT 1 FROM attempts later WHERE later.request = broken.request AND later.attempt > broken.attempt
            )
    ) FROM (SELECT max(tier <> 'local') AS has_left FROM attempts
        WHERE at >= ? AND request NOT IN (SELECT id FROM requests WHERE at >= ? AND client = ?) GROUP BY +request)
"""


class _Row(msgspec.Struct, frozen=True, array_like=True):
    instance: str
    output_tokens: int
    outcome: str
    why: str
    at: datetime
    duration_s: float
    first_token_s: float | None

    @property
    def is_failure(self) -> bool:
        return self.outcome not in NOT_FAILURES

    @property
    def tokens_per_s(self) -> float | None:
        if self.first_token_s is None or self.output_tokens < SPEED_TOKENS_MIN:
            return None
        streaming_s = self.duration_s - self.first_token_s
        return (self.output_tokens - 1) / streaming_s if streaming_s > 0 else None


class _Day(msgspec.Struct, frozen=True, array_like=True):
    instance: str
    spent_usd: float
    unpriced: int
    free_input: int
    free_output: int


def _by_instance(
    newest: Sequence[_Row], counts: Mapping[str, int], money: Sequence[_Day]
) -> dict[str, Measured]:
    found: dict[str, list[_Row]] = defaultdict(list)
    for row in newest:
        found[row.instance].append(row)
    paid = {row.instance: row for row in money}
    return {
        name: _measured(found.get(name, []), counts.get(name, 0), paid.get(name))
        for name in {*found, *counts, *paid}
    }


def _measured(attempts: Sequence[_Row], requests: int, money: _Day | None) -> Measured:
    waits = [row.first_token_s for row in attempts if row.first_token_s is not None]
    speeds = [speed for row in attempts if (speed := row.tokens_per_s) is not None]
    answered = [row.at for row in attempts if row.outcome == "succeeded"]
    return Measured(
        requests=requests,
        first_token_p50_s=_median(waits) if waits else None,
        first_token_p95_s=_percentile(waits, 0.95) if waits else None,
        tokens_per_s=_median(speeds) if speeds else None,
        spent_usd=money.spent_usd if money else 0.0,
        unpriced=money.unpriced if money else 0,
        answered_at=answered[-1] if answered else None,
        failures=tuple(
            Failure(at=row.at, outcome=row.outcome, why=row.why, duration_s=row.duration_s)
            for row in [row for row in reversed(attempts) if row.is_failure][:FAILURES_SHOWN]
        ),
        points=tuple(
            Point(at=row.at, first_token_s=row.first_token_s)
            for row in attempts
            if row.first_token_s is not None
        )[-POINTS_MAX:],
    )


def _median(values: Sequence[float]) -> float:
    # Not `statistics`: it brings fractions, decimals and chance into every start.
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def _percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of them do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


def _figures(whole: tuple[int, int, int], money: Sequence[_Day]) -> Figures:
    requests, stayed_local, moved = whole
    return Figures(
        requests=requests,
        stayed_local=stayed_local,
        moved=moved,
        spent_usd=sum(row.spent_usd for row in money),
        unpriced=sum(row.unpriced for row in money),
        free_input_tokens=sum(row.free_input for row in money),
        free_output_tokens=sum(row.free_output for row in money),
    )
