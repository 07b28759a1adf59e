"""What is sent to a provider: a known set of fields with checked numbers, whatever the request holds. S11, F62, F63."""

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from legion_core.gateway.providers import (
    anthropic_wire,
    bedrock_request,
    completions_wire,
    gemini_wire,
    llamacpp,
    ollama_wire,
    openai_wire,
)
from legion_core.gateway.providers.toolnames import ToolNames
from legion_core.gateway.types import (
    DocumentBlock,
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


def gemini_body(request: Request, model: str = "gemini-2.5-flash", prefix: str = "") -> Body:
    names = ToolNames((), starts_as_word=True)
    return json.loads(gemini_wire.body_of(request, model, "box", names, prefix=prefix))


CLAUDE = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"


def bedrock_body(request: Request, model: str = CLAUDE, prefix: str = "") -> Body:
    return json.loads(bedrock_request.body_of(request, model, "box", ToolNames(()), prefix=prefix))


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
    "gemini": {"contents", "systemInstruction", "tools", "toolConfig", "generationConfig"},
    "bedrock": {
        "messages", "system", "inferenceConfig", "toolConfig", "additionalModelRequestFields", "outputConfig",
    },
    "native": {"params", "messages"},
}  # fmt: skip
BODIES: dict[str, Callable[[Request], Body]] = {
    "openai": openai_body,
    "anthropic": anthropic_body,
    "ollama": ollama_body,
    "gemini": gemini_body,
    "bedrock": bedrock_body,
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
    inner = ("options", "params", "generationConfig", "inferenceConfig", "additionalModelRequestFields")
    numbers = dict(body)
    for name in inner:
        numbers |= body.get(name, {})
    for name, value in numbers.items():
        if isinstance(value, int | float) and not isinstance(value, bool):
            assert math.isfinite(value), name
            low = -(2**63) if name == "seed" else -2 if name.lower().endswith("penalty") else 0
            assert low <= value <= 2**63 - 1, name
    assert (numbers.get("temperature") or 0) <= (1 if wire in ("anthropic", "bedrock") else 2)


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


PAPERS = Request(
    id="r",
    messages=(
        Message(role="user", content=(DocumentBlock(data="UERG", name="Q3_report (v2).pdf"),)),
        Message(role="assistant", content=(TextBlock(text="Read."),)),
        Message(
            role="user",
            content=(DocumentBlock(data="UERH", name="Q3/report (v2).pdf"), TextBlock(text="Compare.")),
        ),
    ),
)


TEXT = Request(
    id="r",
    messages=(Message(role="user", content=(TextBlock(text="def f("),)),),
    params=Params(max_tokens=8, stop=("\n\n",)),
    is_raw=True,
)


def test_a_text_to_be_gone_on_with_is_sent_as_it_is_and_a_gap_by_the_form_of_its_model() -> None:
    body = json.loads(completions_wire.completion_body(TEXT, "m1", openai_wire.COMPATIBLE))
    assert body == {
        "model": "m1",
        "prompt": "def f(",
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 8,
        "stop": ["\n\n"],
    }
    gap = replace(TEXT, suffix="return x")
    assert (
        json.loads(completions_wire.completion_body(gap, "m1", openai_wire.COMPATIBLE))["suffix"]
        == "return x"
    )
    for flavour in (openai_wire.VLLM, openai_wire.LLAMA_SERVER):  # one refuses it, the other passes it over
        with pytest.raises(Unsupported):
            completions_wire.completion_body(gap, "m1", flavour)

    ollama = json.loads(ollama_wire.completion_body(TEXT, "m1", context=4096))
    assert (ollama["prompt"], ollama["raw"], ollama["options"]["num_predict"]) == ("def f(", True, 8)
    assert ollama.keys().isdisjoint({"suffix", "messages"})
    ollama = json.loads(ollama_wire.completion_body(gap, "m1", context=4096))
    assert ollama["suffix"] == "return x"  # its model's template alone knows the marks
    assert "raw" not in ollama


@pytest.mark.parametrize("wire", [anthropic_body, gemini_body, bedrock_body])
def test_a_wire_of_talks_makes_no_talk_of_a_text(wire: Callable[[Request], Body]) -> None:
    with pytest.raises(Unsupported, match="goes on with no text"):
        wire(TEXT)


def test_documents_on_every_wire_that_takes_them() -> None:
    openai = openai_body(PAPERS)["messages"]
    file = {"file_data": "data:application/pdf;base64,UERG", "filename": "Q3_report (v2).pdf"}
    assert openai[0]["content"] == [{"type": "file", "file": file}]
    assert [part["type"] for part in openai[2]["content"]] == ["file", "text"]

    anthropic = anthropic_body(PAPERS)["messages"]
    source = {"type": "base64", "media_type": "application/pdf", "data": "UERG"}
    assert anthropic[0]["content"] == [{"type": "document", "source": source, "title": "Q3_report (v2).pdf"}]

    gemini = gemini_body(PAPERS, "gemini-2.5-pro")["contents"]
    assert gemini[0]["parts"] == [{"inlineData": {"mimeType": "application/pdf", "data": "UERG"}}]

    # There a name is of plain letters and given once, and a document never stands alone.
    bedrock = bedrock_body(PAPERS)["messages"]
    first, second = bedrock[0]["content"][0]["document"], bedrock[2]["content"][0]["document"]
    assert first == {"format": "pdf", "name": "Q3 report (v2) pdf", "source": {"bytes": "UERG"}}
    assert second["name"] == "Q3 report (v2) pdf (2)"
    assert bedrock[0]["content"][1] == {"text": "Q3 report (v2) pdf"}
    assert bedrock[2]["content"][1] == {"text": "Compare."}


def test_a_document_in_a_bucket_is_named_to_bedrock_and_an_address_to_those_who_read_it() -> None:
    def shown(url: str) -> Request:
        return Request(id="r", messages=(Message(role="user", content=(DocumentBlock(url=url),)),))

    bucket = bedrock_body(shown("s3://b/a.pdf"))["messages"][0]["content"][0]["document"]
    assert bucket["source"] == {"s3Location": {"uri": "s3://b/a.pdf"}}
    anthropic = anthropic_body(shown("https://x/a.pdf"))["messages"][0]["content"][0]
    assert anthropic == {"type": "document", "source": {"type": "url", "url": "https://x/a.pdf"}}
    gemini = gemini_body(shown("https://x/a.pdf"), "gemini-2.5-pro")["contents"][0]["parts"][0]
    assert gemini == {"fileData": {"mimeType": "application/pdf", "fileUri": "https://x/a.pdf"}}


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
    body = ollama_body(replace(CONVERSATION, tool_choice="auto"))
    assert body["options"]["num_ctx"] == 4096
    assert body["messages"][2]["images"] == ["QUJD"]
    assert body["messages"][3]["tool_calls"][0]["function"] == {"name": "files.read", "arguments": {"p": 1}}
    assert [message.get("tool_name") for message in body["messages"][4:6]] == ["files.read", "now"]
    with pytest.raises(Unsupported):
        ollama_body(CONVERSATION)
    assert "tools" not in ollama_body(replace(CONVERSATION, tool_choice="none"))


def test_a_conversation_on_the_gemini_wire() -> None:
    body = gemini_body(CONVERSATION)
    assert body["systemInstruction"] == {"parts": [{"text": "Be brief."}, {"text": "Be kind."}]}
    assert [content["role"] for content in body["contents"]] == ["user", "model", "user", "user"]
    assert body["contents"][0]["parts"][1] == {"inlineData": {"mimeType": "image/png", "data": "QUJD"}}
    said = body["contents"][1]["parts"]
    name = body["tools"][0]["functionDeclarations"][0]["name"]
    assert said[0] == {"text": "I look."}
    assert said[1] == {"functionCall": {"name": name, "args": {"p": 1}, "id": "call_a"}}
    assert said[2] == {"functionCall": {"name": "now", "args": {}, "id": "call_b"}}
    results = [part["functionResponse"] for part in body["contents"][2]["parts"]]
    assert results[0] == {"name": name, "response": {"output": "A"}, "id": "call_a"}
    assert results[1] == {"name": "now", "response": {"error": "B"}, "id": "call_b"}
    calling = body["toolConfig"]["functionCallingConfig"]
    assert calling == {"mode": "ANY", "allowedFunctionNames": [name]}
    for word in ("foreign", "mine", "unsigned", "s2"):
        assert word not in json.dumps(body)


def test_results_told_in_messages_of_their_own_are_one_content_on_the_gemini_wire() -> None:
    first, assistant, results, last = CONVERSATION.messages
    apart = tuple(Message(role="tool", content=(block,)) for block in results.content)
    body = gemini_body(replace(CONVERSATION, messages=(first, assistant, *apart, last)))
    assert body == gemini_body(CONVERSATION)


def test_what_gemini_signed_goes_back_to_its_own_instance_only() -> None:
    calls = (
        ToolUseBlock(id="a", name="now", arguments="{}"),
        ToolUseBlock(id="b", name="now", arguments="{}"),
    )
    question = CONVERSATION.messages[-1]

    def parts(origin: str, model: str) -> list[Any]:
        thought = ThinkingBlock(text="hm", signature="1=SIGB;0=SIGA;t=SIGT;", origin=origin)
        answer = Message(role="assistant", content=(thought, TextBlock(text="Well."), *calls))
        request = replace(CONVERSATION, messages=(question, answer))
        return gemini_body(request, model)["contents"][1]["parts"]

    assert [part.get("thoughtSignature") for part in parts("box", "gemini-3-pro")] == ["SIGT", "SIGA", "SIGB"]
    # A newer model wants a signature where another provider made the call, an older one knows none.
    assert [part.get("thoughtSignature") for part in parts("other", "gemini-3-pro")] == [
        None,
        gemini_wire.UNSIGNED,
        None,
    ]
    assert [part.get("thoughtSignature") for part in parts("other", "gemini-2.5-pro")] == [None, None, None]


def test_a_conversation_on_the_bedrock_wire() -> None:
    body = bedrock_body(CONVERSATION)
    cache = {"cachePoint": {"type": "default"}}
    assert body["system"] == [{"text": "Be brief."}, {"text": "Be kind."}, cache]
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "user"]
    image = {"format": "png", "source": {"bytes": "QUJD"}}
    assert body["messages"][0]["content"] == [{"text": "Look: "}, {"image": image}]
    assistant = body["messages"][1]["content"]
    signed = {"text": "mine", "signature": "s1"}
    assert assistant[0] == {"reasoningContent": {"reasoningText": signed}}
    assert assistant[1] == {"reasoningContent": {"redactedContent": "XYZ"}}
    assert assistant[3]["toolUse"]["input"] == {"p": 1}
    assert assistant[4]["toolUse"]["input"] == {}
    results = body["messages"][2]["content"]
    assert results[0] == {"toolResult": {"toolUseId": "call_a", "content": [{"text": "A"}]}}
    assert results[1]["toolResult"]["status"] == "error"
    assert results[-2:] == [{"text": "And now?"}, cache]
    tools = body["toolConfig"]["tools"]
    assert tools[1]["toolSpec"] == {"name": "now", "inputSchema": {"json": {"type": "object"}}}
    assert tools[-1] == cache
    assert body["toolConfig"]["toolChoice"] == {"tool": {"name": tools[0]["toolSpec"]["name"]}}
    for word in ("foreign", "unsigned"):
        assert word not in json.dumps(body)


