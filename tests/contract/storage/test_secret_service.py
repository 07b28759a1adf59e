"""The real Secret Service of a Linux desktop, in a D-Bus session of its own."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract.storage import keyring_child

TOOLS = ("dbus-run-session", "gnome-keyring-daemon")


@pytest.mark.slow
@pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in TOOLS),
    reason="needs gnome-keyring and dbus (apt: gnome-keyring dbus)",
)
def test_a_real_keyring_keeps_finds_and_forgets_and_says_when_it_is_locked(tmp_path: Path) -> None:
    home = tmp_path / "user"
    directory = tmp_path / "home"
    runtime = tmp_path / "run"
    for made in (home, directory, runtime):
        made.mkdir(mode=0o700)
    script = (
        'printf "%s" "session-password" | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1; '
        f'"{sys.executable}" "{keyring_child.__file__}" "{directory}"'
    )
    env = {name: value for name, value in os.environ.items() if name != "PYTHON_KEYRING_BACKEND"}
    run = subprocess.run(
        ["dbus-run-session", "--", "sh", "-c", script],
        env={
            **env,
            "HOME": str(home),
            "XDG_RUNTIME_DIR": str(runtime),
            "XDG_DATA_HOME": str(home / "data"),
            "PYTHONPATH": os.pathsep.join(sys.path),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout.splitlines()[-1])
    assert report["backend"] == "keyring"
    assert report["reference"] == "keyring://box"
    assert report["value"] == "наука-🔑-value"
    assert report["names"] == ["box", "other"]
    assert report["removed"] is True
    assert report["files"] == ["secrets.json"]
    assert report["locked"]
