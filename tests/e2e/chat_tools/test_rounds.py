"""A model calls tools in a chat: what is offered, who is asked, what comes back, and what stays on disk."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from legion_core.agent.tools.types import ChatCallChanged
from legion_core.api.types import LOCAL_OWNER, Principal
from legion_core.kernel.errors import Denied, InvalidInput
from legion_core.kernel.ports import ACTING
from legion_core.testing.upstreams import Answer, Call
from tests.e2e.chat_tools.conftest import desk, no, once
from tests.support.aio import run

pytestmark = [pytest.mark.slow, pytest.mark.allow_log("mcp|legion.supervise")]
ECHO = Call("call_0123456789abc", "mcp-notes-echo", '{"text": "hello"}')
NOTES = "server:notes"


def contents(body: dict[str, Any], role: str) -> list[str]:
    return [str(each.get("content")) for each in body["messages"] if each["role"] == role]


@pytest.mark.requirement("chat.tools")
@pytest.mark.parametrize("wire", ["openai", "anthropic", "ollama", "gemini"])
def test_a_tool_is_called_and_its_result_goes_back_on_every_wire(legion_home: Path, wire: str) -> None:
    async def work() -> None:
        async with desk(legion_home, wire=wire) as made:
            await made.server()
            chat = await made.chat(NOTES)
            made.will_call(ECHO, then="It said hello.")
            async with made.person(once) as asked:
                view = await made.say(chat)
            assert [message.role for message in view.messages] == ["user", "assistant", "tool", "assistant"]
            assert view.messages[1].calls[0].name == "mcp-notes-echo"
            assert "hello" in view.messages[2].results[0].text
            assert view.messages[3].text == "It said hello."
            (question,) = asked
            assert json.loads(question.arguments) == {"text": "hello"}
            assert question.scopes == ("once", "chat", "always")
            assert question.conversation_id == chat
            (call,) = await made.calls(chat)
            assert (call.state, call.decision) == ("done", "You allowed it once.")
            assert call.task
            first, second = made.asked()
            assert "mcp-notes-echo" in json.dumps(first)
            assert "hello" in json.dumps(second["messages"] if "messages" in second else second["contents"])
            listed = made.legion.mcp.calls()
            assert (listed[0].client, listed[0].outcome) == ("chat", "ok")

    run(work(), 400)


def test_tools_are_off_until_a_person_switches_them_on(legion_home: Path) -> None:
    async def work() -> None:
        async with desk(legion_home) as made:
            await made.server()
            chat = await made.chat()
            await made.say(chat)
            assert "tools" not in made.asked()[0]
            told = await made.legion.mcp.chats.of(chat)
            assert told.count == 0
            assert NOTES in [source.key for source in told.sources]
            told = await made.legion.mcp.chats.switch(chat, NOTES, True)
            assert told.count == 2
            other = await made.chat()
            assert (await made.legion.mcp.chats.of(other)).count == 0
            with pytest.raises(InvalidInput, match="offers no tools"):
                await made.legion.mcp.chats.switch(chat, "server:nobody", True)
            agent = Principal(name="agent", carrier="token", token="tok_1")
            with pytest.raises(Denied):
                await made.legion.mcp.chats.switch(chat, NOTES, True, agent)

    run(work(), 400)


def test_a_model_that_knows_no_tools_answers_without_and_it_is_said(legion_home: Path) -> None:
    async def work() -> None:
        async with desk(legion_home, capabilities=("streaming",)) as made:
            await made.server()
            chat = await made.chat(NOTES)
            told = await made.legion.mcp.chats.of(chat)
            assert "can use tools" in told.problem
            view = await made.say(chat)
            assert view.messages[-1].status == "complete"
            assert "tools" not in made.asked()[0]

    run(work(), 400)


def test_a_refusal_goes_to_the_model_with_what_the_person_said(legion_home: Path) -> None:
    async def work() -> None:
        async with desk(legion_home) as made:
            await made.server()
            chat = await made.chat(NOTES)
            made.will_call(ECHO, then="As you wish.")
            async with made.person(lambda _: {"allow": False, "note": "ask me first"}):
                view = await made.say(chat)
            assert view.messages[-1].text == "As you wish."
            assert view.messages[2].results[0].is_error
            assert "ask me first" in contents(made.asked()[1], "tool")[0]
            (call,) = await made.calls(chat)
            assert call.state == "denied"
            assert not call.task

    run(work(), 400)


def test_with_nobody_at_the_window_nothing_is_called(legion_home: Path) -> None:
    async def work() -> None:
        async with desk(legion_home) as made:
            await made.server()
            chat = await made.chat(NOTES)
            made.will_call(ECHO)
            await made.say(chat)
            (call,) = await made.calls(chat)
            assert call.state == "denied"
            assert "window" in call.result

    run(work(), 400)


@pytest.mark.parametrize(("scope", "elsewhere"), [("once", 2), ("chat", 1), ("always", 0)])
def test_a_yes_holds_as_far_as_it_was_given(legion_home: Path, scope: str, elsewhere: int) -> None:
    async def work() -> None:
        async with desk(legion_home) as made:
            await made.server()
            chat = await made.chat(NOTES)
            async with made.person(lambda _: {"allow": True, "scope": scope}) as asked:
                made.will_call(ECHO)
                await made.say(chat)
                assert len(asked) == 1
                made.will_call(ECHO)
                await made.say(chat)
                assert len(asked) == (2 if scope == "once" else 1)
                asked.clear()
                made.will_call(ECHO, ECHO)
                await made.say(await made.chat(NOTES))
                assert len(asked) == elsewhere
            yeses = await made.legion.mcp.chats.yeses()
            assert len(yeses) == (1 if scope == "always" else 0)
            if yeses:
                await made.legion.mcp.chats.forget(yeses[0].tool)
                assert await made.legion.mcp.chats.yeses() == ()

    run(work(), 400)


@pytest.mark.requirement("mcp.approval-diff")
def test_what_only_reads_of_our_own_is_not_asked_for_and_what_writes_is(legion_home: Path) -> None:
    async def work() -> None:
        async with desk(legion_home) as made:
            (legion_home / "files").mkdir()
            (legion_home / "files" / "a.txt").write_text("one\ntwo\n", encoding="utf-8")
            chat = await made.chat("extension:file")
            made.will_call(
                Call("call_read_000001", "file-text-read", '{"path": "a.txt"}'),
                Call("call_write_00001", "file-text-write", '{"path": "a.txt", "text": "one\\nthree\\n"}'),
            )
            async with made.person(once) as asked:
                await made.say(chat)
            assert [call.state for call in await made.calls(chat)] == ["done", "done"]
            (question,) = asked
            (change,) = question.changes
            assert change.what.endswith("files/a.txt")
            assert [(line.sign, line.text) for line in change.lines] == [
                (" ", "one"),
                ("-", "two"),
                ("+", "three"),
            ]
            assert (legion_home / "files" / "a.txt").read_text(encoding="utf-8") == "one\nthree\n"

    run(work(), 400)


def test_stop_ends_the_wait_for_a_yes_and_the_answer(legion_home: Path) -> None:
    async def work() -> None:
        async with desk(legion_home) as made:
            await made.server()
            chat = await made.chat(NOTES)
            made.will_call(ECHO)
            async with made.person(lambda _: {}):
                turn = await made.legion.chat.send(chat, "Do it.")
                await made.until(chat, "waiting")
                assert await made.legion.chat.stop(chat)
            assert made.legion.mcp.approvals() == ()
            (call,) = await made.calls(chat)
            assert call.state == "stopped"
            view = await made.legion.chat.open(chat)
            assert [message.status for message in view.messages] == ["complete", "complete", "stopped"]
            assert "stopped" in view.messages[2].results[0].text
            assert len(made.asked()) == 1
            # The chat goes on, and the provider is told of the call and of its end.
            made.upstream.will(Answer(("Fine.",)))
            view = await made.say(chat, "Never mind.")
            assert view.messages[-1].text == "Fine."
            assert "stopped" in json.dumps(made.asked()[-1])
            assert turn.conversation_id == chat

    run(work(), 400)


def test_stop_ends_a_call_that_runs(legion_home: Path, tmp_path: Path) -> None:
    async def work() -> None:
        mark = tmp_path / "called"
        async with desk(legion_home) as made:
            await made.server("notes", "hang", str(mark))
            chat = await made.chat(NOTES)
            made.will_call(ECHO)
            async with made.person(once):
                await made.legion.chat.send(chat, "Do it.")
                call = await made.until(chat, "running")
                while not mark.exists():
                    await asyncio.sleep(0.01)
                await made.legion.chat.stop(chat)
            (call,) = await made.calls(chat)
            assert call.state == "stopped"
            task = made.legion.mcp.calls()[0].task
            view = await made.legion.tasks.wait(task)
            assert view.status == "cancelled"

    run(work(), 400)


def test_neighbours_that_only_read_run_side_by_side_and_are_asked_for_in_order(legion_home: Path) -> None:
    """The server answers none of them before it has two: one after the other would never end."""

    async def work() -> None:
        async with desk(legion_home) as made:
            await made.server("notes", "pairs")
            chat = await made.chat(NOTES)
            calls = tuple(
                Call(f"call_beside_00{place}", "mcp-notes-echo", json.dumps({"text": f"n{place}"}))
                for place in range(4)
            )
            made.upstream.will(Answer(pieces=(), calls=calls), Answer(("Done.",)))
            async with made.person(once) as asked:
                view = await made.say(chat)
            assert [json.loads(each.arguments)["text"] for each in asked] == ["n0", "n1", "n2", "n3"]
            assert [(call.place, call.state) for call in await made.calls(chat)] == [
                (place, "done") for place in range(4)
            ]
            results = view.messages[2].results
            assert [result.call_id for result in results] == [call.id for call in view.messages[1].calls]
            assert [f"n{place}" in result.text for place, result in enumerate(results)] == [True] * 4

    run(work(), 400)


def test_what_changes_something_waits_for_those_before_it_and_is_waited_for(
    legion_home: Path, tmp_path: Path
) -> None:
    async def work() -> None:
        async with desk(legion_home) as made:
            files = legion_home / "files"
            files.mkdir()
            (files / "a.txt").write_text("before", encoding="utf-8")
            chat = await made.chat("extension:file")
            read = '{"path": "a.txt"}'
            made.upstream.will(
                Answer(
                    pieces=(),
                    calls=(
                        Call("call_read_000001", "file-text-read", read),
                        Call("call_read_000002", "file-text-read", read),
                        Call("call_write_00001", "file-text-write", '{"path": "a.txt", "text": "after"}'),
                        Call("call_read_000003", "file-text-read", read),
                    ),
                ),
                Answer(("Done.",)),
            )
            async with made.person(once):
                view = await made.say(chat)
            texts = [result.text for result in view.messages[2].results]
            assert ["before" in text for text in texts] == [True, True, False, False]
            assert "after" in texts[3]

    run(work(), 400)


def test_stop_ends_all_calls_that_run_side_by_side(legion_home: Path) -> None:
    async def work() -> None:
        async with desk(legion_home) as made:
            await made.server("notes", "pairs")
            chat = await made.chat(NOTES)
            calls = tuple(
                Call(f"call_beside_00{place}", "mcp-notes-echo", ECHO.arguments) for place in range(3)
            )
            made.upstream.will(Answer(pieces=(), calls=calls))
            ended = 0
            with made.legion.events.subscribe(ChatCallChanged, size_max=256) as events:
                async with made.person(once):
                    await made.legion.chat.send(chat, "Do it.")
                    async for event in events:  # the third waits for a fourth that never comes
                        ended += event.call.state == "done"
                        if ended == 2:
                            break
                    await made.legion.chat.stop(chat)
            assert sorted(call.state for call in await made.calls(chat)) == ["done", "done", "stopped"]
            view = await made.legion.chat.open(chat)
            assert sum("stopped" in result.text for result in view.messages[2].results) == 1

    run(work(), 400)


def test_rounds_have_an_end_and_the_model_is_then_asked_to_speak(legion_home: Path) -> None:
    async def work() -> None:
        async with desk(legion_home) as made:
            await made.server()
            chat = await made.chat(NOTES)
            made.upstream.will(Answer(pieces=("again",), calls=(ECHO,)))
            async with made.person(lambda _: {"allow": True, "scope": "chat"}):
                await made.say(chat)
            bodies = made.asked()
            assert len(bodies) == 17
            assert bodies[-1]["tool_choice"] == "none"
            assert len(await made.calls(chat)) == 16
            ids = [call["id"] for each in bodies[-1]["messages"] for call in each.get("tool_calls", ())]
            assert len(set(ids)) == len(ids) > 0

    run(work(), 400)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [("{broken", "not JSON"), ("[1]", "one JSON object"), ('{"a": "' + "x" * 70_000 + '"}', "larger than")],
)
def test_arguments_that_are_none_are_told_to_the_model(legion_home: Path, arguments: str, why: str) -> None:
    async def work() -> None:
        async with desk(legion_home) as made:
            await made.server()
            chat = await made.chat(NOTES)
            made.will_call(
                Call("call_0123456789abc", "mcp-notes-echo", arguments),
                Call("call_unknown_0001", "nope", "{}"),
            )
            async with made.person(no) as asked:
                await made.say(chat)
            assert asked == []
            first, second = await made.calls(chat)
            assert (first.state, second.state) == ("failed", "failed")
            assert why in first.result
            assert "no tool 'nope'" in second.result

    run(work(), 400)


def test_a_long_result_is_cut_for_the_model_and_whole_in_its_task(legion_home: Path) -> None:
    async def work() -> None:
        async with desk(legion_home) as made:
            await made.server("notes", "long")
            chat = await made.chat(NOTES)
            made.will_call(ECHO)
            async with made.person(once):
                await made.say(chat)
            (told,) = contents(made.asked()[1], "tool")
            assert 20_000 < len(told) < 26_000
            assert "It was cut." in told
            (call,) = await made.calls(chat)
            result: Any = (await made.legion.tasks.wait(call.task)).result
            assert len(result["text"]) == 90_000

    run(work(), 400)


def test_a_chat_kept_here_asks_before_anything_leaves_whatever_was_allowed(legion_home: Path) -> None:
    async def work() -> None:
        async with desk(legion_home) as made:
            chat = await made.chat("extension:http")
            await made.legion.llm.keep_private(chat, True)
            made.upstream.will(Answer(("no",)))
            # The only model is at another address of this test: a private chat may not go there, so nothing is asked.
            told = await made.legion.mcp.chats.of(chat)
            assert told.problem
            assert [source.is_remote for source in told.sources if source.key == "extension:http"] == [True]

    run(work(), 400)


def test_a_program_that_asks_in_the_owners_chat_is_answered_without_tools(legion_home: Path) -> None:
    async def work() -> None:
        async with desk(legion_home) as made:
            await made.server()
            chat = await made.chat(NOTES)
            mark = ACTING.set(Principal(name="agent", carrier="token", token="tok_1"))
            try:
                await made.say(chat)
            finally:
                ACTING.reset(mark)
            assert "tools" not in made.asked()[0]

    run(work(), 400)


@pytest.mark.requirement("audit.mcp")
def test_who_registered_approved_allowed_and_decided_is_in_the_log(legion_home: Path) -> None:
    async def work() -> None:
        async with desk(legion_home) as made:
            await made.server()
            await made.legion.mcp.allow("zed", ("mcp-notes-*",))
            await made.legion.mcp.reset("zed")
            chat = await made.chat(NOTES)
            made.will_call(ECHO, ECHO)
            answers = [{"allow": True}, {"allow": False}]
            async with made.person(lambda _: answers.pop(0)):
                await made.say(chat)
            await made.legion.mcp.servers.switch("notes", False, LOCAL_OWNER)
            await made.legion.mcp.servers.remove("notes", LOCAL_OWNER)
            found = [(row.kind, row.outcome) for row in await made.legion.audit.page(kind="mcp")]
            assert found[::-1] == [
                ("mcp.server.registered", "done"),
                ("mcp.server.approved", "done"),
                ("mcp.grant", "done"),
                ("mcp.grant", "done"),
                ("mcp.chat", "done"),
                ("mcp.approval", "allowed"),
                ("mcp.approval", "refused"),
                ("mcp.server.switched", "done"),
                ("mcp.server.removed", "done"),
            ]
            (row,) = await made.legion.audit.page(kind="mcp.server.approved")
            assert "fingerprint" in row.detail
            assert (await made.legion.audit.verify()).is_whole

    run(work(), 400)
