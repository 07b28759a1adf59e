"""Requests under way, as they would be billed now: beside the journal, so that a killed process leaves their bill.

    begin ──▶ every EVERY_S, while there are any: all of them in one line beside the journal ──▶ end, by their own bill

An answer that is over sooner is never written here. What was spent since the last line before a kill is on no bill, and
neither is a request of which nothing had come.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec

from legion_core.gateway.asking import Asking
from legion_core.gateway.bills import Bill, bill_of
from legion_core.gateway.types import Request
from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import LegionError
from legion_core.storage.failures import from_os
from legion_core.storage.slates import Page, Slates
from legion_core.storage.sqlite import Connection, Database, execute, rows

log = logging.getLogger("legion.ledger")

EVERY_S: Final = 1.0
TOLD_MAX: Final = 1024  # requests in one line; the oldest
INTERRUPTED: Final = "interrupted"


class Told(msgspec.Struct, frozen=True, array_like=True):
    """What was under way at one moment, in seconds since 1970."""

    at_s: float
    bills: tuple[Bill, ...]


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Told).decode
Write = Callable[[Connection, Sequence[Bill]], None]


class UnderWay:
    """The requests of one node that are not billed yet. Nothing is opened before one has taken `EVERY_S`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._slates = Slates(database.path, "underway")
        self._asked = dict[str, tuple[Request, Asking, float]]()
        self._page: Page | None = None  # on which the latest line is
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, request: Request, asking: Asking) -> None:
        """From now on the request is told as `asking` says it is."""
        self._asked[request.id] = request, asking, self._clock.monotonic_s()
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(EVERY_S, self._tell)

    def end(self, request_id: str) -> None:
        """It has its bill, or is about to."""
        self._asked.pop(request_id, None)

    async def recover(self, write: Write) -> None:
        """Bill what killed processes had under way. What such a request held of a budget stays held, less its cost."""
        left = await asyncio.to_thread(self._slates.left)
        bills = latest(line for each in left for line in each.lines)
        try:
            if bills:
                await self._database.write(lambda connection: _write_beside(connection, bills, write))
        except LegionError as error:
            log.warning("%d bills of what was under way wait for the next start: %s", len(bills), error)
            for each in left:
                each.release()
        else:
            for each in left:
                await asyncio.to_thread(each.drop)

    def close(self) -> None:
        """Remove the line: every request has its bill."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._page is not None:
            self._slates.done(self._page)
            self._page = None
        self._slates.close()

    def _tell(self) -> None:
        self._timer = None
        now_s = self._clock.monotonic_s()
        bills = list[Bill]()
        for request, asking, since_s in self._asked.values():
            if len(bills) < TOLD_MAX and (attempts := asking.so_far):
                bills.append(bill_of(request, attempts, INTERRUPTED, now_s - since_s))
        before, self._page = self._page, None
        if bills:
            self._page = self._keep(Told(self._clock.unix_s(), tuple(bills)))
        if before is not None:
            self._slates.done(before)
        if self._asked or self._page is not None:
            self._timer = asyncio.get_running_loop().call_later(EVERY_S, self._tell)

    def _keep(self, told: Told) -> Page | None:
        self._slates.turn()  # the line before is wiped with its page
        try:
            return self._slates.keep(_encode(told))
        except OSError as error:
            log.warning("a kill would leave no bill: %s", from_os(error, self._database.path))
            return None


def latest(lines: Iterable[bytes]) -> list[Bill]:
    """The last that was told of each request."""
    told = list[Told]()
    for line in lines:
        try:
            told.append(_decode(line))
        except msgspec.MsgspecError as error:
            log.warning("what a killed process had under way cannot be read: %s", error)
    told.sort(key=lambda each: each.at_s)
    return list({bill.request: bill for each in told for bill in each.bills}.values())


def _write_beside(connection: Connection, bills: Sequence[Bill], write: Write) -> None:
    """Write the bills and hold on to what is held: more may have been spent than anybody saw."""
    names = msgspec.json.encode([bill.request for bill in bills]).decode()
    which = "WHERE request IN (SELECT value FROM json_each(?))"
    held = rows(connection, f"SELECT * FROM reservations {which}", [names])  # noqa: S608 - a constant
    write(connection, bills)
    for one in held:
        execute(connection, "INSERT INTO reservations VALUES(?,?,?,?,?,?,?,?,?,?,?)", one)
    costs = [(bill.request, sum(attempt.cost_usd or 0.0 for attempt in bill.attempts)) for bill in bills]
    for request, cost in costs:
        execute(
            connection, "UPDATE reservations SET usd = max(0, usd - ?) WHERE request = ?", [cost, request]
        )
