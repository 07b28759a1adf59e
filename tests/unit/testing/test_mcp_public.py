"""What is tried with the programs of others: every check counts, and one that fails is told."""

import asyncio
import sys
from pathlib import Path

import pytest

from legion_core.testing.mcp_public import Place, Ran, Sheet
from tests.support.aio import run


def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "home", tmp_path, tmp_path, sys.executable, Sheet())


def test_a_check_that_fails_is_told_in_one_line_with_what_was_said() -> None:
    sheet = Sheet()
    assert sheet.expect("one", True, "anything")
    assert not sheet.expect("two", False, "more\nthan a line")
    assert (sheet.asked, sheet.faults) == (2, ["two: more than a line"])


def test_what_is_no_document_of_a_command_tells_nothing() -> None:
    assert Ran(0, '{"data": {"id": "x"}}', "").data == {"id": "x"}
    assert [Ran(0, out, "").data for out in ("", "words", "[1]", '{"data": [1]}')] == [{}, {}, {}, {}]


def test_a_command_runs_with_a_home_of_its_own_and_no_setting_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LEGION_TOKEN", "ours")
    code = "import os; print(os.environ.get('LEGION_TOKEN'), os.environ['LEGION_HOME'])"

    async def work() -> None:
        ran = await place(tmp_path).run(sys.executable, "-c", code)
        assert ran.out.split() == ["None", str(tmp_path / "home")]

    run(work())


def test_a_program_serves_from_its_sign_on_and_ends_with_the_block(tmp_path: Path) -> None:
    code = "import time; print('x' * 9); print('ready', flush=True); print('y' * 200_000, flush=True); time.sleep(600)"

    async def work() -> None:
        async with place(tmp_path).started((sys.executable, "-c", code), "ready") as process:
            assert process.returncode is None
        assert process.returncode == -15
        with pytest.raises(ConnectionError):
            async with place(tmp_path).started((sys.executable, "-c", "print('no')"), "ready"):
                raise AssertionError("it never served")
        assert len(asyncio.all_tasks()) == 1

    run(work())
