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

    def stream(self) -> AsyncGenerator[StreamEvent]:
        """The answer's events."""
        ...
