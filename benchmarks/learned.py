"""The learned order measured: what requests cost where answers may be no good, beside other ways to choose.

    python -m benchmarks.learned [--json] [--requests N] [--seeds N]

Every world is a table of chances, written below: how often an answer of each model to each kind of request is good.
Whoever asks and gets a bad answer asks the next model of the same decision, until one is good: so all ways reach the
same quality, and differ in what it costs. The cost of a request is the money of all its answers, and a cent for each
bad one. Whether an answer would be good is drawn before anybody chooses, so that all ways meet the same luck.

tier order        as it is without learning: the nearest, then the cheapest
always biggest    the dearest first
epsilon-greedy    by (price + a cent) / share of good ones so far; one request in ten in a random order
oracle            the same order, from the table itself
learned           the product's decision over the product's memory; also where only the first answer is told of
"""

import argparse
import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log
from random import Random

from legion_core.gateway.routing.learned import UNKNOWN_CHANCE, Learned, kind_of
from legion_core.gateway.routing.reasons import Wish
from legion_core.gateway.routing.table import LaneTable, answer_tokens, dearness, mix_of
from legion_core.gateway.types import Capability, Lane, ModelOffer, Price, Tier

BAD_USD = 0.01
APART_S = 60.0  # between two requests
ABLE: frozenset[Capability] = frozenset({"streaming", "tools", "vision", "structured_output"})
MODELS = (
    (Tier.LOCAL, "laptop-1b", None),
    (Tier.DIRECT, "box-8b", None),
    (Tier.CLOUD, "small", Price(input=0.25, output=1.25)),
    (Tier.CLOUD, "middle", Price(input=1.0, output=5.0)),
    (Tier.FRONTIER, "large", Price(input=3.0, output=15.0)),
)
LANES = tuple(
    Lane(tier=tier, instance=name, kind="openai", offer=ModelOffer(id="m", context=200_000, capabilities=ABLE, price=price))
    for tier, name, price in MODELS
)  # fmt: skip

# A request's kind: what it needs, its tokens, and how many in a hundred are of it.
KINDS: tuple[tuple[tuple[Capability, ...], int, int], ...] = (
    ((), 1_500, 40),
    (("tools",), 4_000, 25),
    (("structured_output",), 2_000, 15),
    (("tools",), 24_000, 20),
)
Chances = tuple[tuple[float, ...], ...]  # by kind, then by model

SMALL_IS_ENOUGH: Chances = (
    (0.95, 0.97, 0.98, 0.98, 0.99),
    (0.92, 0.95, 0.97, 0.98, 0.99),
    (0.93, 0.95, 0.97, 0.98, 0.99),
    (0.90, 0.94, 0.96, 0.98, 0.99),
)
SMALL_BREAKS_TOOLS: Chances = (
    (0.93, 0.97, 0.98, 0.98, 0.99),
    (0.30, 0.70, 0.90, 0.95, 0.98),
    (0.45, 0.80, 0.93, 0.96, 0.98),
    (0.10, 0.35, 0.80, 0.92, 0.97),
)
ALL_EQUAL: Chances = ((0.9,) * 5,) * 4
LARGE_BREAKS: Chances = (  # what nobody expects: the near ones are better than the cloud's small one
    (0.95, 0.97, 0.60, 0.98, 0.99),
    (0.90, 0.95, 0.30, 0.95, 0.98),
    (0.90, 0.95, 0.50, 0.96, 0.98),
    (0.20, 0.30, 0.20, 0.92, 0.97),
)


@dataclass(frozen=True, slots=True)
class World:
    """Chances before and after the middle; how many bad answers come first whatever they are; what the gateway sees."""

    name: str
    before: Chances
    after: Chances
    unlucky: int = 0  # so many first answers of the nearest model are bad
    seen: float = 1.0  # the share of bad answers that show


