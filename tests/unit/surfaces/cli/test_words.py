"""Numbers, times and tables as the look asks for them."""

import unicodedata
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legion_core.surfaces.cli import words

NOW = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("count", "shown"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (101_000_000, "101 MB"), (13_800_000_000, "13.8 GB")],
)
def test_sizes(count: int, shown: str) -> None:
    assert words.size(count) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [("", ""), ("dance", "dance"), ("a dance of lights", "a dance…"), ("dance of lights", "dance o…")],
)
def test_what_is_cut_says_so(text: str, shown: str) -> None:
    assert words.clipped(text, 8) == shown


@pytest.mark.parametrize(
    ("usd", "shown"),
    [(None, "price unknown"), (0.0, "$0.00"), (0.0041, "$0.0041"), (0.01, "$0.01"), (1234.5, "$1,234.50")],
)
def test_money_is_never_nothing_when_it_is_unknown(usd: float | None, shown: str) -> None:
    assert words.money(usd) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(None, ""), (0.64, "640 ms"), (1.94, "1.9 s"), (200, "3 min"), (7500, "2 h 5 min")],
)
def test_spans(seconds: float | None, shown: str) -> None:
    assert words.span(seconds) == shown


@pytest.mark.parametrize(
    ("back", "shown"),
    [
        (timedelta(seconds=5), "now"),
        (timedelta(minutes=5), "5 min ago"),
        (timedelta(hours=5), "5 h ago"),
        (timedelta(days=5), "5 d ago"),
        (timedelta(days=50), "2026-01-23"),
    ],
)
def test_times_are_relative_to_seven_days(back: timedelta, shown: str) -> None:
    assert words.ago(NOW - back, NOW) == shown


def test_columns_line_up_and_numbers_stand_right() -> None:
    shown = words.table(("Name", "Size"), [("a", "1"), ("longer", "1,000")], right=(1,))

    assert shown == "Name     Size\na           1\nlonger  1,000"


@given(st.lists(st.tuples(st.text(), st.text()), max_size=5))
def test_nothing_in_a_table_can_break_its_lines_or_reach_the_terminal(rows: list[tuple[str, str]]) -> None:
    shown = words.table(("A", "B"), rows)

    assert len(shown.split("\n")) == len(rows) + 1
    assert all(char.isprintable() or char == "\n" for char in shown)


@given(st.text())
def test_an_answer_keeps_its_lines_and_loses_its_escapes(text: str) -> None:
    shown = words.harmless(text)

    assert len(shown) == len(text)
    assert all(unicodedata.category(char)[0] != "C" or char in "\n\t" for char in shown)
