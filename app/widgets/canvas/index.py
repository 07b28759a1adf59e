"""Which of very many boxes meet a rectangle: a grid of cells, each with what lies in it. Pure."""

from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Box = tuple[float, float, float, float]  # left, top, right, bottom
CELL = 512.0
CELLS_MAX = 64  # of one box; a larger one is looked at every time


class Grid(Generic[Key]):
    """Boxes by key. `near` gives those that may meet a rectangle, each once, in the order they were put in."""

    def __init__(self) -> None:
        self._cells: dict[tuple[int, int], dict[Key, None]] = {}
        self._held: dict[Key, tuple[Box, list[tuple[int, int]]]] = {}
        self._large: dict[Key, None] = {}
        self._order: dict[Key, int] = {}
        self._count = 0

    def put(self, key: Key, box: Box) -> None:
        """Put a box in, or at another place."""
        self.take(key)
        cells = _cells(box)
        self._held[key] = (box, cells)
        if key not in self._order:
            self._order[key] = self._count
            self._count += 1
        if len(cells) > CELLS_MAX:
            self._large[key] = None
            return
        for cell in cells:
            self._cells.setdefault(cell, {})[key] = None

    def take(self, key: Key) -> None:
        """Take a box out, if it is in."""
        held = self._held.pop(key, None)
        if held is None:
            return
        self._large.pop(key, None)
        for cell in held[1]:
            found = self._cells.get(cell)
            if found is not None:
                found.pop(key, None)

    def box(self, key: Key) -> Box:
        """Where a box is."""
        return self._held[key][0]

    def near(self, box: Box) -> Iterator[Key]:
        """The keys of all boxes that meet this one."""
        cells = _cells(box)
        found: dict[Key, None] = dict(self._large)
        if len(cells) >= len(self._cells):
            found.update(dict.fromkeys(self._held))
        else:
            for cell in cells:
                inside = self._cells.get(cell)
                if inside:
                    found.update(inside)
        left, top, right, bottom = box
        held = self._held
        meeting: list[Key] = []
        for key in found:
            a, b, c, d = held[key][0]
            if a <= right and c >= left and b <= bottom and d >= top:
                meeting.append(key)
        meeting.sort(key=self._order.__getitem__)
        return iter(meeting)

    def clear(self) -> None:
        """Take all out."""
        self._cells.clear()
        self._held.clear()
        self._large.clear()
        self._order.clear()
        self._count = 0

    def __len__(self) -> int:
        return len(self._held)


def _cells(box: Box) -> list[tuple[int, int]]:
    left, top, right, bottom = (int(value // CELL) for value in box)
    if (right - left + 1) * (bottom - top + 1) > 100_000:
        return [(0, 0)] * (CELLS_MAX + 1)
    return [(x, y) for x in range(left, right + 1) for y in range(top, bottom + 1)]
