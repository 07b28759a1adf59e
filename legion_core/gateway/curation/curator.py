"""One conversation's curation: fed with what is new, it says what the next request would carry.

    curator.add(messages) ──▶ curator.view() ──▶ View(messages, edits, tokens before and after)

The view is a function of the messages and of where `view` and `idle` were asked for, nothing else: fed again in the same
way it gives the same view. `view` is asked for when a request has gone out, and says what the next one carries. Between two epochs it only grows at its end, so the provider's cache keeps its beginning. When there
is one decides `timing`, what stays `plan`, which lists are made anew `lists`; see `docs/curation.md`.
Work between epochs is that of the new messages; an epoch looks once at what is still in the view.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from legion_core.gateway.curation.archive import Archive, Piece
from legion_core.gateway.curation.lists import List, first_stale, only_named, told_tokens
from legion_core.gateway.curation.plan import plan, strategy_of
from legion_core.gateway.curation.render import listing, placeholder, shown, weight
from legion_core.gateway.curation.rounds import (
    Exchange,
    Level,
    Reader,
    Round,
    Said,
    text_of,
    weighs,
    without_thinking,
)
from legion_core.gateway.curation.timing import Timing
from legion_core.gateway.curation.types import CurationSettings, Edit, Recalled, View
from legion_core.gateway.types import Message, TextBlock, ThinkingBlock, ToolResultBlock

CACHE_TTL_S = 300.0  # source: Anthropic, the cache that costs 1.25 to write
ANCHORS_TRIED = 4
LIST_TOKENS = 3_000  # all lists together, and on top of it
LIST_SHARE = 0.0025  # of the history
LIST_TOKENS_LEAST = 1_000  # for the newest list, whatever the older ones hold
TOLD_SHARE = 1.2  # of what is to be told of the rounds, room for their list and a little more
LIST_WINDOW = 0.25  # of the model's window, at most for a list; half of that for files read just now
HOT_WEIGHT = (
    4  # files read just now weigh so much more: they would be written anew, and are let go in a turn or two
)
FRAME_TOKENS = 300  # an epoch writes at least
STUB = "[moved out of the conversation: recall {key}]"


@dataclass(slots=True)
class _Shown:
    """The view as it stands: messages with their ids, and tokens."""

    messages: list[Message] = field(default_factory=list[Message])
    ids: list[str] = field(default_factory=list[str])
    tokens: int = 0


class Curator:
    """See the module. Not safe for two tasks at once; its owner takes turns."""

    def __init__(
        self,
        count: Callable[[str], int],
        settings: CurationSettings | None = None,
        system: tuple[str, ...] = (),
    ) -> None:
        self._settings = settings or CurationSettings()
        self._count = count
        self._reader = Reader(count)
        self._system_tokens = sum(count(text) for text in system)
        self._naive = self._system_tokens
        self._segments: list[Said] = []
        self._live: list[Round] = []  # rounds with something of them in the view
        self._rounds: list[Round] = []
        self._waiting: list[tuple[str, Message]] = []  # an answer whose results are still coming
        self._latest = dict[str, list[tuple[Round, Exchange]]]()
        self._same = dict[int, tuple[Round, Exchange]]()
        self._shown = _Shown(tokens=self._system_tokens)
        self._timing = Timing(self._settings)
        self._edits: list[Edit] = []
        self._told_edits = 0
        self._epoch = 0
        self._turn_seen = 0
        self._entering = 0
        self._message_count = 0
        self._lists: list[List] = []
        self.archive = Archive()

    @property
    def edits(self) -> tuple[Edit, ...]:
        """Every edit made so far."""
        return tuple(self._edits)

    @property
    def turns(self) -> int:
        """Answers so far."""
        return len(self._rounds)

    def add(self, messages: Sequence[Message], ids: Sequence[str] | None = None) -> None:
        """Take what was said since; `ids` name the messages, by default by their place."""
        for place, message in enumerate(messages):
            message_id = ids[place] if ids is not None else f"m{self._message_count}"
            self._message_count += 1
            self._naive += self._reader.weight(message)
            if message.role == "assistant":
                self._close()
                self._waiting = [(message_id, message)]
            elif message.role == "tool":
                self._take_results(message_id, message)
            elif any(isinstance(block, ToolResultBlock) for block in message.content):
                results = tuple(block for block in message.content if isinstance(block, ToolResultBlock))
                said = tuple(block for block in message.content if not isinstance(block, ToolResultBlock))
                self._take_results(message_id, Message(role="tool", content=results))
                if said:
                    self._hear(message_id, Message(role="user", content=said))
            else:
                self._hear(message_id, message)

    def view(self, entering_tokens: int = 0) -> View:
        """A request went out with what stood in the view: what the next one carries, before what is new in it.

        Asked twice without anything new, it says the same and edits nothing. `entering_tokens`: what stands before the
        messages and would be written anew if the first edit brought the tool `recall` in there; 0 where it is there already.
        """
        self._close()
        turn = len(self._rounds) + 1
        if turn != self._turn_seen and self._settings.is_on and self._message_count:
            timing = self._timing
            timing.enter(turn)
            timing.pay(self._shown.tokens, self._naive)
            self._turn_seen = turn
            self._consider(turn + 1, entering_tokens)
        return self._view()

    def idle(self) -> View:
        """As `view`, when so long nothing was said that the provider's cache has run out: now an epoch costs nothing."""
        self._close()
        turn = len(self._rounds) + 1
        if self._settings.is_on and self._rounds:
            self._timing.cool()
            self._consider(turn + 1 if turn == self._turn_seen else turn)
            self._turn_seen = turn
        return self._view()

    def _view(self) -> View:
        edits = tuple(self._edits[self._told_edits :])
        self._told_edits = len(self._edits)
        return View(
            messages=tuple(self._shown.messages),
            ids=tuple(self._shown.ids),
            naive_tokens=self._naive,
            curated_tokens=self._shown.tokens,
            edits=edits,
            epoch=self._epoch,
        )

    def recall(self, text: str, limit: int = 3) -> tuple[Recalled, ...]:
        """Removed pieces: by a key as written in a placeholder, or those that hold a path, a quote or most words."""
        return self.archive.recall(text, limit)

    def keep(self, ids: Sequence[str]) -> bool:
        """Give the rounds of these messages back whole, and leave them alone from now on; False if there are none."""
        wanted = set(ids)
        found = [round_ for round_ in self._rounds if wanted & set(round_.ids)]
        for round_ in found:
            round_.is_kept = True
            round_.level = Level.RAW
            if round_ not in self._live:
                self._live.append(round_)
        if found:
            self._live.sort(key=lambda round_: round_.index)
            self._render()
        return bool(found)

    def undo(self, number: int) -> bool:
        """Take back the edit of that number: its messages are kept as they were."""
        if not 1 <= number <= len(self._edits):
            return False
        return self.keep(self._edits[number - 1].ids)

    # What is new

    def _take_results(self, message_id: str, message: Message) -> None:
        if self._waiting:
            self._waiting.append((message_id, message))
            return
        for block in message.content:
            self._stray(message_id, text_of(block))

    def _hear(self, message_id: str, message: Message) -> None:
        self._close()
        if not any(weighs(block) for block in message.content):
            return  # no provider takes a message without content
        said = self._reader.said_by_user((message_id,), (message,))
        last = self._segments[-1] if self._segments else None
        if last is not None and not last.rounds and last.messages:
            last.ids += said.ids
            last.messages += said.messages
            last.tokens += said.tokens
        else:
            self._segments.append(said)
        self._show(said.messages, said.ids, said.tokens)

    def _close(self) -> None:
        """Make a round of the answer that was waiting for results."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        ids = [message_id for message_id, _ in waiting]
        round_, strays = self._reader.round_of(ids, waiting[0][1], [message for _, message in waiting[1:]])
        for text in strays:
            self._stray(ids[-1], text)
        if not self._segments:
            self._segments.append(Said((), (), 0))
        self._segments[-1].rounds.append(round_)
        self._rounds.append(round_)
        self._live.append(round_)
        self._note_covered(round_)
        self._show(round_.messages, round_.ids, round_.tokens)

    def _show(self, messages: Sequence[Message], ids: Sequence[str], tokens: int) -> None:
        self._shown.messages += messages
        self._shown.ids += _ids_for(messages, ids)
        self._shown.tokens += tokens

    def _stray(self, message_id: str, text: str) -> None:
        """A result without a call or a call without a result: no provider takes it, so it is moved."""
        key = f"#s{len(self.archive) + 1}"
        self.archive.put(key, Piece(text, (message_id,)))
        self._edit(
            "drop_and_archive", (message_id,), self._count(text), "a call or a result without the other", key
        )

    def _note_covered(self, round_: Round) -> None:
        for exchange in round_.exchanges:
            if exchange.result.is_error:
                continue
            call = exchange.call
            if call.key:
                before = self._latest.get(call.key, [])
                left = list[tuple[Round, Exchange]]()
                for earlier in before:
                    if call.covers(earlier[1].call):
                        earlier[1].is_covered = True
                        earlier[0].covered = all(e.is_covered for e in earlier[0].exchanges)
                    else:
                        left.append(earlier)
                self._latest[call.key] = [*left[-20:], (round_, exchange)]
            if exchange.fingerprint and exchange.tokens > 8:
                same = self._same.get(exchange.fingerprint)
                if same is not None and same[0] is not round_:
                    same[1].is_covered = same[1].is_repeated = True
                    same[0].repeated = all(e.is_repeated for e in same[0].exchanges)
                    same[0].covered = all(e.is_covered for e in same[0].exchanges)
                self._same[exchange.fingerprint] = (round_, exchange)

    # When

    def _consider(self, turn: int, entering_tokens: int = 0) -> None:
        """Whether the request of that turn carries an edited view."""
        self._timing.enter(turn)
        self._entering = 0 if self._epoch else entering_tokens
        if self._timing.is_due(self._shown.tokens, self._naive, self._rewrite_tokens()):
            self._try_epoch()

    def _rewrite_tokens(self) -> int:
        """About what an epoch would write anew: what a list says of the rounds since the last one, and what stays whole."""
        since = self._lists[-1].anchor.index if self._lists else -1
        late = [round_ for round_ in self._live if round_.index > since and round_.list_at < 0]
        return sum(map(told_tokens, late)) + HOT_WEIGHT * self._hot_tokens(late) + FRAME_TOKENS

    def _hot_tokens(self, rounds: Sequence[Round]) -> int:
        """Tokens for the files read just now; they come on top of the room."""
        most, window = self._timing.stage.hot_tokens, self._settings.context_tokens
        if window is not None:
            most = min(most, int(LIST_WINDOW * window / 2))
        hot = rounds[-self._timing.stage.hot_turns :]
        return min(most, sum(r.files_tokens for r in hot if r.has_reads and not r.is_covered))

    def _try_epoch(self) -> None:
        """Edit what came since the last list; the lists before it too, where that pays or it must be."""
        untouched = len(self._rounds) - self._settings.raw_rounds
        live = [round_ for round_ in self._live if round_.index < untouched]
        starts = (
            [first_stale(self._lists, live, self._segments, len(self._rounds))]
            if self._timing.cached_tokens
            else [0]
        )
        if starts[0] and self._timing.is_forced(self._shown.tokens):
            starts.append(0)
        for start in starts:
            before = self._lists[start - 1].anchor.index if start else -1
            rounds = [r for r in live if r.index > before and (r.list_at < 0 or r.list_at > before)]
            if rounds and (
                self._edit_rounds(rounds, start, self._hot_tokens(rounds)) or self._edit_lean(rounds, start)
            ):
                return
        self._timing.put_off(self._shown.tokens)

    def _room(self, rounds: Sequence[Round], start: int) -> float:
        """Tokens for what is left of `rounds`, files read just now not counted."""
        told = TOLD_SHARE * sum(map(told_tokens, rounds))
        kept = sum(made.tokens for made in self._lists[:start])
        room = min(told, max(LIST_TOKENS + LIST_SHARE * self._naive - kept, LIST_TOKENS_LEAST))
        window = self._settings.context_tokens
        return room if window is None else min(room, LIST_WINDOW * window)

    def _edit_lean(self, rounds: Sequence[Round], start: int) -> bool:
        """As `_edit_rounds`, with no more written anew than the next request may: without files read just now, if it has waited long enough for a moment without them."""
        first = self._lists[start - 1].anchor.index if start else -1
        between = [s for s in self._segments if s.rounds and s.rounds[-1].index > first]
        behind = sum(segment.tokens for segment in between[1:]) + _answer_tokens(rounds) + FRAME_TOKENS
        common = self._shown.tokens - behind - sum(_held(round_, round_.level) for round_ in rounds)
        room = self._timing.allowance(max(0, common), self._naive, self._entering) - behind
        hot = self._hot_tokens(rounds)
        left = max(0, int(room - sum(map(told_tokens, rounds))))
        if hot > left and not self._timing.is_urgent:
            return False
        hot = min(hot, left)
        return self._edit_rounds(rounds, start, hot, room - hot)

    def _edit_rounds(self, rounds: Sequence[Round], start: int, hot: int, room: float = float("inf")) -> bool:
        """Bring `rounds` into their room, at most `room`, unless that gains too little or costs too much.

        The lists from `start` on give way to a new one.
        """
        answers = _answer_tokens(rounds)
        room = min(room, self._room(rounds, start))
        if room < 0:
            return False
        named = only_named("\n".join(made.text for made in self._lists[:start]), rounds)
        made = plan(
            rounds,
            int(room + hot + answers),
            answers,
            hot_turns=self._timing.stage.hot_turns,
            hot_tokens=hot,
            named=named,
        )
        before, live, lists = self._shown, self._live, self._lists
        levels = {round_.index: round_.level for round_ in rounds}
        for round_ in rounds:
            round_.level = min(round_.level, made.levels[round_.index])
        self._live = [r for r in self._live if r.level > Level.GONE or r.is_answer]
        listed = [r for r in rounds if r.level is Level.LISTED]
        anchor = self._anchor(rounds)
        self._lists = lists[:start]
        if anchor is not None:
            text = listing(listed, made, is_first=not self._lists)
            self._lists.append(List(anchor[0], anchor[1], text, self._count(text)))
        self._render()
        common = self._common_tokens(before)
        if not self._timing.is_worth(before.tokens, self._shown.tokens, common, self._naive, self._entering):
            for round_ in rounds:
                round_.level = levels[round_.index]
            self._live, self._shown, self._lists = live, before, lists
            return False
        for round_ in rounds:
            is_listed = round_.level is Level.LISTED and anchor is not None
            round_.list_at = anchor[0].index if is_listed and anchor is not None else -1
            round_.has_line = round_.level > Level.LISTED or round_.index in made.lines
        self._timing.edited(self._shown.tokens, common)
        self._epoch += 1
        self._tell_edits(rounds, levels)
        return True

    def _common_tokens(self, before: _Shown) -> int:
        """Tokens of the beginning that the last request and the edited view share."""
        tokens = self._system_tokens
        for old, new in zip(before.messages, self._shown.messages, strict=False):
            if old is not new and old != new:
                break
            tokens += self._reader.weight(old)
        return 0 if self._entering else min(tokens, self._timing.cached_tokens)

    # What it looks like

    def _render(self) -> None:
        """Make the view anew from the rounds' levels and the lists."""
        view = _Shown(tokens=self._system_tokens)
        anchors = {made.anchor.index: made for made in self._lists}
        for place, segment in enumerate(self._segments):
            is_open = place == len(self._segments) - 1
            _put(view, segment.messages, segment.ids, segment.tokens)
            is_empty = bool(segment.messages)
            stub: Round | None = None
            for round_ in segment.rounds:
                if (made := anchors.get(round_.index)) is not None:
                    self._put_placeholder(view, round_, made.exchange, made.text)
                    is_empty = False
                elif round_.level > Level.LISTED or round_.is_answer:
                    messages = shown(round_)
                    _put(view, messages, round_.ids, self._tokens_at(round_, messages))
                    is_empty = False
                else:
                    stub = round_
            if is_empty and stub is not None and not is_open:
                exchange = _smallest([stub])[1]
                self._put_placeholder(view, stub, exchange, STUB.format(key=exchange.key))
        self._shown = view

    def _put_placeholder(self, view: _Shown, round_: Round, exchange: Exchange, text: str) -> None:
        messages = placeholder(exchange, text)
        _put(view, messages, round_.ids[:1] + round_.ids[-1:], weight(messages, self._count))

    def _anchor(self, rounds: Sequence[Round]) -> tuple[Round, Exchange] | None:
        """The call in whose result the list of what was moved stands: a late one, of those with short arguments."""
        late = list[Round]()
        for round_ in reversed(rounds):
            if not round_.is_answer and round_.level <= Level.LISTED:
                late.append(round_)
                if len(late) == ANCHORS_TRIED:
                    break
        return _smallest(late) if late else None

    def _tokens_at(self, round_: Round, messages: Sequence[Message]) -> int:
        if round_.level is Level.RAW or messages is round_.messages:
            return round_.tokens
        if not round_.is_answer:
            return _held(round_, round_.level)
        return weight(messages, self._count)

    # What was done

    def _tell_edits(self, rounds: Sequence[Round], before: dict[int, Level]) -> None:
        resolved = {
            round_.index
            for segment in self._segments[:-1]
            if segment.rounds and segment.rounds[-1].is_answer
            for round_ in segment.rounds
        }
        for round_ in rounds:
            was, now = before[round_.index], round_.level
            if now >= was:
                continue
            removed = _held(round_, was) - _held(round_, now)
            if was is Level.RAW and round_.thinking_tokens:
                key = f"#t{round_.index + 1}"
                self.archive.put(key, Piece(_thinking_of(round_), round_.ids[:1], "thinking"))
                self._edit("strip_thinking", round_.ids[:1], round_.thinking_tokens, "thinking", key)
                removed -= round_.thinking_tokens
            if now >= Level.BARE:
                continue
            self._put_away(round_, now)
            strategy = (
                "fold_resolved_exchanges"
                if round_.is_answer
                else strategy_of(round_, now, round_.index in resolved)
            )
            key = round_.exchanges[0].key if round_.exchanges else round_.key
            note = ", ".join(exchange.call.label for exchange in round_.exchanges) or "an answer"
            self._edit(strategy, round_.ids, removed, note, key)

    def _put_away(self, round_: Round, level: Level) -> None:
        for exchange in round_.exchanges:
            self.archive.put(
                exchange.key,
                Piece(exchange.result.text, round_.ids[1:], exchange.call.label + " " + exchange.call.thing),
            )
            if level <= Level.LISTED:
                arguments = Piece(exchange.use.arguments, round_.ids[:1], exchange.call.name)
                self.archive.put(f"{exchange.key}c", arguments)
        if (level <= Level.LISTED and round_.text) or round_.is_answer:
            self.archive.put(round_.key, Piece(round_.text, round_.ids[:1]))

    def _edit(self, strategy: str, ids: tuple[str, ...], tokens: int, note: str, key: str) -> None:
        self._edits.append(
            Edit(
                number=len(self._edits) + 1,
                epoch=self._epoch,
                strategy=strategy,  # pyright: ignore[reportArgumentType]
                ids=ids,
                tokens_removed=tokens,
                note=note,
                archive_key=key,
            )
        )


