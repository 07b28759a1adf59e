"""What was told of an answer that is kept here, on disk before anybody hears it, so that whoever watched can go on.

    delta ──▶ a line beside the journal, which outlives the process ──▶ watchers
                └── of a killed process: into the answer's parts at the next start, before it is called interrupted

`Place` is where somebody is in an answer: characters of its thinking and of its text, as they were told. It is also the
id of each event of a watched answer; with the last one it saw a client comes back, after a restart too (`resuming`).
"""

import asyncio
import logging
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Self

import msgspec

from legion_core.gateway.types import Pins
from legion_core.kernel.clock import Clock, iso
from legion_core.kernel.errors import InvalidInput, LegionError
from legion_core.storage.failures import from_os
from legion_core.storage.slates import Page, Slates
from legion_core.storage.sqlite import Connection, Database, Migration, execute, row, rows

log = logging.getLogger("legion.conversations")

MIGRATIONS = (
    Migration(
        name="spoken-0001",
        sql="""
        CREATE TABLE watched_answers(
            message_id TEXT PRIMARY KEY, asker TEXT NOT NULL, pins BLOB NOT NULL, at TEXT NOT NULL
        ) WITHOUT ROWID;
        CREATE TRIGGER watched_of_deleted AFTER DELETE ON messages BEGIN
            DELETE FROM watched_answers WHERE message_id = old.id;
        END;
        """,
    ),
)
KEPT: Final = timedelta(days=1)  # for so long a watcher may come back
_LIVING: Final = "SELECT role FROM messages WHERE id = ? AND status = 'streaming'"
_PARTS: Final = "SELECT part, text, thinking FROM message_parts WHERE message_id = ? ORDER BY part"


@dataclass(frozen=True, slots=True)
class Place:
    """How much of an answer somebody has: characters of thinking, and of text."""

    thinking: int = 0
    text: int = 0

    @classmethod
    def read(cls, last_event_id: str, message_id: str) -> Self:
        """The place a client names; the beginning if it names none. InvalidInput if it is of another answer."""
        if not last_event_id:
            return cls()
        name, _, rest = last_event_id.partition(".")
        thinking, _, text = rest.partition(".")
        is_one = all(each.isascii() and each.isdecimal() and len(each) < 10 for each in (thinking, text))
        if name != message_id or not is_one:
            raise InvalidInput("Last-Event-ID is not an id of this answer's events.")
        return cls(int(thinking), int(text))

    def id_in(self, message_id: str) -> str:
        """The id of the event that ends here."""
        return f"{message_id}.{self.thinking}.{self.text}"


class Line(msgspec.Struct, frozen=True, array_like=True):
    """One delta as it lies beside the journal, and the place behind which it comes."""

    message_id: str
    at_thinking: int
    at_text: int
    thinking: str
    text: str


@dataclass(slots=True, eq=False)
class Telling:
    """An answer that is being told now: all of it so far."""

    message_id: str
    thoughts: list[str] = field(default_factory=list[str])
    texts: list[str] = field(default_factory=list[str])
    place: Place = field(default_factory=Place)
    pages: Counter[Page] = field(default_factory=Counter[Page])

    @property
    def thinking(self) -> str:
        """All thinking, as it was told."""
        return "".join(self.thoughts)

    @property
    def text(self) -> str:
        """All text."""
        return "".join(self.texts)


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """Who asked for an answer that is watched, and the route that was insisted on."""

    asker: str
    pins: Pins | None


_encode = msgspec.json.Encoder().encode
_decode_line = msgspec.json.Decoder(Line).decode
_decode_pins = msgspec.json.Decoder(Pins | None).decode


