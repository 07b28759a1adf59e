"""Signing in at a server of others from the command line beside a running node; what is secret is seen nowhere."""

import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.contract.surfaces.nodes import running_node
from tests.unit.agent.mcp.oauth_servers import serving

pytestmark = [pytest.mark.slow, pytest.mark.allow_log("mcp|OAuth|Failed")]
PASSPHRASE = {"LEGION_PASSPHRASE": "open sesame"}


def legion(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {
        "LEGION_HOME": str(home),
        "PATH": "/usr/bin:/bin",
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
    }
    command = [sys.executable, "-m", "legion_core", *words]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_login_and_logout_by_the_command_line(legion_home: Path) -> None:
    with serving() as (signer, guarded), running_node(legion_home, PASSPHRASE):
        added = legion(legion_home, "mcp", "server", "add", "theirs", "--url", f"{guarded.url}/mcp")
        assert added.returncode == 0, added.stderr
        looked = legion(legion_home, "mcp", "server", "look", "theirs")
        assert looked.returncode == 1
        assert "legion mcp server login theirs" in looked.stderr
        assert signer.asked == []
        env = {"LEGION_HOME": str(legion_home), "PATH": "/usr/bin:/bin"}
        command = [sys.executable, "-m", "legion_core", "mcp", "server", "login", "theirs"]
        with subprocess.Popen(
            command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as login:
            assert login.stderr is not None
            said = ""
            while (found := re.search(r"http://127\.0\.0\.1:\d+/authorize\S+", said)) is None:
                line = login.stderr.readline()
                assert line, said
                said += line
            with httpx.Client(trust_env=False, follow_redirects=True) as browser:
                assert browser.get(found[0]).status_code == 200
            out, _ = login.communicate(timeout=60)
        assert login.returncode == 0
        assert "You are signed in at theirs." in out
        assert signer.faults == []
        shown = legion(legion_home, "mcp", "server", "show", "theirs")
        assert re.search(r"Signed in\s+yes", shown.stdout)
        audit = legion(legion_home, "audit", "list", "--kind", "mcp.server")
        assert "mcp.server.sign-in" in audit.stdout
        out = legion(legion_home, "mcp", "server", "logout", "theirs")
        assert out.returncode == 0, out.stderr
        assert len(signer.revoked) == 1
        on_disk = b"".join(file.read_bytes() for file in legion_home.rglob("*") if file.is_file())
        told = "".join((added.stdout, looked.stderr, said, shown.stdout, audit.stdout, out.stdout))
        assert b"SECRET" not in on_disk
        assert "SECRET" not in told
