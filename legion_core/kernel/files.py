"""Small files written so that a crash or a power cut leaves the old one or the new one, never a part."""

import os
import sys
import threading
from pathlib import Path


def write_atomically(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Replace `path` by `content`, durably: temporary file, fsync, rename, fsync of the directory.

    Blocks for as long as the disk takes. Raises OSError, and then the old file is still there.
    """
    # Two threads may replace the same file at once: the later one wins, and neither takes the other's away.
    fresh = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.new")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        try:
            if hasattr(os, "fchmod"):
                os.fchmod(handle, mode)  # the umask may have taken something away, or a stranger added it
            view = memoryview(content)
            while view:
                view = view[os.write(handle, view) :]
            os.fsync(handle)
        finally:
            os.close(handle)
        os.replace(fresh, path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make a rename in `directory` survive a power cut; where directories cannot be synced, nothing."""
    if sys.platform == "win32":
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
