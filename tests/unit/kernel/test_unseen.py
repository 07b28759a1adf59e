"""What a reader does not see is taken out or spelled, and what is seen stays as it is."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legion_core.kernel.unseen import has_unseen, spelled, without_unseen

HIDDEN = (
    "\u200b", "\u202e", "\u2066", "\x1b", "\x9b", "\x7f", "\u2028", "\u3164", "\u115f", "\u2800", "\u034f", "\ue000",
    "\U000e0041", "\U000e0100", "\ufe00", "\ufe0f\ufe0f",
)  # fmt: skip


@pytest.mark.parametrize("hidden", HIDDEN, ids=ascii)
def test_it_is_found_taken_out_and_spelled(hidden: str) -> None:
    text = f"a{hidden}b"
    assert has_unseen(text)
    assert without_unseen(text) == "ab"
    assert spelled(text).isascii()
    assert json.loads(f'"{spelled(text)}"') == text


@pytest.mark.parametrize(
    "text", ["plain", "zwei\u00a0Wörter", "日本語", "\u26a0\ufe0f", "line\n\tnext", "עברית"]
)
def test_what_is_seen_stays(text: str) -> None:
    assert not has_unseen(text)
    assert without_unseen(text) == spelled(text) == text


@given(st.text())
def test_json_whose_unseen_is_spelled_means_the_same(text: str) -> None:
    told = spelled(json.dumps({text: text}, ensure_ascii=False))
    assert json.loads(told) == {text: text}
    assert not has_unseen(told)
