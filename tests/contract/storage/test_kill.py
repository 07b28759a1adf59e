"""The journal's promise to other processes: killed at any instant, or many at once, nothing acknowledged is lost."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from legion_core.kernel.clock import SystemClock
from legion_core.storage.sqlite import Connection, Database, rows
from tests.contract.storage import writer_child
from tests.support.aio import run

CHILD = Path(writer_child.__file__)
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills with a POSIX signal")


def child(
    path: Path, durability: str, first: int, count: int, reopenings: int = 1, **env: str
) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, str(CHILD), str(path), durability, str(first), str(count), str(reopenings)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **env},
    )


def acknowledged(output: bytes) -> set[int]:
    """Whole lines only: the kill may have cut the last."""
    return {int(line.split()[1]) for line in output.split(b"\n")[:-1] if line.startswith(b"ack ")}


def found(path: Path, steps: int = len(writer_child.MIGRATIONS)) -> set[int]:
    """The numbers that are there, after checking that the file is whole and that no work is there by half."""

    def look(connection: Connection) -> set[int]:
        counts = rows(connection, "SELECT pair, count(*) FROM t GROUP BY pair")
        assert all(count == 2 for _, count in counts), "half of a work is there"
        return {pair for pair, _ in counts}

    async def story() -> set[int]:
        database = await Database.open(path, migrations=writer_child.MIGRATIONS[:steps], clock=SystemClock())
        assert await database.check() == []
        try:
            return await database.read(look)
        finally:
            await database.close()

    return run(story())


@pytest.mark.timeout(600)
@pytest.mark.parametrize("durability", ["process", "power"])
def test_a_process_killed_at_any_instant_has_lost_nothing_it_was_told_is_safe(
    tmp_path: Path, durability: str, count_factor: int
) -> None:
    path = tmp_path / "j.db"
    chance = random.Random(20250101)
    told: set[int] = set()
    for round_number in range(5 * count_factor * (2 if count_factor > 1 else 1)):
        process = child(path, durability, round_number * 1_000_000, 1_000_000)
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(chance.randrange(1, 400))]
        process.send_signal(signal.SIGKILL)
        rest, _ = process.communicate(timeout=100)
        assert process.returncode == -signal.SIGKILL
        told |= acknowledged(b"".join(lines) + rest)
        there = found(path)
        assert told <= there, (
            f"round {round_number}: {sorted(told - there)[:10]} were acknowledged and are gone"
        )
    assert told


@pytest.mark.timeout(300)
def test_four_processes_on_one_file_never_meet_a_lock(tmp_path: Path, count_factor: int) -> None:
    path = tmp_path / "j.db"
    count = 240 * count_factor
    processes = [child(path, "process", number * 1_000_000, count, reopenings=5) for number in range(4)]
    for process in processes:
        output, errors = process.communicate(timeout=280)
        assert errors == b""
        assert process.returncode == 0
        assert len(acknowledged(output)) == count
        assert output.endswith(b"done\n")
    assert len(found(path)) == 4 * count


@pytest.mark.parametrize("number", [1, 2])
def test_a_schema_change_killed_half_way_leaves_the_old_or_the_new_and_a_copy(
    tmp_path: Path, number: int
) -> None:
    path, copy = tmp_path / "j.db", tmp_path / "j.db.backup"
    first = child(path, "process", 0, 80, LEGION_TEST_STEPS="1")
    assert first.communicate(timeout=100)[1] == b""
    killed = child(path, "process", 1000, 80, LEGION_TEST_DIE_AT=f"storage.write:{number}")
    killed.communicate(timeout=100)
    assert killed.returncode == -signal.SIGKILL
    direct = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    names = [name for (name,) in rows(direct, "SELECT name FROM legion_migrations ORDER BY name")]
    columns = [name for (name,) in rows(direct, "SELECT name FROM pragma_table_info('t')")]
    direct.close()
    assert names == ["t-0001", "t-0002"][:number]
    assert ("mark" in columns) == ("t-0002" in names)
    assert copy.exists()
    assert len(found(path)) == 80  # finishes the change
    assert copy.exists()
    assert len(found(path)) == 80  # the first clean start
    assert not copy.exists()


def test_a_creation_killed_half_way_is_begun_again(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    for number in (1, 2, 3):
        killed = child(path, "process", 0, 8, LEGION_TEST_DIE_AT=f"storage.write:{number}")
        killed.communicate(timeout=100)
        assert killed.returncode == -signal.SIGKILL
        assert not path.exists(), "a file is never seen half made"
    assert found(path) == set()
    assert sorted(file.name for file in tmp_path.glob("j.db*")) == ["j.db"]


@pytest.mark.parametrize("site", ["storage.begin", "storage.write", "storage.commit"])
@pytest.mark.parametrize("visit", [4, 9])
def test_a_kill_at_a_named_point_loses_nothing_acknowledged(tmp_path: Path, site: str, visit: int) -> None:
    path = tmp_path / "j.db"
    assert found(path) == set()
    killed = child(path, "power", 0, 4000, LEGION_TEST_DIE_AT=f"{site}:{visit}")
    output, _ = killed.communicate(timeout=100)
    assert killed.returncode == -signal.SIGKILL
    assert acknowledged(output) <= found(path)
