"""What a person says yes to is shown whole: the launch, and every word of a tool that a model reads."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legion_core.agent.mcp.prints import tool_info
from legion_core.agent.mcp.types import Difference, ServerRow, ServerSpec
from legion_core.api.mcp_asked import asked_of

SPEC = ServerSpec(name="theirs", command=("npx", "server"))


def shown(*tools: dict[str, Any], spec: ServerSpec = SPEC, **more: Any) -> list[str]:
    infos = tuple(tool_info(tool, "mcp.theirs.read") for tool in tools)
    row = ServerRow(name=spec.name, spec=spec, state="new", tools=infos, **more)
    return "\n".join(asked_of(row)).split("\n")


def test_the_launch_is_told_with_its_folder_its_variables_and_its_headers() -> None:
    program = ServerSpec(name="a", command=("npx", "two words"), cwd="/srv", env={"KEY": "keyring://key"})
    assert shown(spec=program) == [
        "Command, each word on its line",
        "  npx",
        "  two words",
        "In the folder  /srv",
        "Environment",
        "  KEY=keyring://key",
        "Tools, 0",
    ]
    headers = {"Authorization": "keyring://key", "X-Key": "hunter2"}
    address = ServerSpec(name="b", url="https://b.example/mcp", headers=headers, oauth=True)
    assert shown(spec=address) == [
        "Address  https://b.example/mcp",
        "Headers",
        "  Authorization: keyring://key",
        "  X-Key: 7 characters, not shown",
        "It may send you to its own sign-in",
        "Tools, 0",
    ]


def test_a_tool_is_told_with_its_whole_description_and_each_argument() -> None:
    words = "Reads a file. " + "It may be long. " * 60 + "The end."
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {
            "path": {"type": "string", "description": "Which one.\nOf those here."},
            "head": {"type": "number", "minimum": 1},
            "edits": {"type": "object", "properties": {"old": {"type": "string"}}, "required": ["old"]},
            "odd": True,
            "parts": {
                "type": "array",
                "items": {"type": "object", "properties": {"x": {"description": "How far."}}},
            },
        },
        "required": ["path"],
        "additionalProperties": False,
    }

    lines = shown({"name": "read", "description": words, "inputSchema": schema})

    assert lines[3:] == [
        "Tools, 1",
        "  read, here mcp.theirs.read",
        f"      {words}",
        "      - path, string, required: Which one.",
        "          Of those here.",
        "      - head, number",
        "          minimum: 1",
        "      - edits, object",
        "          - old, string, required",
        "      - odd: true",
        "      - parts, array",
        "          - items, object",
        "              - x: How far.",
        "      additionalProperties: false",
    ]


def test_what_is_new_or_changed_since_the_yes_is_marked() -> None:
    gone = Difference(added=("b",), changed=("a",))
    tools = ({"name": "a"}, {"name": "b"})
    names = [line.split(",")[0] for line in shown(*tools, difference=gone, approved="f1") if "here" in line]
    assert names == ["  a (changed)", "  b (new)"]
    assert not any("(new)" in line for line in shown(*tools, difference=Difference(added=("a", "b"))))


@pytest.mark.parametrize("word", ["x\nCommand, each word on its line", "x\u202e", "x\x1b[31m"])
def test_no_word_of_a_stranger_stands_where_one_of_ours_would(word: str) -> None:
    tool = {
        "name": word,
        "description": word,
        "inputSchema": {"properties": {word: {"type": word, "description": word}}, word: word},
    }
    for line in shown(tool)[4:]:
        assert line.startswith("  ")
        assert line.isprintable()


_TEXT = st.text("abcdefgh", min_size=3, max_size=8)
_SCHEMA = st.recursive(
    _TEXT | st.booleans() | st.integers(0, 9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(("type", "description", "properties", "required", "items", "$schema")) | _TEXT,
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [
            text for key, each in value.items() for text in (*_texts(each), *([] if key in _KNOWN else [key]))
        ]
    if isinstance(value, list):
        return [text for each in value for text in _texts(each)]
    return [value] if isinstance(value, str) else []


_KNOWN = ("type", "description", "properties", "required", "items", "$schema")


@given(st.dictionaries(st.sampled_from(_KNOWN) | _TEXT, _SCHEMA, max_size=5))
def test_no_text_of_a_schema_is_left_out_however_it_is_made(schema: dict[str, Any]) -> None:
    lines = "\n".join(shown({"name": "read", "inputSchema": schema}))
    assert [text for text in _texts(schema) if text not in lines] == []
