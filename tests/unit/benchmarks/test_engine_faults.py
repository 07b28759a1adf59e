"""The benchmarks that look for broken promises of the task engine: nothing is found, and what is there would be."""

import pytest

from benchmarks import claims, engine_power_cut


@pytest.mark.slow
@pytest.mark.allow_log("taken over")
def test_no_power_cut_breaks_a_promise_of_the_class_made_for_it(count_factor: int) -> None:
    figures = engine_power_cut.measure(cuts=8 * count_factor, tasks=120, seed=1)
    assert figures["violations"] == 0, figures
    assert figures["checkpoints"] > 1


@pytest.mark.slow
@pytest.mark.allow_log("taken over")
def test_a_power_cut_is_seen_to_break_the_class_that_promises_nothing() -> None:
    figures = engine_power_cut.measure(cuts=4, tasks=120, seed=1, durability="process")
    assert figures["lost"] > 0
    assert figures["corrupt"] == 0


@pytest.mark.slow
def test_processes_that_take_from_one_journal_never_take_the_same_task(count_factor: int) -> None:
    figures = claims.measure(claims=3_000 * count_factor, processes=3)
    assert figures["claims"] == 3_000 * count_factor
    for name in ("double", "never", "left_over", "refused_ends", "surfaced"):
        assert figures[name] == 0, figures
    assert figures["least_share"] > 0


def test_a_task_taken_twice_and_one_left_out_are_counted() -> None:
    figures = claims.judge([[1, 2, 3], [3, 5]], claims=5)
    assert (figures["double"], figures["never"], figures["least_share"]) == (1, 1, 2)
