"""What a run of requests costs under prompt caching, in tokens at the price of fresh input.

Two models. `anthropic`: reads 0.1, writes 1.25, five minutes since the last use. `automatic` (as at OpenAI and others):
reads 0.25, all else 1.0, same time. In both a request reads the longest beginning, of at least 1,024 tokens and ending
with a message, that a request of the last five minutes carried too.

`strict` is the first model as Anthropic's manual has it for marked breakpoints: a request has four, here at the end of the
system text, behind the newest two lists of what was moved, and at its end. Only what an earlier request marked is in the
cache, and it is found only where it ends at most twenty blocks before a mark of this one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.curation_policies import message_tokens
from legion_core.gateway.curation.render import HEADER, HEADER_AGAIN
from legion_core.gateway.types import Message, ToolResultBlock

TTL_S = 300.0
LEAST_TOKENS = 1_024
READ, WRITE = 0.1, 1.25
AUTOMATIC_READ = 0.25
LOOKBACK_BLOCKS = 20
LISTS_MARKED = 2


@dataclass(slots=True)
class Bill:
    """Sums over requests."""

    sent: int = 0
    read: int = 0
    anthropic: float = 0.0
    automatic: float = 0.0
    strict: float = 0.0
    strict_read: int = 0

    def __iadd__(self, other: "Bill") -> "Bill":
        self.sent += other.sent
        self.read += other.read
        self.anthropic += other.anthropic
        self.automatic += other.automatic
        self.strict += other.strict
        self.strict_read += other.strict_read
        return self


@dataclass(slots=True)
class Meter:
    """The cache of one conversation. What an earlier request carried and the last did not is looked for too, three back."""

    system_tokens: int
    bill: Bill = field(default_factory=Bill)
    _past: list[tuple[float, list[Message]]] = field(default_factory=list[tuple[float, list[Message]]])
    _sums: list[int] = field(default_factory=list[int])
    _heads: list[int] = field(default_factory=list[int])
    _blocks: list[int] = field(default_factory=list[int])
    _marked: dict[int, float] = field(
        default_factory=dict[int, float]
    )  # when a marked beginning was last used

    def request(self, view: Sequence[Message], at_s: float) -> int:
        """Add a request; its tokens."""
        self._past = [(when, past) for when, past in self._past if at_s - when <= TTL_S][-3:]
        same = max((_common(past, view) for _, past in self._past), default=-1)
        known = _common(self._past[-1][1], view) if self._past else 0
        sums = self._sums[: known + 1] if self._past and self._sums else [self.system_tokens]
        for message in view[len(sums) - 1 :]:
            sums.append(sums[-1] + message_tokens(message))
        self._sums = sums
        total = sums[-1]
        read = sums[same] if same >= 0 else 0
        read = read if read >= LEAST_TOKENS else 0
        self.bill.sent += total
        self.bill.read += read
        written = total - read
        self.bill.anthropic += READ * read + (WRITE if total >= LEAST_TOKENS else 1.0) * written
        self.bill.automatic += AUTOMATIC_READ * read + written
        self._past.append((at_s, list(view)))
        self._strict(view, known, at_s)
        return total

    def _strict(self, view: Sequence[Message], known: int, at_s: float) -> None:
        heads = self._heads[: known + 1] or [0]
        blocks = self._blocks[: known + 1] or [0]
        for message in view[len(heads) - 1 :]:
            heads.append(hash((heads[-1], message)))
            blocks.append(blocks[-1] + len(message.content))
        self._heads, self._blocks = heads, blocks
        lists = [place + 1 for place, message in enumerate(view) if _is_list(message)][-LISTS_MARKED:]
        marks = [0, *lists, len(view)]
        found = -1
        for mark in marks:
            for place in range(mark, -1, -1):
                if blocks[mark] - blocks[place] > LOOKBACK_BLOCKS:
                    break
                if (used := self._marked.get(heads[place])) is not None and at_s - used <= TTL_S:
                    found = max(found, place)
                    break
        read = self._sums[found] if found >= 0 else 0
        for mark in (*marks, max(found, 0)):
            if self._sums[mark] >= LEAST_TOKENS:
                self._marked[heads[mark]] = at_s
        total = self._sums[-1]
        self.bill.strict += READ * read + (WRITE if total >= LEAST_TOKENS else 1.0) * (total - read)
        self.bill.strict_read += read


def _is_list(message: Message) -> bool:
    block = message.content[0] if message.content else None
    return isinstance(block, ToolResultBlock) and block.text.startswith((HEADER, HEADER_AGAIN))


def _common(past: Sequence[Message], view: Sequence[Message]) -> int:
    """How many messages both begin with."""
    most = min(len(past), len(view))
    low = 0
    step = 64
    while low < most:
        end = min(most, low + step)
        if (
            past[low:end] == view[low:end]
            if isinstance(view, list)
            else tuple(past[low:end]) == tuple(view[low:end])
        ):
            low = end
            continue
        while low < end and (past[low] is view[low] or past[low] == view[low]):
            low += 1
        break
    return low
