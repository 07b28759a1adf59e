"""Which topics a subscription hears, against a reading by a regular expression."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legion_core.engine.topics import checked, hears
from legion_core.kernel.errors import InvalidInput

WORDS = st.lists(st.sampled_from(("a", "b", "ab")), min_size=1, max_size=5)
PARTS = st.lists(st.sampled_from(("a", "b", "*", "#")), min_size=1, max_size=5)


def naive(pattern: list[str], topic: list[str]) -> bool:
    each = {"*": "[^.]+[.]", "#": "([^.]+[.])*"}
    text = "".join(each.get(part, re.escape(part) + "[.]") for part in pattern)
    return re.fullmatch(text, "".join(f"{word}." for word in topic)) is not None


@given(PARTS, WORDS)
def test_a_pattern_hears_what_amqp_says_it_does(pattern: list[str], topic: list[str]) -> None:
    assert hears(".".join(pattern), ".".join(topic)) == naive(pattern, topic)


@pytest.mark.parametrize("topic", ["", ".", "a.", "a..b", "a.*", "#", "x" * 256, "a\nb"])
def test_what_is_no_topic_is_refused(topic: str) -> None:
    with pytest.raises(InvalidInput):
        checked(topic)


def test_a_topic_comes_back_as_it_is() -> None:
    assert checked("orders.eu.paid") == "orders.eu.paid"
