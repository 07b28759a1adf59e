import re
import time
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legion_core.engine.cron import MACROS, next_fires, parsed, zone
from legion_core.engine.cron_words import in_words
from legion_core.engine.refusal import InvalidDocument
from tests.unit.engine import naive_cron as naive

DOCUMENT = (Path(__file__).parents[3] / "docs" / "schedules.md").read_text(encoding="utf-8")
ZONES = [
    "America/New_York",
    "Europe/Berlin",
    "Australia/Lord_Howe",  # half an hour
    "America/St_Johns",
    "Africa/Casablanca",  # four changes a year
    "Antarctica/Troll",  # two hours
]
START, END = datetime(2025, 1, 1, tzinfo=UTC), datetime(2028, 1, 1, tzinfo=UTC)
SPARSE = [
    "30 2 * * *", "0 0 * * *", "0 1,2,3 * * *", "15,45 1-3 * * *", "0 9 * * MON-FRI", "0 0 29 2 *", "0 0 31 * *",
    "30 1 1,15 * 1", "0 12 L * *", "0 12 LW * *", "30 2 * * 0L", "0 3 * * 7#2", "0 0 1 1 *", "59 23 31 12 *",
    "0 */6 * * *", "*/30 2 * * SUN", "0 2 */2 3,10 *", "0 2 * 3,11 */3", "10 30 2 * * SUN",
]  # fmt: skip


def ours(expression: str, name: str, start: datetime, end: datetime) -> list[datetime]:
    found: list[datetime] = []
    for moment in parsed(expression).fires(zone(name), start):
        if moment > end:
            break
        found.append(moment)
    return found


@pytest.mark.parametrize("name", ZONES)
def test_three_years_agree_with_a_naive_reading(name: str, count_factor: int) -> None:
    """Three years of every expression at full count; here a third of them, those that follow elapsed time for less."""
    for expression in SPARSE if count_factor > 1 else SPARSE[ZONES.index(name) % 3 :: 3]:
        is_short = count_factor == 1 and not parsed(expression).is_fixed
        end = datetime(2025, 5, 1, tzinfo=UTC) if is_short else END
        assert ours(expression, name, START, end) == naive.fires(expression, name, START, end), expression


def changes(name: str) -> list[datetime]:
    """The hours within which the clocks change, and two plain ones."""
    found = [datetime(2026, 1, 15, 12, tzinfo=UTC), datetime(2026, 2, 28, 23, tzinfo=UTC)]
    at = START
    while at < END:
        if naive.offset(name, at) != naive.offset(name, at + timedelta(hours=6)):
            found.append(at)
        at += timedelta(hours=6)
    return found


CHANGES = {name: changes(name) for name in ZONES}


