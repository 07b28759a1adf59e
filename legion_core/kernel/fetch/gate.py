"""What may leave this computer at all: the person's blocks, and offline. One for the process, as its connections are.

Asked for every connection that is opened and for every request over one that is kept. Whoever holds connections open
hears of a change (`watch`) and closes what may not be any more.
"""

from collections.abc import Sequence
from typing import Final, Literal, Protocol
from weakref import WeakSet

from legion_core.kernel.addresses import is_loopback
from legion_core.kernel.contacts import CONTACTS, Contacts, Purpose
from legion_core.kernel.errors import Denied

Why = Literal["", "offline", "blocked"]


class Blocked(Denied):
    """The person does not want this host to be contacted; `why` is `offline` or `blocked`."""

    def __init__(self, host: str, why: Why) -> None:
        super().__init__(sentence(host, why), hint=HINTS[why])
        self.why = why


HINTS: Final[dict[Why, str]] = {
    "": "",
    "offline": "Go online on Connect > Network, or by `legion network online`.",
    "blocked": "Let it through on Connect > Network, or by `legion network allow HOST`.",
}


def sentence(host: str, why: Why) -> str:
    """What a refusal says."""
    shown = host[:120]
    return (
        f"The workbench is offline: only this computer may be contacted, not {shown}."
        if why == "offline"
        else f"{shown} is blocked on the Network page."
    )


class Watcher(Protocol):
    """Who holds connections open."""

    def gate_changed(self) -> None:
        """Something may be contacted, or may not any more, that was otherwise before."""
        ...


class Gate:
    """See the module. Changed on the loop; asked from anywhere."""

    def __init__(self, contacts: Contacts = CONTACTS) -> None:
        self._contacts = contacts
        self._names = frozenset[str]()
        self._suffixes: tuple[str, ...] = ()
        self._watchers = WeakSet[Watcher]()
        self.is_offline = False
        self.is_open = True
        """Whether nothing at all is refused, which is the usual state: whoever is in a hurry looks here first."""

    def set(self, *, offline: bool = False, blocked: Sequence[str] = ()) -> None:
        """Put in force: `blocked` are hosts or addresses; `*.example.com` is every name below and itself."""
        names = frozenset(canonical(word) for word in blocked if word.strip() and not word.startswith("*."))
        suffixes = tuple(
            sorted(canonical(word[2:]) for word in blocked if word.startswith("*.") and word[2:])
        )
        if (offline, names, suffixes) == (self.is_offline, self._names, self._suffixes):
            return
        self.is_offline, self._names, self._suffixes = offline, names, suffixes
        self.is_open = not (offline or names or suffixes)
        for watcher in tuple(self._watchers):
            watcher.gate_changed()

    def why_not(self, host: str) -> Why:
        """Why this host may not be contacted; empty if it may."""
        if self.is_open:
            return ""
        name = canonical(host)
        if name in self._names or any(
            name == suffix or name.endswith(f".{suffix}") for suffix in self._suffixes
        ):
            return "blocked"
        return "offline" if self.is_offline and not is_loopback(name) else ""

    def check(self, host: str, port: int, purpose: Purpose, by: str = "") -> None:
        """Return if the host may be contacted; else note the attempt and raise Blocked."""
        why = self.why_not(host)
        if why:
            self._contacts.note(host, port, purpose, by, is_refused=True)
            raise Blocked(host, why)

    def watch(self, watcher: Watcher) -> None:
        """Tell `watcher` of every change for as long as there is one."""
        self._watchers.add(watcher)


def canonical(host: str) -> str:
    """A host as it is compared: lower case, without brackets, final dot or zone; names in their ASCII form."""
    name = host.strip().lower().strip("[]").partition("%")[0].rstrip(".")
    if name.isascii():
        return name
    try:
        return name.encode("idna").decode("ascii")
    except UnicodeError:
        return name


GATE: Final = Gate()
