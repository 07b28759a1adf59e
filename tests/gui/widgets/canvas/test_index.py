"""The grid of boxes answers as looking at every box would."""

import random

from app.widgets.canvas.index import Box, Grid


def meets(one: Box, other: Box) -> bool:
    return one[0] <= other[2] and one[2] >= other[0] and one[1] <= other[3] and one[3] >= other[1]


def some_box(chance: random.Random) -> Box:
    x, y = chance.uniform(-6000, 6000), chance.uniform(-6000, 6000)
    wide, high = chance.choice(((176, 54), (3000, 40), (40_000, 60_000), (0, 0)))
    return (x, y, x + wide, y + high)


def test_it_finds_exactly_what_meets_a_rectangle_in_the_order_put_in() -> None:
    chance = random.Random(4)
    grid: Grid[int] = Grid()
    held: dict[int, Box] = {}
    for round_ in range(400):
        key = chance.randrange(120)
        if chance.random() < 0.2:
            grid.take(key)
            held.pop(key, None)
        else:
            box = some_box(chance)
            grid.put(key, box)
            held[key] = box
        wanted = some_box(chance)
        found = list(grid.near(wanted))
        assert set(found) == {key for key, box in held.items() if meets(box, wanted)}, round_
        assert len(found) == len(set(found))
    assert len(grid) == len(held)
    grid.clear()
    assert list(grid.near((-1e5, -1e5, 1e5, 1e5))) == []
