"""What is selected in a transcript, from one character to another across rows and messages; pure."""

from typing import NamedTuple


class Caret(NamedTuple):
    """A character: the message, its row, the position in the row. Carets order as they are read."""

    item: int
    row: int
    letter: int


class Selection:
    """A stretch between two carets; empty when they are equal."""

    __slots__ = ("anchor", "head")

    def __init__(self) -> None:
        self.anchor: Caret | None = None
        self.head: Caret | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing is selected."""
        return self.anchor is None or self.head is None or self.anchor == self.head

    def clear(self) -> None:
        """Selects nothing."""
        self.anchor = self.head = None

    def begin(self, caret: Caret) -> None:
        """Starts an empty selection."""
        self.anchor = self.head = caret

    def extend(self, caret: Caret) -> None:
        """Moves the end that follows the mouse."""
        if self.anchor is None:
            self.anchor = caret
        self.head = caret

    def bounds(self) -> tuple[Caret, Caret] | None:
        """First and last caret in reading order, or None."""
        if self.anchor is None or self.head is None or self.anchor == self.head:
            return None
        return min(self.anchor, self.head), max(self.anchor, self.head)

    def within(self, item: int, row: int, letters: int) -> tuple[int, int] | None:
        """Which characters of a row with so many are selected."""
        bounds = self.bounds()
        if bounds is None:
            return None
        first, last = bounds
        here = (item, row)
        if here < first[:2] or here > last[:2]:
            return None
        start = first.letter if here == first[:2] else 0
        stop = min(last.letter if here == last[:2] else letters, letters)
        return (start, stop) if start < stop else None

    def forget_from(self, item: int) -> None:
        """Forgets a selection that touches an item from `item` on."""
        bounds = self.bounds()
        if bounds is not None and bounds[1].item >= item:
            self.clear()
