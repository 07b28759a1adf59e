"""kill -9 while tools are used: nothing is forgotten, made up or called twice, and the answer goes on with its tools."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from legion_core.agent.tools.judge import UNSURE
from legion_core.api.types import LOCAL_OWNER, AnswerEnded, ConversationView
from legion_core.testing.upstreams import Answer, Call, Plan, Stall, Upstream
from tests.e2e.chat_tools.conftest import Desk, config_of, desk, no, once
from tests.e2e.chat_tools.test_rounds import ECHO, NOTES
from tests.support.aio import run

pytestmark = [pytest.mark.slow, pytest.mark.allow_log("mcp|legion.supervise|legion.engine")]
PROGRAM = Path(__file__).with_name("killed.py")
CALLS = Answer(pieces=(), calls=(ECHO,))


async def die(
    home: Path,
    when: str,
    mark: Path,
    *plans: Plan,
    server: tuple[str, ...] = ("good",),
    yeses: int = 0,
    scope: str = "once",
) -> str:
    """A chat with the server's tools, whose workbench is killed at that moment; its id."""
    async with desk(home) as made:
        await made.server("notes", *server)
        chat = await made.chat(NOTES)
    async with Upstream("openai") as upstream:
        (home / "config.toml").write_text(config_of(upstream, "openai"), encoding="utf-8")
        upstream.will(*plans)
        words = (str(home), when, str(mark), str(yeses), scope)
        child = await asyncio.create_subprocess_exec(
            sys.executable, str(PROGRAM), *words, stderr=asyncio.subprocess.PIPE
        )
        _, said = await child.communicate()
        assert child.returncode == -9, said.decode()
    if when == "called":
        os.kill(int(mark.read_text(encoding="utf-8")), signal.SIGKILL)  # the server, which hears of nothing
    return chat


async def gone_on(made: Desk, chat: str) -> ConversationView:
    """Have the answer go on, wait for its end, give the chat as it is then."""
    with made.legion.events.subscribe(AnswerEnded, size_max=64) as ended:
        assert await made.legion.chat.resuming.go_on(chat, LOCAL_OWNER)
        assert not await made.legion.chat.resuming.go_on(chat, LOCAL_OWNER)
        async for event in ended:
            if event.message.role == "assistant" and not event.message.calls:
                break
    while chat in made.legion.chat.running:
        await asyncio.sleep(0)
    return await made.legion.chat.open(chat)


def told(view: ConversationView) -> list[tuple[str, str]]:
    return [(message.role, message.status) for message in view.messages]


def gave(view: ConversationView, at: int = 2) -> list[str]:
    return [result.text for result in view.messages[at].results]


@pytest.mark.requirement("chat.tools-killed")
def test_a_call_under_way_when_the_workbench_was_killed_is_told_and_the_chat_goes_on(
    legion_home: Path, tmp_path: Path
) -> None:
    async def work() -> None:
        mark = tmp_path / "called"
        chat = await die(legion_home, "called", mark, CALLS, server=("hang", str(mark)), yeses=1)
        async with desk(legion_home) as made:
            (call,) = await made.calls(chat)
            assert call.state == "lost"
            assert "not known" in call.result
            assert call.task in call.result
            view = await made.legion.chat.open(chat)
            assert [message.role for message in view.messages] == ["user", "assistant", "tool"]
            assert view.messages[2].status == "interrupted"
            assert "not known" in view.messages[2].results[0].text
            made.upstream.will(Answer(("I see.",)))
            view = await made.say(chat, "Go on.")
            assert view.messages[-1].text == "I see."
            assert "not known" in json.dumps(made.asked()[-1])

    run(work(), 400)


@pytest.mark.requirement("chat.tools-resumed")
def test_what_was_under_way_is_not_called_again_before_a_person_said_so_whatever_was_allowed_before(
    legion_home: Path, tmp_path: Path
) -> None:
    async def work() -> None:
        mark = tmp_path / "called"
        server = ("hang", str(mark))
        chat = await die(legion_home, "called", mark, CALLS, server=server, yeses=1, scope="always")
        mark.unlink()
        async with desk(legion_home) as made:
            assert [yes.tool for yes in await made.legion.mcp.chats.yeses()] == [ECHO.name]
            made.will_call(ECHO, then="I leave it.")
            async with made.person(no) as asked:
                view = await gone_on(made, chat)
            assert told(view)[2:] == [
                ("tool", "complete"),
                ("assistant", "complete"),
                ("tool", "complete"),
                ("assistant", "complete"),
            ]
            assert "not known" in gave(view)[0]
            assert "not known" in json.dumps(made.asked()[0])
            (question,) = asked
            assert question.scopes == ("once",)
            assert UNSURE in question.notes
            assert [call.state for call in await made.calls(chat)] == ["lost", "denied"]
            assert not mark.exists()

    run(work(), 400)


