"""What coding clients put into the results of their tools: files, found passages, tools they have just looked up."""

import json
from typing import Any

import pytest

from legion_core.gateway.dialects.anthropic_messages import AnthropicMessages
from legion_core.gateway.dialects.fields import FieldFault
from legion_core.gateway.dialects.openai_responses import OpenAIResponses
from legion_core.gateway.types import DocumentBlock, Request, ToolResultBlock

PDF = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjQK"}


def messages(*shown: dict[str, Any]) -> Request:
    body = {
        "max_tokens": 64,
        "messages": [
            {"role": "user", "content": "Look."},
            {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "Read", "input": {}}]},
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "t1", "content": list(shown)}],
            },
        ],
    }
    return AnthropicMessages().parse(json.dumps(body).encode(), {}, request_id="r")


def result(request: Request) -> str:
    found = [block for message in request.messages for block in message.content]
    return next(block.text for block in found if isinstance(block, ToolResultBlock))


@pytest.mark.parametrize(
    ("shown", "told"),
    [
        ({"type": "tool_reference", "tool_name": "WebFetch"}, "The tool WebFetch is available."),
        (
            {
                "type": "search_result",
                "title": "T",
                "source": "s://1",
                "content": [{"type": "text", "text": "found"}],
            },
            "T s://1\nfound",
        ),
        (
            {"type": "document", "title": "Notes", "source": {"type": "text", "data": "words"}},
            "Notes\nwords",
        ),
        ({"type": "document", "source": {"type": "content", "content": "words"}}, "words"),
        (
            {
                "type": "document",
                "source": {"type": "content", "content": [{"type": "text", "text": "words"}]},
            },
            "words",
        ),
    ],
    ids=lambda each: each["type"] if isinstance(each, dict) else "",
)
def test_what_has_words_is_told_in_words(shown: dict[str, Any], told: str) -> None:
    assert result(messages({"type": "text", "text": "Found:"}, shown)) == f"Found:\n{told}"


@pytest.mark.parametrize(
    "source",
    [{**PDF, "media_type": "application/msword"}, {"type": "file", "file_id": "f1"}],
    ids=["of another sort", "by id"],
)
def test_of_a_file_in_a_result_the_model_is_told_that_it_cannot_be_shown(source: dict[str, Any]) -> None:
    told = result(messages({"type": "document", "title": "a.pdf", "source": source}))

    assert told.startswith("[A file a.pdf")
    assert "cannot be shown" in told
    assert "JVBERi" not in told


@pytest.mark.parametrize(
    ("source", "block"),
    [
        (PDF, DocumentBlock(data="JVBERi0xLjQK", name="a.pdf", is_result=True)),
        (
            {"type": "url", "url": "https://example.test/a.pdf"},
            DocumentBlock(url="https://example.test/a.pdf", name="a.pdf", pages=20, is_result=True),
        ),
    ],
    ids=["inline", "by address"],
)
def test_a_pdf_in_a_result_is_shown_by_the_user_behind_it(
    source: dict[str, Any], block: DocumentBlock
) -> None:
    request = messages(
        {"type": "text", "text": "Read."}, {"type": "document", "title": "a.pdf", "source": source}
    )

    assert result(request) == "Read."
    assert request.messages[-1].role == "user"
    assert request.messages[-1].content == (block,)


@pytest.mark.parametrize(
    "source", [{**PDF, "media_type": "application/msword"}, {"type": "file", "file_id": "f1"}]
)
def test_a_file_of_another_sort_that_the_user_gives_is_refused_by_name(source: dict[str, Any]) -> None:
    body = {
        "max_tokens": 64,
        "messages": [{"role": "user", "content": [{"type": "document", "source": source}]}],
    }

    with pytest.raises(FieldFault, match=r"messages\[0\]\.content\[0\]\.source"):
        AnthropicMessages().parse(json.dumps(body).encode(), {}, request_id="r")


def responses(*items: dict[str, Any]) -> Request:
    return OpenAIResponses().parse(json.dumps({"input": list(items)}).encode(), {}, request_id="r")


FILE = {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0xLjQK"}
WORD = {"type": "input_file", "filename": "a.doc", "file_data": "data:application/msword;base64,JVBERi0xLjQK"}


def in_an_output(file: dict[str, Any]) -> Request:
    return responses(
        {"type": "function_call", "call_id": "c1", "name": "read", "arguments": "{}"},
        {
            "type": "function_call_output",
            "call_id": "c1",
            "output": [{"type": "input_text", "text": "Read."}, file],
        },
    )


def test_a_pdf_in_the_output_of_a_call_is_shown_behind_it_and_its_words_kept() -> None:
    request = in_an_output(FILE)

    assert result(request) == "Read."
    assert request.messages[-1].content == (DocumentBlock(data="JVBERi0xLjQK", name="a.pdf", is_result=True),)


@pytest.mark.parametrize("other", [WORD, {"type": "input_file", "filename": "a.doc", "file_id": "f"}])
def test_another_file_in_the_output_of_a_call_is_told_of_and_its_words_kept(other: dict[str, Any]) -> None:
    told = result(in_an_output(other))

    assert told.startswith("Read.\n[A file a.doc")
    assert "JVBERi" not in told


@pytest.mark.parametrize("other", [WORD, {"type": "input_file", "file_id": "f"}])
def test_another_file_in_a_users_item_is_refused_by_name(other: dict[str, Any]) -> None:
    with pytest.raises(FieldFault, match=r"input\[0\]\.content\[0\]"):
        responses({"role": "user", "content": [other]})
