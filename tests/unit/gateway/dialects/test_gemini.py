"""Requests the Gemini dialect must understand, and those it must refuse, one by one."""

import base64
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from legion_core.gateway.dialects import gemini
from legion_core.gateway.dialects.fields import FieldFault
from legion_core.gateway.dialects.gemini import GeminiGenerate
from legion_core.gateway.dialects.gemini_answer import Form, GeminiRequest
from legion_core.gateway.dialects.gemini_words import from_base64, json_schema, standard_base64
from legion_core.gateway.types import (
    ImageBlock,
    Message,
    StreamEvent,
    TextBlock,
    TextDelta,
    ThinkingBlock,
    ThinkingDelta,
    ToolCallDelta,
    ToolResultBlock,
    ToolUseBlock,
)
from legion_core.kernel.errors import InvalidInput, StreamBroken
from legion_core.testing.dialect_conformance import closed, opened

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
USER = {"role": "user", "parts": [{"text": "Hi"}]}
CALL = {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {"a": 1}}}]}
TOOLS = [{"functionDeclarations": [{"name": "f"}, {"name": "g"}]}]


def parse(form: Form = "whole", **changes: Any) -> GeminiRequest:
    body = json.dumps({"contents": [USER], **changes}).encode()
    request = GeminiGenerate().at("m1", form).parse(body, {}, request_id="r")
    assert isinstance(request, GeminiRequest)
    return request


def config(**settings: Any) -> GeminiRequest:
    return parse(generationConfig=settings)


def calling(**settings: Any) -> GeminiRequest:
    return parse(tools=TOOLS, toolConfig={"functionCallingConfig": settings})