@pytest.mark.requirement("chat.tools-resumed")
def test_a_call_that_waited_for_a_yes_is_asked_for_again_and_the_answer_goes_on(
    legion_home: Path, tmp_path: Path
) -> None:
    async def work() -> None:
        chat = await die(legion_home, "asked", tmp_path, CALLS)
        async with desk(legion_home) as made:
            (before,) = await made.calls(chat)
            assert before.state == "stopped"
            made.upstream.will(Answer(("It said hello.",)))
            async with made.person(once) as asked:
                view = await gone_on(made, chat)
            assert told(view)[1:] == [
                ("assistant", "complete"),
                ("tool", "complete"),
                ("assistant", "complete"),
            ]
            (question,) = asked
            assert json.loads(question.arguments) == {"text": "hello"}
            assert UNSURE not in question.notes
            (after,) = await made.calls(chat)
            assert (after.id, after.state) == (before.id, "done")
            assert "hello" in gave(view)[0]
            assert view.messages[-1].text == "It said hello."

    run(work(), 400)


@pytest.mark.requirement("chat.tools-resumed")
def test_of_two_calls_the_first_keeps_its_result_and_only_the_second_is_asked_for(
    legion_home: Path, tmp_path: Path
) -> None:
    async def work() -> None:
        note = tmp_path / "note"
        write = Call(
            "call_9123456789abc", "mcp-notes-write_note", json.dumps({"path": str(note), "content": "x"})
        )
        chat = await die(legion_home, "asked", tmp_path, Answer(pieces=(), calls=(ECHO, write)), yeses=1)
        async with desk(legion_home) as made:
            assert not note.exists()
            view = await made.legion.chat.open(chat)
            assert "hello" in gave(view)[0]
            made.upstream.will(Answer(("Both done.",)))
            async with made.person(once) as asked:
                view = await gone_on(made, chat)
            assert [question.tool for question in asked] == ["mcp-notes-write_note"]
            assert note.read_text() == "x"
            assert "hello" in gave(view)[0]
            assert "written" in gave(view)[1]
            assert [call.state for call in await made.calls(chat)] == ["done", "done"]

    run(work(), 400)


@pytest.mark.requirement("chat.tools-resumed")
@pytest.mark.parametrize("is_later", [False, True], ids=["first answer", "behind results"])
def test_an_answer_cut_in_its_words_goes_on_with_its_tools(
    legion_home: Path, tmp_path: Path, is_later: bool
) -> None:
    async def work() -> None:
        cut = Answer(("Let me ", "look"), fault=Stall(at_event=3))
        plans = (CALLS, cut) if is_later else (cut,)
        chat = await die(legion_home, "told", tmp_path, *plans, yeses=int(is_later))
        again = Call("call_2123456789abc", "mcp-notes-echo", '{"text": "again"}')
        async with desk(legion_home) as made:
            config = (legion_home / "config.toml").read_text(encoding="utf-8")
            assert "capabilities" in config
            before = await made.legion.chat.open(chat)
            assert told(before)[-1] == ("assistant", "interrupted")
            given = before.messages[-1].text
            assert given
            made.upstream.will(Answer(pieces=(given + ".",), calls=(again,)), Answer(("It says again.",)))
            async with made.person(once) as asked:
                view = await gone_on(made, chat)
            assert [json.loads(question.arguments) for question in asked] == [{"text": "again"}]
            assert "mcp-notes-echo" in json.dumps(made.asked()[0]["tools"])
            at = len(before.messages) - 1
            assert view.messages[at].text.startswith(given)
            assert [call.name for call in view.messages[at].calls] == ["mcp-notes-echo"]
            assert "again" in gave(view, at + 1)[0]
            assert view.messages[-1].text == "It says again."

    run(work(), 400)


@pytest.mark.requirement("chat.tools-resumed")
def test_where_the_tools_were_switched_off_meanwhile_the_answer_goes_on_in_words(
    legion_home: Path, tmp_path: Path
) -> None:
    async def work() -> None:
        chat = await die(legion_home, "asked", tmp_path, CALLS)
        async with desk(legion_home) as made:
            await made.legion.mcp.chats.switch(chat, NOTES, False)
            made.upstream.will(Answer(("Then without.",)))
            async with made.person(once) as asked:
                view = await gone_on(made, chat)
            assert not asked
            assert view.messages[-1].text == "Then without."
            assert "tools" not in made.asked()[0]

    run(work(), 400)
