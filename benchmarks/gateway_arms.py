"""The arms of `benchmarks.gateway`: a headless node of ours, LiteLLM's proxy in an interpreter of its own, and their upstream.

LiteLLM is installed on first use, as anybody would by hand:

    uv venv ~/.cache/legion-bench-litellm
    uv pip install --only-binary :all: --python ~/.cache/legion-bench-litellm/bin/python 'litellm[proxy]==1.91.1'

It runs as its documentation says a lean proxy runs: one worker, no database, no callbacks, no retries, no telemetry,
prices from its own package; a master key, so that both arms look who asks.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.desktop import command, cpu_s, environment, family, pss_kb

HERE = Path(__file__).parent
LITELLM = Path("~/.cache/legion-bench-litellm").expanduser()
PACKAGE = "litellm[proxy]==1.91.1"
KEY = "sk-bench-1234567890"
READY_LIMIT_S = 180.0
STOP_LIMIT_S = 15.0
LANES = 200  # models that our router has to choose from
STALL_S = 5.0  # LiteLLM is told to take a silence of so long for a failure; our own watchdog is left as it is
FAULTS = ("refuses", "dies-fin", "dies-rst", "dies-error", "stalls")
CELLS = tuple(f"{fault}-cell" for fault in FAULTS)


@dataclass(slots=True)
class Arm:
    """A gateway that runs, or the upstream itself (`direct`)."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    path: str = "/v1/chat/completions"
    key: str = KEY
    members: list[int] = field(default_factory=list[int])

    def cpu_s(self) -> float:
        """Processor seconds of the whole tree so far."""
        return sum(cpu_s(pid) for pid in family(self.process.pid))

    def pss_mb(self) -> float:
        """Megabytes (10^6 bytes) of PSS of the whole tree; the native model's child is not started."""
        self.members = family(self.process.pid)
        return sum(pss_kb(pid) for pid in self.members) * 1024 / 1e6

    def get(self, path: str) -> Any:
        """The JSON at an address of it."""
        return self._ask("GET", path)

    def post(self, path: str) -> Any:
        """The JSON answer to a POST without a body."""
        return self._ask("POST", path)

    def _ask(self, method: str, path: str) -> Any:
        asked = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            method=method,
            headers={"authorization": f"Bearer {self.key}"},
        )
        with urllib.request.urlopen(asked, timeout=30) as answer:
            return json.loads(answer.read())


def litellm_python() -> Path | None:
    """LiteLLM's interpreter, made where it is missing; None with a sentence on standard error where it cannot be."""
    python, stamp = LITELLM / "bin/python", LITELLM / "package"
    if stamp.exists() and stamp.read_text(encoding="utf-8") == PACKAGE:
        return python
    uv = shutil.which("uv")
    if uv is None:
        print("No uv, so LiteLLM cannot be installed: pip install uv.", file=sys.stderr)
        return None
    for told in (
        [uv, "venv", "--quiet", "--clear", str(LITELLM)],
        [uv, "pip", "install", "--quiet", "--only-binary", ":all:", "--python", str(python), PACKAGE],
    ):
        done = subprocess.run(told, capture_output=True, text=True, check=False)
        if done.returncode:
            print(f"LiteLLM could not be installed: {done.stderr.strip()[-300:]}", file=sys.stderr)
            return None
    stamp.write_text(PACKAGE, encoding="utf-8")
    return python


