"""The import contracts hold, and each is broken by an import planted to break it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.arch.source import PRODUCT, ROOT

# By contract: a file to plant in a copy of the product, and what it says.
PLANTS = {
    "core layers": ("legion_core/kernel/planted_up.py", "import legion_core.storage.files\n"),
    "app layers": ("app/theme/planted_up.py", "import app.views.planted\n"),
    "core knows no GUI": ("legion_core/kernel/planted_qt.py", "import PySide6\n"),
    "only bootstrap sees past the api": ("app/viewmodels/planted.py", "import legion_core.gateway.types\n"),
    "views never touch the core": ("app/views/planted.py", "import legion_core.api.types\n"),
    "native code lives in the child": (
        "legion_core/gateway/planted.py",
        "import legion_core.workers.engines.base\n",
    ),
    "no product module imports the fakes": (
        "legion_core/storage/planted.py",
        "import legion_core.testing.clock\n",
    ),
    "pure modules decide, they do not do": ("legion_core/gateway/routing/policy.py", "import asyncio\n"),
    "no cycles": ("legion_core/kernel/clock.py", "import legion_core.kernel.ids\n"),
}


def verdicts(folder: Path) -> dict[str, str]:
    """`KEPT` or `BROKEN` by contract, as import-linter says of the product in `folder`."""
    tool = Path(sys.executable).with_name("lint-imports")
    command = [tool, "--no-logo", "--no-cache", "--config", str(ROOT / "pyproject.toml")]
    run = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    found = dict(re.findall(r"^(.+?) (KEPT|BROKEN)", run.stdout, re.MULTILINE))
    assert found, run.stdout + run.stderr
    return found


@pytest.mark.requirement("whole.layers-optional")
def test_every_contract_is_kept() -> None:
    assert {name for name, verdict in verdicts(ROOT).items() if verdict != "KEPT"} == set()


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    copy = tmp_path_factory.mktemp("planted")
    for folder in PRODUCT:
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for path, text in PLANTS.values():
        with (copy / path).open("a", encoding="utf-8") as file:
            file.write(text)
    return verdicts(copy)


def test_every_contract_has_a_plant(planted: dict[str, str]) -> None:
    assert set(planted) == set(PLANTS)


@pytest.mark.parametrize("name", PLANTS)
def test_the_contract_breaks_on_its_plant(planted: dict[str, str], name: str) -> None:
    assert planted[name] == "BROKEN"


def test_a_new_top_level_module_must_take_its_place(tmp_path: Path) -> None:
    for folder in PRODUCT:
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "legion_core" / "utils.py").write_text("", encoding="utf-8")
    assert verdicts(tmp_path)["core layers"] == "BROKEN"
