"""Trying a route: the router's own decision, every lane named, and a late answer that does not overwrite a newer one."""

from collections.abc import Iterator

import pytest

from app.viewmodels.routing_simulator import SimulatorViewModel, candidates_of
from legion_core.api.types import Lane, LeftOut, ModelOffer, Price, RouteDecision, Tier
from legion_core.gateway.types import SteppedBack
from tests.gui.conftest import Stage
from tests.gui.fake_legion import CLOUD, LANE

PRICED = Lane(
    tier=Tier.FRONTIER,
    instance="lab",
    kind="openai",
    offer=ModelOffer(id="big", price=Price(input=3, output=15)),
)


@pytest.fixture
def simulator(stage: Stage) -> Iterator[SimulatorViewModel]:
    stage.connect()
    made = SimulatorViewModel(stage.bridge)
    yield made
    made.stop()


def test_every_lane_is_named_in_its_order_or_with_its_reason() -> None:
    found = candidates_of(
        RouteDecision(
            candidates=(PRICED, LANE),
            left_out=(
                LeftOut(lane=CLOUD, reason="capability", why="No vision"),
                LeftOut(lane=CLOUD, reason="circuit", why="Circuit open, retry in 41 s"),
                LeftOut(
                    lane=CLOUD, reason="context", why="Context 8,192 is below the about 9,000 tokens needed"
                ),
            ),
        )
    )
    assert [(row.word, row.is_chosen, row.is_left_out) for row in found] == [
        ("Chosen", True, False),
        ("2nd", False, False),
        ("No vision", False, True),
        ("Circuit open", False, True),
        ("Too long", False, True),
    ]
    assert found[0].why == "$3.00 in, $15.00 out per million tokens"
    assert "retry in 41 s" in found[3].spoken


def test_who_comes_after_the_others_for_bad_answers_says_so() -> None:
    behind = SteppedBack(lane=LANE, kind="requests with a schema", answers=20, bad=9, flaw="no JSON")
    found = candidates_of(RouteDecision(candidates=(PRICED, LANE), left_out=(), stepped_back=(behind,)))
    assert [row.is_stepped_back for row in found] == [False, True]
    assert found[1].why == behind.why
    assert behind.why in found[1].spoken


def test_needs_length_and_reach_go_to_the_router_as_they_are_set(
    stage: Stage, simulator: SimulatorViewModel
) -> None:
    simulator.set_text("hello")
    simulator.set_needs({"tools", "vision"})
    simulator.set_context(32_768)
    simulator.set_reach("local")
    simulator.set_private(True)
    simulator.ask()
    _, text, requires, context, pins, is_private = stage.legion.routes.calls[-1]
    assert (text, requires, context, pins.tier_max) == ("hello", ("vision", "tools"), 32_768, Tier.LOCAL)
    assert is_private
    assert simulator.candidates[0].is_chosen
    assert "would go to built-in/smollm2-135m" in simulator.verdict
    assert not simulator._pause.isActive()


def test_changes_are_gathered_for_a_moment_before_the_router_is_asked(
    stage: Stage, simulator: SimulatorViewModel
) -> None:
    simulator.set_text("a")
    simulator.set_text("ab")
    assert stage.legion.routes.calls == []
    assert simulator._pause.isActive()
    simulator._pause.timeout.emit()
    assert [call[1] for call in stage.legion.routes.calls] == ["ab"]


def test_no_candidate_is_said(stage: Stage, simulator: SimulatorViewModel) -> None:
    async def nothing(*_: object, **__: object) -> RouteDecision:
        return RouteDecision(
            candidates=(), left_out=(LeftOut(lane=CLOUD, reason="policy", why="Local only"),)
        )

    stage.legion.routes.explain = nothing  # type: ignore[method-assign]
    simulator.ask()
    assert simulator.verdict == "No model could answer this."
    assert [row.word for row in simulator.candidates] == ["Policy"]
