"""Bars on a time axis: what is written beside a bar is never cut where a shorter axis would give it room."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.widgets.waterfall import reserve


def test_an_axis_whose_notes_fit_is_not_shortened() -> None:
    assert reserve(200, [(0.0, 0.5, 90), (0.5, 1.0, 90)]) == 0


def test_a_note_that_fits_on_neither_side_shortens_the_axis() -> None:
    # The bar ends at the end, and there are 46 px before it: 50 are wanted.
    assert reserve(200, [(0.23, 1.0, 50)]) == pytest.approx(50)


@given(
    st.lists(
        st.tuples(st.floats(0, 1), st.floats(0.01, 1), st.floats(0, 80)).map(
            lambda span: (min(span[0], span[1]), span[1], span[2])
        ),
        max_size=8,
    ),
    st.booleans(),
)
def test_beside_every_bar_there_is_room_for_its_note(
    spans: list[tuple[float, float, float]], is_before: bool
) -> None:
    width = 200.0
    taken = reserve(width, spans, is_before=is_before)
    if taken == width / 2:
        return  # never more than half: then the longest is cut
    for start, end, wanted in spans:
        after = width - (width - taken) * end
        assert after >= wanted - 0.01 or (is_before and width * start >= wanted - 0.01)
