"""What a run of requests costs under prompt caching, in tokens at the price of fresh input.

Two models. `anthropic`: reads 0.1, writes 1.25, five minutes since the last use. `automatic` (as at OpenAI and others):
reads 0.25, all else 1.0, same time. In both a request reads the longest beginning, of at least 1,024 tokens and ending
with a message, that a request of the last five minutes carried too.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.curation_policies import message_tokens
from legion_core.gateway.types import Message

TTL_S = 300.0
LEAST_TOKENS = 1_024
READ, WRITE = 0.1, 1.25
AUTOMATIC_READ = 0.25


@dataclass(slots=True)
class Bill:
    """Sums over requests."""

    sent: int = 0
    read: int = 0
    anthropic: float = 0.0
    automatic: float = 0.0

    def __iadd__(self, other: "Bill") -> "Bill":
        self.sent += other.sent
        self.read += other.read
        self.anthropic += other.anthropic
        self.automatic += other.automatic
        return self


@dataclass(slots=True)
class Meter:
    """The cache of one conversation. What an earlier request carried and the last did not is looked for too, three back."""

    system_tokens: int
    bill: Bill = field(default_factory=Bill)
    _past: list[tuple[float, list[Message]]] = field(default_factory=list[tuple[float, list[Message]]])
    _sums: list[int] = field(default_factory=list[int])

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
        return total


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
