"""Documents that a tool showed: read by the model that can, told in words to one that cannot, and no end of a session."""

import json
from pathlib import Path
from typing import Any

import pytest

from legion_core.gateway.dialects.anthropic_messages import AnthropicMessages
from legion_core.gateway.dialects.gemini import GeminiAt
from legion_core.gateway.dialects.openai_responses import OpenAIResponses
from legion_core.gateway.types import DocumentBlock, ModelOffer, Request, TextBlock
from legion_core.gateway.unseen import in_words
from legion_core.kernel.errors import Unsupported
from legion_core.kernel.ports import LOCAL_OWNER
from legion_core.testing.gateway import open_gateway
from legion_core.testing.scripted import ScriptedProvider, say
from tests.support.aio import run

DATA = "JVBERi0xLjQK"
PDF = {"type": "base64", "media_type": "application/pdf", "data": DATA}
READING = ModelOffer(id="m1", context=65_536, capabilities=frozenset({"streaming", "tools", "documents"}))
BLIND = ModelOffer(id="m1", context=65_536, capabilities=frozenset({"streaming", "tools"}))
READ: dict[str, Any] = {"name": "Read", "input_schema": {"type": "object"}}


def anthropic(*, of_user: bool = False) -> Request:
    document = {"type": "document", "title": "a.pdf", "source": PDF}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": [document]}
    body = {
        "max_tokens": 64,
        "tools": [READ],
        "messages": [
            {"role": "user", "content": "Look."},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "Read", "input": {}}]},
            {"role": "user", "content": [result, *([document] if of_user else [])]},
        ],
    }
    return AnthropicMessages().parse(json.dumps(body).encode(), {}, request_id="r")


def responses() -> Request:
    file = {"type": "input_file", "filename": "a.pdf", "file_data": f"data:application/pdf;base64,{DATA}"}
    body = {
        "input": [
            {"role": "user", "content": "Look."},
            {"type": "function_call", "call_id": "t1", "name": "Read", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "t1", "output": [file]},
        ]
    }
    return OpenAIResponses().parse(json.dumps(body).encode(), {}, request_id="r")


def gemini() -> Request:
    shown = {"inlineData": {"mimeType": "application/pdf", "data": DATA}}
    result = {"name": "Read", "response": {"ok": True}, "parts": [shown]}
    body = {
        "contents": [
            {"role": "user", "parts": [{"text": "Look."}]},
            {"role": "model", "parts": [{"functionCall": {"name": "Read", "args": {}}}]},
            {"role": "user", "parts": [{"functionResponse": result}]},
        ]
    }
    return GeminiAt("m1", "whole").parse(json.dumps(body).encode(), {}, request_id="r")


def documents(request: Request) -> list[DocumentBlock]:
    blocks = [block for message in request.messages for block in message.content]
    return [block for block in blocks if isinstance(block, DocumentBlock)]


@pytest.mark.parametrize("made", [anthropic, responses, gemini], ids=lambda made: made.__name__)
def test_a_document_in_a_result_is_known_as_one_and_can_be_told_in_words(made: Any) -> None:
    request = made()

    assert [(each.data, each.is_result) for each in documents(request)] == [(DATA, True)]
    told = in_words(request)
    assert documents(told) == []
    assert DATA not in repr(told)
    assert in_words(told) is told


def test_of_the_user_s_own_document_nothing_is_put_into_words() -> None:
    told = in_words(anthropic(of_user=True))

    assert [(each.data, each.is_result) for each in documents(told)] == [(DATA, False)]


@pytest.mark.parametrize("can_read", [True, False], ids=["one reads", "nobody reads"])
def test_a_session_goes_on_whether_or_not_a_model_reads_what_its_tool_showed(
    tmp_path: Path, *, can_read: bool
) -> None:
    async def scenario() -> Request:
        async with open_gateway(tmp_path / "j.db") as under_test:
            blind = under_test.put(ScriptedProvider("blind", say("seen")), offer=BLIND)
            reading = (
                under_test.put(ScriptedProvider("reading", say("seen")), offer=READING) if can_read else blind
            )

            answer = await under_test.gateway.answer(anthropic(), LOCAL_OWNER)

            assert answer.text == "seen"
            (call,) = reading.calls
            return call.request

    asked = run(scenario())

    assert bool(documents(asked)) is can_read
    words = [
        block.text for message in asked.messages for block in message.content if isinstance(block, TextBlock)
    ]
    assert any("a.pdf" in each and "cannot be shown" in each for each in words) is not can_read


def test_what_the_user_gave_is_refused_where_nobody_reads_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            box = under_test.put(ScriptedProvider("box", say("seen")))
            with pytest.raises(Unsupported, match="documents"):
                await under_test.gateway.answer(anthropic(of_user=True), LOCAL_OWNER)
            assert box.calls == []

    run(scenario())
