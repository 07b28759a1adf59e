"""Any recorder's conversation is read whole, and written back as it was where nothing was taken out."""

import json
from typing import Any

import pytest

from legion_core.gateway.transcript_curation import Report, curate_transcript
from legion_core.gateway.transcript_shapes import as_recorded
from legion_core.gateway.transcripts import Transcript, read_transcript
from legion_core.gateway.types import (
    DocumentBlock,
    ImageBlock,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
)
from legion_core.kernel.errors import InvalidInput


def _lines(*values: object) -> bytes:
    return b"".join(
        value if isinstance(value, bytes) else json.dumps(value).encode() + b"\n" for value in values
    )


def _openai_session(turns: int, size: int = 300) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "mend it"},
    ]
    for turn in range(turns):
        call = {
            "id": f"c{turn}",
            "type": "function",
            "function": {"name": "read", "arguments": json.dumps({"path": f"src/f{turn % 5}.py"})},
        }
        rows.append({"role": "assistant", "content": None, "tool_calls": [call]})
        rows.append(
            {"role": "tool", "tool_call_id": f"c{turn}", "content": f"line {turn} of a file\n" * size}
        )
    return [*rows, {"role": "assistant", "content": "done"}]


def _anthropic_session(turns: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [{"role": "user", "content": "mend it"}]
    for turn in range(turns):
        rows.append(
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm " * 90, "signature": "s"},
                    {"type": "tool_use", "id": f"t{turn}", "name": "Bash", "input": {"command": "make test"}},
                    {"type": "tool_use", "id": f"u{turn}", "name": "Read", "input": {"file_path": "a.py"}},
                ],
            }
        )
        results = [
            {
                "type": "tool_result",
                "tool_use_id": f"{name}{turn}",
                "content": [{"type": "text", "text": f"out {turn}\n" * 400}],
            }
            for name in "tu"
        ]
        rows.append({"role": "user", "content": [*results, {"type": "text", "text": f"go on {turn}"}]})
    return [*rows, {"role": "assistant", "content": "done"}]


def _played(transcript: Transcript) -> list[dict[str, Any]]:
    report = Report()
    return [
        {
            "turn": each.turn,
            "naive": each.naive_tokens,
            "curated": each.curated_tokens,
            "messages": each.messages(),
            "edits": each.edits,
        }
        for each in curate_transcript(transcript, None, report)
    ]


def _open_calls(messages: list[dict[str, Any]]) -> list[str]:
    """What a provider would refuse, in either shape."""
    found: list[str] = []
    waiting: set[str] = set()
    seen: set[str] = set()
    for message in messages:
        content = message.get("content")
        parts = content if isinstance(content, list) else []
        results = {str(part["tool_use_id"]) for part in parts if part.get("type") == "tool_result"}
        results |= {str(message["tool_call_id"])} if message["role"] == "tool" else set()
        found += [f"result without call {each}" for each in results - waiting]
        waiting -= results
        if message["role"] in {"tool", "system"}:
            continue
        found += [f"call without result {each}" for each in waiting]
        waiting = set()
        if message["role"] == "assistant":
            calls = [call["id"] for call in message.get("tool_calls") or []]
            calls += [part["id"] for part in parts if part.get("type") == "tool_use"]
            found += [f"id twice {each}" for each in calls if each in seen]
            seen.update(calls)
            waiting = set(calls)
            if not content and not calls:
                found.append("nothing said")
    return found + [f"call without result {each}" for each in waiting]


def test_openai_messages_are_read() -> None:
    read = read_transcript(
        _lines(
            {"role": "developer", "content": [{"type": "text", "text": "rules"}]},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "see"},
                    {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
                ],
            },
            {
                "role": "assistant",
                "content": "ok",
                "reasoning_content": "hm",
                "tool_calls": [{"id": "1", "function": {"name": "ls", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": "1", "content": "a b"},
        )
    )
    assert (read.shape, read.system, read.turns) == ("openai", ["rules"], 1)
    assert [entry.message.role for entry in read.entries] == ["user", "assistant", "tool"]
    assert read.entries[0].message.content == (TextBlock(text="see"), ImageBlock(url="https://x/y.png"))
    assert read.entries[1].message.content == (
        ThinkingBlock(text="hm"),
        TextBlock(text="ok"),
        ToolUseBlock(id="1", name="ls", arguments="{}"),
    )


def test_a_claude_code_session_is_read_with_the_parts_of_an_answer_put_together() -> None:
    def said(kind: str, message: dict[str, Any], **more: object) -> dict[str, Any]:
        return {"type": kind, "uuid": "u", "sessionId": "s", "isSidechain": False, "message": message, **more}

    read = read_transcript(
        _lines(
            {"type": "summary", "summary": "earlier"},
            said("user", {"role": "user", "content": "mend"}),
            said(
                "assistant",
                {
                    "id": "m1",
                    "role": "assistant",
                    "content": [{"type": "thinking", "thinking": "hm", "signature": "s"}],
                },
            ),
            said(
                "assistant",
                {
                    "id": "m1",
                    "role": "assistant",
                    "content": [{"type": "tool_use", "id": "t", "name": "Read", "input": {"file_path": "a"}}],
                },
            ),
            said(
                "user",
                {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "text"}]},
            ),
            said("assistant", {"id": "x", "role": "assistant", "content": "aside"}, isSidechain=True),
            said(
                "assistant", {"id": "m2", "role": "assistant", "content": [{"type": "text", "text": "done"}]}
            ),
        )
    )
    assert (read.shape, read.turns, read.passed_over) == ("claude-code", 2, 2)
    assert [entry.message.role for entry in read.entries] == ["user", "assistant", "tool", "assistant"]
    assert len(read.entries[1].message.content) == 2


