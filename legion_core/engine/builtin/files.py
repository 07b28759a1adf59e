"""`file.*`: reads and writes text in LEGION_HOME/files, and in folders the configuration lists; nowhere else."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

from legion_core.engine.extension import Context, function
from legion_core.kernel.errors import Denied, InvalidInput, LimitReached, NotFound
from legion_core.storage.failures import from_os

FILE_BYTES_MAX = 512 * 1024


class Files:
    """The runner. `allow` gives the configured folders as they are now."""

    def __init__(self, home: Path, allow: Callable[[], tuple[str, ...]]) -> None:
        self._home = home
        self._allow = allow

    @function(effect="pure")
    def read(self, path: str) -> dict[str, object]:
        """The text of a file.

        Args:
            path: in the workbench's own `files`, or whole and in a listed folder
        """
        place = self._place(path)
        try:
            text = _read(place).decode()
        except FileNotFoundError as error:
            raise NotFound(f"There is no file {place}.") from error
        except UnicodeDecodeError as error:
            raise InvalidInput(f"{place} is not UTF-8 text.") from error
        except OSError as error:
            raise from_os(error, place) from error
        return {"path": str(place), "text": text}

    @function(effect="fenced_file")
    def write(self, context: Context, path: str, text: str) -> dict[str, object]:
        """Replace a file by this text; a second attempt of the same task changes nothing.

        Args:
            context: the task's
            path: in the workbench's own `files`, or whole and in a listed folder
            text: what it shall hold
        """
        content = text.encode()
        if len(content) > FILE_BYTES_MAX:
            raise LimitReached(
                f"The text is larger than {FILE_BYTES_MAX // 1024} kB, the most a task writes."
            )
        place = self._place(path)
        try:
            place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise from_os(error, place) from error
        is_first = context.write_file(str(place), content)
        return {"path": str(place), "bytes": len(content), "is_first": is_first}

    def _place(self, path: str) -> Path:
        """The real file behind `path`, every link followed; Denied where it lies outside."""
        if "\0" in path or not path.strip():
            raise InvalidInput("`path` is empty or holds a zero byte.")
        own = self._home / "files"
        own.mkdir(parents=True, exist_ok=True, mode=0o700)
        place = Path(os.path.realpath(own / path))
        folders = [own, *(Path(word).expanduser() for word in self._allow() if word.strip())]
        if any(place.is_relative_to(os.path.realpath(folder)) and place != folder for folder in folders):
            return place
        raise Denied(
            f"{place} lies outside the folders tasks may touch.",
            hint=f'Use a name within {own}, or list its folder: [engine.files] allow = ["FOLDER"].',
        )


def _read(place: Path) -> bytes:
    """The whole of a plain file; what was opened is looked at, so that nothing can be put in its place in between."""
    # Without O_NONBLOCK a pipe would be waited for until somebody writes into it.
    handle = os.open(place, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise InvalidInput(
                f"{place} is no file of text.", hint="Pipes, devices and folders are not read."
            )
        with os.fdopen(handle, "rb", closefd=False) as stream:
            content = stream.read(FILE_BYTES_MAX + 1)
    finally:
        os.close(handle)
    if len(content) > FILE_BYTES_MAX:
        raise LimitReached(f"{place} is larger than {FILE_BYTES_MAX // 1024} kB, the most a task reads.")
    return content
