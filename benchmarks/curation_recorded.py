"""Recorded sessions of real agents: is what a later call quotes, or the path it names, still there when it is written?

`python -m benchmarks.curation_recorded FILE… [--share 0.15] [--json]`. For each tool call, what it quotes (the lines it wants
replaced, quoted text in commands) and the paths it names are looked for in the view that its request would have carried,
provided that they stood in the history before; else by one recall. Recall is asked with what the agent knows then: the path
of the call, or the words it quotes. Any transcript that `legion curate` reads; `--share` asks for a view of at most that
part of the history, added up (0.15 is a reduction of 85 %).
"""

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.curation_formats import as_chat
from benchmarks.curation_policies import block_tokens, unescaped
from benchmarks.curation_rules import faults
from legion_core.gateway.curation.curator import Curator
from legion_core.gateway.curation.types import CurationSettings, Stage
from legion_core.gateway.providers.estimate import tokens_in
from legion_core.gateway.transcripts import read_transcript
from legion_core.gateway.types import Message, TextBlock, ThinkingBlock, ToolResultBlock, ToolUseBlock

QUOTED_KEYS = ("old_string", "old_str", "old_text", "search", "oldText", "old")
PATH_KEYS = ("file_path", "path", "filename", "notebook_path", "file", "filepath")
_PATH = re.compile(
    r"(?<![\w.-])(?:\.{0,2}/)?(?:[\w.@-]+/)+[\w.@-]+\b|(?<![\w/.-])[\w-]+\.(?:py|ts|tsx|js|go|rs|ex|exs|md|json|toml|yml|yaml|rb|java|c|h|cpp|css|html|sql|sh)\b"
)
_QUOTE = re.compile(r"'([^'\n]{10,160})'|\"([^\"\n]{10,160})\"")
_NAME = re.compile(r"[A-Za-z_]\w{9,}")


@dataclass(slots=True)
class Found:
    """How many of a kind were needed, were in the view, came back."""

    needed: Counter[str] = field(default_factory=Counter[str])
    in_view: Counter[str] = field(default_factory=Counter[str])
    back: Counter[str] = field(default_factory=Counter[str])
    by_path: Counter[str] = field(
        default_factory=Counter[str]
    )  # in the view, or by one recall of the call's path
    sessions: int = 0
    naive: int = 0
    sent: int = 0
    turns: int = 0
    refused: int = 0
    missing: list[str] = field(default_factory=list[str])


def judge(path: Path, share: float | None, found: Found) -> None:
    """Play one recording."""
    transcript = read_transcript(as_chat(path.read_bytes()), path.name)
    settings = CurationSettings(raw_rounds=0)
    if share is not None:
        settings = CurationSettings(raw_rounds=0, stages=(Stage(begins=3, carry=0.0, share=share),))
    curator = Curator(lambda text: tokens_in(len(text)), settings, tuple(transcript.system))
    history = "\n".join(transcript.system)
    naive = 0
    ready: tuple[Message, ...] = ()
    new: list[Message] = []
    for entry in transcript.entries:
        message = entry.message
        if message.role == "assistant":
            view = (*ready, *new)
            curator.add(new)
            new = []
            ready = curator.view().messages
            found.turns += 1
            found.naive += naive
            found.sent += sum(_tokens(each) for each in view)
            found.refused += bool([fault for fault in faults(view) if "result" in fault])
            seen = "\n".join([*transcript.system, *(_words(each) for each in view)])
            for block in message.content:
                if isinstance(block, ToolUseBlock):
                    _check(block, history, seen, curator, found, f"{path.name}:{entry.line}")
        history += "\n" + _words(message)
        naive += _tokens(message)
        new.append(message)


def _check(call: ToolUseBlock, history: str, seen: str, curator: Curator, found: Found, place: str) -> None:
    paths = list(dict.fromkeys(_paths(call)))
    for kind, needle in dict.fromkeys([*(("path", path) for path in paths), *_quotes(call)]):
        if needle not in history:
            continue
        found.needed[kind] += 1
        if needle in seen:
            found.in_view[kind] += 1
            found.by_path[kind] += 1
            found.back[kind] += 1
            continue
        found.by_path[kind] += kind == "quote" and bool(paths) and needle in _recalled(curator, paths[0])
        asked = [*paths[:1], needle] if kind != "path" else [needle, needle.rsplit("/", 1)[-1]]
        if any(needle in _recalled(curator, query) for query in asked):
            found.back[kind] += 1
        elif len(found.missing) < 40:
            found.missing.append(f"{place} {kind}: {needle[:140]!r}")


