"""Timings in plain words, what changes of clocks do, the week's marks, and the form's values."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from app.viewmodels.schedule_draft import (
    Argument,
    Draft,
    args_of,
    arguments_of,
    draft_of,
    renamed,
    spec_of,
    unit_of,
)
from app.viewmodels.schedule_phrase import EXAMPLES, Phrase, understood
from app.viewmodels.schedule_week import Fire, State, monday_of, week_of
from app.viewmodels.schedule_words import every_words, until_words
from app.viewmodels.schedule_zone import notes, transitions
from legion_core.api.schedule_types import ScheduleRow
from legion_core.engine.cron import next_fires

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
MONDAY = date(2026, 11, 16)


@pytest.mark.parametrize(
    ("words", "cron"),
    [
        ("every weekday at 9:00", "0 9 * * 1-5"),
        ("Every Monday at 9am", "0 9 * * 1"),
        ("monday and thursday at 18:30", "30 18 * * 1,4"),
        ("daily at 9:30 and 17:30", "30 9,17 * * *"),
        ("every 10 minutes", "*/10 * * * *"),
        ("every 10 minutes from 9 to 17 on weekdays", "*/10 9-16 * * 1-5"),
        ("every 2 hours from 9 to 17 on weekdays", "0 9-17/2 * * 1-5"),
        ("every hour at 15 past", "15 * * * *"),
        ("hourly", "0 * * * *"),
        ("every minute", "* * * * *"),
        ("every half an hour", "*/30 * * * *"),
        ("on the 1st of every month at 7", "0 7 1 * *"),
        ("the 1st and 15th of the month at 06:15", "15 6 1,15 * *"),
        ("last day of the month at 23:00", "0 23 L * *"),
        ("last friday of the month at noon", "0 12 * * 5L"),
        ("second tuesday of the month at 8 pm", "0 20 * * 2#2"),
        ("weekends at midnight", "0 0 * * 0,6"),
        ("every day", "0 0 * * *"),
        ("12 am every day", "0 0 * * *"),
    ],
)
def test_plain_words_become_cron(words: str, cron: str) -> None:
    assert understood(words) == Phrase(cron=cron)
    assert next_fires(cron, "UTC", NOW, 1)


@pytest.mark.parametrize(
    ("words", "seconds"), [("every 90 minutes", 5400), ("every 7 minutes", 420), ("every 30 seconds", 30)]
)
def test_what_no_clock_divides_becomes_an_interval(words: str, seconds: float) -> None:
    assert understood(words) == Phrase(every_s=seconds)


@pytest.mark.parametrize(
    "words",
    ["", "nonsense", "sat at 25", "at 9:00 and 17:30", "every 7 minutes on weekdays", "13 pm", "every 0 minutes",
     "on the 45th of every month at 7", "every hour at 75 past", "every 10 minutes from 17 to 9"],
)  # fmt: skip
def test_what_is_not_understood_is_said_not_guessed(words: str) -> None:
    assert understood(words) is None


def test_every_example_is_understood() -> None:
    assert all(understood(words) for words in EXAMPLES)


def told(zone: str, cron: str) -> tuple[str, ...]:
    return notes(zone, NOW, lambda after, count: next_fires(cron, zone, after, count))


def test_changes_of_clocks_are_told_where_they_matter() -> None:
    assert told("Europe/Lisbon", "30 1 * * *") == (
        "On 28 March 01:30 does not exist in Lisbon. That run starts at 02:00.",
        "On 31 October 01:30 comes twice in Lisbon. It runs the first time.",
    )
    assert told("Australia/Lord_Howe", "15 2 * * *") == (
        "On 3 October 02:15 does not exist in Lord Howe. That run starts at 02:30.",
    )
    assert told("Europe/Berlin", "0 9 * * *") == ()
    assert told("UTC", "30 1 * * *") == ()
    assert told("Europe/Lisbon", "*/10 * * * *") == ()  # its pace is the same, whatever the clocks say


def test_transitions_are_found_to_the_second() -> None:
    found = transitions(ZoneInfo("America/New_York"), NOW)
    assert [(moment.isoformat(), shift) for moment, shift in found] == [
        ("2027-03-14T07:00:00+00:00", timedelta(hours=1)),
        ("2027-11-07T06:00:00+00:00", timedelta(hours=-1)),
    ]


def fires(name: str, *hours: float, day: int = 0, state: State = "ok") -> list[Fire]:
    start = datetime(2026, 11, 16, tzinfo=UTC) + timedelta(days=day)
    return [Fire(name, start + timedelta(hours=hour), state) for hour in hours]


def test_rare_fires_are_chips_a_stretch_is_a_block_and_spread_ones_are_dots() -> None:
    found: Sequence[Fire] = [
        *fires("nightly", 1.5),
        *fires("inbox", 9, 11, 13, 15),
        *fires("inbox", 17, state="failed"),
        *fires("index", 5, 11, 17, 23),
        *fires("tide", *(at / 6 for at in range(144))),
    ]
    week = week_of(MONDAY, found)
    kinds = {mark.schedule: mark.kind for mark in week.days[0]}
    assert kinds == {"nightly": "chip", "inbox": "block", "index": "dot"}
    block = next(mark for mark in week.days[0] if mark.kind == "block")
    assert (block.detail, block.state) == ("4 of 5, 1 failed", "failed")
    assert week.sentence == "16 to 22 November. Dots at the right edge: index. Not drawn: tide, 144 a day."


def test_marks_that_would_cover_each_other_stand_side_by_side() -> None:
    week = week_of(MONDAY, [*fires("a", 9), *fires("b", 9.2), *fires("c", 15)])
    assert [(mark.schedule, mark.lane, mark.lanes) for mark in week.days[0]] == [
        ("a", 0, 2),
        ("b", 1, 2),
        ("c", 0, 1),
    ]


def test_a_week_across_months_names_both() -> None:
    assert week_of(date(2026, 11, 30), ()).title == "30 November to 6 December"
    assert monday_of(date(2026, 11, 22)) == MONDAY


def test_times_to_come_are_said_shortly() -> None:
    said = [
        until_words(NOW + timedelta(seconds=at), NOW) for at in (0, 40, 240, 11_880, 41_400, 147_600, 864_000)
    ]
    assert said == ["now", "in 40 s", "in 4 min", "in 3 h 18 min", "in 11 h", "in 1 d 17 h", "in 10 days"]
    assert [every_words(each) for each in (21_600, 90, 86_400, 0.5)] == [
        "every 6 h",
        "every 90 s",
        "every 1 d",
        "every 0.5 s",
    ]


SCHEMA = {
    "properties": {
        "level": {"enum": ["info", "error"], "default": "info"}, "url": {"type": "string", "description": "where"},
        "count": {"type": "integer"}, "ratio": {"anyOf": [{"type": "number"}, {"type": "null"}]}, "loud": {"type": "boolean"},
        "data": {},
    },
    "required": ["url"],
}  # fmt: skip


def test_arguments_come_from_the_schema_the_needed_ones_first() -> None:
    found = arguments_of(SCHEMA)
    assert [(each.name, each.kind) for each in found] == [
        ("url", "text"), ("level", "choice"), ("count", "integer"), ("ratio", "number"), ("loud", "bool"), ("data", "json"),
    ]  # fmt: skip
    assert found[0].is_required


def test_what_was_typed_becomes_values_of_the_schema() -> None:
    typed = {"url": "7", "count": "7", "ratio": "0.5", "loud": "true", "data": '{"a": [1]}', "level": ""}
    assert args_of(typed, arguments_of(SCHEMA)) == {
        "url": "7", "count": 7, "ratio": 0.5, "loud": True, "data": {"a": [1]},
    }  # fmt: skip
    assert args_of({"url": "x", "data": "a word"}, arguments_of(SCHEMA))["data"] == "a word"


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ({"url": "x", "count": "many"}, "count must be a whole number."),
        ({"url": "x", "data": "{broken"}, "data is no value of JSON."),
        ({}, "url is needed."),
    ],
)
def test_what_does_not_fit_is_named(typed: dict[str, str], sentence: str) -> None:
    with pytest.raises(ValueError, match="^" + sentence.replace(".", r"\.") + "$"):
        args_of(typed, arguments_of(SCHEMA))


def test_a_draft_and_its_schedule_are_the_same_thing() -> None:
    row = ScheduleRow(
        id="s", name="n", target="a.b.c", args={"data": {"a": 1}, "url": "7", "loud": False}, cron="", zone="UTC",
        every_s=7200, missed="all", missed_max=100, overlap="queue", jitter_s=5, state="active", words="",
    )  # fmt: skip
    arguments = arguments_of(SCHEMA)
    draft = draft_of(row, arguments)
    assert (draft.every, draft.unit, draft.how) == (2, "hours", "every")
    spec = spec_of(draft, arguments)
    assert (spec.args, spec.every_s, spec.missed, spec.overlap, spec.jitter_s) == (
        row.args,
        7200,
        "all",
        "queue",
        5,
    )


def test_a_draft_says_what_is_missing() -> None:
    assert Draft().fault == "Give it a name."
    assert Draft(name="a").fault == "Choose what it runs."
    assert Draft(name="a", target="b", cron=" ").fault == "Say when."
    assert (
        Draft(name="a", target="b", how="words", words="gibberish").fault == "These words are not understood."
    )
    assert Draft(name="a", target="b", how="words", words="every day").fault == ""
    assert renamed(Draft(name="a"), frozenset({"a", "a-2"})).name == "a-3"
    assert unit_of(90) == (90, "seconds")
    assert Argument("x", "text").is_required is False
