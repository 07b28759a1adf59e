"""Pure judgement of silence in a stream: how long a lane may say nothing before it is taken for dead.

Each lane has a pace of its own, measured between the arrivals of its tokens; eight times its slow end is no pause any
more. Before enough was measured, and where no other lane could go on, only the wire's own bound holds.
"""

from collections import OrderedDict, deque
from typing import Final

SAMPLES_MIN: Final = 16
SAMPLES_KEPT: Final = 256
ARRIVAL_S: Final = 0.0002  # what comes sooner was there already, in the same piece
FACTOR: Final = 8
FLOOR_S: Final = 1.5
# Several wires send a tool call's arguments only once they are whole, after a silence that means nothing.
FLOOR_TOOLS_S: Final = 15.0
CEILING_S: Final = 30.0  # the wire's own bound for a silence
LANES_MAX: Final = 512


class Pace:
    """The waits between one lane's arrivals, the latest of them."""

    def __init__(self) -> None:
        self._waits: deque[float] = deque(maxlen=SAMPLES_KEPT)
        self._fresh = 0
        self._slow_s = 0.0

    def note(self, waited_s: float) -> None:
        """A chunk came after so long."""
        if waited_s >= ARRIVAL_S:
            self._waits.append(waited_s)
            self._fresh += 1

    @property
    def slow_s(self) -> float | None:
        """The wait that one in a hundred exceeds; None while too few were seen."""
        if len(self._waits) < SAMPLES_MIN:
            return None
        if self._fresh >= SAMPLES_MIN:
            ordered = sorted(self._waits)
            self._slow_s = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
            self._fresh = 0
        return self._slow_s


def patience_s(slow_s: float | None, *, has_tools: bool) -> float | None:
    """How long a lane of that pace may be silent after its first token; None: only the wire's own bound holds."""
    if slow_s is None:
        return None
    floor_s = FLOOR_TOOLS_S if has_tools else FLOOR_S
    return min(CEILING_S, max(floor_s, FACTOR * slow_s))


class Paces:
    """The paces of a node's lanes, by name; the ones not used for longest are forgotten."""

    def __init__(self) -> None:
        self._paces: OrderedDict[str, Pace] = OrderedDict()

    def of(self, lane: str) -> Pace:
        """The lane's pace, to be read and added to."""
        pace = self._paces.get(lane)
        if pace is None:
            pace = self._paces[lane] = Pace()
            if len(self._paces) > LANES_MAX:
                self._paces.popitem(last=False)
        else:
            self._paces.move_to_end(lane)
        return pace
