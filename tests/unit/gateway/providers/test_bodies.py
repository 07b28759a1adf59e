"""What is sent to a provider: a known set of fields with checked numbers, whatever the request holds. S11, F62, F63."""

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legion_core.gateway.providers import anthropic_wire, llamacpp, ollama_wire, openai_wire
from legion_core.gateway.providers.toolnames import ToolNames
from legion_core.gateway.types import (
    ImageBlock,
    Message,
    Params,
    Request,
    TextBlock,
    ThinkingBlock,
    ToolDefinition,
    ToolResultBlock,
    ToolUseBlock,
)
from legion_core.kernel.errors import Unsupported

Body = dict[str, Any]


def openai_body(
    request: Request, flavour: openai_wire.Flavour = openai_wire.COMPATIBLE, prefix: str = ""
) -> Body:
    return json.loads(openai_wire.body_of(request, "m1", flavour, ToolNames(()), prefix=prefix))


def anthropic_body(request: Request, prefix: str = "") -> Body:
    return json.loads(
        anthropic_wire.body_of(request, "m1", "box", ToolNames((), length_max=128), prefix=prefix)
    )


def ollama_body(request: Request, prefix: str = "") -> Body:
    return json.loads(ollama_wire.body_of(request, "m1", context=4096, prefix=prefix))


def native_body(request: Request) -> Body:
    import msgspec

    asked = llamacpp.chat_request(request, "")
    return {"params": msgspec.to_builtins(asked.params), "messages": msgspec.to_builtins(asked.messages)}


KNOWN: dict[str, set[str]] = {
    "openai": {
        "model", "messages", "stream", "stream_options", "max_tokens", "temperature", "top_p", "top_k", "seed", "stop",
        "frequency_penalty", "presence_penalty", "tools", "tool_choice", "response_format", "reasoning_effort",
    },
    "anthropic": {
        "model", "messages", "stream", "max_tokens", "system", "temperature", "top_p", "top_k", "stop_sequences", "tools",
        "tool_choice", "thinking", "output_config", "cache_control",
    },
    "ollama": {"model", "messages", "stream", "options", "tools", "format", "think"},
    "native": {"params", "messages"},
}  # fmt: skip
BODIES: dict[str, Callable[[Request], Body]] = {
    "openai": openai_body,
    "anthropic": anthropic_body,
    "ollama": ollama_body,
    "native": native_body,
}

wild_int = st.none() | st.integers(-(2**70), 2**70) | st.integers(0, 2000)
wild_float = st.none() | st.floats() | st.floats(0, 2)
wild_params = st.builds(
    Params,
    max_tokens=wild_int,
    temperature=wild_float,
    top_p=wild_float,
    top_k=wild_int,
    seed=wild_int,
    stop=st.lists(st.text(max_size=3), max_size=3).map(tuple),
    frequency_penalty=wild_float,
    presence_penalty=wild_float,
    thinking_budget_tokens=wild_int,
    json_schema=st.none() | st.just({"type": "object", "n_discard": -1}),
    json_mode=st.booleans(),
)


@pytest.mark.parametrize("wire", list(BODIES))
@given(params=wild_params)
def test_nothing_outside_a_known_set_with_checked_numbers_is_sent(wire: str, params: Params) -> None:
    request = Request(id="r", messages=(Message(role="user", content=(TextBlock(text="x"),)),), params=params)
    try:
        body = BODIES[wire](request)
    except Unsupported as error:
        refused = error
    else:
        refused = None
    if refused is not None:
        assert refused.capability
        return
    assert body.keys() <= KNOWN[wire]
    numbers = {**body, **body.get("options", {}), **body.get("params", {})}
    for name, value in numbers.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            assert math.isfinite(value), name
            low = -(2**63) if name == "seed" else -2 if name.endswith("penalty") else 0
            assert low <= value <= 2**63 - 1, name
    assert body.get("temperature", 0) <= (1 if wire == "anthropic" else 2)


CONVERSATION = Request(
    id="r",
    system=("Be brief.", "Be kind."),
    messages=(
        Message(
            role="user", content=(TextBlock(text="Look: "), ImageBlock(media_type="image/png", data="QUJD"))
        ),
        Message(
            role="assistant",
            content=(
                ThinkingBlock(text="mine", signature="s1", origin="box"),
                ThinkingBlock(text="", signature="redacted:XYZ", origin="box"),
                ThinkingBlock(text="foreign", signature="s2", origin="other"),
                ThinkingBlock(text="unsigned", origin="box"),
                TextBlock(text="I look."),
                ToolUseBlock(id="call_a", name="files.read", arguments='{"p": 1}'),
                ToolUseBlock(id="call_b", name="now", arguments=""),
            ),
        ),
        Message(
            role="tool",
            content=(
                ToolResultBlock(call_id="call_a", text="A"),
                ToolResultBlock(call_id="call_b", text="B", is_error=True),
            ),
        ),
        Message(role="user", content=(TextBlock(text="And now?"),)),
    ),
    tools=(
        ToolDefinition(
            name="files.read", description="d", parameters={"type": "object", "properties": {"p": {}}}
        ),
        ToolDefinition(name="now"),
    ),
    tool_choice="files.read",
)


