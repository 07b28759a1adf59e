"""Which hosts this workbench has contacted, and which it may: the record, blocks of single hosts, and offline.

The record outlives the process: it is written down shortly after the first contact, when somebody looks, and at the
end. Blocks and offline are settings, so they hold over a restart, and for every process on this home from its next one.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from legion_core.api.settings import Settings
from legion_core.kernel.contacts import CONTACTS, Contact, Contacts, Purpose
from legion_core.kernel.errors import InvalidInput, LegionError, NotFound
from legion_core.kernel.fetch.gate import GATE, Gate, canonical
from legion_core.kernel.settings_schema import Config
from legion_core.kernel.supervise import Supervisor
from legion_core.storage import contacts as record
from legion_core.storage.sqlite import Database

__all__ = ["Contact", "HostRow", "Network", "NetworkState", "Purpose"]

HOSTS_SHOWN: Final = 500
BLOCKS_MAX: Final = 1_000
WRITE_AFTER_S: Final = 20.0
OFFLINE: Final = "network.offline"
BLOCKED: Final = "network.blocked"
_HOST: Final = re.compile(r"(\*\.)?[a-z0-9_:-]+(\.[a-z0-9_-]+)*\Z")


class NetworkState(msgspec.Struct, frozen=True, kw_only=True):
    """What may be contacted: nothing but this computer when offline, and never what is blocked."""

    is_offline: bool
    blocked: tuple[str, ...]


class HostRow(msgspec.Struct, frozen=True, kw_only=True):
    """A host with everything it was contacted for, and whether it may be contacted again."""

    host: str
    blocked_by: str = ""
    """The entry that blocks it: itself, or such as `*.example.com`; empty if none does."""
    contacts: tuple[Contact, ...] = ()


class Network:
    """See the module. `note` records an act durably before it is done, or raises."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        supervisor: Supervisor,
        note: Callable[[str, str, str], Awaitable[None]],
        contacts: Contacts = CONTACTS,
        gate: Gate = GATE,
    ) -> None:
        self._settings = settings
        self._database = database
        self._supervisor = supervisor
        self._note = note
        self._contacts = contacts
        self._gate = gate
        self._loop = asyncio.get_running_loop()
        self._writing: asyncio.Task[None] | None = None
        self._one_at_a_time = asyncio.Lock()
        contacts.on_news = self._news

    # Looking

    async def hosts(self) -> tuple[Contact, ...]:
        """The latest first: host, port, what for, by which part, how often, bytes each way, first and last."""
        await self.write_down()
        return await self._database.read(lambda connection: record.latest(connection, HOSTS_SHOWN))

    async def rows(self) -> tuple[HostRow, ...]:
        """By host, the latest first; hosts that are blocked and were never contacted last."""
        by_host = dict[str, list[Contact]]()
        for contact in await self.hosts():
            by_host.setdefault(contact.host, []).append(contact)
        for word in self.state().blocked:
            by_host.setdefault(word, [])
        return tuple(
            HostRow(host=host, blocked_by=self._blocker(host), contacts=tuple(found))
            for host, found in by_host.items()
        )

    def state(self) -> NetworkState:
        """What is in force."""
        told = self._settings.config.network
        return NetworkState(is_offline=told.offline, blocked=told.blocked)

    def contacted(self, host: str, port: int, purpose: Purpose) -> None:
        """Say that a connection is about to be opened; for whoever has a client of another library."""
        self._gate.check(host, port, purpose)
        self._contacts.note(host, port, purpose)

    # Deciding

    async def set_offline(self, is_offline: bool) -> NetworkState:
        """Contact only this computer, or others again; in force when this returns, for what is under way too."""
        async with self._one_at_a_time:
            if is_offline != self.state().is_offline:
                await self._note("network.offline" if is_offline else "network.online", "network", "")
                await self._settings.set(OFFLINE, is_offline)
        return self.state()

    async def block(self, host: str) -> NetworkState:
        """Never contact this host (a name, an address, `*.example.com`); what is under way to it ends at once."""
        word = _checked(host)
        async with self._one_at_a_time:
            before = self.state().blocked
            if word not in before:
                if len(before) >= BLOCKS_MAX:
                    raise InvalidInput(
                        f"{BLOCKS_MAX} hosts are blocked already; block `*.example.com` at once."
                    )
                await self._note("network.blocked", word, "")
                await self._settings.set(BLOCKED, (*before, word))
        return self.state()

    async def allow(self, host: str) -> NetworkState:
        """Let it through again; NotFound if nothing of that name is blocked."""
        word = _checked(host)
        async with self._one_at_a_time:
            before = self.state().blocked
            if word not in before:
                wider = self._blocker(word)
                raise NotFound(
                    f"{word} is not blocked by that name.",
                    hint=f"{wider} blocks it: `legion network allow '{wider}'`." if wider else "",
                )
            await self._note("network.allowed", word, "")
            await self._settings.set(BLOCKED, tuple(each for each in before if each != word))
        return self.state()

    async def forget(self) -> None:
        """Empty the record; that it was emptied is recorded."""
        await self._note("network.forgotten", "network", "")
        self._contacts.take()
        await self._database.write(record.forget)

    # Keeping

    def apply(self, config: Config) -> None:
        """Put the configuration's blocks in force."""
        self._gate.set(offline=config.network.offline, blocked=config.network.blocked)

    async def write_down(self) -> None:
        """Have on disk what was counted so far."""
        found = self._contacts.take()
        if not found:
            return
        try:
            await self._database.write(lambda connection: record.add(connection, found))
        except LegionError:
            self._contacts.give_back(found)
            raise

    async def stop(self) -> None:
        """Write down what is left; then nothing of this node is in force for others in this process."""
        if self._contacts.on_news == self._news:
            self._contacts.on_news = None
        if self._writing is not None:
            self._writing.cancel()
        self._gate.set()
        await self.write_down()

    def _news(self) -> None:
        """From any thread: something was counted. One write serves all that comes within a while."""
        try:
            self._loop.call_soon_threadsafe(self._soon)
        except RuntimeError:  # the loop ended; `stop` wrote what there was
            return

    def _soon(self) -> None:
        if self._writing is None or self._writing.done():
            try:
                self._writing = self._supervisor.spawn("network record", self._later())
            except LegionError:  # the node stops: `stop` writes
                self._writing = None

    async def _later(self) -> None:
        await asyncio.sleep(WRITE_AFTER_S)
        await self.write_down()

    def _blocker(self, host: str) -> str:
        name, words = host if host.startswith("*.") else canonical(host), self.state().blocked
        if name in words:
            return name
        return next((word for word in words if word.startswith("*.") and f".{name}".endswith(word[1:])), "")


def _checked(host: str) -> str:
    text = host.strip()
    word = f"*.{canonical(text[2:])}" if text.startswith("*.") else canonical(text)
    if len(word) > 255 or not _HOST.match(word):
        raise InvalidInput(
            f"{host[:80]!r} is not the name or address of a host.",
            hint="Such as api.example.com, 203.0.113.7 or '*.example.com', without https:// and path.",
        )
    return word
