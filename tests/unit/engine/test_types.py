import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from legion_core.engine.types import (
    BY_HAND,
    ENDED,
    FAILED,
    TRANSITIONS,
    EffectClass,
    Reason,
    Retry,
    Task,
    TaskStatus,
    after_crash,
    legacy_status,
    may_become,
    retry_delay_s,
)

STATUSES = get_args(TaskStatus)
SEED_WORDS = {
    "task.queued", "task.scheduled", "task.delayed", "task.completed", "task.exception", "task.blocked",
    "task.expired", "task.multiplied", "conditioner.queued", "conditioner.failed", "conditioner.exception",
    "transformer.queued", "transformer.succeeded", "transformer.exception", "transformer.validation_failed",
}  # fmt: skip
DOCUMENT = Path(__file__).parents[3] / "docs" / "task-status.md"


def test_there_are_the_fifteen_statuses_of_the_contract() -> None:
    assert STATUSES == (
        "accepted",
        "delayed",
        "waiting_join",
        "queued",
        "leased",
        "running",
        "retry_wait",
        "succeeded",
        "failed",
        "dead",
        "blocked",
        "skipped",
        "cancelled",
        "expired",
        "unknown",
    )


def test_every_status_says_what_it_may_become_and_an_ended_one_nothing() -> None:
    assert set(TRANSITIONS) == set(STATUSES)
    assert {status for status, next_ in TRANSITIONS.items() if not next_} == ENDED | {"unknown"}
    assert FAILED < ENDED


def test_every_status_is_reached_from_the_first_one_and_leads_to_an_end() -> None:
    def reach(start: TaskStatus) -> set[TaskStatus]:
        seen: set[TaskStatus] = set()
        todo = [start]
        while todo:
            status = todo.pop()
            for after in (*TRANSITIONS[status], *BY_HAND.get(status, ())):
                if after not in seen:
                    seen.add(after)
                    todo.append(after)
        return seen

    assert reach("accepted") | {"accepted"} == set(STATUSES)
    for status in STATUSES:
        assert status in ENDED or reach(status) & ENDED


def test_what_ended_is_taken_up_again_by_a_person_only() -> None:
    assert may_become("queued", "leased")
    assert not may_become("dead", "queued")
    assert may_become("dead", "queued", by_hand=True)
    assert not may_become("succeeded", "queued", by_hand=True)
    assert not may_become("unknown", "queued")


@pytest.mark.parametrize("status", STATUSES)
def test_every_status_has_a_word_the_seed_knows(status: TaskStatus) -> None:
    assert legacy_status(status) in SEED_WORDS


def test_a_reason_tells_the_seeds_words_apart() -> None:
    def of(status: TaskStatus, code: str) -> str:
        return legacy_status(status, Reason(code=code, sentence="…"))

    assert of("skipped", "condition.false") == "conditioner.failed"
    assert of("blocked", "condition.fact_missing") == "conditioner.exception"
    assert of("failed", "transform.schema") == "transformer.validation_failed"
    assert of("failed", "transform.failed") == "transformer.exception"
    assert of("failed", "task.raised") == "task.exception"
    assert of("succeeded", "run.reused") == "task.completed"


def test_the_document_shows_the_table_in_force() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \|.*\| `([\w.]+)` \|$", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert dict(rows) == {status: legacy_status(status) for status in STATUSES}


@pytest.mark.parametrize("effect", get_args(EffectClass))
def test_after_a_crash_only_a_begun_task_of_at_most_once_asks(effect: EffectClass) -> None:
    assert after_crash(effect, has_started=False) == "queued"
    assert after_crash(effect, has_started=True) == ("unknown" if effect == "at_most_once" else "queued")


def test_pauses_double_up_to_their_bound_and_end_with_the_retries() -> None:
    retry = Retry(max=7)
    pauses = [retry_delay_s(retry, attempt, 0.999999) for attempt in range(1, 9)]
    assert [round(pause) for pause in pauses[:7] if pause is not None] == [1, 2, 4, 8, 16, 30, 30]
    assert pauses[7] is None
    assert retry_delay_s(Retry(), 1, 0.5) is None


@given(
    st.integers(1, 10**6),
    st.floats(0, 1e9),
    st.floats(0, 1e6),
    st.floats(0, 1, exclude_max=True),
    st.floats(0, 1e6),
)
def test_a_pause_is_never_longer_than_its_bound(
    attempt: int, delay_s: float, factor: float, chance: float, delay_max_s: float
) -> None:
    retry = Retry(max=10**6, delay_s=delay_s, factor=factor, delay_max_s=delay_max_s)
    pause_s = retry_delay_s(retry, attempt, chance)
    assert pause_s is not None
    assert 0 <= pause_s <= delay_max_s


def test_tasks_that_failed_together_come_back_spread() -> None:
    pauses = [retry_delay_s(Retry(max=3), 2, chance / 100) for chance in range(100)]
    assert len(set(pauses)) == 100
    assert min(pauses, key=float) >= 1.0


def test_a_task_crosses_the_wire_unchanged() -> None:
    task = Task(
        id="t1", task="a.b.c", args={"x": [1, None]}, reason=Reason(code="c", sentence="s", facts={"n": 1})
    )
    assert msgspec.json.decode(msgspec.json.encode(task), type=Task) == task
