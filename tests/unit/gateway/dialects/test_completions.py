"""Text in and its continuation out: what the older OpenAI protocol asks, and what is refused of it."""

import json
from typing import Any

import pytest

from legion_core.gateway.dialects.fields import FieldFault
from legion_core.gateway.dialects.openai_completions import CompletionRequest, OpenAICompletions
from legion_core.gateway.types import Message, TextBlock, TextDelta, ToolCallDelta
from legion_core.testing.dialect_conformance import closed, opened

PROMPT = "<|fim_prefix|>def add(a, b):\n<|fim_suffix|>\n<|fim_middle|>"


def parse(headers: dict[str, str] | None = None, **changes: Any) -> CompletionRequest:
    body = json.dumps({"prompt": PROMPT, **changes}).encode()
    request = OpenAICompletions().parse(body, headers or {}, request_id="r")
    assert isinstance(request, CompletionRequest)
    return request


def test_a_prompt_is_text_to_be_gone_on_with_and_no_talk() -> None:
    request = parse()

    assert request.is_raw
    assert request.messages == (Message(role="user", content=(TextBlock(text=PROMPT),)),)
    assert request.params.max_tokens == 16
    assert request.suffix == ""
    assert request.curate is False
    assert parse(prompt=[PROMPT]).messages == request.messages
    assert parse(suffix="\n    return c", max_tokens=64).suffix == "\n    return c"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"prompt": ["a", "b"]}, "prompt"),
        ({"prompt": [1, 2, 3]}, "prompt"),
        ({"prompt": [[1, 2], [3]]}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": ""}, "prompt"),
        ({"prompt": [""]}, "prompt"),
        ({"prompt": {"a": 1}}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"n": 2}, "n"),
        ({"best_of": 3}, "best_of"),
        ({"echo": True}, "echo"),
        ({"logprobs": 0}, "logprobs"),
        ({"logprobs": 5}, "logprobs"),
        ({"stop": [""]}, "stop"),
        ({"suffix": 5}, "suffix"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"temperature": 3}, "temperature"),
    ],
)
def test_what_would_change_the_answer_is_refused_at_its_field(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(FieldFault) as refused:
        parse(**changes)
    assert refused.value.field == field


def test_a_missing_prompt_and_a_conversation_are_refused() -> None:
    with pytest.raises(FieldFault, match="prompt"):
        OpenAICompletions().parse(b'{"model": "auto"}', {}, request_id="r")
    with pytest.raises(FieldFault, match="no part of a conversation"):
        parse({"x-legion-conversation": "c1"})


def test_a_stream_has_text_alone_and_one_end() -> None:
    request = parse(stream=True, stream_options={"include_usage": True})
    writer = OpenAICompletions().writer(request, created_s=1)

    events = [
        opened(),
        TextDelta(text="  re"),
        ToolCallDelta(index=0, id="c", name="f"),
        TextDelta(text="turn"),
        closed(),
    ]
    told = b"".join(writer.write(event) + writer.keep_alive() for event in events).decode()

    lines = [line.removeprefix("data: ") for line in told.split("\n") if line.startswith("data: ")]
    assert lines.pop() == "[DONE]"
    chunks = [json.loads(line) for line in lines]
    assert {chunk["object"] for chunk in chunks} == {"text_completion"}
    assert [choice["text"] for chunk in chunks for choice in chunk["choices"]] == ["  re", "turn", ""]
    assert [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"]] == [
        None,
        None,
        "stop",
    ]
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["total_tokens"] > 0
