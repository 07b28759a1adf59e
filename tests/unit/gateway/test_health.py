"""The circuit of a provider instance at every boundary of the seed's numbers."""

import os
import random

import pytest

from legion_core.gateway.routing.health import (
    COOLDOWN_S,
    WINDOW_S,
    Circuit,
    Health,
    Ticket,
    after_error,
)
from legion_core.gateway.routing.policy import decide
from legion_core.gateway.types import Tier
from legion_core.gateway.unanswered import no_candidate
from legion_core.kernel.errors import (
    BadCredentials,
    ConnectionLost,
    ContextTooLong,
    Filtered,
    InvalidInput,
    LegionError,
    Malformed,
    Overloaded,
    RateLimited,
    Refused,
    StreamBroken,
    TimedOut,
    Unavailable,
    Unsupported,
    WorkerDied,
)
from tests.unit.gateway.lanes import ask, lane
from tests.unit.gateway.naive_health import OUTCOMES, disagreement


def failed(*times_s: float) -> Circuit:
    circuit = Circuit()
    for at_s in times_s:
        circuit = circuit.failed(at_s)
    return circuit


@pytest.mark.requirement("gateway.circuit-window")
@pytest.mark.requirement("gateway.circuit-trip")
def test_the_third_failure_within_the_window_opens_and_no_earlier_one_does() -> None:
    assert failed(0, 100).state(100) == "closed"
    assert failed(0, 100, WINDOW_S).state(WINDOW_S) == "open"
    assert failed(0, 100, WINDOW_S + 0.001).state(WINDOW_S + 0.001) == "closed"


@pytest.mark.requirement("gateway.circuit-cooldown")
def test_an_open_circuit_admits_nothing_for_60_s_and_then_exactly_one_probe() -> None:
    circuit = failed(0, 1, 2)

    assert not circuit.admits(2 + COOLDOWN_S - 0.001)
    assert circuit.admits(2 + COOLDOWN_S)
    assert circuit.state(2 + COOLDOWN_S) == "half_open"
    probing = circuit.started(2 + COOLDOWN_S)
    assert not probing.admits(2 + COOLDOWN_S)
    assert probing.released().admits(2 + COOLDOWN_S)


def test_a_probe_that_succeeds_closes_and_forgets_one_that_fails_opens_for_another_60_s() -> None:
    probing = failed(0, 1, 2).started(62)

    assert probing.succeeded().state(62) == "closed"
    assert probing.succeeded().failures == ()
    again = probing.failed(63)
    assert again.state(63 + COOLDOWN_S - 0.001) == "open"
    assert again.state(63 + COOLDOWN_S) == "half_open"


@pytest.mark.parametrize(
    "error",
    [ConnectionLost("x"), TimedOut("x"), StreamBroken("x"), WorkerDied("x"), Overloaded("x"), Malformed("x")],
)
def test_what_the_instance_did_wrong_is_counted(error: LegionError) -> None:
    assert after_error(Circuit(), error, 5.0).recent_failures(5.0) == 1


@pytest.mark.parametrize(
    "error",
    [
        ContextTooLong("x"),
        Filtered("x"),
        Unsupported("x"),
        Refused("no such model"),
        Malformed("it says our request is none", is_request=True),
        InvalidInput("x"),
    ],
)
def test_what_the_request_did_wrong_is_not_counted(error: LegionError) -> None:
    assert after_error(Circuit(), error, 5.0) == Circuit()


def test_a_refused_key_is_a_state_of_its_own_that_a_success_ends() -> None:
    circuit = after_error(Circuit(), BadCredentials("box answered 401: no such key"), 5.0)

    assert (circuit.state(5.0), circuit.recent_failures(5.0)) == ("closed", 0)
    assert circuit.key_problem == "box answered 401: no such key"
    assert circuit.succeeded().key_problem == ""


def test_a_pause_the_provider_asks_for_is_kept_and_is_no_failure() -> None:
    circuit = after_error(Circuit(), RateLimited("x", retry_after_s=30), 100.0)

    assert not circuit.admits(129.9)
    assert circuit.admits(130.0)
    assert circuit.recent_failures(100.0) == 0
    assert circuit.state(110.0) == "closed"


def test_a_trip_by_hand_stays_until_it_is_reset_by_hand() -> None:
    circuit = Circuit().tripped()

    assert not circuit.admits(1e9)
    assert circuit.succeeded().state(1e9) == "open"


def opened(health: Health, name: str = "box", *, at_s: float = 2.0) -> None:
    for _ in range(3):
        ticket = health.start(name, at_s)
        assert ticket is not None
        health.end(ticket, TimedOut("x"), at_s)


def test_of_many_that_want_to_probe_at_once_exactly_one_may() -> None:
    health = Health()
    opened(health)

    tickets = [health.start("box", 62.0) for _ in range(64)]

    probes = [ticket for ticket in tickets if ticket is not None]
    assert len(probes) == 1
    assert probes[0].is_probe
    health.end(probes[0], None, 63.0, is_cancelled=True)
    assert health.start("box", 63.0) is not None


