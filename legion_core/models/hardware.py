"""What this computer has: memory, cores, graphics cards, disk. Read from the system's own files, nothing installed."""

import asyncio
import math
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final, Literal

import msgspec

TOOL_TIMEOUT_S: Final = 2.0
PROC: Final = Path("/proc")
SYS: Final = Path("/sys")

GpuKind = Literal["nvidia", "amd", "apple", "other"]


class Gpu(msgspec.Struct, frozen=True, kw_only=True):
    """A graphics card; zero bytes where the system does not tell."""

    name: str
    kind: GpuKind
    memory_bytes: int = 0
    free_bytes: int = 0


class Hardware(msgspec.Struct, frozen=True, kw_only=True):
    """A reading. `cores` and the memory are what this process may use: containers and affinity are counted."""

    memory_bytes: int
    memory_free_bytes: int
    cores: int
    disk_free_bytes: int
    gpus: tuple[Gpu, ...] = ()
    system: str = ""
    machine: str = ""


async def look(folder: Path) -> Hardware:
    """Read everything in a thread, within a few seconds; `folder` says which disk."""
    return await asyncio.to_thread(_look, folder)


def _look(folder: Path) -> Hardware:
    total, free = memory()
    return Hardware(
        memory_bytes=total,
        memory_free_bytes=free,
        cores=cores(),
        disk_free_bytes=disk_free(folder),
        gpus=gpus(total, free),
        system=platform.system(),
        machine=platform.machine(),
    )


def disk_free(folder: Path) -> int:
    """Bytes free for us on the disk that holds `folder`, or the nearest parent that exists; 0 if unknown."""
    for place in (folder, *folder.parents):
        if place.exists():
            try:
                return shutil.disk_usage(place).free
            except OSError:
                return 0
    return 0


def memory(proc: Path = PROC, sys_: Path = SYS) -> tuple[int, int]:
    """Total and available bytes; in a container, its own limit where that is less. (0, 0) if unknown."""
    if sys.platform == "darwin" and proc == PROC:
        return _mac_memory()
    try:
        fields = dict(
            re.findall(r"^(\w+):\s+(\d+) kB", (proc / "meminfo").read_text(encoding="ascii"), re.MULTILINE)
        )
    except (OSError, UnicodeDecodeError):
        return 0, 0
    total = int(fields.get("MemTotal", 0)) * 1024
    free = int(fields.get("MemAvailable", fields.get("MemFree", 0))) * 1024
    group = sys_ / "fs" / "cgroup"
    for limit_file, used_file in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        limit, used = _number(group / limit_file), _number(group / used_file)
        if limit is not None and limit < total:
            return limit, max(0, min(free, limit - (used or 0)))
    return total, free


def cores(sys_: Path = SYS) -> int:
    """Processors this process may use, at least 1: affinity and a container's share, rounded up."""
    count = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    group = sys_ / "fs" / "cgroup"
    try:
        quota, period = (group / "cpu.max").read_text(encoding="ascii").split()[:2]
        if quota != "max":
            count = min(count, math.ceil(int(quota) / int(period)))
    except (OSError, ValueError):
        old_quota, old_period = (
            _number(group / "cpu/cpu.cfs_quota_us"),
            _number(group / "cpu/cpu.cfs_period_us"),
        )
        if old_quota and old_period and old_quota > 0:
            count = min(count, math.ceil(old_quota / old_period))
    return max(1, count)


def gpus(total: int = 0, free: int = 0, proc: Path = PROC, sys_: Path = SYS) -> tuple[Gpu, ...]:
    """The graphics cards found; `total` and `free` memory are what Apple's share with the processor."""
    if sys.platform == "darwin":
        apple = Gpu(name="Apple GPU", kind="apple", memory_bytes=total, free_bytes=free)
        return (apple,) if platform.machine() == "arm64" else ()
    found = parse_nvidia_smi(_run("nvidia-smi", *_NVIDIA_QUERY))
    if not found:
        found = _nvidia_driver(proc)
    return (*found, *_drm_cards(sys_))


_NVIDIA_QUERY = ("--query-gpu=name,memory.total,memory.free", "--format=csv,noheader,nounits")


def parse_nvidia_smi(text: str) -> tuple[Gpu, ...]:
    """Lines of `name, total MiB, free MiB`; others are passed over."""
    found: list[Gpu] = []
    for line in text.splitlines():
        parts = [part.strip() for part in line.rsplit(",", 2)]
        if len(parts) == 3 and parts[1].isdigit() and parts[2].isdigit():
            found.append(
                Gpu(
                    name=parts[0],
                    kind="nvidia",
                    memory_bytes=int(parts[1]) << 20,
                    free_bytes=int(parts[2]) << 20,
                )
            )
    return tuple(found)


def _nvidia_driver(proc: Path) -> tuple[Gpu, ...]:
    found: list[Gpu] = []
    for file in sorted((proc / "driver" / "nvidia" / "gpus").glob("*/information")):
        try:
            name = re.search(r"^Model:\s*(.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
        except OSError:
            continue
        found.append(Gpu(name=name[1].strip() if name else "NVIDIA GPU", kind="nvidia"))
    return tuple(found)


def _drm_cards(sys_: Path) -> tuple[Gpu, ...]:
    found: list[Gpu] = []
    for device in sorted((sys_ / "class" / "drm").glob("card[0-9]*/device")):
        total = _number(device / "mem_info_vram_total")
        if total:
            used = _number(device / "mem_info_vram_used") or 0
            found.append(Gpu(name="AMD GPU", kind="amd", memory_bytes=total, free_bytes=max(0, total - used)))
    return tuple(found)


def _mac_memory() -> tuple[int, int]:
    raw = _run("sysctl", "-n", "hw.memsize").strip()
    total = int(raw) if raw.isdigit() else 0
    pages = _run("vm_stat")
    size = re.search(r"page size of (\d+) bytes", pages)
    counts = [
        re.search(rf"^Pages {name}:\s+(\d+)", pages, re.MULTILINE)
        for name in ("free", "inactive", "speculative")
    ]
    free = sum(int(count[1]) for count in counts if count) * (int(size[1]) if size else 4096)
    return total, min(free, total)


def _number(file: Path) -> int | None:
    try:
        text = file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return int(text) if re.fullmatch(r"-?\d+", text) else None


def _run(tool: str, *arguments: str) -> str:
    """What the tool prints, or "" if it is missing, fails or takes over two seconds."""
    path = shutil.which(tool)
    if path is None:
        return ""
    try:
        done = subprocess.run(  # noqa: S603 - a fixed tool with fixed arguments, no shell
            [path, *arguments], capture_output=True, text=True, timeout=TOOL_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return ""
    return done.stdout if done.returncode == 0 else ""
