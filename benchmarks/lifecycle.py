"""Starts and stops the window many times over and counts every end that was not clean.

By turns: the workbench's own Quit as soon as the window is there (the engine is still starting), SIGTERM at that
same moment as a session manager sends it, and SIGTERM once the engine runs. The order of teardown decides whether Qt
crashes at exit, and a wrong one fails only now and then; hence the count.
"""

import argparse
import json
import sys
import time

from benchmarks.desktop import Desktop, used_home

ENGINE_S = 2.0


def main() -> int:
    """Print how many rounds failed and how."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    failures: list[str] = []
    stop_ms: list[float] = []
    with used_home() as home:
        for number in range(options.rounds):
            by_quit, is_settled = number % 3 == 0, number % 3 == 2
            more = {"LEGION_MEASURE_EXIT": "1"} if by_quit else {}
            desktop = Desktop(home, LEGION_MEASURE_START="1", **more)
            try:
                desktop.figures("ready_ms")
            except RuntimeError as error:
                failures.append(str(error))
            if is_settled:
                time.sleep(ENGINE_S)
            begun = time.perf_counter()
            status = desktop.wait() if by_quit else desktop.stop()
            stop_ms.append((time.perf_counter() - begun) * 1000)
            said = [line for line in desktop.said if not line.startswith("{")]
            if status != 0 or said:
                failures.append(f"round {number}: exit status {status}: {' / '.join(said[-3:])}")
    found = {
        "failures": len(failures),
        "rounds": options.rounds,
        "stop_median_ms": round(sorted(stop_ms)[len(stop_ms) // 2], 1),
        "stop_max_ms": round(max(stop_ms), 1),
    }
    print(*failures, sep="\n", file=sys.stderr)
    print(
        json.dumps(found)
        if options.json
        else "\n".join(f"{name:20} {value}" for name, value in found.items())
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