@st.composite
def expressions(draw: st.DrawFn) -> str:
    def field(low: int, high: int, *more: str) -> str:
        number = st.integers(low, high)
        span = st.tuples(number, number).map(lambda pair: f"{min(pair)}-{max(pair)}")
        step = st.integers(1, max(1, (high - low) // 2))
        item = st.one_of(
            number.map(str),
            span,
            st.tuples(span, step).map(lambda pair: f"{pair[0]}/{pair[1]}"),
            st.tuples(number, step).map(lambda pair: f"{pair[0]}/{pair[1]}"),
        )
        star = st.just("*") | step.map(lambda each: f"*/{each}")
        return draw(
            st.one_of(star, st.lists(item, min_size=1, max_size=3).map(",".join), *map(st.just, more))
        )

    weekday = draw(
        st.just("*")
        | st.sampled_from(
            ["0", "7", "1-5", "MON-SUN", "sat", "5L", "0#2", "tue#5", "*/2", "0,6", "6-7", "1-6/2"]
        )
    )
    day = field(1, 31, "L", "LW", "*")
    month = draw(st.just("*") | st.sampled_from(["3", "10,11", "MAR-apr", "*/2", "1-12", "4/7"]))
    second = draw(st.just("") | st.sampled_from(["0 ", "30 ", "*/20 ", "59 "]))
    return f"{second}{field(0, 59)} {field(0, 23)} {day} {month} {weekday}"


def comes(expression: str) -> bool:
    """Whether it ever comes; anything else wrong with it is a failure of the test."""
    try:
        parsed(expression)
    except InvalidDocument as error:
        if "never comes" in str(error):
            return False
        raise
    return True


@given(expressions(), st.sampled_from(ZONES), st.integers(0, 50), st.integers(-2_000, 2_000))
def test_any_expression_agrees_with_a_naive_reading_around_a_change(
    expression: str, name: str, which: int, minutes: int
) -> None:
    at = CHANGES[name][which % len(CHANGES[name])] + timedelta(minutes=minutes)
    if not comes(expression):
        return
    end = at + timedelta(days=2)
    assert ours(expression, name, at, end) == naive.fires(expression, name, at, end)


def table() -> list[tuple[str, str, list[str]]]:
    """Rows of the published table: expression, the day, the times of that day."""
    rows = re.findall(r"^\| `([^`]* [^`]+)` \| ([^|]+) \| ([^|]+) \|$", DOCUMENT, re.MULTILINE)
    return [
        (expression, day, re.findall(r"\d\d:\d\d [-+]\d\d:\d\d", cell))
        for expression, spring, autumn in rows
        for day, cell in (("2026-03-08", spring), ("2026-11-01", autumn))
    ]


@pytest.mark.parametrize(("expression", "day", "times"), table())
def test_the_published_table_of_changes_holds(expression: str, day: str, times: list[str]) -> None:
    start = datetime.fromisoformat(f"{day}T00:59:00").replace(tzinfo=ZoneInfo("America/New_York"))
    found = ours(
        expression,
        "America/New_York",
        start.astimezone(UTC),
        start.astimezone(UTC) + timedelta(hours=3, minutes=31),
    )
    local = [each.astimezone(ZoneInfo("America/New_York")).isoformat() for each in found]
    shown = [f"{each[11:16]} {each[19:]}" for each in local]
    if expression == "30 * * * *":  # the table shows the hours around the change only
        shown = [each for each in shown if each in times]
    assert shown == times


def test_a_time_in_the_gap_runs_once_at_the_first_moment_after_it() -> None:
    after = datetime(2026, 3, 8, 5, tzinfo=UTC)
    first, second = next_fires("30 2 * * *", "America/New_York", after, 2)
    assert first.isoformat() == "2026-03-08T07:00:00+00:00"  # 03:00 -04:00
    assert second.isoformat() == "2026-03-09T06:30:00+00:00"


def test_a_day_that_a_zone_skipped_runs_at_the_start_of_the_next() -> None:
    after = datetime(2011, 12, 30, 0, tzinfo=UTC)
    (first,) = next_fires("0 12 30 12 *", "Pacific/Apia", after, 1)
    assert first.astimezone(zone("Pacific/Apia")).isoformat() == "2011-12-31T00:00:00+14:00"


@given(st.sampled_from(ZONES), st.integers(0, 50), st.integers(-180, 180), st.sampled_from(SPARSE))
def test_the_next_moment_does_not_depend_on_where_one_asks_from(
    name: str, which: int, minutes: int, expression: str
) -> None:
    """A restart in between, at any minute, neither skips nor repeats."""
    at = CHANGES[name][which % len(CHANGES[name])] + timedelta(minutes=minutes)
    whole = next_fires(expression, name, at, 4)
    stepped: list[datetime] = []
    for _ in range(4):
        (one,) = next_fires(expression, name, stepped[-1] if stepped else at, 1)
        stepped.append(one)
    assert tuple(stepped) == whole
    assert all(one < other for one, other in pairwise(whole))


def test_every_zone_there_is_gives_ascending_moments(count_factor: int) -> None:
    names = sorted(available_timezones())
    for name in names[:: 1 if count_factor > 1 else 12]:
        for expression in ("30 2 * * *", "*/20 * * * *", "0 0 L * *"):
            found = next_fires(expression, name, datetime(2026, 3, 28, 22, tzinfo=UTC), 20)
            assert len(found) == 20
            assert all(one < other for one, other in pairwise(found)), name


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "has 0 fields"),
        ("* * * *", "has 4 fields"),
        ("* * * * * * *", "has 7 fields"),
        ("60 * * * *", "expected 0 to 59, found '60'"),
        ("* 24 * * *", "expected 0 to 23"),
        ("* * 0 * *", "expected 1 to 31"),
        ("* * 32 * *", "expected 1 to 31"),
        ("* * * 13 *", "expected 1 to 12 or JAN to DEC"),
        ("* * * * 8", "expected 0 to 7 or SUN to SAT"),
        ("*/0 * * * *", "a step is a number from 1 to 59"),
        ("*/60 * * * *", "a step is a number"),
        ("*/x * * * *", "a step is a number"),
        ("* * * * */7", "from 1 to 6"),
        ("5-1 * * * *", "goes backwards"),
        ("* * * * FRI-MON", "goes backwards"),
        ("1,,2 * * * *", "found ''"),
        (", * * * *", "found ''"),
        ("1-2-3 * * * *", "found '2-3'"),
        ("-1 * * * *", "found ''"),
        ("1.5 * * * *", "found '1.5'"),
        ("٣ * * * *", "expected 0 to 59"),
        ("* * ? * *", "Write * for any"),
        ("* * 15W * *", "found '15W'"),
        ("* * L-3 * *", "found"),
        ("* * L/2 * *", "found 'L'"),
        ("* * * L *", "found 'L'"),
        ("* * * * L", "found 'L'"),
        ("* * * * 5#6", "from 1 to 5"),
        ("* * * * #2", "found ''"),
        ("* * * JANUARY *", "found 'JANUARY'"),
        ("0 0 31 2 *", "never comes"),
        ("0 0 30 2 *", "never comes"),
        ("0 0 31 4,6,9,11 *", "never comes"),
        ("0 0 31 2 */2", "never comes"),
        ("@reboot", "`once`"),
        ("@every", "interval"),
        ("@never", "@yearly"),
        ("* " * 200, "at most 200"),
        ("9" * 150, "has 1 fields"),
    ],
)
def test_what_is_outside_the_grammar_is_refused(text: str, words: str) -> None:
    started_s = time.process_time()
    with pytest.raises(InvalidDocument) as refused:
        parsed(text)
    assert words in str(refused.value)
    assert time.process_time() - started_s < 0.05


