"""The scripted model reads how far the work is from the questions of any wire, and uses the tools that are offered."""

import json
from pathlib import Path
from typing import Any

import pytest

from legion_core.testing.agent_upstream import PROMPT, WORDS, Asked, Script, read
from legion_core.testing.upstreams import Die, Recorded, events_of

FOLDER = Path("/tmp/made")


def question(**body: Any) -> Recorded:
    return Recorded("POST", "/v1/messages", {}, json.dumps(body).encode())


TOOLS = {
    "anthropic": {"tools": [{"name": "Write"}, {"name": "Bash"}]},
    "openai": {"tools": [{"type": "function", "function": {"name": "Write"}}]},
    "gemini": {"tools": [{"functionDeclarations": [{"name": "Write"}]}]},
    "bedrock": {"toolConfig": {"tools": [{"toolSpec": {"name": "Write"}}]}},
}
ONE_DONE: dict[str, dict[str, Any]] = {
    "anthropic": {
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": PROMPT}]},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "Write", "input": {}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "ok"}]},
        ]
    },
    "openai": {
        "messages": [
            {"role": "user", "content": PROMPT},
            {"role": "assistant", "content": None, "tool_calls": [{"id": "c"}]},
            {"role": "tool", "tool_call_id": "c", "content": "ok"},
        ]
    },
    "gemini": {
        "contents": [
            {"role": "user", "parts": [{"text": PROMPT}]},
            {"role": "model", "parts": [{"functionCall": {"name": "Write", "args": {}}}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "Write", "response": {}}}]},
        ]
    },
    "bedrock": {
        "messages": [
            {"role": "user", "content": [{"text": PROMPT}]},
            {"role": "assistant", "content": [{"toolUse": {"name": "Write", "input": {}}}]},
            {"role": "user", "content": [{"toolResult": {"content": []}}]},
        ]
    },
}


@pytest.mark.parametrize("wire", ONE_DONE)
def test_it_sees_how_far_the_work_is_on_every_wire(wire: str) -> None:
    asked = read(question(**TOOLS[wire], **ONE_DONE[wire]))

    assert asked == Asked(is_work=True, turns=1, calls=1, results=1, begun="")


def test_a_question_without_tools_is_no_work() -> None:
    assert not read(question(messages=[{"role": "user", "content": PROMPT}])).is_work


def test_it_calls_the_tool_that_is_offered_in_the_folder_of_the_work() -> None:
    begun = question(**TOOLS["anthropic"], messages=[{"role": "user", "content": PROMPT}])

    answer = Script("anthropic", FOLDER).answer(begun)

    assert [call.name for call in answer.calls] == ["Write"]
    assert json.loads(answer.calls[0].arguments)["file_path"] == "/tmp/made/out.txt"


def test_asked_to_go_on_it_gives_only_the_rest() -> None:
    begun = "".join(WORDS)[:7]
    turns = [{"role": "user", "content": PROMPT}, {"role": "assistant", "content": begun}]

    answer = Script("anthropic", FOLDER).answer(question(**TOOLS["anthropic"], messages=turns))

    assert begun + "".join(answer.pieces) == "".join(WORDS)
    assert answer.calls


@pytest.mark.parametrize("wire", ["anthropic", "openai", "ollama", "gemini", "bedrock"])
def test_killed_in_a_call_it_has_said_its_words_and_not_ended(wire: Any) -> None:
    begun = question(**TOOLS["anthropic"], messages=[{"role": "user", "content": PROMPT}])

    answer = Script(wire, FOLDER, killed="in a call").answer(begun)

    assert isinstance(answer.fault, Die)
    assert answer.fault.by == "kill"
    events = events_of(wire, answer)
    told = sum(event.tokens for event in events[: answer.fault.at_event])
    assert len(WORDS) <= told < sum(event.tokens for event in events)
