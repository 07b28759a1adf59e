"""Code that is dropped in runs only where its user alone could have written it."""

import os
from pathlib import Path

import pytest

from legion_core.engine.importing import digest, strangers
from legion_core.engine.registry import Registry
from tests.support.aio import run

CODE = 'def say() -> str:\n    "Say it."\n    return "hi"\n'
posix = pytest.mark.skipif(not hasattr(os, "getuid"), reason="owners are a matter of POSIX")


def extension(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "hello.py").write_text(CODE, encoding="utf-8")
    return folder


@posix
def test_a_link_to_a_folder_where_everybody_writes_is_not_run(tmp_path: Path) -> None:
    shared = extension(tmp_path / "shared" / "mine")
    (tmp_path / "extensions").mkdir()
    (tmp_path / "extensions" / "mine").symlink_to(shared, target_is_directory=True)
    assert strangers(tmp_path / "extensions" / "mine") == ""
    for path in (shared, shared / "hello.py"):
        before = path.stat().st_mode
        path.chmod(before | 0o002)
        found = run(Registry({}, tmp_path / "extensions").extension("mine"))
        assert "Everybody may write" in found.problem
        assert found.functions == {}
        path.chmod(before)
    assert run(Registry({}, tmp_path / "extensions").extension("mine")).functions


@posix
def test_code_of_somebody_else_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = extension(tmp_path / "mine")
    if (mine := os.getuid()) == 0:
        os.chown(folder / "hello.py", 4242, -1)
    else:
        monkeypatch.setattr(os, "getuid", lambda: mine + 1)
    assert "belongs to somebody else" in strangers(folder)


def test_a_digest_is_of_what_the_code_is_and_nothing_else(tmp_path: Path) -> None:
    folder = extension(tmp_path / "mine")
    before = digest(folder)
    (folder / "notes.txt").write_text("x", encoding="utf-8")
    os.utime(folder / "hello.py", (1, 1))
    assert digest(folder) == before
    (folder / "hello.py").write_text(CODE.replace("hi", "ho"), encoding="utf-8")
    assert digest(folder) != before


def test_whoever_is_told_of_code_is_told_before_it_runs_and_may_stop_it(tmp_path: Path) -> None:
    folder = extension(tmp_path / "extensions" / "mine")
    (folder / "hello.py").write_text(
        f"open({str(tmp_path / 'ran')!r}, 'w').close()\n{CODE}", encoding="utf-8"
    )
    registry = Registry({}, tmp_path / "extensions")

    async def refuse(name: str, _: str) -> None:
        raise PermissionError(name)

    registry.on_import = refuse
    with pytest.raises(PermissionError, match="mine"):
        run(registry.extension("mine"))
    assert not (tmp_path / "ran").exists()
