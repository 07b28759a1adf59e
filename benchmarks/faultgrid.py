"""Every way an upstream can break, at every event: `python -m benchmarks.faultgrid --json [--cells N]`.

Real sockets on both sides of a real node (see `legion_core/testing/fault_grid.py`). Without `--cells` the whole grid
is played, which takes about a quarter of an hour; with it, that many cells, evenly over all kinds.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from legion_core.testing.fault_grid import KINDS, Cell, Outcome, cells, open_grid, sample
from legion_core.testing.grid_clients import DIALECTS

SHOWN = 20


async def play(chosen: Sequence[Cell]) -> tuple[list[Outcome], list[float]]:
    """The outcome of each cell, on one node; and how long each kind of upstream is kept after its client went."""
    async with open_grid() as grid:
        left_s = [await grid.leave(kind, dialect) for kind in KINDS for dialect in DIALECTS]
        return await grid.run(chosen), left_s


def figures(
    outcomes: Sequence[Outcome], left_s: Sequence[float], wall_s: float, cpu_s: float
) -> dict[str, Any]:
    """What the grid promises, and what of it held."""
    exact = [each for each in outcomes if each.cell.backup == "exact"]
    told = [each for each in outcomes if each.cell.backup not in ("exact", "none")]
    return {
        "cells": len(outcomes),
        "exact_cells": len(exact),
        "exact_percent": _percent(exact),
        "instructed_cells": len(told),
        "instructed_exact_percent": _percent(told),
        "without_backup_cells": len(outcomes) - len(exact) - len(told),
        "silent": sum(each.is_silent for each in outcomes),
        "doubled_calls": sum(each.doubled_calls for each in outcomes),
        "output_tokens_billed": sum(each.billed for each in outcomes),
        "output_tokens_off": sum(abs(each.billed - each.in_ledger) for each in outcomes),
        "input_tokens_counted": sum(each.input_billed for each in outcomes),
        "input_tokens_off": sum(abs(each.input_billed - each.input_in_ledger) for each in outcomes),
        "left_median_ms": round(1000 * statistics.median(left_s), 1),
        "left_max_ms": round(1000 * max(left_s), 1),
        "failed": sum(bool(each.faults) for each in outcomes),
        "wall_s": round(wall_s, 1),
        "cpu_s": round(cpu_s, 1),
    }


def _percent(outcomes: Sequence[Outcome]) -> float:
    return round(100 * sum(each.is_exact for each in outcomes) / len(outcomes), 4) if outcomes else 0.0


def main() -> None:
    """Play the grid and print the figures; those who read no JSON learn of a failed cell by the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=0, help="how many; 0 is all")
    parser.add_argument("--seed", type=int, default=0, help="which ones")
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args()
    chosen = sample(told.cells, told.seed) if told.cells else cells()
    wall_s, cpu_s = time.monotonic(), time.process_time()
    outcomes, left_s = asyncio.run(play(chosen))
    found = figures(outcomes, left_s, time.monotonic() - wall_s, time.process_time() - cpu_s)
    bad = [each for each in outcomes if each.faults]
    for each in bad[:SHOWN]:
        print(f"{each.cell}: {'; '.join(each.faults)}", file=sys.stderr)
    if not told.json:
        print("by fault:", dict(Counter(each.cell.fault for each in outcomes)))
        print("by client:", dict(Counter(each.cell.dialect for each in outcomes)))
    print(json.dumps(found))
    sys.exit(1 if bad and not told.json else 0)


if __name__ == "__main__":
    main()