@contextlib.contextmanager
def upstream(python: Path | str, *, seed: int = 0) -> Generator[Arm]:
    """The upstream, by the interpreter given."""
    process = subprocess.Popen(
        [str(python), str(HERE / "gateway_upstream.py"), "--seed", str(seed)], stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        yield Arm("direct", int(process.stdout.readline()), process, path="/b/v1/chat/completions")
    finally:
        _end(process)


@contextlib.contextmanager
def node(upstream_port: int, more: str = "", under: Sequence[str] = ()) -> Generator[Arm]:
    """`legion start` in a home of its own, its configuration naming 200 models; `more` is added to it.

    `under` is the command that runs it, for one that looks into programs.
    """
    with tempfile.TemporaryDirectory(prefix="legion-bench-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        (home / "config.toml").write_text(_configuration(upstream_port) + more, encoding="utf-8")
        log = (home / "bench.log").open("wb")
        process = subprocess.Popen(
            [*under, *command(), "start"],
            env=environment(home, LEGION_TOKEN=KEY, BENCH_KEY="any"),
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=home,
        )
        try:
            port = _waited(process, lambda: _port_of(home), home / "bench.log")
            arm = Arm("legion", port, process)
            _waited(process, lambda: _answers(arm, "/readyz"), home / "bench.log")
            yield arm
        finally:
            _end(process)
            log.close()


@contextlib.contextmanager
def litellm(
    python: Path,
    upstream_port: int,
    more: tuple[dict[str, Any], ...] = (),
    fallbacks: tuple[dict[str, list[str]], ...] = (),
    retries: int = 0,
) -> Generator[Arm]:
    """LiteLLM's proxy, with `more` deployments and the `fallbacks` of their groups."""
    with tempfile.TemporaryDirectory(prefix="litellm-bench-", ignore_cleanup_errors=True) as folder:
        place, port = Path(folder), _free_port()
        (place / "config.yaml").write_text(
            json.dumps(_litellm_configuration(upstream_port, more, fallbacks, retries)), encoding="utf-8"
        )  # JSON is YAML
        log = (place / "bench.log").open("wb")
        quiet = {
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_TELEMETRY": "False",
            "LITELLM_LOG": "ERROR",
            "LITELLM_MODE": "PRODUCTION",
            "DISABLE_ADMIN_UI": "True",
            "NO_PROXY": "*",
        }
        process = subprocess.Popen(
            [str(python.with_name("litellm")), "--config", str(place / "config.yaml"), "--host", "127.0.0.1",
             "--port", str(port), "--num_workers", "1", "--telemetry", "False"],
            env={**os.environ, **quiet}, stdout=log, stderr=subprocess.STDOUT, cwd=place, start_new_session=True,
        )  # fmt: skip
        try:
            arm = Arm("litellm", port, process)
            _waited(process, lambda: _answers(arm, "/health/liveliness"), place / "bench.log")
            yield arm
        finally:
            _end(process)
            log.close()


def _configuration(port: int) -> str:
    """Two instances that serve the load, one for each way to fail with a second behind it, and others to 200 models."""
    parts = ["[gateway]\n", _instance("bench", f"http://127.0.0.1:{port}/b/v1", ("plain", "paced"))]
    for cell in CELLS:
        parts.append(_instance(f"first-{cell}", f"http://127.0.0.1:{port}/a/v1", (cell,)))
        parts.append(_instance(f"second-{cell}", f"http://127.0.0.1:{port}/b/v1", (cell,)))
    left = LANES - 2 - 2 * len(CELLS)
    for at in range(0, left, 10):
        names = tuple(f"other-{each}" for each in range(at, min(left, at + 10)))
        parts.append(_instance(f"others-{at}", f"http://127.0.0.1:{port}/b/v1", names))
    return "\n".join(parts)


def _instance(name: str, base_url: str, models: tuple[str, ...]) -> str:
    head = (
        f'[[gateway.instances]]\nname = "{name}"\nkind = "openai"\nbase_url = "{base_url}"\n'
        'api_key = "env://BENCH_KEY"\ntier = "direct"\n'
    )
    told = [
        f'[[gateway.instances.models]]\nid = "{model}"\ncontext = 32768\ncontinuation = "prefill"\n'
        'capabilities = ["streaming", "tools", "structured_output"]\nprice = { input = 1.0, output = 2.0 }\n'
        for model in models
    ]
    return head + "".join(told)


def _litellm_configuration(
    port: int, more: tuple[dict[str, Any], ...], fallbacks: tuple[dict[str, list[str]], ...], retries: int
) -> dict[str, Any]:
    def offered(name: str, side: str, model: str) -> dict[str, Any]:
        base = f"http://127.0.0.1:{port}/{side}/v1"
        return {
            "model_name": name,
            "litellm_params": {"model": f"openai/{model}", "api_base": base, "api_key": "any"},
        }

    models = [offered("plain", "b", "plain"), offered("paced", "b", "paced"), offered("backup", "b", "plain")]
    return {
        "model_list": [*models, *(offered(cell, "a", cell) for cell in CELLS), *more],
        "litellm_settings": {
            "num_retries": retries,
            "callbacks": [],
            "set_verbose": False,
            "stream_timeout": STALL_S,
        },
        "router_settings": {
            "num_retries": retries,
            "disable_cooldowns": True,
            "stream_timeout": STALL_S,
            "fallbacks": [*({cell: ["backup"]} for cell in CELLS), *fallbacks],
        },
        "general_settings": {"master_key": KEY},
    }


def _port_of(home: Path) -> int:
    with contextlib.suppress(OSError, ValueError):
        return int(json.loads((home / "run/node.json").read_bytes()).get("port") or 0)
    return 0


def _answers(arm: Arm, path: str) -> int:
    with contextlib.suppress(OSError):
        asked = urllib.request.Request(f"http://127.0.0.1:{arm.port}{path}")
        with urllib.request.urlopen(asked, timeout=5) as answer:
            return int(answer.status == 200)
    return 0


def _waited(process: subprocess.Popen[bytes], look: Any, log: Path) -> int:
    until_s = time.monotonic() + READY_LIMIT_S
    while not (found := look()):
        if process.poll() is not None or time.monotonic() > until_s:
            raise SystemExit(f"It did not start: {log.read_text(encoding='utf-8', errors='replace')[-2000:]}")
        time.sleep(0.05)
    return found


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def _end(process: subprocess.Popen[bytes]) -> None:
    for sign in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            break
        process.send_signal(sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_LIMIT_S)
    if process.stdout is not None:
        process.stdout.close()
