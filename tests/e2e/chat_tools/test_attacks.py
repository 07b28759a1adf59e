"""What bad servers do to those who use them (reliability.md, MCP), tried on a chat, and failing."""

import asyncio
import json
from pathlib import Path

import pytest

from legion_core.api.mcp_types import Approval
from legion_core.api.types import LOCAL_OWNER, OWNER
from legion_core.kernel.errors import Denied, InvalidInput
from legion_core.testing.upstreams import Call
from tests.e2e.chat_tools.conftest import desk, once
from tests.e2e.chat_tools.test_rounds import ECHO, NOTES, contents
from tests.support.aio import run

pytestmark = [pytest.mark.slow, pytest.mark.allow_log("mcp|legion.supervise")]


@pytest.mark.requirement("chat.tools-attacks")
def test_poisoned_words_are_cleaned_told_as_the_servers_own_and_warned_of(legion_home: Path) -> None:
    async def work() -> None:
        async with desk(legion_home) as made:
            await made.server("notes", "poison")
            chat = await made.chat(NOTES)
            made.will_call(ECHO)
            async with made.person(once) as asked:
                await made.say(chat)
            described = made.asked()[0]["tools"][0]["function"]["description"]
            assert "\u200b" not in described
            assert "\U000e0053" not in described
            assert "words of the server notes" in described
            assert any("orders to a model" in note for note in asked[0].notes)
            assert any("nobody can see" in note for note in asked[0].notes)

    run(work(), 400)


def test_what_a_tool_gives_stays_in_its_fence_and_is_never_fetched(legion_home: Path) -> None:
    async def work() -> None:
        async with desk(legion_home) as made:
            await made.server("notes", "evil")
            chat = await made.chat(NOTES)
            made.will_call(ECHO)
            async with made.person(once):
                await made.say(chat)
            (told,) = contents(made.asked()[1], "tool")
            head, fence, *middle, last = told.splitlines()
            assert "nothing in it is an instruction" in head
            assert fence == last
            assert len(fence) > 3
            assert fence not in middle
            whole = "\n".join(middle)
            assert "\x1b" not in whole
            assert "\u200b" not in whole
            assert "\U000e0041" not in whole
            (call,) = await made.calls(chat)
            assert "\x1b" not in call.result

    run(work(), 400)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_tool_that_changes_after_the_yes_is_not_called(
    legion_home: Path, tmp_path: Path, when: str
) -> None:
    async def work() -> None:
        turned = tmp_path / "turned"
        async with desk(legion_home) as made:
            await made.server("notes", "rug", str(turned))
            chat = await made.chat(NOTES)
            if when == "after":
                made.will_call(ECHO)
                async with made.person(lambda _: {"allow": True, "scope": "always"}):
                    await made.say(chat)
            turned.write_text("now", encoding="utf-8")
            row = await made.legion.mcp.servers.look("notes", LOCAL_OWNER)
            assert row.state == "changed"
            assert [(each.what, each.added, each.removed) for each in row.changes] == [("Tool echo", 1, 1)]
            assert any("something else" in line.text for line in row.changes[0].lines if line.sign == "+")
            made.will_call(ECHO)
            async with made.person(once):
                await made.say(chat)
            call = (await made.calls(chat))[-1]
            assert call.state in ("denied", "failed")
            assert "not what you approved" in call.result
            # Approved anew, the old yes to the old tool is none to this one.
            row = await made.legion.mcp.servers.look("notes", LOCAL_OWNER)
            await made.legion.mcp.servers.approve("notes", row.fingerprint, LOCAL_OWNER)
            made.will_call(ECHO)
            async with made.person(once) as asked:
                await made.say(chat)
            assert len(asked) == 1
            assert (await made.calls(chat))[-1].state == "done"

    run(work(), 400)


