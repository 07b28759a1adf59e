"""This process among those that work on one journal: known to them from its first task on, and woken by them."""

import os
from collections.abc import Callable
from pathlib import Path

from legion_core.engine.bell import Bell
from legion_core.engine.turn import Turn
from legion_core.engine.writer import Writer
from legion_core.storage.home import process_started


class Presence:
    """`look` is called when another process rings, `on_death` with the name of one that is gone."""

    def __init__(
        self,
        turn: Turn,
        writer: Writer,
        directory: Path,
        owner: str,
        look: Callable[[], None],
        on_death: Callable[[str], None],
    ) -> None:
        self._turn = turn
        self._writer = writer
        self._bell = Bell(directory, owner, look, on_death)
        self.has_joined = False

    @property
    def is_known(self) -> bool:
        """Whether the others know of it, so that it may hold tasks."""
        return self.has_joined and not self._turn.is_joining

    @property
    def has_peers(self) -> bool:
        """Whether there are others."""
        return bool(self._bell.peers)

    @property
    def can_ring(self) -> bool:
        """Whether others can be woken on this system."""
        return self._bell.can_ring

    def join(self) -> None:
        """Become known; before that this process holds nothing and hears nothing."""
        if not self.has_joined:
            self.has_joined = True
            self._turn.join(os.getpid(), process_started(os.getpid()) or "")
            self._bell.open()
            self._writer.soon()

    def ring(self) -> None:
        """Wake the others."""
        self._bell.ring()

    def close(self) -> None:
        """Hear nothing any more; the others learn of it."""
        self._bell.ring()
        self._bell.close()
