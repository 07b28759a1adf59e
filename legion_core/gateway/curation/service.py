"""Curation at work in the gateway: the view is made after a turn, and read before the next one.

    request ──view──▶ what was curated of its history, the rest as it came ──▶ model
    turn over ──after──▶ queue ──▶ curator ──▶ archive and view in one transaction ──▶ the next request's view

Nothing of it stands in a request's way: without a view made in time the history goes out as it came. The one exception
is a long history that was never seen, such as a chat that was taken in: its first view costs less time than sending all of
it, there is no cache to break, and without one it would fit no model. A history is recognised by its content (`chain`),
whether it is kept here or resent by a client. An edit of the conversation while the curator runs makes another history.
"""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import msgspec

from legion_core.gateway.conversation_types import CurationChanged
from legion_core.gateway.curation.archive import Archive, Piece
from legion_core.gateway.curation.chain import chain
from legion_core.gateway.curation.curator import CACHE_TTL_S, Curator
from legion_core.gateway.curation.recalling import entering_tokens
from legion_core.gateway.curation.rounds import text_of
from legion_core.gateway.curation.store import CurationStore, Kept, Mark, Removed
from legion_core.gateway.curation.told import CurationEdit, CurationMeter, SeenPart, StrategyCount
from legion_core.gateway.curation.types import STRATEGIES, CurationSettings, Edit, Recalled
from legion_core.gateway.types import Message, Request, ToolResultBlock, ToolUseBlock
from legion_core.kernel.clock import Clock, iso
from legion_core.kernel.errors import LimitReached, NotFound
from legion_core.kernel.events import EventBus
from legion_core.kernel.ids import Ids
from legion_core.kernel.supervise import Supervisor

CURATORS_MAX = 8  # held in memory; others are fed again when their conversation goes on
READY_MAX = 32  # views held in memory; others are read from the journal
WAITING_MAX = 32  # turns; one that finds no place is made up for by the next
HEADS_TRIED = 40
PAUSE_TURNS_LEAST = 5
FIRST_TOKENS_LEAST = 24_000  # of a history never seen: from there on it is curated before it goes out
FIRST_WAIT_S = 5.0  # at most for that; then it goes out as it came
SLICE_MESSAGES = 12  # fed without letting anything else have its turn: some 3 ms
UNCLAIMED_DAYS = 30  # as long as the trash
FIGURES_DAYS = 400
CHARS_PER_TOKEN = 4


@dataclass(slots=True)
class Curated:
    """A request with its view: `request` is what goes out, `messages` the history it stands for."""

    request: Request
    messages: tuple[Message, ...]
    heads: list[bytes]
    kept: Kept | None


@dataclass(slots=True)
class _Live:
    """A curator in memory, what it was fed, and what of its work is on disk."""

    id: str
    conversation: str
    curator: Curator
    heads: list[bytes]
    marks: tuple[Mark, ...]
    archived: int = 0
    edits: int = 0
    kept: Kept | None = None


def count_by_length(text: str) -> int:
    """Tokens of a text as the whole gateway estimates them."""
    return (len(text) + CHARS_PER_TOKEN - 1) // CHARS_PER_TOKEN


