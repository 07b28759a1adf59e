"""The peers of `benchmarks.engine` and the ground all arms stand on: an interpreter of the peers' own, a broker, a disk.

Everything is prepared on first use: `uv` makes the interpreter in ~/.cache/legion-bench, `cc` builds the shim that holds
fsync at a fixed time, and where this runs as root on Debian or Ubuntu, apt brings rabbitmq-server (never started as a
service). What cannot be had is said in a sentence, and the arms that need it are left out.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
CACHE = Path("~/.cache/legion-bench").expanduser()
PACKAGES = (
    "huey==3.5.0",
    "taskiq==0.13.0",
    "taskiq-aio-pika==0.6.1",
    "celery==5.7.0",
    "dramatiq[rabbitmq]==2.2.1",
)
SERVERS = ("/usr/lib/rabbitmq/bin/rabbitmq-server", "/usr/sbin/rabbitmq-server")
BROKER_READY_S = 90.0
BROKER_END_S = 20.0
AMQP_GREETING = b"AMQP\x00\x00\x09\x01"


@dataclass(slots=True)
class Ground:
    """What was found or made. `missing` says in sentences what was not."""

    python: Path | None = None
    server: Path | None = None
    shim: Path | None = None
    missing: list[str] = field(default_factory=list[str])


def prepare(*, with_peers: bool = True) -> Ground:
    """Make what is not there yet; quick the second time."""
    ground = Ground()
    ground.shim = _shim(ground.missing)
    if with_peers:
        ground.python = _python(ground.missing)
        ground.server = _server(ground.missing)
    return ground


def held(shim: Path | None, fsync_us: int) -> dict[str, str]:
    """The environment under which a program's fsync takes so long; unchanged where there is no shim."""
    environment = dict(os.environ)
    if shim is not None and fsync_us:
        environment |= {"LD_PRELOAD": str(shim), "FSYNC_SHIM_US": str(fsync_us)}
    return environment


def _shim(missing: list[str]) -> Path | None:
    source, built = HERE / "fsync_shim.c", CACHE / "fsync_shim.so"
    if built.exists() and built.stat().st_mtime >= source.stat().st_mtime:
        return built
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        missing.append("No C compiler, so fsync cannot be held at one time for all: install gcc.")
        return None
    CACHE.mkdir(parents=True, exist_ok=True)
    fresh = built.with_suffix(f".{os.getpid()}")
    command = [compiler, "-O2", "-shared", "-fPIC", "-o", str(fresh), str(source), "-ldl"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        missing.append(f"The shim over fsync does not build here: {done.stderr.strip()[:200]}")
        return None
    fresh.replace(built)
    return built


def _python(missing: list[str]) -> Path | None:
    python, stamp = CACHE / "peers/bin/python", CACHE / "peers/packages"
    wanted = "\n".join(PACKAGES)
    if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted:
        return python
    uv = shutil.which("uv")
    if uv is None:
        missing.append("No uv, so the peers cannot be installed: pip install uv.")
        return None
    for command in (
        [uv, "venv", "--quiet", "--clear", str(CACHE / "peers")],
        [uv, "pip", "install", "--quiet", "--python", str(python), *PACKAGES],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            missing.append(f"The peers could not be installed: {done.stderr.strip()[-300:]}")
            return None
    stamp.write_text(wanted, encoding="utf-8")
    return python


def _server(missing: list[str]) -> Path | None:
    apt = shutil.which("apt-get")
    if not any(Path(each).exists() for each in SERVERS) and apt and os.geteuid() == 0:
        environment = dict(os.environ) | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        for command in (
            [apt, "update", "-qq"],
            [apt, "install", "-y", "-qq", "--no-install-recommends", "rabbitmq-server"],
        ):
            subprocess.run(command, capture_output=True, env=environment, check=False)
    for each in SERVERS:
        if Path(each).exists():
            return Path(each)
    missing.append("No RabbitMQ: install rabbitmq-server (apt-get install rabbitmq-server).")
    return None


class Broker:
    """A RabbitMQ of our own, in a folder of its own and on ports of its own; `stop` leaves nothing behind."""

    def __init__(self, server: Path, environment: Mapping[str, str]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="legion-bench-broker-")
        self.port, distribution, mapper = _free_ports(3)
        mapper_environment = dict(environment) | {
            "ERL_EPMD_PORT": str(mapper),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }
        # Started by us, as one that the server starts would outlive it.
        self._mapper = subprocess.Popen(
            ["epmd"],
            env=mapper_environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._process = subprocess.Popen(
            [str(server)],
            env=mapper_environment
            | {
                "HOME": self._folder.name,
                "RABBITMQ_NODENAME": f"bench{os.getpid()}@localhost",
                "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
                "RABBITMQ_NODE_PORT": str(self.port),
                "RABBITMQ_DIST_PORT": str(distribution),
                "RABBITMQ_MNESIA_BASE": self._folder.name,
                "RABBITMQ_LOG_BASE": self._folder.name,
                "RABBITMQ_PID_FILE": f"{self._folder.name}/pid",
                "RABBITMQ_ENABLED_PLUGINS_FILE": f"{self._folder.name}/plugins",
            },
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise

    @property
    def session(self) -> int:
        """All its processes belong to this session."""
        return self._process.pid

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    def _wait(self) -> None:
        until_s = time.monotonic() + BROKER_READY_S
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until_s:
                raise SystemExit("RabbitMQ did not start.")
            time.sleep(0.25)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5.0) as stream:
                stream.sendall(AMQP_GREETING)
                return bool(stream.recv(1))
        except OSError:
            return False

    def is_held_by(self, shim: Path) -> bool:
        """Whether the shim is really in the process that keeps the messages."""
        for maps in Path("/proc").glob("[0-9]*/maps"):
            try:
                stat = (maps.parent / "stat").read_text()
                if int(stat.rpartition(") ")[2].split()[3]) == self.session and "beam" in stat:
                    return str(shim) in maps.read_text()
            except OSError:
                continue
        return False

    def stop(self) -> None:
        """End it and what belongs to it."""
        for process in (self._process, self._mapper):
            for sign in (signal.SIGTERM, signal.SIGKILL):
                try:
                    os.killpg(process.pid, sign)
                    process.wait(BROKER_END_S)
                except ProcessLookupError:
                    break
                except subprocess.TimeoutExpired:
                    continue
        self._folder.cleanup()


def _free_ports(count: int) -> list[int]:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [listener.getsockname()[1] for listener in listeners]
    for listener in listeners:
        listener.close()
    return ports
