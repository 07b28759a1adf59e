"""What differs between two looks is told path by path, and bounded."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from legion_core.engine.actor_memory import DIFFERENCES_MAX, change

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner, max_size=4),
    max_leaves=12,
)


def differences(before: Any, after: Any) -> list[dict[str, Any]]:
    return change(msgspec.json.encode(before), msgspec.json.encode(after))["diff"]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (1, 2, [{"path": "", "before": 1, "after": 2}]),
        ({"a": 1}, {"a": 1, "b": None}, [{"path": "b", "after": None}]),
        ({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3, 4]}}, [
            {"path": "a.b.1", "before": 2, "after": 3}, {"path": "a.b.2", "after": 4},
        ]),
        ([1], [], [{"path": "0", "before": 1}]),
        (True, 1, [{"path": "", "before": True, "after": 1}]),
        ({"a": 1}, [1], [{"path": "", "before": {"a": 1}, "after": [1]}]),
    ],
)  # fmt: skip
def test_each_difference_is_named_by_its_path(before: Any, after: Any, expected: Any) -> None:
    assert differences(before, after) == expected


@given(JSON, JSON)
def test_there_is_a_difference_where_the_documents_differ(before: Any, after: Any) -> None:
    found = differences(before, after)
    assert bool(found) == (msgspec.json.encode(before) != msgspec.json.encode(after)) or before == after


def test_no_more_are_told_than_anybody_reads() -> None:
    assert len(differences(list(range(1_000)), list(range(1, 1_001)))) == DIFFERENCES_MAX
