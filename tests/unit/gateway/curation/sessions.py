"""A coding agent's session, small and the same every time."""

import json
from collections.abc import Iterator

from legion_core.gateway.types import Message, TextBlock, ThinkingBlock, ToolResultBlock, ToolUseBlock


def user(text: str) -> Message:
    return Message(role="user", content=(TextBlock(text=text),))


def said(text: str) -> Message:
    return Message(role="assistant", content=(TextBlock(text=text),))


def called(
    number: int, name: str, arguments: dict[str, object], text: str = "", thinking: str = ""
) -> Message:
    thought = (ThinkingBlock(text=thinking),) if thinking else ()
    words = (TextBlock(text=text),) if text else ()
    call = ToolUseBlock(id=f"call_{number}", name=name, arguments=json.dumps(arguments))
    return Message(role="assistant", content=(*thought, *words, call))


def gave(number: int, text: str, is_error: bool = False) -> Message:
    return Message(
        role="tool", content=(ToolResultBlock(call_id=f"call_{number}", text=text, is_error=is_error),)
    )


def file_text(name: str, version: int, lines: int = 120) -> str:
    return "\n".join(
        f"{row:4d}\tvalue_{name}_{row} = compute_{name}({row * version}, 'v{version}')"
        for row in range(1, lines + 1)
    )


def steps(turns: int, user_every: int = 12) -> Iterator[list[Message]]:
    """What is new before each answer: reads, test runs that fail and pass, edits, decisions."""
    new = [user("Rule: never touch `secrets.toml`. Fix the parser.")]
    for turn in range(1, turns + 1):
        yield new
        name = f"file_{turn % 7}"
        kind = turn % 4
        if turn % user_every == 0:
            new = [
                said(
                    f"Done with part {turn}. Decision: `limit_{turn}` is {turn * 3}, because tests showed it."
                )
            ]
            new.append(user(f"Next task {turn}: rename things in {name}.py, and keep `public_{turn}`."))
            continue
        thinking = f"I should look at {name}. " * 20
        if kind == 0:
            call = called(turn, "read_file", {"path": f"src/{name}.py"}, "", thinking)
            result = file_text(name, turn // 7)
        elif kind == 1:
            call = called(turn, "bash", {"command": "pytest -q"}, "Running the tests.", thinking)
            bad = turn % 3
            lines = [f"tests/test_{n}.py::test_case_{n} PASSED" for n in range(90)]
            lines += [
                f"FAILED tests/test_{name}.py::test_{turn}_{n} - AssertionError: {n}" for n in range(bad)
            ]
            lines += [f"{bad} failed, {90 - bad} passed in 1.{turn}s", f"exit code: {int(bad > 0)}"]
            result = "\n".join(lines)
        elif kind == 2:
            call = called(
                turn,
                "edit_file",
                {"path": f"src/{name}.py", "old_string": "a", "new_string": f"b_{turn}"},
                "",
                thinking,
            )
            result = f"edited src/{name}.py"
        else:
            call = called(turn, "grep", {"pattern": f"compute_{name}", "path": "src"}, "", thinking)
            result = "\n".join(f"src/{name}.py:{n}: compute_{name}" for n in range(60))
        new = [call, gave(turn, result)]


def history(turns: int) -> list[Message]:
    """The whole of it, ready to be sent."""
    return [message for new in steps(turns) for message in new]
