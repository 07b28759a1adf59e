"""Requests the Ollama dialect must understand, and those it must refuse, one by one."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from legion_core.gateway.dialects import ollama
from legion_core.gateway.dialects.fields import FieldFault
from legion_core.gateway.dialects.ollama import OllamaChat, OllamaGenerate, only_wakes
from legion_core.gateway.types import (
    ImageBlock,
    Request,
    TextBlock,
    TextDelta,
    ThinkingDelta,
    ToolCallDelta,
    ToolResultBlock,
    ToolUseBlock,
)
from legion_core.kernel.errors import InvalidInput
from legion_core.testing.dialect_conformance import closed, opened

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
USER = {"role": "user", "content": "Hi"}
TOOL = {"type": "function", "function": {"name": "f"}}


def chat(**changes: Any) -> Request:
    body = {"model": "auto", "messages": [USER], **changes}
    return OllamaChat().parse(json.dumps(body).encode(), {}, request_id="r")


def generate(**changes: Any) -> Request:
    body = {"model": "auto", "prompt": "Hi", **changes}
    return OllamaGenerate().parse(json.dumps(body).encode(), {}, request_id="r")


def called(*names: str, **more: Any) -> dict[str, Any]:
    calls = [{"function": {"name": name, "arguments": {"n": at}}, **more} for at, name in enumerate(names)]
    return {"role": "assistant", "content": "", "tool_calls": calls}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"messages": [{"role": "system", "content": "only me"}]}, "messages"),
        ({"messages": [USER, {"role": "tool"}]}, "messages[1].content"),
        ({"messages": [USER, {"role": "assistant"}]}, "messages[1]"),
        ({"messages": [{**USER, "images": ["PGh0bWw+"]}]}, "messages[0].images[0]"),
        ({"messages": [{**USER, "images": ["iVBORw0KGgo@"]}]}, "messages[0].images[0]"),
        ({"messages": [USER, {"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": [1]}}]}]},
         "messages[1].tool_calls[0].function.arguments"),
        ({"format": "yaml"}, "format"),
        ({"think": "deeply"}, "think"),
        ({"options": {"stop": ["", "x"]}}, "options.stop"),
        ({"options": []}, "options"),
        ({"tools": [TOOL, TOOL]}, "tools"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"logprobs": True}, "logprobs"),
        ({"top_logprobs": 2}, "top_logprobs"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(FieldFault) as caught:
        chat(**changes)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"suffix": "x", "raw": True}, "suffix"),
        ({"suffix": "x", "format": "json"}, "format"),
        ({"raw": True, "system": "Be brief."}, "system"),
        ({"raw": True, "think": True}, "think"),
        ({"raw": True, "template": "{{ x }}"}, "template"),
        ({"template": "{{ x }}"}, "template"),
        ({"images": ["x"]}, "images[0]"),
    ],
)
def test_a_completion_refuses_what_would_change_the_answer(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(FieldFault) as caught:
        generate(**changes)
    assert caught.value.field == field


def test_what_clients_send_without_need_is_no_error() -> None:
    request = chat(
        stream=None, format="", tools=[{"type": "search"}, TOOL], keep_alive=-1, logprobs=False, think=None, truncate=True,
        options={"num_ctx": 4096, "num_predict": -1, "repeat_penalty": 1.1, "mirostat": 0, "stop": None},
    )  # fmt: skip
    assert request.stream
    assert request.params.max_tokens is None
    assert request.params.json_schema is None
    assert [tool.name for tool in request.tools] == ["f"]
    assert generate(suffix="", template="", raw=False, context=[1, 2]).messages[0].text == "Hi"


def test_a_result_finds_its_call_by_id_then_by_name_then_in_order() -> None:
    request = chat(
        messages=[
            USER,
            called("f", "g", "g"),
            {"role": "tool", "tool_name": "g", "content": "second"},
            {"role": "tool", "content": "first"},
            {"role": "tool", "tool_call_id": "call_3", "content": "third"},
            USER,
            called("f", id="mine"),
            {"role": "tool", "tool_call_id": "mine", "content": "fourth"},
        ]
    )
    assert [block.id for block in request.messages[1].content if isinstance(block, ToolUseBlock)] == [
        "call_1",
        "call_2",
        "call_3",
    ]
    assert request.messages[2].content == (
        ToolResultBlock(call_id="call_2", text="second"),
        ToolResultBlock(call_id="call_1", text="first"),
        ToolResultBlock(call_id="call_3", text="third"),
    )
    assert request.messages[5].content == (ToolResultBlock(call_id="mine", text="fourth"),)


def test_arguments_may_be_an_object_or_its_text() -> None:
    for arguments in ({"a": 1}, '{"a": 1}'):
        call = {"function": {"name": "f", "arguments": arguments}}
        block = chat(messages=[USER, {"role": "assistant", "tool_calls": [call]}]).messages[1].content[0]
        assert isinstance(block, ToolUseBlock)
        assert json.loads(block.arguments) == {"a": 1}


def test_a_picture_needs_no_words() -> None:
    request = chat(messages=[{"role": "user", "images": [PIXEL]}])
    assert request.messages[0].content == (ImageBlock(media_type="image/png", data=PIXEL),)
    assert generate(images=[PIXEL]).messages[0].content[0] == TextBlock(text="Hi")


def test_effort_is_a_number_of_tokens() -> None:
    asked = {think: chat(think=think).params.thinking_budget_tokens for think in (True, "low", "high")}
    assert asked == {True: 8192, "low": 1024, "high": 16384}
    assert chat(think=False).params.thinking_budget_tokens is None


def test_free_names_may_have_a_version() -> None:
    assert chat(model="auto:latest").pins.model is None
    assert chat(model="m1:latest").pins.model == "m1:latest"


@pytest.mark.parametrize(
    ("body", "is_chat", "woken"),
    [
        (b'{"model": "m1"}', True, ("m1", "load")),
        (b'{"model": "m1", "messages": []}', True, ("m1", "load")),
        (b'{"model": "m1", "keep_alive": 0}', False, ("m1", "unload")),
        (b'{"model": "m1", "prompt": ""}', False, ("m1", "load")),
        (b'{"model": "m1", "prompt": "x"}', False, None),
        (b'{"model": "m1", "messages": [5]}', True, None),
        (b'{"messages": 5}', True, None),
        (b"[]", True, None),
        (b"\xff", False, None),
    ],
)
def test_a_call_that_asks_nothing_only_wakes(body: bytes, is_chat: bool, woken: Any) -> None:
    assert only_wakes(body, is_chat=is_chat) == woken


def test_no_line_can_be_cut_in_the_middle() -> None:
    """Python's own `splitlines`, with which clients read, cuts at these too."""
    writer = OllamaChat().writer(chat(), created_s=1)
    text = "a\u2028b\u2029c\x85d\x1ce\x0bf\n"
    raw = writer.write(opened()) + writer.write(ThinkingDelta(text=text)) + writer.write(TextDelta(text=text))
    lines = [json.loads(line) for line in raw.decode().splitlines()]
    assert [line["message"].get("thinking") or line["message"]["content"] for line in lines] == [text, text]


