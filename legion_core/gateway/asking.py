"""What the pipeline streams from: one asking of models, however many attempts or rounds it takes."""

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

from legion_core.gateway.types import Attempt, StreamEvent


class Asking(Protocol):
    """One asking of models, over as many attempts as it takes."""

    @property
    def attempts(self) -> Sequence[Attempt]:
        """Every attempt so far."""
        ...

    @property
    def so_far(self) -> Sequence[Attempt]:
        """The same with the one under way, of which something has come, as it would be billed now."""
        ...

    def stream(self) -> AsyncGenerator[StreamEvent]:
        """The answer's events."""
        ...
