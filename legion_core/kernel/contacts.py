"""Which hosts this process has spoken to: for whom, what for, how often, and how many bytes went each way.

One for the process, as its connections are. What is opened is said here before it is opened. It is kept here until
somebody writes it down (`take`), so that it outlives the process; bounded either way.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from typing import Final, Literal, Protocol
from weakref import WeakSet

import msgspec

from legion_core.kernel.clock import Clock, SystemClock

HOSTS_MAX: Final = 500
HOST_CHARS_MAX: Final = 253
BY_CHARS_MAX: Final = 80

Purpose = Literal["model provider", "model download", "task", "mcp server", "sign-in", "knowledge"]


class Contact(msgspec.Struct, frozen=True, kw_only=True):
    """One host and port, what it was asked for, and by which part of the workbench.

    `by` is an instance, a function, a server or a model.
    `count` connections were opened or tried, `refused` were stopped by a block or by being offline. Bytes are those
    of requests and answers as they went over the line, without what TLS adds.
    """

    host: str
    port: int
    purpose: Purpose
    by: str = ""
    count: int
    refused: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0
    first_at: datetime
    last_at: datetime


class Counting(Protocol):
    """Who counts for itself, being in a hurry, and says so when it is asked."""

    def count(self) -> None:
        """Tell `Contacts.carried` what was carried since."""
        ...


Key = tuple[str, int, Purpose, str]


class Contacts:
    """See the module. May be called from any thread; the host that was silent longest falls out."""

    def __init__(self, clock: Clock, hosts_max: int = HOSTS_MAX) -> None:
        self._clock = clock
        self._hosts_max = hosts_max
        self._found: OrderedDict[Key, Contact] = OrderedDict()
        self._lock = threading.Lock()
        self.forgotten = 0
        self.counting = WeakSet[Counting]()
        self.on_news: Callable[[], None] | None = None
        """Called, in whatever thread, when something is there to be taken where nothing was."""

    def note(self, host: str, port: int, purpose: Purpose, by: str = "", *, is_refused: bool = False) -> None:
        """A connection to this host is about to be opened, or was refused."""
        self._add(host, port, purpose, by, count=not is_refused, refused=is_refused)

    def carried(
        self, host: str, port: int, purpose: Purpose, by: str, sent_bytes: int, received_bytes: int
    ) -> None:
        """So many bytes went over a connection that was noted."""
        self._add(host, port, purpose, by, sent_bytes=sent_bytes, received_bytes=received_bytes)

    def rows(self) -> tuple[Contact, ...]:
        """What was not taken yet, the latest first."""
        self._ask()
        with self._lock:
            return tuple(reversed(self._found.values()))

    def take(self) -> tuple[Contact, ...]:
        """The same, and let go of it: whoever takes it keeps it. Oldest first."""
        self._ask()
        with self._lock:
            found = tuple(self._found.values())
            self._found.clear()
            return found

    def give_back(self, rows: tuple[Contact, ...]) -> None:
        """Have again what could not be kept."""
        for row in rows:
            self._add(
                row.host, row.port, row.purpose, row.by,
                count=row.count, refused=row.refused, sent_bytes=row.sent_bytes, received_bytes=row.received_bytes,
            )  # fmt: skip

    def _ask(self) -> None:
        for each in tuple(self.counting):
            each.count()

    def _add(
        self,
        host: str,
        port: int,
        purpose: Purpose,
        by: str,
        *,
        count: int = 0,
        refused: int = 0,
        sent_bytes: int = 0,
        received_bytes: int = 0,
    ) -> None:
        now = self._clock.utc_now()
        key = (host.lower()[:HOST_CHARS_MAX], port, purpose, by[:BY_CHARS_MAX])
        with self._lock:
            is_first = not self._found
            before = self._found.pop(key, None)
            if before is None and len(self._found) >= self._hosts_max:
                self._found.popitem(last=False)
                self.forgotten += 1
            self._found[key] = Contact(
                host=key[0], port=port, purpose=purpose, by=key[3],
                count=count + (before.count if before else 0),
                refused=refused + (before.refused if before else 0),
                sent_bytes=sent_bytes + (before.sent_bytes if before else 0),
                received_bytes=received_bytes + (before.received_bytes if before else 0),
                first_at=before.first_at if before else now, last_at=now,
            )  # fmt: skip
        if is_first and self.on_news is not None:
            self.on_news()


CONTACTS: Final = Contacts(SystemClock())
