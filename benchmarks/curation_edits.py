"""Random histories, good and broken, under random edits: is every view one that every provider takes?

`python -m benchmarks.curation_edits --edits 1000000 --json`. Histories have parallel calls, calls without results, results
without calls, ids that come twice, empty messages, pictures, answers of nothing but thinking, lone surrogates; settings
are random and so small that nearly every turn is an epoch; edits are undone and messages kept at random. After each step
the view is checked by rules of our own (curation_rules), and the user's words must all be whole in it.
"""

import argparse
import json
import multiprocessing
import sys
from random import Random
from typing import Any

from benchmarks.curation_rules import faults
from legion_core.gateway.curation.curator import Curator
from legion_core.gateway.curation.types import CurationSettings, Prices, Stage
from legion_core.gateway.types import (
    Block,
    ImageBlock,
    Message,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
)

WORDS = (
    "alpha",
    "exit code 1",
    "FAILED tests/a.py::test_b",
    "because",
    "decided",
    "src/a/b.py",
    "\n",
    "42",
    "ok",
    "{}",
    "[",
    "]",
    "é🙂",
    "\ud800",
    "recall #1",
    "#3",
    "<think>",
    "</think>",
)
TOOLS = ("Read", "Bash", "Edit", "Grep", "Write", "str_replace_editor", "apply_patch", "weird tool", "")


def history(rng: Random, turns: int) -> list[list[Message]]:
    """What is added before each request."""
    is_broken = rng.random() < 0.5
    added: list[list[Message]] = []
    ids = 0
    for _ in range(turns):
        step: list[Message] = []
        if not added or rng.random() < 0.3:
            step.append(Message(role="user", content=_user(rng, is_broken)))
        if added:
            blocks: list[Block] = []
            if rng.random() < 0.5:
                blocks.append(
                    ThinkingBlock(text=_text(rng, 30), signature=rng.choice(("", "sig")), origin="x")
                )
            if rng.random() < 0.6:
                blocks.append(TextBlock(text=_text(rng, 20)))
            calls: list[ToolUseBlock] = []
            for _ in range(rng.choice((0, 1, 1, 2, 5))):
                ids += 1
                call_id = f"c{ids if not is_broken or rng.random() < 0.9 else rng.randint(1, ids)}"
                calls.append(ToolUseBlock(id=call_id, name=rng.choice(TOOLS), arguments=_arguments(rng)))
            blocks += calls
            if not blocks and not is_broken:
                blocks.append(TextBlock(text="done"))
            results: list[Block] = [
                ToolResultBlock(
                    call_id=call.id, text=_text(rng, rng.choice((0, 3, 40, 400))), is_error=rng.random() < 0.2
                )
                for call in calls
            ]
            if is_broken and rng.random() < 0.25:
                rng.shuffle(results)
                results = (
                    results[1:]
                    if rng.random() < 0.5
                    else [*results, ToolResultBlock(call_id=f"lost{ids}", text=_text(rng, 9))]
                )
            answer = [Message(role="assistant", content=tuple(blocks))]
            if results and rng.random() < 0.3:
                answer += [Message(role="tool", content=(block,)) for block in results]
            elif results:
                answer.append(
                    Message(
                        role="tool" if not is_broken or rng.random() < 0.8 else "user", content=tuple(results)
                    )
                )
            step = answer + step if not is_broken or rng.random() < 0.95 else step + answer
        added.append(step)
    return added


def _user(rng: Random, is_broken: bool) -> tuple[Block, ...]:
    blocks: list[Block] = [TextBlock(text=_text(rng, rng.choice((2, 30))) or "go")]
    if rng.random() < 0.05:
        blocks.append(ImageBlock(media_type="image/png", data="aGk="))
    return tuple(blocks) if not is_broken or rng.random() < 0.97 else ()


def _text(rng: Random, size: int) -> str:
    return " ".join(rng.choices(WORDS, k=rng.randint(0, size)))


