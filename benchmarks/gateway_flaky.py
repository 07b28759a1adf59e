"""Three lanes, each failing three requests in ten: `python -m benchmarks.gateway_flaky --json`.

Every instance fails 30 % of its requests at random, in five ways alike: 503 before the first byte, the connection
closed or reset in the middle, an error told inside the stream, silence. What counts is what the client gets: the answer
to the letter, an error, or something cut short and not told. LiteLLM has the same three deployments in one model group,
three retries, and the group as its own fallback for streams that break.

Each arm has a time: when it is up, no more is asked, and the figures say how many answers there were.
"""

import argparse
import json
import os
import statistics
import sys
from collections import Counter
from contextlib import ExitStack
from typing import Any

from benchmarks.gateway import expected
from benchmarks.gateway_arms import KEY, STALL_S, Arm, litellm, litellm_python, node, upstream
from benchmarks.gateway_client import percentile, question, request, rolling

LANES = 3
CONNECTIONS = 32
WORDS = 100  # tokens of an answer
MODEL = "flaky"


def instances(port: int) -> str:
    """The lanes, as our configuration has them."""
    return "".join(
        f'\n[[gateway.instances]]\nname = "flaky-{at}"\nkind = "openai"\nbase_url = "http://127.0.0.1:{port}/a/v1"\n'
        f'api_key = "env://BENCH_KEY"\ntier = "direct"\n[[gateway.instances.models]]\nid = "{MODEL}"\n'
        'context = 32768\ncontinuation = "prefill"\nprice = { input = 1.0, output = 2.0 }\n'
        for at in range(LANES)
    )


def deployments(port: int) -> tuple[dict[str, Any], ...]:
    """The same for LiteLLM; a group cannot fall back to itself, so it has a second name."""
    return tuple(
        {
            "model_name": name,
            "litellm_params": {
                "model": f"openai/{MODEL}",
                "api_base": f"http://127.0.0.1:{port}/a/v1",
                "api_key": "any",
                "stream_timeout": STALL_S,
            },
            "model_info": {"id": f"{name}-{at}"},
        }
        for name in (MODEL, f"{MODEL}-again")
        for at in range(LANES)
    )


def play(arm: Arm, count: int, seconds: float) -> dict[str, Any]:
    """Up to `count` streamed answers, asked within so many seconds, and what became of them."""
    raw = request(arm.port, KEY, question(MODEL, WORDS, is_stream=True), arm.path)
    found, exact_ms, wanted = Counter[str](), list[float](), expected(WORDS)
    for each in rolling(arm.port, raw, count, CONNECTIONS, seconds):
        found["refused"] += each.status not in (0, 200)
        if each.status == 200 and each.is_whole and each.text == wanted:
            exact_ms.append(each.total_s * 1e3)
        elif each.status != 200 or b'"error"' in each.body or not each.is_whole:
            found["told"] += 1
        else:
            found["silent"] += 1
    answers, times = len(exact_ms) + found["told"] + found["silent"], exact_ms or [0.0]
    return {
        "answers": answers,
        "exact_percent": round(100 * len(exact_ms) / max(1, answers), 3),
        "told_percent": round(100 * found["told"] / max(1, answers), 3),
        "silent": found["silent"],
        "refused": found["refused"],
        "p50_ms": round(statistics.median(times), 1),
        "p95_ms": round(percentile(times, 0.95), 1),
        "p99_ms": round(percentile(times, 0.99), 1),
    }


def main() -> None:
    """Play and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--answers", type=int, default=5000)
    parser.add_argument("--seconds", type=float, default=90.0)
    parser.add_argument("--peer-answers", type=int, default=300)
    parser.add_argument("--peer-seconds", type=float, default=20.0)
    parser.add_argument("--without-peer", action="store_true")
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args()
    python = None if told.without_peer else litellm_python()
    found = dict[str, Any]()
    with ExitStack() as stack:
        direct = stack.enter_context(upstream(python or sys.executable))
        ours = stack.enter_context(node(direct.port, instances(direct.port)))
        found |= play(ours, told.answers, told.seconds)
        if python is not None:
            peer = stack.enter_context(
                litellm(
                    python,
                    direct.port,
                    deployments(direct.port),
                    fallbacks=({MODEL: [f"{MODEL}-again"]},),
                    retries=3,
                )
            )
            theirs = play(peer, told.peer_answers, told.peer_seconds)
            found |= {f"litellm_{name}": value for name, value in theirs.items()}
    print(json.dumps(found | {"load": round(os.getloadavg()[0], 2)}))


if __name__ == "__main__":
    main()
