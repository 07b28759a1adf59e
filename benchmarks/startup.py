"""Start to a usable window, memory at rest, and what the workbench costs while nothing happens.

The peer of the start is a bare Qt window of the same interpreter, started in turn with the workbench: the ratio
says how much of the time is ours.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.desktop import Desktop, cpu_s, family, pss_kb, used_home, wakeups

BARE_WINDOW = """
import sys
from PySide6.QtWidgets import QApplication, QLabel
application = QApplication([])
label = QLabel("x"); label.show(); application.processEvents()
label.close(); label.deleteLater(); application.processEvents()
"""
SETTLE_S = 5.0


def start(rounds: int) -> dict[str, Any]:
    """Milliseconds from the command to a window that takes input: median, 90th percentile, and the peer's."""
    ours: list[float] = []
    own: list[float] = []
    peer: list[float] = []
    modules = 0
    with used_home() as home:
        for _ in range(rounds):
            peer.append(_bare_window())
            desktop = Desktop(home, LEGION_MEASURE_START="1", LEGION_MEASURE_EXIT="1")
            said = desktop.figures("ready_ms")
            ours.append((time.perf_counter() - desktop.begun_s) * 1000)
            own.append(said["ready_ms"])
            modules = said.get("modules", 0)
            if status := desktop.wait():
                raise RuntimeError(f"exit status {status}: {desktop.said[-5:]}")
    median, bare = statistics.median(ours), statistics.median(peer)
    return {
        "ready_ms": round(median, 1),
        "by_its_own_clock_ms": round(statistics.median(own), 1),
        "p90_ms": round(sorted(ours)[int(0.9 * (rounds - 1))], 1),
        "min_ms": round(min(ours), 1),
        "bare_qt_window_ms": round(bare, 1),
        "ratio_to_bare_qt": round(median / bare, 2),
        "modules": modules,
        "rounds": rounds,
    }


def _bare_window() -> float:
    begun = time.perf_counter()
    environment = {**os.environ, "QT_QPA_PLATFORM": "offscreen"}
    subprocess.run(
        [sys.executable, "-c", BARE_WINDOW], env=environment, check=True, stderr=subprocess.DEVNULL
    )
    return (time.perf_counter() - begun) * 1000


def memory(rounds: int) -> dict[str, Any]:
    """Megabytes (10^6 bytes) of PSS over all processes but the model's child, after start and some rest."""
    totals: list[float] = []
    processes = 0
    with used_home() as home:
        for _ in range(rounds):
            desktop = Desktop(home, LEGION_MEASURE_START="1")
            try:
                desktop.figures("ready_ms")
                time.sleep(SETTLE_S)
                members = family(desktop.process.pid)
                processes = len(members)
                totals.append(sum(pss_kb(pid) for pid in members) * 1024 / 1e6)
            finally:
                desktop.stop()
    return {"pss_mb": round(statistics.median(totals), 1), "max_mb": round(max(totals), 1), "processes": processes,
            "rounds": rounds}  # fmt: skip


def idle(seconds: float) -> dict[str, Any]:
    """Share of a core, wake-ups a second and active timers of a window nobody touches."""
    with used_home() as home:
        desktop = Desktop(home, LEGION_MEASURE_START="1", LEGION_MEASURE_IDLE="1")
        try:
            desktop.figures("ready_ms")
            time.sleep(SETTLE_S)
            members = family(desktop.process.pid)
            cpu, woken = sum(map(cpu_s, members)), sum(map(wakeups, members))
            time.sleep(seconds)
            cpu, woken = sum(map(cpu_s, members)) - cpu, sum(map(wakeups, members)) - woken
            desktop.process.send_signal(signal.SIGUSR1)
            timers = desktop.figures("active_timers", 10)
        finally:
            status = desktop.stop()
    return {
        "cpu_percent": round(cpu / seconds * 100, 4),
        "active_timers": timers["active_timers"],
        "timers": timers.get("qt", []),
        "wakeups_per_s": round(woken / seconds, 2),
        "seconds": seconds,
        "exit_status": status,
    }


def main() -> int:
    """Print the figures asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=["start", "memory", "idle"])
    parser.add_argument("--json", action="store_true")
    parser.add_argument(
        "--rounds", type=int, default=0, help="starts to measure (20), or runs for the memory (3)"
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to watch the idle window")
    options = parser.parse_args()
    assert Path("/proc/self/smaps_rollup").exists(), "memory and processor time are read from Linux's /proc"
    found: dict[str, Any] = {}
    if options.only in {None, "start"}:
        found |= start(options.rounds or 20)
    if options.only in {None, "memory"}:
        found |= memory(options.rounds or 3)
    if options.only in {None, "idle"}:
        found |= idle(options.seconds)
    print(
        json.dumps(found)
        if options.json
        else "\n".join(f"{name:24} {value}" for name, value in found.items())
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
