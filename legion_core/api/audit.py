"""The audit log: what was decided and done, checked and taken out."""

from collections.abc import Awaitable, Callable
from datetime import datetime

import msgspec

from legion_core.kernel.ports import ACTING
from legion_core.rbac.audit import AuditLog
from legion_core.rbac.audit_chain import Entry, Finding, Note
from legion_core.rbac.tokens import moment

WEIGHTY = (
    "engine.",
    "gateway.",
    "server.",
    "privacy.",
    "budget.",
    "transport.",
    "advanced.",
    "network.",
    "mode",
)
KEY_PLACES = {
    "keyring": "the system's keyring",
    "file": "the encrypted file of secrets",
    "plain": "a file in the data directory, so whoever can read all of that could also seal entries",
}


class AuditRow(msgspec.Struct, frozen=True, kw_only=True):
    """One entry as it is shown."""

    seq: int
    at: datetime
    kind: str
    who: str
    path: str
    action: str
    outcome: str
    detail: str
    hash: str


class AuditCheck(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the log is whole; `first_bad` is the first entry that is not what it was. `key` says where the key lies."""

    is_whole: bool
    count: int
    first_bad: int | None = None
    why: str = ""
    key: str = ""


class Audit:
    """See the module."""

    def __init__(self, log: AuditLog) -> None:
        self._log = log

    async def note(
        self,
        kind: str,
        path: str = "",
        action: str = "",
        outcome: str = "done",
        detail: str = "",
        who: str = "",
    ) -> None:
        """Record something durably, before it is done; where this fails, it must not be done. `who`: who asks now."""
        await self._log.note(self._made(kind, path, action, outcome, detail, who))

    def note_nowait(
        self,
        kind: str,
        path: str = "",
        action: str = "",
        outcome: str = "done",
        detail: str = "",
        who: str = "",
    ) -> None:
        """Record something soon; for facts, and for refusals."""
        self._log.note_nowait(self._made(kind, path, action, outcome, detail, who))

    async def changed(self, kind: str, what: str, detail: str) -> None:
        """Record what is about to be changed, for whoever the work at hand is done for.

        What decides over rights, money, keys or what leaves this computer must be on disk before it is done; for the
        rest (how the window looks) soon after is enough.
        """
        if kind.startswith("setting.") and not what.startswith(WEIGHTY):
            self.note_nowait(kind, what, "write", detail=detail)
        else:
            await self.note(kind, what, "write", detail=detail)

    async def page(
        self, *, limit: int = 100, below: int = 0, kind: str = "", who: str = "", outcome: str = ""
    ) -> tuple[AuditRow, ...]:
        """Newest first; the next page begins `below` the last one's `seq`. `kind` also takes the beginning of one."""
        found = await self._log.page(below=below, limit=limit, kind=kind, who=who, outcome=outcome)
        return tuple(_row(entry) for entry in found)

    async def verify(self, lines: bytes | None = None) -> AuditCheck:
        """Check all of it, or `lines` of entries that were exported or moved out."""
        if lines is not None:
            return _check(await self._log.verify_lines(lines), "")
        found, place = await self._log.verify()
        return _check(found, KEY_PLACES.get(place, place))

    async def export(self, write: Callable[[bytes], Awaitable[None]], *, after: int = 0) -> int:
        """Give every entry behind `after` to `write`, as lines of JSON, oldest first, a page at a time; how many there were."""
        return await self._log.export(write, after=after)

    def _made(self, kind: str, path: str, action: str, outcome: str, detail: str, who: str) -> Note:
        name = who or ACTING.get().name
        return Note(kind=kind, who=name, path=path, action=action, outcome=outcome, detail=detail)


def _row(entry: Entry) -> AuditRow:
    return AuditRow(
        seq=entry.seq, at=moment(entry.at_us // 1000), kind=entry.kind, who=entry.who, path=entry.path,
        action=entry.action, outcome=entry.outcome, detail=entry.detail, hash=entry.hash.hex(),
    )  # fmt: skip


def _check(found: Finding, key: str) -> AuditCheck:
    return AuditCheck(
        is_whole=found.first_bad is None, count=found.count, first_bad=found.first_bad, why=found.why, key=key
    )