def _arguments(rng: Random) -> str:
    return rng.choice(
        (
            json.dumps(
                {
                    "file_path": f"src/{rng.choice('abc')}.py",
                    "offset": rng.randint(1, 90),
                    "limit": rng.randint(1, 90),
                }
            ),
            json.dumps({"command": rng.choice(("make test", "ls", "git diff"))}),
            json.dumps(
                {
                    "file_path": f"src/{rng.choice('abc')}.py",
                    "old_string": _text(rng, 9),
                    "new_string": _text(rng, 9),
                }
            ),
            "{not json",
            "",
            "[]",
        )
    )


def play(seed: int, edits_wanted: int) -> dict[str, Any]:
    """Histories until so many edits were made."""
    rng = Random(seed)
    edits = views = histories = refused = 0
    unverbatim = lost = orphans = 0
    first = ""
    while edits < edits_wanted:
        histories += 1
        settings = CurationSettings(
            stages=(
                Stage(begins=2, share=rng.choice((0.01, 0.2, 0.6)), hot_tokens=rng.choice((0, 50, 5_000))),
                Stage(begins=12, share=rng.choice((0.01, 0.1)), carry=rng.choice((0.1, 2.0))),
            ),
            least_tokens=rng.choice((0, 50)),
            raw_rounds=rng.choice((1, 1, 2)),
            context_tokens=rng.choice((None, 200, 2_000)),
            prices=Prices(cache_read=1.0, cache_write=1.0, cache_least_tokens=0),  # so that any gain pays
        )
        curator = Curator(lambda text: -(-len(text) // 4), settings, ("rules",))
        said: list[str] = []
        texts: list[str] = []
        steps = history(rng, rng.randint(3, 40))
        for step in steps:
            curator.add(step)
            for message in step:
                if message.role == "user":
                    said += [block.text for block in message.content if isinstance(block, TextBlock)]
                texts += [
                    block.text
                    for block in message.content
                    if isinstance(block, TextBlock | ThinkingBlock | ToolResultBlock)
                ]
            view = curator.view()
            edits += len(view.edits)
            if rng.random() < 0.33:
                view = curator.idle()
                edits += len(view.edits)
            if rng.random() < 0.05 and curator.edits:
                curator.undo(rng.randint(1, len(curator.edits)))
                view = curator.view()
            views += 1
            wrong = [fault for fault in faults(view.messages) if not fault.startswith("begins")]
            orphans += sum("result" in fault for fault in wrong)
            if wrong:
                refused += 1
                first = first or f"seed {seed} history {histories}: {wrong[0]}"
            shown = [
                block.text
                for message in view.messages
                if message.role == "user"
                for block in message.content
                if isinstance(block, TextBlock)
            ]
            missing = [text for text in said if text and text not in shown]
            unverbatim += bool(missing)
        kept = "\x00".join(
            [
                *curator.archive.values(),
                *(
                    getattr(block, "text", "")
                    for message in curator.view().messages
                    for block in message.content
                ),
            ]
        )
        lost += sum(text not in kept for text in texts)
    return {
        "edits": edits,
        "views": views,
        "histories": histories,
        "orphans": orphans,
        "refused": refused,
        "unverbatim": unverbatim,
        "lost": lost,
        "first_fault": first,
    }


def main(arguments: list[str] | None = None) -> int:
    """Print the counts as one JSON line."""
    parser = argparse.ArgumentParser(prog="benchmarks.curation_edits", description=__doc__)
    parser.add_argument("--edits", type=int, default=20_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    parts = options.processes * 4
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        done = pool.starmap(play, [(seed, -(-options.edits // parts)) for seed in range(parts)])
    total = {
        name: sum(each[name] for each in done)
        for name in ("edits", "views", "histories", "orphans", "refused", "unverbatim", "lost")
    }
    total["first_fault"] = next((each["first_fault"] for each in done if each["first_fault"]), "")
    print(json.dumps(total))
    return int(bool(total["refused"] or total["unverbatim"] or total["lost"]))


if __name__ == "__main__":
    sys.exit(main())
