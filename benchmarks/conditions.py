"""Condition evaluations a second on one core: compiled closures beside flatten-and-interpret, interleaved.

    python -m benchmarks.conditions [--json] [--rounds N]

The peer does what a rule engine that compiles nothing does on every evaluation: it flattens the whole payload into
dotted keys and walks the document. Both arms answer the same documents over the same payloads, and their answers are compared. The
figure is the median round; the floor is 200,000 evaluations a second of the five-rule document.
"""

import argparse
import gc
import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from legion_core.engine.conditions import compiled

FLOOR_PER_S = 200_000
COMPILED_COUNT = 40_000
PEER_COUNT = 4_000

SIMPLE = {"fact": "result.status", "operator": "equal", "value": 200}
FIVE = {
    "all": [
        {"fact": "result.status", "operator": "between", "value": [200, 299]},
        {"fact": "result.body.items.0.name", "operator": "starts_with", "value": "wid"},
        {
            "any": [
                {"fact": "result.body.total", "operator": "greater_than", "value": 100},
                {"fact": "result.body.items.1.price", "operator": "less_than", "value": 10},
            ]
        },
        {"not": {"fact": "result.headers.cache", "operator": "in_set", "value": ["no", "never"]}},
    ]
}
PATTERN = {"fact": "result.body.items.0.name", "operator": "matches", "value": "^wid.*[0-9]$"}
DOCUMENTS = {"one rule": SIMPLE, "five rules": FIVE, "a pattern": PATTERN}


def payload(number: int) -> dict[str, Any]:
    """What a fetch might leave behind; a third of them fails the condition."""
    return {
        "input": {"url": "http://example.test/"},
        "result": {
            "status": 200 if number % 3 else 500,
            "headers": {"cache": "yes", "type": "application/json"},
            "body": {
                "total": number % 7,
                "items": [{"name": f"widget {number}", "price": 12.5}, {"name": "gadget", "price": 7}],
            },
        },
    }


PAYLOADS = [payload(number) for number in range(10)]


@dataclass(frozen=True, slots=True)
class Shot:
    """One arm in one round."""

    per_s: float
    cpu_us: float


def measured(count: int, ask: Callable[[Any], bool]) -> Shot:
    """Wall and processor time of `count` evaluations over the payloads in turn."""
    gc.collect()
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    for _ in range(count // len(PAYLOADS)):
        for each in PAYLOADS:
            ask(each)
    wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
    return Shot(count / wall_s, cpu_s / count * 1e6)


def flattened(value: Any, prefix: str = "") -> dict[str, Any]:
    """Dotted keys to scalars."""
    if isinstance(value, dict):
        pairs = value.items()
    elif isinstance(value, list):
        pairs = enumerate(value)
    else:
        return {prefix: value}
    found: dict[str, Any] = {}
    for name, inner in pairs:
        found |= flattened(inner, f"{prefix}.{name}" if prefix else str(name))
    return found


def interpreted(document: Any) -> Callable[[Any], bool]:
    """The peer: nothing is prepared, everything is read anew."""
    import re

    def rule(facts: dict[str, Any], each: Any) -> bool:
        actual, value = facts.get(each["fact"]), each.get("value")
        match each["operator"]:
            case "equal":
                return actual == value
            case "between":
                return value[0] <= actual <= value[1]
            case "starts_with":
                return str(actual).startswith(value)
            case "greater_than":
                return actual > value
            case "less_than":
                return actual < value
            case "in_set":
                return actual in value
            case _:
                return bool(re.search(value, str(actual)))

    def walk(facts: dict[str, Any], each: Any) -> bool:
        if "fact" in each:
            return rule(facts, each)
        if "all" in each:
            return all(walk(facts, inner) for inner in each["all"])
        if "any" in each:
            return any(walk(facts, inner) for inner in each["any"])
        return not walk(facts, each["not"])

    return lambda found: walk(flattened(found), document)


def run(rounds: int) -> dict[str, Any]:
    """Every document, both arms in turn, `rounds` times."""
    figures: dict[str, Any] = {}
    for name, document in DOCUMENTS.items():
        ours, peer = compiled(document).evaluate, interpreted(document)
        assert [ours(each) for each in PAYLOADS] == [peer(each) for each in PAYLOADS]
        shots = [(measured(COMPILED_COUNT, ours), measured(PEER_COUNT, peer)) for _ in range(rounds)]
        figures[name] = {
            "evaluations_per_s": round(statistics.median(mine.per_s for mine, _ in shots)),
            "cpu_us": round(statistics.median(mine.cpu_us for mine, _ in shots), 3),
            "peer_per_s": round(statistics.median(other.per_s for _, other in shots)),
            "ratio": round(statistics.median(mine.per_s / other.per_s for mine, other in shots), 1),
        }
    explain = compiled(FIVE).explain
    figures["explained"] = {
        "evaluations_per_s": round(
            statistics.median(
                measured(PEER_COUNT, lambda each: explain(each).valid).per_s for _ in range(rounds)
            )
        )
    }
    return figures


def main() -> None:
    """Print the figures; exit 1 below the floor."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    words = parser.parse_args()
    figures = run(words.rounds)
    per_s = figures["five rules"]["evaluations_per_s"]
    if words.json:
        print(
            json.dumps({"evaluations_per_s": per_s, "ratio": figures["five rules"]["ratio"], "all": figures})
        )
    else:
        for name, each in figures.items():
            print(name, "  ".join(f"{key} {value:,}" for key, value in each.items()), sep=": ")
        print(f"load {os.getloadavg()[0]:.1f}; floor {FLOOR_PER_S:,} a second for five rules")
    raise SystemExit(0 if per_s >= FLOOR_PER_S else 1)


if __name__ == "__main__":
    main()
