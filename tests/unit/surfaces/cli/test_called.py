"""What `legion start` tells to type next is a command that works where it was started."""

from pathlib import Path

import pytest

from legion_core.surfaces.cli.commands.start import called


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / ".venv" / "bin" / "legion"
    made.parent.mkdir(parents=True)
    made.touch(mode=0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")
    return made


def test_a_program_in_the_environment_of_this_folder_is_named_from_here(program: Path) -> None:
    assert called(".venv/bin/legion") == ".venv/bin/legion"
    assert called(str(program)) == ".venv/bin/legion"


def test_one_that_is_found_by_its_name_is_named_so(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(program.parent))
    assert called(str(program)) == "legion"


def test_one_that_lies_elsewhere_is_named_whole(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert called(str(program)) == str(program)


def test_started_as_a_module_it_is_called_by_its_name() -> None:
    assert called("/somewhere/legion_core/__main__.py") == "legion"
