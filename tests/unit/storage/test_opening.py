"""What is found at the path, and what is said about it; nothing foreign or newer is ever changed."""

import asyncio
import errno
import os
import sys
from pathlib import Path

import apsw
import pytest

from legion_core.kernel.clock import SystemClock
from legion_core.kernel.errors import ConfigError, Corrupt, LegionError
from legion_core.storage.failures import DiskFull, ReadOnly, StillLocked, StorageFailed, translated
from legion_core.storage.opening import check_library
from legion_core.storage.sqlite import Connection, Database, Migration, execute, rows, script
from tests.contract.storage.disks import FailingDisk, mounted
from tests.support.aio import run

FIRST = Migration("t-0001", "CREATE TABLE t (id INTEGER PRIMARY KEY, word TEXT) STRICT")
SECOND = Migration("t-0002", "ALTER TABLE t ADD COLUMN mark TEXT; UPDATE t SET mark = 'old'")
OTHER = Migration("other-0001", "CREATE TABLE other (id INTEGER PRIMARY KEY)")


def write_words(path: Path, count: int = 3, migrations: tuple[Migration, ...] = (FIRST,)) -> None:
    def fill(connection: Connection) -> None:
        for number in range(count):
            execute(connection, "INSERT INTO t (word) VALUES (?)", (f"word {number} " + "x" * 200,))

    async def story() -> None:
        database = await Database.open(path, migrations=migrations, clock=SystemClock())
        await database.write(fill)
        await database.close()

    run(story())


def reopen(
    path: Path, migrations: tuple[Migration, ...] = (FIRST,), vfs: str = ""
) -> tuple[int, tuple[str, ...]]:
    """How many words are there, and what was said."""

    async def story() -> tuple[int, tuple[str, ...]]:
        database = await Database.open(path, migrations=migrations, clock=SystemClock(), vfs=vfs)
        try:
            assert await database.check() == []
            ((count,),) = await database.read(lambda connection: rows(connection, "SELECT count(*) FROM t"))
            return count, database.notes
        finally:
            await database.close()

    return run(story())


def refused(path: Path, kind: type[LegionError], migrations: tuple[Migration, ...] = (FIRST,)) -> LegionError:
    with pytest.raises(kind) as told:
        reopen(path, migrations)
    assert type(told.value) is kind
    assert told.value.hint, "every refusal says what to do"
    assert told.value.message.endswith(".")
    return told.value


