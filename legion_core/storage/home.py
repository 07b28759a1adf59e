"""The data and config directory: where it is, who may enter, and which process of ours works in it.

All of this blocks on the disk for a moment; it belongs to the start, or to a thread.
"""

import contextlib
import logging
import os
import re
import stat
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import ConfigError, Conflict, Denied
from legion_core.kernel.files import write_atomically
from legion_core.kernel.ids import Rng
from legion_core.storage.failures import from_os
from legion_core.storage.files import directory_lock, try_lock

log = logging.getLogger("legion.home")

APPLICATION = "legion-workbench"
TOKEN_PREFIX = "lgn_"  # noqa: S105 - how a token begins, so that logs can mask it
_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_TOKEN = re.compile(r"^[\x21-\x7e]{16,512}$")


class NodeRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a running node says of itself in `run/node.json`.

    `started` is the operating system's own word for when the process began: with it, a number that was given to
    another process since is not taken for ours. `port` None: no HTTP surface.
    """

    pid: int
    started: str
    port: int | None = None
    host: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Home:
    """The directory and the names in it."""

    root: Path

    @classmethod
    def find(cls, env: Mapping[str, str]) -> "Home":
        """`LEGION_HOME`, else where this system keeps a program's data. Touches no disk."""
        if wish := env.get("LEGION_HOME", "").strip():
            return cls(Path(wish).expanduser().absolute())
        import platformdirs

        return cls(Path(platformdirs.user_data_dir(APPLICATION, appauthor=False)))

    @property
    def config_path(self) -> Path:
        """The configuration, if one was written."""
        return self.root / "config.toml"

    @property
    def journal_path(self) -> Path:
        """The database of everything that must survive."""
        return self.root / "journal.db"

    @property
    def token_path(self) -> Path:
        """The owner's token."""
        return self.root / "token"

    @property
    def models_directory(self) -> Path:
        """Model files."""
        return self.root / "models"

    @property
    def logs_directory(self) -> Path:
        """Log files."""
        return self.root / "logs"

    @property
    def run_directory(self) -> Path:
        """What is true only while a node runs."""
        return self.root / "run"

    def create(self) -> None:
        """Make the directory for the owner alone; raises ConfigError, Denied, StorageFailed with what to do."""
        hint = "Set LEGION_HOME to a directory of your own."
        if self.root.exists() and not self.root.is_dir():
            raise ConfigError(f"{self.root} is a file, where the data directory should be.", hint=hint)
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
            self.run_directory.mkdir(exist_ok=True, mode=0o700)
            status = self.root.stat()
            if hasattr(os, "geteuid") and status.st_uid != os.geteuid():
                raise Denied(
                    f"{self.root} belongs to another user, who could read what is kept there.", hint=hint
                )
            if sys.platform != "win32" and stat.S_IMODE(status.st_mode) & 0o077:
                self.root.chmod(0o700)
                log.warning("%s could be entered by others; now only its owner can", self.root)
        except OSError as error:
            raise from_os(error, self.root) from error

    def token(self, env: Mapping[str, str], rng: Rng, clock: Clock) -> str:
        """The owner's token: `LEGION_TOKEN`, else the file, which is made if there is none."""
        if given := env.get("LEGION_TOKEN", "").strip():
            return given
        with directory_lock(self.root, clock):  # two first starts must agree on one token
            return self._kept_token() or self._fresh_token(rng)

    def renew_token(self, rng: Rng, clock: Clock) -> str:
        """A new token in place of the old one, which is refused from the next start on."""
        with directory_lock(self.root, clock):
            return self._fresh_token(rng)

    def _kept_token(self) -> str | None:
        if self.token_path.is_symlink():
            raise ConfigError(
                f"{self.token_path} is a link to another file, so the token it gives may be known to others.",
                hint="Delete the link: the next start makes a new token.",
            )
        try:
            keep_private(self.token_path)
            token = self.token_path.read_text(encoding="utf-8", errors="replace").strip()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise from_os(error, self.token_path) from error
        if not token:
            log.warning(
                "%s was empty; a new token was made, and programs that used the old one need it",
                self.token_path,
            )
            return None
        if not _TOKEN.match(token):
            raise ConfigError(
                f"{self.token_path} does not hold a token.",
                hint="Delete the file: the next start makes a new one.",
            )
        return token

    def _fresh_token(self, rng: Rng) -> str:
        number = rng.getrandbits(256)
        letters = ""
        while len(letters) < 43:  # 62 letters to the 43rd power hold 256 bits
            number, rest = divmod(number, len(_LETTERS))
            letters = _LETTERS[rest] + letters
        token = TOKEN_PREFIX + letters
        try:
            write_atomically(self.token_path, f"{token}\n".encode())
        except OSError as error:
            raise from_os(error, self.token_path) from error
        return token

    @property
    def node_path(self) -> Path:
        """Where a running node says that it runs."""
        return self.run_directory / "node.json"

    def write_node(self, *, port: int | None, host: str = "127.0.0.1") -> NodeRecord:
        """Say that this process is the running node and where it answers."""
        pid = os.getpid()
        record = NodeRecord(pid=pid, started=process_started(pid) or "", port=port, host=host)
        write_atomically(self.node_path, msgspec.json.encode(record) + b"\n")
        return record

    def read_node(self) -> NodeRecord | None:
        """The node running now, or None; what a dead process left behind counts for nothing."""
        try:
            record = msgspec.json.decode(self.node_path.read_bytes(), type=NodeRecord)
        except (OSError, msgspec.DecodeError):
            return None
        return record if process_started(record.pid) == record.started else None

    def forget_node(self) -> None:
        """Take this process's own record away; that of another stays."""
        with contextlib.suppress(OSError, msgspec.DecodeError):
            if msgspec.json.decode(self.node_path.read_bytes(), type=NodeRecord).pid == os.getpid():
                self.node_path.unlink()

    def claim(self) -> "Claim":
        """Be the one node of this home until released or dead; raises Conflict naming the process that is."""
        path = self.run_directory / "node.lock"
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise from_os(error, path) from error
        # The system gives the lock back when its owner dies, so a lock file left behind stops nobody.
        if not try_lock(handle):
            holder = os.read(handle, 32).decode("ascii", "replace").strip() or "unknown"
            os.close(handle)
            raise Conflict(
                f"A workbench already runs in {self.root} (process {holder}).",
                hint="Use it, stop it with `legion stop`, or set LEGION_HOME to another directory.",
            )
        os.ftruncate(handle, 0)
        os.write(handle, f"{os.getpid()}\n".encode())
        return Claim(handle)


