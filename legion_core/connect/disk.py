"""Reads and replaces files that belong to other programs: only plain ones of this user, and never a part of one."""

import contextlib
import os
import stat
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from legion_core.connect.jsonc import place
from legion_core.kernel.errors import ConfigError, Conflict, Denied, LimitReached
from legion_core.kernel.files import sync_directory

SIZE_MAX = 16 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"


class Moved(Exception):
    """The file was changed by somebody between being read and being replaced. Not for a person: it is tried again."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file as it was read: `path` behind all links, `content` None where there is none."""

    path: Path
    content: bytes | None

    def text(self) -> str:
        """Without its byte order mark; raises ConfigError with line and column if it is not UTF-8."""
        content = (self.content or b"").removeprefix(_BOM)
        try:
            return content.decode("utf-8")
        except UnicodeDecodeError as error:
            line, column = place(content[: error.start].decode("utf-8"), error.start)
            raise unusable(self.path, f"it is not UTF-8 (line {line}, column {column})") from None

    def encoded(self, text: str) -> bytes:
        """`text` as this file writes it."""
        mark = _BOM if self.content is not None and self.content.startswith(_BOM) else b""
        return mark + text.encode("utf-8")


def unusable(path: Path, why: str) -> ConfigError:
    """The refusal of a file, which is left as it is."""
    return ConfigError(
        f"{path} cannot be used: {why}.", hint="It was left as it is. Mend it, then try again."
    )


def read(path: Path) -> Found:
    """What stands in `path`. Follows links to plain files of this user and refuses everything else, with the reason."""
    try:
        real = path.resolve(strict=False)
        status = real.lstat()
    except FileNotFoundError:
        if path.is_symlink():
            raise unusable(path, f"it is a link to {os.readlink(path)}, which does not exist") from None
        return Found(path.resolve(strict=False), None)
    except (OSError, RuntimeError) as error:
        raise unusable(path, _words(error)) from None
    if not stat.S_ISREG(status.st_mode):
        raise unusable(path, "it is not a plain file")
    if hasattr(os, "geteuid") and status.st_uid != os.geteuid():
        raise Denied(f"{real} belongs to another user.", hint="It was left as it is.")
    if status.st_size > SIZE_MAX:
        raise LimitReached(f"{real} is larger than 16 MB, which no configuration is.")
    try:
        return Found(real, real.read_bytes())
    except OSError as error:
        raise unusable(real, _words(error)) from None


def refuse_unwritable(found: Found) -> None:
    """Raise where `replace` would have to go around a wish of the user: a file that is read-only, or has two names."""
    if found.content is None:
        return
    status = found.path.stat()
    if not status.st_mode & stat.S_IWUSR:
        raise Denied(f"{found.path} is read-only.", hint="Make it writable, then try again.")
    if status.st_nlink > 1:
        raise Conflict(
            f"{found.path} has a second name (a hard link), which would keep the old content.",
            hint="Replace one of the two by a symbolic link, then try again.",
        )


def replace(found: Found, content: bytes) -> None:
    """Put `content` in place of what was `found`, whole or not at all; permissions are kept.

    Raises Moved if the file is not what was found any more, Denied or ConfigError in words of a person.
    """
    path = found.path
    fresh = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        mode = stat.S_IMODE(path.stat().st_mode) if found.content is not None else 0o600
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        try:
            try:
                if hasattr(os, "fchmod"):
                    os.fchmod(handle, mode)
                if found.content is not None:
                    _keep_labels(path, fresh)
                view = memoryview(content)
                while view:
                    view = view[os.write(handle, view) :]
                os.fsync(handle)
            finally:
                os.close(handle)
            if _now(path) != found.content:
                raise Moved
            os.replace(fresh, path)
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise
        sync_directory(path.parent)
    except OSError as error:
        raise _refused(path, error) from error


def remove(found: Found) -> None:
    """Delete what was `found`; raises as `replace` does."""
    if _now(found.path) != found.content:
        raise Moved
    try:
        found.path.unlink(missing_ok=True)
        sync_directory(found.path.parent)
    except OSError as error:
        raise _refused(found.path, error) from error


def _now(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _keep_labels(path: Path, fresh: Path) -> None:
    """Group and extended attributes, as far as this user may give them."""
    if sys.platform == "win32":
        return
    with contextlib.suppress(OSError):
        os.chown(fresh, -1, path.stat().st_gid)
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            for name in os.listxattr(path):
                os.setxattr(fresh, name, os.getxattr(path, name))


def _refused(path: Path, error: OSError) -> Denied | ConfigError:
    if isinstance(error, PermissionError):
        held = sys.platform == "win32"
        why = "another program holds it open" if held else "permission denied"
        hint = "Close the program" if held else f"Give yourself write permission on {path.parent}"
        return Denied(f"{path} could not be written: {why}.", hint=f"{hint}, then try again.")
    return ConfigError(f"{path} could not be written: {_words(error)}.", hint="It was left as it is.")


def _words(error: Exception) -> str:
    words = (error.strerror if isinstance(error, OSError) else "") or str(error)
    return words[:1].lower() + words[1:]
