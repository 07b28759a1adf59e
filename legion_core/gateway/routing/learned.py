"""Pure memory of answers that were no good, by lane and kind of request, and whether a lane steps back for them.

Nothing is remembered of a lane until an answer of it was no good, and nothing follows from fewer than three. Then it
steps back behind the next that may answer, where asking that one first is worth it: of two that are asked one after
the other until an answer is good, the sum of money and bad answers is least with the smaller
`(price + bad answer) / chance of a good one` first. It is given the benefit of the doubt, the more the less is known of
it (an upper confidence bound), and what is known fades: so it is tried again.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from math import sqrt

from legion_core.gateway.types import Capability

DOUBTED_FROM = 2.5  # bad answers remembered: the third in a row, or in a short while
GOOD_BEFORE, BAD_BEFORE = 8.0, 1.0  # of a lane, as if it had answered so before anything is known of it
UNKNOWN_CHANCE = (
    0.8  # of the next one, where nothing bad is known: less, so that luck alone moves nothing to and fro
)
LATEST = 50.0  # answers of a lane and kind that count
HALF_LIFE_S = 2 * 86_400.0  # then they count half: a model is replaced, a template mended
TALLIES_MAX = 512
LONG_TOKENS = 8_000  # input from which small models are told apart from large ones once more

TOOLS, SCHEMA, PICTURES, LONG = 1, 2, 4, 8
_BITS: dict[Capability, int] = {"tools": TOOLS, "structured_output": SCHEMA, "vision": PICTURES}
_WORDS = {TOOLS: "tools", SCHEMA: "a form to keep to", PICTURES: "pictures"}


def kind_of(required: Collection[Capability], tokens: int) -> int:
    """The kind of a request: the bits of what it needs and whether it is long. There are sixteen."""
    kind = LONG if tokens >= LONG_TOKENS else 0
    for word in required:
        kind |= _BITS.get(word, 0)
    return kind


def words_of(kind: int) -> str:
    """The kind as a person says it: `long requests with tools`."""
    needs = [word for bit, word in _WORDS.items() if kind & bit]
    what = "long requests" if kind & LONG else "requests"
    return f"{what} with {' and '.join(needs)}" if needs else what


@dataclass(slots=True)
class Tally:
    """What is remembered of one lane's answers to one kind of request, as of the monotonic moment `at_s`."""

    good: float
    bad: float
    at_s: float
    flaw: str = ""  # of the latest bad one

    def kept(self, now_s: float) -> float:
        """The share of it that still counts."""
        return 0.5 ** (max(0.0, now_s - self.at_s) / HALF_LIFE_S)

    def chance(self, kept: float) -> float:
        """How likely a good answer is, where `kept` of it still counts."""
        good, bad = GOOD_BEFORE + self.good * kept, BAD_BEFORE + self.bad * kept
        return good / (good + bad)

    def chance_at_best(self, kept: float) -> float:
        """As likely as it may be taken to be: one standard deviation above."""
        good, bad = GOOD_BEFORE + self.good * kept, BAD_BEFORE + self.bad * kept
        mean = good / (good + bad)
        return mean + sqrt(mean * (1 - mean) / (good + bad + 1))


def steps_back(
    price_usd: float, chance: float, next_price_usd: float, next_chance: float, bad_answer_usd: float
) -> bool:
    """Whether the next one is better asked first; prices are those of the whole request."""
    return (price_usd + bad_answer_usd) * next_chance > (next_price_usd + bad_answer_usd) * chance


class Learned:
    """The tallies of a node, by kind and by `instance/model`. `version` changes with what is known of who is doubted."""

    def __init__(self) -> None:
        self.on_change: Callable[[], None] = lambda: None
        self.forgotten: set[str] = set()  # instances; what was kept of them is not restored
        self._kinds: dict[int, dict[str, Tally]] = {}
        self.version = 0

    def __len__(self) -> int:
        return sum(map(len, self._kinds.values()))

    def note(self, lane: str, kind: int, flaw: str, now_s: float) -> None:
        """An answer of `lane`: no good for the reason `flaw`, else good, which is nothing to remember by itself."""
        known = self._kinds.get(kind)
        tally = known.get(lane) if known is not None else None
        if tally is None:
            if not flaw:
                return
            self._make_room()
            tally = self._kinds.setdefault(kind, {})[lane] = Tally(0.0, 0.0, now_s)
        was_doubted = tally.bad >= DOUBTED_FROM
        kept = tally.kept(now_s) * min(1.0, (LATEST - 1) / max(tally.good + tally.bad, 1.0))
        tally.good, tally.bad, tally.at_s = tally.good * kept, tally.bad * kept, now_s
        if flaw:
            tally.bad, tally.flaw = tally.bad + 1, flaw
        else:
            tally.good += 1
        if was_doubted or tally.bad >= DOUBTED_FROM:
            self.version += 1
        self.on_change()

    def doubted(self, kind: int) -> dict[str, Tally]:
        """Those of which enough is known to step back, by lane."""
        return {lane: tally for lane, tally in self._kinds.get(kind, {}).items() if tally.bad >= DOUBTED_FROM}

    def forget(self, instance: str) -> None:
        """Everything about the lanes of an instance, and what is not restored yet."""
        self.forgotten.add(instance)
        found = [(lane, kind) for lane, kind, _ in self.all() if lane.startswith(f"{instance}/")]
        for lane, kind in found:
            del self._kinds[kind][lane]
        if found:
            self.version += 1
            self.on_change()

    def all(self) -> Sequence[tuple[str, int, Tally]]:
        """Every tally with its lane and kind."""
        return [(lane, kind, tally) for kind, known in self._kinds.items() for lane, tally in known.items()]

    def restore(self, lane: str, kind: int, tally: Tally) -> bool:
        """One that was kept; what this process has seen itself stands above it. False: it was to be forgotten."""
        if any(lane.startswith(f"{instance}/") for instance in self.forgotten):
            return False
        self._make_room()
        self._kinds.setdefault(kind, {}).setdefault(lane, tally)
        self.version += 1
        return True

    def _make_room(self) -> None:
        if len(self) >= TALLIES_MAX:
            lane, kind, _ = min(self.all(), key=lambda each: each[2].at_s)
            del self._kinds[kind][lane]
            self.version += 1