def test_a_conversation_on_the_openai_wire() -> None:
    body = openai_body(CONVERSATION)
    roles = [message["role"] for message in body["messages"]]
    assert roles == ["system", "system", "user", "assistant", "tool", "tool", "user"]
    assert body["messages"][2]["content"][1]["image_url"]["url"] == "data:image/png;base64,QUJD"
    calls = body["messages"][3]["tool_calls"]
    assert [call["function"]["arguments"] for call in calls] == ['{"p": 1}', "{}"]
    # The same name goes out wherever it stands.
    name = calls[0]["function"]["name"]
    assert name == body["tools"][0]["function"]["name"] == body["tool_choice"]["function"]["name"]
    assert "." not in name
    assert [message.get("tool_call_id") for message in body["messages"][4:6]] == ["call_a", "call_b"]
    assert "foreign" not in json.dumps(body)
    assert "mine" not in json.dumps(body)


def test_a_conversation_on_the_anthropic_wire() -> None:
    body = anthropic_body(CONVERSATION)
    assert [block["text"] for block in body["system"]] == ["Be brief.", "Be kind."]
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "user"]
    assistant = body["messages"][1]["content"]
    assert assistant[0] == {"type": "thinking", "thinking": "mine", "signature": "s1"}
    assert assistant[1] == {"type": "redacted_thinking", "data": "XYZ"}
    assert [block["type"] for block in assistant[2:]] == ["text", "tool_use", "tool_use"]
    assert assistant[3]["input"] == {"p": 1}
    assert assistant[4]["input"] == {}
    results = body["messages"][2]["content"]
    assert [block["type"] for block in results] == ["tool_result", "tool_result", "text"]
    assert results[1]["is_error"] is True
    assert body["tools"][1]["input_schema"] == {"type": "object"}
    assert body["tool_choice"] == {"type": "tool", "name": body["tools"][0]["name"]}
    assert body["max_tokens"] > 0
    assert "foreign" not in json.dumps(body)
    assert "unsigned" not in json.dumps(body)


def test_a_conversation_on_the_ollama_wire() -> None:
    from msgspec.structs import replace

    body = ollama_body(replace(CONVERSATION, tool_choice="auto"))
    assert body["options"]["num_ctx"] == 4096
    assert body["messages"][2]["images"] == ["QUJD"]
    assert body["messages"][3]["tool_calls"][0]["function"] == {"name": "files.read", "arguments": {"p": 1}}
    assert [message.get("tool_name") for message in body["messages"][4:6]] == ["files.read", "now"]
    with pytest.raises(Unsupported):
        ollama_body(CONVERSATION)
    assert "tools" not in ollama_body(replace(CONVERSATION, tool_choice="none"))


def test_what_only_some_providers_can_is_sent_to_those() -> None:
    request = Request(
        id="r",
        messages=CONVERSATION.messages[-1:],
        params=Params(max_tokens=9000, top_k=5, temperature=1.5, thinking_budget_tokens=8192, json_mode=True),
    )
    official = openai_body(request, openai_wire.OPENAI)
    assert (official["max_completion_tokens"], official["reasoning_effort"]) == (9000, "medium")
    assert "top_k" not in official
    assert "max_tokens" not in official
    vllm = openai_body(request, openai_wire.VLLM, prefix="so far")
    assert vllm["chat_template_kwargs"] == {"enable_thinking": True}
    assert vllm["continue_final_message"] is True
    assert vllm["add_generation_prompt"] is False
    assert vllm["messages"][-1] == {"role": "assistant", "content": "so far"}
    assert openai_body(request)["response_format"] == {"type": "json_object"}
    claude = anthropic_body(request)
    assert claude["thinking"] == {"type": "enabled", "budget_tokens": 8192}
    assert "temperature" not in claude
    assert claude["system"][-1]["text"] == anthropic_wire.JSON_MODE
    assert ollama_body(request)["format"] == "json"
    assert ollama_body(request)["think"] is True
    assert llamacpp.chat_request(request, "so far").continue_final


def test_thinking_that_does_not_fit_is_refused_instead_of_cut() -> None:
    request = Request(
        id="r",
        messages=CONVERSATION.messages[-1:],
        params=Params(max_tokens=100, thinking_budget_tokens=8192),
    )
    with pytest.raises(Unsupported):
        anthropic_body(request)


@given(
    st.lists(
        st.text(min_size=1, max_size=90) | st.from_regex(r"[a-z_.]{1,70}", fullmatch=True),
        unique=True,
        max_size=20,
    )
)
def test_tool_names_fit_every_provider_and_come_back(names: list[str]) -> None:
    table = ToolNames(names)
    sent = [table.sent(name) for name in names]
    assert len(set(sent)) == len(names)
    for name, fit in zip(names, sent, strict=True):
        assert 0 < len(fit) <= 64
        assert all(letter.isascii() and (letter.isalnum() or letter in "_-") for letter in fit)
        assert table.original(fit) == name
    assert ToolNames(reversed(names)).original("made_up_by_the_model") == "made_up_by_the_model"


SCHEMAS: list[Any] = [
    {"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "$defs": {"a": {"$ref": "#/$defs/a"}}},
    {"$ref": "http://evil.example/schema.json"},
    {"type": "object", "properties": {"x": {"type": "dict"}, "y": {"type": "float"}, "z": True}},
    {},
]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_tool_schema_goes_out_as_it_came(schema: Any) -> None:
    request = Request(
        id="r", messages=CONVERSATION.messages[-1:], tools=(ToolDefinition(name="t", parameters=schema),)
    )
    sent = openai_body(request)["tools"][0]["function"]["parameters"]
    assert sent == (schema or {"type": "object", "properties": {}})
    assert anthropic_body(request)["tools"][0]["input_schema"] == {"type": "object", **schema}
