import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legion_core.engine.json_value import json_fault, same


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (float("nan"), "not a JSON number"),
        (float("-inf"), "not a JSON number"),
        (b"x", "bytes is not JSON"),
        ((1, 2), "tuple is not JSON"),
        (datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC), "datetime is not JSON"),
        ({1: 2}, "a int, not text"),
        ({"a": [{"b": {1}}]}, "set is not JSON"),
        ([10**5_000], "too many digits"),
        ([[[[]]]], "nested deeper than 2"),
        ([0] * 100, "more than 50 values"),
        ({"a" * 101: 1}, "more than 100 characters"),
        (["a" * 60, "b" * 60], "more than 100 characters"),
    ],
)
def test_what_is_not_json_within_the_bounds_is_named(value: object, words: str) -> None:
    depth = 2 if value == [[[[]]]] else 10
    assert words in json_fault(value, depth_max=depth, values_max=50, chars_max=100)


def test_a_small_document_that_refers_to_itself_many_times_is_refused() -> None:
    value: object = "ha"
    for _ in range(40):
        value = [value, value]
    assert "more than" in json_fault(value)


def test_depth_counts_from_a_scalar_as_none() -> None:
    assert json_fault(1, depth_max=0) == ""
    assert json_fault([1], depth_max=0) != ""
    assert json_fault([1], depth_max=1) == ""


SCALAR = (
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([0.0, 1.0, 0.5]) | st.text(max_size=2)
)
JSON = st.recursive(
    SCALAR,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=1), inner, max_size=3),
)


@given(JSON)
def test_json_is_json_and_equals_itself(value: object) -> None:
    assert json_fault(value) == ""
    assert same(value, value)


@pytest.mark.parametrize(
    ("one", "other", "answer"),
    [
        (1, 1.0, True),
        (True, 1, False),
        (0, False, False),
        ([True], [1], False),
        ({"a": 1}, {"a": 1.0}, True),
        ({"a": 1}, {"b": 1}, False),
        ([1, 2], [2, 1], False),
        ([1], [1, 2], False),
        ({"a": [{"b": None}]}, {"a": [{"b": None}]}, True),
        (None, False, False),
        ("1", 1, False),
        ([], {}, False),
    ],
)
def test_equality_is_that_of_json(one: object, other: object, answer: bool) -> None:
    assert same(one, other) is answer
    assert same(other, one) is answer
