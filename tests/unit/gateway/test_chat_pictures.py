"""Pictures in a chat that is kept here: shown to the model, counted for the window, kept by every branch."""

from pathlib import Path

import pytest

from legion_core.gateway.chat import PICTURES_MAX
from legion_core.gateway.types import ImageBlock, ModelOffer
from legion_core.kernel.errors import InvalidInput
from legion_core.testing.gateway import open_gateway
from legion_core.testing.scripted import ScriptedProvider, say
from tests.support.aio import run

DOT = ImageBlock(media_type="image/png", data="iVBORw0KGgo=")
SEEING = ModelOffer(id="m1", context=32768, capabilities=frozenset({"streaming", "vision"}))


def test_a_picture_is_shown_and_an_edited_question_keeps_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            box = under_test.put(ScriptedProvider("box", say("a dot")), offer=SEEING)
            chat = under_test.gateway.chat

            turn = await chat.send(None, "What is it?", images=(DOT, DOT))
            assert (await chat.finished(turn)).text == "a dot"
            again = await chat.edit(turn.question.id, "What are they?")
            await chat.finished(again)
            await chat.finished(await chat.regenerate(again.answer_id))

            shown = [call.request.messages[-1].content[1:] for call in box.calls]
            assert shown == [(DOT, DOT)] * 3
            assert (turn.question.pictures, again.question.pictures) == (2, 2)
            opened = (await chat.open(turn.conversation_id)).messages
            assert [message.pictures for message in opened] == [2, 0]

    run(scenario())


def test_pictures_alone_are_a_question_but_not_too_many(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            under_test.put(ScriptedProvider("box", say("a dot")), offer=SEEING)
            chat = under_test.gateway.chat

            turn = await chat.send(None, "", images=(DOT,))
            assert (await chat.finished(turn)).text == "a dot"
            with pytest.raises(InvalidInput, match="8 pictures"):
                await chat.send(None, "", images=(DOT,) * (PICTURES_MAX + 1))

    run(scenario())


def test_where_no_model_sees_the_answer_says_so(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            box = under_test.put(ScriptedProvider("box", say("a dot")))

            turn = await under_test.gateway.chat.send(None, "What is it?", images=(DOT,))
            answer = await under_test.gateway.chat.finished(turn)

            assert answer.status == "failed"
            assert "vision" in answer.error or "picture" in answer.error
            assert box.calls == []

    run(scenario())
