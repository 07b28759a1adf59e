"""The filter's grammar: what is typed becomes tokens where it makes sense, and words otherwise."""

from datetime import UTC, datetime, timedelta

import pytest

from app.viewmodels.activity_query import VIEWS, Filter, Token, makes_sense, parse, query_of

NOW = datetime(2026, 6, 17, 14, 6, tzinfo=UTC)


def test_tokens_narrow_and_the_rest_are_words() -> None:
    found = parse("status:failed,skipped some words kind:task since:2h took:>1.5s cost:>0.05 http://x:80")
    assert found.words == "some words http://x:80"
    asked = query_of(found, NOW)
    assert (asked.states, asked.kinds, asked.took_min_s, asked.cost_min_usd) == (
        ("failed", "skipped"),
        ("task",),
        1.5,
        0.05,
    )
    assert asked.since == NOW - timedelta(hours=2)
    assert asked.words == ("some", "words", "http://x:80")


@pytest.mark.parametrize(
    "text",
    [
        "status:nonsense",
        "kind:",
        "kind:bird",
        "since:soon",
        "took:long",
        "cost:-1",
        "colour:red",
        "took:1e999s",
        "took:>..s",
    ],
)
def test_what_makes_no_sense_stays_a_word(text: str) -> None:
    assert parse(text) == Filter(words=text)


def test_a_field_typed_again_replaces_what_it_said() -> None:
    found = parse("status:done", (Token("status", "failed"), Token("kind", "task")))
    assert found.tokens == (Token("kind", "task"), Token("status", "done"))
    assert query_of(found, NOW).states == ("succeeded",)


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("today", datetime(2026, 6, 17, tzinfo=UTC)),
        ("yesterday", datetime(2026, 6, 16, tzinfo=UTC)),
        ("30m", NOW - timedelta(minutes=30)),
        ("7d", NOW - timedelta(days=7)),
        ("2026-06-01", datetime(2026, 6, 1, tzinfo=UTC)),
        ("2026-06-01T10:00:00+02:00", datetime(2026, 6, 1, 8, tzinfo=UTC)),
    ],
)
def test_moments_are_said_in_many_ways(value: str, moment: datetime) -> None:
    assert query_of(parse(f"since:{value}"), NOW).since == moment


def test_every_view_with_a_name_is_made_of_tokens_alone() -> None:
    for view in VIEWS:
        found = parse(view.text)
        assert found.text == view.text
        assert found.words == ""
        assert all(makes_sense(token) for token in found.tokens)


def test_a_field_is_set_and_taken_away() -> None:
    held = Filter().with_field("kind", "task").with_field("status", "failed", "skipped")
    assert held.text == "kind:task status:failed,skipped"
    assert held.values("status") == ("failed", "skipped")
    assert held.with_field("kind").text == "status:failed,skipped"
    assert Filter().is_empty
    assert not held.is_empty
