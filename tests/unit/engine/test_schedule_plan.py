"""Which moments of a schedule run, by the policies, for any timing and any time asleep."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legion_core.engine.refusal import InvalidDocument
from legion_core.engine.schedule_plan import (
    COUNTED_MAX,
    Timing,
    at_ms,
    checked_timing,
    moment_at,
    moments,
    next_moment,
    plan,
    timing_words,
    upcoming,
)

START = at_ms(datetime(2026, 1, 1, tzinfo=UTC))
DAY_MS = 86_400_000
CRONS = ("*/15 * * * *", "30 2 * * *", "0 9 * * MON-FRI", "0 0 L * *", "*/7 3-5 * * *")
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia")

timings = st.one_of(
    st.builds(Timing, cron=st.sampled_from(CRONS), zone=st.sampled_from(ZONES)),
    st.builds(Timing, every_ms=st.integers(1_000, 3 * DAY_MS), anchor_ms=st.just(START - 12_345)),
)


@given(
    timings, st.integers(0, 400 * DAY_MS), st.integers(0, 12 * DAY_MS),
    st.sampled_from(("skip", "once", "all")), st.integers(1, 50),
)  # fmt: skip
def test_every_due_moment_is_run_or_left_out_and_counted(
    timing: Timing, since_ms: int, asleep_ms: int, missed: str, missed_max: int
) -> None:
    due_ms = next_moment(timing, START + since_ms)
    now_ms = due_ms + asleep_ms
    found = plan(timing, due_ms, now_ms, missed, missed_max)

    passed = [due_ms]
    for moment in moments(timing, due_ms):
        if moment > now_ms or len(passed) > COUNTED_MAX:
            break
        passed.append(moment)
    if len(passed) <= COUNTED_MAX:
        assert len(found.starts) + found.left_out_count == len(passed)
        wanted = {"once": passed[-1:], "all": passed[-missed_max:]}.get(
            missed, passed[-1:] if now_ms - passed[-1] <= 60_000 else []
        )
        assert list(found.starts) == wanted
        if found.left_out_count:
            assert found.left_out_ms == passed[found.left_out_count - 1]
    assert list(found.starts) == sorted(set(found.starts))
    assert all(due_ms <= each <= now_ms for each in found.starts)
    assert found.left_out_ms not in found.starts


@given(timings, st.integers(0, 400 * DAY_MS), st.floats(0, 7_200), st.text(max_size=8))
def test_jitter_is_late_within_its_bound_never_past_the_next_and_always_the_same(
    timing: Timing, since_ms: int, jitter_s: float, seed: str
) -> None:
    moment, wake = upcoming(timing, START + since_ms, jitter_s, seed)
    assert moment == next_moment(timing, START + since_ms)
    assert moment <= wake <= moment + jitter_s * 1000
    assert wake < next_moment(timing, moment)
    assert upcoming(timing, START + since_ms, jitter_s, seed) == (moment, wake)


@given(timings, st.integers(-80 * 366 * DAY_MS, 400 * DAY_MS))
def test_moments_come_one_after_the_other_from_any_date(timing: Timing, since_ms: int) -> None:
    found = moments(timing, START + since_ms)
    one, two, three = next(found), next(found), next(found)
    assert START + since_ms < one < two < three
    assert next_moment(timing, one) == two


def test_the_calendar_ends_without_a_failure() -> None:
    end = at_ms(datetime(9999, 12, 31, 23, tzinfo=UTC))
    for timing in (Timing(cron="0 0 1 1 *"), Timing(every_ms=10 * 366 * DAY_MS)):
        assert list(moments(timing, end)) == []
        assert upcoming(timing, end, 60.0, "x") == (0, 0)
    assert plan(Timing(every_ms=10 * 366 * DAY_MS), end, end, "once", 1).starts == (end,)


@pytest.mark.parametrize(
    ("timing", "words"),
    [
        (Timing(every_ms=1_000), "every second"),
        (Timing(every_ms=90_000), "every 90 seconds"),
        (Timing(every_ms=60_000), "every minute"),
        (Timing(every_ms=7_200_000), "every 2 hours"),
        (Timing(every_ms=DAY_MS), "every day"),
        (Timing(every_ms=1_500), "every 1.5 seconds"),
        (Timing(cron="0 9-17/2 * * 1-5"), "every 2 hours from 09:00 to 17:00 on weekdays"),
        (Timing(cron="0 9 * * *", zone="Asia/Kolkata"), "every day at 09:00, Asia/Kolkata"),
    ],
)
def test_a_timing_is_told_in_words(timing: Timing, words: str) -> None:
    assert timing_words(timing) == words


def test_a_timing_tells_all_its_faults_at_once() -> None:
    with pytest.raises(InvalidDocument) as caught:
        checked_timing("61 25 * * *", "Nowhere", 0.0, 0)
    assert [fault.key for fault in caught.value.faults] == ["cron minute", "cron hour", "zone"]
    for cron, every_s in (("", 0.0), ("* * * * *", 1.0), ("", 0.2), ("", float("inf")), ("", -5.0)):
        with pytest.raises(InvalidDocument):
            checked_timing(cron, "UTC", every_s, 0)


def test_a_moment_is_the_same_there_and_back() -> None:
    at = datetime(2026, 6, 17, 9, 0, 0, 123_000, tzinfo=UTC)
    assert moment_at(at_ms(at)) == at
    assert moment_at(at_ms(datetime(1901, 1, 1, tzinfo=UTC))) == datetime(1901, 1, 1, tzinfo=UTC)
    assert at + timedelta(0) == at
