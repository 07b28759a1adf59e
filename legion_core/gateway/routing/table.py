"""Pure routing table: the lanes of a node prepared once, so that a decision over hundreds of them takes microseconds.

Every hard axis is a set of lanes, kept as the bits of one integer: bit `i` is the lane of rank `i`, where rank 0 is
asked first. A decision is the intersection of a few such sets; its candidates are already in order. Why each other
lane was left out is worked out only when somebody looks (`routing.reasons`).
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import compress
from math import inf, log2
from typing import NamedTuple, overload
from zlib import crc32

import msgspec

from legion_core.gateway.routing.health import Circuit
from legion_core.gateway.routing.learned import (
    DOUBTED_FROM,
    UNKNOWN_CHANCE,
    Learned,
    kind_of,
    steps_back,
    words_of,
)
from legion_core.gateway.routing.reasons import CONTEXT_HEADROOM, EMBED_ONLY, LeftOuts, Wish
from legion_core.gateway.routing.speed import Speeds
from legion_core.gateway.types import Lane, Price, RouteDecision, SteppedBack, Tier

ANSWER_TOKENS = 400  # what an answer is taken to have, where the request does not bound it lower
MIX_MIN, MIX_MAX = -3, 8
MIX = 2  # four parts input to one part output: the order of which every other is a variant
SPREAD_MAX = 64  # candidates among which equals take turns; more than are ever tried for one request
DOUBTED_MAX = 32  # of so many doubted lanes, the nearest, it is asked whether they step back
FADES_S = 60.0  # so long what is known of them is taken not to fade
_FALSE_TRUE = bytes.maketrans(b"01", b"\x00\x01")


class _Doubt(NamedTuple):
    """What is known of a doubted lane at a moment: how likely a good answer is, and at best; and what is told of it."""

    chance: float
    at_best: float
    told: SteppedBack


class LaneTable(Sequence[Lane]):
    """Lanes in configured order, as a sequence, and everything a decision needs to know of them."""

    def __init__(
        self,
        lanes: Iterable[Lane],
        speeds: Speeds | None = None,
        closed: Mapping[str, str] | None = None,
        learned: Learned | None = None,
        *,
        mix: int = MIX,
    ) -> None:
        """`closed` are instances that may not be contacted, each with a sentence that says why. `mix` as of `mix_of`."""
        self._lanes = tuple(lanes)
        self._speeds = speeds
        self._closed = closed or {}
        self._learned = learned
        self._doubts_of = dict[int, tuple[tuple[int, float], int, dict[int, _Doubt]]]()
        self._mix = mix
        self._by_mix = dict[int, LaneTable]()
        self._has_prices = sum(lane.offer.price is not None for lane in self._lanes) > 1
        self._order = _order(self._lanes, speeds, mix)
        ranked = tuple(self._lanes[place] for place in self._order)
        self._ranked = ranked
        self._prices = tuple(dearness(lane, mix) for lane in ranked)
        self._ties = _ties(ranked, speeds, mix)
        names = [lane.name for lane in ranked]
        self._ranks = {name: rank for rank, name in enumerate(names)}
        self._crcs = tuple(crc32(name.encode()) for name in names)
        self._all = (1 << len(ranked)) - 1
        self._tiers = {tier: _bits(lane.tier is tier for lane in ranked) for tier in Tier}
        self._up_to = {tier: _bits(lane.tier <= tier for lane in ranked) for tier in Tier}
        self._instances = _sets((lane.instance,) for lane in ranked)
        self._models = _sets({lane.offer.id, lane.name} for lane in ranked)
        self._open = self._all & ~self._at(self._closed)
        self._capabilities = _sets(lane.offer.capabilities for lane in ranked)
        self._chats = _bits(lane.offer.capabilities != EMBED_ONLY for lane in ranked)
        contexts = sorted({lane.offer.context for lane in ranked})
        self._rooms = [context * CONTEXT_HEADROOM for context in contexts]
        self._rooms_beside = [context * CONTEXT_HEADROOM - context / 2 for context in contexts]
        self._holds_at_least = [
            _bits(lane.offer.context >= context for lane in ranked) for context in contexts
        ]

    @overload
    def __getitem__(self, index: int) -> Lane: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Lane, ...]: ...
    def __getitem__(self, index: int | slice) -> Lane | tuple[Lane, ...]:
        """The lane at that place of the configured order."""
        return self._lanes[index]

    def __len__(self) -> int:
        return len(self._lanes)

    def knows(self, word: str) -> bool:
        """Whether a lane goes by that model, instance, or `instance/model`."""
        return word in self._models or word in self._instances

    def decide(
        self,
        wish: Wish,
        circuits: Mapping[str, Circuit],
        *,
        now_s: float,
        seed: str = "",
        spare: frozenset[str] = frozenset(),
        bad_answer_usd: float = 0.0,
    ) -> RouteDecision:
        """The route of `wish`: candidates in the order to try, and a reason for every other lane.

        With a `seed`, lanes that are equal in tier, price and speed take turns by it; the same seed over the same
        lanes gives the same order in every process. Without one the configured order decides. Lanes of `spare`
        instances with an open circuit are told apart; where nobody else is left they are the candidates.

        With `bad_answer_usd`, what a bad answer costs whoever asks, lanes whose answers to this kind of request were
        often no good may come behind all others (`routing.learned`).
        """
        table = self
        if self._has_prices and (mix := mix_of(wish)) != self._mix:
            table = self._by_mix.get(mix) or self._made(mix)
        return table._decide(wish, circuits, now_s, seed, spare, bad_answer_usd)  # noqa: SLF001 - one of us

    def _decide(
        self,
        wish: Wish,
        circuits: Mapping[str, Circuit],
        now_s: float,
        seed: str,
        spare: frozenset[str],
        bad_answer_usd: float,
    ) -> RouteDecision:
        if self._closed:
            wish = msgspec.structs.replace(wish, closed=self._closed)
        fit = self._able(wish)
        able = fit & ~self._barred(circuits, now_s)
        spared = self._of(fit & ~able & self._at(spare)) if spare else ()
        if not able and spared:
            circuits = {name: circuit for name, circuit in circuits.items() if name not in spare}
            able, spared = fit & ~self._barred(circuits, now_s), ()
        late, stepped_back = 0, ()
        if bad_answer_usd and wish.operation == "chat" and able & (able - 1):
            late, stepped_back = self._late(able, wish, bad_answer_usd, now_s)
        first = able & ~late
        candidates = self._of(first)
        if seed and len(candidates) > 1:
            candidates = self._spread(candidates, first, seed)
        if late:
            candidates += self._of(late)
        return RouteDecision(
            candidates=candidates,
            left_out=LeftOuts(self._lanes, len(candidates), wish, circuits, now_s),
            required=wish.required,
            estimated_tokens=wish.tokens,
            spare=spared,
            stepped_back=stepped_back,
        )

    def _made(self, mix: int) -> "LaneTable":
        """The same lanes in the order of that mix."""
        made = LaneTable(self._lanes, self._speeds, self._closed, self._learned, mix=mix)
        self._by_mix[mix] = made
        return made

    def _of(self, members: int) -> tuple[Lane, ...]:
        """The lanes of a set, in order."""
        if members == self._all:
            return self._ranked
        return tuple(compress(self._ranked, bin(members)[:1:-1].encode().translate(_FALSE_TRUE)))

    def _at(self, instances: Iterable[str]) -> int:
        members = 0
        for instance in instances:
            members |= self._instances.get(instance, 0)
        return members

    def _able(self, wish: Wish) -> int:
        """The lanes that no fixed axis leaves out."""
        able = self._open
        if wish.is_private or wish.local_only:
            able &= self._tiers[Tier.LOCAL]
        pins = wish.pins
        if pins.tier is not None:
            able &= self._tiers[pins.tier]
        if pins.tier_max is not None:
            able &= self._up_to[pins.tier_max]
        if pins.instance is not None:
            able &= self._instances.get(pins.instance, 0)
        if pins.model is not None:
            able &= self._models.get(pins.model, 0)
        if wish.operation == "chat":
            able &= self._chats
        for capability in wish.required:
            able &= self._capabilities.get(capability, 0)
        return able & self._holding(wish)

    def _holding(self, wish: Wish) -> int:
        """The lanes whose context is large enough; a larger one never holds less."""
        # An answer may have half a window: what counts of it is all, or half of the window if that is less.
        place = bisect_left(self._rooms, wish.tokens + wish.tokens_out)
        if wish.tokens_out:
            place = min(place, bisect_left(self._rooms_beside, wish.tokens))
        return self._holds_at_least[place] if place < len(self._rooms) else 0

    def _barred(self, circuits: Mapping[str, Circuit], now_s: float) -> int:
        barred = 0
        for instance, circuit in circuits.items():
            if not circuit.admits(now_s):
                barred |= self._instances.get(instance, 0)
        return barred

    def _late(
        self, able: int, wish: Wish, bad_answer_usd: float, now_s: float
    ) -> tuple[int, tuple[SteppedBack, ...]]:
        """Which of a set come behind all others for what their answers were like, and what that was."""
        mask, doubts = self._doubts(kind_of(wish.required, wish.tokens), now_s)
        doubted = able & mask
        if not doubted:
            return 0, ()
        ranks = list[int]()
        while doubted and len(ranks) < DOUBTED_MAX:
            ranks.append((doubted & -doubted).bit_length() - 1)
            doubted &= doubted - 1
        millions, prices = (wish.tokens + answer_tokens(wish)) / 1e6, self._prices
        late, left, found = 0, able, list[SteppedBack]()
        for rank in reversed(ranks):
            behind = left >> (rank + 1)
            if not behind:
                continue
            following = rank + (behind & -behind).bit_length()
            price, next_price = prices[rank], prices[following]
            if next_price == inf:
                continue  # nobody knows what asking that one would cost
            doubt, other = doubts[rank], doubts.get(following)
            if steps_back(
                # Where its own price is unknown it counts as free: it gives way only where the next one's whole price
                # is worth it.
                0.0 if price == inf else price * millions,
                doubt.at_best,
                next_price * millions,
                UNKNOWN_CHANCE if other is None else other.chance,
                bad_answer_usd,
            ):
                late |= 1 << rank
                left = able & ~late
                found.append(doubt.told)
        return late, tuple(reversed(found))

    def _doubts(self, kind: int, now_s: float) -> tuple[int, dict[int, _Doubt]]:
        """The lanes whose answers to this kind of request were often no good: as a set, and by rank."""
        learned = self._learned
        if learned is None:
            return 0, {}
        known, as_of = self._doubts_of.get(kind), (learned.version, now_s // FADES_S)
        if known is None or known[0] != as_of:
            doubts = dict[int, _Doubt]()
            for name, tally in learned.doubted(kind).items():
                kept = tally.kept(now_s)
                rank = self._ranks.get(name)
                if rank is not None and tally.bad * kept >= DOUBTED_FROM:
                    told = SteppedBack(
                        lane=self._ranked[rank],
                        kind=words_of(kind),
                        answers=round((tally.good + tally.bad) * kept),
                        bad=round(tally.bad * kept),
                        flaw=tally.flaw,
                    )
                    doubts[rank] = _Doubt(tally.chance(kept), tally.chance_at_best(kept), told)
            known = self._doubts_of[kind] = as_of, sum(1 << rank for rank in doubts), doubts
        return known[1], known[2]

    def _spread(self, candidates: tuple[Lane, ...], able: int, seed: str) -> tuple[Lane, ...]:
        """The candidates, those that are equal in the order of a hash of seed and lane (rendezvous hashing)."""
        salt, found = crc32(seed.encode()) | 1, list(candidates)
        for first, members in self._ties:
            group = able & members
            count = group.bit_count()
            if count < 2:
                continue
            start = (able & ((1 << first) - 1)).bit_count()  # how many candidates come before the group
            if start >= SPREAD_MAX:
                break
            places = [place for place in range(first, members.bit_length()) if group >> place & 1]
            places.sort(key=lambda place: ((self._crcs[place] ^ salt) * 2_654_435_761 & 0xFFFFFFFF, place))
            found[start : start + count] = [self._ranked[place] for place in places]
        return tuple(found)


def mix_of(wish: Wish) -> int:
    """How much input a request has to each token of its answer, as the nearest power of two; by it prices compare.

    An embedding has no answer.
    """
    if wish.operation == "embed":
        return MIX_MAX
    return max(MIX_MIN, min(MIX_MAX, round(log2(max(1, wish.tokens) / answer_tokens(wish)))))


def answer_tokens(wish: Wish) -> int:
    """What its answer is taken to have."""
    return min(wish.tokens_out or ANSWER_TOKENS, ANSWER_TOKENS)


def dearness(lane: Lane, mix: int) -> float:
    """USD per million tokens at `2 ** mix` parts input to one part output; unknown sorts last in its tier."""
    price: Price | None = lane.offer.price
    if price is None:
        return 0.0 if lane.tier <= Tier.FLEET else float("inf")
    share = 1 / (1 + 2.0**mix)
    return (1 - share) * price.input + share * price.output


def slowness(lanes: Sequence[Lane], speeds: Speeds | None, mix: int) -> tuple[int, ...]:
    """How often each lane's speed has to be doubled to reach the fastest of equal tier and price; 0 if not measured."""
    if speeds is None:
        return (0,) * len(lanes)
    fastest = dict[tuple[int, float], float]()
    measured = [speeds.stepped(lane.name) for lane in lanes]
    keys = [(int(lane.tier), dearness(lane, mix)) for lane in lanes]
    for key, speed in zip(keys, measured, strict=True):
        if speed is not None:
            fastest[key] = max(speed, fastest.get(key, 0.0))
    return tuple(
        0 if speed is None else int(fastest[key] / speed).bit_length() - 1
        for key, speed in zip(keys, measured, strict=True)
    )


def _order(lanes: Sequence[Lane], speeds: Speeds | None, mix: int) -> list[int]:
    slow = slowness(lanes, speeds, mix)
    return sorted(
        range(len(lanes)),
        key=lambda place: (int(lanes[place].tier), dearness(lanes[place], mix), slow[place], place),
    )


def _ties(ranked: Sequence[Lane], speeds: Speeds | None, mix: int) -> list[tuple[int, int]]:
    """For each group of lanes equal in tier, price and speed: the rank of its first, and all of it as a set."""
    slow = slowness(ranked, speeds, mix)
    groups = dict[tuple[int, float, int], list[int]]()
    for rank, lane in enumerate(ranked):
        groups.setdefault((int(lane.tier), dearness(lane, mix), slow[rank]), []).append(rank)
    return [(ranks[0], sum(1 << rank for rank in ranks)) for ranks in groups.values() if len(ranks) > 1]


def _bits(members: Iterable[bool]) -> int:
    return sum(1 << place for place, is_member in enumerate(members) if is_member)


def _sets(words: Iterable[Iterable[str]]) -> dict[str, int]:
    found = dict[str, int]()
    for place, each in enumerate(words):
        for word in each:
            found[word] = found.get(word, 0) | 1 << place
    return found
