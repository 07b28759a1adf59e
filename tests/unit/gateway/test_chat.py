"""Chats that are kept here: one answer at a time, each with an end, whatever goes wrong on the way."""

import asyncio
from pathlib import Path

from legion_core.gateway.conversation_types import ChatMessage
from legion_core.gateway.reading import Given
from legion_core.gateway.types import Request
from legion_core.kernel.errors import Conflict, Corrupt
from legion_core.kernel.ports import LOCAL_OWNER, Principal
from legion_core.testing.gateway import open_gateway
from legion_core.testing.scripted import ScriptedProvider, say
from tests.support.aio import run


def test_of_questions_asked_at_the_same_moment_one_is_taken_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            box = under_test.put(ScriptedProvider("box", say("yes")))
            chat = under_test.gateway.chat
            made = await chat.create()
            asked = await asyncio.gather(
                *(chat.send(made.id, f"Question {n}") for n in range(8)), return_exceptions=True
            )
            refused = [each for each in asked if isinstance(each, Conflict)]
            (turn,) = [each for each in asked if not isinstance(each, BaseException)]
            assert len(refused) == 7
            assert (await chat.finished(turn)).text == "yes"
            assert len(box.calls) == 1
            assert len((await chat.open(made.id)).messages) == 2

    run(scenario())


def test_an_answer_whose_tools_cannot_be_read_ends_with_the_reason(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            under_test.put(ScriptedProvider("box", say("yes")))
            chat = under_test.gateway.chat

            async def broken(
                request: Request, who: Principal, answer: ChatMessage, given: Given | None
            ) -> bool:
                raise Corrupt("The list of servers cannot be read.")

            chat.with_tools = broken
            answer = await chat.finished(await chat.send(None, "Do it"))
            assert (answer.status, answer.error) == ("failed", "The list of servers cannot be read.")

    run(scenario())


def test_where_nothing_was_left_open_there_is_nothing_to_go_on_with(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            box = under_test.put(ScriptedProvider("box", say("yes")))
            chat = under_test.gateway.chat
            assert not await chat.resuming.go_on((await chat.create()).id, LOCAL_OWNER)
            turn = await chat.send(None, "Is it?")
            await chat.finished(turn)
            assert not await chat.resuming.go_on(turn.conversation_id, LOCAL_OWNER)
            assert len(box.calls) == 1

    run(scenario())