WORLDS = (
    World("small is enough", SMALL_IS_ENOUGH, SMALL_IS_ENOUGH),
    World("small breaks tools", SMALL_BREAKS_TOOLS, SMALL_BREAKS_TOOLS),
    World("half of it unseen", SMALL_BREAKS_TOOLS, SMALL_BREAKS_TOOLS, seen=0.5),
    World("mended in the middle", SMALL_BREAKS_TOOLS, SMALL_IS_ENOUGH),
    World("broken in the middle", SMALL_IS_ENOUGH, SMALL_BREAKS_TOOLS),
    World("all equal", ALL_EQUAL, ALL_EQUAL),
    World("unlucky beginning", SMALL_IS_ENOUGH, SMALL_IS_ENOUGH, unlucky=12),
    World("a bad one in between", LARGE_BREAKS, LARGE_BREAKS),
)
MAIN = "small breaks tools"


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: what it asks, and of each lane what it would cost and whether its answer would be good."""

    number: int
    kind: int
    wish: Wish
    usd: tuple[float, ...]
    chances: tuple[float, ...]
    good: tuple[bool, ...]
    shows: tuple[bool, ...]  # whether a bad answer would be seen to be bad


class Way:
    """A way to choose: the order of lanes for a request, then told what came of those that were asked."""

    def order(self, asked: Asked) -> Sequence[int]:
        """Places in `LANES`, first to ask first."""
        raise NotImplementedError

    def told(self, asked: Asked, place: int, is_good: bool) -> None:
        """What came of one."""


def ratio(asked: Asked, place: int, chance: float) -> float:
    """The least first makes the sum least, of money and bad answers."""
    return (asked.usd[place] + BAD_USD) / max(chance, 1e-3)


class TierOrder(Way):
    """As the table has them."""

    def order(self, asked: Asked) -> Sequence[int]:
        """Nearest first."""
        return range(len(LANES))


class Biggest(Way):
    """The dearest first."""

    def order(self, asked: Asked) -> Sequence[int]:
        """Nearest last."""
        return range(len(LANES))[::-1]


class Oracle(Way):
    """Knows the table."""

    def order(self, asked: Asked) -> Sequence[int]:
        """The best there is."""
        return sorted(range(len(LANES)), key=lambda place: ratio(asked, place, asked.chances[place]))


class EpsilonGreedy(Way):
    """One request in ten at random."""

    def __init__(self, seed: int) -> None:
        self._rng = Random(seed)
        self._counts: dict[tuple[int, int], tuple[int, int]] = {}

    def order(self, asked: Asked) -> Sequence[int]:
        """By what was seen so far."""
        places = list(range(len(LANES)))
        if self._rng.random() < 0.1:
            self._rng.shuffle(places)
            return places

        def key(place: int) -> float:
            good, count = self._counts.get((asked.kind, place), (0, 0))
            return ratio(asked, place, good / count if count else UNKNOWN_CHANCE)

        return sorted(places, key=key)

    def told(self, asked: Asked, place: int, is_good: bool) -> None:
        """Counted."""
        good, count = self._counts.get((asked.kind, place), (0, 0))
        self._counts[asked.kind, place] = good + is_good, count + 1


class TheLearned(Way):
    """The product. `hears_all`: also of the models that are asked after a bad answer, not only of the first."""

    def __init__(self, *, hears_all: bool = True) -> None:
        self._learned = Learned()
        self._table = LaneTable(LANES, learned=self._learned)
        self._hears_all = hears_all
        self._places = {lane.name: place for place, lane in enumerate(LANES)}
        self._first = 0

    def order(self, asked: Asked) -> Sequence[int]:
        """As the router decides."""
        decision = self._table.decide(asked.wish, {}, now_s=asked.number * APART_S, bad_answer_usd=BAD_USD)
        places = [self._places[lane.name] for lane in decision.candidates]
        self._first = places[0]
        return places

    def told(self, asked: Asked, place: int, is_good: bool) -> None:
        """Noted as by the gateway."""
        if self._hears_all or place == self._first:
            self._learned.note(
                LANES[place].name, asked.kind, "" if is_good else "empty", asked.number * APART_S
            )


def requests(world: World, count: int, seed: int) -> list[Asked]:
    """What is asked in that world, in order."""
    rng, made, unlucky = Random(f"{world.name} {seed}"), list[Asked](), world.unlucky
    weights = [weight for _, _, weight in KINDS]
    for number in range(count):
        (at,) = rng.choices(range(len(KINDS)), weights)
        required, tokens, _ = KINDS[at]
        wish = Wish(required=required, tokens=tokens)
        chances = (world.before if number < count / 2 else world.after)[at]
        good = [rng.random() < chance for chance in chances]
        if unlucky:
            good[0], unlucky = False, unlucky - 1
        millions = (tokens + answer_tokens(wish)) / 1e6
        made.append(
            Asked(
                number=number,
                kind=kind_of(required, tokens),
                wish=wish,
                usd=tuple(dearness(lane, mix_of(wish)) * millions for lane in LANES),
                chances=chances,
                good=tuple(good),
                shows=tuple(rng.random() < world.seen for _ in LANES),
            )
        )
    return made


@dataclass(slots=True)
class Outcome:
    """What all requests of a world took; `regret` is the expected cost above the oracle's, added up, request by request."""

    usd: float = 0.0
    bad: int = 0
    answered: int = 0
    requests: int = 0
    regret: list[float] | None = None

    @property
    def cost(self) -> float:
        """In dollars, for a thousand requests."""
        return (self.usd + BAD_USD * self.bad) / self.requests * 1_000


