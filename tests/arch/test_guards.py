"""The walls around the suite stand: each guard fails a test planted to offend against it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import plants

ROOT = Path(__file__).resolve().parents[2]
PLANTS = Path(__file__).with_name("plants_guards.py")

# What the report of each planted offence must say.
SAID = {
    "leaves_by_a_connection": "tests stay on this machine",
    "swallows_the_refusal": "the test left this machine: socket.getaddrinfo to 'example.org'",
    "logs_a_warning": "a.b: WARNING: odd 1",
    "leaves_a_thread": "thread 'forgotten' at",
    "leaves_a_process": "-c input()",
    "leaves_a_task": "task 'forgotten' (sleep)",
    "warns": "old habit",
    "leaves_a_file_open": "unclosed file",
    "leaves_a_socket_open": "unclosed <socket",
    "leaves_a_file_open_in_a_circle": "unclosed file",
    "leaves_a_variable": "variable LEGION_FORGOTTEN",
    "takes_a_variable_away": "variable LC_ALL",
    "leaves_a_folder": "/forgotten-",
    "leaves_a_temporary_file": "/forgotten-",
}


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return plants.reports(PLANTS, tmp_path_factory.mktemp("plants"))


def test_every_plant_was_run_and_judged(reports: dict[str, str]) -> None:
    assert set(reports) == {*SAID, *plants.honest(PLANTS)}


@pytest.mark.parametrize("name", SAID)
def test_the_guard_names_what_a_planted_test_did(reports: dict[str, str], name: str) -> None:
    assert SAID[name] in reports[name]


@pytest.mark.parametrize("name", plants.honest(PLANTS))
def test_the_guards_let_an_honest_test_pass(reports: dict[str, str], name: str) -> None:
    assert reports[name] == ""


def _without_qt(folder: Path, files: dict[str, str], *options: str) -> subprocess.CompletedProcess[str]:
    """Run planted tests where importing Qt fails as it does when a library is missing."""
    blocked = folder / "blocked" / "PySide6"
    blocked.mkdir(parents=True)
    (blocked / "__init__.py").write_text("raise ImportError('libEGL.so.1: no such file')", encoding="utf-8")
    for name, text in files.items():
        path = folder / "tests" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-p",
        "tests.support.windowless",
    ]
    command += [*options, "-c", str(ROOT / "pyproject.toml"), "--rootdir", str(folder), "tests"]
    environment = {**os.environ, "PYTHONPATH": f"{blocked.parent}{os.pathsep}{ROOT}"}
    return subprocess.run(
        command, capture_output=True, text=True, cwd=folder, timeout=100, check=False, env=environment
    )


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("-n", "2")], ids=["one process", "two processes"])
def test_without_qt_the_rest_runs_and_the_count_of_the_others_is_told(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    run = _without_qt(
        tmp_path,
        {
            "test_plain.py": "def test_it(): pass\n",
            "test_fixture.py": "def test_it(qtbot): pass\n",
            "test_import.py": "from PySide6.QtCore import QObject\ndef test_a(): pass\ndef test_b(): pass\n",
            "test_app.py": "from app.views import rail\ndef test_it(): pass\n",
            "gui/conftest.py": "from app.bridge import Bridge\n",
            "gui/test_inside.py": "def test_it(): pass\n",
        },
        *options,
    )
    assert "1 passed" in run.stdout, run.stdout + run.stderr
    assert "5 window tests did not run: libEGL.so.1: no such file" in run.stdout
    assert run.returncode == 3


@pytest.mark.slow
def test_without_qt_a_failure_is_still_a_failure(tmp_path: Path) -> None:
    run = _without_qt(
        tmp_path, {"test_bad.py": "def test_it(): assert False\n", "test_q.py": "import PySide6\n"}
    )
    assert run.returncode == 1, run.stdout + run.stderr
