"""The locks: every package by hash, no host named, and what `pyproject.toml` asks for is in them."""

import re
import tomllib

import pytest

from tests.arch.source import ROOT

LOCKS = sorted((ROOT / "packaging" / "locks").glob("*.txt"))
PINNED = re.compile(r"^([A-Za-z0-9_.\-]+)==(\S+)(.*)$")


def pins(name: str) -> dict[str, set[str]]:
    """Versions by normalised name; a universal lock may hold two for two Pythons."""
    found: dict[str, set[str]] = {}
    for line in (ROOT / "packaging" / "locks" / name).read_text(encoding="utf-8").splitlines():
        if match := PINNED.match(line):
            found.setdefault(normal(match[1]), set()).add(match[2])
    return found


def normal(requirement: str) -> str:
    """The bare, normalised name of a requirement."""
    return re.sub(r"[-_.]+", "-", re.split(r"[\s\[<>=!~;]", requirement, maxsplit=1)[0]).lower()


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_a_lock_names_hashes_and_no_hosts(lock) -> None:
    text = lock.read_text(encoding="utf-8")
    assert not re.search(r"\w://|--(extra-)?index-url|--find-links|file:", text)
    entries = re.split(r"^(?=\S)", text, flags=re.MULTILINE)
    assert all("--hash=sha256:" in entry for entry in entries if entry.strip())


def test_each_lock_holds_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    runtime = {normal(each) for each in project["project"]["dependencies"]}
    assert runtime <= set(pins("requirements.txt"))
    assert {normal(each) for each in project["dependency-groups"]["dev"]} <= set(pins("dev.txt"))
    assert {normal(each) for each in project["build-system"]["requires"]} <= set(pins("build.txt"))


def test_the_user_gets_no_developer_tools() -> None:
    tools = {
        "pytest",
        "ruff",
        "basedpyright",
        "pyinstaller",
        "hypothesis",
        "openai",
        "anthropic",
        "import-linter",
    }
    assert set(pins("requirements.txt")) & tools == set()


def test_one_environment_can_hold_all_locks() -> None:
    runtime = pins("requirements.txt")
    for other in ("dev.txt", "build.txt"):
        differing = {
            name for name, versions in pins(other).items() if name in runtime and versions != runtime[name]
        }
        assert differing == set(), other
    dev = pins("dev.txt")
    assert all(dev[name] == versions for name, versions in pins("build.txt").items() if name in dev)
