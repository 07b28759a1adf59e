"""What curation would do to a recorded conversation, turn by turn, and the table that tells it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from legion_core.gateway.curation.curator import Curator
from legion_core.gateway.curation.rounds import MESSAGE_TOKENS
from legion_core.gateway.curation.types import CurationSettings, Edit
from legion_core.gateway.providers.estimate import TOKENS_PER_IMAGE, tokens_in
from legion_core.gateway.transcript_shapes import as_recorded
from legion_core.gateway.transcripts import Transcript
from legion_core.gateway.types import (
    DocumentBlock,
    ImageBlock,
    JsonObject,
    Message,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
)

# Turn numbers of the published table. Source: seed.
BUCKETS = ((1, 1), (2, 3), (4, 5), (6, 9), (10, 19), (20, 49), (50, 1 << 60))
CACHE_READ, CACHE_WRITE = 0.1, 1.25  # source: Anthropic's price page


@dataclass(slots=True)
class Row:
    """A bucket of turns. `billed` counts tokens at the price of fresh input, with a cache that never runs out."""

    bucket: str
    turns: int = 0
    naive: int = 0
    curated: int = 0
    naive_billed: float = 0.0
    billed: float = 0.0

    @property
    def reduction_percent(self) -> float:
        """What was left out, of what naive would have sent."""
        return round(100 * (1 - self.curated / self.naive), 1) if self.naive else 0.0

    @property
    def billed_percent(self) -> float:
        """Billed tokens against leaving it alone."""
        return round(100 * (self.billed / self.naive_billed - 1), 1) if self.naive_billed else 0.0


@dataclass(slots=True)
class Report:
    """The sums; complete once all turns were taken from `turns`."""

    rows: list[Row] = field(default_factory=list[Row])
    strategies: dict[str, tuple[int, int]] = field(
        default_factory=dict[str, tuple[int, int]]
    )  # edits, tokens
    archive: Callable[[], dict[str, str]] = dict[str, str]


@dataclass(slots=True)
class TurnView:
    """One request: what it would carry, in the shape of the transcript, and the edits made for it."""

    turn: int
    naive_tokens: int
    curated_tokens: int
    edits: list[JsonObject]
    messages: Callable[[], list[JsonObject]]


def curate_transcript(
    transcript: Transcript, context_tokens: int | None, report: Report
) -> Iterator[TurnView]:
    """A view for each answer of the assistant, in the gateway's order.

    That is what was curated after the request before, then what is new, as it came. Tokens are estimated, four
    characters each.
    """
    mender = _curator(CurationSettings(is_on=False), transcript)
    curator = _curator(CurationSettings(context_tokens=context_tokens, raw_rounds=0), transcript)
    report.archive = lambda: {**mender.archive, **curator.archive}
    entries = {entry.id: entry for entry in transcript.entries}
    past: tuple[Message, ...] = ()
    past_naive = 0
    ready = curator.view()
    for turn, new in enumerate(_steps(transcript, mender), 1):
        view = _View((*ready.messages, *new.messages), (*ready.ids, *new.ids))
        naive, curated = ready.naive_tokens + new.tokens, ready.curated_tokens + new.tokens
        row = _row(report, turn)
        kept = _kept_tokens(past, view.messages, curated)
        row.turns += 1
        row.naive += naive
        row.curated += curated
        row.naive_billed += CACHE_READ * past_naive + CACHE_WRITE * (naive - past_naive)
        row.billed += CACHE_READ * kept + CACHE_WRITE * (curated - kept)
        past, past_naive = view.messages, naive
        edits = (*ready.edits, *new.edits)
        for edit in edits:
            count, removed = report.strategies.get(edit.strategy, (0, 0))
            report.strategies[edit.strategy] = (count + 1, removed + edit.tokens_removed)
        yield TurnView(
            turn=turn,
            naive_tokens=naive,
            curated_tokens=curated,
            edits=[
                {"strategy": edit.strategy, "ids": list(edit.ids), "tokens": edit.tokens_removed}
                for edit in edits
            ],
            messages=lambda view=view: as_recorded(transcript, view.messages, view.ids, entries),
        )
        curator.add(new.messages, new.ids)
        ready = curator.view()


@dataclass(slots=True)
class _View:
    """Messages, and for each the id of the entry it came from."""

    messages: tuple[Message, ...] = ()
    ids: tuple[str, ...] = ()


@dataclass(slots=True)
class _Step:
    """What is new before a request, mended where no provider would take it, and the edits that mended it."""

    messages: list[Message] = field(default_factory=list[Message])
    ids: list[str] = field(default_factory=list[str])
    edits: list[Edit] = field(default_factory=list[Edit])
    tokens: int = 0


def _steps(transcript: Transcript, mender: Curator) -> list[_Step]:
    mender.add([entry.message for entry in transcript.entries], [entry.id for entry in transcript.entries])
    whole = mender.view()
    turns: dict[str, int] = {}
    turn = 0
    for entry in transcript.entries:
        turn += entry.message.role == "assistant"
        turns.setdefault(entry.id, turn)
    steps = [_Step() for _ in range(turn + 1)]
    for message, message_id in zip(whole.messages, whole.ids, strict=True):
        step = steps[turns[message_id]]
        step.messages.append(message)
        step.ids.append(message_id)
        step.tokens += _weight(message)
    for edit in whole.edits:
        steps[turns.get(edit.ids[0], 0)].edits.append(edit)
    return steps[:-1]  # what follows the last answer led to none


def _curator(settings: CurationSettings, transcript: Transcript) -> Curator:
    return Curator(lambda text: tokens_in(len(text)), settings, tuple(transcript.system))


def _row(report: Report, turn: int) -> Row:
    low, high = next(bounds for bounds in BUCKETS if bounds[0] <= turn <= bounds[1])
    name = "50+" if low == 50 else f"{low}–{high}" if high > low else str(low)
    if not report.rows or report.rows[-1].bucket != name:
        report.rows.append(Row(name))
    return report.rows[-1]


def _kept_tokens(past: Sequence[Message], view: Sequence[Message], tokens: int) -> int:
    """Tokens of the beginning that the request before carried too."""
    same = 0
    while same < len(past) and same < len(view) and (past[same] is view[same] or past[same] == view[same]):
        same += 1
    if not past:
        return 0
    rest = sum(_weight(message) for message in view[same:])
    return max(0, tokens - rest)


def _weight(message: Message) -> int:
    """As the curator counts it."""
    tokens = MESSAGE_TOKENS
    for block in message.content:
        match block:
            case TextBlock() | ThinkingBlock() | ToolResultBlock():
                tokens += tokens_in(len(block.text))
            case ToolUseBlock():
                tokens += tokens_in(len(block.name)) + tokens_in(len(block.arguments)) + MESSAGE_TOKENS
            case ImageBlock():
                tokens += TOKENS_PER_IMAGE
            case DocumentBlock():
                tokens += block.tokens
    return tokens
