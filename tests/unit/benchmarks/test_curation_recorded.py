"""Recordings of other programs are read as what they are, and billed by the rules for marked breakpoints."""

import json
from pathlib import Path

from benchmarks import curation_recorded
from benchmarks.curation_billing import Meter
from benchmarks.curation_formats import as_chat
from legion_core.gateway.transcripts import read_transcript
from legion_core.gateway.types import Message, TextBlock

GEMINI = {
    "projectHash": "0",
    "messages": [
        {"type": "user", "content": "fix it"},
        {
            "type": "gemini",
            "content": "",
            "thoughts": [{"description": "look first"}],
            "toolCalls": [
                {
                    "id": "t1",
                    "name": "read_file",
                    "args": {"file_path": "src/a.py"},
                    "result": [{"functionResponse": {"response": {"output": "one\ntwo_of_them"}}}],
                }
            ],
        },
        {"type": "gemini", "content": "done", "toolCalls": []},
    ],
}
OPENCODE = [
    {"id": "prj_1", "vcs": "git"},
    [],
    {"id": "msg_1", "role": "user"},
    {"id": "prt_1", "messageID": "msg_1", "type": "text", "text": "fix it"},
    {"id": "msg_2", "role": "assistant"},
    {"id": "prt_2", "messageID": "msg_2", "type": "reasoning", "text": "hm"},
    {
        "id": "prt_3",
        "messageID": "msg_2",
        "type": "tool",
        "tool": "bash",
        "callID": "c1",
        "state": {"input": {"command": "ls"}, "output": "a.py"},
    },
]


def test_gemini_and_opencode_come_as_calls_with_results() -> None:
    gemini = read_transcript(as_chat(json.dumps(GEMINI, indent=1).encode()))
    opencode = read_transcript(as_chat("\n".join(json.dumps(v, indent=1) for v in OPENCODE).encode()))

    assert [entry.message.role for entry in gemini.entries] == ["user", "assistant", "tool", "assistant"]
    assert [entry.message.role for entry in opencode.entries] == ["user", "assistant", "tool"]


def test_what_is_neither_comes_back_as_it_is() -> None:
    assert as_chat(b'{"role": "user", "content": "x"}') == b'{"role": "user", "content": "x"}'
    assert as_chat(b"no JSON") == b"no JSON"


def test_a_folder_is_judged_file_by_file(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "one.json").write_text(json.dumps(GEMINI))
    (tmp_path / "two.json").write_text(json.dumps(GEMINI))

    assert curation_recorded.main([str(tmp_path)]) == 0


def _said(number: int) -> Message:
    return Message(
        role="assistant" if number % 2 else "user",
        content=(TextBlock(text=f"{number} " + "word " * 600),),
    )


def test_a_marked_beginning_is_read_while_it_is_warm_and_near() -> None:
    meter, view = Meter(2_000), [_said(at) for at in range(3)]
    first = meter.request(view, 0.0)
    assert meter.bill.strict_read == 0

    view = [*view, _said(3), _said(4)]
    meter.request(view, 10.0)
    assert meter.bill.strict_read == first  # five blocks from the end

    before = meter.bill.strict_read
    meter.request([*view, *(_said(at) for at in range(5, 30))], 20.0)
    assert (
        meter.bill.strict_read - before == 2_000
    )  # too far from the end: the system text is marked by itself

    before = meter.bill.strict_read
    meter.request(view, 1_000.0)
    assert meter.bill.strict_read == before  # the cache has run out
