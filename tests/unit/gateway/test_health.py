"""The circuit of a provider instance at every boundary of the seed's numbers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legion_core.gateway.routing.health import (
    COOLDOWN_S,
    FAILURES_TO_OPEN,
    WINDOW_S,
    Circuit,
    after_error,
)
from legion_core.kernel.errors import (
    BadCredentials,
    ConnectionLost,
    ContextTooLong,
    Filtered,
    RateLimited,
    StreamBroken,
    TimedOut,
    WorkerDied,
)


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

    assert probing.succeeded() == Circuit()
    again = probing.failed(63)
    assert again.state(63 + COOLDOWN_S - 0.001) == "open"
    assert again.state(63 + COOLDOWN_S) == "half_open"


@pytest.mark.parametrize("error", [ConnectionLost("x"), TimedOut("x"), StreamBroken("x"), WorkerDied("x")])
def test_what_the_instance_did_wrong_is_counted(error: Exception) -> None:
    assert after_error(Circuit(), error, 5.0).recent_failures(5.0) == 1  # type: ignore[arg-type]


@pytest.mark.parametrize("error", [BadCredentials("x"), ContextTooLong("x"), Filtered("x")])
def test_what_the_request_did_wrong_is_not_counted(error: Exception) -> None:
    assert after_error(Circuit(), error, 5.0) == Circuit()  # type: ignore[arg-type]


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


@given(st.lists(st.tuples(st.sampled_from(["fail", "ok", "try"]), st.floats(0, 200)), max_size=40))
def test_any_history_agrees_with_a_naive_reference(steps: list[tuple[str, float]]) -> None:
    """The reference keeps every failure's time and recomputes from scratch."""
    circuit, now = Circuit(), 0.0
    failures: list[float] = []
    opened: float | None = None
    for step, wait in steps:
        now += wait
        half = opened is not None and now - opened >= COOLDOWN_S
        if step == "ok":
            failures, opened = [], None
            circuit = circuit.succeeded()
        elif step == "fail":
            failures.append(now)
            recent = [at for at in failures if now - at <= WINDOW_S]
            if half or (opened is None and len(recent) >= FAILURES_TO_OPEN):
                opened = now
            circuit = circuit.failed(now)
        expected = "closed" if opened is None else ("half_open" if now - opened >= COOLDOWN_S else "open")
        assert circuit.state(now) == expected
