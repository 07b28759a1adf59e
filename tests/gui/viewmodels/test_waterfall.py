"""Where the time went: bars of a request's attempts, of a task's tries, of a run's hops."""

from datetime import UTC, datetime, timedelta
from typing import Any

from app.viewmodels.activity_words import why_slow, words_of
from app.viewmodels.waterfall import of_request, of_run, of_task
from legion_core.api.activity_types import ActivityRow
from legion_core.api.task_types import Attempt, Reason
from legion_core.api.types import LedgerRow, Usage

NOW = datetime(2026, 6, 17, 14, 6, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def task(**fields: Any) -> ActivityRow:
    held: dict[str, Any] = {
        "key": "t1", "kind": "task", "id": "task_1", "state": "succeeded", "status": "succeeded", "task": "http.request.get",
        "at": NOW, "started_at": after(4), "ended_at": after(5), "took_s": 1.0, "waited_s": 4.0, "attempts": 1,
        "attempts_max": 1,
    }  # fmt: skip
    return ActivityRow(**{**held, **fields})


def attempt(number: int, start_s: float, length_s: float, outcome: str, first_s: float | None) -> LedgerRow:
    return LedgerRow(
        request="req_1", attempt=number, tier="cloud", instance=f"box-{number}", model="m", usage=Usage(), cost_usd=None,
        outcome=outcome, at=after(start_s), duration_s=length_s, first_token_s=first_s,
    )  # fmt: skip


def test_a_request_that_failed_over_shows_each_attempt_on_one_axis() -> None:
    fall = of_request([attempt(2, 1.5, 4.5, "succeeded", 0.5), attempt(1, 0, 1.5, "overloaded", None)])
    assert [row.label for row in fall.rows] == ["box-1", "box-2 waits", "box-2 answers"]
    assert fall.total_s == 6.0
    assert fall.rows[0].is_failed
    assert "busy" in fall.rows[0].note
    assert [(part.start_s, part.end_s) for part in fall.rows[2].parts] == [(2.0, 6.0)]
    assert fall.rows[2].parts[0].colour == "tier.cloud"


def test_a_task_shows_its_wait_and_its_run() -> None:
    fall = of_task(task(), (), NOW)
    assert [row.label for row in fall.rows] == ["Waits", "Runs"]
    assert [row.note for row in fall.rows] == ["4.0 s", "1.0 s"]


def test_earlier_tries_stand_with_their_pauses() -> None:
    tries = (
        Attempt(number=1, started_at=after(1), ended_at=after(2), outcome="failed"),
        Attempt(number=2, started_at=after(2.5), ended_at=after(3), outcome="lost"),
    )
    fall = of_task(task(attempts=3, attempts_max=3), tries, NOW)
    assert [row.label for row in fall.rows] == ["Waits", "Try 1", "Pause", "Try 2", "Pause", "Try 3"]
    assert fall.rows[1].is_failed
    assert "lost with its process" in fall.rows[3].note


def test_tries_of_a_task_that_was_given_back_or_begun_anew_by_hand_are_counted_through() -> None:
    tries = (
        Attempt(number=1, started_at=after(1), ended_at=after(2), outcome="failed"),
        Attempt(number=1, started_at=after(2), ended_at=after(3), outcome="given_back"),
    )
    fall = of_task(task(attempts=1), tries, NOW)
    assert [row.label for row in fall.rows] == ["Waits", "Try 1", "Try 2", "Pause", "Try 3"]
    assert not fall.rows[2].is_failed


def test_a_task_between_two_tries_waits_from_the_end_of_the_last() -> None:
    tries = (Attempt(number=1, started_at=after(1), ended_at=after(2), outcome="failed"),)
    waiting = task(state="waiting", status="retry_wait", started_at=after(1), ended_at=None, took_s=None)
    fall = of_task(waiting, tries, after(10))
    assert [row.label for row in fall.rows] == ["Waits", "Try 1", "Waits again"]
    assert (fall.rows[-1].parts[0].start_s, fall.rows[-1].parts[0].end_s) == (2.0, 10.0)


def test_tries_that_nobody_wrote_down_are_one_bar() -> None:
    fall = of_task(task(attempts=3, attempts_max=3), (), NOW)
    assert [row.label for row in fall.rows] == ["2 tries before", "Try 3"]


def test_a_running_task_runs_until_now() -> None:
    fall = of_task(task(state="running", status="running", ended_at=None, took_s=None), (), after(10))
    assert fall.rows[-1].parts[0].end_s == 10.0


def test_a_run_shows_its_hops_and_the_skipped_ones() -> None:
    hops = [
        task(key="t1", node="get"),
        task(key="t2", node="tell", at=after(5), started_at=after(5), ended_at=after(9)),
        task(
            key="t3",
            node="alarm",
            at=after(5),
            started_at=None,
            ended_at=after(5),
            state="skipped",
            status="skipped",
        ),
    ]
    fall = of_run(hops, NOW)
    assert [(row.label, row.key) for row in fall.rows] == [("get", "t1"), ("tell", "t2"), ("alarm", "t3")]
    assert fall.total_s == 9.0
    assert "skipped" in fall.rows[2].note


def test_why_it_was_slow_is_said_in_a_sentence() -> None:
    assert why_slow(task()) == "Waited 4.0 s, then ran 1.0 s. Most of that was waiting."
    assert why_slow(task(attempts=3)).startswith("4.0 s went by with 2 earlier tries")
    assert why_slow(task(started_at=None, took_s=None, waited_s=None)) == ""


def test_dates_in_a_reason_are_local() -> None:
    waiting = task(
        state="waiting", status="retry_wait", due_at=after(90), ended_at=None,
        reason=Reason(code="task.retry_wait", sentence="raw", facts={"what": "no such host.", "until": "2026Z"}),
    )  # fmt: skip
    assert words_of(waiting, NOW).detail == "Attempt 1 failed: no such host. The next is at 14:07:30."
    assert words_of(waiting, NOW).pill[0] == "Tries again"


def test_a_line_without_a_reason_says_what_it_was_given() -> None:
    row = task(brief='{"url":"https://example.org/","timeout_s":3}')
    assert words_of(row, NOW).detail == "url: https://example.org/, timeout_s: 3"
