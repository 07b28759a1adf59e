"""What this surface has answered since it started, counted."""

from collections import Counter


class Tally:
    """Counts by operation and status; bounded by the route table times the statuses there are."""

    def __init__(self) -> None:
        self.answered: Counter[tuple[str, int]] = Counter()
        self.refused: Counter[int] = Counter()

    def answer(self, operation: str, status: int) -> None:
        """An operation answered."""
        self.answered[operation, status] += 1

    def refuse(self, status: int) -> None:
        """The guard turned a request away."""
        self.refused[status] += 1
