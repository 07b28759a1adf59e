"""Curation on disk: removed texts by their hash, what was done, and the view as it was last made.

Everything of one turn is one transaction, so a text is in the archive before any view without it exists. A text is
stored once however often it was removed, compressed. `marks` are the moments at which the view was made: fed with the
same messages and marks a curator makes the same view again.
"""

import zlib
from collections.abc import Sequence
from hashlib import blake2b

import msgspec

from legion_core.gateway.curation.types import Edit
from legion_core.gateway.types import Message
from legion_core.kernel.faults import fault
from legion_core.storage.sqlite import Connection, Database, Row, Value, execute, row, rows

COMPRESSION = 6
_encode = msgspec.msgpack.Encoder().encode
_decode_view = msgspec.msgpack.Decoder(tuple[Message, ...]).decode
_decode_edit = msgspec.msgpack.Decoder(Edit).decode


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """After so many messages the view was made at that moment.

    Or `is_idle`: the cache had run out; or, with `kept`, these messages were given back. `entering_tokens`: what the
    tool `recall` would have made the provider write anew.
    """

    fed: int
    at_s: float
    kept: tuple[str, ...] = ()
    is_idle: bool = False
    entering_tokens: int = 0


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A curation as it stands. `view` stands for the first `fed` messages, whose chain hash is `head`."""

    id: str
    conversation: str
    head: bytes
    fed: int
    turns: int
    epoch: int
    naive_tokens: int
    curated_tokens: int
    marks: tuple[Mark, ...]
    view: tuple[Message, ...]


class Removed(msgspec.Struct, frozen=True, kw_only=True):
    """A text on its way into the archive."""

    key: str
    text: str
    ids: tuple[str, ...]
    label: str


_decode_marks = msgspec.msgpack.Decoder(tuple[Mark, ...]).decode
_COLUMNS = "id, conversation, head, fed, turns, epoch, naive_tokens, curated_tokens, marks, view"


class CurationStore:
    """Reads and writes the curations of one journal; compressing and hashing happen on its threads."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def save(self, kept: Kept, edits: Sequence[Edit], removed: Sequence[Removed], at: str) -> None:
        """Write a turn: texts first, then what points at them. A second time changes nothing."""

        def work(connection: Connection) -> None:
            for piece in removed:
                fault("curation.archive")
                data = piece.text.encode("utf-8", "surrogatepass")
                digest = blake2b(data, digest_size=20).digest()
                execute(
                    connection,
                    "INSERT OR IGNORE INTO texts(hash, size_bytes, data) VALUES(?,?,?)",
                    [digest, len(data), zlib.compress(data, COMPRESSION)],
                )
                execute(
                    connection,
                    "INSERT OR IGNORE INTO curation_archive VALUES(?,?,?,?,?)",
                    [kept.id, piece.key, digest, " ".join(piece.ids), piece.label[:400]],
                )
            for edit in edits:
                execute(
                    connection,
                    "INSERT OR IGNORE INTO curation_edits VALUES(?,?,?)",
                    [kept.id, edit.number, _encode(edit)],
                )
            fault("curation.view")
            execute(
                connection,
                "INSERT OR REPLACE INTO curations VALUES(?,?,?,?,?,?,?,?,?,?,?)",
                [
                    kept.id, kept.conversation, at, kept.head, kept.fed, kept.turns, kept.epoch, kept.naive_tokens,
                    kept.curated_tokens, _encode(kept.marks), zlib.compress(_encode(kept.view), COMPRESSION),
                ],
            )  # fmt: skip

        await self._database.write(work, durability="process")

    async def purge(self, before: str, day: str) -> int:
        """Forget what clients that keep their own history have not come back to since `before`; how many there were.

        What belongs to a conversation kept here goes with the conversation. Figures of requests stay until `day`.
        """

        def work(connection: Connection) -> int:
            execute(connection, "DELETE FROM curated_requests WHERE day < ?", [day])
            return execute(connection, "DELETE FROM curations WHERE conversation = id AND at < ?", [before])

        return await self._database.write(work, durability="process")

    async def note(self, request: str, day: str, conversation: str, naive: int, curated: int) -> None:
        """What one request would have carried, and what it carried."""

        def work(connection: Connection) -> None:
            sql = "INSERT OR REPLACE INTO curated_requests VALUES(?,?,?,?,?)"
            execute(connection, sql, [request, day, conversation, naive, curated])

        await self._database.write(work, durability="process")

    async def by_head(self, heads: Sequence[bytes]) -> Kept | None:
        """The curation that ends at one of these heads, given longest first."""
        if not heads:
            return None

        def work(connection: Connection) -> Kept | None:
            marks = ",".join("?" * len(heads))
            sql = f"SELECT {_COLUMNS} FROM curations WHERE head IN ({marks}) ORDER BY fed DESC LIMIT 1"  # noqa: S608 - question marks
            found = row(connection, sql, list[Value](heads))
            return None if found is None else _kept(found)

        return await self._database.read(work)

    async def of_conversation(self, conversation: str) -> Kept | None:
        """The newest curation of a conversation, or the one of that id."""

        def work(connection: Connection) -> Kept | None:
            sql = f"SELECT {_COLUMNS} FROM curations WHERE conversation = ? OR id = ? ORDER BY at DESC, fed DESC LIMIT 1"  # noqa: S608 - a constant
            found = row(connection, sql, [conversation, conversation])
            return None if found is None else _kept(found)

        return await self._database.read(work)

    async def edits(self, curation: str) -> tuple[Edit, ...]:
        """Every edit, in order."""
        sql = "SELECT edit FROM curation_edits WHERE curation = ? ORDER BY number"
        found = await self._database.read(lambda connection: rows(connection, sql, [curation]))
        return tuple(_decode_edit(_bytes(blob)) for (blob,) in found)

    async def removed(self, curation: str) -> tuple[Removed, ...]:
        """Every text of the archive, in the order of its making; each is checked against its hash."""

        def work(connection: Connection) -> tuple[Removed, ...]:
            sql = (
                "SELECT a.key, a.ids, a.label, t.data FROM curation_archive a JOIN texts t ON t.hash = a.hash "
                "WHERE a.curation = ? ORDER BY length(a.key), a.key"
            )
            return tuple(
                Removed(
                    key=str(key),
                    text=zlib.decompress(_bytes(data)).decode("utf-8", "surrogatepass"),
                    ids=tuple(str(ids).split()),
                    label=str(label),
                )
                for key, ids, label, data in rows(connection, sql, [curation])
            )

        return await self._database.read(work)

    async def switch(self, conversation: str, is_on: bool) -> None:
        """Turn curation on or off for one conversation, whatever the settings say."""
        sql = "INSERT OR REPLACE INTO curation_switches VALUES(?,?)"
        await self._database.write(lambda connection: execute(connection, sql, [conversation, int(is_on)]))

    async def switched(self, conversation: str) -> bool | None:
        """How the conversation's own switch stands; None: it has none."""
        sql = "SELECT is_on FROM curation_switches WHERE conversation = ?"
        found = await self._database.read(lambda connection: row(connection, sql, [conversation]))
        return None if found is None else bool(found[0])

    async def saved(self, since: str) -> tuple[int, int, int]:
        """Requests that were curated from that UTC day on, their naive tokens and the tokens sent."""
        sql = (
            "SELECT count(*), coalesce(sum(naive_tokens), 0), coalesce(sum(curated_tokens), 0) "
            "FROM curated_requests WHERE day >= ?"
        )
        found = await self._database.read(lambda connection: row(connection, sql, [since]))
        assert found is not None
        return int(str(found[0])), int(str(found[1])), int(str(found[2]))


def _kept(found: Row) -> Kept:
    curation, conversation, head, fed, turns, epoch, naive, curated, marks, view = found
    return Kept(
        id=str(curation),
        conversation=str(conversation),
        head=_bytes(head),
        fed=int(str(fed)),
        turns=int(str(turns)),
        epoch=int(str(epoch)),
        naive_tokens=int(str(naive)),
        curated_tokens=int(str(curated)),
        marks=_decode_marks(_bytes(marks)),
        view=_decode_view(zlib.decompress(_bytes(view))),
    )


def _bytes(value: Value) -> bytes:
    assert isinstance(value, bytes)
    return value