class Claim:
    """The right to be the one node of a home; a context manager."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def release(self) -> None:
        """Let another take it; harmless the second time."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def process_started(pid: int) -> str | None:
    """When the process began, in the system's own words, to be compared and not read; None if it does not run."""
    if pid <= 0:
        return None
    if sys.platform == "linux":
        try:
            text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return None
        # The program's name stands in parentheses and may hold anything; what follows it is regular.
        parts = text.rpartition(")")[2].split()
        return None if parts[0] in "ZX" else f"{_boot()}/{parts[19]}"
    try:
        answer = subprocess.run(  # noqa: S603 - a number of ours
            ["/bin/ps", "-o", "lstart=", "-p", str(pid)],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() or None


def keep_private(path: Path) -> None:
    """See that only the owner can read a file with a secret in it; raises Denied if it is another user's."""
    if sys.platform == "win32":
        return
    status = path.stat()
    if status.st_uid != os.geteuid():
        raise Denied(
            f"{path} belongs to another user, so what it says cannot be trusted.",
            hint="Take ownership of it, or delete it.",
        )
    if stat.S_IMODE(status.st_mode) & 0o077:
        path.chmod(0o600)
        log.warning(
            "%s could be read by others; now only its owner can. Consider what it holds as seen", path
        )


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()[:8]
    except OSError:
        return ""
