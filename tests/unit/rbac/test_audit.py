"""The audit log as a service: durable, bounded, moved out in order, and honest about its own keeping."""

import shutil
from pathlib import Path

import apsw
import pytest

from legion_core.kernel.errors import Denied, LegionError
from legion_core.rbac.audit import PENDING_MAX, line_of
from legion_core.rbac.audit_chain import Note
from legion_core.storage.sqlite import execute
from tests.support.aio import run
from tests.unit.rbac.parts import parts

NOTE = Note(kind="a.b", who="bot", path="tasks/x", detail="d")


def changed(home: Path, sql: str) -> None:
    connection = apsw.Connection(str(home / "journal.db"))
    connection.execute(sql)
    connection.close()


def test_what_was_recorded_is_there_after_a_restart_and_whole(tmp_path: Path) -> None:
    async def write() -> None:
        async with parts(tmp_path) as at:
            await at.audit.note(NOTE)
            for _ in range(5):
                at.audit.note_nowait(NOTE)

    async def read() -> int:
        async with parts(tmp_path) as at:
            found, place = await at.audit.verify()
            assert (found.first_bad, place) == (None, "plain")
            return found.count

    run(write())
    assert run(read()) == 6
    assert (tmp_path / "audit.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("sql", "first"),
    [
        ("UPDATE audit SET who = 'x' WHERE seq = 4", 4),
        ("DELETE FROM audit WHERE seq = 5", 5),
        ("DELETE FROM audit WHERE seq > 6", 7),
        ("DELETE FROM audit WHERE seq > 6; DELETE FROM audit_marks", 7),
        ("DELETE FROM audit; DELETE FROM audit_marks; DELETE FROM audit_keys", 1),
        ("UPDATE audit SET seq = -1 WHERE seq = 2; UPDATE audit SET seq = 2 WHERE seq = 3; UPDATE audit SET seq = 3 WHERE seq = -1", 2),
    ],
)  # fmt: skip
@pytest.mark.parametrize("is_written_after", [False, True], ids=["left", "written after"])
def test_what_is_done_to_the_file_is_found_also_when_the_workbench_goes_on_writing(
    tmp_path: Path, allow_log: object, sql: str, first: int, is_written_after: bool
) -> None:
    allow_log("not the one that was here before")  # type: ignore[operator]

    async def write(count: int) -> None:
        async with parts(tmp_path) as at:
            for _ in range(count):
                await at.audit.note(NOTE)

    async def verify() -> int | None:
        async with parts(tmp_path) as at:
            return (await at.audit.verify())[0].first_bad

    run(write(10))
    changed(tmp_path, sql)
    if is_written_after:
        run(write(2))
    assert run(verify()) == first


@pytest.mark.parametrize("is_head_taken_away", [False, True], ids=["head left", "head taken away"])
def test_an_older_copy_of_the_journal_in_its_place_is_found(
    tmp_path: Path, allow_log: object, is_head_taken_away: bool
) -> None:
    allow_log("not the one that was here before")  # type: ignore[operator]

    async def write() -> None:
        async with parts(tmp_path) as at:
            for _ in range(5):
                await at.audit.note(NOTE)

    async def verify() -> int | None:
        async with parts(tmp_path) as at:
            return (await at.audit.verify())[0].first_bad

    run(write())
    shutil.copy(tmp_path / "journal.db", tmp_path / "older.db")
    run(write())
    shutil.copy(tmp_path / "older.db", tmp_path / "journal.db")
    if is_head_taken_away:
        (tmp_path / "audit.head").unlink()

    assert run(verify()) == 6
    assert run(verify()) == 6


def test_a_head_that_is_taken_away_while_the_workbench_runs_is_found(tmp_path: Path) -> None:
    async def work() -> None:
        async with parts(tmp_path) as at:
            for _ in range(70):
                await at.audit.note(NOTE)
            assert (await at.audit.verify())[0].first_bad is None
            (tmp_path / "audit.head").unlink()
            assert (await at.audit.verify())[0].first_bad == 71

    run(work())