def test_results_written_between_the_calls_of_one_answer_do_not_part_it() -> None:
    def call(name: str) -> dict[str, Any]:
        content = [{"type": "tool_use", "id": name, "name": "Read", "input": {}}]
        return {"type": "assistant", "message": {"id": "m1", "role": "assistant", "content": content}}

    def result(name: str) -> dict[str, Any]:
        content = [{"type": "tool_result", "tool_use_id": name, "content": "text"}]
        return {"type": "user", "message": {"role": "user", "content": content}}

    asked = {"type": "user", "message": {"role": "user", "content": "look"}}
    read = read_transcript(_lines(asked, call("a"), result("a"), call("b"), result("b")))
    assert [entry.message.role for entry in read.entries] == ["user", "assistant", "tool", "tool"]
    assert read.turns == 1


def test_a_file_of_nothing_but_a_subagent_is_its_conversation() -> None:
    line = {"type": "user", "isSidechain": True, "message": {"role": "user", "content": "look"}}
    answer = {
        "type": "assistant",
        "isSidechain": True,
        "message": {"id": "m", "role": "assistant", "content": "seen"},
    }
    assert read_transcript(_lines(line, answer)).turns == 1


def test_a_codex_rollout_is_read() -> None:
    def item(**payload: object) -> dict[str, Any]:
        return {"timestamp": "2026-01-01T00:00:00Z", "type": "response_item", "payload": payload}

    read = read_transcript(
        _lines(
            {"timestamp": "t", "type": "session_meta", "payload": {"id": "1", "instructions": "rules"}},
            item(type="message", role="user", content=[{"type": "input_text", "text": "mend"}]),
            {"timestamp": "t", "type": "event_msg", "payload": {"type": "token_count"}},
            item(type="reasoning", summary=[{"type": "summary_text", "text": "hm"}], encrypted_content="e"),
            item(type="function_call", name="shell", arguments='{"command":["ls"]}', call_id="c1"),
            item(type="custom_tool_call", name="apply_patch", input="*** Begin Patch", call_id="c2"),
            item(
                type="function_call_output", call_id="c1", output='{"output":"a","metadata":{"exit_code":0}}'
            ),
            item(type="custom_tool_call_output", call_id="c2", output="Success"),
            item(type="message", role="assistant", content=[{"type": "output_text", "text": "done"}]),
        )
    )
    assert (read.shape, read.system, read.turns, read.passed_over) == ("codex", ["rules"], 2, 2)
    first = read.entries[1].message
    assert [type(block) for block in first.content] == [ThinkingBlock, ToolUseBlock, ToolUseBlock]
    assert [
        block.call_id
        for entry in read.entries
        for block in entry.message.content
        if isinstance(block, ToolResultBlock)
    ] == ["c1", "c2"]


