"""A function's own signature is its schema: what it takes, what may be left out, what a typed word means."""

from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from legion_core.engine.signature import read_signature
from legion_core.engine.words import typed
from legion_core.kernel.errors import InvalidInput


class Point(msgspec.Struct):
    x: float
    y: float = 0.0


def everything(
    count: int,
    word: str = "x",
    share: float = 0.5,
    is_on: bool = False,
    mode: Literal["fast", "slow"] = "fast",
    tags: list[str] = [],  # noqa: B006
    at: Point | None = None,
    either: int | str = 3,
    free: Any = None,
) -> None:
    """Takes everything.

    count: how often,
        at least once
    """


SIGNATURE = read_signature(everything)


def test_what_has_a_default_may_be_left_out_and_the_rest_is_required() -> None:
    assert SIGNATURE.schema["required"] == ["count"]
    assert SIGNATURE.read(SIGNATURE.check({"count": 2})) == {
        "count": 2, "word": "x", "share": 0.5, "is_on": False, "mode": "fast", "tags": [], "at": None,
        "either": 3, "free": None,
    }  # fmt: skip


def test_a_literal_is_an_enumeration_and_unknown_names_are_not_allowed() -> None:
    assert SIGNATURE.schema["properties"]["mode"]["enum"] == ["fast", "slow"]
    assert SIGNATURE.schema["additionalProperties"] is False


@pytest.mark.parametrize(
    ("args", "named"),
    [
        ({}, "count"),
        ({"count": "2"}, "count"),
        ({"count": 1, "mode": "warp"}, "mode"),
        ({"count": 1, "spare": 1}, "spare"),
        ({"count": 1, "at": {"y": 1}}, "at"),
    ],
)
def test_an_argument_that_does_not_fit_is_named(args: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        SIGNATURE.check(args)
    assert named in raised.value.message
    assert "count" in raised.value.hint


@pytest.mark.parametrize(
    ("name", "word", "value"),
    [
        ("count", "3", 3),
        ("word", "3", "3"),
        ("word", "https://x/?a=b:c", "https://x/?a=b:c"),
        ("share", "0.25", 0.25),
        ("share", "2", 2),
        ("is_on", "true", True),
        ("mode", "slow", "slow"),
        ("tags", '["a", "b"]', ["a", "b"]),
        ("at", '{"x": 1}', {"x": 1}),
        ("at", "null", None),
        ("either", "12", 12),
        ("either", "a12", "a12"),
        ("free", "[1]", [1]),
        ("free", "plain", "plain"),
        ("unknown", "5", 5),
    ],
)
def test_a_typed_word_becomes_what_the_schema_asks_for(name: str, word: str, value: object) -> None:
    assert typed(SIGNATURE.schema, {name: word}) == {name: value}


@pytest.mark.parametrize(
    ("name", "word"), [("count", "three"), ("is_on", "yes"), ("tags", "a,b"), ("share", "half")]
)
def test_a_typed_word_that_cannot_be_it_is_named(name: str, word: str) -> None:
    with pytest.raises(InvalidInput, match=name):
        typed(SIGNATURE.schema, {name: word})


@given(st.text())
def test_any_text_typed_for_text_is_that_text(text: str) -> None:
    assert typed(SIGNATURE.schema, {"word": text}) == {"word": text}


@given(st.integers(-(2**53), 2**53), st.booleans(), st.lists(st.text()))
def test_what_is_checked_is_read_back_unchanged(count: int, is_on: bool, tags: list[str]) -> None:
    stored = SIGNATURE.check({"count": count, "is_on": is_on, "tags": tags})
    read = SIGNATURE.read(stored)
    assert (read["count"], read["is_on"], read["tags"]) == (count, is_on, tags)
