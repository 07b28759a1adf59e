"""Who holds a port: the process behind a listening socket, as far as this user may see it."""

import re
import shutil
import subprocess
from pathlib import Path

_LISTENING = "0A"
_LSOF_S = 3.0


def holder_of(port: int) -> str:
    """Such as `nginx: master process (pid 812)`; empty where nothing can be found out. Blocks up to some 100 ms."""
    proc = Path("/proc")
    if (proc / "net/tcp").exists():
        return _from_proc(proc, port)
    return _from_lsof(port)


def _from_proc(proc: Path, port: int) -> str:
    owners = _listening_inodes(proc, port)
    if not owners:
        return ""
    wanted = {f"socket:[{inode}]" for inode in owners}
    for process in sorted(
        (entry for entry in proc.iterdir() if entry.name.isdecimal()), key=lambda entry: int(entry.name)
    ):
        if _holds(process, wanted):
            return f"{_command(process)} (pid {process.name})"
    return f"a process of another user (uid {next(iter(owners.values()))})"


def _listening_inodes(proc: Path, port: int) -> dict[str, str]:
    """Inode to user id, of every socket that listens on the port."""
    found: dict[str, str] = {}
    for table in ("net/tcp", "net/tcp6"):
        try:
            lines = (proc / table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if len(fields) > 9 and fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                found[fields[9]] = fields[7]
    return found


def _holds(process: Path, wanted: set[str]) -> bool:
    try:
        for descriptor in (process / "fd").iterdir():
            try:
                if str(descriptor.readlink()) in wanted:
                    return True
            except OSError:
                continue  # closed meanwhile
    except OSError:
        return False  # another user's, or ended meanwhile
    return False


def _command(process: Path) -> str:
    try:
        words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace").strip()
        words = words or (process / "comm").read_text(encoding="utf-8").strip()
    except OSError:
        return "a process"
    return words if len(words) <= 80 else words[:79] + "…"


def _from_lsof(port: int) -> str:
    lsof = shutil.which("lsof")
    if lsof is None:
        return ""
    try:
        answer = subprocess.run(  # noqa: S603
            [lsof, "-nP", f"-iTCP:{port}", "-sTCP:LISTEN", "-Fpc"],
            capture_output=True,
            text=True,
            timeout=_LSOF_S,
            check=False,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
    pid, command = re.search(r"^p(\d+)", answer, re.MULTILINE), re.search(r"^c(.+)", answer, re.MULTILINE)
    return f"{command.group(1)} (pid {pid.group(1)})" if pid and command else ""
