"""What the system says of itself is read as it is written, and its silence is not an error."""

import asyncio
import os
from pathlib import Path

import pytest

from legion_core.models import hardware
from tests.support import aio

MEMINFO = "MemTotal:       16000000 kB\nMemFree:         1000000 kB\nMemAvailable:    9000000 kB\nHugePages_Total:  0\n"


def _system(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_this_computer_is_read() -> None:
    found = aio.run(hardware.look(Path.cwd()))
    assert found.memory_bytes > 1 << 28
    assert 0 < found.memory_free_bytes <= found.memory_bytes
    assert 1 <= found.cores <= (os.cpu_count() or 1)
    assert found.disk_free_bytes > 0
    assert found.system


def test_memory_is_what_is_available_not_what_is_unused(tmp_path: Path) -> None:
    proc = _system(tmp_path, {"meminfo": MEMINFO})
    assert hardware.memory(proc, tmp_path) == (16_000_000 * 1024, 9_000_000 * 1024)


@pytest.mark.parametrize(
    "files",
    [
        {"fs/cgroup/memory.max": "4294967296\n", "fs/cgroup/memory.current": "1073741824\n"},
        {
            "fs/cgroup/memory/memory.limit_in_bytes": "4294967296",
            "fs/cgroup/memory/memory.usage_in_bytes": "1073741824",
        },
    ],
)
def test_a_container_counts_its_own_limit(files: dict[str, str], tmp_path: Path) -> None:
    root = _system(tmp_path, {"meminfo": MEMINFO, **files})
    assert hardware.memory(root, root) == (4 << 30, 3 << 30)


def test_no_limit_is_no_limit(tmp_path: Path) -> None:
    root = _system(tmp_path, {"meminfo": MEMINFO, "fs/cgroup/memory.max": "max\n"})
    assert hardware.memory(root, root)[0] == 16_000_000 * 1024


def test_silence_is_zero(tmp_path: Path) -> None:
    assert hardware.memory(tmp_path, tmp_path) == (0, 0)
    assert hardware.cores(tmp_path) >= 1


@pytest.mark.parametrize(("quota", "cores"), [("50000 100000", 1), ("100000 100000", 1), ("0 100000", 1)])
def test_a_share_of_a_processor_is_at_least_one(quota: str, cores: int, tmp_path: Path) -> None:
    root = _system(tmp_path, {"fs/cgroup/cpu.max": quota})
    assert hardware.cores(root) == cores


def test_the_words_of_nvidia_smi_are_read_and_others_passed_over() -> None:
    text = "NVIDIA GeForce RTX 4090, 24564, 20000\nweird, line\nNVIDIA A100, PCIe, 40960, 40000\n\n"
    found = hardware.parse_nvidia_smi(text)
    assert [(gpu.name, gpu.memory_bytes >> 20, gpu.free_bytes >> 20) for gpu in found] == [
        ("NVIDIA GeForce RTX 4090", 24564, 20000),
        ("NVIDIA A100, PCIe", 40960, 40000),
    ]


def test_a_driver_without_its_tool_still_names_the_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware.shutil, "which", lambda _: None)
    root = _system(
        tmp_path,
        {
            "driver/nvidia/gpus/0000:01:00.0/information": "Model: \t\t NVIDIA T4\nIRQ: 1\n",
            "class/drm/card0/device/mem_info_vram_total": "8589934592",
            "class/drm/card0/device/mem_info_vram_used": "1073741824",
        },
    )
    found = hardware.gpus(proc=root, sys_=root)
    assert [gpu.name for gpu in found] == ["NVIDIA T4", "AMD GPU"]
    assert found[1].free_bytes == 7 << 30


def test_a_tool_that_hangs_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\nexec sleep 1000\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr(hardware, "TOOL_TIMEOUT_S", 0.05)

    async def check() -> None:
        assert await asyncio.to_thread(hardware.gpus, 0, 0, tmp_path, tmp_path) == ()

    aio.run(check())


def test_the_disk_of_a_folder_that_is_not_there_yet_is_its_parents(tmp_path: Path) -> None:
    assert hardware.disk_free(tmp_path / "a" / "b") > 0
