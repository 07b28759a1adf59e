"""Which hosts this process has spoken to, for whom, and how often: bounded, in memory, for the person to look at.

One for the process, as its connections are: whoever opens one to another host says so here, before it is opened.
"""

import threading
from collections import OrderedDict
from datetime import datetime
from typing import Final, Literal

import msgspec

from legion_core.kernel.clock import Clock, SystemClock

HOSTS_MAX: Final = 500
HOST_CHARS_MAX: Final = 253

Purpose = Literal["model provider", "model download", "task", "mcp server", "sign-in", "knowledge"]


class Contact(msgspec.Struct, frozen=True, kw_only=True):
    """One host and port, and what it was asked for; `count` connections were opened or tried."""

    host: str
    port: int
    purpose: Purpose
    count: int
    first_at: datetime
    last_at: datetime


class Contacts:
    """See the module. `note` may be called from any thread; the host that was silent longest falls out."""

    def __init__(self, clock: Clock, hosts_max: int = HOSTS_MAX) -> None:
        self._clock = clock
        self._hosts_max = hosts_max
        self._found: OrderedDict[tuple[str, int, Purpose], Contact] = OrderedDict()
        self._lock = threading.Lock()
        self.forgotten = 0

    def note(self, host: str, port: int, purpose: Purpose) -> None:
        """A connection to this host is about to be opened."""
        now = self._clock.utc_now()
        key = (host.lower()[:HOST_CHARS_MAX], port, purpose)
        with self._lock:
            before = self._found.pop(key, None)
            if before is None and len(self._found) >= self._hosts_max:
                self._found.popitem(last=False)
                self.forgotten += 1
            self._found[key] = Contact(
                host=key[0],
                port=port,
                purpose=purpose,
                count=before.count + 1 if before else 1,
                first_at=before.first_at if before else now,
                last_at=now,
            )

    def rows(self) -> tuple[Contact, ...]:
        """All of them, the latest first."""
        with self._lock:
            return tuple(reversed(self._found.values()))


CONTACTS: Final = Contacts(SystemClock())
