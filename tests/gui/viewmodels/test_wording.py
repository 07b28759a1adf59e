from datetime import UTC, datetime, timedelta

import pytest

from app.viewmodels import wording

NOW = datetime(2026, 6, 17, 14, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (4_900_000_000, "4.9 GB"),
        (145_000_000, "145 MB"),
        (999, "999 B"),
        (1500, "2 kB"),
        (3 * 10**12, "3.0 TB"),
    ],
)
def test_sizes_are_decimal(value: int, said: str) -> None:
    assert wording.size(value) == said


@pytest.mark.parametrize(
    ("usd", "said"),
    [(None, "price unknown"), (0.0, "$0.00"), (0.00412, "$0.0041"), (0.14, "$0.14"), (1234.5, "$1,234.50")],
)
def test_money_has_four_places_below_one_cent(usd: float | None, said: str) -> None:
    assert wording.money(usd) == said


def test_only_what_answers_on_machines_of_ones_own_is_free() -> None:
    assert wording.price(0.0, "local") == "free"
    assert wording.price(None, "local") == "free"
    assert wording.price(None, "cloud") == "price unknown"
    assert wording.price(0.0, "fleet") == "free"
    assert wording.price(None, "fleet") == "price unknown"
    assert wording.price(0.2, "fleet") == "$0.20"
    assert wording.price(0.0, "frontier") == "$0.00"


def test_places_are_counted_as_they_are_said() -> None:
    assert [wording.place(number) for number in (1, 2, 3, 4, 11, 12, 13, 21, 22, 101, 111)] == [
        "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "22nd", "101st", "111th",
    ]  # fmt: skip


def test_a_model_named_by_the_path_of_its_file_is_shown_by_the_file() -> None:
    assert wording.lane("box", "/srv/models/smol.gguf") == "box/smol.gguf"
    assert wording.lane("router", "anthropic/claude-sonnet-4-5") == "router/anthropic/claude-sonnet-4-5"


def test_unknown_prices_are_said_beside_the_sum() -> None:
    assert wording.spent_today(0.0) == "$0.00 today"
    assert wording.spent_today(0.14, 2) == "$0.14 today, 2 of unknown price"


@pytest.mark.parametrize(
    ("number", "said"),
    [(8192, "8k"), (16_384, "16k"), (11_104, "11.1k"), (262_144, "256k"), (512, "512"), (128_000, "125k")],
)
def test_short_counts(number: int, said: str) -> None:
    assert wording.short_count(number) == said


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.64, "640 ms"), (1.94, "1.9 s"), (125, "2 min 5 s"), (3600, "1 h"), (None, "–")]
)
def test_durations(seconds: float | None, said: str) -> None:
    assert wording.duration(seconds) == said


def test_groups_run_from_today_to_months_and_name_the_year_when_it_is_another() -> None:
    said = [wording.group_of(NOW - timedelta(days=days), NOW) for days in (0, 1, 3, 7, 8, 40, 400)]
    assert said == ["Today", "Yesterday", "Previous 7 days", "Previous 7 days", "June", "May", "May 2025"]


def test_the_time_column_says_hour_then_weekday_then_date() -> None:
    said = [wording.list_time(NOW - timedelta(days=days), NOW) for days in (0, 1, 3, 8, 400)]
    assert said == ["14:06", "14:06", "Sun", "9 Jun", "13 May 2025"]


def test_ago() -> None:
    said = [wording.ago(NOW - timedelta(seconds=seconds), NOW) for seconds in (3, 60, 120, 7200, 90_000)]
    assert said == ["just now", "1 minute ago", "2 minutes ago", "2 hours ago", "1 day ago"]


def test_the_rest_of_a_download_is_silent_where_it_cannot_be_known() -> None:
    assert wording.left(0, 100, 0) == ""
    assert wording.left(0, 600, 1) == "10 min left"
    assert wording.left(0, 30, 1) == "30 s left"


def test_a_title_is_cut_at_a_word() -> None:
    title = wording.title_of(
        "\n  Why does the importer drop the last reading of every file that has no final newline?"
    )
    assert title.endswith("…")
    assert len(title) <= 61
    assert not title.rstrip("…").endswith(" ")
