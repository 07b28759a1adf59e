"""A model that works with the tools of the coding client that asks it, by a script, in the words of any provider's wire.

    python -m legion_core.testing.agent_upstream --wire anthropic --folder /tmp/work --killed "in a call" --turn 0

Which tool does a step is told by the tools that are offered, so one script serves every client. As a process of its own
it can be killed: it writes its port to standard output, then a line for each question, and ends itself by SIGKILL in the
middle of the answer that `killed` and `turn` name. One that is asked to go on behind a beginning gives only the rest.
"""

import argparse
import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal, cast, get_args

from legion_core.testing.upstreams import Answer, Call, Die, Recorded, Upstream, WireName, events_of

Place = Literal["before a word", "in the words", "in a call"]
PLACES: Final[tuple[Place, ...]] = get_args(Place)
JobName = Literal["write", "tour"]

PROMPT: Final = "Write out.txt as the plan says."
ERRAND: Final = "Say only that it is done."
RESULT: Final = "hällo\nwörld 🌊\nand once more\n"
WORDS: Final = ("I ", "do ", "this ", "nöw", ". ")
THOUGHTS: Final = ("First ", "I ", "thïnk ", "a bit. ")
LAST_WORDS: Final = ("The ", "file ", "is ", "wri", "tten: ", "Grüße ", "🌊.")

_FIRST_LINES: Final = "hällo\nwörld 🌊\n"
_APPEND: Final = "printf 'and once more\\n' >> out.txt"
_PATCH: Final = "*** Begin Patch\n*** Add File: out.txt\n+hällo\n+wörld 🌊\n*** End Patch\n"

