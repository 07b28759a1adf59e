"""Heights of stacked things in a Fenwick tree: where is row i, and which row is at y, both in O(log n); pure."""

from collections.abc import Iterable


class Heights:
    """A growable list of heights in whole px, never negative, with prefix sums."""

    __slots__ = ("_tree", "_values")

    def __init__(self, values: Iterable[int] = ()) -> None:
        self._values: list[int] = list(values)
        # The tree is one-based; building it in one pass is O(n), against O(n log n) of n appends.
        tree = [0, *self._values]
        size = len(tree)
        for index in range(1, size):
            parent = index + (index & -index)
            if parent < size:
                tree[parent] += tree[index]
        self._tree = tree

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, index: int) -> int:
        return self._values[index]

    @property
    def total(self) -> int:
        """The sum of all heights."""
        return self.top(len(self._values))

    def top(self, index: int) -> int:
        """The sum of the heights before `index`, 0 ≤ index ≤ len."""
        assert 0 <= index <= len(self._values)
        tree, result = self._tree, 0
        while index:
            result += tree[index]
            index &= index - 1
        return result

    def set(self, index: int, height: int) -> int:
        """Changes one height; returns by how much it grew."""
        assert height >= 0
        delta = height - self._values[index]
        if delta:
            self._values[index] = height
            tree, size, node = self._tree, len(self._tree), index + 1
            while node < size:
                tree[node] += delta
                node += node & -node
        return delta

    def append(self, height: int) -> None:
        """Adds a height at the end."""
        assert height >= 0
        self._values.append(height)
        node = len(self._values)
        covered, child, stop = height, node - 1, node - (node & -node)
        while child > stop:
            covered += self._tree[child]
            child &= child - 1
        self._tree.append(covered)

    def truncate(self, length: int) -> None:
        """Drops everything from `length` on."""
        del self._values[length:]
        del self._tree[length + 1 :]

    def find(self, y: int) -> tuple[int, int]:
        """The index whose stretch holds `y`, and how far into it `y` lies.

        Below the first it is (0, y) with y negative; at or beyond the end it is the last index with the rest as
        offset. The list must not be empty. Rows of height 0 are passed over.
        """
        assert self._values, "find in an empty list"
        if y < 0:
            return 0, y
        tree, size = self._tree, len(self._values)
        index, rest, step = 0, y, 1 << size.bit_length()
        while step:
            ahead = index + step
            if ahead <= size and tree[ahead] <= rest:
                index = ahead
                rest -= tree[ahead]
            step >>= 1
        if index == size:
            return size - 1, rest + self._values[-1]
        return index, rest
