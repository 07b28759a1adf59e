"""The ladder's view-model: states in words, waits that count down only before somebody's eyes, and live requests."""

from collections.abc import Iterator
from datetime import timedelta

import msgspec
import pytest

from app.viewmodels.routing import RoutingViewModel
from app.viewmodels.routing_cards import card_of, figures_of
from legion_core.api.routes import AttemptBegan, AttemptEnded, Figures, Ladder, Measured, Place
from legion_core.api.types import ModelOffer, Price, ProviderRow
from legion_core.gateway.measures import Failure
from tests.gui.conftest import Stage
from tests.gui.fake_legion import NOW


@pytest.fixture
def routing(stage: Stage) -> Iterator[RoutingViewModel]:
    made = RoutingViewModel(stage.bridge, stage.now)
    stage.connect()
    made.watch(True)
    yield made
    made.watch(False)


def began(stage: Stage, request: str, tier: str, instance: str, number: int = 1) -> None:
    at_utc, at_mono_s = stage.legion.events.stamp()
    stage.legion.events.publish(
        AttemptBegan(
            at_utc=at_utc, at_mono_s=at_mono_s, request_id=request, number=number, tier=tier, instance=instance,
            model="m",
        )
    )  # fmt: skip


def ended(stage: Stage, request: str, tier: str, instance: str, number: int = 1) -> None:
    at_utc, at_mono_s = stage.legion.events.stamp()
    stage.legion.events.publish(
        AttemptEnded(
            at_utc=at_utc, at_mono_s=at_mono_s, request_id=request, number=number, tier=tier, instance=instance,
            model="m", outcome="succeeded",
        )
    )  # fmt: skip


ROW = ProviderRow(name="box", kind="openai", tier="cloud", models=(ModelOffer(id="m"),))


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({}, "Closed"),
        ({"circuit": "open", "failures": 3, "retry_in_s": 41.2}, "Open, 41 s"),
        ({"circuit": "half_open", "failures": 3}, "Half-open"),
        ({"circuit": "open", "is_tripped": True}, "Tripped"),
        ({"is_draining": True, "in_flight": 2}, "Draining"),
        ({"is_draining": True}, "Drained"),
        ({"retry_in_s": 12.0}, "Resting, 12 s"),
        ({"problem": "No answer within 5 s."}, "Problem"),
        ({"models": ()}, "No model"),
    ],
)
def test_every_state_has_its_own_word_and_shape(more: dict[str, object], word: str) -> None:
    card = card_of(Place(row=msgspec.structs.replace(ROW, **more)), NOW)
    assert card.pill(NOW) == word
    assert card.icon
    assert word.partition(",")[0] in card.spoken(NOW)


def test_what_was_done_by_hand_stands_above_what_the_instance_did_itself() -> None:
    row = msgspec.structs.replace(ROW, circuit="open", failures=3, retry_in_s=50.0, is_tripped=True)
    card = card_of(Place(row=row), NOW)
    assert (card.state, card.until, card.pips) == ("tripped", None, "3 of 3 failures")


def test_states_differ_by_more_than_colour() -> None:
    shapes = {
        state: card_of(Place(row=msgspec.structs.replace(ROW, **more)), NOW)
        for state, more in {
            "closed": {},
            "open": {"circuit": "open"},
            "half": {"circuit": "half_open"},
            "draining": {"is_draining": True},
        }.items()
    }
    assert len({(card.icon, card.word) for card in shapes.values()}) == 4
    assert len({card.icon for card in shapes.values()}) == 4


def test_a_price_that_is_unknown_is_said_and_never_shown_as_nothing() -> None:
    priced = msgspec.structs.replace(ROW, models=(ModelOffer(id="m", price=Price(input=1.0, output=2.0)),))
    local = msgspec.structs.replace(ROW, tier="local")
    assert "price unknown" in card_of(Place(row=ROW), NOW).figures
    assert "$0.00" in card_of(Place(row=priced), NOW).figures
    assert "free" in card_of(Place(row=local), NOW).figures
    half = Measured(spent_usd=0.5, unpriced=2)
    assert "over $0.50" in card_of(Place(row=priced, measured=half), NOW).figures
    ladder = Ladder(at=NOW, rungs=(), figures=Figures(requests=4, stayed_local=3, spent_usd=0.14, unpriced=2))
    shown = {caption: (figure, note) for caption, figure, note in figures_of(ladder)}
    assert shown["Spend today"] == ("$0.14", "2 of unknown price")
    assert shown["Stayed local"] == ("75 %", "")
    assert "Saved against frontier" not in shown


def test_a_ladder_nobody_looks_at_asks_nothing_and_counts_nothing_down(stage: Stage) -> None:
    hidden = RoutingViewModel(stage.bridge, stage.now)
    stage.connect()
    stage.legion.providers._changed("openai-main")
    stage.deliver()
    assert stage.legion.routes.calls == []
    assert not hidden._tick.isActive()
    hidden.watch(True)
    assert len(stage.legion.routes.calls) == 1
    assert hidden._tick.isActive()
    hidden.watch(False)
    assert not hidden._tick.isActive()


