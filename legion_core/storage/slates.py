"""Lines beside a journal that outlive their process: what is not in the journal yet, at the price of one small write.

    keep(line) ──▶ a page (a file this process has locked) ──▶ done(page, …) once the journal has it

There are two pages: one whose lines are all done is wiped now and then while the other fills. What a killed process left
is found by `left`, as its locks went with it: all lines that still mattered, some that no longer do, and none that
was torn in the middle of its write.
"""

import contextlib
import errno
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from legion_core.kernel.errors import Bug
from legion_core.storage.files import try_lock

FILES_MAX: Final = 256  # pages of all processes on one journal
WIPED_FROM_BYTES: Final = 64 * 1024  # a wipe costs as much as ten lines
_FLAGS: Final = os.O_RDWR | os.O_APPEND | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


@dataclass(slots=True, eq=False)
class Page:
    """One file of ours; `waiting` counts the lines on it that still matter."""

    path: Path
    handle: int
    waiting: int = 0
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Left:
    """A page whose process is no more. `drop` it once its lines are safe; until then nobody else can take it."""

    path: Path
    lines: tuple[bytes, ...]
    handle: int

    def drop(self) -> None:
        """Forget the page."""
        _remove(self.path, self.handle)

    def release(self) -> None:
        """Leave it to the next who looks."""
        os.close(self.handle)


class Slates:
    """The pages of this process beside `journal`; nothing is opened before the first line. Blocks for microseconds."""

    def __init__(self, journal: Path, word: str) -> None:
        """`word` says whose lines these are, as part of the files' names."""
        self._stem = f"{journal.name}.{word}-"
        self._directory = journal.parent
        self._pages: list[Page] = []

    def keep(self, line: bytes) -> Page:
        """Write `line`, which holds no line's end, and give the page it is on. OSError where the disk refuses."""
        if not self._pages:
            self._open()
        page = self._pages[0]
        data = line + b"\n"
        written = os.write(page.handle, data)
        if written != len(data):  # the rest found no space; what there is of it must not spoil the next
            os.truncate(page.handle, page.size_bytes)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(page.path))
        page.size_bytes += written
        page.waiting += 1
        return page

    def turn(self) -> None:
        """Keep what comes on the other page, if that is empty: so the one behind can be wiped some day."""
        if self._pages and self._pages[0].waiting and not self._pages[1].waiting:
            self._pages.reverse()

    def done(self, page: Page, count: int = 1) -> None:
        """So many lines of the page matter no more."""
        page.waiting -= count
        assert page.waiting >= 0, "more lines were done than were kept"
        if not page.waiting and page.size_bytes >= WIPED_FROM_BYTES and page in self._pages:
            os.truncate(page.handle, 0)
            page.size_bytes = 0

    def left(self) -> list[Left]:
        """The pages of processes that are no more, empty ones dropped at once."""
        found = list[Left]()
        for path in sorted(self._directory.glob(f"{self._stem}*")):
            handle = _locked(path, create=False)
            if handle is None:
                continue
            lines = _lines(handle)
            if lines:
                found.append(Left(path, lines, handle))
            else:
                _remove(path, handle)
        return found

    def close(self) -> None:
        """Remove the pages; what still waits stays for the next start. Harmless the second time."""
        pages, self._pages = self._pages, []
        for page in pages:
            if page.waiting:
                os.close(page.handle)
            else:
                _remove(page.path, page.handle)

    def _open(self) -> None:
        for number in range(FILES_MAX):
            path = self._directory / f"{self._stem}{number}"
            handle = _locked(path, create=True)
            if handle is None:
                continue
            if os.fstat(handle).st_size:  # somebody's who was killed: found by the next start
                os.close(handle)
                continue
            self._pages.append(Page(path, handle))
            if len(self._pages) == 2:
                return
        self.close()
        raise Bug(f"There are already {FILES_MAX} files {self._stem}… beside the journal.")


def _locked(path: Path, *, create: bool) -> int | None:
    """The file, locked for this process; None if another has it, or it went meanwhile."""
    try:
        handle = os.open(path, _FLAGS | (os.O_CREAT if create else 0), 0o600)
    except FileNotFoundError:
        return None
    try:
        # Between opening and locking its owner may have removed it: then this is a file nobody will ever find.
        if try_lock(handle) and os.path.samestat(os.fstat(handle), path.stat()):
            return handle
    except OSError:
        pass
    os.close(handle)
    return None


def _lines(handle: int) -> tuple[bytes, ...]:
    os.lseek(handle, 0, os.SEEK_SET)
    held = bytearray()
    while piece := os.read(handle, 1 << 20):
        held += piece
    return tuple(bytes(held).split(b"\n")[:-1])


def _remove(path: Path, handle: int) -> None:
    if sys.platform == "win32":  # an open file cannot be removed there
        os.close(handle)
    with contextlib.suppress(OSError):
        path.unlink()
    if sys.platform != "win32":
        os.close(handle)
