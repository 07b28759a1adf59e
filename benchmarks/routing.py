"""Routing measured and proven: the time of a decision, a million random requests against an oracle, and the breaker.

    python -m benchmarks.routing [--json] [--only decision|oracle|regret|processes|breaker] [--requests N] [--schedules N]

The oracle is the plain sentence of each axis, tried on every lane by itself (`tests/unit/gateway/naive_routing.py`);
the breaker's reference is a written table (`tests/unit/gateway/naive_health.py`). The peer of the decision is the same
choice made lane by lane, in the same run.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from hashlib import sha256
from math import exp, log
from pathlib import Path
from random import Random
from typing import Any

from legion_core.gateway import prices as prices_table
from legion_core.gateway.cost import cost_usd
from legion_core.gateway.routing.health import Circuit, Health, Ticket
from legion_core.gateway.routing.learned import LONG, TALLIES_MAX, TOOLS, Learned
from legion_core.gateway.routing.policy import decide
from legion_core.gateway.routing.speed import Speeds
from legion_core.gateway.routing.table import LaneTable
from legion_core.gateway.types import (
    Lane,
    Message,
    ModelOffer,
    Params,
    Pins,
    Price,
    Request,
    TextBlock,
    Tier,
    ToolDefinition,
    Usage,
)
from tests.unit.gateway.naive_health import disagreement
from tests.unit.gateway.naive_routing import naive_route, random_case, violations

LANES = 200
ROUNDS = 5
DECISIONS = 4_000  # a round
REGRET_REQUESTS, PROCESS_REQUESTS = 20_000, 20_000


def two_hundred() -> tuple[list[Lane], Speeds]:
    """Forty instances with five models each, over all tiers, with prices, capabilities and measured speeds."""
    rng, lanes, speeds = Random(4), list[Lane](), Speeds()
    for number in range(LANES // 5):
        tier = Tier(number % 5)
        for model in range(5):
            price = Price(input=rng.uniform(0.1, 5), output=rng.uniform(0.5, 30)) if tier >= 3 else None
            offer = ModelOffer(
                id=f"m{model}",
                context=rng.choice((4_096, 8_192, 32_768, 131_072, 200_000, 1_000_000)),
                capabilities=frozenset(
                    ("streaming", *rng.sample(("tools", "vision", "thinking", "structured_output"), 3))
                ),
                price=price,
            )
            lane = Lane(tier=tier, instance=f"box-{number}", kind="openai", offer=offer)
            lanes.append(lane)
            speeds.note(lane.name, rng.uniform(5, 150))
    return lanes, speeds


def requests() -> list[Request]:
    """Sixteen of them: plain, with tools, pinned, long, capped."""
    made = list[Request]()
    for number in range(16):
        text = "word " * (20, 400, 2_000, 8_000)[number % 4]
        made.append(
            Request(
                id=f"req_{number}",
                messages=(Message(role="user", content=(TextBlock(text=text),)),),
                tools=(ToolDefinition(name="t", description="a tool"),) if number % 2 else (),
                params=Params(max_tokens=1_024),
                pins=(Pins(), Pins(tier_max=Tier.CLOUD), Pins(model="m3"), Pins(tier=Tier.CLOUD))[
                    number // 4
                ],
                is_private=number == 15,
            )
        )
    return made


def all_doubted(lanes: list[Lane]) -> Learned:
    """As many lanes as are remembered have failed at every kind of these requests, some more often than others."""
    learned = Learned()
    for place, lane in enumerate(lanes[: TALLIES_MAX // 4]):
        for kind in (0, TOOLS, LONG, TOOLS | LONG):
            for _ in range(3 + place % 5):
                learned.note(lane.name, kind, "it was empty", 0.0)
    return learned


def circuits() -> dict[str, Circuit]:
    """Every fourth instance has failed three times; half of those may be probed again."""
    return {
        f"box-{number}": Circuit().failed(at).failed(at).failed(at)
        for number in range(0, LANES // 5, 4)
        for at in (0.0 if number % 8 else 100.0,)
    }


def decision() -> dict[str, float]:
    """Microseconds of one decision over 200 lanes, and the same with every reason read, and lane by lane."""
    lanes, speeds = two_hundred()
    table, asked, known = LaneTable(lanes, speeds), requests(), circuits()
    for request in asked:
        assert decide(request, table, known, now_s=130).candidates == tuple(
            naive_route(request, lanes, known, 130, speeds=speeds)
        )

    def plain(request: Request) -> object:
        return decide(request, table, known, now_s=130)

    def spread(request: Request) -> object:
        return decide(request, table, known, now_s=130, seed=request.id)

    def explained(request: Request) -> object:
        return tuple(decide(request, table, known, now_s=130).left_out)

    def one_by_one(request: Request) -> object:
        return naive_route(request, lanes, known, 130, speeds=speeds)

    doubting = LaneTable(lanes, speeds, learned=all_doubted(lanes))

    def learned(request: Request) -> object:
        return decide(request, doubting, known, now_s=130, bad_answer_usd=0.01)

    ways = {
        "decision": plain,
        "spread": spread,
        "learned": learned,
        "explained": explained,
        "one_by_one": one_by_one,
    }
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    cpu_us = list[float]()
    for _ in range(ROUNDS):  # interleaved, so that a busy moment hits all of them
        for name, way in ways.items():
            count = DECISIONS if name in ("decision", "spread", "learned") else DECISIONS // 20
            before_s = time.process_time()
            taken = sorted(timed(way, asked, count))
            if name == "decision":
                cpu_us.append((time.process_time() - before_s) / count * 1e6)
            figures[name].append((statistics.median(taken), taken[int(len(taken) * 0.99)]))
    found = {
        f"{name}_p50_us": statistics.median(p50 for p50, _ in rounds) for name, rounds in figures.items()
    }
    found |= {
        f"{name}_p99_us": statistics.median(p99 for _, p99 in rounds) for name, rounds in figures.items()
    }
    found["decision_cpu_us"] = statistics.median(cpu_us)
    found["ratio_over_one_by_one"] = found["one_by_one_p50_us"] / found["decision_p50_us"]
    return {name: round(value, 2) for name, value in found.items()}


def timed(way: Callable[[Request], object], asked: list[Request], count: int) -> list[float]:
    """Microseconds of each of `count` calls."""
    clock, taken = time.perf_counter_ns, list[float]()
    for number in range(count):
        request = asked[number % len(asked)]
        start = clock()
        way(request)
        taken.append((clock() - start) / 1000)
    return taken


def oracle(count: int) -> dict[str, float]:
    """How many of `count` random requests were routed otherwise than the oracle says, and at what extra price."""
    wrong, first = 0, ""
    for seed in range(-(-count // 50)):
        rng = Random(seed)
        lanes, speeds, known, make = random_case(rng)
        table = LaneTable(lanes, speeds)
        for _ in range(50):
            found = violations(table, lanes, speeds, known, make(rng))
            if found:
                wrong += 1
                first = first or f"seed {seed}: {found}"
    if first:
        print(first)
    return {"requests": float(-(-count // 50) * 50), "violations": float(wrong)}


def regret(count: int) -> dict[str, float]:
    """How much more `count` requests cost than with each at its cheapest able lane, at the prices that ship, in per cent.

    Two to twelve lanes of one tier with prices drawn from the table; input from 30 to 60,000 tokens; the answer's length,
    which no router knows, is drawn after the decision: half of them below 300 tokens, one in seven above 800.
    """
    prices, rng, spent, least = _shipped(), Random(2), 0.0, 0.0
    for number in range(count):
        if number % 20 == 0:
            lanes = [
                Lane(
                    tier=Tier.FRONTIER,
                    instance=f"box-{at}",
                    kind="openai",
                    offer=ModelOffer(id="m", context=1_000_000, price=price),
                )
                for at, price in enumerate(rng.sample(prices, rng.randint(2, 12)))
            ]
            table = LaneTable(lanes)
        tokens = int(exp(rng.uniform(log(30), log(60_000))))
        most = rng.choice((None, 256, 1_024, 4_096))
        request = Request(
            id=f"req_{number}",
            messages=(Message(role="user", content=(TextBlock(text="x" * (tokens * 4)),)),),
            params=Params(max_tokens=most),
        )
        answer = max(1, min(int(exp(rng.gauss(log(300), 1.0))), most or 8_192))
        usage = Usage(input_tokens=tokens, output_tokens=answer)
        costs = [
            cost_usd(usage, lane.offer.price, lane.tier) or 0.0
            for lane in decide(request, table, {}, now_s=0).candidates
        ]
        spent, least = spent + costs[0], least + min(costs)
    return {"regret_percent": round((spent / least - 1) * 100, 3), "regret_requests": float(count)}


def _shipped() -> list[Price]:
    """Every pair of prices in the table that ships."""
    found = set[tuple[float, float]]()

    def look(node: Any) -> None:
        if isinstance(node, dict):
            pair = node.get("input"), node.get("output")
            if all(isinstance(rate, int | float) and rate > 0 for rate in pair):
                found.add(pair)
            for child in node.values():
                look(child)
        elif isinstance(node, list):
            for child in node:
                look(child)

    look(json.loads((Path(prices_table.__file__).with_name("prices.json")).read_text()))
    return [Price(input=rate, output=out) for rate, out in sorted(found)]


def digest(count: int) -> str:
    """A sum over the order of every candidate of `count` random requests, with a seed each: the same in every process."""
    told = sha256()
    for seed in range(-(-count // 50)):
        rng = Random(seed)
        lanes, speeds, known, make = random_case(rng)
        table = LaneTable(lanes, speeds)
        for number in range(50):
            asked = make(rng)
            request = asked.pop("request")
            found = decide(request, table, known, now_s=100, seed=f"conv_{number % 7}", **asked)
            told.update("\0".join(lane.name for lane in found.candidates).encode() + b"\n")
    return told.hexdigest()


def processes(count: int) -> dict[str, float]:
    """How many of four processes, each with another hash seed, decide `count` requests otherwise than this one."""
    here, wrong = digest(count), 0
    for seed in ("0", "1", "4711", "random"):
        command = [sys.executable, "-m", "benchmarks.routing", "--only", "digest", "--requests", str(count)]
        env = {**os.environ, "PYTHONHASHSEED": seed}
        told = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout.strip()
        wrong += told != here
    return {"processes_that_differ": float(wrong)}


def breaker(count: int) -> dict[str, float]:
    """How many of `count` random schedules end otherwise than the written table says."""
    wrong = sum(1 for seed in range(count) if disagreement(Health, Ticket, Random(seed)))
    return {"schedules": float(count), "disagreements": float(wrong)}


def main() -> None:
    """Run what was asked for and print it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", choices=("decision", "oracle", "regret", "processes", "digest", "breaker"))
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--schedules", type=int, default=10_000)
    args = parser.parse_args()
    if args.only == "digest":
        print(digest(args.requests))
        return
    found: dict[str, float] = {}
    if args.only in (None, "regret"):
        found |= regret(min(args.requests, REGRET_REQUESTS))
    if args.only in (None, "processes"):
        found |= processes(min(args.requests, PROCESS_REQUESTS))
    if args.only in (None, "decision"):
        found |= decision()
    if args.only in (None, "oracle"):
        found |= oracle(args.requests)
    if args.only in (None, "breaker"):
        found |= breaker(args.schedules)
    if args.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:24} {value:>14,.2f}")


if __name__ == "__main__":
    main()
