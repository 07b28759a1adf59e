"""From a path to a connection that can be trusted: what the file is, whether it is whole, how it is set up."""

import contextlib
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import apsw

from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import ConfigError, Corrupt
from legion_core.kernel.files import sync_directory
from legion_core.kernel.ids import Rng
from legion_core.storage.failures import translated
from legion_core.storage.files import copy_aside, directory_lock
from legion_core.storage.migrations import Migration, apply, pending
from legion_core.storage.statements import row, rows, script

LIBRARY_MIN = (3, 51, 3)  # older ones can corrupt the file when a write and a checkpoint race
APPLICATION_ID = 0x4C474E31  # "LGN1", in the file's header
PAGE_BYTES_MIN = 512
BUSY_MAX_S = 30.0
NAPS = 200  # short ones, about 0.4 s together
CHECK_BYTES_MAX = 64 << 20  # up to this size a file left by an unclean stop is checked before it is used
WAL_KEPT_BYTES_MAX = 64 << 20
_WAL_MAGIC = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")
_MAGIC = {
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a zip archive",
    b"\x1f\x8b": "a gzip archive",
    b"GGUF": "a GGUF model",
    b"\x7fELF": "a program",
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where a database lies and what its connections are made with."""

    path: Path
    clock: Clock
    rng: Rng
    stopping: threading.Event  # set: nobody waits for a lock any more
    vfs: str = ""  # SQLite's file layer; a test's own, or the system's


@dataclass(frozen=True, slots=True)
class Opened:
    """A connection ready for the writer, and sentences about what was found."""

    connection: apsw.Connection
    notes: tuple[str, ...]


def check_library(version: str) -> None:
    """Refuse a SQLite that can corrupt a write-ahead log."""
    if tuple(int(part) for part in version.split(".")[:3]) < LIBRARY_MIN:
        wanted = ".".join(map(str, LIBRARY_MIN))
        raise ConfigError(
            f"SQLite {version} can corrupt its write-ahead log; at least {wanted} is needed.",
            hint="Install the workbench again, so that its own copy of SQLite (apsw) is used.",
        )


def open_writer(place: Place, migrations: Sequence[Migration]) -> Opened:
    """Create or open the file, mend what can be mended, and bring its schema up to date. Blocks."""
    path = place.path
    check_library(apsw.sqlite_lib_version())
    notes: list[str] = []
    try:
        if not path.exists():
            _create(place, migrations, notes)
        return _open_existing(place, migrations, notes)
    except (apsw.CorruptError, apsw.NotADBError) as error:
        raise _damaged(place, str(error)) from error
    except (apsw.Error, OSError) as error:
        raise translated(error, path) from error


def connect(place: Place, *, is_reader: bool = False) -> apsw.Connection:
    """A set-up connection to the existing file; a reader cannot write and never checkpoints."""
    flags = apsw.SQLITE_OPEN_READONLY if is_reader else apsw.SQLITE_OPEN_READWRITE
    connection = apsw.Connection(str(place.path), flags=flags, vfs=place.vfs or None)
    try:
        connection.set_busy_handler(_Patience(place).wait)
        script(connection, "PRAGMA mmap_size=0; PRAGMA foreign_keys=ON; PRAGMA temp_store=MEMORY")
        if is_reader:
            script(connection, "PRAGMA query_only=ON")
        else:
            # Only macOS knows a stronger fsync; elsewhere these two do nothing.
            script(connection, "PRAGMA fullfsync=ON; PRAGMA checkpoint_fullfsync=ON")
            script(connection, f"PRAGMA journal_size_limit={WAL_KEPT_BYTES_MAX}")
            script(connection, "PRAGMA wal_autocheckpoint=1000")
    except BaseException:
        connection.close()
        raise
    return connection


class _Patience:
    """SQLite's busy handler: short naps with jitter while others take turns, longer ones where one holds on; at most 30 s.

    Who naps longer than the others' transactions last is passed over again and again.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self._until_s = 0.0

    def wait(self, times_before: int) -> bool:
        now_s = self._place.clock.monotonic_s()
        if times_before == 0:
            self._until_s = now_s + BUSY_MAX_S
        if now_s >= self._until_s:
            return False
        pause_s = 0.0005 * 2 ** min(times_before, 2) if times_before < NAPS else 0.05
        return not self._place.stopping.wait(pause_s * (0.5 + self._place.rng.random()))


def _create(place: Place, migrations: Sequence[Migration], notes: list[str]) -> None:
    """Make the whole file under another name and move it into place: it is never seen half made."""
    path = place.path
    path.parent.mkdir(parents=True, exist_ok=True)
    with directory_lock(path.parent, place.clock):
        if path.exists():
            return  # another process was first
        _set_orphans_aside(place, notes)
        fresh = path.with_name(f"{path.name}.new")  # under the lock there is only one
        _remove(fresh)
        connection = apsw.Connection(
            str(fresh),
            flags=apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE,
            vfs=place.vfs or None,
        )
        try:
            script(connection, f"PRAGMA application_id={APPLICATION_ID}; PRAGMA journal_mode=WAL")
            script(connection, "PRAGMA synchronous=FULL")
            apply(connection, migrations, place.clock)
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        finally:
            connection.close()
        os.replace(fresh, path)
        sync_directory(path.parent)


def _open_existing(place: Place, migrations: Sequence[Migration], notes: list[str]) -> Opened:
    path = place.path
    if path.is_dir():
        raise ConfigError(
            f"{path} is a directory, where a database file is expected.",
            hint="Move the directory away; the workbench then makes a fresh file.",
        )
    if path.stat().st_size == 0:
        raise Corrupt(
            f"{path} is empty (0 bytes): it was cut off, or is not ours.",
            hint="Restore a copy, or move it away; the workbench then makes a fresh file.",
        )
    if path.stat().st_size < PAGE_BYTES_MIN:
        raise apsw.NotADBError(
            "shorter than a page"
        )  # SQLite would take it for an empty one and write over it
    was_unclean = _examine_log(place, notes)
    connection = connect(place)
    try:
        _recognise(connection, path)
        if was_unclean and path.stat().st_size <= CHECK_BYTES_MAX:
            faults = [str(fault) for (fault,) in rows(connection, "PRAGMA quick_check(3)")]
            if faults != ["ok"]:
                raise apsw.CorruptError("; ".join(faults))
        backup = path.with_name(f"{path.name}.backup")
        if pending(connection, migrations, path):
            _back_up(connection, backup)
            script(connection, "PRAGMA synchronous=FULL")
            apply(connection, migrations, place.clock)
        else:
            backup.unlink(missing_ok=True)  # this start found all in order: the copy has served
    except BaseException:
        connection.close()
        raise
    return Opened(connection, tuple(notes))


def _recognise(connection: apsw.Connection, path: Path) -> None:
    if row(connection, "PRAGMA application_id") != (APPLICATION_ID,):
        raise ConfigError(
            f"{path} is a database of another program.",
            hint="Move it away, or set LEGION_HOME to a directory of the workbench's own.",
        )
    (mode,) = row(connection, "PRAGMA journal_mode=WAL") or (None,)
    if mode != "wal":
        raise ConfigError(
            f"{path} cannot keep a write-ahead log here (SQLite answers {mode!r}).",
            hint="Set LEGION_HOME to a local disk; network file systems often cannot do this.",
        )


def _examine_log(place: Place, notes: list[str]) -> bool:
    """Whether the last stop left a log behind; one that is not a log is copied aside, as SQLite would drop it."""
    log = place.path.with_name(f"{place.path.name}-wal")
    try:
        with log.open("rb") as stream:
            head = stream.read(4)
    except FileNotFoundError:
        return False
    # No lock lives on this file, so reading it by ourselves is safe, which it would not be for the main file.
    if len(head) == 4 and head not in _WAL_MAGIC and any(head):
        aside = copy_aside(log, place.clock)
        notes.append(
            f"The write-ahead log of {place.path.name} was damaged: what was saved after the last checkpoint is "
            f"in doubt. A copy is kept as {aside.name}."
        )
    return len(head) == 4


def _set_orphans_aside(place: Place, notes: list[str]) -> None:
    """A log without its main file must never be played onto a fresh one; it is kept under another name."""
    for suffix in ("-wal", "-shm"):
        orphan = place.path.with_name(f"{place.path.name}{suffix}")
        if not orphan.exists():
            continue
        if suffix == "-wal" and orphan.stat().st_size:
            aside = copy_aside(orphan, place.clock, "orphan")
            notes.append(
                f"{place.path.name} was gone and only its write-ahead log was left; it is kept as {aside.name}, and "
                "a fresh file was begun."
            )
        orphan.unlink()


def _back_up(connection: apsw.Connection, backup: Path) -> None:
    """Copy the whole database to `backup` before its schema changes; an older copy is kept instead."""
    if backup.exists():
        return
    fresh = backup.with_name(f"{backup.name}.{os.getpid()}.new")
    _remove(fresh)
    copy = apsw.Connection(str(fresh))
    try:
        with copy.backup("main", connection, "main") as transfer:
            while not transfer.done:
                transfer.step(1000)
        script(copy, "PRAGMA journal_mode=DELETE")
    finally:
        copy.close()
    os.replace(fresh, backup)
    sync_directory(backup.parent)


def _damaged(place: Place, found: str) -> Corrupt:
    """Copy the damaged file aside, and say what it seems to be."""
    path = place.path
    with path.open("rb") as stream:
        head = stream.read(16)
    for magic, thing in _MAGIC.items():
        if head.startswith(magic):
            return Corrupt(
                f"{path} is not a database: it is {thing}.",
                hint="Move it away; the workbench then makes a fresh file.",
            )
    aside = copy_aside(path, place.clock)
    log = path.with_name(f"{path.name}-wal")
    with contextlib.suppress(FileNotFoundError):
        copy_aside(log, place.clock)
    if not head.startswith(b"SQLite format 3\0"):
        return Corrupt(
            f"{path} is not a database, or its beginning was overwritten.",
            hint=f"Nothing was changed; a copy is kept as {aside.name}. Move the file away to begin afresh.",
        )
    return Corrupt(
        f"{path} is damaged: {found}.",
        hint=f"Nothing was changed; a copy is kept as {aside.name}. Restore a copy, or move it away to begin afresh.",
    )


def _remove(path: Path) -> None:
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(f"{path.name}{suffix}").unlink(missing_ok=True)
