"""How long the ledger's questions take over millions of attempts: what a page, a command or a client waits for.

Run: python -m benchmarks.ledger [--json] [--rows 5000000] [--rounds 5] [--keep FILE]. A real journal with a year of
requests of three clients at ten instances, a fifth of them with a second attempt, a twentieth in conversations of some
forty turns; every question through the calls that the surfaces use. Wall time from call to answer; the worst median of
a question over the rounds, after one round that warms the file. Questions of one hour, one request or one page are
among them, and those that add up everything.
"""

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import get_args

from legion_core.api.activity import Activity
from legion_core.api.activity_types import ActivityQuery
from legion_core.engine.journal import MIGRATIONS as ENGINE
from legion_core.gateway.conversation_schema import MIGRATIONS as CONVERSATIONS
from legion_core.gateway.ledger import MIGRATIONS as LEDGER
from legion_core.gateway.ledger import Ledger
from legion_core.gateway.ledger_types import By
from legion_core.gateway.measures import Measures
from legion_core.kernel.clock import SystemClock
from legion_core.storage.sqlite import Connection, Database, execute, rows

DAYS, PAGE, TURNS, PER_REQUEST = 365, 100, 40, 1.2

# One row of `steps` is a request; its number decides everything, so that the file is the same each time.
_REQUESTS = """
    WITH RECURSIVE steps(n) AS (SELECT ? UNION ALL SELECT n + 1 FROM steps WHERE n + 1 < ?)
    INSERT INTO requests SELECT printf('req_%026d', n), strftime('%Y-%m-%dT%H:%M:%fZ', ? + n * ?, 'unixepoch'),
        CASE n % 20 WHEN 0 THEN printf('conv_%022d', n / 800) ELSE '' END, 'openai_chat',
        CASE n % 3 WHEN 0 THEN 'OpenAI/Python 2.1.0' WHEN 1 THEN 'claude-cli/2.1' ELSE '' END,
        CASE n % 50 WHEN 7 THEN 'overloaded' ELSE 'succeeded' END, 1.5 + (n % 70) / 10.0, 0.0001 * (n % 90), 1
    FROM steps
"""
_ATTEMPTS = """
    INSERT INTO attempts
    SELECT r.id, {number}, r.at, CASE n % 5 WHEN 0 THEN 'local' WHEN 1 THEN 'direct' WHEN 2 THEN 'fleet' WHEN 3 THEN 'cloud'
        ELSE 'frontier' END, 'box-' || (n % 10), 'model-' || (n % 10), 500 + n % 9000, 20 + n % 400, n % 3000, n % 500,
        0, 0, 0.0001 * (n % 90), {outcome}, '', 1.5 + (n % 70) / 10.0, 0.2 + (n % 9) / 10.0, 0, 0.0
    FROM (SELECT *, CAST(substr(id, 5) AS INTEGER) AS n FROM requests) r WHERE {where}
"""
_TOTALS = """
    INSERT INTO totals SELECT substr(a.at, 1, 10), CASE CAST(substr(a.request, 5) AS INTEGER) % 3 WHEN 0 THEN 'openai'
        WHEN 1 THEN 'claude-cli' ELSE '-' END, a.tier, a.instance, a.model, a.outcome, count(*), sum(a.input_tokens),
        sum(a.output_tokens), sum(a.cost_usd), sum(a.cost_usd IS NULL), sum(a.cache_read_tokens),
        sum(a.cache_write_tokens), sum(a.thinking_tokens), sum(a.saved_tokens), sum(a.saved_usd), 0
    FROM attempts a GROUP BY 1, 2, 3, 4, 5, 6
"""


def main(argv: list[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rows", type=int, default=5_000_000, help="attempts")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="a file that is made once and used again")
    asked = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="legion-ledger-") as folder:
        path = asked.keep or Path(folder) / "journal.db"
        figures = asyncio.run(_measure(path, asked.rows, asked.rounds))
    if asked.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:28} {value}")
    return 0


