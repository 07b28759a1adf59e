"""Three lanes, each failing three requests in ten: `python -m benchmarks.gateway_flaky --json`.

Every instance fails 30 % of its requests at random, in five ways alike: 503 before the first byte, the connection
closed or reset in the middle, an error told inside the stream, silence. What counts is what the client gets: the answer
to the letter, an error, or something cut short and not told. LiteLLM has the same three deployments in one model group,
three retries, and the group as its own fallback for streams that break.
"""

import argparse
import json
import os
import statistics
import sys
from contextlib import ExitStack
from typing import Any

from benchmarks.gateway import EVENTS, expected
from benchmarks.gateway_arms import KEY, STALL_S, Arm, litellm, litellm_python, node, upstream
from benchmarks.gateway_client import Reply, percentile, question, request, together

LANES = 3
CONNECTIONS = 32
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


def play(arm: Arm, count: int) -> dict[str, Any]:
    """`count` streamed answers, and what became of them."""
    raw = request(arm.port, KEY, question(MODEL, EVENTS, is_stream=True), arm.path)
    replies = list[Reply]()
    while len(replies) < count:
        try:
            replies += together(arm.port, raw, min(count - len(replies), 200), CONNECTIONS)
        except ConnectionError:
            replies.append(Reply(0, "", b"", is_whole=False))
    exact = [each for each in replies if each.status == 200 and each.text == expected(EVENTS)]
    told = [each for each in replies if each.status != 200 or b'"error"' in each.body or not each.is_whole]
    silent = len(replies) - len(exact) - sum(each not in exact for each in told)
    times = [each.total_s * 1e3 for each in exact] or [0.0]
    return {
        "answers": len(replies),
        "exact_percent": round(100 * len(exact) / len(replies), 3),
        "told_percent": round(100 * sum(each not in exact for each in told) / len(replies), 3),
        "silent": silent,
        "refused": sum(each.status not in (0, 200) for each in replies),
        "p50_ms": round(statistics.median(times), 1),
        "p95_ms": round(percentile(times, 0.95), 1),
        "p99_ms": round(percentile(times, 0.99), 1),
    }


def main() -> None:
    """Play and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--answers", type=int, default=5000)
    parser.add_argument("--peer-answers", type=int, default=300)
    parser.add_argument("--without-peer", action="store_true")
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args()
    python = None if told.without_peer else litellm_python()
    found = dict[str, Any]()
    with ExitStack() as stack:
        direct = stack.enter_context(upstream(python or sys.executable))
        ours = stack.enter_context(node(direct.port, instances(direct.port)))
        found |= play(ours, told.answers)
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
            found |= {f"litellm_{name}": value for name, value in play(peer, told.peer_answers).items()}
    print(json.dumps(found | {"load": round(os.getloadavg()[0], 2)}))


if __name__ == "__main__":
    main()
