"""A result whose call is gone: told as words where the conversation went on, refused where the model is asked about it."""

import json
from pathlib import Path
from typing import Any

import pytest

from legion_core.gateway.dialects.fields import FieldFault
from legion_core.gateway.dialects.table import Dialects
from legion_core.gateway.pairing import STRAY, is_paired, paired_up
from legion_core.gateway.types import Message, TextBlock
from legion_core.kernel.clock import SystemClock
from legion_core.testing.dialect_table import render

DIALECTS = Dialects(SystemClock())
Body = dict[str, Any]


def chat(*turns: str) -> Body:
    """U a user's words, A an answer's, R a result of the call `x`, C that call."""
    call = {"id": "x", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    told = {
        "U": {"role": "user", "content": "hi"},
        "A": {"role": "assistant", "content": "hello"},
        "C": {"role": "assistant", "content": None, "tool_calls": [call]},
        "R": {"role": "tool", "tool_call_id": "x", "content": "12"},
    }
    return {"messages": [told[turn] for turn in turns]}


def messages(*turns: str) -> Body:
    told = {
        "U": {"role": "user", "content": "hi"},
        "A": {"role": "assistant", "content": "hello"},
        "C": {"role": "assistant", "content": [{"type": "tool_use", "id": "x", "name": "f", "input": {}}]},
        "R": {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "x", "content": "12"}]},
    }
    return {"max_tokens": 9, "messages": [told[turn] for turn in turns]}


def responses(*turns: str) -> Body:
    told = {
        "U": {"role": "user", "content": "hi"},
        "A": {"role": "assistant", "content": "hello"},
        "C": {"type": "function_call", "call_id": "x", "name": "f", "arguments": "{}"},
        "R": {"type": "function_call_output", "call_id": "x", "output": "12"},
    }
    return {"input": [told[turn] for turn in turns]}


def gemini(*turns: str) -> Body:
    told = {
        "U": {"role": "user", "parts": [{"text": "hi"}]},
        "A": {"role": "model", "parts": [{"text": "hello"}]},
        "C": {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]},
        "R": {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"output": "12"}}}]},
    }
    return {"contents": [told[turn] for turn in turns]}


def ollama(*turns: str) -> Body:
    call = {"function": {"name": "f", "arguments": {}}}
    told = {
        "U": {"role": "user", "content": "hi"},
        "A": {"role": "assistant", "content": "hello"},
        "C": {"role": "assistant", "content": "", "tool_calls": [call]},
        "R": {"role": "tool", "tool_name": "f", "content": "12"},
    }
    return {"model": "m", "messages": [told[turn] for turn in turns]}


STRICT = [
    ("openai_chat", chat),
    ("anthropic_messages", messages),
    ("openai_responses", responses),
    ("gemini", gemini),
]
ALL = [*STRICT, ("ollama_chat", ollama)]


def read(name: str, body: Body, **headers: str) -> tuple[Message, ...]:
    told = {key.replace("_", "-"): value for key, value in headers.items()}
    return DIALECTS[name].parse(json.dumps(body).encode(), told, request_id="req_1").messages


def words(told: tuple[Message, ...]) -> list[str]:
    return [block.text for message in told for block in message.content if isinstance(block, TextBlock)]


@pytest.mark.parametrize(("name", "body"), ALL)
@pytest.mark.parametrize("turns", ["RAU", "RU", "URAU", "URACRU", "RCRAU", "URRU"])
def test_where_the_conversation_went_on_a_result_without_its_call_is_words(
    name: str, body: Any, turns: str
) -> None:
    healed = paired_up(read(name, body(*turns)))

    assert is_paired(healed)
    strays = [text for text in words(healed) if text.startswith(STRAY)]
    assert strays == [f"{STRAY}12"] * (turns.count("R") - turns.count("C"))
    assert words(healed).count("hi") == turns.count("U")  # nobody else's words are lost


@pytest.mark.parametrize(("name", "body"), STRICT)
@pytest.mark.parametrize("turns", ["R", "UR", "UAR", "RAUR", "URR"])
def test_what_ends_in_a_result_nobody_called_for_is_refused_at_its_place(
    name: str, body: Any, turns: str
) -> None:
    with pytest.raises(FieldFault) as refused:
        read(name, body(*turns))
    places = range(len(turns.rstrip("R")), len(turns))
    assert any(f"[{place}]" in refused.value.field for place in places)

    assert read(name, body(*turns), x_legion_conversation="conv_1")  # which may hold the call


@pytest.mark.parametrize("turns", ["R", "UR", "UACRAR"])
def test_ollama_takes_a_result_nobody_called_for(turns: str) -> None:
    assert is_paired(paired_up(read("ollama_chat", ollama(*turns))))


@pytest.mark.parametrize(("name", "body"), ALL)
@pytest.mark.parametrize("turns", ["UCU", "UC", "UCAU", "UCRCU"])
def test_a_call_without_its_result_passes_and_is_told_as_missing(name: str, body: Any, turns: str) -> None:
    assert is_paired(paired_up(read(name, body(*turns))))


def test_words_beside_a_stray_result_of_one_message_are_something_said_after_it() -> None:
    for name, body in (("anthropic_messages", messages("R")), ("gemini", gemini("R"))):
        list_ = body.get("messages") or body["contents"]
        (list_[0].get("content") or list_[0]["parts"]).append(
            {"text": "go on", **({"type": "text"} if name[0] == "a" else {})}
        )
        assert "go on" in words(paired_up(read(name, body)))


def test_the_page_tells_what_the_dialects_do() -> None:
    page = Path(__file__).parents[4] / "docs" / "dialects.md"
    assert page.read_text(encoding="utf-8") == render(), "run: python -m legion_core.testing.dialect_table"