def test_a_directory_in_its_place_is_said(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    path.mkdir()
    assert "is a directory" in refused(path, ConfigError).message
    assert path.is_dir()


def test_an_empty_file_is_said_and_left(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    path.touch()
    assert "0 bytes" in refused(path, Corrupt).message
    assert path.stat().st_size == 0


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x89PNG\r\n\x1a\n" + bytes(5000), "a PNG picture"),
        (b"GGUF" + bytes(5000), "a GGUF model"),
        (b"hello, world\n" * 400, "not a database"),
        (b"x", "not a database"),
    ],
)
def test_a_file_that_is_no_database_is_named_and_left(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "j.db"
    path.write_bytes(content)
    assert words in refused(path, Corrupt).message
    assert path.read_bytes() == content


def test_a_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    theirs = apsw.Connection(str(path))
    script(theirs, "CREATE TABLE bookmarks (url)")
    theirs.close()
    before = path.read_bytes()
    assert "another program" in refused(path, ConfigError).message
    assert path.read_bytes() == before


def test_a_newer_schema_is_refused_and_left(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    write_words(path, migrations=(FIRST, SECOND))
    before = path.read_bytes()
    error = refused(path, ConfigError, migrations=(FIRST,))
    assert "newer version" in error.message
    assert "t-0002" in error.message
    assert path.read_bytes() == before


def test_an_older_schema_is_brought_up_and_its_copy_kept_until_the_next_clean_start(tmp_path: Path) -> None:
    path, copy = tmp_path / "j.db", tmp_path / "j.db.backup"
    write_words(path)
    assert reopen(path, (FIRST, SECOND))[0] == 3
    assert copy.exists()
    old = apsw.Connection(str(copy), flags=apsw.SQLITE_OPEN_READONLY)
    assert rows(old, "SELECT count(*) FROM t") == [(3,)]
    assert rows(old, "SELECT name FROM pragma_table_info('t')") == [("id",), ("word",)]
    old.close()
    reopen(path, (FIRST, SECOND))
    assert not copy.exists()


def test_steps_of_two_slices_may_be_listed_in_any_order_and_each_is_applied_once(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    write_words(path, migrations=(FIRST, OTHER))
    assert reopen(path, (OTHER, FIRST, SECOND))[0] == 3
    assert reopen(path, (FIRST, SECOND, OTHER))[0] == 3


def test_a_step_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    write_words(path)
    bad = Migration("t-0002", "ALTER TABLE t ADD COLUMN mark TEXT; INSERT INTO nowhere VALUES (1)")
    with pytest.raises(apsw.SQLError, match="nowhere"):
        reopen(path, (FIRST, bad))
    assert reopen(path, (FIRST, SECOND))[0] == 3


def test_a_failed_creation_leaves_no_file(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    with pytest.raises(apsw.SQLError):
        reopen(path, (FIRST, Migration("t-0002", "NOT SQL")))
    assert not path.exists()
    write_words(path)
    assert sorted(file.name for file in tmp_path.glob("j.db*")) == ["j.db"]


@pytest.mark.parametrize("where", [100, 4 * 4096, 9 * 4096])
def test_a_damaged_file_is_copied_aside_once_and_left(tmp_path: Path, where: int) -> None:
    path = tmp_path / "j.db"
    write_words(path, 400)
    content = bytearray(path.read_bytes())
    content[where : where + 64] = b"\xff" * 64
    path.write_bytes(content)
    (tmp_path / "j.db-wal").write_bytes(b"\x37\x7f\x06\x82" + bytes(28))  # as a kill leaves it
    error = refused(path, Corrupt)
    copies = list(tmp_path.glob("j.db.damaged-*"))
    assert [copy.read_bytes() for copy in copies] == [bytes(content)]
    assert copies[0].name in error.hint
    refused(path, Corrupt)
    assert list(tmp_path.glob("j.db.damaged-*")) == copies


def test_a_file_cut_short_is_told_from_a_whole_one(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    write_words(path, 400)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    (tmp_path / "j.db-wal").write_bytes(b"\x37\x7f\x06\x82" + bytes(28))
    refused(path, Corrupt)


def test_a_log_of_noise_is_kept_and_said_and_the_checkpointed_state_opens(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    write_words(path)
    noise = b"\xa5\x5a" * 5000
    (tmp_path / "j.db-wal").write_bytes(noise)
    count, notes = reopen(path)
    assert count == 3
    assert "in doubt" in notes[0]
    assert [file.read_bytes() for file in tmp_path.glob("j.db-wal.damaged-*")] == [noise]


def test_a_log_without_its_file_is_never_played_onto_a_fresh_one(tmp_path: Path) -> None:
    path, aside = tmp_path / "j.db", tmp_path / "aside"
    aside.mkdir()

    async def leave_a_log() -> None:
        database = await Database.open(path, migrations=(FIRST,), clock=SystemClock())
        await database.write(lambda connection: execute(connection, "INSERT INTO t (word) VALUES ('old')"))
        (aside / "wal").write_bytes((tmp_path / "j.db-wal").read_bytes())
        await database.close()

    run(leave_a_log())
    path.unlink()
    (tmp_path / "j.db-wal").write_bytes((aside / "wal").read_bytes())
    count, notes = reopen(path)
    assert count == 0
    assert "fresh file" in notes[0]
    assert len(list(tmp_path.glob("j.db-wal.orphan-*"))) == 1


@pytest.mark.parametrize("name", ["my files", "наука 🧪", "x" * 120])
def test_unusual_directories_serve(tmp_path: Path, name: str) -> None:
    path = tmp_path / name / "deeper" / "j.db"
    write_words(path)
    assert reopen(path)[0] == 3


def test_an_old_library_is_refused() -> None:
    check_library("3.51.3")
    check_library("3.54.1")
    with pytest.raises(ConfigError, match=r"SQLite 3\.40\.1 can corrupt"):
        check_library("3.40.1")


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (apsw.FullError("database or disk is full"), DiskFull),
        (apsw.ReadOnlyError("attempt to write a readonly database"), ReadOnly),
        (apsw.IOError("disk I/O error"), StorageFailed),
        (apsw.CantOpenError("unable to open database file"), StorageFailed),
        (apsw.CorruptError("malformed"), Corrupt),
        (apsw.BusyError("database is locked"), StillLocked),
        (OSError(errno.ENOSPC, "No space left on device"), DiskFull),
        (OSError(errno.EROFS, "Read-only file system"), ReadOnly),
        (OSError(errno.EIO, "Input/output error"), StorageFailed),
    ],
)
def test_each_failure_of_the_world_has_its_own_error(failure: Exception, kind: type[LegionError]) -> None:
    error = translated(failure, Path("/home/me/journal.db"))
    assert type(error) is kind
    assert isinstance(error, LegionError)
    assert error.hint
    assert "journal.db" in error.message


def test_a_disk_that_cannot_be_written_is_said_at_the_opening(tmp_path: Path) -> None:
    def read_only(kind: str) -> None:
        if kind in ("write", "sync"):
            raise apsw.ReadOnlyError("read-only")

    with mounted(FailingDisk("read-only", read_only)), pytest.raises(ReadOnly, match="may not be written"):
        reopen(tmp_path / "j.db", vfs="read-only")
    assert reopen(tmp_path / "j.db")[0] == 0


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_directory_without_permission_is_said(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    refused(tmp_path / "closed" / "j.db", ReadOnly)


def test_two_openings_at_once_make_one_file(tmp_path: Path) -> None:
    async def story() -> None:
        databases = await asyncio.gather(
            *(Database.open(tmp_path / "j.db", migrations=(FIRST,), clock=SystemClock()) for _ in range(4))
        )
        for number, database in enumerate(databases):
            await database.write(
                lambda connection, number=number: execute(
                    connection, "INSERT INTO t VALUES (?, '')", (number,)
                )
            )
        ((count,),) = await databases[0].read(lambda connection: rows(connection, "SELECT count(*) FROM t"))
        assert count == 4
        await asyncio.gather(*(database.close() for database in databases))

    run(story())
