"""Time from one place, and identifiers that sort by it."""

import random
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from legion_core.kernel.clock import SystemClock, iso
from legion_core.kernel.ids import Ids, system_rng
from legion_core.testing.clock import SimClock

ALPHABET = set("0123456789abcdefghjkmnpqrstvwxyz")


def test_the_systems_clock_gives_aware_utc_and_never_runs_backwards() -> None:
    clock = SystemClock()
    assert clock.utc_now().tzinfo is UTC
    readings = [clock.monotonic_s() for _ in range(100)]
    assert readings == sorted(readings)


def test_a_moment_is_written_in_one_form_whatever_its_zone() -> None:
    moment = datetime(2025, 3, 1, 12, 0, 0, 123_999, tzinfo=UTC)
    assert iso(moment) == "2025-03-01T12:00:00.123Z"
    assert iso(moment.astimezone(timezone(timedelta(hours=-5)))) == iso(moment)


@given(st.lists(st.integers(0, 4_000_000_000), min_size=2, max_size=5))
def test_written_moments_sort_as_the_moments_do(seconds: list[int]) -> None:
    stamps = [datetime.fromtimestamp(each, UTC) for each in seconds]
    assert [iso(stamp) for stamp in sorted(stamps)] == sorted(iso(stamp) for stamp in stamps)


@given(st.lists(st.floats(-86_400, 86_400), min_size=1, max_size=40), st.integers(0, 2**32))
def test_ids_rise_strictly_even_when_the_date_steps_back(steps: list[float], seed: int) -> None:
    clock = SimClock()
    ids = Ids(clock, random.Random(seed))
    made: list[str] = []
    for step_s in steps:
        clock.step_date(step_s)
        made += [ids.new(), ids.new()]
    assert made == sorted(set(made))
    assert all(len(each) == 26 and set(each) <= ALPHABET for each in made)


def test_an_id_begins_with_its_milliseconds_and_names_its_kind() -> None:
    clock = SimClock()
    made = Ids(clock, random.Random(1)).new("msg")
    prefix, _, ulid = made.partition("_")
    assert prefix == "msg"
    stamp = 0
    for letter in ulid[:10]:
        stamp = stamp * 32 + "0123456789abcdefghjkmnpqrstvwxyz".index(letter)
    assert stamp == int(clock.utc_now().timestamp() * 1000)


def test_two_sources_of_the_same_moment_do_not_meet() -> None:
    clock, rng = SimClock(), system_rng()
    made = [Ids(clock, rng).new() for _ in range(2000)]
    assert len(set(made)) == len(made)
