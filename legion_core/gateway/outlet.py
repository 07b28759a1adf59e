"""The short way of a delta: from the callback in which it arrived to its client, while whoever reads the answer sleeps on.

To wake the reader of a stream, and through it every layer up to the client's socket, costs several times what the delta
itself does. Where nothing is to be decided, nobody is woken: the text behind an answer's first word, as long as one
attempt goes on and the client reads as fast as we write. All else (the first word, a seam, the end, an error, a client
that is slow) goes by the reader, in order.
"""

from collections.abc import AsyncIterator
from typing import Protocol

from legion_core.gateway.patience import Patience
from legion_core.gateway.providers.base import PassOn
from legion_core.gateway.reading import Given, Reading, Ready
from legion_core.gateway.types import Chunk, Finished, TextDelta


class Outlet(Protocol):
    """The client's end of the short way."""

    @property
    def is_open(self) -> bool:
        """Whether a delta may be given now; if not, it goes by the reader, who can wait."""
        ...

    def give(self, delta: Ready) -> None:
        """Write it out; never blocks. Called only while the reader of the same answer waits for its next event."""
        ...


class ShortWay:
    """One attempt's deltas from `chunks` to `outlet`, counted as given."""

    def __init__(
        self,
        outlet: Outlet | None,
        chunks: AsyncIterator[Chunk],
        reading: Reading,
        patience: Patience,
        given: Given,
    ) -> None:
        self._outlet = outlet
        self._pass_on: PassOn | None = getattr(chunks, "pass_on", None)
        self._reading = reading
        self._patience = patience
        self._given = given

    def open(self) -> None:
        """From now on deltas take it, where both its ends are there; idempotent."""
        if self._outlet is not None and self._pass_on is not None:
            self._pass_on(self._take)
            self._pass_on = None

    def takes(self, chunk: Chunk) -> bool:
        """Pass on a chunk that its reader has already, past all who wait for its next event; False: it is for them."""
        outlet = self._outlet
        if outlet is None or not outlet.is_open:
            return False
        if isinstance(chunk, TextDelta) and self._reading.passes(chunk, self._given):
            outlet.give(chunk)  # nearly always
            return True
        if isinstance(chunk, Finished):
            return False
        for ready in self._reading.take(chunk):
            self._given.take(ready)
            outlet.give(ready)
        return True

    def _take(self, chunk: Chunk) -> bool:
        """See `base.Take`."""
        if self.takes(chunk):
            self._patience.arrived()
            return True
        return False
