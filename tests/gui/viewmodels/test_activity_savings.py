"""What the Activity page and the Spend tab say of curation: tokens, money, and nothing where there is nothing."""

from datetime import UTC, datetime, timedelta

import pytest

from app.viewmodels.activity_detail import Detail
from app.viewmodels.activity_figures import day_figures, figures_of, saving_words
from legion_core.api.activity_types import ActivityHour, ActivityRow
from legion_core.api.types import LedgerRow
from legion_core.gateway.types import Usage

NOW = datetime(2026, 3, 14, 9, 0, tzinfo=UTC)


def hour(**figures: float) -> ActivityHour:
    return ActivityHour(at=NOW - timedelta(hours=1), **figures)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("tokens", "usd", "unknown", "words"),
    [
        (0, 0.0, 0, "nothing"),
        (900, 0.0, 0, "free here"),
        (900, 0.0, 2, "price unknown"),
        (900, 0.61, 0, "$0.61 saved"),
        (900, 0.61, 1, "$0.61 saved, 1 of unknown price"),
        (900, -0.02, 0, "$0.02 more than it saved"),
    ],
)
def test_what_was_left_out_is_worth_something_nothing_or_less(
    tokens: int, usd: float, unknown: int, words: str
) -> None:
    assert saving_words(tokens, usd, unknown) == words


def test_a_day_without_a_long_chat_saved_nothing_and_says_so() -> None:
    figure = day_figures([hour(requests=3)], NOW)[2]
    assert (figure.number, figure.detail, figure.table) == ("0", "no long chat", "")


def test_the_day_adds_up_what_was_left_out() -> None:
    figure = day_figures(
        [
            hour(requests=2, saved_tokens=300_000, saved_usd=0.4),
            hour(requests=1, saved_tokens=112_000, saved_usd=0.21),
        ],
        NOW,
    )[2]
    assert (figure.number, figure.detail) == ("412k", "$0.61 saved")
    assert "300,000 tokens, $0.40 saved" in figure.table


def test_a_request_tells_its_prompt_before_curation() -> None:
    usage = Usage(input_tokens=2_000, cache_read_tokens=9_000)
    row = ActivityRow(
        key="r1", kind="request", id="req_1", state="succeeded", status="succeeded", at=NOW, tier="cloud",
        input_tokens=2_000, saved_tokens=30_000, saved_usd=0.009,
    )  # fmt: skip
    attempt = LedgerRow(
        request="req_1", attempt=1, tier="cloud", instance="a", model="m", usage=usage, cost_usd=0.1,
        outcome="succeeded", at=NOW, duration_s=1.0,
    )  # fmt: skip
    told = dict(figures_of(Detail(row=row, attempts=(attempt,)), NOW))
    assert told["Before curation"] == "about 41,000 tokens"
    assert told["Saved by curation"] == "about 30,000 tokens, $0.0090 saved"