def test_all_faults_of_an_expression_are_told_at_once() -> None:
    with pytest.raises(InvalidDocument) as refused:
        parsed("60 24 32 13 8")
    assert [fault.key for fault in refused.value.faults] == [
        "minute", "hour", "day of month", "month", "day of week",
    ]  # fmt: skip


def test_day_31_of_february_or_a_monday_comes() -> None:
    assert len(next_fires("0 0 31 2 1", "UTC", START, 3)) == 3


@pytest.mark.parametrize(
    "name", ["", "Nowhere/Land", "../etc/passwd", "/etc/localtime", "America", "x" * 500, "\0"]
)
def test_an_unknown_zone_is_refused(name: str) -> None:
    with pytest.raises(InvalidDocument, match="zone"):
        next_fires("* * * * *", name, START, 1)


def test_the_calendar_ends_without_an_error() -> None:
    assert next_fires("0 0 1 1 *", "UTC", datetime(9999, 6, 1, tzinfo=UTC), 5) == ()
    assert len(next_fires("0 0 1 12 *", "Europe/Berlin", datetime(9999, 6, 1, tzinfo=UTC), 5)) == 1


def test_years_far_away_are_reached() -> None:
    (first,) = next_fires("0 0 29 2 *", "UTC", datetime(2097, 1, 1, tzinfo=UTC), 1)
    assert first.year == 2104  # 2100 is no leap year
    (second,) = next_fires("0 0 1 1 *", "UTC", datetime(1901, 6, 1, tzinfo=UTC), 1)
    assert second.year == 1902
    (third,) = next_fires("14 3 19 1 2", "UTC", datetime(2038, 1, 18, 23, tzinfo=UTC), 1)
    assert third.year == 2038


def test_sunday_is_0_and_7_and_sun() -> None:
    moments = {next_fires(f"0 0 * * {day}", "UTC", START, 5) for day in ("0", "7", "SUN", "sun", "0,7")}
    assert len(moments) == 1
    assert next(iter(moments))[0].weekday() == 6


@pytest.mark.parametrize(("macro", "expression"), MACROS.items())
def test_a_macro_stands_for_its_expression(macro: str, expression: str) -> None:
    assert list(islice(parsed(macro).fires(zone("UTC"), START), 5)) == list(
        islice(parsed(expression.upper()).fires(zone("UTC"), START), 5)
    )
    assert parsed(macro.upper()).fields == parsed(expression).fields


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0 9 * * MON-FRI", "every weekday at 09:00"),
        ("* * * * *", "every minute"),
        ("*/5 * * * *", "every 5 minutes"),
        ("*/20 9-17 * * 1-5", "every 20 minutes from 09:00 to 17:59 on weekdays"),
        ("0 * * * *", "every hour"),
        ("30 * * * *", "every hour at 30 past"),
        ("0 */2 * * *", "every 2 hours"),
        ("0 */2 * * SUN", "every 2 hours on every Sunday"),
        ("@daily", "every day at 00:00"),
        ("@yearly", "on the 1st at 00:00 in January"),
        ("@monthly", "on the 1st of every month at 00:00"),
        ("0 9,17 * * 1,4", "every Monday and Thursday at 09:00 and 17:00"),
        ("0 8 * * 0,6", "every Saturday and Sunday at 08:00"),
        ("15 10 L * *", "on the last day of every month at 10:15"),
        ("15 10 LW * *", "on the last weekday of every month at 10:15"),
        ("0 12 * * 5L", "on the last Friday of every month at 12:00"),
        ("0 12 * 1,7 MON#2", "on the 2nd Monday at 12:00 in January and July"),
        ("0 0 1,15,23 * 1", "on the 1st, 15th and 23rd of every month and every Monday at 00:00"),
        ("*/7 * * * *", "every day, in every hour, minute every 7"),
        ("10 0 9 * * *", "every day, at hour 9, minute 0, second 10"),
    ],
)
def test_an_expression_is_told_in_words(text: str, words: str) -> None:
    assert in_words(parsed(text)) == words


@given(expressions())
def test_any_expression_has_words(expression: str) -> None:
    try:
        cron = parsed(expression)
    except InvalidDocument:
        return
    assert in_words(cron)


def test_ten_thousand_schedules_find_their_next_moment_quickly() -> None:
    started_s = time.process_time()
    for number in range(10_000):
        (moment,) = next_fires(
            f"{number % 60} {number // 60 % 24} * * {number % 7}", ZONES[number % 6], START, 1
        )
        assert moment > START
    assert time.process_time() - started_s < 20