def written(request: GeminiRequest, *events: StreamEvent) -> bytes:
    writer = GeminiGenerate().writer(request, created_s=1)
    return b"".join(writer.write(event) + writer.keep_alive() for event in events)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"contents": None}, "contents"),
        ({"contents": [{"role": "user", "parts": []}]}, "contents[0].parts"),
        ({"contents": [USER, {"role": "user", "parts": [{"functionResponse": {"name": "f"}}]}]},
         "contents[1].parts[0].functionResponse"),
        ({"contents": [USER, {"role": "model", "parts": [{"inlineData": {"mimeType": "image/png", "data": PIXEL}}]}]},
         "contents[1].parts[0]"),
        ({"contents": [{"role": "user", "parts": [{"functionCall": {"name": "f"}}]}]}, "contents[0].parts[0]"),
        ({"contents": [{"role": "user", "parts": [{"inlineData": {"mimeType": "audio/wav", "data": "QUJD"}}]}]},
         "contents[0].parts[0].inlineData.data"),
        ({"contents": [{"role": "user", "parts": [{"fileData": {"fileUri": "https://x/a.mp4", "mimeType": "video/mp4"}}]}]},
         "contents[0].parts[0].fileData"),
        ({"cachedContent": "cachedContents/x"}, "cachedContent"),
        ({"generationConfig": {"candidateCount": 2}}, "generationConfig.candidateCount"),
        ({"generationConfig": {"responseLogprobs": True}}, "generationConfig.responseLogprobs"),
        ({"generationConfig": {"responseModalities": ["AUDIO"]}}, "generationConfig.responseModalities"),
        ({"generationConfig": {"responseMimeType": "text/x.enum"}}, "generationConfig.responseMimeType"),
        ({"generationConfig": {"stopSequences": [""]}}, "generationConfig.stopSequences"),
        ({"tools": [{"functionDeclarations": [{"name": "f"}, {"name": "f"}]}]}, "tools"),
        ({"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}, "toolConfig.functionCallingConfig"),
        ({"toolConfig": {"functionCallingConfig": {"mode": "MUST"}}}, "toolConfig.functionCallingConfig.mode"),
        ({"systemInstruction": "a", "system_instruction": "b"}, "systemInstruction"),
        ({"generation_config": {"top_p": 5}}, "generationConfig.topP"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(FieldFault) as caught:
        parse(**changes)
    assert caught.value.field == field


def test_names_may_be_in_either_style() -> None:
    camel = parse(
        systemInstruction={"parts": [{"text": "Be brief."}]},
        contents=[{"role": "user", "parts": [{"inlineData": {"mimeType": "image/png", "data": PIXEL}}]}, CALL,
                  {"role": "function", "parts": [{"functionResponse": {"name": "f", "response": {"top_k": 1}}}]}],
        generationConfig={"maxOutputTokens": 5, "thinkingConfig": {"includeThoughts": True}},
    )  # fmt: skip
    snake = parse(
        system_instruction={"parts": {"text": "Be brief."}},
        contents=[{"role": "user", "parts": {"inline_data": {"mime_type": "image/png", "data": PIXEL}}},
                  {"role": "model", "parts": [{"function_call": {"name": "f", "args": {"a": 1}}}]},
                  {"role": "function", "parts": [{"function_response": {"name": "f", "response": {"top_k": 1}}}]}],
        generation_config={"max_output_tokens": 5, "thinking_config": {"include_thoughts": True}},
    )  # fmt: skip
    assert camel == snake
    assert camel.system == ("Be brief.",)
    assert camel.messages[2].content == (ToolResultBlock(call_id="call_1", text='{"top_k":1}'),)
    assert parse(contents={"parts": {"text": "Hi"}}).messages == parse().messages


def test_contents_become_turns() -> None:
    shown = {
        "inlineData": {"mimeType": "image/png", "data": PIXEL.replace("+", "-").replace("/", "_").rstrip("=")}
    }
    request = parse(
        contents=[
            {"role": "user", "parts": [{"text": "Look."}, shown, {"inlineData": {"mimeType": "text/plain", "data": "QUJD"}}]},
            {"role": "model", "parts": [{"text": "I look."}]},
            {"role": "model", "parts": [{"functionCall": {"id": "x", "name": "f"}}, {"functionCall": {"name": "g"}}]},
            {"role": "user", "parts": [
                {"functionResponse": {"name": "g", "response": {"error": "no"}}},
                {"functionResponse": {"name": "f", "id": "x", "response": {"output": "12"}, "parts": [shown]}},
                {"text": "And now?"},
            ]},
            {"role": "model", "parts": [{"executableCode": {"code": "x"}}, {"text": ""}]},
            {"parts": [{"fileData": {"fileUri": "https://example.org/a.png", "mimeType": "image/png"}}]},
        ]
    )  # fmt: skip
    picture = ImageBlock(media_type="image/png", data=PIXEL)
    assert [(message.role, message.content) for message in request.messages] == [
        ("user", (TextBlock(text="Look."), picture, TextBlock(text="ABC"))),
        (
            "assistant",
            (
                TextBlock(text="I look."),
                ToolUseBlock(id="x", name="f", arguments="{}"),
                ToolUseBlock(id="call_2", name="g", arguments="{}"),
            ),
        ),
        (
            "tool",
            (
                ToolResultBlock(call_id="call_2", text="no", is_error=True),
                ToolResultBlock(call_id="x", text="12"),
            ),
        ),
        ("user", (picture, TextBlock(text="And now?"))),
        ("assistant", ()),
        ("user", (ImageBlock(url="https://example.org/a.png"),)),
    ]


def test_what_clients_send_without_need_is_no_error() -> None:
    request = parse(
        safetySettings=[{"category": "X", "threshold": "Y"}], labels={"top_k": "1"}, systemInstruction=None,
        tools=[{"googleSearch": {}}, {"codeExecution": {}}], toolConfig={"retrievalConfig": {}},
        generationConfig={"topK": 40.0, "candidateCount": 1, "speechConfig": {}, "responseModalities": ["TEXT"],
                          "thinkingConfig": {"thinkingBudget": -1}},
    )  # fmt: skip
    assert request.params.top_k == 40
    assert request.tools == ()
    assert request.params.thinking_budget_tokens is None


def test_thinking_is_asked_for_by_tokens_or_by_level() -> None:
    assert config(thinkingConfig={"thinkingBudget": 2048}).params.thinking_budget_tokens == 2048
    assert config(thinkingConfig={"thinkingLevel": "HIGH"}).params.thinking_budget_tokens == 16384
    assert config(thinkingConfig={"thinkingBudget": 0}).params.thinking_budget_tokens is None


def test_the_form_of_the_answer() -> None:
    told = {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}}
    asked = config(responseMimeType="application/json", responseSchema=told)
    assert asked.params.json_schema == {"type": "object", "properties": {"a": {"type": "string"}}}
    assert config(responseJsonSchema={"type": "object"}).params.json_schema == {"type": "object"}
    assert config(responseMimeType="application/json").params.json_mode
    assert not asked.params.json_mode


def test_which_tools_may_be_called() -> None:
    assert calling(mode="ANY").tool_choice == "any"
    assert calling(mode="none").tool_choice == "none"
    assert calling(mode="VALIDATED").tool_choice == "auto"
    only = calling(mode="ANY", allowedFunctionNames=["g"])
    assert (only.tool_choice, [tool.name for tool in only.tools]) == ("any", ["g"])


def test_a_schema_becomes_json_schema() -> None:
    told = {
        "type": "OBJECT",
        "description": "d",
        "properties": {
            "type": {"type": "STRING", "nullable": True, "enum": ["A"], "maxLength": "5"},
            "list": {"type": "ARRAY", "items": {"type": "INTEGER", "format": "int32"}, "min_items": 1},
            "either": {"any_of": [{"type": "NUMBER"}, {"type": "TYPE_UNSPECIFIED"}]},
        },
        "propertyOrdering": ["type"],
        "required": ["type"],
    }
    assert json_schema(told) == {
        "type": "object",
        "description": "d",
        "properties": {
            "type": {"type": ["string", "null"], "enum": ["A"], "maxLength": 5},
            "list": {"type": "array", "items": {"type": "integer", "format": "int32"}, "minItems": 1},
            "either": {"anyOf": [{"type": "number"}, {}]},
        },
        "required": ["type"],
    }


@given(st.binary(max_size=40))
def test_bytes_are_read_in_either_alphabet(data: bytes) -> None:
    usual = base64.b64encode(data).decode()
    assert standard_base64(base64.urlsafe_b64encode(data).decode().rstrip("=")) == usual
    text = data.decode("latin-1")
    assert from_base64(base64.urlsafe_b64encode(text.encode()).decode()) == text


def test_a_thought_goes_back_to_where_it_came_from() -> None:
    asked = parse("sse", generationConfig={"thinkingConfig": {"includeThoughts": True}})
    raw = written(
        asked, opened(), ThinkingDelta(text="2+"), ThinkingDelta(text="2"), ThinkingDelta(text="", signature="sig"),
        TextDelta(text="4"), closed(),
    )  # fmt: skip
    chunks = [json.loads(line[6:]) for line in raw.decode().splitlines() if line]
    # As the provider's own library keeps a streamed turn: in the pieces in which it came.
    turns = [chunk["candidates"][0]["content"] for chunk in chunks]
    request = parse(contents=[USER, *turns, USER])
    assert request.messages[1] == Message(
        role="assistant",
        content=(ThinkingBlock(text="2+2", signature="sig", origin="box-a"), TextBlock(text="4")),
    )
    foreign = {
        "role": "model",
        "parts": [{"text": "hm", "thought": True, "thoughtSignature": "QUJD"}, {"text": "4"}],
    }
    assert parse(contents=[USER, foreign]).messages[1].content == (TextBlock(text="4"),)


def test_thoughts_nobody_asked_for_are_kept_back() -> None:
    assert b"2+2" not in written(
        parse("sse"), opened(), ThinkingDelta(text="2+2"), TextDelta(text="4"), closed()
    )


@pytest.mark.parametrize("late", [False, True])
def test_an_array_is_whole_json_however_it_ends(late: bool) -> None:
    request = parse("array")
    assert len(json.loads(written(request, opened(), TextDelta(text="x"), closed()))) == 2
    assert (
        json.loads(written(request, opened(), closed("error", error="It broke.")))[0]["error"]["code"] == 502
    )
    writer = GeminiGenerate().writer(request, created_s=1)
    raw = writer.write(opened()) + writer.keep_alive()
    raw += writer.write(TextDelta(text="x")) if late else b""
    raw += writer.keep_alive() + writer.error(StreamBroken("It broke."))
    assert json.loads(raw)[-1]["error"]["message"] == "It broke."


def test_a_call_that_is_no_json_is_an_error_and_no_answer() -> None:
    raw = written(
        parse("array"),
        opened(),
        ToolCallDelta(index=0, id="c", name="f", arguments='{"a'),
        closed("tool_use"),
    )
    assert list(json.loads(raw)[0]) == ["error"]


def test_counting_takes_a_question_or_contents_only() -> None:
    dialect = GeminiGenerate()
    for body in (
        {"contents": [USER]},
        {"generateContentRequest": {"model": "models/m1", "contents": [USER]}},
        {"generate_content_request": {"contents": [USER]}},
    ):
        assert dialect.parse_count(json.dumps(body).encode(), {}, request_id="r").messages[0].text == "Hi"
    for body in (b"{}", b'{"contents": []}'):
        with pytest.raises(FieldFault):
            dialect.parse_count(body, {}, request_id="r")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["role", "parts", "text", "inlineData", "inline_data", "mimeType", "data", "functionCall", "name", "args", "id",
             "functionResponse", "response", "thought", "thoughtSignature", "type", "properties", "items", "any_of",
             "functionDeclarations", "parameters"]
        ),
        inner,
        max_size=5,
    ),
    max_leaves=20,
)  # fmt: skip