def test_old_entries_move_to_files_that_are_still_whole_and_the_rest_hangs_on(tmp_path: Path) -> None:
    async def work() -> None:
        async with parts(tmp_path, entries_max=100, moved=50) as at:
            for _ in range(260):
                await at.audit.note(NOTE)
            found, _ = await at.audit.verify()
            assert found.first_bad is None
            assert found.count < 260
            files = sorted((tmp_path / "audit").glob("*.jsonl"))
            assert files
            for file in files:
                assert (await at.audit.verify_lines(file.read_bytes())).first_bad is None
            assert files[0].read_bytes().count(b"\n") == 50
            changed_one = files[0].read_bytes().replace(b'"bot"', b'"eve"', 1)
            assert (await at.audit.verify_lines(changed_one)).first_bad == 1
            rows = await at.audit.page(kind="audit.moved")
            assert rows[0].detail.split()[0] in {file.name for file in files}

    run(work())


def test_a_flood_is_bounded_and_what_was_lost_is_said(tmp_path: Path) -> None:
    async def work() -> None:
        async with parts(tmp_path) as at:
            for _ in range(PENDING_MAX + 500):
                at.audit.note_nowait(NOTE)
            await at.audit.flush()
            rows = await at.audit.page(kind="audit.lost")
            assert [row.detail for row in rows] == ["500 entries"]
            assert (await at.audit.verify())[0].first_bad is None

    run(work())


def test_where_nothing_can_be_recorded_nothing_is_changed(tmp_path: Path, allow_log: object) -> None:
    allow_log(".*")  # type: ignore[operator]

    async def work() -> None:
        async with parts(tmp_path) as at:
            made = await at.rbac.create_token(at.rbac.authorizer.named("owner"), "one", (), "", None)

            def break_it(connection: apsw.Connection) -> None:
                execute(connection, "DROP TABLE audit")

            await at.database.write(break_it)
            owner = at.rbac.authorizer.named("owner")
            with pytest.raises((LegionError, apsw.Error)):
                await at.rbac.revoke_token(owner, "one")
            with pytest.raises((LegionError, apsw.Error)):
                await at.rbac.create_token(owner, "two", (), "", None)
            with pytest.raises((LegionError, apsw.Error)):
                await at.rbac.apply_policy(owner, "version = 1\n")
            assert at.rbac.principal(made.secret) is not None
            assert [row.name for row in await at.rbac.tokens()] == ["one"]
            assert not at.rbac.authorizer.is_policy
            assert not (tmp_path / "policy.toml").exists()

    run(work())


def test_the_key_lies_in_the_encrypted_file_where_there_is_one_and_is_refused_while_it_is_locked(
    tmp_path: Path, allow_log: object
) -> None:
    allow_log("nothing can be recorded|could not be written")  # type: ignore[operator]

    async def first() -> None:
        async with parts(tmp_path, {"LEGION_PASSPHRASE": "open sesame"}) as at:
            await at.audit.note(NOTE)
            assert (await at.audit.verify())[1] == "file"

    async def locked() -> None:
        async with parts(tmp_path) as at:
            with pytest.raises(Denied):
                await at.audit.note(NOTE)

    run(first())
    assert not (tmp_path / "audit.key").exists()
    run(locked())
    run(first())


def test_a_key_that_is_lost_is_not_passed_over(tmp_path: Path) -> None:
    async def write() -> int | None:
        async with parts(tmp_path) as at:
            await at.audit.note(NOTE)
            return (await at.audit.verify())[0].first_bad

    assert run(write()) is None
    (tmp_path / "audit.key").unlink()
    assert run(write()) == 1, "what the old key sealed nobody vouches for any more"


def test_keys_and_tokens_in_a_detail_are_masked(tmp_path: Path) -> None:
    async def work() -> bytes:
        async with parts(tmp_path) as at:
            await at.audit.note(Note(kind="a", who="b", detail="Bearer sk-abcdefgh12345678 " + "x" * 5_000))
            return b"".join(map(line_of, await at.audit.page()))

    told = run(work())
    assert b"sk-abcdefgh12345678" not in told
    assert len(told) < 3_000