def expected(asked: Asked, order: Sequence[int]) -> float:
    """What asking in that order costs on average."""
    cost, reach = 0.0, 1.0
    for place in order:
        chance = asked.chances[place]
        cost += reach * (asked.usd[place] + (1 - chance) * BAD_USD)
        reach *= 1 - chance
    return cost


def played(way: Way, asked: Sequence[Asked]) -> Outcome:
    """All requests, in one way."""
    found, regret, curve, oracle = Outcome(requests=len(asked)), 0.0, list[float](), Oracle()
    for each in asked:
        order = way.order(each)
        regret += expected(each, order) - expected(each, oracle.order(each))
        curve.append(regret)
        for place in order:
            found.usd += each.usd[place]
            is_good = each.good[place]
            found.bad += not is_good
            way.told(each, place, is_good or not each.shows[place])
            if is_good:
                found.answered += 1
                break
    found.regret = curve
    return found


def exponent(curve: Sequence[float]) -> float:
    """The power of the number of requests by which regret grows, fitted from the hundredth on; 1 is never learning."""
    points, at = list[tuple[float, float]](), 100
    while at <= len(curve):
        points.append((log(at), log(max(curve[at - 1], 1e-9))))
        at = int(at * 1.25)
    mean_x, mean_y = (statistics.fmean(column) for column in zip(*points, strict=True))
    over = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / over


def ways(seed: int) -> dict[str, Callable[[], Way]]:
    """By name."""
    return {
        "tier order": TierOrder,
        "always biggest": Biggest,
        "epsilon-greedy": lambda: EpsilonGreedy(seed),
        "learned": TheLearned,
        "learned from firsts": lambda: TheLearned(hears_all=False),
        "oracle": Oracle,
    }


def measure(count: int, seeds: int, *, is_told: bool) -> dict[str, float]:
    """The median over seeds; prints a line for each way in each world."""
    saved, exponents, quality = dict[str, float](), dict[str, float](), dict[str, float]()
    for world in WORLDS:
        outcomes = dict[str, list[Outcome]]()
        for seed in range(seeds):
            asked = requests(world, count, seed)
            for name, make in ways(seed).items():
                outcomes.setdefault(name, []).append(played(make(), asked))
        cost = {name: statistics.median(each.cost for each in found) for name, found in outcomes.items()}
        saved[world.name] = (1 - cost["learned"] / cost["tier order"]) * 100
        exponents[world.name] = statistics.median(exponent(each.regret or ()) for each in outcomes["learned"])
        answered = {name: sum(each.answered for each in found) for name, found in outcomes.items()}
        quality[world.name] = abs(answered["learned"] - answered["tier order"]) / (count * seeds) * 100
        if is_told:
            print(
                f"{world.name}: saved {saved[world.name]:.1f} %, regret grows with n^{exponents[world.name]:.2f}"
            )
            for name, found in outcomes.items():
                usd = statistics.median(each.usd / each.requests * 1_000 for each in found)
                bad = statistics.median(each.bad / each.requests * 1_000 for each in found)
                late = statistics.median(
                    ((each.regret or [0.0])[-1]) / each.requests * 1_000 for each in found
                )
                print(
                    f"    {name:20} cost {cost[name]:7.2f}  money {usd:7.2f}  bad {bad:6.0f}  regret {late:6.2f}  of 1,000"
                )
    return {
        "saved_percent": saved[MAIN],
        "worst_saved_percent": min(saved.values()),
        "regret_exponent": exponents[MAIN],
        "quality_differs_percent": max(quality.values()),
        **{f"saved: {name}": value for name, value in saved.items()},
        **{f"exponent: {name}": value for name, value in exponents.items()},
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--seeds", type=int, default=5)
    args = parser.parse_args()
    found = measure(args.requests, args.seeds, is_told=not args.json)
    if args.json:
        print(json.dumps({name: round(value, 3) for name, value in found.items()}))


if __name__ == "__main__":
    main()
