"""How processes on one journal wake each other: no polling, and a process that dies is noticed at once.

Each process keeps two named pipes in LEGION_HOME/run/engines: it reads `NAME.bell`, into which others write a byte
when there is something to do, and holds `NAME.life` open for writing, whose readers see its end when the process is
gone, however it went. Where the system has no named pipes (Windows), `can_ring` is False and the service looks at the
journal now and then.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path

BELL, LIFE = ".bell", ".life"
PEERS_MAX = 256


class Bell:
    """This process's two pipes, and a watch on those of the others. `on_ring` and `on_death` are called on the loop."""

    def __init__(
        self, directory: Path, owner: str, on_ring: Callable[[], None], on_death: Callable[[str], None]
    ) -> None:
        self._directory = directory
        self._owner = owner
        self._on_ring = on_ring
        self._on_death = on_death
        self._handles: list[int] = []
        self._bell = -1
        self._watched: dict[str, int] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def can_ring(self) -> bool:
        """Whether this system has what it takes."""
        return hasattr(os, "mkfifo")

    @property
    def peers(self) -> frozenset[str]:
        """The other processes alive, as far as was heard."""
        return frozenset(self._watched)

    def open(self) -> None:
        """Begin to listen and tell the others; blocks for a moment on the directory."""
        if not self.can_ring or self._loop is not None:
            return
        self._loop = asyncio.get_running_loop()
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Opened for reading and writing: then neither side is ever without its other end.
        self._make(LIFE)
        self._bell = self._make(BELL)
        self._loop.add_reader(self._bell, self._rung)
        self.look_around()
        self.ring()

    def _make(self, suffix: str) -> int:
        path = self._directory / f"{self._owner}{suffix}"
        fresh = path.with_suffix(f"{suffix}-new")
        os.mkfifo(fresh, 0o600)
        handle = os.open(fresh, os.O_RDWR | os.O_NONBLOCK)
        self._handles.append(handle)
        # Seen by others only now that it is open: one without a writer is taken for a dead process's.
        fresh.rename(path)
        return handle

    def ring(self) -> None:
        """Wake every other process; a bell that is full rings already."""
        if self._loop is None:
            return
        for peer in tuple(self._watched):
            with contextlib.suppress(OSError):
                handle = os.open(self._directory / f"{peer}{BELL}", os.O_WRONLY | os.O_NONBLOCK)
                try:
                    os.write(handle, b"!")
                finally:
                    os.close(handle)

    def look_around(self) -> None:
        """Watch those that came since."""
        if self._loop is None:
            return
        for path in self._directory.glob(f"*{LIFE}"):
            name = path.name.removesuffix(LIFE)
            if name != self._owner and name not in self._watched and len(self._watched) < PEERS_MAX:
                self._watch(name, path)

    def _watch(self, name: str, path: Path) -> None:
        assert self._loop is not None
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError:
            return
        self._watched[name] = handle
        self._loop.add_reader(handle, self._heard, name)
        self._heard(name)  # one that was dead before we opened it would never say so

    def _heard(self, name: str) -> None:
        handle = self._watched.get(name)
        if handle is None:
            return
        try:
            if os.read(handle, 1):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self._forget(name)
        for suffix in (LIFE, BELL):
            (self._directory / f"{name}{suffix}").unlink(missing_ok=True)
        self._on_death(name)

    def _forget(self, name: str) -> None:
        assert self._loop is not None
        handle = self._watched.pop(name)
        self._loop.remove_reader(handle)
        os.close(handle)

    def _rung(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while len(os.read(self._bell, 4096)) == 4096:
                continue
        self.look_around()
        self._on_ring()

    def close(self) -> None:
        """Stop listening and leave nothing behind; idempotent."""
        if self._loop is None:
            return
        for name in tuple(self._watched):
            self._forget(name)
        self._loop.remove_reader(self._bell)
        for suffix in (LIFE, BELL):
            (self._directory / f"{self._owner}{suffix}").unlink(missing_ok=True)
        while self._handles:
            os.close(self._handles.pop())
        self._loop = None