class Spoken:
    """The answers one node is telling, and what killed ones had told. Nothing is opened before the first delta."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._slates = Slates(database.path, "words")
        self._live = dict[str, Telling]()

    def live(self, message_id: str) -> Telling | None:
        """The answer, if this process tells it now."""
        return self._live.get(message_id)

    def begin(self, message_id: str, thinking: str = "", text: str = "") -> Telling:
        """Tell an answer from now on, behind what was told of it before. One that is told already stays as it is."""
        telling = self._live.get(message_id)
        if telling is None:
            telling = self._live[message_id] = Telling(message_id)
            telling.thoughts += [thinking] * bool(thinking)
            telling.texts += [text] * bool(text)
            telling.place = Place(len(thinking), len(text))
            self._slates.turn()  # so that a page is wiped some day, however answers overlap
        return telling

    def keep(self, telling: Telling, *, thinking: str = "", text: str = "") -> None:
        """Make a delta outlive this process, before it is told. A disk that refuses it costs the coming back, no more."""
        place = telling.place
        try:
            line = _encode(Line(telling.message_id, place.thinking, place.text, thinking, text))
            telling.pages[self._slates.keep(line)] += 1
        except OSError as error:
            log.warning("a watcher could not come back here: %s", from_os(error, self._database.path))
        if thinking:
            telling.thoughts.append(thinking)
        if text:
            telling.texts.append(text)
        telling.place = Place(place.thinking + len(thinking), place.text + len(text))

    def end(self, telling: Telling) -> None:
        """The answer is in the journal in its final form, or will be mended by the next start; idempotent."""
        if self._live.get(telling.message_id) is telling:
            del self._live[telling.message_id]
        for page, count in telling.pages.items():
            self._slates.done(page, count)
        telling.pages.clear()

    async def note(self, message_id: str, begun: Begun) -> None:
        """Remember who may come back to an answer; durable when this returns."""
        at = iso(self._clock.utc_now())
        values = [message_id, begun.asker, _encode(begun.pins), at]
        await self._database.write(
            lambda connection: execute(
                connection, "INSERT OR REPLACE INTO watched_answers VALUES(?,?,?,?)", values
            ),
            durability="process",
        )

    async def begun(self, message_id: str) -> Begun | None:
        """Who asked for the answer to watch it; None if nobody did, or too long ago."""
        after = iso(self._clock.utc_now() - KEPT)
        sql = "SELECT asker, pins FROM watched_answers WHERE message_id = ? AND at >= ?"
        found = await self._database.read(lambda connection: row(connection, sql, [message_id, after]))
        if found is None:
            return None
        pins = found[1] if isinstance(found[1], bytes) else str(found[1]).encode()
        return Begun(asker=str(found[0]), pins=_decode_pins(pins))

    async def reopen(self, message_id: str) -> tuple[str, str] | None:
        """Thinking and text of an answer that was interrupted and is now being written again.

        None if it is not interrupted (any more), or something was said behind it.
        """

        def work(connection: Connection) -> tuple[str, str] | None:
            from legion_core.gateway.conversation_rows import one_message

            message = one_message(connection, message_id)
            below = row(connection, "SELECT 1 FROM messages WHERE parent_id = ?", [message_id])
            if message.status != "interrupted" or message.role != "assistant" or below is not None:
                return None
            execute(
                connection, "UPDATE messages SET status = 'streaming', hash = NULL WHERE id = ?", [message_id]
            )
            execute(connection, "DELETE FROM message_parts WHERE message_id = ?", [message_id])
            execute(
                connection,
                "INSERT INTO message_parts VALUES(?,0,?,?)",
                [message_id, message.text, message.thinking],
            )
            return message.thinking, message.text

        return await self._database.write(work, durability="process")

    async def recover(self) -> None:
        """Put what killed processes had told into the parts of their answers, and forget whom nobody waits for."""
        for left in await asyncio.to_thread(self._slates.left):
            lines = [line for raw in left.lines if (line := _read(raw)) is not None]
            try:
                await self._database.write(lambda connection, lines=lines: _add_parts(connection, lines))
            except LegionError as error:
                log.warning("what a killed process told waits for the next start: %s", error)
                left.release()
            else:
                await asyncio.to_thread(left.drop)
        before = iso(self._clock.utc_now() - KEPT)
        old = "SELECT 1 FROM watched_answers WHERE at < ? LIMIT 1"
        if await self._database.read(lambda connection: row(connection, old, [before])) is not None:
            await self._database.write(
                lambda connection: execute(connection, "DELETE FROM watched_answers WHERE at < ?", [before])
            )

    def close(self) -> None:
        """Remove what matters no more; what an answer under way told stays for the next start."""
        self._slates.close()


def missing(lines: list[Line], place: Place) -> tuple[str, str]:
    """Thinking and text that `lines` of one answer, in order, have behind `place`; nothing behind a gap."""
    thoughts, texts = list[str](), list[str]()
    thinking_to, text_to = place.thinking, place.text
    for line in lines:
        if line.at_thinking > thinking_to or line.at_text > text_to:
            break
        more = line.thinking[thinking_to - line.at_thinking :]
        thoughts.append(more)
        thinking_to += len(more)
        more = line.text[text_to - line.at_text :]
        texts.append(more)
        text_to += len(more)
    return "".join(thoughts), "".join(texts)


def _add_parts(connection: Connection, lines: list[Line]) -> None:
    told = dict[str, list[Line]]()
    for line in lines:
        told.setdefault(line.message_id, []).append(line)
    for message_id, of_one in told.items():
        if row(connection, _LIVING, [message_id]) is None:
            continue
        parts = rows(connection, _PARTS, [message_id])
        text = "".join(str(part[1]) for part in parts)
        thinking = "".join(str(part[2]) for part in parts)
        more_thinking, more_text = missing(of_one, Place(len(thinking), len(text)))
        if more_thinking or more_text:
            number = int(str(parts[-1][0])) + 1 if parts else 0
            execute(
                connection,
                "INSERT INTO message_parts VALUES(?,?,?,?)",
                [message_id, number, more_text, more_thinking],
            )


def _read(raw: bytes) -> Line | None:
    try:
        return _decode_line(raw)
    except msgspec.MsgspecError as error:
        log.warning("what a killed process told cannot be read: %s", error)
        return None