class Curation:
    """See the module. One for a node."""

    def __init__(
        self,
        store: CurationStore,
        clock: Clock,
        ids: Ids,
        bus: EventBus,
        supervisor: Supervisor,
        settings: Callable[[], CurationSettings],
    ) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._bus = bus
        self._supervisor = supervisor
        self._settings = settings
        self._live: OrderedDict[str, _Live] = OrderedDict()
        self._ready: OrderedDict[bytes, Kept] = OrderedDict()
        self._before: dict[str, Kept] = {}  # each view's predecessor, for a request that is repeated
        self._pauses: dict[str, asyncio.Task[object]] = {}
        self._is_purged = False
        self._waiting = 0
        self._turn = asyncio.Lock()  # one curator works at a time: it is the loop's time it takes

    async def view(self, request: Request) -> Curated | None:
        """The request with what was curated of its history; None where curation has no part in it."""
        if not await self.is_on(request):
            return None
        heads = chain(request.messages)
        kept = await self._find(heads)
        if kept is None:
            name = request.conversation_id or request.session or ""
            kept = await self._first_view(name, request.messages, heads)
        elif kept.fed == len(heads):
            # Asked again: its last results have to be seen whole once more. A restart forgets the view that did.
            is_long = kept.naive_tokens >= FIRST_TOKENS_LEAST
            kept = self._before.get(kept.id) or (kept if is_long else None)
        curated = Curated(request, request.messages, heads, kept)
        if kept is not None and kept.epoch:
            curated.request = msgspec.structs.replace(
                request, messages=(*kept.view, *request.messages[kept.fed :])
            )
        return curated

    def after(self, curated: Curated) -> None:
        """The turn is over: let the curator see it, in its own time."""
        if self._waiting >= WAITING_MAX:
            return
        self._waiting += 1
        self._supervisor.spawn(f"curate {curated.request.id}", self._curate(curated))

    async def prepare(self, conversation: str, messages: Sequence[Message]) -> None:
        """Make the view of a long conversation that has none, so that its next question does not wait for it."""
        heads = chain(messages)
        if await self._switch(conversation) and await self._find(heads) is None:
            await self._first_view(conversation, messages, heads)

    async def recall(self, conversation: str, text: str, limit: int = 3) -> tuple[Recalled, ...]:
        """Removed texts of a conversation, or of the curation of that id. See `Archive.recall`."""
        kept = await self._store.of_conversation(conversation)
        if kept is None:
            raise NotFound(f"Nothing of {conversation!r} was ever moved out of its view.")
        return await self.recall_of(kept.id, text, limit)

    async def recall_of(self, curation: str, text: str, limit: int = 3) -> tuple[Recalled, ...]:
        """As `recall`, by the curation's id."""
        removed = await self._store.removed(curation)

        def search() -> tuple[Recalled, ...]:
            archive = Archive()
            for piece in removed:
                archive.put(piece.key, Piece(piece.text, piece.ids, piece.label))
            return archive.recall(text, limit)

        return await asyncio.to_thread(search)

    async def meter(self, conversation: str) -> CurationMeter:
        """Tokens before and after, and what each strategy did."""
        is_on = await self._switch(conversation)
        kept = await self._store.of_conversation(conversation)
        if kept is None:
            none = tuple(StrategyCount(strategy=name, edits=0, tokens=0) for name in STRATEGIES)
            return CurationMeter(conversation_id=conversation, is_on=is_on, by_strategy=none)
        edits = [edit for edit in await self.edits(conversation) if not edit.is_undone]
        return CurationMeter(
            conversation_id=conversation,
            is_on=is_on,
            naive_tokens=kept.naive_tokens,
            curated_tokens=kept.curated_tokens,
            epoch=kept.epoch,
            by_strategy=tuple(
                StrategyCount(
                    strategy=name,
                    edits=sum(edit.strategy == name for edit in edits),
                    tokens=sum(edit.tokens for edit in edits if edit.strategy == name),
                )
                for name in STRATEGIES
            ),
        )

    async def edits(self, conversation: str) -> tuple[CurationEdit, ...]:
        """Every edit of the conversation's newest history, in order."""
        kept = await self._store.of_conversation(conversation)
        if kept is None:
            return ()
        back = {name for mark in kept.marks for name in mark.kept}
        return tuple(_told(edit, back) for edit in await self._store.edits(kept.id))

    async def seen(
        self, conversation: str, messages: Sequence[Message], ids: Sequence[str]
    ) -> tuple[SeenPart, ...]:
        """Each message as it was said and as the model will see it. `ids` name the messages."""
        kept = await self._store.of_conversation(conversation)
        shown = dict[int, Message]()
        fed = 0
        if kept is not None and kept.epoch:
            async with self._turn:
                live = self._live.get(kept.id)
                if live is None or live.kept != kept:
                    live = self._remember(await self._fed(kept, messages[: kept.fed]))
                view = live.curator.view()
            fed = kept.fed
            for name, message in zip(view.ids, view.messages, strict=True):
                shown[int(name[1:])] = message
        parts = list[SeenPart]()
        for place, message in enumerate(messages):
            before = _words(message)
            after = before if place >= fed else _words(shown[place]) if place in shown else ""
            state = "same" if after == before else "changed" if after else "gone"
            parts.append(
                SeenPart(message_id=ids[place], role=message.role, before=before, after=after, state=state)
            )
        return tuple(parts)

    async def undo(self, conversation: str, number: int, messages: Sequence[Message]) -> None:
        """Give back what one edit took; it is left alone from then on. `messages` is the conversation's history."""
        edit = next((edit for edit in await self.edits(conversation) if edit.number == number), None)
        if edit is None:
            raise NotFound(f"There is no edit {number} in {conversation!r}.")
        await self._give_back(conversation, edit.ids, messages)

    async def undo_epoch(self, conversation: str, epoch: int, messages: Sequence[Message]) -> None:
        """Give back what all standing edits of one epoch took."""
        edits = [
            edit for edit in await self.edits(conversation) if edit.epoch == epoch and not edit.is_undone
        ]
        if not edits:
            raise NotFound(f"No edit of epoch {epoch} stands in {conversation!r}.")
        ids = tuple(dict.fromkeys(name for edit in edits for name in edit.ids))
        await self._give_back(conversation, ids, messages)

    async def keep(self, conversation: str, place: int, messages: Sequence[Message]) -> None:
        """Give back the message at that place of the history, with its call and result, and leave it alone."""
        await self._give_back(conversation, (f"m{place}",), messages)

    async def set_on(self, conversation: str, is_on: bool) -> None:
        """Turn curation on or off for one conversation."""
        await self._store.switch(conversation, is_on)

    async def saved(self, since: str) -> tuple[int, int, int]:
        """Curated requests since a UTC day, their tokens with nothing done, and as sent."""
        return await self._store.saved(since)

    # Finding

    async def is_on(self, request: Request) -> bool:
        """Whether this request's history is curated, by its own word, its conversation's switch or the setting."""
        if request.curate is not None:
            return request.curate
        return (
            self._settings().is_on
            if not request.conversation_id
            else await self._switch(request.conversation_id)
        )

    async def _switch(self, conversation: str) -> bool:
        own = await self._store.switched(conversation)
        return self._settings().is_on if own is None else own

    async def _find(self, heads: list[bytes]) -> Kept | None:
        late = heads[: -HEADS_TRIED - 1 : -1]
        for head in late:
            if (kept := self._ready.get(head)) is not None:
                return kept
        kept = await self._store.by_head(late)
        if kept is not None:
            self._put_ready(kept)
        return kept

    def _put_ready(self, kept: Kept) -> None:
        self._ready[kept.head] = kept
        self._ready.move_to_end(kept.head)
        while len(self._ready) > READY_MAX:
            self._ready.popitem(last=False)

    # Curating

    async def _first_view(
        self, conversation: str, messages: Sequence[Message], heads: list[bytes]
    ) -> Kept | None:
        """Of a history that nobody saw before; None where it is short, or where it takes too long."""
        fed = _answered(messages)
        if sum(message.role == "assistant" for message in messages[:fed]) < PAUSE_TURNS_LEAST:
            return None
        if sum(map(_tokens, messages[:fed])) < FIRST_TOKENS_LEAST:
            return None
        try:
            made = self._supervisor.spawn(
                "first view", self._begin(conversation, messages[:fed], heads[:fed])
            )
        except LimitReached:
            return None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_WAIT_S):
                await asyncio.gather(asyncio.shield(made), return_exceptions=True)
        return await self._find(heads) if made.done() else None

    async def _begin(self, conversation: str, messages: Sequence[Message], heads: list[bytes]) -> None:
        async with self._turn:
            if await self._find(heads) is not None:
                return  # asked twice at once
            live = self._new(self._ids.new("cur"), conversation)
            live.conversation = conversation or live.id
            await self._feed(live, messages)
            live.curator.idle()  # nobody's cache holds it
            live.heads = heads
            live.marks = (Mark(len(heads), self._clock.unix_s(), is_idle=True),)
            kept = await self._save(self._remember(live))
        self._tell(kept)

    async def _feed(self, live: _Live, messages: Sequence[Message]) -> None:
        """Let its curator take messages, some at a time so that nothing else waits long."""
        try:
            for place in range(0, len(messages), SLICE_MESSAGES):
                live.curator.add(messages[place : place + SLICE_MESSAGES])
                await asyncio.sleep(0)
        except BaseException:
            self._live.pop(
                live.id, None
            )  # it was fed a part of something: the next one is fed anew from disk
            raise

    async def _curate(self, curated: Curated) -> None:
        try:
            async with self._turn:
                live = await self._fed_for(curated)
                if live is None:
                    return
                fed, at_s = len(live.heads), self._clock.unix_s()
                await self._feed(live, curated.messages[fed:])
                entering = entering_tokens(curated.request)
                live.curator.view(entering)
                live.heads = curated.heads
                live.marks = (*live.marks, Mark(len(curated.heads), at_s, entering_tokens=entering))
                kept = await self._save(live)
        finally:
            self._waiting -= 1
        self._wait_for_pause(live)
        await self._purge()
        sent = sum(_tokens(message) for message in curated.request.messages)
        naive = sum(_tokens(message) for message in curated.messages)
        day = iso(self._clock.utc_now())[:10]
        await self._store.note(curated.request.id, day, live.conversation, naive, sent)
        self._tell(kept)

    async def _purge(self) -> None:
        """Once in a process: forget what nobody came back to."""
        if self._is_purged:
            return
        self._is_purged = True
        now = self._clock.utc_now()
        day = iso(now - timedelta(days=FIGURES_DAYS))[:10]
        await self._store.purge(iso(now - timedelta(days=UNCLAIMED_DAYS)), day)

    def _wait_for_pause(self, live: _Live) -> None:
        """Once the provider's cache has run out an epoch costs nothing; that is its moment, if no turn comes before."""
        before = self._pauses.pop(live.id, None)
        if before is not None:
            before.cancel()
        if live.curator.turns < PAUSE_TURNS_LEAST or len(self._pauses) >= CURATORS_MAX:
            return
        pause = self._supervisor.spawn(f"pause of {live.id}", self._pause(live, len(live.marks)))
        self._pauses[live.id] = pause
        pause.add_done_callback(
            lambda done: self._pauses.pop(live.id) if self._pauses.get(live.id) is done else None
        )

    async def _pause(self, live: _Live, marks: int) -> None:
        await asyncio.sleep(CACHE_TTL_S)
        self._pauses.pop(live.id, None)  # from here on it is not cancelled: what is decided is also written
        async with self._turn:
            if self._live.get(live.id) is not live or len(live.marks) != marks:
                return
            view = live.curator.idle()
            # Noted even where nothing was edited: the curator knows now that the cache is cold.
            live.marks = (
                *live.marks,
                Mark(len(live.heads), self._clock.unix_s(), is_idle=True),
            )
            if not view.edits:
                return
            kept = await self._save(live)
        self._tell(kept)

    async def _fed_for(self, curated: Curated) -> _Live | None:
        """The curator that has seen a beginning of this history; None where it has seen all of it already."""
        kept = await self._find(curated.heads)
        if kept is None:
            name = curated.request.conversation_id or curated.request.session
            made = self._new(self._ids.new("cur"), name or "")
            made.conversation = name or made.id
            return self._remember(made)
        live = self._live.get(kept.id)
        if live is None or live.heads != curated.heads[: len(live.heads)]:
            live = await self._fed(kept, curated.messages[: kept.fed])
        if len(live.heads) == len(curated.heads):
            return None
        return self._remember(live)

    def _new(self, curation: str, conversation: str) -> _Live:
        # A request's own word may have turned it on. The model has answered to all that is fed, so none of it is new.
        settings = msgspec.structs.replace(self._settings(), is_on=True, raw_rounds=0)
        return _Live(curation, conversation, Curator(count_by_length, settings), [], ())

    def _remember(self, live: _Live) -> _Live:
        self._live[live.id] = live
        self._live.move_to_end(live.id)
        while len(self._live) > CURATORS_MAX:
            self._live.popitem(last=False)
        return live

    async def _fed(self, kept: Kept, messages: Sequence[Message]) -> _Live:
        """A curator fed again as it was, a turn at a time so that nothing else waits long."""
        live = self._new(kept.id, kept.conversation)
        fed = 0
        for mark in kept.marks:
            await self._feed(live, messages[fed : mark.fed])
            fed = mark.fed
            if mark.kept:
                live.curator.keep(mark.kept)
            else:
                live.curator.idle() if mark.is_idle else live.curator.view(mark.entering_tokens)
            await asyncio.sleep(0)
        live.heads, live.marks, live.kept = chain(messages[:fed]), kept.marks, kept
        live.archived, live.edits = len(live.curator.archive), len(live.curator.edits)
        return live

    async def _save(self, live: _Live) -> Kept:
        curator = live.curator
        view = curator.view()
        kept = Kept(
            id=live.id,
            conversation=live.conversation,
            head=live.heads[-1],
            fed=len(live.heads),
            turns=curator.turns,
            epoch=view.epoch,
            naive_tokens=view.naive_tokens,
            curated_tokens=view.curated_tokens,
            marks=live.marks,
            view=view.messages if view.epoch else (),
        )
        keys = list(curator.archive)[live.archived :]
        removed = [
            Removed(key=key, text=piece.text, ids=piece.ids, label=piece.label)
            for key in keys
            if (piece := curator.archive.piece(key)) is not None
        ]
        try:
            await self._store.save(kept, curator.edits[live.edits :], removed, iso(self._clock.utc_now()))
        except BaseException:
            self._live.pop(live.id, None)  # what is on disk is the truth; it is fed again from there
            raise
        live.archived, live.edits = len(curator.archive), len(curator.edits)
        if live.kept is not None and live.kept.fed < kept.fed:
            self._before[kept.id] = live.kept
            while len(self._before) > READY_MAX:
                self._before.pop(next(iter(self._before)))
        live.kept = kept
        self._put_ready(kept)
        return kept

    async def _give_back(self, conversation: str, ids: tuple[str, ...], messages: Sequence[Message]) -> None:
        kept = await self._store.of_conversation(conversation)
        if kept is None:
            raise NotFound(f"Nothing of {conversation!r} was ever moved out of its view.")
        async with self._turn:
            live = await self._fed(kept, messages[: kept.fed])
            if live.heads[-1:] != [kept.head]:
                raise NotFound(
                    "The conversation has gone on in another way since.", hint="Ask for its edits again."
                )
            if not live.curator.keep(ids):
                raise NotFound("There is no such message in what was curated.")
            live.marks = (*live.marks, Mark(kept.fed, self._clock.unix_s(), ids))
            saved = await self._save(self._remember(live))
        self._tell(saved)

    def _tell(self, kept: Kept) -> None:
        at_utc, at_mono_s = self._bus.stamp()
        self._bus.publish(
            CurationChanged(
                at_utc=at_utc,
                at_mono_s=at_mono_s,
                conversation_id=kept.conversation,
                naive_tokens=kept.naive_tokens,
                curated_tokens=kept.curated_tokens,
            )
        )


def _told(edit: Edit, back: set[str]) -> CurationEdit:
    return CurationEdit(
        number=edit.number,
        epoch=edit.epoch,
        strategy=edit.strategy,
        ids=edit.ids,
        tokens=edit.tokens_removed,
        note=edit.note,
        archive_key=edit.archive_key,
        is_undone=bool(back & set(edit.ids)),
    )


def _words(message: Message) -> str:
    return "\n".join(
        f"{block.name} {block.arguments}" if isinstance(block, ToolUseBlock) else text_of(block)
        for block in message.content
    )


def _answered(messages: Sequence[Message]) -> int:
    """How many of them the model has answered to: results that came last are still to be read whole."""
    last = max((place for place, message in enumerate(messages) if message.role == "assistant"), default=-1)
    is_open = any(
        isinstance(block, ToolResultBlock) for message in messages[last + 1 :] for block in message.content
    )
    return last if is_open else last + 1


def _tokens(message: Message) -> int:
    return sum(count_by_length(text_of(block)) for block in message.content)
