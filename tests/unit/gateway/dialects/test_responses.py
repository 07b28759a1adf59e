"""Items and tools of the Responses dialect, one by one; what is kept; what its stream keeps back."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from legion_core.gateway.dialects import openai_responses
from legion_core.gateway.dialects.anthropic_answer import wrap_signature
from legion_core.gateway.dialects.fields import FieldFault
from legion_core.gateway.dialects.openai_responses import Exchange, OpenAIResponses
from legion_core.gateway.dialects.openai_responses_answer import ResponsesRequest
from legion_core.gateway.dialects.openai_responses_kept import Kept, KeptResponses
from legion_core.gateway.dialects.openai_responses_tools import custom_arguments, custom_input
from legion_core.gateway.providers.sse import SseParser
from legion_core.gateway.types import (
    ImageBlock,
    Message,
    Request,
    StreamEvent,
    TextBlock,
    TextDelta,
    ThinkingBlock,
    ThinkingDelta,
    ToolCallDelta,
    ToolResultBlock,
    ToolUseBlock,
)
from legion_core.kernel.errors import InvalidInput, NotFound
from legion_core.testing.dialect_conformance import Whole, closed, opened

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
USER = {"role": "user", "content": "Hi"}
CALL = {"type": "function_call", "call_id": "call_a", "name": "f", "arguments": "{}"}
TOOL = {"type": "function", "name": "f", "parameters": {"type": "object"}}


def parse(**changes: Any) -> ResponsesRequest:
    body = json.dumps({"model": "auto", "input": "Hi", **changes}).encode()
    request = OpenAIResponses().parse(body, {}, request_id="r")
    assert isinstance(request, ResponsesRequest)
    return request


def events(
    exchange: Exchange | OpenAIResponses, request: Request, *told: StreamEvent
) -> list[dict[str, Any]]:
    writer = exchange.writer(request, created_s=1)
    raw = b"".join(writer.write(event) for event in told)
    return [json.loads(event.data) for event in SseParser().feed(raw)]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"input": None}, "input"),
        ({"input": [{"role": "developer", "content": "only me"}]}, "input"),
        ({"input": [USER, {"type": "item_reference", "id": "msg_1"}]}, "input[1].type"),
        ({"input": [USER, {"type": "function_call_output", "call_id": "x", "output": "?"}]}, "input[1].call_id"),
        ({"input": [USER, {"type": "function_call", "call_id": "x"}]}, "input[1].name"),
        ({"input": [USER, {"type": "function_call_output", "call_id": "x"}]}, "input[1].output"),
        ({"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]}, "input[0].content[0].file_data"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
         "input[0].content[0].image_url"),
        ({"input": [{"role": "user", "content": []}]}, "input[0].content"),
        ({"input": [5]}, "input[0]"),
        ({"prompt": {"id": "p"}}, "prompt"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"include": ["message.output_text.logprobs"]}, "include"),
        ({"text": {"format": {"type": "json_schema", "name": "x"}}}, "text.format.schema"),
        ({"reasoning": {"effort": "heroic"}}, "reasoning.effort"),
        ({"tools": [TOOL, TOOL]}, "tools"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [{"type": "namespace", "name": "n", "tools": [{"type": "custom"}]}]}, "tools[0].tools[0].name"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": {"type": "function", "name": "g"}, "tools": [TOOL]}, "tool_choice.name"),
        ({"tool_choice": {"type": "web_search"}}, "tool_choice.type"),
        ({"previous_response_id": "resp_1", "conversation": "conv_1"}, "previous_response_id"),
        ({"metadata": 5}, "metadata"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(FieldFault) as caught:
        parse(**changes)
    assert caught.value.field == field


def test_items_become_turns() -> None:
    shown = {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}"}
    request = parse(
        instructions="Be brief.",
        input=[
            {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "Be kind."}]},
            {"role": "user", "content": [{"type": "input_text", "text": "Look."}, shown]},
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "foreign"},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look."}]},
            CALL,
            {**CALL, "call_id": "call_b", "namespace": "files"},
            {"type": "web_search_call", "id": "ws_1", "status": "completed"},
            {"type": "function_call_output", "call_id": "call_a", "output": "12"},
            {"type": "function_call_output", "call_id": "call_b", "output": [{"type": "input_text", "text": "13"}, shown]},
            {"type": "custom_tool_call", "call_id": "call_c", "name": "patch", "input": "a\n"},
            {"type": "custom_tool_call_output", "call_id": "call_c", "output": "done"},
        ],
    )  # fmt: skip
    assert request.system == ("Be brief.", "Be kind.")
    assert request.ruled == ("Be kind.",)
    picture = ImageBlock(media_type="image/png", data=PIXEL)
    assert [(message.role, message.content) for message in request.messages] == [
        ("user", (TextBlock(text="Look."), picture)),
        (
            "assistant",
            (
                TextBlock(text="I look."),
                ToolUseBlock(id="call_a", name="f", arguments="{}"),
                ToolUseBlock(id="call_b", name="files__f", arguments="{}"),
            ),
        ),
        (
            "tool",
            (ToolResultBlock(call_id="call_a", text="12"), ToolResultBlock(call_id="call_b", text="13")),
        ),
        ("user", (picture,)),
        ("assistant", (ToolUseBlock(id="call_c", name="patch", arguments='{"input":"a\\n"}'),)),
        ("tool", (ToolResultBlock(call_id="call_c", text="done"),)),
    ]


def test_what_clients_send_without_need_is_no_error() -> None:
    request = parse(
        stream=None, store=False, include=["file_search_call.results"], prompt_cache_key="k", client_metadata={"a": 1},
        reasoning={"effort": None, "summary": "auto"}, text={"verbosity": "low"}, service_tier="auto", truncation="auto",
        max_tool_calls=3, parallel_tool_calls=False, context_management=[{"type": "compaction"}],
        tools=[{"type": "something_new", "weird": [1]}, {"type": "mcp", "server_url": "http://evil.example"}],
    )  # fmt: skip
    assert request.tools == ()
    assert not request.is_kept


def test_only_the_allowed_tools_are_offered() -> None:
    tools = [TOOL, {**TOOL, "name": "g"}, {"type": "custom", "name": "h"}]
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "g"}]}
    request = parse(tools=tools, tool_choice=allowed)
    assert [tool.name for tool in request.tools] == ["g"]
    assert request.tool_choice == "any"
    assert parse(tools=tools, tool_choice={"type": "custom", "name": "h"}).tool_choice == "h"
    assert parse(tools=tools, tool_choice={"type": "allowed_tools", "tools": []}).tool_choice == "none"


@given(st.text(max_size=60))
def test_the_input_of_a_custom_tool_comes_back_as_it_went(text: str) -> None:
    assert custom_input(custom_arguments(text)) == text


def test_what_is_no_wrapped_input_is_taken_as_it_is() -> None:
    assert custom_input("*** Begin") == "*** Begin"
    assert custom_input('{"other": 1}') == '{"other": 1}'


def test_reasoning_goes_back_to_where_it_came_from_if_the_client_asked_for_it() -> None:
    told = (
        opened(),
        ThinkingDelta(text="2+2"),
        ThinkingDelta(text="", signature="sig"),
        TextDelta(text="4"),
        closed(),
    )
    dialect = OpenAIResponses()
    hidden = events(dialect, parse(), *told)[-1]["response"]["output"][0]
    assert hidden["summary"] == [{"type": "summary_text", "text": "2+2"}]
    assert "encrypted_content" not in hidden

    shown = events(dialect, parse(include=["reasoning.encrypted_content"]), *told)[-1]["response"]["output"]
    assert shown[0]["encrypted_content"] == wrap_signature("box-a", "sig")
    request = parse(input=[USER, *shown, USER])
    assert request.messages[1].content == (
        ThinkingBlock(text="2+2", signature="sig", origin="box-a"),
        TextBlock(text="4"),
    )


def test_a_call_that_was_cut_off_is_never_done() -> None:
    seen = events(
        OpenAIResponses(),
        parse(),
        opened(),
        TextDelta(text="I look."),
        ToolCallDelta(index=0, id="c", name="f", arguments='{"a'),
        closed("error", error="cut"),
    )
    done = [event["item"]["type"] for event in seen if event["type"] == "response.output_item.done"]
    assert done == ["message"]
    assert [item["type"] for item in seen[-1]["response"]["output"]] == ["message"]


def test_a_response_is_kept_for_its_own_caller_only() -> None:
    dialect = OpenAIResponses()
    mine = dialect.exchange("anna")
    mine.parse(b'{"input": "One"}', {}, request_id="r1")
    mine.render(Whole(closed(), request_id="r1", text="Yes."))

    body = b'{"input": "Two", "previous_response_id": "resp_r1"}'
    again = dialect.exchange("anna").parse(body, {}, request_id="r2")
    assert [message.text for message in again.messages] == ["One", "Yes.", "Two"]
    with pytest.raises(FieldFault):
        dialect.exchange("ben").parse(body, {}, request_id="r3")


def test_a_kept_response_has_its_thinking_and_a_failed_one_is_not_kept() -> None:
    dialect = OpenAIResponses()
    exchange = dialect.exchange("anna")
    request = exchange.parse(b'{"input": "One", "instructions": "Be brief."}', {}, request_id="r1")
    events(exchange, request, opened(), TextDelta(text="half"), closed("error", error="cut"))
    with pytest.raises(NotFound):
        dialect.kept.get("anna", "resp_r1")
    thought = ThinkingDelta(text="hm", signature="sig")
    events(exchange, request, opened(), thought, TextDelta(text="Yes."), closed())
    kept = dialect.kept.get("anna", "resp_r1")
    assert kept.system == ()
    assert kept.messages[1].content == (
        ThinkingBlock(text="hm", signature="sig", origin="box-a"),
        TextBlock(text="Yes."),
    )


def test_what_is_kept_is_bounded_and_the_least_wanted_goes_first() -> None:
    def said(text: str) -> Kept:
        return Kept((Message(role="user", content=(TextBlock(text=text),)),), (), b"")

    kept = KeptResponses(responses_max=3, chars_max=100)
    for name in "abc":
        kept.put("anna", name, said("x"))
    kept.get("anna", "a")
    kept.put("anna", "d", said("x"))
    with pytest.raises(NotFound):
        kept.get("anna", "b")
    kept.put("anna", "huge", said("x" * 101))
    assert kept.get("anna", "a")
    kept.put("anna", "big", said("x" * 99))
    assert kept.get("anna", "big")
    with pytest.raises(NotFound):
        kept.get("anna", "c")
    kept.remove("anna", "big")
    with pytest.raises(NotFound):
        kept.remove("anna", "big")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["role", "content", "type", "text", "input", "output", "call_id", "name", "arguments", "namespace", "summary",
             "encrypted_content", "image_url", "tools", "format", "schema", "id"]
        ),
        inner | st.sampled_from(["message", "user", "function_call", "function_call_output", "reasoning", "input_text"]),
        max_size=5,
    ),
    max_leaves=20,
)  # fmt: skip


@given(body=JSON, cut=st.integers(0, 300), flip=st.binary(max_size=3))
def test_any_body_is_a_request_or_the_callers_fault(body: Any, cut: int, flip: bytes) -> None:
    dialect = OpenAIResponses()
    good = json.dumps(
        {"input": [USER, CALL, body], "tools": body, "text": body, "metadata": {"a": body}}
    ).encode()
    for raw in (json.dumps(body).encode(), good, good[:cut] + flip + good[cut:], good[:cut]):
        try:
            request = dialect.parse(raw, {}, request_id="r")
        except InvalidInput as error:
            fault: InvalidInput | None = error
        else:
            fault = None
            msgspec.json.decode(msgspec.json.encode(request))
            for event in events(dialect, request, opened(), TextDelta(text="x"), closed()):
                assert event["type"]
        if fault is not None:
            assert dialect.render_error(fault)[0] == 400


def test_the_published_table_has_a_row_for_every_field() -> None:
    table = " ".join(f"{row.field} {row.note}" for row in OpenAIResponses().translations)
    for field in openai_responses._Body.__struct_fields__:
        assert field in table, field
    assert {row.fate for row in OpenAIResponses().translations} == {"translated", "refused", "dropped"}
