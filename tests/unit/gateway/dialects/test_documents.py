"""Documents as clients give them, in every dialect that has them, and what is refused of them."""

import base64
import json
import zlib
from typing import Any

import pytest

from legion_core.gateway.dialects.anthropic_messages import AnthropicMessages
from legion_core.gateway.dialects.documents import PAGES_MAX, document_from_base64, pages_of
from legion_core.gateway.dialects.fields import FieldFault
from legion_core.gateway.dialects.gemini import GeminiGenerate
from legion_core.gateway.dialects.openai_chat import OpenAIChat
from legion_core.gateway.dialects.openai_responses import OpenAIResponses
from legion_core.gateway.types import Block, DocumentBlock, TextBlock

PAGE = b"<</Type/Page/Parent 2 0 R>>"
PDF = base64.b64encode(b"%PDF-1.4\n" + PAGE + b"<</Type /Page>>" + b"<</Type/Pages/Count 2>>").decode()
SPREAD = base64.b64encode(b"a,b\n1,2\n").decode()
DOCUMENT = DocumentBlock(data=PDF, name="a.pdf", pages=2)
BY_URL = DocumentBlock(url="https://example.org/a.pdf", name="a.pdf", pages=20)
TABLE = TextBlock(text="a.csv\na,b\n1,2\n")


def openai(**file: Any) -> dict[str, Any]:
    return {"type": "file", "file": file}


def responses(**file: Any) -> dict[str, Any]:
    return {"type": "input_file", **file}


def anthropic(source: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "document", "source": source, **more}


def read(dialect: str, *parts: dict[str, Any]) -> tuple[Block, ...]:
    match dialect:
        case "openai":
            body = json.dumps({"messages": [{"role": "user", "content": parts}]})
            request = OpenAIChat().parse(body.encode(), {}, request_id="r")
        case "responses":
            body = json.dumps({"input": [{"role": "user", "content": parts}]})
            request = OpenAIResponses().parse(body.encode(), {}, request_id="r")
        case "anthropic":
            body = json.dumps({"max_tokens": 9, "messages": [{"role": "user", "content": parts}]})
            request = AnthropicMessages().parse(body.encode(), {}, request_id="r")
        case _:
            body = json.dumps({"contents": [{"role": "user", "parts": parts}]})
            request = GeminiGenerate().at("m1", "whole").parse(body.encode(), {}, request_id="r")
    return request.messages[-1].content


@pytest.mark.parametrize(
    ("dialect", "part", "block"),
    [
        ("openai", openai(file_data=f"data:application/pdf;base64,{PDF}", filename="a.pdf"), DOCUMENT),
        ("openai", openai(file_data=PDF, filename="a.pdf"), DOCUMENT),
        ("openai", openai(file_data=f"data:text/csv;base64,{SPREAD}", filename="a.csv"), TABLE),
        ("responses", responses(file_data=f"data:application/pdf;base64,{PDF}", filename="a.pdf"), DOCUMENT),
        ("responses", responses(file_data=f"data:text/csv;charset=utf-8;base64,{SPREAD}", filename="a.csv"), TABLE),
        ("responses", responses(file_url="https://example.org/a.pdf", filename="a.pdf"), BY_URL),
        ("anthropic", anthropic({"type": "base64", "media_type": "application/pdf", "data": PDF}, title="a.pdf"), DOCUMENT),
        ("anthropic", anthropic({"type": "url", "url": "https://example.org/a.pdf"}, title="a.pdf"), BY_URL),
        ("anthropic", anthropic({"type": "text", "media_type": "text/plain", "data": "a,b\n1,2\n"}, title="a.csv"), TABLE),
        ("gemini", {"inlineData": {"mimeType": "application/pdf", "data": PDF, "displayName": "a.pdf"}}, DOCUMENT),
        ("gemini", {"inlineData": {"mimeType": "text/csv", "data": SPREAD, "displayName": "a.csv"}}, TABLE),
        ("gemini", {"fileData": {"mimeType": "application/pdf", "fileUri": "https://example.org/a.pdf", "displayName": "a.pdf"}}, BY_URL),
    ],
)  # fmt: skip
def test_a_document_is_what_it_is_in_every_dialect(dialect: str, part: dict[str, Any], block: Block) -> None:
    assert read(dialect, part) == (block,)


