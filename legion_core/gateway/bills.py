"""Bills on their way into the journal: safe at once, written a moment later, many in one transaction.

    put ──▶ a line beside the journal, which outlives the process ──▶ the answer may end
             └── BEHIND_S later, or when anybody reads or writes the journal ──▶ one transaction for all that is held

So nobody in this process can see a gap, and a killed one loses nothing: what was not in the journal yet is written by the
next start (ADR 15). Where the disk does not take the line, or did not take the last bills, `put` waits for the journal.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import msgspec

from legion_core.gateway.types import Attempt, Request
from legion_core.kernel.errors import LegionError
from legion_core.kernel.faults import fault
from legion_core.storage.failures import from_os
from legion_core.storage.slates import Page, Slates
from legion_core.storage.sqlite import Connection, Database

log = logging.getLogger("legion.ledger")

BEHIND_S: Final = 0.05
RETRY_S: Final = 2.0  # after a write that failed; any read or write of the journal tries sooner
HELD_MAX: Final = 1024  # bills; with more than that no request is begun, and an answer waits for the journal

Saved = tuple[int, float | None]  # tokens that were not sent, and USD; None: the price is unknown


class Bill(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one request is billed. `saved` is what curation saved of each attempt, in their order."""

    request: str
    at: datetime
    outcome: str
    duration_s: float
    conversation: str = ""
    dialect: str = ""
    client: str = ""
    attempts: tuple[Attempt, ...] = ()
    saved: tuple[Saved, ...] = ()


def bill_of(
    request: Request,
    attempts: Sequence[Attempt],
    outcome: str,
    duration_s: float,
    *,
    at: datetime | None = None,
    saved: Sequence[Saved] = (),
) -> Bill:
    """The bill of a request, begun `at` or with its first attempt."""
    return Bill(
        request=request.id,
        at=at or attempts[0].started_at,
        outcome=outcome,
        duration_s=duration_s,
        conversation=request.conversation_id or request.session,
        dialect=request.dialect,
        client=request.client,
        attempts=tuple(attempts),
        saved=tuple(saved),
    )


Held = tuple[Bill, Page | None]  # None: it is nowhere but here
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Bill).decode


class Bills:
    """The bills of one node. `write` puts some into the journal, within a transaction; one that is there stays as it is."""

    def __init__(self, database: Database, write: Callable[[Connection, Sequence[Bill]], None]) -> None:
        self._database = database
        self._write = write
        self._slates = Slates(database.path, "bills")
        self._held: list[Held] = []
        self._trying: asyncio.Future[None] | None = None  # ends with the last transaction under way
        self._problem: LegionError | None = None  # why the last one failed
        self._timer: asyncio.TimerHandle | None = None
        database.let_first(self.hand_over)

    @property
    def held(self) -> int:
        """How many are not handed to the journal."""
        return len(self._held)

    async def admit(self) -> None:
        """Return if another bill can be held. Else try the disk again, and raise what is wrong with it."""
        if self._problem is not None and len(self._held) >= HELD_MAX:
            await self.written()

    async def put(self, bill: Bill) -> None:
        """Take a bill; when this returns it outlives the process. Raises why the disk refused it; it is tried again."""
        page = self._kept(bill)
        self._held.append((bill, page))
        if page is None or self._problem is not None or len(self._held) >= HELD_MAX:
            await self.written()
        elif self._timer is None:
            self._again_in(BEHIND_S)

    async def written(self) -> None:
        """Wait until all bills are in the journal. Raises why they are not; they stay held."""
        if (trying := self.hand_over()) is not None:
            await asyncio.shield(trying)
        if self._problem is not None:
            raise self._problem

    def hand_over(self) -> "asyncio.Future[None] | None":
        """See `storage.sqlite.HandOver`."""
        if self._held:
            self._disarm()
            held, self._held = self._held, []
            self._slates.turn()
            self._begin(held)
        return self._trying

    async def recover(self) -> None:
        """Write what killed processes left beside the journal."""
        for left in await asyncio.to_thread(self._slates.left):
            bills = [bill for line in left.lines if (bill := _read(line)) is not None]
            try:
                await self._database.write(lambda connection, bills=bills: self._write(connection, bills))
            except LegionError as error:
                log.warning("%d bills of a killed process wait for the next start: %s", len(bills), error)
                left.release()
            else:
                await asyncio.to_thread(left.drop)

    async def aclose(self) -> None:
        """Write what is held. What the disk does not take stays beside the journal for the next start."""
        try:
            await self.written()
        except LegionError as error:
            log.warning("%d bills wait for the next start: %s", len(self._held), error)
        self._disarm()
        self._slates.close()

    def _kept(self, bill: Bill) -> Page | None:
        try:
            fault("ledger.keep")
            return self._slates.keep(_encode(bill))
        except OSError as error:
            log.warning("a bill waits for the journal: %s", from_os(error, self._database.path))
            return None

    def _begin(self, held: list[Held]) -> None:
        """Queue one transaction; the journal keeps the order."""
        bills = [bill for bill, _ in held]
        trying: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._trying = trying

        def work(connection: Connection) -> None:
            fault("ledger.write")
            self._write(connection, bills)

        def ended(error: BaseException | None) -> None:
            if self._trying is trying:
                self._trying = None
            if isinstance(error, LegionError):
                self._hold_on(held, error)
            elif error is not None:
                self._part(held, error)
            else:
                self._problem = None
                self._done(held)
            trying.set_result(None)

        try:
            writing = self._database.write_nowait(work, durability="process")
        except LegionError as error:  # closed, or more waits than it takes
            ended(error)
        else:
            writing.add_done_callback(lambda writing: ended(writing.exception()))

    def _done(self, held: Sequence[Held]) -> None:
        for _, page in held:
            if page is not None:
                self._slates.done(page)

    def _hold_on(self, held: list[Held], error: LegionError) -> None:
        """The disk refused: nothing is lost, and nothing is refused before too much is held."""
        if self._problem is None:
            log.error("bills are held in memory: %s", error.sentence())
        self._problem = error
        self._held[:0] = held
        if self._timer is None:
            self._again_in(RETRY_S)

    def _part(self, held: Sequence[Held], error: BaseException) -> None:
        """A bill that no journal takes is a fault of ours: it must not keep the others out."""
        if len(held) > 1:
            for each in held:
                self._begin([each])
        else:
            log.error("a bill cannot be written: %r", held[0][0], exc_info=error)
            self._done(held)

    def _again_in(self, delay_s: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._due)

    def _due(self) -> None:
        self._timer = None
        self.hand_over()

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _read(line: bytes) -> Bill | None:
    try:
        return _decode(line)
    except msgspec.MsgspecError as error:
        log.warning("a bill of a process that was killed cannot be read: %s", error)
        return None