async def _measure(path: Path, count: int, rounds: int) -> dict[str, object]:
    clock = SystemClock()
    is_new = not path.exists()
    database = await Database.open(
        path, migrations=(*ENGINE, *LEDGER, *CONVERSATIONS), durability="process", clock=clock
    )
    try:
        if is_new:
            await _fill(database, round(count / PER_REQUEST), clock.utc_now())
        questions = _questions(database, clock)
        took: dict[str, list[float]] = {name: [] for name in questions}
        for number in range(rounds + 1):
            for name, ask in questions.items():
                began = time.perf_counter()
                await ask()
                if number:
                    took[name].append((time.perf_counter() - began) * 1000)
        attempts = await database.read(lambda connection: _count(connection))
    finally:
        await database.close()
    medians = {name: statistics.median(times) for name, times in took.items()}
    slowest = max(medians, key=lambda name: medians[name])
    return {
        "attempts": attempts,
        "slowest_ms": round(medians[slowest], 2),
        "slowest": slowest,
        **{f"{name}_ms": round(value, 2) for name, value in medians.items()},
        "file_mb": round(path.stat().st_size / 1e6),
        "rounds": rounds,
        "load": round(os.getloadavg()[0], 2),
    }


def _count(connection: Connection) -> int:
    return int(str(rows(connection, "SELECT count(*) FROM attempts")[0][0]))


async def _fill(database: Database, requests: int, now: datetime) -> None:
    """So many requests over the year before `now`, the newest a moment ago."""
    step_s = DAYS * 86_400 / requests
    began = now.astimezone(UTC).timestamp() - requests * step_s
    part = 200_000
    for first in range(0, requests, part):
        last = min(requests, first + part)
        bounds = (first, last, began, step_s)
        await database.write(lambda connection, bounds=bounds: execute(connection, _REQUESTS, bounds))
    ended = "CASE n % 50 WHEN 7 THEN 'overloaded' ELSE 'succeeded' END"
    for number, outcome, where in (
        (1, "CASE n % 5 WHEN 3 THEN 'timed_out' ELSE " + ended + " END", "1"),
        (2, ended, "n % 5 = 3"),
    ):
        for first in range(0, requests, part):
            bounds = f"r.id >= 'req_{first:026d}' AND r.id < 'req_{first + part:026d}'"
            sql = _ATTEMPTS.format(number=number, outcome=outcome, where=f"{where} AND {bounds}")
            await database.write(lambda connection, sql=sql: execute(connection, sql))
    await database.write(lambda connection: execute(connection, _TOTALS))


def _questions(database: Database, clock: SystemClock) -> dict[str, Callable[[], Awaitable[object]]]:
    ledger, measures, activity = Ledger(database, clock), Measures(database, clock), Activity(database)
    now = clock.utc_now().astimezone(UTC)
    month = (now - timedelta(days=30)).date().isoformat()
    requests = ActivityQuery(kinds=("request",))
    some = f"conv_{1000:022d}"
    asked: dict[str, Callable[[], Awaitable[object]]] = {}
    for by in get_args(By):
        asked[f"summary_by_{by}"] = lambda by=by: ledger.summary(by)
        asked[f"summary_by_{by}_of_30_days"] = lambda by=by: ledger.summary(by, month)
    asked |= {
        "first_page": lambda: ledger.rows(limit=PAGE),
        "page_50": lambda: ledger.rows(limit=PAGE, offset=50 * PAGE),
        "one_request": lambda: ledger.rows(request=f"req_{12_345:026d}"),
        "one_conversation": lambda: ledger.rows(conversation=some),
        "spent_today": ledger.spent_today,
        "learned_speeds": ledger.learned_speeds,
        "speeds_of_instance": lambda: ledger.speeds("box-3"),
        "ladder": measures.read,
        "activity_hours": lambda: activity.hours(now - timedelta(hours=24)),
        "activity_newest": lambda: activity.index(requests),
    }
    return asked


if __name__ == "__main__":
    raise SystemExit(main())
