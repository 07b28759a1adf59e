"""Requests the dialects must understand, and those they must refuse, one by one. F61, F62, F63."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from legion_core.gateway.dialects import anthropic_messages, openai_chat
from legion_core.gateway.dialects.anthropic_answer import unwrap_signature, wrap_signature
from legion_core.gateway.dialects.anthropic_messages import AnthropicMessages
from legion_core.gateway.dialects.base import Dialect
from legion_core.gateway.dialects.fields import FieldFault
from legion_core.gateway.dialects.openai_chat import OpenAIChat
from legion_core.gateway.types import Message, Request, TextBlock, ThinkingBlock, ToolUseBlock
from legion_core.kernel.errors import InvalidInput

USER = {"role": "user", "content": "Hi"}
CALL = {"id": "call_a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
USE = {"type": "tool_use", "id": "toolu_a", "name": "f", "input": {}}
TOOL = {"type": "function", "function": {"name": "f"}}


def openai(**changes: Any) -> Request:
    body = {"model": "auto", "messages": [USER], **changes}
    return OpenAIChat().parse(json.dumps(body).encode(), {}, request_id="r")


def anthropic(**changes: Any) -> Request:
    body = {"model": "auto", "max_tokens": 64, "messages": [USER], **changes}
    return AnthropicMessages().parse(json.dumps(body).encode(), {}, request_id="r")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"functions": []}, "functions"),
        ({"function_call": "auto"}, "function_call"),
        ({"stop": ["", "x"]}, "stop"),
        ({"stop": ["x"] * 17}, "stop"),
        ({"messages": [{"role": "system", "content": "only me"}]}, "messages"),
        ({"messages": [USER, {"role": "tool", "tool_call_id": "call_x", "content": "?"}]}, "messages[1].tool_call_id"),
        ({"messages": [{"role": "tool", "tool_call_id": "call_a", "content": "?"}]}, "messages[0].tool_call_id"),
        ({"messages": [USER, {"role": "tool", "content": "?"}]}, "messages[1].tool_call_id"),
        ({"messages": [USER, {"role": "assistant"}]}, "messages[1]"),
        ({"messages": [{"role": "function", "name": "f", "content": "?"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": []}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}]}]},
         "messages[0].content[0].image_url.url"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,@@"}}]}]},
         "messages[0].content[0].image_url.url"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,"}}]}]},
         "messages[0].content[0].image_url.url"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:text/html;base64,QUJD"}}]}]},
         "messages[0].content[0].image_url.url"),
        ({"tools": [TOOL, TOOL]}, "tools"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"type": "function", "function": {"name": ""}}]}, "tools[0].function.name"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": {"type": "function", "function": {"name": "g"}}, "tools": [TOOL]}, "tool_choice.function.name"),
        ({"tool_choice": {"type": "allowed_tools"}, "tools": [TOOL]}, "tool_choice.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema.schema"),
        ({"response_format": {"type": "yaml"}}, "response_format.type"),
        ({"reasoning_effort": "heroic"}, "reasoning_effort"),
        ({"presence_penalty": 3}, "presence_penalty"),
        ({"seed": 2**70}, "seed"),
    ],
)  # fmt: skip
def test_openai_refuses_and_names_the_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(FieldFault) as caught:
        openai(**changes)
    assert caught.value.field == field
    status, body = OpenAIChat().render_error(caught.value)
    assert status == 400
    assert json.loads(body)["error"]["param"] == field


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"temperature": 1.5}, "temperature"),
        ({"system": 7}, "system"),
        ({"messages": [{"role": "system", "content": "only me"}]}, "messages"),
        ({"messages": [{"role": "user", "content": []}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [USE]}]}, "messages[0].content[0].type"),
        ({"messages": [USER, {"role": "assistant", "content": [{"type": "tool_result", "tool_use_id": "t"}]}]},
         "messages[1].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "?"}]}]},
         "messages[0].content[0].tool_use_id"),
        ({"messages": [USER, {"role": "assistant", "content": [{**USE, "input": []}]}]}, "messages[1].content[0].input"),
        ({"messages": [{"role": "user", "content": [{"type": "server_tool_use", "id": "x"}]}]},
         "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "document", "source": {"type": "file", "file_id": "x"}}]}]},
         "messages[0].content[0].source.type"),
        ({"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "file", "file_id": "x"}}]}]},
         "messages[0].content[0].source.type"),
        ({"messages": [{"role": "user", "content": [
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "?"}}]}]},
         "messages[0].content[0].source.data"),
        ({"tools": [{"name": "f"}]}, "tools[0].input_schema"),
        ({"tools": [{"name": "f", "input_schema": {}}] * 2}, "tools"),
        ({"tool_choice": {"type": "any"}}, "tool_choice"),
        ({"tool_choice": {"type": "tool", "name": "g"}}, "tool_choice.name"),
        ({"tool_choice": {"type": "must"}}, "tool_choice.type"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
        ({"thinking": {"type": "enabled", "budget_tokens": 2048}}, "thinking.budget_tokens"),
        ({"thinking": {"type": "enabled", "budget_tokens": 10}}, "thinking.budget_tokens"),
        ({"stop_sequences": [""]}, "stop_sequences"),
        ({"mcp_servers": [{"url": "http://evil.example"}]}, "mcp_servers"),
    ],
)  # fmt: skip
def test_anthropic_refuses_and_names_the_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(FieldFault) as caught:
        anthropic(**changes)
    assert caught.value.field == field


def test_openai_understands_what_clients_send_without_need() -> None:
    """Nulls for what is not wanted, fields of other servers, tools of other types."""
    request = openai(
        n=1, stream=None, stop=None, tools=None, tool_choice=None, response_format={"type": "text"}, logit_bias={},
        max_tokens=None, temperature=0, logprobs=False, top_logprobs=0, modalities=["text"], user="u", reasoning_effort=None,
    )  # fmt: skip
    assert request.params.temperature == 0
    assert request.tool_choice == "auto"
    dropped = openai(tools=[{"type": "web_search"}, {"type": "namespace", "tools": []}, TOOL])
    assert [tool.name for tool in dropped.tools] == ["f"]


def test_a_system_message_in_the_middle_counts_for_the_whole() -> None:
    parts = [
        {"role": "system", "content": "A"},
        USER,
        {"role": "developer", "content": [{"type": "text", "text": "B"}]},
    ]
    assert openai(messages=parts).system == ("A", "B")
    assert openai(messages=parts).messages == (Message(role="user", content=(TextBlock(text="Hi"),)),)
    both = anthropic(system="A", messages=[USER, {"role": "system", "content": "B"}])
    assert both.system == ("A", "B")


def test_an_assistant_may_say_nothing_but_its_calls() -> None:
    request = openai(messages=[USER, {"role": "assistant", "content": None, "tool_calls": [CALL]}])
    assert request.messages[1].content == (ToolUseBlock(id="call_a", name="f", arguments="{}"),)


def test_tool_input_keeps_its_own_writing() -> None:
    raw = b'{"model":"auto","max_tokens":9,"messages":[{"role":"user","content":"x"},{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f","input":{"n": 1.0, "big": 12345678901234567890}}]}]}'
    request = AnthropicMessages().parse(raw, {}, request_id="r")
    block = request.messages[1].content[0]
    assert isinstance(block, ToolUseBlock)
    assert block.arguments == '{"n": 1.0, "big": 12345678901234567890}'


@given(st.text(max_size=20), st.text(max_size=40))
def test_a_signature_finds_its_way_back(origin: str, signature: str) -> None:
    assert unwrap_signature(wrap_signature(origin, signature)) == (origin, signature)


@given(st.text(max_size=40))
def test_a_signature_from_elsewhere_has_no_origin(signature: str) -> None:
    origin, kept = unwrap_signature("x" + signature)
    assert (origin, kept) == ("", "x" + signature)
    assert unwrap_signature("lgn1." + signature.replace(".", ""))[0] == ""


def test_redacted_thinking_comes_back_as_it_went() -> None:
    block = {"type": "redacted_thinking", "data": wrap_signature("box", "XYZ")}
    request = anthropic(messages=[USER, {"role": "assistant", "content": [block]}, USER])
    assert request.messages[1].content == (ThinkingBlock(text="", signature="redacted:XYZ", origin="box"),)


def test_counting_needs_no_bound_on_the_answer() -> None:
    dialect = AnthropicMessages()
    body = json.dumps(
        {"model": "m1", "messages": [USER], "tools": [{"name": "f", "input_schema": {}}]}
    ).encode()
    request = dialect.parse_count(body, {}, request_id="r")
    assert request.params.max_tokens is None
    assert len(request.tools) == 1
    assert json.loads(dialect.render_count(7)) == {"input_tokens": 7}
    with pytest.raises(FieldFault):
        dialect.parse_count(b"{}", {}, request_id="r")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["role", "content", "type", "text", "messages", "model", "tools", "name", "function", "id", "input", "source",
             "data", "url", "image_url", "tool_calls", "tool_use_id", "stream", "max_tokens", "system", "arguments"]
        ),
        inner,
        max_size=5,
    ),
    max_leaves=20,
)  # fmt: skip


@pytest.mark.parametrize("dialect", [OpenAIChat(), AnthropicMessages()], ids=lambda dialect: dialect.name)
@given(body=JSON, cut=st.integers(0, 400), flip=st.binary(max_size=3))
def test_any_body_is_a_request_or_the_callers_fault(
    dialect: Dialect, body: Any, cut: int, flip: bytes
) -> None:
    good = json.dumps(
        {
            "model": "m",
            "max_tokens": 5,
            "messages": [USER, {"role": "assistant", "content": body}, {"role": "user", "content": body}],
            "tools": body,
        }
    ).encode()
    for raw in (json.dumps(body).encode(), good, good[:cut] + flip + good[cut:], good[:cut]):
        try:
            request = dialect.parse(raw, {}, request_id="r")
        except InvalidInput as error:
            fault: InvalidInput | None = error
        else:
            fault = None
            assert isinstance(request, Request)
            msgspec.json.encode(request)
        if fault is not None:
            assert dialect.render_error(fault)[0] == 400


@pytest.mark.parametrize(
    ("dialect", "body"),
    [(OpenAIChat(), openai_chat._Body), (AnthropicMessages(), anthropic_messages._Body)],
    ids=["openai_chat", "anthropic_messages"],
)
def test_the_published_table_has_a_row_for_every_field(dialect: Any, body: Any) -> None:
    table = " ".join(f"{row.field} {row.note}" for row in dialect.translations)
    for field in body.__struct_fields__:
        assert field in table, field
    assert all(row.note for row in dialect.translations)
    assert {row.fate for row in dialect.translations} == {"translated", "refused", "dropped"}
    assert len({row.field for row in dialect.translations}) == len(dialect.translations)


def test_a_session_begun_at_anthropic_goes_on_without_what_its_own_tools_left() -> None:
    def part(kind: str, **fields: Any) -> dict[str, Any]:
        return {"type": kind, **fields}

    traces = [
        part("server_tool_use", id="srv_1", name="web_search", input={"query": "x"}),
        part(
            "web_search_tool_result", tool_use_id="srv_1", content=[{"type": "web_search_result", "url": "u"}]
        ),
        part("mcp_tool_use", id="m", name="n", server_name="s", input={}),
        part("mcp_tool_result", tool_use_id="m", content="x"),
        part("fallback"),
    ]
    asked = anthropic(
        messages=[
            USER,
            {"role": "assistant", "content": [part("compaction", content="So far: we began."), *traces]},
            {"role": "assistant", "content": [*traces, part("text", text="It is noon.")]},
            {"role": "assistant", "content": traces},
            USER,
        ]
    )
    assert [message.text for message in asked.messages] == [
        "Hi",
        "So far: we began.",
        "It is noon.",
        "",
        "Hi",
    ]


def test_documents_of_text_and_search_results_are_told_as_words() -> None:
    parts = [
        {
            "type": "document",
            "title": "Grass",
            "source": {"type": "text", "media_type": "text/plain", "data": "green"},
        },
        {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "blue"}]}},
        {
            "type": "search_result",
            "source": "https://a.example",
            "title": "Sky",
            "content": [{"type": "text", "text": "high"}],
        },
    ]
    (message,) = anthropic(messages=[{"role": "user", "content": parts}]).messages
    assert [block.text for block in message.content] == [
        "Grass\ngreen",
        "blue",
        "Sky https://a.example\nhigh",
    ]
