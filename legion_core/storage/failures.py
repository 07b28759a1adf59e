"""What the disk can do to a store, said as errors a person can act on.

Each is a `StorageFailed`: nothing of the refused write was kept, and what was acknowledged before is safe.
"""

import errno
from pathlib import Path

import apsw

from legion_core.kernel.errors import Corrupt, LegionError


class StorageFailed(LegionError):
    """The disk refused; the write was not accepted and may be tried again."""

    retry = "here"
    blame = "world"
    public_code = "storage_failed"


class DiskFull(StorageFailed):
    """There is no space left, or the quota is used up."""

    public_code = "disk_full"


class ReadOnly(StorageFailed):
    """The file or its directory may not be written."""

    public_code = "read_only"


class StillLocked(StorageFailed):
    """Another program kept the file locked for all the time we wait."""

    public_code = "storage_locked"


_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FORBIDDEN = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})


def translated(error: BaseException, path: Path) -> BaseException:
    """`error` as a LegionError where the disk or the file is to blame; any other error as it is."""
    if isinstance(error, OSError):
        return from_os(error, path)
    match error:
        case apsw.FullError():
            return _full(path)
        case apsw.ReadOnlyError() | apsw.PermissionsError() | apsw.AuthError():
            return _read_only(path)
        case apsw.BusyError() | apsw.LockedError() | apsw.ProtocolError():
            return StillLocked(
                f"Another program has kept {path.name} locked for 30 seconds, so nothing was saved.",
                hint="Wait until it has finished (a backup, perhaps), then try again.",
            )
        case apsw.CorruptError() | apsw.NotADBError():
            return Corrupt(
                f"{path} is damaged: {error}.",
                hint="Nothing was changed. Keep the file, and restore a copy if you have one.",
            )
        case apsw.IOError() | apsw.CantOpenError():
            return StorageFailed(
                f"The disk could not read or write {path}: {error}.",
                hint="Check the disk and its permissions; what was saved before is still there.",
            )
        case _:
            return error


def from_os(error: OSError, path: Path) -> LegionError:
    """The operating system's refusal to handle `path`, as a sentence."""
    if error.errno in _FULL:
        return _full(path)
    if error.errno in _FORBIDDEN:
        return _read_only(path)
    return StorageFailed(
        f"The disk could not read or write {path}: {error.strerror or error}.",
        hint="Check the disk and its permissions; what was saved before is still there.",
    )


def _full(path: Path) -> DiskFull:
    return DiskFull(
        f"There is no space left for {path}, so nothing more was saved.",
        hint="Free some space and try again; what was saved before is safe.",
    )


def _read_only(path: Path) -> ReadOnly:
    return ReadOnly(
        f"{path} may not be written here.",
        hint=f"Give yourself write permission on {path.parent}, or set LEGION_HOME to another directory.",
    )