@given(body=JSON, cut=st.integers(0, 300), flip=st.binary(max_size=3))
def test_any_body_is_a_request_or_the_callers_fault(body: Any, cut: int, flip: bytes) -> None:
    dialect = GeminiGenerate()
    asked = {
        "contents": [USER, {"role": "model", "parts": body}, {"role": "user", "parts": body}],
        "tools": [{"functionDeclarations": [{"name": "f", "parameters": body}]}],
        "generationConfig": body,
        "systemInstruction": body,
    }
    good = json.dumps(asked).encode()
    for raw in (json.dumps(body).encode(), good, good[:cut] + flip + good[cut:], good[:cut]):
        try:
            request = dialect.parse(raw, {}, request_id="r")
        except InvalidInput as error:
            fault: InvalidInput | None = error
        else:
            fault = None
            msgspec.json.encode(request)
        if fault is not None:
            assert dialect.render_error(fault)[0] == 400


def test_the_published_table_has_a_row_for_every_field() -> None:
    table = " ".join(f"{row.field} {row.note}" for row in GeminiGenerate().translations)
    for body in (gemini._Body, gemini._Config):
        for field in body.__struct_encode_fields__:
            assert field in table, field
    assert {row.fate for row in GeminiGenerate().translations} == {"translated", "refused", "dropped"}
