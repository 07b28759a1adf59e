"""An epoch comes when what is carried is worth the rewriting, and only if it is repaid."""

from legion_core.gateway.curation.timing import GAIN_LEAST, Timing
from legion_core.gateway.curation.types import CurationSettings, Stage

SETTINGS = CurationSettings(
    stages=(Stage(begins=3, carry=0.1), Stage(begins=20, carry=0.1, share=0.2)), least_tokens=100
)


def at(turn: int, settings: CurationSettings = SETTINGS) -> Timing:
    timing = Timing(settings)
    timing.enter(turn)
    return timing


def test_it_is_due_when_what_was_carried_is_worth_writing_anew() -> None:
    timing = at(5)
    timing.edited(1_000, 1_000)
    timing.pay(3_000, 9_000)  # two thousand carried, at a tenth of a token each

    assert timing.is_due(3_000, 9_000, rewrite=200)
    assert not timing.is_due(3_000, 9_000, rewrite=201)


def test_what_is_dear_to_write_anew_waits_and_comes_later_all_the_same() -> None:
    timing, turns = at(5), 0
    timing.edited(1_000, 1_000)
    while not timing.is_due(2_000, 90_000, rewrite=5_000):
        timing.pay(2_000, 90_000)
        turns += 1

    assert turns == 50


def test_before_the_first_stage_only_a_cold_cache_makes_it_due() -> None:
    timing = at(2)
    timing.pay(5_000, 5_000)
    assert not timing.is_due(50_000, 50_000, rewrite=0)

    timing.cool()
    assert timing.is_due(50_000, 50_000, rewrite=0)


def test_a_stage_with_a_share_is_due_when_the_share_is_sent() -> None:
    timing = at(20)
    timing.edited(10_000, 10_000)
    timing.pay(10_000, 100_000)

    assert not timing.is_due(30_000, 100_000, rewrite=10**9)
    assert timing.is_due(30_001, 100_000, rewrite=10**9)


def test_what_did_not_pay_is_tried_again_only_when_the_view_has_grown() -> None:
    timing = at(5)
    timing.edited(0, 0)
    timing.pay(10_000, 10_000)
    timing.put_off(10_000)

    assert not timing.is_due(10_400, 20_000, rewrite=1)
    assert timing.is_due(10_600, 20_000, rewrite=1)


def test_a_window_that_fills_up_forces_it() -> None:
    timing = at(1, CurationSettings(context_tokens=10_000))

    assert timing.is_due(8_600, 8_600, rewrite=10**9)
    assert timing.is_worth(8_600, 6_000, 0, 8_600)
    assert not timing.is_forced(8_400)


def test_one_that_takes_little_is_never_worth_it() -> None:
    timing = at(5, CurationSettings(context_tokens=10_000))

    assert not timing.is_worth(9_000, int(9_000 * (1 - GAIN_LEAST)) + 2, 0, 9_000)


def test_one_that_the_next_request_does_not_repay_is_not_worth_it() -> None:
    timing = at(5)
    timing.pay(20_000, 20_000)

    assert timing.is_worth(20_000, 3_400, common=2_000, naive=20_000)  # 0.2 + 1.25 * 1.4 against 2 thousand
    assert not timing.is_worth(20_000, 3_500, common=2_000, naive=20_000)


def test_what_a_stage_has_saved_pays_for_more_but_no_other_stage_does() -> None:
    timing = at(18)
    timing.pay(20_000, 20_000)
    timing.pay(4_000, 30_000)
    assert timing.is_worth(20_000, 9_000, common=2_000, naive=30_000)

    timing.enter(20)
    assert not timing.is_worth(20_000, 9_000, common=2_000, naive=30_000)


def test_what_enters_before_the_view_is_counted_as_written_anew() -> None:
    timing = at(5)
    timing.pay(20_000, 20_000)

    assert timing.is_worth(20_000, 1_100, common=0, naive=20_000)
    assert not timing.is_worth(20_000, 1_100, common=0, naive=20_000, entering=1_000)


def test_no_view_is_made_that_is_too_short_for_any_cache_unless_it_is_cheaper_without() -> None:
    timing = at(5)
    timing.cool()

    assert not timing.is_worth(10_000, 1_000, common=0, naive=10_000)
    assert timing.is_worth(10_000, 1_000, common=0, naive=10_000, entering=100)
    assert timing.is_worth(10_000, 1_000, common=0, naive=10_300)


def test_a_beginning_too_short_for_any_cache_is_written_anew() -> None:
    timing = at(5)
    timing.pay(30_000, 30_000)

    assert timing.is_worth(30_000, 3_000, common=1_100, naive=30_000)
    assert not timing.is_worth(30_000, 3_000, common=1_000, naive=30_000)
