"""Our gateway beside LiteLLM's proxy 1.91.1, in the same interleaved run: `python -m benchmarks.gateway --json`.

Both stand before the same upstream on loopback, which answers from canned bytes in a process of its own. The whole
pipeline is on: who asks, dialect to canonical, a route over 200 models, circuits, a durable row in the ledger, and the
dialect again; a request that is not streamed is read as a stream upstream, so that it too could go on elsewhere.
LiteLLM runs without a database, so it writes no bill.

Processor time is that of the gateway's whole process tree; latency is one connection asking one question after
another, less the same asked of the upstream itself. Each round asks all arms, in turn; the figures are medians of
rounds. `burst`: the upstream writes a whole streamed answer at once; `paced`: each event by itself, 2 ms apart.
"""

import argparse
import json
import os
import statistics
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from benchmarks.gateway_arms import CELLS, Arm, litellm, litellm_python, node, upstream
from benchmarks.gateway_client import Line, Reply, percentile, question, request, together

WORDS = 16  # tokens of an answer that is not streamed
EVENTS = 200  # tokens of one that is
CONNECTIONS = 8
REPEATS = 2  # of each way to fail; a third would rest the instance that fails
# How many of each a round asks: a slow arm is asked fewer times.
COUNTS = {
    "direct": {"latency": 300, "whole": 0, "burst": 0, "paced": 0},
    "legion": {"latency": 300, "whole": 600, "burst": 60, "paced": 60},
    "litellm": {"latency": 60, "whole": 100, "burst": 12, "paced": 12},
}
WARM = 40


@dataclass(slots=True)
class Measured:
    """One arm's figures, a value a round."""

    latency_p50_ms: list[float] = field(default_factory=list[float])
    latency_p99_ms: list[float] = field(default_factory=list[float])
    first_p50_ms: list[float] = field(default_factory=list[float])
    whole_us: list[float] = field(default_factory=list[float])
    burst_us: list[float] = field(default_factory=list[float])
    paced_us: list[float] = field(default_factory=list[float])
    rates: list[float] = field(default_factory=list[float])
    pss_mb: float = 0.0


def expected(count: int) -> str:
    """What every answer says."""
    return "".join(f"tok{at} " for at in range(count))


def checked(replies: list[Reply], count: int) -> list[Reply]:
    """The replies, all of them right: a fast wrong answer is no figure."""
    for each in replies:
        if each.status != 200 or not each.is_whole or each.text != expected(count):
            raise SystemExit(f"A wrong answer ({each.status}): {each.body[:300]!r}")
    return replies


def raw_of(arm: Arm, model: str, tokens: int, *, is_stream: bool) -> bytes:
    """One request to an arm."""
    return request(arm.port, arm.key, question(model, tokens, is_stream=is_stream), arm.path)


