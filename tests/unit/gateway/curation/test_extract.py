"""What is quoted of a result: how it ended, each failing test once; of an edit its longest lines."""

from hypothesis import given, settings
from hypothesis import strategies as st

from legion_core.gateway.curation.extract import chosen_lines, is_true, longest_lines, outcome_lines

RUN = "\n".join(
    [
        "platform linux -- Python 3.11.9, pytest-8.3.3",
        *(f"tests/test_a.py::test_{at} {'FAILED' if at in (3, 5) else 'PASSED'} [{at}%]" for at in range(40)),
        "=================== FAILURES ===================",
        "E   AssertionError: 3 is not 4",
        "FAILED tests/test_a.py::test_3 - AssertionError: 3 is not 4",
        "FAILED tests/test_a.py::test_5 - KeyError: 'a - b'",
        "========= 2 failed, 38 passed in 1.20s =========",
        "exit code: 1",
    ]
)


def test_each_failing_test_is_named_once_and_headlines_are_left_out() -> None:
    lines = outcome_lines(RUN, 1_200)

    assert lines == [
        "FAILED tests/test_a.py::test_3…",
        "FAILED tests/test_a.py::test_5…",
        "========= 2 failed, 38 passed in 1.20s =========",
        "exit code: 1",
    ]
    assert is_true(lines, RUN)


def test_progress_lines_name_the_failures_where_no_summary_does() -> None:
    text = "a.py::test_x FAILED [10%]\nsomething else\nBUILD FAILED"

    assert outcome_lines(text, 1_200) == ["a.py::test_x FAILED [10%]", "BUILD FAILED"]


def test_what_a_command_said_last_is_kept_where_room_is_short() -> None:
    assert outcome_lines(RUN, 70)[-1] == "exit code: 1"


@given(st.text(max_size=600), st.integers(10, 500))
@settings(max_examples=150, deadline=None)
def test_an_outcome_is_always_lines_of_the_original(text: str, chars: int) -> None:
    assert is_true(outcome_lines(text, chars), text)


def test_of_an_edit_the_longest_lines_stand_in_their_order() -> None:
    written = "def f(x):\n    y = compute_everything(x, retries=3)\n    # no\n    return transform(y, mode='strict')"

    assert longest_lines(written, 76) == [
        "y = compute_everything(x, retries=3)",
        "return transform(y, mode='strict')",
    ]
    assert longest_lines("x" * 500, 100) == ["x" * 100 + "…"]
    assert longest_lines(" \n\n", 100) == []


def test_a_credential_is_not_quoted_again_for_having_been_printed_once() -> None:
    secret = "ghp_" + "a1b2" * 9
    text = f"Error: token rejected\nexport TOKEN={secret}\nexit code: 1"

    assert chosen_lines(text, 600) == ["Error: token rejected", "exit code: 1"]
    assert longest_lines(text, 300) == ["Error: token rejected", "exit code: 1"]
