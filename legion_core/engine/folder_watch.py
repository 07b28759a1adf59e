"""Hears that something changed in a folder and in the folders within, by the system's own word: nothing is looked at meanwhile.

Linux only, by inotify; elsewhere a new extension is found when somebody asks for one.
"""

import asyncio
import ctypes
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

log = logging.getLogger("legion.engine")

WATCHES_MAX = 256
DEPTH_MAX = 2  # an extension's folder, and the folder of its runners
SETTLE_S = 0.5  # files are copied one by one: what they become together counts
_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC if sys.platform == "linux" else 0
# IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE | IN_ONLYDIR | IN_DONT_FOLLOW, of sys/inotify.h
_MASK = 0x8 | 0x40 | 0x80 | 0x100 | 0x200 | 0x01000000 | 0x02000000


class FolderWatch:
    """`changed` is called on the loop, once for all that happens within half a second."""

    def __init__(self, folder: Path, changed: Callable[[], None]) -> None:
        self._folder = folder
        self._changed = changed
        self._descriptor = -1
        self._timer: asyncio.TimerHandle | None = None
        self._add: Callable[[int, bytes, int], int] | None = None

    def start(self) -> bool:
        """Begin; False where this system cannot, or refuses. Makes the folder if it is not there."""
        if sys.platform != "linux":
            return False
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            library = ctypes.CDLL(None, use_errno=True)
            self._descriptor = library.inotify_init1(_FLAGS)
            if self._descriptor < 0:
                raise OSError(ctypes.get_errno(), "inotify_init1")
            self._add = library.inotify_add_watch
            self._watch_all()
            asyncio.get_running_loop().add_reader(self._descriptor, self._heard)
        except (OSError, AttributeError, NotImplementedError) as error:
            log.info("new extensions are found when they are asked for: %s", error)
            self.stop()
            return False
        return True

    def stop(self) -> None:
        """End; idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._descriptor >= 0:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def _heard(self) -> None:
        try:
            while os.read(self._descriptor, 65_536):
                pass
        except BlockingIOError:
            pass
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SETTLE_S, self._settled)

    def _settled(self) -> None:
        self._timer = None
        self._watch_all()  # again for folders that came; the same folder twice is one watch
        self._changed()

    def _watch_all(self) -> None:
        assert self._add is not None
        folders, level = [self._folder], [self._folder]
        for _ in range(DEPTH_MAX):
            level = [inner for folder in level for inner in _inside(folder)]
            folders += level
        for folder in folders[:WATCHES_MAX]:
            self._add(self._descriptor, os.fsencode(folder), _MASK)


def _inside(folder: Path) -> list[Path]:
    try:
        return [
            Path(entry.path)
            for entry in os.scandir(folder)
            if entry.is_dir(follow_symlinks=False) and not entry.name.startswith(("_", "."))
        ]
    except OSError:
        return []
