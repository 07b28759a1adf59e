"""Says on standard error how fast the window was ready and how many timers run while it is idle.

`LEGION_MEASURE_START=1` prints `{"ready_ms": …, "modules": …}` once the window is painted and the composer takes
input; with `LEGION_MEASURE_EXIT=1` the workbench then quits. `LEGION_MEASURE_IDLE=1` prints `{"active_timers": …}`
on every SIGUSR1. For benchmarks; nothing here runs without the variable.
"""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO


def since_start_ms() -> float:
    """Milliseconds since the kernel started this process, the interpreter's own start included.

    Linux keeps the start in clock ticks of 10 ms; elsewhere it is the process's CPU time, which is a lower bound.
    """
    import time

    try:
        fields = Path("/proc/self/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        started_s = int(fields[19]) / os.sysconf("SC_CLK_TCK")
        return (time.clock_gettime(time.CLOCK_BOOTTIME) - started_s) * 1000
    except (OSError, AttributeError, ValueError):
        return time.process_time() * 1000


def wants(name: str, env: Mapping[str, str]) -> bool:
    """Whether `LEGION_MEASURE_<name>` is on."""
    return env.get(f"LEGION_MEASURE_{name}", "") not in ("", "0")


def print_ready(out: TextIO | None = None) -> None:
    """One line about the start."""
    figures = {"ready_ms": round(since_start_ms(), 1), "modules": len(sys.modules)}
    (out or sys.stderr).write(json.dumps(figures) + "\n")
    (out or sys.stderr).flush()


def print_idle(loop_timers: int, out: TextIO | None = None) -> None:
    """One line about the timers alive now: those of Qt's objects and those of the loop."""
    import shiboken6
    from PySide6.QtCore import QTimer

    timers = [
        wrapper
        for wrapper in shiboken6.getAllValidWrappers()
        if isinstance(wrapper, QTimer) and wrapper.isActive()
    ]
    names = sorted(
        f"{timer.objectName() or type(timer.parent()).__name__}:{timer.interval()}" for timer in timers
    )
    figures = {"active_timers": len(timers) + loop_timers, "qt": names, "loop": loop_timers}
    (out or sys.stderr).write(json.dumps(figures) + "\n")
    (out or sys.stderr).flush()
