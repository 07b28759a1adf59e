"""What became of answers, looked at once they have ended, and kept in the journal a moment later."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from legion_core.gateway.failover import Failover
from legion_core.gateway.routing.learned import HALF_LIFE_S, Learned, Tally, kind_of
from legion_core.gateway.types import Request, RouteDecision
from legion_core.kernel.clock import Clock, iso
from legion_core.kernel.errors import LimitReached
from legion_core.kernel.supervise import Supervisor
from legion_core.storage.sqlite import Connection, Database, Migration, execute, insert, rows

MIGRATIONS = (
    Migration(
        name="learned-0001",
        sql="""
        CREATE TABLE learned_answers(
            lane TEXT NOT NULL, kind INTEGER NOT NULL, good REAL NOT NULL, bad REAL NOT NULL, flaw TEXT NOT NULL,
            at TEXT NOT NULL, PRIMARY KEY(lane, kind)
        ) WITHOUT ROWID;
        """,
    ),
)
WRITE_AFTER_S = 5.0  # what comes meanwhile is written with it
FORGOTTEN_AFTER_S = 10 * HALF_LIFE_S


class Learning:
    """Fills a node's `Learned`. Does nothing while a bad answer is taken to cost nothing."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        supervisor: Supervisor,
        learned: Learned,
        bad_answer_usd: Callable[[], float],
    ) -> None:
        """`bad_answer_usd` is what a bad answer costs whoever asks, in their own view; 0: nothing is learned."""
        self._database = database
        self._clock = clock
        self._supervisor = supervisor
        self._learned = learned
        self.bad_answer_usd = bad_answer_usd
        self._writing: asyncio.Task[None] | None = None
        self._is_behind = False
        self._is_loaded = False
        self._loading = asyncio.Lock()
        learned.on_change = self._write_soon

    def take(self, request: Request, decision: RouteDecision, failover: Failover) -> None:
        """Learn from an answer that has ended; one of several models, or that broke off, teaches nothing."""
        closed = failover.closed
        last = closed.attempts[-1] if closed is not None and closed.attempts else None
        if closed is None or last is None or last.outcome != "succeeded" or failover.seams:
            return
        from legion_core.gateway.flaws import flaw_of  # not before somebody wants to learn

        flaw = flaw_of(request, failover.given, closed.stop_reason)
        if flaw is None:
            return
        kind = kind_of(decision.required, decision.estimated_tokens)
        self._learned.note(f"{last.instance}/{last.model}", kind, flaw, self._clock.monotonic_s())

    async def load(self) -> None:
        """Remember what an earlier process learned; once is enough."""
        async with self._loading:
            if not self._is_loaded:
                await self._load()

    async def _load(self) -> None:
        now, now_s = self._clock.utc_now(), self._clock.monotonic_s()
        found = await self._database.read(
            lambda connection: rows(
                connection, "SELECT lane, kind, good, bad, flaw, at FROM learned_answers ORDER BY at DESC"
            )
        )
        for lane, kind, good, bad, flaw, at in found:
            age_s = max(0.0, (now - datetime.fromisoformat(str(at)).astimezone(UTC)).total_seconds())
            tally = Tally(float(str(good)), float(str(bad)), now_s - age_s, str(flaw))
            if not self._learned.restore(str(lane), int(str(kind)), tally):
                self._write_soon()  # it still stands in the journal
        self._is_loaded = True

    async def aclose(self) -> None:
        """Write what is not in the journal yet."""
        if self._learned.forgotten:
            await self.load()
        if self._is_behind:
            await self._write()

    def _write_soon(self) -> None:
        self._is_behind = True
        if self._writing is None or self._writing.done():
            with suppress(LimitReached):  # the end writes it
                self._writing = self._supervisor.spawn("keep what was learned", self._write_later())

    async def _write_later(self) -> None:
        while self._is_behind:
            await asyncio.sleep(WRITE_AFTER_S)
            await self._write()

    async def _write(self) -> None:
        await self.load()  # all of the journal is replaced, so what stands there is known first
        self._is_behind = False  # before the write: what comes during it is written after it
        try:
            await self._replace()
        except BaseException:
            self._is_behind = True
            raise

    async def _replace(self) -> None:
        now, now_s = self._clock.utc_now(), self._clock.monotonic_s()
        kept = [
            (lane, kind, tally.good, tally.bad, tally.flaw, iso(now - timedelta(seconds=now_s - tally.at_s)))
            for lane, kind, tally in self._learned.all()
            if now_s - tally.at_s < FORGOTTEN_AFTER_S
        ]

        def work(connection: Connection) -> None:
            execute(connection, "DELETE FROM learned_answers")
            insert(connection, "INTO learned_answers", kept)

        await self._database.write(work)
