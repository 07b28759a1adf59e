"""A generated text told apart: the same from any split, marks never shown, nothing lost, nothing behind a stop."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legion_core.workers.engines.mlx_text import Marks, Splitter

MARKS = Marks(
    think_start="<think>",
    think_end="</think>",
    call_start="<tool_call>",
    call_end="</tool_call>",
    stop=("STOP", "ST"),
)
PIECES = st.sampled_from(
    [
        "<think>",
        "</think>",
        "<tool_call>",
        "</tool_call>",
        "{}",
        "a",
        "<",
        "S",
        "<t",
        "STO",
        "b c",
        "\n",
        "</",
        "é",
    ]
)


def told(
    text: str, sizes: list[int], marks: Marks = MARKS, *, is_thinking: bool = False
) -> list[tuple[str, str]]:
    splitter, found, at = Splitter(marks, is_thinking=is_thinking), list[tuple[str, str]](), 0
    while at < len(text):
        size = sizes[at % len(sizes)]
        found += splitter.feed(text[at : at + size])
        at += size
    found += splitter.close()
    joined = list[tuple[str, str]]()
    for mode, piece in found:
        if joined and joined[-1][0] == mode and mode != "call":
            joined[-1] = (mode, joined[-1][1] + piece)
        else:
            joined.append((mode, piece))
    return joined


@given(st.lists(PIECES, max_size=14).map("".join), st.lists(st.integers(1, 7), min_size=1, max_size=4))
def test_what_is_told_does_not_depend_on_how_the_text_was_cut(text: str, sizes: list[int]) -> None:
    assert told(text, sizes) == told(text, [1])


@given(st.text(alphabet="ab<>/ tS", max_size=40), st.integers(1, 5))
def test_a_text_without_marks_passes_whole(text: str, size: int) -> None:
    if not any(mark in text for mark in ("<think>", "<tool_call>", "ST")):
        assert told(text, [size]) == ([("text", text)] if text else [])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("<think>2+2</think>Four.", [("thinking", "2+2"), ("text", "Four.")]),
        (
            'I look.<tool_call>{"a": 1}</tool_call><tool_call>{"b": 2}</tool_call>',
            [("text", "I look."), ("call", '{"a": 1}'), ("call", '{"b": 2}')],
        ),
        ("one STOP two", [("text", "one ")]),
        ("ends in ST", [("text", "ends in ")]),
        ("<tool_call>{half", []),
        ("<thin", [("text", "<thin")]),
        ("<think>STOP is a word", [("thinking", "STOP is a word")]),
    ],
)
def test_marks_are_taken_and_what_they_mean_is_told(text: str, found: list[tuple[str, str]]) -> None:
    assert told(text, [1]) == found
    assert told(text, [100]) == found


def test_a_call_without_an_end_mark_goes_to_the_answers_end() -> None:
    assert told("[CALLS] x", [2], Marks(call_start="[CALLS]")) == [("call", " x")]


def test_a_prompt_that_opened_a_thought_begins_inside_it() -> None:
    assert told("hm</think>Yes", [3], is_thinking=True) == [("thinking", "hm"), ("text", "Yes")]
