from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from app.viewmodels.growth import grow


@given(st.text(), st.lists(st.integers(0, 40)), st.integers(0, 40))
def test_pieces_in_order_from_any_snapshot_give_the_whole_text(
    whole: str, cuts: list[int], held: int
) -> None:
    places = sorted({0, *(cut % (len(whole) + 1) for cut in cuts), len(whole)})
    text = whole[: held % (len(whole) + 1)]
    for start, end in pairwise(places):
        growth = grow(len(text), start, whole[start:end])
        assert not growth.is_lost
        text += growth.tail
    assert text == whole


@given(st.integers(0, 100), st.integers(1, 100), st.text(min_size=1))
def test_a_piece_beyond_what_is_held_means_loss(length: int, gap: int, text: str) -> None:
    growth = grow(length, length + gap, text)
    assert growth.is_lost
    assert growth.tail == ""
