"""Heights: prefix sums and their inverse agree with a plain list, through every kind of change."""

from hypothesis import given
from hypothesis import strategies as st

from app.widgets.transcript.heights import Heights
from app.widgets.transcript.pacing import FrameGovernor

heights = st.lists(st.integers(0, 500), min_size=1, max_size=60)


@given(heights, st.data())
def test_any_changes_leave_sums_and_lookup_right(values: list[int], data: st.DataObject) -> None:
    tree, model = Heights(values), list(values)
    for _ in range(data.draw(st.integers(0, 12))):
        match data.draw(st.sampled_from(["set", "append", "truncate"])):
            case "set" if model:
                index, height = data.draw(st.integers(0, len(model) - 1)), data.draw(st.integers(0, 500))
                assert tree.set(index, height) == height - model[index]
                model[index] = height
            case "append":
                model.append(data.draw(st.integers(0, 500)))
                tree.append(model[-1])
            case _:
                length = data.draw(st.integers(0, len(model)))
                del model[length:]
                tree.truncate(length)
    assert len(tree) == len(model)
    assert tree.total == sum(model)
    assert [tree.top(i) for i in range(len(model) + 1)] == [sum(model[:i]) for i in range(len(model) + 1)]


@given(heights, st.integers(-5, 40_000))
def test_find_names_the_row_at_a_height(values: list[int], y: int) -> None:
    tree = Heights(values)
    index, offset = tree.find(y)
    assert tree.top(index) + offset == y
    if 0 <= y < tree.total:
        assert 0 <= offset < values[index]


def test_two_dear_frames_slow_a_stream_and_a_calm_second_speeds_it_up() -> None:
    governor = FrameGovernor()
    governor.frame(20)
    assert governor.interval_ms == 16
    governor.frame(20)
    assert governor.interval_ms == 33
    for _ in range(4):
        governor.frame(20)
    assert governor.interval_ms == 66
    for _ in range(60):
        governor.frame(2)
    assert governor.interval_ms == 16
