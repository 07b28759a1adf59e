"""Coding clients of others at work through the gateway, also while an upstream is killed with SIGKILL on the way.

Claude Code, Codex and opencode, each in every dialect it speaks, write a file with their own tools: over the wires of
five providers, left alone or with the first upstream killed before a word, in the words or in a tool call. Their pinned
versions are brought into a cache by npm at the first run; nothing else leaves this machine.

    python -m benchmarks.agents [--only "claude code"] [--some] [--json] [--install]
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Sequence
from typing import Any

from legion_core.testing.coding_clients import CLIENTS, install, versions
from legion_core.testing.coding_work import Done, Work, all_work, do, some_work


async def play(chosen: Sequence[Work], *, is_silent: bool) -> list[Done]:
    """The outcome of each case, one after another."""
    outcomes = list[Done]()
    for work in chosen:
        done = await do(work)
        outcomes.append(done)
        if done.faults or not is_silent:
            told = "; ".join(done.faults) or "done"
            print(f"{done.took_s:5.1f} s  {work}: {told}", file=sys.stderr, flush=True)
    return outcomes


def figures(outcomes: Sequence[Done], wall_s: float) -> dict[str, Any]:
    """What is promised, and what of it held."""
    killed = [each for each in outcomes if each.work.killed]
    return {
        "cases": len(outcomes),
        "failed": sum(bool(each.faults) for each in outcomes),
        "killed_cases": len(killed),
        "killed_failed": sum(bool(each.faults) for each in killed),
        "requests": sum(each.requests for each in outcomes),
        "moved": sum(each.moved for each in outcomes),
        "median_s": round(statistics.median(each.took_s for each in outcomes), 1),
        "wall_s": round(wall_s, 1),
        "versions": versions(),
    }


def main() -> None:
    """Play the cases and print the figures; those who read no JSON learn of a failed case by the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=[each.name for each in CLIENTS])
    parser.add_argument("--some", action="store_true", help="a few cases instead of all")
    parser.add_argument("--install", action="store_true", help="bring the clients into the cache and stop")
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args()
    install()
    if told.install:
        return
    chosen = [each for each in (some_work() if told.some else all_work()) if told.only in (None, each.client)]
    begun_s = time.monotonic()
    outcomes = asyncio.run(play(chosen, is_silent=told.json))
    found = figures(outcomes, time.monotonic() - begun_s)
    print(json.dumps(found))
    sys.exit(1 if found["failed"] and not told.json else 0)


if __name__ == "__main__":
    main()
