"""Copies laid aside before anything is given up, and locks that die with their owner."""

import contextlib
import os
import shutil
import sys
import threading
from collections.abc import Generator
from pathlib import Path

from legion_core.kernel.clock import Clock
from legion_core.storage.failures import StillLocked

LOCK_WAIT_S = 30.0
LOCK_STEP_S = 0.01


def copy_aside(path: Path, clock: Clock, word: str = "damaged") -> Path:
    """Lay a copy of `path` beside it, named by `word` and the time; the same bytes are not copied twice."""
    status = path.stat()
    for copy in path.parent.glob(f"{path.name}.{word}-*"):
        known = copy.stat()
        if (known.st_size, known.st_mtime_ns) == (status.st_size, status.st_mtime_ns):
            return copy
    aside = path.with_name(f"{path.name}.{word}-{clock.utc_now():%Y%m%dT%H%M%S%f}Z")
    shutil.copy2(path, aside)
    return aside


@contextlib.contextmanager
def directory_lock(directory: Path, clock: Clock) -> Generator[None]:
    """Hold `directory` against every other process that asks; blocks, at most 30 s, then StillLocked."""
    if sys.platform == "win32":
        handle = os.open(directory / ".lock", os.O_RDWR | os.O_CREAT)
    else:
        handle = os.open(directory, os.O_RDONLY)
    try:
        pause = threading.Event()
        until_s = clock.monotonic_s() + LOCK_WAIT_S
        while not try_lock(handle):
            if clock.monotonic_s() >= until_s:
                raise StillLocked(
                    f"Another process has held {directory} for {LOCK_WAIT_S:.0f} seconds.",
                    hint="End the other workbench process, then try again.",
                )
            pause.wait(LOCK_STEP_S)
        yield
    finally:
        os.close(handle)


def try_lock(handle: int) -> bool:
    """Lock the open file for this process until it is closed or the process ends; False if another holds it."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
