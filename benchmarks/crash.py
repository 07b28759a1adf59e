"""Kills a gateway with SIGKILL at chance moments while answers stream, and looks for what is missing afterwards.

A child process answers questions over a real journal and reports each answer it was told is durable; the parent
kills it at a random moment and opens the journal: every reported answer must be there to the letter, an answer that
was being written must be marked `interrupted` with a prefix of its text, and SQLite must find nothing wrong.

    python -m benchmarks.crash --rounds 200 [--seed 1] [--json]
"""

import argparse
import asyncio
import json
import random
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from legion_core.gateway.types import TextDelta
from legion_core.testing.gateway import open_gateway
from legion_core.testing.scripted import Pause, ScriptedProvider, Step, say

PIECES = 60


def piece(answer: int, index: int) -> str:
    """What answer number `answer` says at `index`: never the same twice."""
    return f"a{answer}-{index} "


def whole(answer: int) -> str:
    """The full text of an answer."""
    return "".join(piece(answer, index) for index in range(PIECES))


async def child(journal: Path, first: int) -> None:
    """Answer questions until killed; one line of JSON for each answer acknowledged as durable."""
    async with open_gateway(journal) as under_test:
        number = first
        box = ScriptedProvider("box")
        under_test.put(box)
        conversation: str | None = None
        print(json.dumps({"ready": True}), flush=True)
        while True:
            steps: list[Step] = []
            for index in range(PIECES):
                steps += [TextDelta(text=piece(number, index), tokens=1), Pause(0.0005)]
            box.then((*steps, *say(output_tokens=PIECES)))
            turn = await under_test.gateway.chat.send(conversation, f"question {number}")
            answer = await under_test.gateway.chat.finished(turn)
            assert answer.status == "complete", answer
            print(json.dumps({"answer": turn.answer_id, "number": number}), flush=True)
            conversation = turn.conversation_id if number % 7 else None
            number += 1


async def examine(journal: Path, acknowledged: dict[str, int]) -> dict[str, int]:
    """What is wrong with the journal after a kill, counted."""
    found = {"lost": 0, "damaged": 0, "unmarked": 0, "corrupt": 0}
    async with open_gateway(journal) as under_test:
        store = under_test.gateway.conversations
        for answer_id, number in acknowledged.items():
            try:
                message = await store.message(answer_id)
            except Exception as error:
                print(f"lost {answer_id}: {error}", file=sys.stderr)
                found["lost"] += 1
                continue
            if message.text != whole(number) or message.status != "complete":
                found["damaged"] += 1
        for conversation in await store.list("", limit=10_000, offset=0, trashed=False):
            for message in (await store.open(conversation.id)).messages:
                if message.role != "assistant" or message.id in acknowledged or message.status == "complete":
                    continue
                number = int(message.text[1:].partition("-")[0]) if message.text else 0
                if message.status != "interrupted" or not whole(number).startswith(message.text):
                    found["unmarked"] += 1
        found["corrupt"] = len(await under_test.database.check())
    return found


def one_kill(journal: Path, first: int, delay_s: float) -> dict[str, int]:
    """Run the child, kill it `delay_s` after it is ready; the answers it acknowledged."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.crash", "--child", str(journal), "--first", str(first)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    try:
        process.wait(delay_s)
        raise SystemExit(f"the child ended by itself with {process.returncode}")
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
    lines = [line for line in process.stdout.read().splitlines() if line.endswith("}")]
    process.wait()
    process.stdout.close()
    told = [json.loads(line) for line in lines]
    return {line["answer"]: line["number"] for line in told}


def main() -> None:
    """Run the rounds and print the sums."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", type=Path)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    if options.child is not None:
        asyncio.run(child(options.child, options.first))
        return
    rng = random.Random(options.seed)
    sums = {"rounds": options.rounds, "acknowledged": 0, "lost": 0, "damaged": 0, "unmarked": 0, "corrupt": 0}
    with tempfile.TemporaryDirectory() as folder:
        acknowledged: dict[str, int] = {}
        for number in range(options.rounds):
            # A fresh journal now and then, so that creating one is also interrupted by chance.
            journal = Path(folder) / f"journal-{number // 20}.db"
            if number % 20 == 0:
                acknowledged = {}
            fresh = one_kill(journal, number * 1000, rng.uniform(0.0, 0.6))
            acknowledged |= fresh
            sums["acknowledged"] += len(fresh)
            for name, count in asyncio.run(examine(journal, acknowledged)).items():
                sums[name] += count
    sums["lost"] += sums["damaged"]
    print(json.dumps(sums) if options.json else sums)
    if sums["lost"] or sums["unmarked"] or sums["corrupt"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