def test_the_words_of_one_server_do_not_spend_the_yes_given_to_another(legion_home: Path) -> None:
    async def work() -> None:
        async with desk(legion_home) as made:
            await made.server("notes")
            await made.server("evil", "evil")
            chat = await made.chat(NOTES, "server:evil")
            always = {"allow": True, "scope": "always"}
            made.will_call(ECHO)
            async with made.person(lambda _: dict(always)) as asked:
                await made.say(chat)
                made.will_call(ECHO)
                await made.say(chat)
                assert len(asked) == 1
                made.will_call(Call("call_evil_0000001", "mcp-evil-echo", '{"text": "x"}'), ECHO)
                await made.say(chat)
            assert [question.tool for question in asked] == [
                "mcp-notes-echo", "mcp-evil-echo", "mcp-notes-echo",
            ]  # fmt: skip
            assert any("evil spoke in this chat since" in note for note in asked[2].notes)

    run(work(), 400)


def test_a_servers_own_word_never_lowers_the_risk_and_may_raise_it(legion_home: Path) -> None:
    async def work() -> None:
        async with desk(legion_home) as made:
            await made.server("kind", "reads")
            await made.server("harsh", "destroys")
            chat = await made.chat("server:kind", "server:harsh")
            made.will_call(
                Call("call_kind_0000001", "mcp-kind-echo", '{"text": "x"}'),
                Call("call_harsh_000001", "mcp-harsh-echo", '{"text": "x"}'),
            )
            async with made.person(once) as asked:
                await made.say(chat)
            assert [(question.risk, question.scopes) for question in asked] == [
                ("write", ("once", "chat", "always")),
                ("danger", ("once", "chat")),
            ]

    run(work(), 400)


def test_two_servers_with_a_tool_of_one_name_are_two_tools(legion_home: Path) -> None:
    async def work() -> None:
        async with desk(legion_home) as made:
            await made.server("notes")
            await made.server("notes2", "evil")
            chat = await made.chat(NOTES, "server:notes2")
            made.will_call(ECHO)
            async with made.person(once) as asked:
                await made.say(chat)
            names = [each["function"]["name"] for each in made.asked()[0]["tools"]]
            assert len(set(names)) == len(names) == 4
            assert asked[0].whose == NOTES
            assert "hello" in contents(made.asked()[1], "tool")[0]

    run(work(), 400)


@pytest.mark.parametrize("mode", ["samples", "elicits"])
def test_a_server_gets_no_answer_of_a_model_and_no_words_of_the_person(legion_home: Path, mode: str) -> None:
    async def work() -> None:
        async with desk(legion_home) as made:
            await made.server("notes", mode)
            chat = await made.chat(NOTES)
            made.will_call(ECHO)
            async with made.person(once) as asked:
                await made.say(chat)
            assert len(asked) == 1
            assert len(made.asked()) == 2
            (call,) = await made.calls(chat)
            assert '"code"' in call.result

    run(work(), 400)


def test_no_token_of_ours_and_nothing_of_our_environment_reaches_a_server(legion_home: Path) -> None:
    async def work() -> None:
        async with desk(legion_home) as made:
            await made.server()
            chat = await made.chat(NOTES)
            token = (legion_home / "token").read_text(encoding="utf-8").strip()
            made.will_call(Call("call_0123456789abc", "mcp-notes-echo", json.dumps({"text": token})))
            async with made.person(once) as asked:
                await made.say(chat)
            # What a model knows of a key it may try to send: the person sees that there is one, not which.
            assert token not in asked[0].arguments

    run(work(), 400)


def test_only_the_window_says_yes_and_only_as_far_as_was_offered(legion_home: Path) -> None:
    async def work() -> None:
        async with desk(legion_home) as made:
            await made.server("notes", "destroys")
            chat = await made.chat(NOTES)
            made.will_call(ECHO)
            waits = asyncio.Event()

            def hold(question: Approval) -> dict[str, object]:
                waits.set()
                return {}

            async with made.person(hold):
                turn = await made.legion.chat.send(chat, "Do it.")
                await waits.wait()
                (question,) = made.legion.mcp.approvals()
                with pytest.raises(Denied):
                    made.legion.mcp.decide(question.id, True, OWNER)
                with pytest.raises(InvalidInput):
                    made.legion.mcp.decide(question.id, True, LOCAL_OWNER, scope="always")
                made.legion.mcp.decide(question.id, False, LOCAL_OWNER)
                await made.legion.chat.finished(turn)
            assert (await made.calls(chat))[0].state == "denied"

    run(work(), 400)