def test_a_call_that_is_no_json_is_an_error_and_no_answer() -> None:
    writer = OllamaChat().writer(chat(), created_s=1)
    raw = writer.write(opened()) + writer.write(ToolCallDelta(index=0, id="c", name="f", arguments='{"a'))
    last = json.loads(raw + writer.write(closed("tool_use")))
    assert list(last) == ["error"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["role", "content", "images", "tool_calls", "function", "name", "arguments", "tool_name", "options", "stop",
             "format", "think", "model", "stream", "type"]
        ),
        inner,
        max_size=5,
    ),
    max_leaves=20,
)  # fmt: skip


@pytest.mark.parametrize("dialect", [OllamaChat(), OllamaGenerate()], ids=lambda dialect: dialect.name)
@given(body=JSON, cut=st.integers(0, 300), flip=st.binary(max_size=3))
def test_any_body_is_a_request_or_the_callers_fault(dialect: Any, body: Any, cut: int, flip: bytes) -> None:
    call = {"function": {"name": "f", "arguments": body}}
    asked = {
        "prompt": "x",
        "messages": [USER, {"role": "assistant", "tool_calls": [call]}, {"role": "tool", "content": body}],
        "options": body,
        "tools": body,
    }
    good = json.dumps(asked).encode()
    for raw in (json.dumps(body).encode(), good, good[:cut] + flip + good[cut:], good[:cut]):
        only_wakes(raw, is_chat=True)
        try:
            request = dialect.parse(raw, {}, request_id="r")
        except InvalidInput as error:
            fault: InvalidInput | None = error
        else:
            fault = None
            assert msgspec.json.decode(msgspec.json.encode(request), type=Request) == request
        if fault is not None:
            assert dialect.render_error(fault)[0] == 400


def test_the_published_table_has_a_row_for_every_field() -> None:
    table = " ".join(f"{row.field} {row.note}" for row in OllamaChat().translations)
    for body in (ollama._ChatBody, ollama._GenerateBody, ollama._Options):
        for field in body.__struct_fields__:
            assert field in table, field


def test_a_raw_prompt_and_a_gap_are_no_talk() -> None:
    raw, gap = generate(raw=True), generate(suffix="return x")

    assert (raw.is_raw, raw.suffix, raw.messages[0].text) == (True, "", "Hi")
    assert (gap.is_raw, gap.suffix) == (True, "return x")
    assert not generate().is_raw
