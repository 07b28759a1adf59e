"""The connections to one provider: taken, given back, bounded. Through a proxy of the environment goes `proxied`.

Idle ones are kept for 30 s and no timer watches them: one that is too old is closed when it would be used.
"""

import asyncio
import os
import ssl
from collections.abc import Mapping
from typing import Final, Protocol
from urllib.parse import urlsplit

from legion_core.gateway.providers.line import Exchange, Line, LineError, head_of
from legion_core.kernel.contacts import CONTACTS
from legion_core.kernel.errors import LegionError
from legion_core.kernel.fetch.gate import GATE
from legion_core.kernel.fetch.reach import ANYWHERE, find

LINES_MAX: Final = 100
IDLE_MAX: Final = 20
IDLE_S: Final = 30.0


class CannotConnect(LineError):
    """Nobody took the connection."""


class ConnectTooSlow(LineError):
    """The connection was not made in time."""


class AllTaken(LineError):
    """Every connection there may be is in use, for too long."""


class Carrier(Protocol):
    """What takes a request to a provider."""

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, until_s: float
    ) -> Exchange:
        """The answer once its head is there. LineError, or TimeoutError at `until_s` by the loop's clock."""
        ...

    async def aclose(self) -> None:
        """Close every connection; idempotent."""
        ...


class Lines:
    """Connections of our own to one host; see `Carrier`."""

    def __init__(self, base_url: str, connect_s: float, by: str = "") -> None:
        """`by` is the instance, for the record of hosts contacted."""
        parts = urlsplit(base_url)
        self._by = by
        self._sent_bytes = self._received_bytes = 0
        GATE.watch(self)
        CONTACTS.counting.add(self)
        self._is_tls = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._is_tls else 80)
        shown = f"[{self._host}]" if ":" in self._host else self._host
        is_usual = self._port == (443 if self._is_tls else 80)
        self._named = shown if is_usual else f"{shown}:{self._port}"
        self._connect_s = connect_s
        self._context: ssl.SSLContext | None = None
        self._idle = list[Line]()
        self._busy = set[Line]()
        self._loop_s = asyncio.get_running_loop().time
        self._places = asyncio.Semaphore(LINES_MAX)
        self._is_closed = False
        self._before: tuple[str, str, Mapping[str, str], bytes] | None = None

    async def send(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, until_s: float
    ) -> Exchange:
        """See `Carrier`."""
        if not GATE.is_open:
            self._check()
        head = self._head(method, url, headers)
        head += b"content-length: %d\r\n\r\n" % len(body) if body or method == "POST" else b"\r\n"
        line = await self._taken()
        self._sent_bytes += len(head) + len(body)
        was_idle = line.free_since_s > 0
        try:
            await line.exchange(head, body, until_s)
        except LineError:
            if not (was_idle and line.is_unanswered):
                raise
            # The other end closed what was idle as the question came, and will not have read it: once more, on a new one.
            line = await self._taken(is_new=True)
            self._sent_bytes += len(head) + len(body)
            await line.exchange(head, body, until_s)
        return line

    async def aclose(self) -> None:
        """See `Carrier`."""
        self._is_closed = True
        for line in (*self._idle, *self._busy):
            line.drop()
        self._idle.clear()
        self.count()
        await asyncio.sleep(0)  # the transports close their sockets with the next turn

    def _head(self, method: str, url: str, headers: Mapping[str, str]) -> bytes:
        """Mostly the very address and headers of the request before."""
        before = self._before
        if before is not None and before[0] == method and before[1] is url and before[2] is headers:
            return before[3]
        parts = urlsplit(url)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        head = head_of(method, target, self._named, headers.items())
        self._before = method, url, headers, head
        return head

    async def _taken(self, *, is_new: bool = False) -> Line:
        await self._place()
        try:
            line = (None if is_new else self._kept()) or await self._connected()
        except BaseException:
            self._places.release()
            raise
        self._busy.add(line)
        return line

    async def _place(self) -> None:
        if not self._places.locked():
            await self._places.acquire()
            return
        try:
            async with asyncio.timeout(self._connect_s):
                await self._places.acquire()
        except TimeoutError as error:
            raise AllTaken("no connection came free") from error

    def _kept(self) -> Line | None:
        horizon_s = self._loop_s() - IDLE_S
        while self._idle:
            line = self._idle.pop()
            if line.free_since_s > horizon_s and line.is_usable:
                return line
            line.drop()
        return None

    async def _connected(self) -> Line:
        if self._is_tls and self._context is None:
            # Loading the certificates takes longer than the loop can give.
            self._context = await asyncio.to_thread(tls_context)
        try:
            async with asyncio.timeout(self._connect_s):
                # The person named this host, so it may lie anywhere; what it stands for is looked up this once.
                addresses = await find(self._host, self._port, "model provider", self._by, ANYWHERE)
                return await self._first(addresses)
        except TimeoutError as error:
            raise ConnectTooSlow("no connection in time") from error
        except LegionError as error:
            raise CannotConnect(error.sentence()) from error
        except (OSError, ssl.SSLError, UnicodeError) as error:
            raise CannotConnect(_why(error)) from error

    async def _first(self, addresses: tuple[str, ...]) -> Line:
        """A connection to the first of these that takes one."""
        loop, told = asyncio.get_running_loop(), OSError("no address")
        for address in addresses:
            try:
                _, line = await loop.create_connection(
                    lambda: Line(self._freed),
                    address,
                    self._port,
                    ssl=self._context,
                    server_hostname=self._host if self._is_tls else None,
                )
            except OSError as error:
                told = error
            else:
                return line
        raise told

    def _check(self) -> None:
        try:
            GATE.check(self._host, self._port, "model provider", self._by)
        except LegionError as error:
            raise CannotConnect(error.sentence()) from error

    def gate_changed(self) -> None:
        """A host that is blocked is spoken to no more, in the middle of an answer too."""
        if GATE.why_not(self._host):
            for line in (*self._idle, *self._busy):
                line.drop()
            self._idle.clear()

    def count(self) -> None:
        """Say how many bytes went each way since this was asked last."""
        for line in (*self._idle, *self._busy):
            self._take(line)
        if self._sent_bytes or self._received_bytes:
            CONTACTS.carried(
                self._host, self._port, "model provider", self._by, self._sent_bytes, self._received_bytes
            )
            self._sent_bytes = self._received_bytes = 0

    def _take(self, line: Line) -> None:
        self._received_bytes += line.read_bytes
        line.read_bytes = 0

    def _freed(self, line: Line, may_go_on: bool) -> None:
        self._busy.discard(line)
        self._take(line)
        self._places.release()
        if may_go_on and not self._is_closed and len(self._idle) < IDLE_MAX:
            self._idle.append(line)
        else:
            line.drop()


def tls_context() -> ssl.SSLContext:
    """What the certificates of a provider are held against. Blocks for some 30 ms."""
    import httpx

    context = httpx.create_ssl_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


def _why(error: Exception) -> str:
    """What is wrong, in the system's words where it has any: `connection refused`."""
    if isinstance(error, OSError) and not isinstance(error, ssl.SSLError) and (error.errno or 0) > 0:
        return os.strerror(error.errno or 0).lower()
    return str(error) or type(error).__name__