def test_bedrock_marks_no_cache_where_the_model_has_none_and_tells_tools_that_were_used() -> None:
    plain = replace(CONVERSATION, tools=(), tool_choice="auto")
    llama = bedrock_body(plain, "us.meta.llama3-3-70b-instruct-v1:0")
    assert "cachePoint" not in json.dumps(llama)
    assert [tool["toolSpec"]["inputSchema"] for tool in llama["toolConfig"]["tools"]] == [
        {"json": {"type": "object"}}
    ] * 2
    assert "cachePoint" not in json.dumps(bedrock_body(plain, "anthropic.claude-3-haiku-20240307-v1:0"))
    nova = bedrock_body(CONVERSATION, "us.amazon.nova-pro-v1:0")
    assert "cachePoint" not in json.dumps(nova["toolConfig"])
    assert "cachePoint" in json.dumps(nova["messages"])
    with pytest.raises(Unsupported):
        bedrock_body(replace(CONVERSATION, tool_choice="none"))
    with pytest.raises(Unsupported):
        bedrock_body(replace(plain, params=Params(thinking_budget_tokens=2000)), "amazon.nova-pro-v1:0")
    fresh = replace(plain, messages=plain.messages[-1:], tools=CONVERSATION.tools, tool_choice="none")
    assert "toolConfig" not in bedrock_body(fresh)


