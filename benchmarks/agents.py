"""Coding clients of others at work through the gateway, also while an upstream is killed with SIGKILL on the way.

Claude Code, Codex and opencode, each in every dialect it speaks, write a file with their own tools: over the wires of
five providers, left alone or with the first upstream killed before a word, in the words or in a tool call. Their pinned
versions are brought into a cache by npm at the first run; nothing else leaves this machine.

    python -m benchmarks.agents [--only "claude code"] [--some | --all] [--seconds S] [--json] [--install]

Cases are begun for so many seconds, the clients in turns, so that what there is no time for is missing evenly; the
figures say how many there were. One process for each core and one more play them, each a node and a client at a time.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import time
from asyncio.subprocess import PIPE
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from legion_core.testing.coding_clients import CLIENTS, install, versions
from legion_core.testing.coding_work import Done, Work, all_work, do, fair_work, some_work

SECONDS = 120.0
WORKERS_MAX = 8


def in_turns(chosen: Iterable[Work]) -> Iterator[Work]:
    """The cases, one of each client after another."""
    left = {each.name: [work for work in chosen if work.client == each.name] for each in CLIENTS}
    while any(left.values()):
        yield from [works.pop(0) for works in left.values() if works]


async def play(chosen: Sequence[Work], seconds: float, *, is_silent: bool) -> list[Done]:
    """What became of the cases that could be begun within so many seconds."""
    queue, outcomes, until_s = in_turns(list(chosen)), list[Done](), time.monotonic() + seconds

    async def work() -> None:
        asked = [sys.executable, "-m", "benchmarks.agents", "--worker"]
        process = await asyncio.create_subprocess_exec(*asked, stdin=PIPE, stdout=PIPE)
        assert process.stdin is not None
        assert process.stdout is not None
        for each in queue:
            if time.monotonic() > until_s:
                break
            process.stdin.write(json.dumps(asdict(each)).encode() + b"\n")
            line = await process.stdout.readline()
            told = json.loads(line) if line else {"faults": ["its process ended"]}
            done = Done(**{**told, "work": each})
            outcomes.append(done)
            if done.faults or not is_silent:
                said = "; ".join(done.faults) or "done"
                print(f"{done.took_s:5.1f} s  {each}: {said}", file=sys.stderr, flush=True)
            if not line:
                break
        process.stdin.close()
        await process.wait()

    workers = min(WORKERS_MAX, (os.cpu_count() or 1) + 1, len(chosen))
    await asyncio.gather(*(work() for _ in range(workers)))
    return outcomes


def serve() -> None:
    """Play the cases that come on standard input, a line each, and tell what became of each."""
    for line in sys.stdin:
        done = asyncio.run(do(Work(**json.loads(line))))
        print(json.dumps(asdict(done)), flush=True)


def figures(outcomes: Sequence[Done], asked: int, wall_s: float) -> dict[str, Any]:
    """What is promised, and what of it held."""
    killed = [each for each in outcomes if each.work.killed]
    by_client = Counter(each.work.client for each in killed)
    return {
        "cases": len(outcomes),
        "cases_asked": asked,
        "failed": sum(bool(each.faults) for each in outcomes),
        "killed_cases": len(killed),
        "killed_failed": sum(bool(each.faults) for each in killed),
        "killed_least": min((by_client[each.name] for each in CLIENTS), default=0),
        "requests": sum(each.requests for each in outcomes),
        "moved": sum(each.moved for each in outcomes),
        "median_s": round(statistics.median([each.took_s for each in outcomes] or [0.0]), 1),
        "wall_s": round(wall_s, 1),
        "versions": versions(),
        "load": round(os.getloadavg()[0], 2),
    }


def main() -> None:
    """Play the cases and print the figures; those who read no JSON learn of a failed case by the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=[each.name for each in CLIENTS])
    parser.add_argument("--some", action="store_true", help="a few cases instead of a fair part")
    parser.add_argument("--all", action="store_true", help="every case instead of a fair part")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long cases are begun")
    parser.add_argument("--install", action="store_true", help="bring the clients into the cache and stop")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args()
    if told.worker:
        serve()
        return
    install()
    if told.install:
        return
    cases = some_work() if told.some else all_work() if told.all else fair_work()
    chosen = [each for each in cases if told.only in (None, each.client)]
    begun_s = time.monotonic()
    outcomes = asyncio.run(play(chosen, told.seconds, is_silent=told.json))
    found = figures(outcomes, len(chosen), time.monotonic() - begun_s)
    print(json.dumps(found))
    sys.exit(1 if found["failed"] and not told.json else 0)


if __name__ == "__main__":
    main()