# A step, and for each client's tool that can do it its arguments; `/` stands for the folder of the work.
Ways = tuple[tuple[str, dict[str, Any]], ...]
WRITE: Final[Ways] = (
    ("Write", {"file_path": "/out.txt", "content": _FIRST_LINES}),
    ("write", {"filePath": "/out.txt", "content": _FIRST_LINES}),
    ("apply_patch", {"input": _PATCH}),
)
APPEND: Final[Ways] = (
    ("Bash", {"command": _APPEND, "description": "Append a line"}),
    ("bash", {"command": _APPEND, "description": "Append a line"}),
    ("exec_command", {"cmd": _APPEND}),
)
LOOK_UP: Final[Ways] = (("ToolSearch", {"query": "select:WebFetch,NotebookEdit", "max_results": 5}),)
READ: Final[Ways] = (
    ("Read", {"file_path": "/notes.txt"}),
    ("read", {"filePath": "/notes.txt"}),
    ("exec_command", {"cmd": "cat notes.txt"}),
)
LIST: Final[Ways] = (
    ("Bash", {"command": "ls", "description": "List"}),
    ("bash", {"command": "ls", "description": "List"}),
    ("exec_command", {"cmd": "ls"}),
)
SEE: Final[Ways] = (
    ("Read", {"file_path": "/picture.png"}),
    ("read", {"filePath": "/picture.png"}),
    ("view_image", {"path": "/picture.png"}),
)
PAPER: Final[Ways] = (("Read", {"file_path": "/paper.pdf"}), ("read", {"filePath": "/paper.pdf"}))
MISS: Final[Ways] = (
    ("Read", {"file_path": "/missing.txt"}),
    ("read", {"filePath": "/missing.txt"}),
    ("exec_command", {"cmd": "cat missing.txt; exit 3"}),
)
DELEGATE: Final[Ways] = (
    ("Agent", {"description": "An errand", "prompt": ERRAND, "subagent_type": "general-purpose"}),
    ("task", {"description": "An errand", "prompt": ERRAND, "subagent_type": "general"}),
)
# Each turn is the steps done at once; one that no offered tool can do is left out, and a turn without any too.
JOBS: Final[dict[JobName, tuple[tuple[Ways, ...], ...]]] = {
    "write": ((WRITE,), (APPEND,)),
    "tour": ((LOOK_UP,), (READ, LIST), (SEE,), (PAPER,), (MISS,), (DELEGATE,), (WRITE,), (APPEND,)),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What one question shows of the work so far."""

    is_work: bool  # it is about the job, and not a title or an errand
    turns: int  # of the assistant that called tools
    calls: int
    results: int
    begun: str  # of the answer that is to be given


@dataclass(frozen=True, slots=True)
class Script:
    """The answers to one job's questions; `killed` dies once, in the answer of turn `turn`."""

    wire: WireName
    folder: Path
    job: JobName = "write"
    killed: Place | None = None
    turn: int = 0

    def answer(self, request: Recorded) -> Answer:
        """What the model says to this question."""
        asked = read(request)
        if not asked.is_work:
            return Answer(("It ", "is ", "done."))
        whole = self._whole(asked, offered(request))
        if self.killed is not None and asked.turns == self.turn:
            return replace(whole, fault=Die(self._place(whole), by="kill"))
        text = "".join(whole.pieces)
        if asked.begun and not text.startswith(asked.begun):
            raise AssertionError(f"{asked.begun!r} is not how the answer began")
        rest = text[len(asked.begun) :]
        pieces = tuple(rest[at : at + 4] for at in range(0, len(rest), 4))
        return replace(whole, thinking=(), pieces=pieces) if asked.begun else whole

    def _whole(self, asked: Asked, tools: frozenset[str]) -> Answer:
        turns = [
            steps
            for turn in JOBS[self.job]
            if (steps := [step for ways in turn if (step := self._step(ways, tools))])
        ]
        if asked.turns >= len(turns):
            return Answer(LAST_WORDS)
        calls = tuple(
            Call(f"call_{asked.turns}_{at}", name, arguments, pieces=max(3, len(arguments) // 8))
            for at, (name, arguments) in enumerate(turns[asked.turns])
        )
        return Answer(WORDS, thinking=THOUGHTS if self.job == "tour" else (), calls=calls)

    def _step(self, ways: Ways, tools: frozenset[str]) -> tuple[str, str] | None:
        for name, arguments in ways:
            if name in tools:
                placed = {
                    key: f"{self.folder}{value}"
                    if isinstance(value, str) and value.startswith("/")
                    else value
                    for key, value in arguments.items()
                }
                return name, json.dumps(placed, ensure_ascii=False)
        return None

    def _place(self, answer: Answer) -> int:
        """The event before which the process dies."""
        events = events_of(self.wire, answer)
        billed = [at for at, event in enumerate(events) if event.tokens]
        words = len(answer.thinking) + len(answer.pieces)
        match self.killed:
            case "in the words":
                return billed[words - 3]
            case "in a call" if answer.calls:
                # Where a call comes in one piece, just before it.
                return billed[words + 1] if len(billed) > words + 1 else billed[words]
            case _:
                return 0


def read(request: Recorded) -> Asked:
    """What a question in any wire's words holds."""
    body = cast("dict[str, Any]", request.json)
    turns = cast("list[dict[str, Any]]", body.get("messages") or body["contents"])
    said = [turn for turn in turns if turn["role"] in ("assistant", "model")]
    calls = [sum(_is_call(part) for part in _parts(turn)) for turn in said]
    last = turns[-1]
    begun = "" if last not in said or (calls and calls[-1]) else "".join(_words(last))
    own_words = "".join(word for turn in turns if turn["role"] == "user" for word in _words(turn))
    return Asked(
        is_work=PROMPT in own_words and bool(offered(request)),
        turns=sum(bool(each) for each in calls),
        calls=sum(calls),
        results=sum(_is_result(part) for turn in turns for part in _parts(turn)),
        begun=begun,
    )


def offered(request: Recorded) -> frozenset[str]:
    """The names of the tools that a question offers, in any wire's words."""
    body = cast("dict[str, Any]", request.json)
    tools = cast("list[dict[str, Any]]", body.get("tools") or body.get("toolConfig", {}).get("tools") or [])
    names = list[str]()
    for tool in tools:
        for each in cast("list[dict[str, Any]]", tool.get("functionDeclarations") or [tool]):
            named = each.get("function") or each.get("toolSpec") or each
            names.append(cast("str", named.get("name", "")))
    return frozenset(names)


def _parts(turn: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    content = turn.get("content") or turn.get("parts") or ()
    if isinstance(content, list):
        yield from cast("list[dict[str, Any]]", content)
    for call in turn.get("tool_calls") or ():
        yield {"functionCall": call}
    if turn["role"] == "tool":
        yield {"functionResponse": content}


def _is_call(part: Mapping[str, Any]) -> bool:
    return part.get("type") == "tool_use" or "functionCall" in part or "toolUse" in part


def _is_result(part: Mapping[str, Any]) -> bool:
    return part.get("type") == "tool_result" or "functionResponse" in part or "toolResult" in part


def _words(turn: Mapping[str, Any]) -> Iterable[str]:
    content = turn.get("content")
    if isinstance(content, str):
        yield content
        return
    for part in _parts(turn):
        text = part.get("text")
        if isinstance(text, str) and not part.get("thought"):
            yield text


async def serve(script: Script, say: Callable[[str], None]) -> None:
    """Answer until the process ends; `say` is told the port and each question."""

    def answer(request: Recorded) -> Answer:
        asked = read(request)
        say(json.dumps({"is_work": asked.is_work, "turns": asked.turns, "results": asked.results}))
        return script.answer(request)

    async with Upstream(script.wire) as upstream:
        upstream.will(answer)
        say(json.dumps({"port": upstream.port, "base_url": upstream.base_url}))
        await asyncio.Event().wait()


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--wire", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--job", choices=tuple(JOBS), default="write")
    parser.add_argument("--killed", choices=PLACES)
    parser.add_argument("--turn", type=int, default=0)
    told = parser.parse_args()
    script = Script(told.wire, told.folder, told.job, told.killed, told.turn)
    asyncio.run(serve(script, lambda line: print(line, flush=True)))  # noqa: T201


if __name__ == "__main__":
    main()
