"""Documents in a conversation that is kept here: shown to the model, named for the window, kept by every branch."""

import json
from pathlib import Path
from typing import Any

import pytest

from legion_core.gateway.budget import most_tokens
from legion_core.gateway.types import DocumentBlock, Message, ModelOffer, Request, TextBlock
from legion_core.kernel.errors import Unsupported
from legion_core.testing.gateway import open_gateway
from legion_core.testing.scripted import ScriptedProvider, say
from tests.support.aio import run

PAPER = DocumentBlock(data="JVBERi0x" * 200, name="lease.pdf", pages=4)
READING = ModelOffer(id="m1", context=65_536, capabilities=frozenset({"streaming", "documents"}))


def test_a_document_stays_in_the_history_and_an_edited_question_keeps_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            box = under_test.put(ScriptedProvider("box", say("a lease")), offer=READING)
            chat: Any = under_test.gateway.chat

            turn = await chat.send(None, "What is it?", images=(PAPER,))
            assert (await chat.finished(turn)).text == "a lease"
            again = await chat.edit(turn.question.id, "What is this?")
            await chat.finished(again)
            await chat.finished(await chat.send(turn.conversation_id, "And its end?"))

            assert [call.request.messages[0].content[1:] for call in box.calls] == [(PAPER,)] * 3
            opened = (await chat.open(turn.conversation_id)).messages
            assert [message.documents for message in opened] == [("lease.pdf",), (), (), ()]
            assert [message.error for message in opened] == [""] * 4

            whole = json.loads(await chat.export(turn.conversation_id, "json"))
            kept = [block for message in whole["messages"] for block in message["content"]]
            assert [block["data"] for block in kept if block["type"] == "document"] == [PAPER.data] * 2
            for form in ("md", "html"):
                shown = await chat.export(turn.conversation_id, form)
                assert f"data:application/pdf;base64,{PAPER.data}" in shown
                assert "lease.pdf" in shown

    run(scenario())


def test_where_no_model_reads_documents_nothing_is_asked_and_the_refusal_names_what_is_missing(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            box = under_test.put(ScriptedProvider("box", say("a lease")))
            chat: Any = under_test.gateway.chat

            turn = await chat.send(None, "What is it?", images=(PAPER,))
            answer = await chat.finished(turn)

            assert answer.status == "failed"
            assert "documents" in answer.error
            assert box.calls == []

    run(scenario())


def test_a_reservation_is_on_the_safe_side_for_each_page() -> None:
    def most(*blocks: Any) -> int:
        return most_tokens(Request(id="r", messages=(Message(role="user", content=blocks),)))

    assert most(TextBlock(text="x"), PAPER) - most(TextBlock(text="x")) == 4 * 4_000


def test_no_wire_without_documents_drops_one_silently() -> None:
    from legion_core.gateway.providers.llamacpp import chat_request
    from legion_core.gateway.providers.ollama_wire import body_of

    request = Request(id="r", messages=(Message(role="user", content=(PAPER,)),))
    for refused in (lambda: chat_request(request, ""), lambda: body_of(request, "m1", context=None)):
        with pytest.raises(Unsupported) as told:
            refused()
        assert told.value.capability == "documents"
