"""The published table tells the truth: each cell is held against the body that is really sent."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from legion_core.gateway.providers import completions_wire, ollama_wire, openai_wire
from legion_core.gateway.types import (
    Block,
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
from legion_core.testing.provider_table import HEADINGS, ROWS, Row, Wire, render
from tests.unit.gateway.providers.test_bodies import (
    anthropic_body,
    bedrock_body,
    gemini_body,
    ollama_body,
    openai_body,
)

BODIES: dict[Wire, Callable[[Request], Any]] = {
    "openai": lambda request: told(request, openai_wire.OPENAI),
    "compatible": lambda request: told(request, openai_wire.COMPATIBLE),
    "vllm": lambda request: told(request, openai_wire.VLLM),
    "anthropic": anthropic_body,
    "gemini": lambda request: gemini_body(request, "gemini-2.5-pro"),
    "bedrock": bedrock_body,
    "ollama": lambda request: (
        json.loads(ollama_wire.completion_body(request, "m1", context=4096))
        if request.is_raw
        else ollama_body(request)
    ),
    "native": lambda request: native_body(request),
}


def told(request: Request, flavour: openai_wire.Flavour) -> Any:
    if request.is_raw:
        return json.loads(completions_wire.completion_body(request, "m1", flavour))
    return openai_body(request, flavour)


def native_body(request: Request) -> Any:
    import msgspec

    from legion_core.gateway.providers.llamacpp import chat_request

    return msgspec.to_builtins(chat_request(request, ""))


TOOL = ToolDefinition(name="now", parameters={"properties": {}})
PLAIN = Request(
    id="r", system=("Be brief.",), messages=(Message(role="user", content=(TextBlock(text="Hi"),)),)
)
# Wires want tools told where one was used, so this conversation has none.
Change = Callable[[Request], Request]


def params(**changes: Any) -> Change:
    return lambda request: replace(request, params=Params(**changes))


def said(role: Any, *blocks: Block) -> Change:
    turn = Message(role=role, content=(*blocks, TextBlock(text="Look.")))
    last = Message(role="user", content=(TextBlock(text="And?"),))
    return lambda request: replace(request, messages=(*request.messages, turn, last))


def without(change: Change, *blocks: type) -> Change:
    """The same change, its blocks of those types left out: what it is compared with."""

    def plain(request: Request) -> Request:
        changed = change(request)
        messages = tuple(
            replace(message, content=tuple(b for b in message.content if not isinstance(b, blocks)))
            for message in changed.messages
        )
        return replace(changed, messages=messages)

    return plain


def raw(suffix: str) -> Change:
    return lambda request: replace(request, system=(), is_raw=True, suffix=suffix)


def same(request: Request) -> Request:
    return request


def tools(choice: str) -> Change:
    return lambda request: replace(request, tools=(TOOL,), tool_choice=choice)


def result(*, is_error: bool) -> Change:
    call = ToolUseBlock(id="a", name="now", arguments="{}")
    turns = (
        Message(role="assistant", content=(call,)),
        Message(role="tool", content=(ToolResultBlock(call_id="a", text="no", is_error=is_error),)),
    )
    return lambda request: replace(request, messages=(*request.messages, *turns), tools=(TOOL,))


INLINE = said("user", ImageBlock(media_type="image/png", data="QUJD"))
BY_URL = said("user", ImageBlock(url="https://example.org/a.png"))
PDF = said("user", DocumentBlock(data="JVBERi0xLjQK", name="a_b.pdf"))
PDF_BY_URL = said("user", DocumentBlock(url="https://example.org/a.pdf"))
OWN = said("assistant", ThinkingBlock(text="hm", signature="t=c2ln", origin="box"))
FOREIGN = said("assistant", ThinkingBlock(text="hm", signature="t=c2ln", origin="other"))
# Each row's sample, and what it is compared with.
SAMPLES: dict[str, tuple[Change, Change]] = {
    "several system messages": (lambda request: replace(request, system=("Be brief.", "Be kind.")), same),
    "a picture inline": (INLINE, without(INLINE, ImageBlock)),
    "a picture by URL": (BY_URL, without(BY_URL, ImageBlock)),
    "a PDF inline": (PDF, without(PDF, DocumentBlock)),
    "a PDF by URL": (PDF_BY_URL, without(PDF_BY_URL, DocumentBlock)),
    "a text to go on with": (raw(""), same),
    "a suffix behind that text": (raw("}"), raw("")),
    "its own signed thinking": (OWN, without(OWN, ThinkingBlock)),
    "thinking of another instance": (FOREIGN, without(FOREIGN, ThinkingBlock)),
    "a tool": (tools("auto"), same),
    "tool_choice none": (tools("none"), tools("auto")),
    "tool_choice any": (tools("any"), tools("auto")),
    "tool_choice by name": (tools("now"), tools("auto")),
    "a result that is an error": (result(is_error=True), result(is_error=False)),
    "max_tokens": (params(max_tokens=77), same),
    "temperature": (params(temperature=0.3), same),
    "top_p": (params(top_p=0.3), same),
    "top_k": (params(top_k=3), same),
    "seed": (params(seed=-5), same),
    "stop": (params(stop=("x",)), same),
    "frequency_penalty": (params(frequency_penalty=0.5), same),
    "presence_penalty": (params(presence_penalty=0.5), same),
    "a budget for thinking": (params(thinking_budget_tokens=2000), same),
    "an answer by JSON Schema": (params(json_schema={"type": "object"}), same),
    "an answer that is JSON": (params(json_mode=True), same),
    "a number out of range": (params(top_p=7.0), same),
}


def test_every_row_has_a_sample() -> None:
    assert {row.field for row in ROWS} == SAMPLES.keys()


@pytest.mark.parametrize("wire", HEADINGS)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.field)
def test_a_cell_is_what_happens(row: Row, wire: Wire) -> None:
    change, compared = SAMPLES[row.field]
    fate = row.fate(wire)
    if fate == "refused":
        with pytest.raises(Unsupported):
            BODIES[wire](change(PLAIN))
        return
    changed, plain = BODIES[wire](change(PLAIN)), BODIES[wire](compared(PLAIN))
    assert (changed == plain) == (fate == "dropped")


def test_what_comes_near_is_explained() -> None:
    for row in ROWS:
        for wire in HEADINGS:
            if row.fate(wire) == "adapted":
                assert row.notes.get(wire), (row.field, wire)


def test_the_document_is_what_the_table_says() -> None:
    document = Path(__file__).parents[4] / "docs" / "providers.md"
    assert document.read_text(encoding="utf-8") == render(), (
        "write it anew: python -m legion_core.testing.provider_table"
    )