def test_structured_answers_and_thinking_by_each_wires_own_name() -> None:
    schema = {"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}, "additionalProperties": False}
    params = Params(
        max_tokens=9000, json_schema=schema, thinking_budget_tokens=2048, seed=-(2**40) - 1, top_k=9
    )
    request = Request(id="r", messages=CONVERSATION.messages[-1:], params=params)
    config = gemini_body(request)["generationConfig"]
    assert config["responseJsonSchema"] == schema
    assert config["responseMimeType"] == "application/json"
    assert config["thinkingConfig"] == {"includeThoughts": True, "thinkingBudget": 2048}
    assert config["topK"] == 9
    assert 0 <= config["seed"] < 2**31
    newer = gemini_body(request, "gemini-3-pro-preview")["generationConfig"]["thinkingConfig"]
    assert newer == {"includeThoughts": True, "thinkingLevel": "high"}
    converse = bedrock_body(request)
    assert json.loads(converse["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["schema"]) == schema
    assert converse["additionalModelRequestFields"] == {
        "thinking": {"type": "enabled", "budget_tokens": 2048}
    }
    assert "temperature" not in converse["inferenceConfig"]
    with pytest.raises(Unsupported):
        gemini_body(Request(id="r", messages=request.messages, params=Params(stop=tuple("abcdef"))))


def test_one_system_message_where_templates_know_one() -> None:
    assert [message["role"] for message in openai_body(CONVERSATION, openai_wire.VLLM)["messages"]][:2] == [
        "system",
        "user",
    ]
    assert (
        openai_body(CONVERSATION, openai_wire.LLAMA_SERVER)["messages"][0]["content"]
        == "Be brief.\n\nBe kind."
    )


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
    # An answer that has begun is past its thinking.
    assert vllm["chat_template_kwargs"] == {"enable_thinking": False}
    assert openai_body(request, openai_wire.VLLM)["chat_template_kwargs"] == {"enable_thinking": True}
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
    for name in names:
        first = ToolNames(names, starts_as_word=True).sent(name)[0]
        assert first.isalpha() or first == "_"
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
    spec = bedrock_body(request)["toolConfig"]["tools"][0]["toolSpec"]
    assert spec["inputSchema"]["json"] == {"type": "object", **schema}
    declared = gemini_body(request)["tools"][0]["functionDeclarations"][0]
    assert declared.get("parametersJsonSchema", {}) == schema
