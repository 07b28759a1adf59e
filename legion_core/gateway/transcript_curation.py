"""What curation would do to a recorded conversation, turn by turn, and the table that tells it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from legion_core.gateway.curation.curator import Curator
from legion_core.gateway.curation.rounds import MESSAGE_TOKENS
from legion_core.gateway.curation.types import CurationSettings
from legion_core.gateway.providers.estimate import TOKENS_PER_IMAGE, tokens_in
from legion_core.gateway.transcript_shapes import as_recorded
from legion_core.gateway.transcripts import Transcript
from legion_core.gateway.types import (
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
    """A view for each answer of the assistant, made of what came before it. Tokens are estimated, four characters each."""
    settings = CurationSettings(context_tokens=context_tokens)
    curator = Curator(lambda text: tokens_in(len(text)), settings, tuple(transcript.system))
    report.archive = lambda: dict(curator.archive)
    entries = {entry.id: entry for entry in transcript.entries}
    past: Sequence[Message] = ()
    past_naive = turn = 0
    for entry in transcript.entries:
        if entry.message.role == "assistant":
            turn += 1
            view = curator.view()
            row = _row(report, turn)
            kept = _kept_tokens(past, view.messages, view.curated_tokens)
            row.turns += 1
            row.naive += view.naive_tokens
            row.curated += view.curated_tokens
            row.naive_billed += CACHE_READ * past_naive + CACHE_WRITE * (view.naive_tokens - past_naive)
            row.billed += CACHE_READ * kept + CACHE_WRITE * (view.curated_tokens - kept)
            past, past_naive = view.messages, view.naive_tokens
            for edit in view.edits:
                edits, tokens = report.strategies.get(edit.strategy, (0, 0))
                report.strategies[edit.strategy] = (edits + 1, tokens + edit.tokens_removed)
            yield TurnView(
                turn=turn,
                naive_tokens=view.naive_tokens,
                curated_tokens=view.curated_tokens,
                edits=[
                    {"strategy": edit.strategy, "ids": list(edit.ids), "tokens": edit.tokens_removed}
                    for edit in view.edits
                ],
                messages=lambda view=view: as_recorded(transcript, view.messages, view.ids, entries),
            )
        curator.add([entry.message], [entry.id])


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
    return tokens