def _recalled(curator: Curator, query: str) -> str:
    return "\n".join(f"{each.text}\n{unescaped(each.text)}" for each in curator.recall(query))[:32_000]


def _paths(call: ToolUseBlock) -> Iterator[str]:
    arguments = _arguments(call)
    for key in PATH_KEYS:
        if isinstance(arguments.get(key), str) and arguments[key]:
            yield arguments[key]
    command = arguments.get("command") or arguments.get("cmd")
    text = " ".join(map(str, command)) if isinstance(command, list) else str(command or "")
    yield from (match[0] for match in _PATH.finditer(text[:4_000]) if len(match[0]) > 4)


def _quotes(call: ToolUseBlock) -> Iterator[tuple[str, str]]:
    arguments = _arguments(call)
    texts = [str(arguments[key]) for key in QUOTED_KEYS if isinstance(arguments.get(key), str)]
    for edit in arguments.get("edits") or []:
        if isinstance(edit, dict):
            texts += [str(edit[key]) for key in QUOTED_KEYS if isinstance(edit.get(key), str)]
    patch = str(
        arguments.get("patch") or arguments.get("input") or call.arguments
        if call.name == "apply_patch"
        else ""
    )
    texts += [line[1:] for line in patch.split("\n") if line[:1] in {"-", " "}]
    for text in texts:
        yield from (("quote", line.strip()) for line in text.split("\n") if len(line.strip()) >= 8)
    for key in ("command", "pattern", "query"):
        text = arguments.get(key)
        if isinstance(text, str):
            yield from (("quote", match[1] or match[2]) for match in _QUOTE.finditer(text[:2_000]))
            yield from (("name", name) for name in _NAME.findall(text[:2_000])[:8])


def _arguments(call: ToolUseBlock) -> dict[str, Any]:
    try:
        found = json.loads(call.arguments or "{}", strict=False)
    except ValueError:
        return {"input": call.arguments}
    return found if isinstance(found, dict) else {}


def _words(message: Message) -> str:
    texts: list[str] = []
    for block in message.content:
        if isinstance(block, ToolUseBlock):
            texts += [block.arguments, unescaped(block.arguments)]
        elif isinstance(block, TextBlock | ThinkingBlock | ToolResultBlock):
            texts.append(block.text)
    return "\n".join(texts)


def _tokens(message: Message) -> int:
    return 4 + sum(map(block_tokens, message.content))


def _files(given: Sequence[Path]) -> Iterator[Path]:
    """The files given, and those in the folders given."""
    for path in given:
        found = sorted(path.rglob("*")) if path.is_dir() else [path]
        yield from (each for each in found if each.is_file())


def main(arguments: list[str] | None = None) -> int:
    """Print what was needed and found."""
    parser = argparse.ArgumentParser(prog="benchmarks.curation_recorded", description=__doc__)
    parser.add_argument("file", nargs="+", type=Path)
    parser.add_argument("--share", type=float)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--missing", action="store_true", help="name what did not come back")
    options = parser.parse_args(arguments)
    total = Found()
    for path in _files(options.file):
        total.sessions += 1
        before = (total.naive, total.sent, total.turns)
        judge(path, options.share, total)
        naive, sent, turns = total.naive - before[0], total.sent - before[1], total.turns - before[2]
        print(
            f"{path.name[:50]:50} {turns:5} turns, reduction {100 * (1 - sent / max(1, naive)):.1f} %",
            file=sys.stderr,
        )
    kinds = ("quote", "path", "name")
    page = {
        "turns": total.turns,
        "reduction": round(100 * (1 - total.sent / max(1, total.naive)), 2),
        "refused": total.refused,
        **{f"{kind}_needed": total.needed[kind] for kind in kinds},
        **{
            f"{kind}_view_percent": round(100 * total.in_view[kind] / max(1, total.needed[kind]), 2)
            for kind in kinds
        },
        **{
            f"{kind}_back_percent": round(100 * total.back[kind] / max(1, total.needed[kind]), 2)
            for kind in kinds
        },
    }
    page["sessions"] = total.sessions
    page["quote_by_path_percent"] = round(100 * total.by_path["quote"] / max(1, total.needed["quote"]), 2)
    needed = total.needed["quote"] + total.needed["path"]
    page["back_percent"] = round(100 * (total.back["quote"] + total.back["path"]) / max(1, needed), 2)
    if options.missing:
        print(*total.missing, sep="\n")
    print(json.dumps(page))
    return 0


if __name__ == "__main__":
    sys.exit(main())
