"""Measured speed: what teaches, what does not, and when an order may change."""

from datetime import UTC, datetime

from legion_core.gateway.routing.speed import Speeds
from legion_core.gateway.types import Attempt, Usage


def attempt(
    tokens: int, seconds: float, *, outcome: str = "succeeded", first_token_s: float | None = 0.5
) -> Attempt:
    return Attempt(
        number=1, tier="local", instance="box", model="m", outcome=outcome, usage=Usage(output_tokens=tokens),
        started_at=datetime(2026, 3, 14, tzinfo=UTC), first_token_s=first_token_s, duration_s=0.5 + seconds,
    )  # fmt: skip


def test_the_time_to_the_first_token_is_no_part_of_the_speed() -> None:
    speeds = Speeds()
    speeds.take(attempt(100, 2.0))

    assert speeds.tokens_per_s("box/m") == 50.0


def test_short_answers_failures_and_answers_without_a_token_teach_nothing() -> None:
    speeds = Speeds()
    for each in (
        attempt(5, 2.0),
        attempt(100, 2.0, outcome="timed_out"),
        attempt(100, 2.0, first_token_s=None),
    ):
        speeds.take(each)

    assert speeds.tokens_per_s("box/m") is None
    assert speeds.version == 0


def test_an_order_changes_with_a_lane_and_not_with_every_answer() -> None:
    speeds = Speeds()
    speeds.note("box/m", 50.0)
    version = speeds.version
    for tokens_per_s in (51.0, 49.5, 50.2):
        speeds.note("box/m", tokens_per_s)
    assert speeds.version == version

    for _ in range(5):
        speeds.note("box/m", 10.0)
    assert speeds.version > version


def test_what_is_faster_than_anybody_reads_is_equal() -> None:
    speeds = Speeds()
    speeds.note("a", 300.0)
    speeds.note("b", 9_000.0)

    assert speeds.stepped("a") == speeds.stepped("b")


def test_a_lane_faster_than_enough_has_no_order_made_anew_however_its_speed_swings() -> None:
    speeds = Speeds()
    speeds.note("a", 900.0)
    version = speeds.version
    for tokens_per_s in (90_000.0, 400.0, 5_000.0):
        speeds.note("a", tokens_per_s)

    assert speeds.version == version
