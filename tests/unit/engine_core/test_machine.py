"""What becomes of a task: every walk through the machine is legal, ends, and never repeats what must not be repeated."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from legion_core.engine.machine import (
    CRASHES_MAX,
    HELD,
    SETTLED,
    Admitted,
    AskedAgain,
    Due,
    Failed,
    GivenBack,
    Happening,
    Leased,
    OwnerDied,
    Refused,
    Started,
    State,
    Stopped,
    Succeeded,
    after,
)
from legion_core.engine.reasons import because
from legion_core.engine.types import BY_HAND, EffectClass, Retry

RAISED = because("task.raised", what="it broke")
EFFECTS: tuple[EffectClass, ...] = (
    "plain", "pure", "transactional", "idempotent_key", "fenced_file", "at_most_once",
)  # fmt: skip


class Walk(RuleBasedStateMachine):
    """A task and everything that can happen to it, in any order the world allows."""

    def __init__(self) -> None:
        super().__init__()
        self.rng = random.Random(1)
        self.now_ms = 1_000_000
        self.starts = 0
        self.failures = 0
        self.crashes = 0
        self.state = State()

    def happen(self, event: Happening) -> None:
        self.state = after(self.state, event, now_ms=self.now_ms, rng=self.rng)

    @precondition(lambda self: self.state.status == "accepted" and self.state.attempt == 0)
    @rule(effect=st.sampled_from(EFFECTS), retries=st.integers(0, 3), delay_ms=st.integers(-5, 5000))
    def admit(self, effect: EffectClass, retries: int, delay_ms: int) -> None:
        retry = Retry(max=0 if effect == "at_most_once" else retries)
        self.state = State(effect=effect, retry=retry)
        self.happen(Admitted(self.now_ms + delay_ms))
        assert self.state.status == ("delayed" if delay_ms > 0 else "queued")

    @rule(by_ms=st.integers(0, 100_000))
    def time_passes(self, by_ms: int) -> None:
        self.now_ms += by_ms

    @precondition(lambda self: self.state.due_ms and self.state.due_ms <= self.now_ms)
    @rule()
    def due(self) -> None:
        self.happen(Due())

    @precondition(lambda self: self.state.status == "queued")
    @rule()
    def lease(self) -> None:
        self.happen(Leased())

    @precondition(lambda self: self.state.status == "leased")
    @rule()
    def start(self) -> None:
        self.happen(Started())
        self.starts += 1

    @precondition(lambda self: self.state.status == "running")
    @rule()
    def succeed(self) -> None:
        self.happen(Succeeded())

    @precondition(lambda self: self.state.status == "running")
    @rule(may_retry=st.booleans(), wish_s=st.none() | st.floats(0, 1e6))
    def fail(self, may_retry: bool, wish_s: float | None) -> None:
        before = self.state
        self.happen(Failed(RAISED, "it broke", may_retry, wish_s))
        self.failures += 1
        if self.state.status == "retry_wait":
            pause_s = (self.state.due_ms - self.now_ms) / 1000
            assert 0 < pause_s <= before.retry.delay_max_s + 0.001
            assert before.attempt <= before.retry.max

    @precondition(lambda self: self.state.status in HELD)
    @rule()
    def die(self) -> None:
        was_running = self.state.status == "running"
        self.happen(OwnerDied("box:1"))
        self.crashes += was_running
        if self.state.effect == "at_most_once" and was_running:
            assert self.state.status == "unknown"

    @precondition(lambda self: self.state.status in HELD)
    @rule()
    def give_back(self) -> None:
        was_running = self.state.status == "running"
        self.happen(GivenBack("box:1"))
        assert not (was_running and self.state.status == "queued" and not self.state.is_redelivered)

    @precondition(lambda self: self.state.status in HELD)
    @rule()
    def stop(self) -> None:
        self.happen(Stopped("owner"))

    @precondition(lambda self: self.state.status in ("queued", "delayed"))
    @rule()
    def refuse(self) -> None:
        self.happen(Refused("expired", because("task.expired", ttl_s=3)))

    @precondition(lambda self: "queued" in BY_HAND.get(self.state.status, ()))
    @rule()
    def ask_again(self) -> None:
        was_unknown = self.state.status == "unknown"
        self.happen(AskedAgain())
        assert self.state.is_redelivered or not was_unknown
        self.starts = self.failures = self.crashes = 0

    @invariant()
    def at_most_once_starts_once(self) -> None:
        if self.state.effect == "at_most_once" and not self.state.is_redelivered:
            assert self.starts <= 1

    @invariant()
    def a_second_start_after_a_crash_is_flagged(self) -> None:
        if self.crashes and self.state.status in ("leased", "running", "queued"):
            assert self.state.is_redelivered

    @invariant()
    def what_did_not_succeed_says_why(self) -> None:
        if self.state.status in SETTLED - {"succeeded"} or self.state.status == "retry_wait":
            assert self.state.reason is not None
            assert self.state.reason.sentence

    @invariant()
    def crashes_are_bounded(self) -> None:
        assert self.crashes <= max(CRASHES_MAX, self.state.retry.max + 1)


TestWalk = Walk.TestCase


def test_a_failure_that_cannot_get_better_is_not_tried_again() -> None:
    state = State(status="running", attempt=1, retry=Retry(max=5))
    done = after(state, Failed(RAISED, "no", may_retry=False), now_ms=0, rng=random.Random(1))
    assert (done.status, done.reason) == ("failed", RAISED)


def test_the_last_failure_of_many_is_told_with_their_number() -> None:
    state = State(status="running", attempt=3, retry=Retry(max=2))
    done = after(state, Failed(RAISED, "the third"), now_ms=0, rng=random.Random(1))
    assert done.status == "dead"
    assert done.reason is not None
    assert done.reason.facts == {"attempts": 3, "what": "the third"}


@given(st.integers(0, 2**32))
def test_many_that_failed_at_once_do_not_come_back_at_once(seed: int) -> None:
    rng = random.Random(seed)
    state = State(status="running", attempt=1, retry=Retry(max=5, delay_s=10))
    dues = {after(state, Failed(RAISED, "x"), now_ms=0, rng=rng).due_ms for _ in range(50)}
    assert len(dues) > 30
    assert all(5_000 <= due <= 10_000 for due in dues)


def test_a_task_that_kills_its_worker_again_and_again_is_parked() -> None:
    state, rng = State(status="queued"), random.Random(1)
    for _ in range(CRASHES_MAX):
        assert state.status == "queued"
        for event in (Leased(), Started(), OwnerDied("box:1")):
            state = after(state, event, now_ms=0, rng=rng)
    assert state.status == "dead"
    assert state.reason is not None
    assert state.reason.code == "task.poison"


@pytest.mark.parametrize("event", [Succeeded(), Leased(), Due(), Started()])
def test_what_cannot_happen_asserts(event: Happening) -> None:
    with pytest.raises(AssertionError):
        after(State(status="succeeded"), event, now_ms=0, rng=random.Random(1))
