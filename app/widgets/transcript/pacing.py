"""How often a stream may repaint: 60 Hz, and less while frames are too dear; pure."""

INTERVALS_MS = (16, 33, 66)
DEAR_MS = 12.0
DEAR_FRAMES = 2
RECOVERY_MS = 1000.0


class FrameGovernor:
    """Slows down after two dear frames in a row, speeds up again after a second without one."""

    __slots__ = ("_calm_ms", "_dear", "_level")

    def __init__(self) -> None:
        self._level = 0
        self._dear = 0
        self._calm_ms = 0.0

    @property
    def interval_ms(self) -> int:
        """The shortest time between two frames now."""
        return INTERVALS_MS[self._level]

    def frame(self, took_ms: float) -> None:
        """Notes what a frame cost on the interface's thread."""
        if took_ms > DEAR_MS:
            self._dear += 1
            self._calm_ms = 0.0
            if self._dear >= DEAR_FRAMES:
                self._level = min(self._level + 1, len(INTERVALS_MS) - 1)
                self._dear = 0
            return
        self._dear = 0
        self._calm_ms += max(took_ms, self.interval_ms)
        if self._level and self._calm_ms >= RECOVERY_MS:
            self._level -= 1
            self._calm_ms = 0.0
