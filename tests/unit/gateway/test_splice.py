"""Two halves of one text, the second written by a model that was only asked to go on."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from legion_core.gateway.splice import ANCHOR_CHARS, Splice, anchor_of

WORDS = st.text(alphabet="abc ,.\n", min_size=1, max_size=40)
SENTENCES = st.lists(
    st.sampled_from(
        ["The ", "sun ", "rises ", "in ", "the ", "east. ", "Über ", "\n", "x = 1\n", "yes ", "— ", "🙂 "]
    ),
    min_size=1,
    max_size=60,
).map("".join)
CUTS = st.lists(st.integers(1, 9), min_size=1, max_size=40)


def pieces(text: str, sizes: list[int]) -> list[str]:
    out, at, turn = list[str](), 0, 0
    while at < len(text):
        size = sizes[turn % len(sizes)]
        out.append(text[at : at + size])
        at, turn = at + size, turn + 1
    return out


def joined(first: str, second: str, sizes: list[int]) -> str:
    splice = Splice(first)
    return first + "".join(splice.feed(piece) for piece in pieces(second, sizes)) + splice.end()


def is_unique(first: str) -> bool:
    bare, anchor = first.rstrip(), anchor_of(first)
    return bool(anchor) and bare.find(anchor) == len(bare) - len(anchor)


@given(SENTENCES, SENTENCES, CUTS)
@example("The capital of Fran", "ce is Paris.", [3])
def test_a_model_that_repeats_the_anchor_is_joined_exactly(first: str, rest: str, sizes: list[int]) -> None:
    if not (anchor := anchor_of(first)):
        return
    tail = first[len(first.rstrip()) :]

    assert joined(first, anchor + tail + rest, sizes) == first + rest


@given(SENTENCES, SENTENCES, CUTS, st.integers(0, 400))
def test_a_model_that_repeats_more_than_the_anchor_or_all_of_it_is_joined_exactly(
    first: str, rest: str, sizes: list[int], before: int
) -> None:
    if not is_unique(first):
        return
    start = max(0, len(first.rstrip()) - len(anchor_of(first)) - before)

    assert joined(first, first[start:] + rest, sizes) == first + rest


@given(SENTENCES | WORDS, SENTENCES | WORDS, CUTS)
def test_a_model_that_repeats_nothing_loses_nothing(first: str, rest: str, sizes: list[int]) -> None:
    if anchor_of(first) and (anchor_of(first) in rest or first.strip().startswith(rest.strip())):
        return

    assert joined(first, rest, sizes) == first + rest


@given(SENTENCES, SENTENCES, CUTS)
def test_what_is_added_is_always_an_end_of_what_the_model_wrote(
    first: str, second: str, sizes: list[int]
) -> None:
    whole = joined(first, second, sizes)

    assert whole.startswith(first)
    assert second.endswith(whole[len(first) :])


@given(SENTENCES)
def test_the_anchor_ends_the_text_and_begins_with_a_word(text: str) -> None:
    anchor, bare = anchor_of(text), text.rstrip()

    assert bare.endswith(anchor)
    assert bool(anchor) == bool(bare)
    before = bare[: len(bare) - len(anchor)]
    space = len(before) - len(before.rstrip())
    assert len(anchor) + space >= min(ANCHOR_CHARS, len(bare))
    assert not before or space


@pytest.mark.parametrize(
    "preamble",
    ["", " ", "…", '"', "Here is the rest of the answer:\n\n", "Sure! Continuing from there: …"],
)
def test_what_models_say_before_they_go_on_is_dropped(preamble: str) -> None:
    first = "The mitochondrion is the powerhouse of the cell, and it makes most of its AT"

    assert joined(first, preamble + anchor_of(first) + "P in the inner membrane.", [4]) == (
        first + "P in the inner membrane."
    )


def test_a_preamble_without_the_anchor_is_kept_for_it_may_be_the_answer() -> None:
    first = "There are two reasons why the sky looks blue at noon. "

    assert joined(first, "First: the air scatters blue light.", [3]) == (
        first + "First: the air scatters blue light."
    )


def test_an_answer_begun_anew_that_ends_early_adds_nothing() -> None:
    first = "One two three four five six seven eight nine ten eleven twelve"

    assert joined(first, "One two three four five six seven eight", [5]) == first


def test_text_is_held_no_longer_than_the_anchor_may_still_come() -> None:
    splice = Splice("A first half that has some length to it, and ends he")

    assert splice.feed("re. ") == ""
    assert splice.feed("\nA new line") == "re. \nA new line"
    assert splice.feed(" goes through") == " goes through"


def test_white_space_at_the_end_is_neither_lost_nor_doubled() -> None:
    first = "It ends with two line breaks after a colon:\n\n"

    assert joined(first, anchor_of(first) + "\n\n- one", [1]) == first + "- one"
    assert joined(first, anchor_of(first) + " - one", [2]) == first + " - one"
