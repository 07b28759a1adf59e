"""What the command line tells to type next is a command that works where it was started."""

import sys
from pathlib import Path

import pytest

from legion_core.surfaces.cli.main import run
from legion_core.surfaces.cli.words import called, typed


def called_as(started: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(sys, "argv", [started])
    return called()


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / ".venv" / "bin" / "legion"
    made.parent.mkdir(parents=True)
    made.touch(mode=0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")
    return made


def test_a_program_in_the_environment_of_this_folder_is_named_from_here(
    program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert called_as(".venv/bin/legion", monkeypatch) == ".venv/bin/legion"
    assert called_as(str(program), monkeypatch) == ".venv/bin/legion"


def test_one_that_is_found_by_its_name_is_named_so(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(program.parent))
    assert called_as(str(program), monkeypatch) == "legion"


def test_one_that_lies_elsewhere_is_named_whole(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert called_as(str(program), monkeypatch) == str(program)


def test_started_as_a_module_it_is_called_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert called_as("/somewhere/legion_core/__main__.py", monkeypatch) == "legion"


def test_a_hint_names_the_command_as_it_works_from_here(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [str(program)])

    status = run(
        ["chat", "prompt", " "],
        open_node=lambda *_, **__: pytest.fail("nothing is opened"),
        env={"LEGION_HOME": str(tmp_path / "home")},
    )

    assert status == 1
    assert 'Such as: .venv/bin/legion chat prompt "Hello"' in capsys.readouterr().err
    assert typed("Stop it with `legion stop`.") == "Stop it with `.venv/bin/legion stop`."
    assert typed("A file of legion itself: legion.toml") == "A file of legion itself: legion.toml"
