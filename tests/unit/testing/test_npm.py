"""Other people's programs: what is pinned is installed once, and what cannot be had is said in words."""

import json
import sys
from pathlib import Path

import pytest

from legion_core.testing import npm

PINS = sorted(path.parent.name for path in npm.PINNED.glob("*/package-lock.json"))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "legion-workbench"


def npm_that(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str) -> None:
    script = tmp_path / "npm.py"
    script.write_text(code, encoding="utf-8")
    monkeypatch.setattr(npm, "node_and_npm", lambda: (sys.executable, str(script)))


@pytest.mark.parametrize("name", PINS)
def test_every_package_is_pinned_by_its_exact_version_and_hash(name: str) -> None:
    lock = json.loads((npm.PINNED / name / "package-lock.json").read_text(encoding="utf-8"))
    packages = {path: told for path, told in lock["packages"].items() if path}
    assert lock["packages"][""]["dependencies"] == npm.versions(name)
    for wanted, version in npm.versions(name).items():
        assert packages[f"node_modules/{wanted}"]["version"] == version
    assert all(told["integrity"].startswith("sha512-") for told in packages.values())
    assert not any("resolved" in told for told in packages.values())


def test_what_was_installed_is_not_installed_again_and_a_broken_one_is(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    npm_that(
        monkeypatch, tmp_path, "import sys, pathlib; pathlib.Path('words').write_text(' '.join(sys.argv[1:]))"
    )
    left = cache / npm.folder_of("agents").name / "left-behind"
    left.parent.mkdir(parents=True)
    left.touch()
    folder = npm.install("agents")
    assert folder.parent == cache
    assert not left.exists()
    assert "--ignore-scripts" in (folder / "words").read_text(encoding="utf-8").split()
    npm_that(monkeypatch, tmp_path, "raise SystemExit(1)")
    assert npm.install("agents") == folder


@pytest.mark.parametrize(
    ("said", "words"),
    [("getaddrinfo ENOTFOUND example", "npm cannot be reached"), ("EINTEGRITY", "could not install")],
)
def test_what_cannot_be_had_is_said_and_is_no_installation(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, words: str
) -> None:
    npm_that(monkeypatch, tmp_path, f"import sys; sys.stderr.write({said!r}); sys.exit(1)")
    with pytest.raises(npm.NotToBeHad, match=words):
        npm.install("agents")
    assert not npm.is_installed("agents")
    assert cache.exists()
