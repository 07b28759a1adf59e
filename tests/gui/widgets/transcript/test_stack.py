"""The stack: whatever turns out to be of another height, what is read does not move by one px."""

from hypothesis import example, given
from hypothesis import strategies as st

from app.widgets.transcript.stack import Place, Seen, Stack

VIEWPORT = 300


class World:
    """Items with guessed and true row heights."""

    def __init__(self, true: list[list[int]], guess: list[list[int]]) -> None:
        self.true, self.guess = true, guess
        self.measured = 0
        self.stack = Stack(lambda i: list(self.guess[i]), self.measure, lambda _: None)
        self.stack.viewport = VIEWPORT
        self.stack.reset([sum(rows) for rows in guess])

    def measure(self, item: int, row: int) -> int:
        self.measured += 1
        return self.true[item][row]


rows = st.lists(st.integers(1, 400), min_size=1, max_size=6)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    true = draw(st.lists(rows, min_size=1, max_size=25))
    guess = [[draw(st.integers(1, 400)) for _ in item] for item in true]
    return World(true, guess)


def by_place(seen: list[Seen]) -> dict[tuple[int, int], int]:
    return {(s.item, s.row): s.y for s in seen}


@given(worlds(), st.lists(st.integers(-250, 250), max_size=25))
def test_scrolling_moves_what_is_seen_by_exactly_the_step_until_an_end(
    world: World, steps: list[int]
) -> None:
    stack = world.stack
    seen = stack.settle()
    for step in steps:
        at_top = stack.anchor == (Place(0, 0), -stack.pad_top)
        before = by_place(seen)
        stack.scroll_by(step)
        seen = stack.settle()
        after = by_place(seen)
        shared = before.keys() & after.keys()
        moves = {after[place] - before[place] for place in shared}
        assert len(moves) <= 1, "rows moved against each other"
        now_top = stack.anchor == (Place(0, 0), -stack.pad_top)
        if moves and not now_top and not at_top and not stack.is_at_bottom:
            assert moves == {-step}


@given(worlds(), st.integers(0, 8000), st.data())
def test_rows_outside_that_change_their_height_do_not_move_the_viewport(
    world: World, start: int, data: st.DataObject
) -> None:
    stack = world.stack
    stack.scroll_to(start)
    seen = stack.settle()
    if not stack.is_at_bottom:
        shown = {(s.item, s.row) for s in seen}
        for _ in range(data.draw(st.integers(1, 10))):
            item = data.draw(st.integers(0, len(world.true) - 1))
            row = data.draw(st.integers(0, len(world.true[item]) - 1))
            if (item, row) not in shown:
                stack.height(Place(item, row))
        again = stack.settle()
        if stack.total - stack.value >= VIEWPORT + stack.pad_bottom:
            assert by_place(again) == by_place(seen)


@example(World([[277]], [[1]]))
@given(worlds())
def test_the_bottom_is_the_bottom_and_the_top_the_top(world: World) -> None:
    stack = world.stack
    stack.to_bottom()
    seen = stack.settle()
    assert stack.is_at_bottom
    last = seen[-1]
    fits = sum(sum(rows) for rows in world.true) + 24 <= VIEWPORT
    if not fits:
        assert (last.item, last.row) == (len(world.true) - 1, len(world.true[-1]) - 1)
        assert last.y + last.height == VIEWPORT - stack.pad_bottom
    stack.scroll_to(0)
    first = stack.settle()[0]
    assert (first.item, first.row, first.y) == (0, 0, stack.pad_top)


@given(worlds(), st.integers(0, 8000))
def test_the_value_always_says_where_the_anchor_is(world: World, start: int) -> None:
    stack = world.stack
    stack.scroll_to(start)
    seen = stack.settle()
    place = Place(seen[0].item, seen[0].row)
    assert stack.y_of(place) == seen[0].y
    assert 0 <= stack.value <= max(0, stack.total - VIEWPORT) or stack.total < VIEWPORT


def test_only_what_is_seen_is_measured() -> None:
    world = World([[100]] * 10_000, [[90]] * 10_000)
    world.stack.scroll_to(400_000)
    world.stack.settle()
    assert world.measured <= 8


def test_a_growing_last_item_leaves_a_reader_above_it_alone() -> None:
    world = World([[200]] * 10 + [[50]], [[180]] * 10 + [[50]])
    stack = world.stack
    stack.scroll_to(600)
    before = stack.settle()
    stack.height(Place(10, 0))
    for grown in range(50, 2000, 50):
        world.true[10] = [grown]
        stack.reopen(10, 0, [grown])
        assert stack.settle() == before