def test_a_wait_counts_down_and_at_its_end_the_ladder_is_read_again(
    stage: Stage, routing: RoutingViewModel
) -> None:
    card = next(card for card in routing.cards if card.name == "openai-main")
    assert card.pill(routing.now()) == "Open, 41 s"
    stage.legion.clock.now += timedelta(seconds=30)
    routing._on_tick()
    assert card.pill(routing.now()) == "Open, 11 s"
    assert len(stage.legion.routes.calls) == 1
    stage.legion.providers.rows["openai-main"] = msgspec.structs.replace(
        stage.legion.providers.rows["openai-main"], circuit="half_open", retry_in_s=0.0
    )
    stage.legion.clock.now += timedelta(seconds=12)
    routing._on_tick()
    card = next(card for card in routing.cards if card.name == "openai-main")
    assert card.pill(routing.now()) == "Half-open"
    assert not routing._tick.isActive()


def test_who_failed_every_time_was_asked_and_did_not_answer() -> None:
    failed = Measured(
        requests=2,
        failures=(
            Failure(at=NOW, outcome="overloaded", why="box answered 529: try later", duration_s=0.1),
            Failure(at=NOW, outcome="connection_lost", why="box cannot be reached.", duration_s=0.1),
        ),
    )
    card = card_of(Place(row=ROW, measured=failed), NOW)
    assert card.figures == "no answer this hour  price unknown"
    assert [fault.words for fault in card.faults] == ["529: try later", "Connection lost"]
    assert card_of(Place(row=ROW), NOW).figures == "not asked  price unknown"


def test_the_inspector_says_how_many_are_of_unknown_price_and_no_sum_of_nothing() -> None:
    card = card_of(Place(row=ROW, measured=Measured(unpriced=3)), NOW)
    assert dict(card.facts)["Spent today"] == "3 of unknown price"


def test_where_all_is_well_the_first_of_the_nearest_tier_is_shown(stage: Stage) -> None:
    rows = stage.legion.providers.rows
    for name in list(rows):
        rows[name] = msgspec.structs.replace(rows[name], circuit="closed", retry_in_s=0.0, tier="local")
    made = RoutingViewModel(stage.bridge, stage.now)
    stage.connect()
    made.watch(True)
    assert made.selected == made.rungs[-1].cards[0].name
    made.watch(False)


def test_an_instance_that_is_shut_is_shown_first(routing: RoutingViewModel) -> None:
    assert routing.selected == "openai-main"


def test_live_requests_are_counted_where_they_run_and_told_as_they_move(
    stage: Stage, routing: RoutingViewModel
) -> None:
    moves: list[tuple[str, str, str]] = []
    routing.moved.connect(lambda *move: moves.append(move))
    began(stage, "r1", "local", "built-in")
    stage.deliver()
    assert (routing.running("built-in"), routing.running_by_tier()["local"]) == (1, 1)
    ended(stage, "r1", "local", "built-in")
    began(stage, "r1", "cloud", "openai-main", number=2)
    stage.deliver()
    assert (routing.running("built-in"), routing.running("openai-main")) == (0, 1)
    ended(stage, "r1", "cloud", "openai-main", number=2)
    stage.deliver()
    assert moves == [("r1", "", "local"), ("r1", "local", "cloud"), ("r1", "cloud", "")]
    assert routing.requests() == {}


def test_an_old_answer_does_not_bring_an_ended_request_back(stage: Stage, routing: RoutingViewModel) -> None:
    at_utc, at_mono_s = stage.legion.events.stamp()
    stage.legion.routes.live = (
        AttemptBegan(
            at_utc=at_utc, at_mono_s=at_mono_s, request_id="r1", number=1, tier="local", instance="built-in", model="m"
        ),
    )  # fmt: skip
    routing.refresh()
    assert routing.running("built-in") == 1
    ended(stage, "r1", "local", "built-in")
    stage.deliver()
    routing.refresh()
    assert routing.running("built-in") == 0


def test_what_is_done_goes_to_the_engine_and_is_seen(stage: Stage, routing: RoutingViewModel) -> None:
    for verb in ("trip", "drain", "reset", "test"):
        getattr(routing, verb)("openai-main")
    assert [call[0] for call in stage.legion.providers.calls] == ["trip", "drain", "reset", "test"]
    stage.deliver()
    card = next(card for card in routing.cards if card.name == "openai-main")
    assert card.state in ("closed", "empty")
    assert routing.results["openai-main"].is_ok


def test_facts_that_were_lost_leave_no_ghost_behind(stage: Stage, routing: RoutingViewModel) -> None:
    began(stage, "r1", "local", "built-in")
    stage.deliver()
    assert routing.running("built-in") == 1
    stage.bridge.lost.emit()
    assert routing.requests() == {}