def test_a_result_that_names_its_call_in_a_list_belongs_to_it() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "create", "arguments": "{}"}}
    history = [
        {"role": "user", "content": "mend it"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_ids": ["c1"], "content": "made"},
        {"role": "assistant", "content": "done"},
    ]
    transcript = read_transcript(
        json.dumps({"trajectory": [], "history": history}, indent=1).encode(), "a.traj"
    )
    assert transcript.entries[2].message.content == (ToolResultBlock(call_id="c1", text="made"),)


def test_a_request_body_a_list_and_a_training_line_are_read() -> None:
    messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    for data in (
        json.dumps(messages, indent=1),
        json.dumps({"messages": messages}),
        json.dumps({"model": "m", "history": messages}, indent=2),
    ):
        assert read_transcript(data.encode()).turns == 1


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b'{"role": "user", "content": "a"}\n{"role":', "Line 2 of t.jsonl is not JSON"),
        (b'{"role": "user", "content": "a"}\n\n"word"\n', "Line 3 of t.jsonl is a str"),
        (
            b'{"role": "user", "content": "a"}\n{"role": "robot", "content": "b"}\n',
            "Line 2 of t.jsonl: its role is 'robot'",
        ),
        (b'{"role": "user", "content": 7}\n', "Line 1 of t.jsonl: its content is a int"),
        (b'{"role": "user", "content": [3]}\n', "Line 1 of t.jsonl: a part of its content is a int"),
        (b"", "t.jsonl holds no message"),
        (b'{"role": "system", "content": "only rules"}\n', "t.jsonl holds no message of a conversation"),
        (b"[" * 100_000, "Line 1 of t.jsonl is not JSON"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(data: bytes, told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        read_transcript(data, "t.jsonl")


def test_bytes_that_are_no_text_do_not_stop_it() -> None:
    read = read_transcript(b'\xef\xbb\xbf{"role": "user", "content": "caf\xff"}\r\n')
    assert read.entries[0].message.text == "caf\ufffd"


@pytest.mark.parametrize("rows", [_openai_session(30), _anthropic_session(30)])
def test_every_view_of_a_long_session_is_one_a_provider_takes(rows: list[dict[str, Any]]) -> None:
    played = _played(read_transcript(_lines(*rows)))
    assert [row["turn"] for row in played] == list(range(1, 32))
    assert all(not _open_calls(row["messages"]) for row in played)
    assert played[-1]["curated"] < 0.6 * played[-1]["naive"]
    assert {edit["strategy"] for row in played for edit in row["edits"]}


@pytest.mark.parametrize("rows", [_openai_session(3, 2), _anthropic_session(2)])
def test_what_was_not_touched_is_given_back_as_it_was_recorded(rows: list[dict[str, Any]]) -> None:
    played = _played(read_transcript(_lines(*rows)))
    assert played[0]["messages"] == rows[:1] if rows[0]["role"] == "user" else rows[:2]
    assert not played[0]["edits"]


def test_the_users_words_and_the_rules_are_whole_in_every_view() -> None:
    rows = _anthropic_session(30)
    rows.insert(0, {"role": "system", "content": "rule one"})
    for row in _played(read_transcript(_lines(*rows))):
        text = json.dumps(row["messages"])
        assert "rule one" in text
        assert all(f"go on {turn}" in text for turn in range(row["turn"] - 1))


@pytest.mark.parametrize(
    "part",
    [
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,UERG"}},
        {
            "type": "document",
            "source": {"type": "base64", "media_type": "application/pdf", "data": "UERG"},
            "title": "a.pdf",
        },
    ],
    ids=lambda part: part["type"],
)
def test_a_pdf_in_a_recorded_conversation_is_one(part: dict[str, Any]) -> None:
    told = {"role": "user", "content": [{"type": "text", "text": "see"}, part]}

    read = read_transcript(_lines(told, {"role": "assistant", "content": "ok"}))

    paper = DocumentBlock(data="UERG", name="a.pdf")
    assert read.entries[0].message.content == (TextBlock(text="see"), paper)
    again = as_recorded(read, [read.entries[0].message], ["new"], {})
    assert "UERG" in json.dumps(again)


def test_broken_conversations_become_legal_ones() -> None:
    call = {"id": "d", "type": "function", "function": {"name": "ls", "arguments": "{bad"}}
    rows: list[object] = [
        {"role": "system", "content": "one"},
        {"role": "system", "content": "two"},
        {"role": "tool", "tool_call_id": "ghost", "content": "nobody asked"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "see"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
            ],
        },
        {"role": "assistant", "content": "", "reasoning_content": "only thoughts"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "d", "content": "x" * 400_000},
        b'{"role": "assistant", "content": null, "tool_calls": [{"id": "d", "function": {"name": "ls", "arguments": "{}"}}]}\n',
        b'{"role": "tool", "tool_call_id": "d", "content": "bad \xff\xfe and \\ud800"}\n',
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "never", "function": {"name": "ls", "arguments": "{}"}}],
        },
        {"role": "user", "content": "go on"},
        *({"role": "assistant", "content": "", "reasoning_content": "thought " * 200} for _ in range(25)),
        {"role": "assistant", "content": "end"},
    ]
    played = _played(read_transcript(_lines(*rows)))
    for row in played:
        assert not _open_calls(row["messages"])
        assert [message["content"] for message in row["messages"][:2]] == ["one", "two"]
        json.dumps(row).encode("ascii")
