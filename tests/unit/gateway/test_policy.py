"""Routing: nearest capable lane first, and a reason for every lane left out."""

import os
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from benchmarks import routing
from legion_core.gateway.routing.health import Circuit
from legion_core.gateway.routing.policy import decide
from legion_core.gateway.routing.speed import Speeds
from legion_core.gateway.routing.table import LaneTable
from legion_core.gateway.types import (
    Capability,
    DocumentBlock,
    ImageBlock,
    Lane,
    Message,
    Operation,
    Params,
    Pins,
    Price,
    Request,
    TextBlock,
    Tier,
    ToolDefinition,
)
from tests.unit.gateway.lanes import ALL, ask, lane
from tests.unit.gateway.naive_routing import random_case, violations


@pytest.mark.requirement("gateway.tiers")
def test_the_nearest_tier_comes_first_whatever_the_configured_order() -> None:
    lanes = [lane(tier) for tier in (Tier.FRONTIER, Tier.LOCAL, Tier.CLOUD, Tier.FLEET, Tier.DIRECT)]

    decision = decide(ask(), lanes, {}, now_s=0)

    assert [found.tier for found in decision.candidates] == sorted(Tier)
    assert [int(tier) for tier in Tier] == [0, 1, 2, 3, 4]


@pytest.mark.requirement("gateway.cheapest-first")
def test_within_a_tier_the_cheaper_lane_comes_first_and_an_unknown_price_last() -> None:
    lanes = [
        lane(Tier.CLOUD, "unknown"),
        lane(Tier.CLOUD, "dear", price=Price(input=3, output=15)),
        lane(Tier.CLOUD, "cheap", price=Price(input=1, output=2)),
    ]

    decision = decide(ask(), lanes, {}, now_s=0)

    assert [found.instance for found in decision.candidates] == ["cheap", "dear", "unknown"]


@pytest.mark.requirement("gateway.escalate-capability")
def test_a_lane_that_lacks_a_capability_is_passed_over_with_the_reason() -> None:
    plain = lane(Tier.LOCAL, can=frozenset({"streaming"}))
    picture = Message(role="user", content=(ImageBlock(media_type="image/png", data="aGk="),))
    request = Request(
        id="r",
        messages=(picture,),
        tools=(ToolDefinition(name="t"),),
        params=Params(json_schema={"type": "object"}),
    )

    decision = decide(request, [plain, lane(Tier.CLOUD)], {}, now_s=0)

    assert [found.tier for found in decision.candidates] == [Tier.CLOUD]
    assert decision.left_out[0].reason == "capability"
    assert decision.left_out[0].why == "No tools or vision or structured output"


@pytest.mark.requirement("gateway.escalate-capability")
def test_a_pdf_goes_to_a_lane_that_reads_documents_and_not_to_one_that_only_sees() -> None:
    seeing = lane(Tier.LOCAL, can=frozenset({"streaming", "vision"}))
    reading = lane(Tier.CLOUD, can=frozenset({"streaming", "documents"}))
    paper = Message(role="user", content=(DocumentBlock(data="JVBERi0=", pages=3),))

    decision = decide(Request(id="r", messages=(paper,)), [seeing, reading], {}, now_s=0)

    assert decision.required == ("documents",)
    assert decision.estimated_tokens == 256 + 3 * 2_000
    assert [found.tier for found in decision.candidates] == [Tier.CLOUD]
    assert decision.left_out[0].why == "No documents"


def test_a_text_to_be_gone_on_with_goes_where_it_is_and_a_gap_where_gaps_are_filled() -> None:
    talks = lane(Tier.LOCAL)
    goes_on = lane(Tier.DIRECT, can=frozenset({"streaming", "completions"}))
    fills = lane(Tier.CLOUD, can=frozenset({"streaming", "completions", "fim"}))
    told = (Message(role="user", content=(TextBlock(text="def f("),)),)
    text = Request(id="r", messages=told, is_raw=True)

    onward = decide(text, [talks, goes_on, fills], {}, now_s=0)
    gap = decide(replace(text, suffix="return x"), [talks, goes_on, fills], {}, now_s=0)

    assert [found.tier for found in onward.candidates] == [Tier.DIRECT, Tier.CLOUD]
    assert [found.tier for found in gap.candidates] == [Tier.CLOUD]
    assert "completions" in onward.left_out[0].why


def test_pins_caps_and_local_only_each_leave_out_with_their_own_reason() -> None:
    lanes = [lane(Tier.LOCAL), lane(Tier.CLOUD), lane(Tier.FRONTIER)]

    pinned = decide(ask(pins=Pins(instance="cloud")), lanes, {}, now_s=0)
    capped = decide(ask(pins=Pins(tier_max=Tier.CLOUD)), lanes, {}, now_s=0)
    private = decide(ask(), lanes, {}, now_s=0, local_only=True)

    assert [found.instance for found in pinned.candidates] == ["cloud"]
    assert {item.reason for item in pinned.left_out} == {"pin"}
    assert [item.lane.tier for item in capped.left_out] == [Tier.FRONTIER]
    assert [found.tier for found in private.candidates] == [Tier.LOCAL]
    assert {item.reason for item in private.left_out} == {"policy"}


def test_a_request_too_long_for_a_window_goes_to_a_larger_one() -> None:
    decision = decide(ask("x" * 40_000), [lane(Tier.LOCAL, context=8_192), lane(Tier.CLOUD)], {}, now_s=0)

    assert [found.tier for found in decision.candidates] == [Tier.CLOUD]
    assert decision.left_out[0].reason == "context"


