"""Where everything is: messages and their rows one above another, and what the viewport shows of them; pure.

The truth is an anchor, the row at the top edge and how far into it the edge lies, never a scroll value: heights that
turn out different elsewhere change the value but cannot move what is read, not by one px. Rows are opened and measured
only where the viewport comes; everything else is a guess in a tree.
"""

from collections.abc import Callable
from typing import NamedTuple

from app.widgets.transcript.heights import Heights

ITEMS_OPEN_MAX = 400
FAR = 3
"""A move of more viewports than this jumps by the tree instead of walking row by row."""


class Place(NamedTuple):
    """A row."""

    item: int
    row: int


class Seen(NamedTuple):
    """A row in the viewport: its top edge relative to the viewport's, and its height."""

    item: int
    row: int
    y: int
    height: int


class _Open:
    __slots__ = ("known", "rows")

    def __init__(self, estimates: list[int]) -> None:
        self.rows = Heights(estimates)
        self.known = bytearray(len(estimates))


class Stack:
    """The geometry of a transcript.

    `open_item(i)` must give the guessed heights of its rows, at least one; `measure(i, row)` the true height of one;
    `close_item(i)` says that the rows are no longer needed.
    """

    def __init__(
        self,
        open_item: Callable[[int], list[int]],
        measure: Callable[[int, int], int],
        close_item: Callable[[int], None],
        pad_top: int = 12,
        pad_bottom: int = 12,
    ) -> None:
        self._open_item = open_item
        self._measure = measure
        self._close_item = close_item
        self._opened: dict[int, _Open] = {}
        self._items = Heights()
        self._anchor = Place(0, 0)
        self._dy = -pad_top
        self.viewport = 0
        self.pad_top = pad_top
        self.pad_bottom = pad_bottom

    def __len__(self) -> int:
        return len(self._items)

    @property
    def total(self) -> int:
        """Height of everything with its padding, partly guessed."""
        return self._items.total + self.pad_top + self.pad_bottom

    @property
    def value(self) -> int:
        """The scroll value: how far the top edge is from the top of everything."""
        if not self._items:
            return 0
        above = self._items.top(self._anchor.item) + self.pad_top + self._dy
        opened = self._opened.get(self._anchor.item)
        return above + (opened.rows.top(self._anchor.row) if opened else 0)

    @property
    def anchor(self) -> tuple[Place, int]:
        """The row at the top edge, and how far into it the edge lies."""
        return self._anchor, self._dy

    def opened(self) -> list[int]:
        """The items whose rows are known now."""
        return list(self._opened)

    # ---- what changes -------------------------------------------------------------------------------------------

    def reset(self, estimates: list[int]) -> None:
        """Other items altogether, none opened, at the top."""
        self.forget_rows()
        self._items = Heights(estimates)
        self._anchor, self._dy = Place(0, 0), -self.pad_top

    def forget_rows(self) -> None:
        """Closes every item; heights stay as guesses."""
        for item in self._opened:
            self._close_item(item)
        self._opened.clear()

    def resize(self, estimates: list[int]) -> None:
        """New guesses for all after a change of width; the anchor's item stays at the edge."""
        item = self._anchor.item
        share = 0.0
        if self._items and self._items[item]:
            top = self._items.top(item)
            share = max(0.0, (self.value - self.pad_top - top) / self._items[item])
        self.forget_rows()
        self._items = Heights(estimates)
        self._anchor, self._dy = Place(item, 0), 0
        if self._items:
            self._go_into(item, round(share * self._items[item]))

    def append(self, estimate: int) -> None:
        """One more item at the end."""
        self._items.append(estimate)

    def truncate(self, length: int) -> None:
        """Drops all items from `length` on."""
        for item in [item for item in self._opened if item >= length]:
            del self._opened[item]
            self._close_item(item)
        self._items.truncate(length)
        if self._anchor.item >= length:
            self.to_bottom()

    def reopen(self, item: int, kept: int, estimates: list[int]) -> None:
        """The rows of an opened item from `kept` on are others now; those before are as they were."""
        opened = self._opened.get(item)
        if opened is None:
            return
        opened.rows.truncate(kept)
        del opened.known[kept:]
        for estimate in estimates:
            opened.rows.append(estimate)
            opened.known.append(0)
        self._items.set(item, opened.rows.total)
        if self._anchor.item == item and self._anchor.row >= len(opened.rows):
            self._anchor, self._dy = Place(item, max(0, len(opened.rows) - 1)), 0

    def reestimate(self, item: int, estimate: int) -> None:
        """Another guess for an item that is not opened."""
        if item not in self._opened:
            self._items.set(item, estimate)

    def is_open(self, item: int) -> bool:
        """Whether an item's rows are known."""
        return item in self._opened

    # ---- moving -------------------------------------------------------------------------------------------------

    def scroll_by(self, delta: int) -> None:
        """Moves the viewport by `delta` px, positive is down; what was seen moves by exactly that, up to the ends."""
        if not self._items:
            return
        if abs(delta) > FAR * max(1, self.viewport):
            self.scroll_to(self.value + delta)
            return
        self._dy += delta
        self._walk()

    def scroll_to(self, value: int) -> None:
        """Puts the top edge at a scroll value, by guesses where nothing is known yet."""
        if not self._items:
            return
        y = min(max(0, value), max(0, self.total - self.viewport)) - self.pad_top
        item, offset = self._items.find(y)
        self._go_into(item, offset)

    def to_bottom(self) -> None:
        """Puts the bottom edge at the end of everything."""
        if not self._items:
            self._anchor, self._dy = Place(0, 0), -self.pad_top
            return
        need = self.viewport - self.pad_bottom
        place = Place(len(self._items) - 1, self._rows(len(self._items) - 1) - 1)
        need -= self.height(place)
        while need > 0:
            before = self._before(place)
            if before is None:
                # What is short by less than the space above it gives up some of that.
                self._anchor, self._dy = Place(0, 0), -min(need, self.pad_top)
                return
            place = before
            need -= self.height(place)
        self._anchor, self._dy = place, -need

    def show(self, place: Place, margin: int = 0) -> None:
        """Puts the top of a row `margin` px below the top edge."""
        self._rows(place.item)
        self._anchor, self._dy = place, -margin
        self._walk()

    def settle(self) -> list[Seen]:
        """Measures what the viewport shows, keeps it within the ends, and returns it top to bottom."""
        if not self._items:
            return []
        seen, bottom = self._look()
        room = self.viewport - self.pad_bottom - bottom
        if room > 0 and not (self._anchor == Place(0, 0) and self._dy <= -self.pad_top):
            self._dy -= room
            self._walk()
            seen, _ = self._look()
        if self._anchor == Place(0, 0) and self._dy < -self.pad_top:
            self._dy = -self.pad_top
            seen, _ = self._look()
        self._close_far()
        return seen

    @property
    def is_at_bottom(self) -> bool:
        """Whether the end is in view; exact after `settle`."""
        if not self._items:
            return True
        return self.value + self.viewport >= self.total - 1

    def height(self, place: Place) -> int:
        """The true height of a row."""
        self._rows(place.item)
        opened = self._opened[place.item]
        if not opened.known[place.row]:
            true = self._measure(place.item, place.row)
            opened.known[place.row] = 1
            delta = opened.rows.set(place.row, true)
            if delta:
                self._items.set(place.item, self._items[place.item] + delta)
        return opened.rows[place.row]

    def y_of(self, place: Place) -> int:
        """The top of a row relative to the viewport's, by guesses where nothing is known."""
        top = self._items.top(place.item) + self.pad_top
        opened = self._opened.get(place.item)
        return top + (opened.rows.top(place.row) if opened else 0) - self.value

    # ---- inside -------------------------------------------------------------------------------------------------

    def _rows(self, item: int) -> int:
        opened = self._opened.get(item)
        if opened is None:
            estimates = self._open_item(item)
            assert estimates, "an item without rows"
            opened = self._opened[item] = _Open(estimates)
            self._items.set(item, opened.rows.total)
        return len(opened.rows)

    def _go_into(self, item: int, offset: int) -> None:
        self._rows(item)
        row, dy = self._opened[item].rows.find(offset)
        self._anchor, self._dy = Place(item, row), dy
        self._walk()

    def _walk(self) -> None:
        """Makes the anchor the row the top edge really lies in."""
        while self._dy < 0:
            before = self._before(self._anchor)
            if before is None:
                self._dy = max(self._dy, -self.pad_top)
                return
            self._anchor = before
            self._dy += self.height(before)
        while self._dy >= (tall := self.height(self._anchor)):
            after = self._after(self._anchor)
            if after is None:
                return
            self._dy -= tall
            self._anchor = after

    def _before(self, place: Place) -> Place | None:
        if place.row:
            return Place(place.item, place.row - 1)
        if place.item:
            return Place(place.item - 1, self._rows(place.item - 1) - 1)
        return None

    def _after(self, place: Place) -> Place | None:
        if place.row + 1 < self._rows(place.item):
            return Place(place.item, place.row + 1)
        if place.item + 1 < len(self._items):
            return Place(place.item + 1, 0)
        return None

    def _look(self) -> tuple[list[Seen], int]:
        seen: list[Seen] = []
        y, place = -self._dy, self._anchor
        while True:
            tall = self.height(place)
            if y + tall > 0 or not seen:
                seen.append(Seen(place.item, place.row, y, tall))
            y += tall
            if y >= self.viewport:
                return seen, y
            after = self._after(place)
            if after is None:
                return seen, y
            place = after

    def _close_far(self) -> None:
        """Keeps the number of opened items bounded: the farthest from the anchor go, with their heights as guesses."""
        if len(self._opened) <= ITEMS_OPEN_MAX:
            return
        here = self._anchor.item
        for item in sorted(self._opened, key=lambda item: -abs(item - here))[: ITEMS_OPEN_MAX // 4]:
            if item != len(self._items) - 1:
                del self._opened[item]
                self._close_item(item)
