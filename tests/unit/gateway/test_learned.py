"""The learned order: no evidence is the order as it was, hard axes stay hard, and failing more never brings forward."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from benchmarks import learned as benchmark
from benchmarks.routing import circuits, requests, two_hundred
from legion_core.gateway.routing.learned import (
    DOUBTED_FROM,
    HALF_LIFE_S,
    LATEST,
    LONG,
    PICTURES,
    SCHEMA,
    TALLIES_MAX,
    TOOLS,
    Learned,
    Tally,
    kind_of,
    steps_back,
    words_of,
)
from legion_core.gateway.routing.policy import decide, wish_of
from legion_core.gateway.routing.reasons import Wish
from legion_core.gateway.routing.table import LaneTable
from legion_core.gateway.types import Lane, Price, Request, RouteDecision, Tier, ToolDefinition
from tests.unit.gateway.lanes import ask, lane
from tests.unit.gateway.naive_routing import naive_route, random_case, violations

DAY_S = 86_400.0
FLAW = "it was empty"
LANES = (
    lane(Tier.LOCAL, "small"),
    lane(Tier.DIRECT, "box"),
    lane(Tier.CLOUD, "cheap", price=Price(input=0.25, output=1.25)),
    lane(Tier.FRONTIER, "large", price=Price(input=3, output=15)),
)
TOOLED = ask(tools=(ToolDefinition(name="t"),))


def names(decision: RouteDecision) -> list[str]:
    return [lane.instance for lane in decision.candidates]


def decided(
    learned: Learned, request: Request = TOOLED, lanes: tuple[Lane, ...] = LANES, *, now_s: float = 0.0,
    usd: float = 0.01,
) -> RouteDecision:  # fmt: skip
    table = LaneTable(lanes, learned=learned)
    return table.decide(wish_of(request), {}, now_s=now_s, bad_answer_usd=usd)


def failing(instance: str, times: int, *, kind: int = TOOLS, now_s: float = 0.0) -> Learned:
    learned = Learned()
    for _ in range(times):
        learned.note(f"{instance}/m", kind, FLAW, now_s)
    return learned


@pytest.mark.requirement("gateway.learned-order")
def test_after_the_third_bad_answer_a_model_comes_after_the_others_and_says_why() -> None:
    assert names(decided(failing("small", 2))) == ["small", "box", "cheap", "large"]

    decision = decided(failing("small", 3))

    assert names(decision) == ["box", "cheap", "large", "small"]
    (told,) = decision.stepped_back
    assert told.lane.instance == "small"
    assert told.why == "Of its latest 3 answers to requests with tools 3 were no good (it was empty)"


def test_it_concerns_this_kind_of_request_only() -> None:
    learned = failing("small", 9)

    assert names(decided(learned, ask()))[0] == "small"
    assert names(decided(learned, ask("x" * 40_000, tools=TOOLED.tools)))[0] == "small"


def test_where_a_bad_answer_costs_nothing_nothing_changes() -> None:
    decision = decided(failing("small", 40), usd=0.0)

    assert names(decision)[0] == "small"
    assert not decision.stepped_back


def test_a_dearer_model_is_asked_first_only_where_it_costs_no_more_than_it_saves() -> None:
    two = (LANES[0], LANES[3])
    long = ask("x" * 20_000, tools=TOOLED.tools)  # about two cents at the large one
    learned = failing("small", 4)

    assert names(decided(learned, long, two, usd=0.001)) == ["small", "large"]
    assert names(decided(learned, long, two, usd=1.0)) == ["large", "small"]


def test_nobody_is_passed_over_for_one_whose_price_is_unknown() -> None:
    two = (LANES[0], lane(Tier.CLOUD, "unknown"))

    assert names(decided(failing("small", 40), lanes=two)) == ["small", "unknown"]


def test_a_dozen_small_models_that_all_fail_all_step_back() -> None:
    small = [lane(Tier.LOCAL, f"small-{number}") for number in range(12)]
    learned = Learned()
    for each in small:
        for _ in range(9):
            learned.note(each.name, TOOLS, FLAW, 0.0)

    decision = decided(learned, lanes=(*small, LANES[2]), usd=0.05)

    assert names(decision) == ["cheap", *(each.instance for each in small)]


def test_where_all_fail_the_order_is_as_before() -> None:
    learned = Learned()
    for each in LANES:
        for _ in range(40):
            learned.note(each.name, TOOLS, FLAW, 0.0)

    assert names(decided(learned)) == ["small", "box", "cheap", "large"]


def test_a_private_request_stays_here_whatever_failed() -> None:
    private = ask(tools=TOOLED.tools, is_private=True)

    assert names(decided(failing("small", 40), private)) == ["small"]


def test_vectors_are_not_judged_by_answers() -> None:
    learned = failing("small", 40, kind=0)
    table = LaneTable(LANES, learned=learned)

    wish = Wish(operation="embed")

    assert not table.decide(wish, {}, now_s=0, bad_answer_usd=1.0).stepped_back


def test_what_was_learned_fades_and_the_model_is_tried_again() -> None:
    learned = failing("small", 40)

    assert names(decided(learned, now_s=DAY_S))[0] == "box"
    assert names(decided(learned, now_s=10 * DAY_S))[0] == "small"
    learned.note("small/m", TOOLS, "", 10 * DAY_S)
    assert names(decided(learned, now_s=10 * DAY_S))[0] == "small"


def test_good_answers_bring_it_back() -> None:
    learned = failing("small", 6)
    for _ in range(40):
        learned.note("small/m", TOOLS, "", 0.0)

    assert names(decided(learned))[0] == "small"


def test_forgetting_an_instance_brings_the_order_back_and_leaves_the_others() -> None:
    learned, changes = failing("small", 9), list[int]()
    for _ in range(9):
        learned.note("small-too/m", TOOLS, FLAW, 0.0)
    learned.on_change = lambda: changes.append(1)

    learned.forget("small")
    learned.forget("nobody")

    assert names(decided(learned)) == ["small", "box", "cheap", "large"]
    assert len(learned) == 1
    assert changes == [1]


def test_memory_is_bounded_and_the_oldest_goes_first() -> None:
    learned = Learned()
    for number in range(TALLIES_MAX + 100):
        learned.note(f"box-{number}/m", number % 16, FLAW, float(number))

    assert len(learned) == TALLIES_MAX
    assert min(tally.at_s for _, _, tally in learned.all()) == 100


def test_good_answers_alone_are_nothing_to_remember() -> None:
    learned = Learned()
    learned.note("small/m", TOOLS, "", 0.0)

    assert len(learned) == 0
    assert learned.version == 0


def test_kinds_are_told_in_words() -> None:
    assert kind_of(("tools", "streaming", "vision"), 100) == TOOLS | PICTURES
    assert kind_of((), 9_000) == LONG
    assert words_of(0) == "requests"
    assert words_of(LONG | TOOLS | SCHEMA) == "long requests with tools and a form to keep to"


@given(st.floats(0, 10), st.floats(0.01, 1), st.floats(0, 10), st.floats(0.01, 1), st.floats(0.001, 10))
def test_the_rule_is_that_of_the_lesser_sum(
    price: float, chance: float, next_price: float, next_chance: float, bad: float
) -> None:
    def cost(first: float, p: float, second: float, q: float) -> float:
        return first + (1 - p) * bad + (1 - p) * (second + (1 - q) * bad)

    stay, turn = cost(price, chance, next_price, next_chance), cost(next_price, next_chance, price, chance)
    if abs(stay - turn) > 1e-9 * (stay + turn):
        assert steps_back(price, chance, next_price, next_chance, bad) == (turn < stay)


@given(st.floats(0, LATEST), st.floats(0, LATEST), st.floats(0, 30 * DAY_S))
def test_one_more_bad_answer_never_makes_a_good_one_likelier(good: float, bad: float, age_s: float) -> None:
    before, after = Tally(good, bad, 0.0), Tally(good, bad + 1, 0.0)

    kept = before.kept(age_s)
    assert after.chance(kept) <= before.chance(kept)
    assert after.chance_at_best(kept) <= before.chance_at_best(kept)


def learned_at_random(rng: Random, lanes: list[Lane]) -> Learned:
    learned = Learned()
    for each in lanes:
        for kind in rng.sample(range(16), 6):
            for _ in range(rng.choice((0, 2, 3, 9))):
                learned.note(each.name, kind, rng.choice((FLAW, FLAW, "")), rng.uniform(0, 100))
    return learned


@pytest.mark.requirement("gateway.learned-order")
@pytest.mark.parametrize("seed", range(40))
def test_learning_orders_only_what_is_allowed_and_without_it_the_order_is_the_oracles(seed: int) -> None:
    rng = Random(seed)
    lanes, speeds, known, make = random_case(rng)
    learned = learned_at_random(rng, lanes)
    table, plain = LaneTable(lanes, speeds, learned=learned), LaneTable(lanes, speeds)
    for _ in range(50):
        asked = make(rng)
        assert not violations(table, lanes, speeds, known, dict(asked))  # nothing costs anything
        request = asked.pop("request")
        expected = naive_route(request, lanes, known, 100.0, speeds=speeds, **asked)
        nothing = decide(request, plain, known, now_s=100.0, bad_answer_usd=0.5, **asked)
        assert list(nothing.candidates) == expected
        for spread in ("", "a conversation"):
            decision = decide(request, table, known, now_s=100.0, bad_answer_usd=0.5, seed=spread, **asked)
            back = [each.lane for each in decision.stepped_back]
            assert sorted(decision.candidates, key=expected.index) == expected
            assert list(decision.candidates[len(expected) - len(back) :]) == back
            assert [entry.lane for entry in decision.left_out] == [
                each for each in lanes if each not in expected
            ]
            if not spread:
                assert list(decision.candidates) == [each for each in expected if each not in back] + back


@pytest.mark.parametrize("seed", range(40))
def test_failing_more_never_brings_a_model_forward(seed: int) -> None:
    rng = Random(seed)
    lanes, speeds, known, make = random_case(rng)
    if not lanes:
        return
    learned = learned_at_random(rng, lanes)
    table, worse = LaneTable(lanes, speeds, learned=learned), rng.choice(lanes)
    for _ in range(30):
        asked = make(rng)
        request = asked.pop("request")
        usd = rng.choice((0.0001, 0.01, 1.0))
        before = decide(request, table, known, now_s=100.0, bad_answer_usd=usd, **asked)
        kind = kind_of(before.required, before.estimated_tokens)
        learned.note(worse.name, kind, FLAW, 100.0)
        after = decide(request, table, known, now_s=100.0, bad_answer_usd=usd, **asked)
        if worse in before.candidates:
            assert after.candidates.index(worse) >= before.candidates.index(worse)


class Remembering(RuleBasedStateMachine):
    """A memory of two kinds beside the plain list of all that happened."""

    def __init__(self) -> None:
        super().__init__()
        self.learned, self.now_s = Learned(), 0.0
        self.noted = dict[tuple[str, int], list[tuple[float, str]]]()

    @rule(name=st.sampled_from("abc"), kind=st.sampled_from((0, TOOLS)), is_good=st.booleans())
    def answer(self, name: str, kind: int, is_good: bool) -> None:
        key = f"{name}/m", kind
        self.learned.note(*key, "" if is_good else FLAW, self.now_s)
        if not is_good or key in self.noted:
            self.noted.setdefault(key, []).append((self.now_s, "" if is_good else FLAW))

    @rule(hours=st.floats(0, 200))
    def wait(self, hours: float) -> None:
        self.now_s += hours * 3_600

    @precondition(lambda self: self.noted)
    @rule(name=st.sampled_from("abc"))
    def forget(self, name: str) -> None:
        self.learned.forget(name)
        for key in [key for key in self.noted if key[0] == f"{name}/m"]:
            del self.noted[key]

    @rule()
    def restart(self) -> None:
        kept, self.learned = self.learned.all(), Learned()
        for name, kind, tally in kept:
            self.learned.restore(name, kind, tally)

    @invariant()
    def remembers_what_happened_and_doubts_only_after_three(self) -> None:
        found = {(name, kind): tally for name, kind, tally in self.learned.all()}
        assert found.keys() == self.noted.keys()
        for key, tally in found.items():
            noted = self.noted[key]
            bad = sum(0.5 ** ((self.now_s - at_s) / HALF_LIFE_S) for at_s, flaw in noted if flaw)
            kept = tally.kept(self.now_s)
            if len(noted) <= LATEST:
                assert tally.bad * kept == pytest.approx(bad)
            assert tally.good + tally.bad <= LATEST + 1e-9
            assert 0 < tally.chance(kept) < tally.chance_at_best(kept) <= 1
            is_doubted = key[0] in self.learned.doubted(key[1])
            assert not is_doubted or sum(bool(flaw) for _, flaw in noted) >= DOUBTED_FROM


TestRemembering = Remembering.TestCase


def test_a_decision_over_two_hundred_doubted_lanes_is_the_same_each_time_and_looks_at_few() -> None:
    lanes, speeds = two_hundred()
    learned = Learned()
    for each in lanes:
        for kind in (0, TOOLS):
            for _ in range(3):
                learned.note(each.name, kind, FLAW, 0.0)
    table, known = LaneTable(lanes, speeds, learned=learned), circuits()
    for request in requests():
        one = decide(request, table, known, now_s=130, bad_answer_usd=0.01)
        two = decide(
            request, LaneTable(lanes, speeds, learned=learned), known, now_s=130, bad_answer_usd=0.01
        )
        assert one.candidates == two.candidates
        assert len(one.stepped_back) <= 32


def test_the_benchmark_saves_where_something_is_to_be_learned_and_loses_little_where_nothing_is() -> None:
    found = benchmark.measure(1_500, 1, is_told=False)

    assert found["saved_percent"] > 25  # 40 over the whole length: a floor
    assert found["worst_saved_percent"] > -15
    assert found["quality_differs_percent"] == 0
