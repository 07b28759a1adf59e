"""Processor time of curating a turn in sessions of 300 turns: `python -m benchmarks.curation_cpu --sessions 10 --json`.

Measured is what the gateway does for a turn, taking the new messages in and making the view, with the counter it uses.
Turns 201 to 300 count. What a turn costs must not grow with the history: the same turns of a session three times as
long are told beside it.
"""

import argparse
import gc
import json
import sys
import time

from benchmarks import curation_corpus as corpus
from benchmarks.curation_policies import OursLive


def turn_times(seed: int, turns: int) -> list[float]:
    """Milliseconds of processor time for each turn."""
    session = corpus.session(seed, "50+", turns)
    policy = OursLive(session.system)
    times: list[float] = []
    gc.collect()
    gc.freeze()
    for step in session.steps:
        begun = time.thread_time_ns()
        policy.add(step.added)
        policy.view(step.at_s)
        times.append((time.thread_time_ns() - begun) / 1e6)
    gc.unfreeze()
    return times


def at(times: list[float], share: float) -> float:
    """The value below which that share of the times lies."""
    ordered = sorted(times)
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 3)


def main(arguments: list[str] | None = None) -> int:
    """Print the figures as one JSON line."""
    parser = argparse.ArgumentParser(prog="benchmarks.curation_cpu", description=__doc__)
    parser.add_argument("--sessions", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    late = [ms for seed in range(options.sessions) for ms in turn_times(seed, 300)[200:]]
    early = [ms for seed in range(options.sessions) for ms in turn_times(seed, 110)[60:]]
    longer = [ms for seed in range(min(2, options.sessions)) for ms in turn_times(seed, 900)[800:]]
    page = {
        "cpu_p95_ms": at(late, 0.95),
        "cpu_p50_ms": at(late, 0.5),
        "cpu_p99_ms": at(late, 0.99),
        "cpu_max_ms": at(late, 1.0),
    }
    page |= {
        "turns_61_110_p95_ms": at(early, 0.95),
        "turns_801_900_p95_ms": at(longer, 0.95),
        "turns": len(late),
    }
    print(json.dumps(page))
    return 0


if __name__ == "__main__":
    sys.exit(main())