def play(arm: Arm, measured: Measured) -> None:
    """One round of one arm."""
    counts = COUNTS[arm.name]
    line = Line(arm.port)
    plain, stream = (
        raw_of(arm, "plain", WORDS, is_stream=False),
        raw_of(arm, "plain", EVENTS, is_stream=True),
    )
    asked = checked([line.ask(plain) for _ in range(counts["latency"])], WORDS)
    measured.latency_p50_ms.append(percentile([each.total_s * 1e3 for each in asked], 0.5))
    measured.latency_p99_ms.append(percentile([each.total_s * 1e3 for each in asked], 0.99))
    streamed = checked([line.ask(stream) for _ in range(counts["latency"] // 10)], EVENTS)
    measured.first_p50_ms.append(percentile([each.first_s * 1e3 for each in streamed], 0.5))
    line.close()
    if not counts["whole"]:
        return
    wall_s = [0.0]

    def cost(raw: bytes, count: int, tokens: int) -> float:
        before_s = arm.cpu_s()
        replies = together(arm.port, raw, count, CONNECTIONS)
        spent_s = arm.cpu_s() - before_s
        wall_s[0] = sum(each.total_s for each in replies) / CONNECTIONS
        checked(replies, tokens)
        return spent_s * 1e6 / count

    measured.whole_us.append(cost(plain, counts["whole"], WORDS))
    measured.rates.append(counts["whole"] / wall_s[0])
    measured.burst_us.append(cost(stream, counts["burst"], EVENTS) / EVENTS)
    paced = raw_of(arm, "paced", EVENTS, is_stream=True)
    measured.paced_us.append(cost(paced, counts["paced"], EVENTS) / EVENTS)


def break_off(arm: Arm, bill: Callable[[], dict[str, int]]) -> list[dict[str, Any]]:
    """Each way an upstream fails, with another behind it: what the client was given, and what it was told of it."""
    rows = list[dict[str, Any]]()
    for cell in CELLS:
        for _ in range(REPEATS):
            before = bill().get("tokens", 0)
            body = question(cell, EVENTS, is_stream=True, has_usage=True)
            line = Line(arm.port)
            reply = line.ask(request(arm.port, arm.key, body, arm.path))
            line.close()
            rows.append(_judged(cell, reply, bill().get("tokens", 0) - before))
            if arm.name == "legion" and reply.status == 200:
                asked = reply.head.partition("x-legion-request: ")[2].split("\r\n")[0]
                told = arm.get(f"/api/v1/ledger?request={asked}")["data"]
                rows[-1]["ledger"] = sum(each["usage"]["output_tokens"] for each in told)
    return rows


def _judged(cell: str, reply: Reply, billed: int) -> dict[str, Any]:
    words = reply.text.split() if reply.status == 200 else []
    wanted = expected(EVENTS).split()
    told = [each["usage"] for each in reply.events if each.get("usage")] if reply.status == 200 else []
    return {
        "fault": cell.removesuffix("-cell"),
        "status": reply.status,
        "tokens": len(words),
        "lost": len(set(wanted) - set(words)),
        "doubled": len(words) - len(set(words)),
        "is_exact": words == wanted,
        "is_done": reply.is_done,
        "error": b'"error"' in reply.body,
        "told": told[-1]["completion_tokens"] if told else None,
        "billed": billed,
        "ms": round(reply.total_s * 1e3, 1),
    }


def ratio(ours: list[float], theirs: list[float]) -> float:
    """How many times less; 0 without a peer."""
    return round(statistics.median(theirs) / statistics.median(ours), 1) if theirs else 0.0


def figures(
    found: dict[str, Measured], cells: dict[str, list[dict[str, Any]]], rounds: int
) -> dict[str, Any]:
    """What the floors read, and what stands beside it."""
    ours, direct = found["legion"], found["direct"]
    theirs = found.get("litellm", Measured())
    mid = statistics.median

    def added(of: list[float], without: list[float]) -> float:
        return round(mid([value - base for value, base in zip(of, without, strict=True)]), 3)

    out: dict[str, Any] = {
        "request_cpu_ratio": ratio(ours.whole_us, theirs.whole_us),
        "event_cpu_ratio": ratio(ours.burst_us, theirs.burst_us),
        "paced_event_cpu_ratio": ratio(ours.paced_us, theirs.paced_us),
        "added_p50_ms": added(ours.latency_p50_ms, direct.latency_p50_ms),
        "added_p99_ms": added(ours.latency_p99_ms, direct.latency_p99_ms),
        "added_first_p50_ms": added(ours.first_p50_ms, direct.first_p50_ms),
        "pss_mb": round(ours.pss_mb, 1),
        "request_cpu_us": round(mid(ours.whole_us)),
        "event_cpu_us": round(mid(ours.burst_us), 1),
        "paced_event_cpu_us": round(mid(ours.paced_us), 1),
        "requests_per_s": round(mid(ours.rates)),
        "direct_p50_ms": round(mid(direct.latency_p50_ms), 3),
        "failover_cells": len(cells["legion"]),
        "failover_not_exact": sum(not each["is_exact"] or each["error"] for each in cells["legion"]),
        "failover_ledger_off": sum(abs(each.get("ledger", -1) - each["billed"]) for each in cells["legion"]),
    }
    if theirs.whole_us:
        out |= {
            "litellm_request_cpu_us": round(mid(theirs.whole_us)),
            "litellm_event_cpu_us": round(mid(theirs.burst_us), 1),
            "litellm_paced_event_cpu_us": round(mid(theirs.paced_us), 1),
            "litellm_added_p50_ms": added(theirs.latency_p50_ms, direct.latency_p50_ms),
            "litellm_added_first_p50_ms": added(theirs.first_p50_ms, direct.first_p50_ms),
            "litellm_requests_per_s": round(mid(theirs.rates)),
            "litellm_pss_mb": round(theirs.pss_mb, 1),
            "litellm_failover_not_exact": sum(not each["is_exact"] for each in cells["litellm"]),
            "litellm_failover_silent": sum(
                each["is_done"] and not each["error"] and each["lost"] > 0 for each in cells["litellm"]
            ),
        }
    return out | {"rounds": rounds, "load": round(os.getloadavg()[0], 2)}


def show(found: dict[str, Measured], cells: dict[str, list[dict[str, Any]]]) -> None:
    """For people."""
    for name, each in found.items():
        print(
            f"{name:8} p50 {statistics.median(each.latency_p50_ms):7.3f} ms  p99 {statistics.median(each.latency_p99_ms):7.3f}"
            f"  first {statistics.median(each.first_p50_ms):7.3f}",
            end="",
        )
        if each.whole_us:
            print(
                f"  request {statistics.median(each.whole_us):7.0f} µs  event {statistics.median(each.burst_us):6.1f}"
                f"  paced {statistics.median(each.paced_us):6.1f}  {statistics.median(each.rates):6.0f}/s  {each.pss_mb:.1f} MB",
                end="",
            )
        print()
    print(
        f"{'':8} {'fault':12} {'given':>5} {'lost':>5} {'twice':>5} exact [DONE] error {'told':>5} {'billed':>6} {'ms':>8}"
    )
    for name, rows in cells.items():
        for row in rows:
            print(
                f"{name:8} {row['fault']:12} {row['tokens']:5} {row['lost']:5} {row['doubled']:5} {row['is_exact']!s:5} "
                f"{row['is_done']!s:6} {row['error']!s:5} {row['told'] or '-':>5} {row['billed']:6} {row['ms']:8}"
            )


def main() -> None:
    """Play the rounds and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--without-peer", action="store_true", help="our own arm alone, for work on it")
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args()
    python = None if told.without_peer else litellm_python()
    found, cells = dict[str, Measured](), dict[str, list[dict[str, Any]]]()
    with ExitStack() as stack:
        direct = stack.enter_context(upstream(python or sys.executable))
        arms = [direct, stack.enter_context(node(direct.port))]
        if python is not None:
            arms.append(stack.enter_context(litellm(python, direct.port)))
        for arm in arms:
            found[arm.name] = Measured()
            for is_stream, tokens in ((False, WORDS), (True, EVENTS)):
                raw = raw_of(arm, "plain", tokens, is_stream=is_stream)
                checked(together(arm.port, raw, WARM, CONNECTIONS), tokens)
        for _ in range(told.rounds):
            for arm in arms:
                play(arm, found[arm.name])
        for arm in arms[1:]:
            found[arm.name].pss_mb = arm.pss_mb()
            cells[arm.name] = break_off(arm, lambda: direct.get("/bill"))
    if not told.json:
        show(found, cells)
    print(json.dumps(figures(found, cells, told.rounds)))


if __name__ == "__main__":
    main()