def test_an_instance_that_mostly_answers_is_spare_while_its_circuit_is_open() -> None:
    """Ours: three failures in a row open it all the same, but it is worth a try where nobody else is left."""
    health = Health()
    for at_s in range(20):
        ticket = health.start("flaky", float(at_s))
        assert ticket is not None
        health.end(ticket, None, float(at_s))
    opened(health, "flaky", at_s=21.0)
    opened(health, "dead", at_s=21.0)

    assert health.start("flaky", 22.0) is None
    assert health.spare(22.0) == {"flaky"}
    assert health.start("dead", 22.0, is_spare=True) is None

    spare = health.start("flaky", 22.0, is_spare=True)
    assert spare is not None
    assert not spare.is_probe
    health.end(spare, None, 23.0)
    assert health.of("flaky").state(23.0) == "closed"


def test_an_instance_that_dies_for_good_is_soon_spare_no_more() -> None:
    health = Health()
    for _ in range(1000):
        ticket = health.start("box", 0.0)
        assert ticket is not None
        health.end(ticket, None, 0.0)
    opened(health)

    tries = 0
    while (ticket := health.start("box", 10.0, is_spare=True)) is not None:
        health.end(ticket, TimedOut("x"), 10.0)
        tries += 1
    assert 0 < tries <= 12


@pytest.mark.parametrize("what", ["tripped", "drained", "rested"])
def test_what_was_asked_to_be_left_alone_is_never_spare(what: str) -> None:
    health = Health()
    for _ in range(20):
        ticket = health.start("box", 0.0)
        assert ticket is not None
        health.end(ticket, None, 0.0)
    circuit = health.of("box")
    changed = circuit.rested(1.0, 60.0) if what == "rested" else getattr(circuit, what)()
    health.set("box", changed)

    assert health.spare(2.0) == frozenset()
    assert health.start("box", 2.0, is_spare=True) is None


def test_a_straggler_from_before_the_circuit_opened_neither_closes_it_nor_ends_the_probe() -> None:
    health = Health()
    straggler, late_failure = health.start("box", 0.0), health.start("box", 0.0)
    assert straggler is not None
    assert late_failure is not None
    opened(health)
    health.end(straggler, None, 3.0)
    assert health.of("box").state(3.0) == "open"

    probe = health.start("box", 62.0)
    assert probe is not None
    health.end(late_failure, TimedOut("x"), 63.0)
    assert health.start("box", 64.0) is None
    health.end(probe, None, 65.0)
    assert health.of("box").state(65.0) == "closed"


def test_pauses_without_a_named_time_grow_and_a_named_one_is_kept_with_at_most_a_tenth_more() -> None:
    circuit = Circuit()
    waits = list[float]()
    for at_s in (0.0, 1_000.0, 2_000.0):
        circuit = after_error(circuit, RateLimited("x"), at_s)
        waits.append(circuit.retry_in_s(at_s))
    assert waits == [10.0, 20.0, 40.0]

    named = after_error(Circuit(), RateLimited("x", retry_after_s=30), 0.0, chance=0.999)
    assert 30.0 <= named.retry_in_s(0.0) < 33.0
    assert after_error(Circuit(), RateLimited("x", retry_after_s=9e9), 0.0).retry_in_s(0.0) == 600.0


def test_a_success_that_comes_during_a_pause_does_not_shorten_it() -> None:
    circuit = after_error(Circuit(), RateLimited("x", retry_after_s=30), 100.0)

    assert after_error(circuit, None, 101.0).admits(129.0) is False


def test_a_drained_instance_finishes_what_runs_takes_nothing_new_and_is_reset_by_hand() -> None:
    health = Health()
    running = health.start("box", 0.0)
    health.set("box", health.of("box").drained())

    assert running is not None
    assert health.start("box", 1.0) is None
    assert health.in_flight("box") == 1
    health.end(running, None, 2.0)
    assert health.in_flight("box") == 0
    assert health.of("box").is_draining
    health.reset("box")
    assert health.start("box", 3.0) is not None


def test_watchers_are_told_of_what_a_person_would_see_and_the_snapshot_holds_what_may_keep_away() -> None:
    told = list[str]()
    health = Health(on_change=told.append)
    ticket = health.start("box", 0.0)
    assert ticket is not None
    health.end(ticket, None, 1.0)
    assert told == []
    assert health.snapshot() == {}

    opened(health)
    assert told == ["box"] * 3
    assert set(health.snapshot()) == {"box"}


def test_a_circuit_is_half_open_at_the_very_instant_its_wait_is_over_whatever_floats_make_of_it() -> None:
    for tenths in range(1, 3_000):
        circuit = failed(*(tenths * 0.1,) * 3)
        now_s = tenths * 0.1 + COOLDOWN_S
        assert (circuit.state(now_s), circuit.retry_in_s(now_s)) == ("half_open", 0.0)


def test_ten_thousand_random_schedules_agree_with_the_reference_table() -> None:
    schedules = 10_000 if os.environ.get("LEGION_TEST_PROFILE") == "full" else 1_000
    for seed in range(schedules):
        assert disagreement(Health, Ticket, random.Random(seed)) == "", seed
    assert {"success", "failure", "pause", "key_refused", "none", "cancelled"} == set(OUTCOMES)


def test_when_every_instance_rests_the_refusal_is_quick_names_them_and_says_when_to_come_back() -> None:
    lanes = [lane(Tier.LOCAL), lane(Tier.CLOUD)]
    circuits = {"local": failed(0, 1, 2), "cloud": failed(5, 6, 7)}

    error = no_candidate(ask(), decide(ask(), lanes, circuits, now_s=20).left_out)

    assert isinstance(error, Unavailable)
    assert error.retry_after_s == 42  # the local one opened at 2 s
    assert "local/m: circuit open, retry in 42 s; cloud/m: circuit open, retry in 47 s" in error.message