def test_an_open_circuit_is_left_out_with_the_seconds_to_wait() -> None:
    circuit = Circuit().failed(0).failed(1).failed(2)

    decision = decide(ask(), [lane(Tier.LOCAL)], {"local": circuit}, now_s=21)

    assert decision.left_out[0].reason == "circuit"
    assert decision.left_out[0].why == "Circuit open, retry in 41 s"
    assert decision.left_out[0].retry_in_s == 41


_lanes = st.builds(
    lane,
    st.sampled_from(Tier),
    st.sampled_from(["a", "b", "c", "d"]),
    context=st.sampled_from([300, 4_000, 100_000]),
    price=st.none() | st.builds(Price, input=st.floats(0, 20), output=st.floats(0, 90)),
    can=st.frozensets(st.sampled_from(sorted(ALL))),
)


@given(
    st.lists(_lanes, max_size=8),
    st.lists(st.sampled_from(sorted(ALL)), max_size=2),
    st.none() | st.sampled_from(Tier),
    st.booleans(),
)
def test_every_lane_is_either_a_candidate_or_left_out_and_no_candidate_breaks_a_hard_axis(
    lanes: list[Lane], requires: list[Capability], tier_max: Tier | None, local_only: bool
) -> None:
    request = ask(pins=Pins(tier_max=tier_max))

    decision = decide(request, lanes, {}, now_s=0, local_only=local_only, requires=tuple(requires))

    assert len(decision.candidates) + len(decision.left_out) == len(lanes)
    for found in decision.candidates:
        assert set(requires) <= found.offer.capabilities
        assert not local_only or found.tier is Tier.LOCAL
        assert tier_max is None or found.tier <= tier_max
    assert [found.tier for found in decision.candidates] == sorted(
        found.tier for found in decision.candidates
    )


def test_random_requests_are_routed_as_the_oracle_says() -> None:
    cases = 20_000 if os.environ.get("LEGION_TEST_PROFILE") == "full" else 100
    for seed in range(cases):
        rng = Random(seed)
        lanes, speeds, circuits, make = random_case(rng)
        table = LaneTable(lanes, speeds)
        for _ in range(50):
            assert violations(table, lanes, speeds, circuits, make(rng)) == "", seed


def test_what_is_private_stays_on_this_machine_whatever_is_pinned() -> None:
    lanes = [lane(Tier.LOCAL), lane(Tier.CLOUD)]

    free = decide(ask(is_private=True), lanes, {}, now_s=0)
    pinned = decide(ask(is_private=True, pins=Pins(instance="cloud")), lanes, {}, now_s=0)
    tiered = decide(ask(is_private=True, pins=Pins(tier=Tier.CLOUD)), lanes, {}, now_s=0)

    assert [found.tier for found in free.candidates] == [Tier.LOCAL]
    assert pinned.candidates == tiered.candidates == ()
    assert [(item.lane.tier, item.reason) for item in pinned.left_out] == [
        (Tier.LOCAL, "pin"),
        (Tier.CLOUD, "policy"),
    ]
    assert pinned.left_out[1].why == "Marked private: nothing of it leaves this machine"


def test_of_equal_lanes_one_that_is_less_than_half_as_fast_comes_later_and_an_unmeasured_one_is_tried() -> (
    None
):
    lanes = [lane(Tier.LOCAL, name) for name in ("slow", "nearly", "new", "fast")]
    speeds = Speeds()
    for name, tokens_per_s in (("slow", 20.0), ("nearly", 70.0), ("fast", 90.0)):
        speeds.note(f"{name}/m", tokens_per_s)

    decision = decide(ask(), LaneTable(lanes, speeds), {}, now_s=0)

    assert [found.instance for found in decision.candidates] == ["nearly", "new", "fast", "slow"]


def test_with_a_seed_equals_take_turns_and_the_same_seed_gives_the_same_order() -> None:
    lanes = [lane(Tier.DIRECT, f"box-{number}") for number in range(4)] + [lane(Tier.CLOUD)]
    table = LaneTable(lanes)

    orders = [decide(ask(), table, {}, now_s=0, seed=f"conv_{seed}").candidates for seed in range(40)]
    again = [
        decide(ask(), LaneTable(lanes), {}, now_s=0, seed=f"conv_{seed}").candidates for seed in range(40)
    ]

    assert orders == again
    assert {order[0].instance for order in orders} == {f"box-{number}" for number in range(4)}
    assert all(order[-1].tier is Tier.CLOUD for order in orders)


def test_prices_compare_at_the_requests_own_length() -> None:
    cheap_to_read = lane(Tier.CLOUD, "reads", context=200_000, price=Price(input=0.5, output=12.0))
    cheap_to_write = lane(Tier.CLOUD, "writes", context=200_000, price=Price(input=2.0, output=4.0))
    table = LaneTable([cheap_to_read, cheap_to_write])

    def first(chars: int, max_tokens: int | None = None, operation: Operation = "chat") -> str:
        request = ask("x" * chars, params=Params(max_tokens=max_tokens))
        return decide(request, table, {}, now_s=0, operation=operation).candidates[0].instance

    assert first(100) == "writes"
    assert first(100_000) == "reads"
    assert first(10_000, max_tokens=4) == "reads"
    assert [
        decide(ask("x" * 100_000), table, {}, now_s=0, seed=seed).candidates[0].instance for seed in "abcd"
    ] == ["reads"] * 4


@pytest.mark.slow
def test_the_same_requests_are_decided_alike_whatever_the_hash_seed() -> None:
    assert routing.processes(100) == {"processes_that_differ": 0.0}


def test_a_request_costs_about_what_the_cheapest_model_would_have_cost() -> None:
    assert routing.regret(2_000)["regret_percent"] <= 1.0