def test_what_is_said_about_a_document_stands_before_it() -> None:
    source = {"type": "base64", "media_type": "application/pdf", "data": PDF}

    told = read("anthropic", anthropic(source, title="a.pdf", context="Of last year."))

    assert told == (TextBlock(text="Of last year."), DOCUMENT)


@pytest.mark.parametrize(
    ("media_type", "data", "what"),
    [
        ("application/pdf", "JVBERi0", "not base64"),
        ("application/pdf", "", "empty"),
        ("application/pdf", base64.b64encode(b"<html>").decode(), "no PDF"),
        ("application/pdf", base64.b64encode(b"x" * 1024 + b"%PDF-1.4").decode(), "no PDF"),
        ("application/msword", PDF, "'application/msword' is not offered here"),
        ("text/plain", base64.b64encode(b"\xff\xfe\x00").decode(), "UTF-8"),
        ("video/mp4", PDF, "not offered"),
        ("", PDF, "not offered"),
    ],
)
def test_what_is_no_document_is_refused_by_name(media_type: str, data: str, what: str) -> None:
    with pytest.raises(FieldFault, match=what) as refused:
        document_from_base64(media_type, data, "a", "where")
    assert refused.value.field == "where"


@pytest.mark.parametrize(
    ("dialect", "part", "field"),
    [
        ("openai", openai(file_id="file-1"), "messages[0].content[0].file.file_data"),
        ("openai", openai(file_data="data:application/zip;base64,UEs="), "messages[0].content[0].file.file_data"),
        ("openai", openai(file_data="file:///etc/passwd"), "messages[0].content[0].file.file_data"),
        ("responses", responses(file_url="file:///etc/passwd"), "input[0].content[0].file_url"),
        ("responses", responses(file_id="file-1"), "input[0].content[0].file_data"),
        ("anthropic", anthropic({"type": "url", "url": "ftp://x/a.pdf"}), "messages[0].content[0].source.url"),
        ("gemini", {"fileData": {"mimeType": "video/mp4", "fileUri": "https://x/a"}}, "contents[0].parts[0].fileData"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_here_is_refused_at_its_field(
    dialect: str, part: dict[str, Any], field: str
) -> None:
    with pytest.raises(FieldFault) as refused:
        read(dialect, part)
    assert refused.value.field == field


@pytest.mark.parametrize("dialect", ["openai", "responses", "anthropic", "gemini"])
def test_there_is_a_bound_to_how_many_are_shown(dialect: str) -> None:
    part = {
        "openai": openai(file_data=PDF),
        "responses": responses(file_data=PDF),
        "anthropic": anthropic({"type": "base64", "media_type": "application/pdf", "data": PDF}),
        "gemini": {"inlineData": {"mimeType": "application/pdf", "data": PDF}},
    }[dialect]

    assert len(read(dialect, *[part] * 100)) == 100
    with pytest.raises(FieldFault, match="more than 100 pictures and documents"):
        read(dialect, *[part] * 101)


def test_pages_are_counted_where_the_file_tells_of_them() -> None:
    packed = zlib.compress(PAGE * 7)
    stream = b"5 0 obj <</Type/ObjStm/N 7/First 40/Filter/FlateDecode>>\nstream\n" + packed + b"\nendstream"

    assert pages_of(b"%PDF-1.7 " + PAGE * 3) == 3
    assert pages_of(b"%PDF-1.7 " + stream) == 7
    assert pages_of(b"%PDF-1.7 " + PAGE + stream) == 8
    assert pages_of(b"%PDF-1.7 /ObjStm>>stream\nno packed part") == 1
    assert pages_of(b"%PDF-1.7 " + bytes(120_000)) == 3
    assert pages_of(b"%PDF-1.7 " + PAGE * 9_000) == PAGES_MAX
