"""Text that a server cut between the two halves of a character comes out whole; half a character is never an error."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legion_core.gateway.providers.halves import Halves
from legion_core.gateway.types import TextDelta
from legion_core.testing.upstreams import Answer, Say
from tests.unit.gateway.providers.test_wire_faults import run


def units(text: str) -> list[str]:
    """Its UTF-16 units, halves of pairs by themselves."""
    raw = text.encode("utf-16-le", "surrogatepass")
    return [chr(int.from_bytes(raw[at : at + 2], "little")) for at in range(0, len(raw), 2)]


def through(pieces: list[str]) -> str:
    halves = Halves()
    return "".join(json.loads(halves.mended(json.dumps(piece))) for piece in pieces)


@given(text=st.text(), cuts=st.lists(st.integers(0, 60)))
def test_text_cut_anywhere_between_its_units_comes_out_as_it_was(text: str, cuts: list[int]) -> None:
    told = units(text)
    ends = [*sorted({min(cut, len(told)) for cut in cuts}), len(told)]
    pieces = ["".join(told[start:end]) for start, end in zip([0, *ends], ends, strict=False)]
    assert through(pieces) == text


@given(st.lists(st.text(st.characters(min_codepoint=0xD700, max_codepoint=0xE010), max_size=5)))
def test_halves_without_the_other_are_replaced_and_nothing_is_left_that_cannot_be_sent(
    pieces: list[str],
) -> None:
    through(pieces).encode()


@pytest.mark.parametrize(
    ("data", "mended"),
    [
        ('"\\\\ud83d"', '"\\\\ud83d"'),  # an escaped backslash before letters
        ('"\\ud83d\\ude00"', '"\\ud83d\\ude00"'),
        ('"\\ude00"', '"\ufffd"'),
        ('"\\ud83dx"', '"\ufffdx"'),
        ('"\\ud83d"', '""'),
        ('"\\u0041"', '"\\u0041"'),
    ],
)
def test_only_halves_are_touched(data: str, mended: str) -> None:
    assert Halves().mended(data) == mended


def test_an_answer_cut_inside_a_character_is_whole() -> None:
    def event(text: str, finish: str = "null") -> bytes:
        return b'data: {"choices":[{"index":0,"delta":{"content":"%b"},"finish_reason":%b}]}\n\n' % (
            text.encode(),
            finish.encode(),
        )

    data = (
        event("a\\ud83d") + event("\\ude00b") + event("\\ud83d") + event("", '"stop"') + b"data: [DONE]\n\n"
    )
    got, caught = run("openai", Answer(fault=Say(at_event=0, data=data)))
    assert caught is None
    assert "".join(chunk.text for chunk in got if isinstance(chunk, TextDelta)) == "a\N{GRINNING FACE}b"
