"""The Network tab: which hosts were contacted, which may be, and the switch that leaves only this computer.

Nothing is asked while the tab is hidden, and nothing runs by the clock.
"""

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal

from app.bridge import Bridge
from app.viewmodels import wording
from legion_core.api.types import Event, SettingChanged

if TYPE_CHECKING:
    from legion_core.api.facade import Legion
    from legion_core.api.network import Contact, HostRow, NetworkState

PURPOSES = {
    "model provider": "Answers of models",
    "model download": "Download of a model",
    "task": "A task",
    "mcp server": "Tools of a server",
    "sign-in": "Sign-in",
    "knowledge": "Knowledge",
}


@dataclass(frozen=True, slots=True)
class HostWords:
    """A row of the list. `key` is unique; several rows may be of one `host`."""

    key: str
    host: str
    place: str
    purpose: str
    by: str
    contacts: str
    sent: str
    received: str
    last: str
    state: str
    blocked_by: str
    facts: tuple[tuple[str, str], ...]


class NetworkViewModel(QObject):
    """`watch(True)` while the tab can be seen."""

    changed = Signal()
    told = Signal(str, str)
    """A sentence about what was done, and its icon."""

    def __init__(self, bridge: Bridge, now: Callable[[], datetime]) -> None:
        super().__init__()
        self.setObjectName("viewmodel.network")
        self._bridge = bridge
        self._now = now
        self.rows: tuple[HostWords, ...] = ()
        self.is_offline = False
        self.blocked: tuple[str, ...] = ()
        self.summary = ""
        self._is_watched = False
        self._is_asking = False
        self._is_stale = True
        bridge.watch(self._on_settings, SettingChanged)
        bridge.connected.connect(self.refresh)

    def watch(self, is_watched: bool) -> None:
        """The tab can be seen, or not any more: unseen it asks nothing."""
        self._is_watched = is_watched
        if is_watched:
            self.refresh()

    def refresh(self) -> None:
        """Look again; calls while one is under way are one more."""
        self._is_stale = True
        if not self._is_watched or self._is_asking:
            return
        self._is_asking, self._is_stale = True, False

        async def look(legion: "Legion") -> "tuple[tuple[HostRow, ...], NetworkState]":
            return await legion.network.rows(), legion.network.state()

        self._bridge.launch("network.look", look, self._on_look, self._on_failure)

    def row(self, key: str) -> HostWords | None:
        """One of the rows."""
        return next((row for row in self.rows if row.key == key), None)

    def set_offline(self, is_offline: bool) -> None:
        """Contact only this computer, or others again."""
        words = "Offline: only this computer is contacted" if is_offline else "Online again"
        self._act(
            "offline",
            lambda legion: legion.network.set_offline(is_offline),
            words,
            "wifi-off" if is_offline else "wifi",
        )

    def block(self, host: str) -> None:
        """Never contact a host, from now on."""
        if host.strip():
            self._act(
                "block", lambda legion: legion.network.block(host), f"{host.strip()} is blocked", "shield-off"
            )

    def allow(self, host: str) -> None:
        """Let it through again."""
        self._act(
            "allow", lambda legion: legion.network.allow(host), f"{host} may be contacted", "shield-check"
        )

    def switch(self, row: HostWords) -> None:
        """Block the row's host, or take away what blocks it."""
        if row.blocked_by:
            self.allow(row.blocked_by)
        else:
            self.block(row.host)

    def _act(
        self, verb: str, act: "Callable[[Legion], Coroutine[Any, Any, Any]]", words: str, icon: str
    ) -> None:
        def done(_: object) -> None:
            self.told.emit(words, icon)
            self.refresh()

        def failed(sentence: str) -> None:
            self._bridge.refused.emit(sentence)
            self.refresh()

        self._bridge.launch(f"network.{verb}", act, done, failed)

    def _on_look(self, found: "tuple[tuple[HostRow, ...], NetworkState]") -> None:
        self._is_asking = False
        hosts, state = found
        self.is_offline, self.blocked = state.is_offline, state.blocked
        now = self._now()
        self.rows = tuple(words for host in hosts for words in self._said(host, now))
        contacted = [host for host in hosts if any(each.count for each in host.contacts)]
        sent = sum(each.sent_bytes for host in contacted for each in host.contacts)
        received = sum(each.received_bytes for host in contacted for each in host.contacts)
        self.summary = (
            f"{wording.plural(len(contacted), 'host')}, {wording.size(sent)} sent, "
            f"{wording.size(received)} received"
            if contacted
            else ""
        )
        self.changed.emit()
        if self._is_stale:
            self.refresh()

    def _said(self, host: "HostRow", now: datetime) -> list[HostWords]:
        if not host.contacts:
            return [
                HostWords(
                    key=host.host, host=host.host, place=host.host,
                    purpose="Every name below it" if host.host.startswith("*.") else "Never contacted", by="", contacts="",
                    sent="", received="", last="", state="blocked", blocked_by=host.blocked_by, facts=(),
                )
            ]  # fmt: skip
        return [_row(host, contact, now) for contact in host.contacts]

    def _on_failure(self, sentence: str) -> None:
        self._is_asking = False
        self._bridge.refused.emit(sentence)

    def _on_settings(self, facts: Sequence[Event]) -> None:
        keys = [fact.key for fact in facts if isinstance(fact, SettingChanged)]
        if any(not key or key.startswith("network.") for key in keys):  # none: all of the file is new
            self.refresh()


def _row(host: "HostRow", contact: "Contact", now: datetime) -> HostWords:
    place = f"[{host.host}]:{contact.port}" if ":" in host.host else f"{host.host}:{contact.port}"
    facts = [
        ("For", PURPOSES.get(contact.purpose, contact.purpose)),
        ("By", contact.by or "the workbench"),
        ("Connections opened or tried", wording.count(contact.count)),
        ("Stopped by a block or offline", wording.count(contact.refused)),
        ("Sent", wording.size(contact.sent_bytes)),
        ("Received", wording.size(contact.received_bytes)),
        ("First", f"{contact.first_at.astimezone(now.tzinfo):%Y-%m-%d %H:%M}"),
        ("Last", f"{contact.last_at.astimezone(now.tzinfo):%Y-%m-%d %H:%M}"),
    ]
    return HostWords(
        key=f"{place} {contact.purpose} {contact.by}",
        host=host.host,
        place=place,
        purpose=PURPOSES.get(contact.purpose, contact.purpose),
        by=contact.by,
        contacts=wording.count(contact.count),
        sent=wording.size(contact.sent_bytes),
        received=wording.size(contact.received_bytes),
        last=wording.ago(contact.last_at, now),
        state="blocked" if host.blocked_by else "",
        blocked_by=host.blocked_by,
        facts=tuple(facts),
    )
