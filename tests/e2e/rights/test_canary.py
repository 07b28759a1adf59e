"""A whole workbench as its user has it: the window, the command line beside it, a worker, a server of others as its child.

Secrets planted in all of it are found in no file, no output, and no environment or command line of anybody's child.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from legion_core.testing.upstreams import Answer, Raw, Upstream, in_thread

ROOT = Path(__file__).resolve().parents[3]
HOSTILE = ROOT / "tests/unit/agent/mcp/hostile.py"
PATIENCE_S = 120.0
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(500),
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks at other processes by /proc"),
]
PLANTED = {
    "env key": "canaryEnvKeyA91f37c2d4e5",
    "kept key": "canaryKeptKeyB55e0b7aa19",
    "passphrase": "canary passphrase C81b2f",
    "given to the server": "canaryGivenD3b7d2e0c41",
}


def until(ask: Callable[[], bool], what: str) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not ask():
        assert time.monotonic() < end_s, what
        time.sleep(0.05)


def family(root: int) -> list[int]:
    """All processes below `root`."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError, ValueError):
            parents[int(path.name)] = int((path / "stat").read_text().rpartition(")")[2].split()[1])
    found, fresh = [], [root]
    while fresh:
        fresh = [child for child, parent in parents.items() if parent in fresh]
        found += fresh
    return found


def told_by(number: int) -> str:
    told = b""
    for name in ("cmdline", "environ"):
        with contextlib.suppress(OSError):
            told += Path(f"/proc/{number}/{name}").read_bytes()
    return told.decode("utf-8", "replace")


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with in_thread(Upstream("openai")) as serving:
        echo = json.dumps({"error": {"message": f"the key {PLANTED['env key']} is wrong"}}).encode()
        serving.will(Answer(("Hel", "lo")), Raw(401, echo))
        yield serving


def test_planted_secrets_are_found_nowhere_in_a_whole_workbench(
    legion_home: Path, upstream: Upstream, tmp_path: Path
) -> None:
    legion_home.mkdir(mode=0o700)
    (legion_home / "config.toml").write_text(
        "[server]\nport = 0\n[advanced]\nlog_level = 'debug'\n[engine.shell]\nallow = ['env']\n"
        f"[[gateway.instances]]\nname = 'by-env'\nkind = 'openai'\nbase_url = '{upstream.base_url}'\n"
        "api_key = 'env://CANARY_ENV_KEY'\ntier = 'direct'\n"
        "[[gateway.instances.models]]\nid = 'm1'\ncapabilities = ['streaming', 'tools']\n",
        encoding="utf-8",
    )
    env = {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "LEGION_HOME": str(legion_home), "LC_ALL": "C.UTF-8",
        "QT_QPA_PLATFORM": "offscreen", "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        "LEGION_PASSPHRASE": PLANTED["passphrase"], "CANARY_ENV_KEY": PLANTED["env key"],
    }  # fmt: skip
    told: list[str] = []

    def legion(*words: str, status: int | None = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "legion_core", *words],
            env=env, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S, check=False,
        )  # fmt: skip
        told.append(done.stdout + done.stderr)
        assert status is None or done.returncode == status, done.stderr
        return done.stdout

    with contextlib.ExitStack() as stack:
        said = stack.enter_context((tmp_path / "said.txt").open("w+"))

        def started(*words: str) -> subprocess.Popen[bytes]:
            made = subprocess.Popen([sys.executable, *words], env=env, cwd=ROOT, stdout=said, stderr=said)
            stack.callback(made.wait, PATIENCE_S)
            stack.callback(made.terminate)
            return made

        window = started("-m", "app")
        until(
            lambda: (legion_home / "run/node.json").exists() or window.poll() is not None, "the window's node"
        )
        assert window.poll() is None, (tmp_path / "said.txt").read_text()
        until(lambda: json.loads((legion_home / "run/node.json").read_bytes()).get("port"), "its address")
        worker = started("-m", "legion_core", "worker")
        for name, key in (("kept", "kept key"), ("given", "given to the server")):
            subprocess.run(
                [sys.executable, "-m", "legion_core", "secret", "set", name],
                env=env, cwd=ROOT, input=PLANTED[key], capture_output=True, text=True, timeout=PATIENCE_S, check=True,
            )  # fmt: skip
        legion(
            "mcp",
            "server",
            "add",
            "theirs",
            "--env",
            "GIVEN=keyring://given",
            "--",
            sys.executable,
            str(HOSTILE),
        )
        looked = legion("mcp", "server", "look", "theirs")
        fingerprint = re.search(r"Fingerprint\s+(\w+)", looked)
        assert fingerprint
        legion("mcp", "server", "approve", "theirs", fingerprint[1])
        legion("task", "run", "mcp.theirs.echo", "text:hello", "--wait")
        legion("task", "run", "shell.command.run", 'argv:["env"]', "--wait", status=None)
        legion("chat", "prompt", "Hello", status=None)
        legion("provider", "test", "by-env", status=None)
        for words in (
            ["doctor"], ["config", "check"], ["provider", "list"], ["secret", "list"], ["audit", "list"], ["audit", "export"],
            ["mcp", "server", "show", "theirs"], ["network", "list"], ["ledger", "summary"], ["route", "explain", "hi"],
        ):  # fmt: skip
            legion(*words, "--json", status=None)
        # Nobody of these was given a secret by its user: what a child has, it has of us.
        children = [number for root in (window.pid, worker.pid) for number in family(root)]
        of_theirs = [number for number in children if str(HOSTILE) in told_by(number)]
        assert of_theirs, "the server of others is not running"
        for number in children:
            words = told_by(number)
            if number in of_theirs:
                assert PLANTED["given to the server"] in words, "what it was given it has"
                words = words.replace(PLANTED["given to the server"], "")
            told.append(words)
        lines = [Path(f"/proc/{number}/cmdline").read_bytes().decode() for number in (window.pid, worker.pid)]
        told += lines
    told.append((tmp_path / "said.txt").read_text())
    owner = (legion_home / "token").read_text(encoding="utf-8").strip()
    found = [
        f"{name} in {text[:120]!r}"
        for name, secret in {**PLANTED, "owner": owner}.items()
        for text in told
        if secret in text
    ]
    found += [
        f"{name} in {path.relative_to(legion_home)}"
        for path in legion_home.rglob("*")
        if path.is_file() and path.name != "token"
        for name, secret in {**PLANTED, "owner": owner}.items()
        if secret.encode() in path.read_bytes()
    ]
    assert found == []