def _put(view: _Shown, messages: Sequence[Message], ids: Sequence[str], tokens: int) -> None:
    view.messages += messages
    view.ids += _ids_for(messages, ids)
    view.tokens += tokens


def _ids_for(messages: Sequence[Message], ids: Sequence[str]) -> list[str]:
    """An id for each message; where a round came in more messages than it is shown in, the last ones are left out."""
    return [ids[min(place, len(ids) - 1)] for place in range(len(messages))]


def _answer_tokens(rounds: Sequence[Round]) -> int:
    """About what the answers among them take at least."""
    return sum(min(round_.text_tokens + 4, 60) for round_ in rounds if round_.is_answer)


def _smallest(rounds: Sequence[Round]) -> tuple[Round, Exchange]:
    pairs = [(round_, exchange) for round_ in rounds for exchange in round_.exchanges]
    return min(pairs, key=lambda pair: len(pair[1].use.arguments))


def _held(round_: Round, level: Level) -> int:
    match level:
        case Level.RAW:
            return round_.tokens
        case Level.BARE:
            return round_.bare_tokens
        case Level.FILES:
            return round_.files_tokens
        case Level.DISTILLED:
            return round_.distilled_tokens
        case Level.LISTED:
            return min(round_.tokens, round_.line_tokens + round_.said_tokens)
        case Level.GONE:
            return 0


def _thinking_of(round_: Round) -> str:
    blocks = [block.text for block in round_.messages[0].content if isinstance(block, ThinkingBlock)]
    text = "".join(block.text for block in round_.messages[0].content if isinstance(block, TextBlock))
    is_tagged = without_thinking(text) != text  # the whole text then, so that it comes back as it was
    return "".join(blocks) + (text if is_tagged else "")
