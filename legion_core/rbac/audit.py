"""The audit log as a service: what must be on disk before an action, and what is written along with others soon after.

`record_in` is for those who write it in their own transaction. `note` is durable when it returns. `note_nowait` is for
decisions, which must not wait: they are gathered and written together; what a full queue loses is counted, and the count
is recorded.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import Denied, InvalidInput, LegionError
from legion_core.kernel.files import write_atomically
from legion_core.kernel.redact import redact
from legion_core.kernel.supervise import Supervisor
from legion_core.rbac import audit_store as store
from legion_core.rbac.audit_chain import BROKEN, Entry, Finding, Mark, Note, check, is_anchored, mark_of
from legion_core.rbac.audit_key import OpenKey, SealKey
from legion_core.storage.calls import in_thread
from legion_core.storage.sqlite import Connection, Database

log = logging.getLogger("legion.audit")

Work = Callable[[Connection], object]

PENDING_MAX: Final = 10_000
GROUP_MAX: Final = 1_000
DETAIL_CHARS_MAX: Final = 2_000
ENTRIES_MAX: Final = 1_000_000  # in the journal; what is older moves to files
MOVED: Final = 100_000  # so many at once
ANCHOR: Final = "audit.head"
OTHER: Final = "the audit log is not the one that was here before: some of it is missing, or an older copy was put in its place"
ANCHOR_EVERY: Final = 64  # entries
FOLDER: Final = "audit"


class AuditLog:
    """See the module. All methods belong to the loop's thread; `record_in` to the journal's."""

    def __init__(
        self,
        clock: Clock,
        supervisor: Supervisor,
        database: Database,
        home: Path,
        open_key: OpenKey,
        *,
        entries_max: int = ENTRIES_MAX,
        moved: int = MOVED,
    ) -> None:
        self._clock = clock
        self._supervisor = supervisor
        self._database = database
        self._home = home
        self._open_key = open_key
        self._entries_max = entries_max
        self._moved = moved
        self._key: SealKey | None = None
        self._opening: asyncio.Lock = asyncio.Lock()
        self._pending: deque[tuple[Note, Work | None]] = deque()
        self._lost = 0
        self._flushing: asyncio.Task[None] | None = None
        self._since_anchor = 0
        self._checked_size_at = 0
        self._is_keeping_house = False

    async def ready(self) -> None:
        """Have the key at hand, which `record_in` needs; Denied while it is locked."""
        async with self._opening:
            if self._key is None:
                key = await self._open_key()
                anchor = await in_thread("audit head", self._read_anchor)
                if anchor is not None:
                    is_other = not await self._has_seen(anchor)
                else:
                    head = await self._database.read(lambda connection: store.mark(connection, "head"))
                    is_other = is_anchored(key.value, head)
                self._key = key
                if is_other:
                    # Said once and for all, before anything is written behind it: going on must hide nothing.
                    log.warning("%s", OTHER)
                    note = Note(kind=BROKEN, who="workbench", path="audit", outcome="failed", detail=OTHER)
                    await self._database.write(lambda connection: self.record_in(connection, (note,)))

    async def _has_seen(self, mark: Mark) -> bool:
        """Whether what the log held then is what it holds now, at that place."""

        def look(connection: Connection) -> bool:
            found = next(store.every(connection, mark.seq - 1, mark.seq), None)
            base = store.mark(connection, "base")
            is_moved = base is not None and mark.seq <= base.seq
            return is_moved or (found is not None and found.hash == mark.hash)

        return mark.seq == 0 or await self._database.read(look)

    def record_in(self, connection: Connection, notes: Sequence[Note]) -> None:
        """Write within the transaction of what is recorded; after `ready`. May run twice, as every work may."""
        if self._key is None:
            raise Denied("What would be recorded cannot be: the key of the audit log is not at hand.")
        store.append(connection, self._key.value, self._now_us(), [_tidy(note) for note in notes])
        self._since_anchor += len(notes)

    def ordered(self, connection: Connection, orders: Sequence[tuple[str, str, str]]) -> None:
        """Write down who ordered which task or chain, `(who, path, id)`, in the transaction that accepts it.

        Where the key is not at hand it is written soon after instead: an order of somebody else must not fail for that.
        """
        notes = [
            Note(
                kind=f"{path.partition('/')[0].rstrip('s')}.ordered",
                who=who,
                path=path,
                action="run",
                detail=order,
            )
            for who, path, order in orders
        ]
        if self._key is None:
            self._pending.extend((note, None) for note in notes)
        else:
            self.record_in(connection, notes)

    def warm(self) -> None:
        """Have the key at hand soon: there is somebody whose orders will be recorded."""
        if self._key is None:
            self._supervisor.spawn("audit key", self.ready())

    async def note(self, note: Note) -> None:
        """Record it durably. Where that fails the action it is about must not happen: the error says why."""
        await self.ready()
        await self._database.write(lambda connection: self.record_in(connection, (note,)))
        await self._keep_house()

    def note_nowait(self, note: Note, work: "Work | None" = None) -> None:
        """Record it soon, without waiting; `work` is what it is about, done in the same transaction."""
        if len(self._pending) >= PENDING_MAX:
            self._lost += 1
            return
        self._pending.append((note, work))
        if self._flushing is None or self._flushing.done():
            try:
                self._flushing = self._supervisor.spawn("audit", self._flush())
            except LegionError:  # the engine stops: `aclose` writes what waits
                self._flushing = None

    async def flush(self) -> None:
        """Return when all that waits is on disk."""
        if self._flushing is not None:
            await asyncio.gather(self._flushing, return_exceptions=True)
        await self._flush()

    async def aclose(self) -> None:
        """Write what waits, and where the log stands."""
        try:
            await self.flush()
            if self._since_anchor:
                await self._set_anchor()
        except LegionError as error:
            log.warning(
                "%d entries of the audit log could not be written: %s", len(self._pending), error.sentence()
            )

    async def _flush(self) -> None:
        while self._pending or self._lost:
            try:
                await self.ready()
            except LegionError as error:
                log.warning("nothing can be recorded in the audit log: %s", error.sentence())
                return
            group = [self._pending.popleft() for _ in range(min(len(self._pending), GROUP_MAX))]
            lost, self._lost = self._lost, 0
            if lost:
                said = f"{lost} entries"
                group.append(
                    (
                        Note(kind="audit.lost", who="workbench", path="audit", outcome="failed", detail=said),
                        None,
                    )
                )

            def write(connection: Connection, group: list[tuple[Note, Work | None]] = group) -> None:
                for _, work in group:
                    if work is not None:
                        work(connection)
                self.record_in(connection, [note for note, _ in group])

            try:
                await self._database.write(write)
            except LegionError as error:
                self._pending.extendleft(reversed(group))
                log.warning("the audit log cannot be written: %s", error.sentence())
                return
        await self._keep_house()

    # Looking

    async def page(
        self, *, below: int = 0, limit: int = 100, kind: str = "", who: str = "", outcome: str = ""
    ) -> list[Entry]:
        """Newest first."""
        await self.flush()
        return await self._database.read(
            lambda connection: store.latest(
                connection, below=below, limit=limit, kind=kind, who=who, outcome=outcome
            )
        )

    async def verify(self) -> tuple[Finding, str]:
        """Check all of it; gives what was found, and where the key lies."""
        await self.flush()
        await self.ready()
        key = self._key
        assert key is not None
        anchor = await in_thread("audit head", self._read_anchor)

        def work(connection: Connection) -> Finding:
            return check(
                store.every(connection),
                key.value,
                store.mark(connection, "base"),
                store.mark(connection, "head"),
                anchor,
            )

        return await self._database.read(work), key.place

    async def verify_lines(self, content: bytes) -> Finding:
        """Check entries that were exported or moved out: that they hang together, and were written with the key."""
        await self.ready()
        key = self._key
        assert key is not None

        def work() -> Finding:
            entries = read_lines(content)
            if not entries:
                return Finding(0)
            base = mark_of(key.value, "base", entries[0].seq - 1, entries[0].prev)
            head = mark_of(key.value, "head", entries[-1].seq, entries[-1].hash)
            return check(entries, key.value, base, head)

        return await in_thread("audit file", work)

    async def export(self, write: Callable[[bytes], Awaitable[None]], *, after: int = 0) -> int:
        """Give every entry behind `after` to `write` as lines of JSON, oldest first, a page at a time; how many there were."""
        await self.flush()
        count = 0
        while True:
            page = await self._database.read(
                lambda connection, after=after: _first(store.every(connection, after), store.PAGE)
            )
            if page:
                await write(b"".join(map(line_of, page)))
            count += len(page)
            if len(page) < store.PAGE:
                return count
            after = page[-1].seq

    # Keeping house

    async def _keep_house(self) -> None:
        if self._since_anchor < ANCHOR_EVERY or self._is_keeping_house:
            return
        self._is_keeping_house = True
        try:
            await self._keep()
        finally:
            self._is_keeping_house = False

    async def _keep(self) -> None:
        head = await self._set_anchor()
        if head is None or head.seq - self._checked_size_at < self._moved // 10:
            return
        self._checked_size_at = head.seq
        base = await self._database.read(lambda connection: store.mark(connection, "base"))
        first = base.seq if base else 0
        if head.seq - first > self._entries_max:
            await self.move_out(first + self._moved)

    async def move_out(self, upto: int) -> Path | None:
        """Write the entries up to `upto` to a file and let go of them in the journal, in one step that is itself recorded."""
        await self.ready()
        key = self._key
        assert key is not None
        page = await self._database.read(lambda connection: list(store.every(connection, 0, upto)))
        if not page:
            return None
        content = b"".join(line_of(entry) for entry in page)
        path = self._home / FOLDER / f"{page[0].seq:09d}-{page[-1].seq:09d}.jsonl"

        def save() -> None:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            write_atomically(path, content)

        await in_thread("audit move", save)
        note = Note(
            kind="audit.moved", who="workbench", path="audit", action="write",
            detail=f"{path.name} sha256:{sha256(content).hexdigest()}",
        )  # fmt: skip

        def work(connection: Connection) -> None:
            store.cut(connection, key.value, page[-1].seq)
            self.record_in(connection, (note,))

        await self._database.write(work)
        return path

    async def _set_anchor(self) -> Mark | None:
        """Keep the head outside of the journal too, so that an older copy of it cannot take its place unseen."""
        self._since_anchor = 0
        head = await self._database.read(lambda connection: store.mark(connection, "head"))
        if head is None:
            return None

        before = await in_thread("audit head", self._read_anchor)
        if before is not None and not await self._has_seen(before):
            return None  # what was there before is kept as the proof of it
        await in_thread(
            "audit head", lambda: write_atomically(self._home / ANCHOR, msgspec.json.encode(head) + b"\n")
        )
        key = self._key
        if key is not None and not is_anchored(key.value, head):
            await self._database.write(lambda connection: store.set_anchored(connection, key.value))
        return head

    def _read_anchor(self) -> Mark | None:
        try:
            return msgspec.json.decode((self._home / ANCHOR).read_bytes(), type=Mark)
        except (OSError, msgspec.DecodeError):
            return None

    def _now_us(self) -> int:
        return int(self._clock.unix_s() * 1_000_000)


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """An entry as it is exported: bytes in hexadecimal."""

    seq: int
    at_us: int
    kind: str
    who: str
    path: str
    action: str
    outcome: str
    detail: str
    prev: str
    hash: str
    seal: str


def line_of(entry: Entry) -> bytes:
    """An entry as one line of JSON, with its end."""
    told = msgspec.structs.asdict(entry)
    told |= {name: told[name].hex() for name in ("prev", "hash", "seal")}
    return msgspec.json.encode(told) + b"\n"


def read_lines(content: bytes) -> list[Entry]:
    """The entries of an exported file; InvalidInput names the line that is none."""
    entries: list[Entry] = []
    for number, text in enumerate(content.splitlines(), 1):
        try:
            line = msgspec.json.decode(text, type=Line)
            told: dict[str, object] = msgspec.structs.asdict(line)
            told |= {
                "prev": bytes.fromhex(line.prev), "hash": bytes.fromhex(line.hash), "seal": bytes.fromhex(line.seal),
            }  # fmt: skip
            entries.append(msgspec.convert(told, Entry))
        except (msgspec.DecodeError, ValueError) as error:
            raise InvalidInput(f"Line {number} is no entry of an audit log.") from error
    return entries


def _first(entries: "store.Iterator[Entry]", count: int) -> list[Entry]:
    found: list[Entry] = []
    for entry in entries:
        found.append(entry)
        if len(found) == count:
            break
    return found


def _tidy(note: Note) -> Note:
    detail = redact(note.detail)[:DETAIL_CHARS_MAX] if note.detail else ""
    if detail == note.detail and len(note.path) <= 512 and len(note.who) <= 256:
        return note
    return msgspec.structs.replace(note, detail=detail, path=note.path[:512], who=note.who[:256])
