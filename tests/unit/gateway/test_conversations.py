"""Chats kept here: branches, search, trash, and nothing lost when the process dies."""

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legion_core.gateway.conversation_types import AnswerEnded, AnswerGrew, AnswerOpened, AnswerStarted
from legion_core.gateway.conversations import title_from
from legion_core.gateway.types import TextDelta
from legion_core.kernel.errors import Conflict, ConnectionLost, InvalidInput, NotFound
from legion_core.kernel.ports import LOCAL_OWNER
from legion_core.testing.gateway import ask, open_gateway
from legion_core.testing.scripted import ScriptedProvider, Stall, Wait, say
from tests.support.aio import run


def test_a_question_makes_a_chat_with_a_title_and_a_complete_answer(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            chat = under_test.gateway.chat
            under_test.put(ScriptedProvider("box", say("Paris", ".")))

            turn = await chat.send(None, "# What is the capital of France?\nShort, please.")
            answer = await chat.finished(turn)
            view = await chat.open(turn.conversation_id)

            assert (answer.text, answer.status, answer.tier, answer.instance) == (
                "Paris.",
                "complete",
                "local",
                "box",
            )
            assert view.conversation.title == "What is the capital of France?"
            assert [message.role for message in view.messages] == ["user", "assistant"]
            assert answer.attempts[0].outcome == "succeeded"

    run(scenario())


def test_the_model_sees_the_whole_branch_and_no_other(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            chat = under_test.gateway.chat
            box = under_test.put(ScriptedProvider("box", say("a1"), say("a2"), say("b2"), say("c1")))
            first = await chat.send(None, "q1")
            await chat.finished(first)
            second = await chat.send(first.conversation_id, "q2")
            await chat.finished(second)
            edited = await chat.edit(second.question.id, "q2 in other words")
            await chat.finished(edited)

            assert [message.text for message in box.calls[2].request.messages] == [
                "q1",
                "a1",
                "q2 in other words",
            ]
            view = await chat.open(first.conversation_id)
            assert [message.text for message in view.messages] == ["q1", "a1", "q2 in other words", "b2"]
            assert (view.messages[2].variant, view.messages[2].variants) == (2, 2)

            back = await chat.choose(second.question.id)
            assert [message.text for message in back.messages] == ["q1", "a1", "q2", "a2"]

            again = await chat.regenerate(first.answer_id)
            assert (await chat.finished(again)).variant == 2
            assert [message.text for message in box.calls[3].request.messages] == ["q1"]

    run(scenario())


def test_watchers_see_the_answer_start_grow_without_a_gap_and_end(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            under_test.put(ScriptedProvider("box", say("one ", "two ", "three")))
            with under_test.bus.subscribe(AnswerStarted, AnswerOpened, AnswerGrew, AnswerEnded) as events:
                turn = await under_test.gateway.chat.send(None, "count")
                await under_test.gateway.chat.finished(turn)
                seen = events.take_nowait()

            assert isinstance(seen[0], AnswerStarted)
            assert isinstance(seen[-1], AnswerEnded)
            assert isinstance(seen[1], AnswerOpened)
            assert (seen[1].tier, seen[1].instance, seen[1].model) == ("local", "box", "m1")
            text = ""
            for event in seen[2:-1]:
                assert isinstance(event, AnswerGrew)
                assert event.at_char == len(text)
                text += event.text
            assert text == seen[-1].message.text == "one two three"

    run(scenario())


def test_stopping_keeps_the_text_so_far_and_frees_the_chat(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            chat = under_test.gateway.chat
            box = under_test.put(
                ScriptedProvider("box", [TextDelta(text="half", tokens=1), Stall()], say("ok"))
            )
            with under_test.bus.subscribe(AnswerGrew) as grown:
                turn = await chat.send(None, "go on for ever")
                await grown.take()
            with pytest.raises(Conflict):
                await chat.send(turn.conversation_id, "and another")

            assert await chat.stop(turn.conversation_id)
            stopped = await chat.finished(turn)
            assert (stopped.text, stopped.status) == ("half", "stopped")
            assert box.open_streams == 0
            assert not await chat.stop(turn.conversation_id)
            assert (await chat.finished(await chat.send(turn.conversation_id, "more"))).text == "ok"

    run(scenario())


def test_an_answer_that_failed_holds_the_sentence_and_can_be_asked_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            chat = under_test.gateway.chat
            under_test.put(ScriptedProvider("box", [ConnectionLost("No route to box.")], say("ok")))
            turn = await chat.send(None, "hello")
            failed = await chat.finished(turn)

            assert (failed.status, failed.error) == ("failed", "No route to box.")
            assert (await chat.finished(await chat.regenerate(turn.answer_id))).text == "ok"

    run(scenario())


def test_what_a_killed_process_left_half_written_is_an_interrupted_answer(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            gate = asyncio.Event()
            under_test.put(ScriptedProvider("box", [TextDelta(text="x" * 600, tokens=1), Wait(gate)]))
            with under_test.bus.subscribe(AnswerGrew) as grown:
                turn = await under_test.gateway.chat.send(None, "go on")
                await grown.take()
            # The killed process cannot say goodbye: another opens the same journal while this one hangs.
            async with open_gateway(tmp_path / "j.db") as after:
                found = (await after.gateway.chat.open(turn.conversation_id)).messages[-1]
                assert (found.status, found.text) == ("interrupted", "x" * 600)
                assert "stopped while this answer was being written" in found.error

    run(scenario())


def test_search_finds_words_in_messages_and_titles_and_shows_where(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            chat = under_test.gateway.chat
            under_test.put(ScriptedProvider("box", say("The gauge reads 1.82 metres."), say("No idea.")))
            gauge = await chat.send(None, "Read the instrument")
            await chat.finished(gauge)
            other = await chat.send(None, "Ünïcode title")
            await chat.finished(other)

            found = await chat.list("gaug metres")
            assert [hit.id for hit in found] == [gauge.conversation_id]
            assert "«gauge»" in found[0].snippet
            assert [hit.id for hit in await chat.list("unicode")] == [other.conversation_id]
            for hostile in ('"', "* OR", "NEAR(", "%", "a AND", "'; DROP TABLE messages; --", "()", "\\"):
                await chat.list(hostile)
            assert len(await chat.list()) == 2

    run(scenario())


def test_trash_hides_a_chat_and_restore_brings_it_back_whole(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            chat = under_test.gateway.chat
            under_test.put(ScriptedProvider("box", say("ok")))
            turn = await chat.send(None, "keep me")
            await chat.finished(turn)

            await chat.trash(turn.conversation_id)
            assert await chat.list() == ()
            assert len(await chat.list(trashed=True)) == 1
            await chat.restore(turn.conversation_id)
            assert len((await chat.open(turn.conversation_id)).messages) == 2

    run(scenario())


def test_pinned_chats_come_first_and_drafts_are_kept(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            chat = under_test.gateway.chat
            first = await chat.create("first")
            await chat.create("second")
            await chat.pin(first.id, True)
            await chat.save_draft(first.id, "not yet sent")

            listed = await chat.list()
            assert [found.title for found in listed] == ["first", "second"]
            assert listed[0].draft == "not yet sent"

    run(scenario())


def test_unknown_ids_and_empty_words_are_refused_with_a_sentence(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            chat = under_test.gateway.chat
            with pytest.raises(NotFound):
                await chat.open("cnv_nope")
            with pytest.raises(InvalidInput):
                await chat.send(None, "  \n ")
            with pytest.raises(NotFound):
                await chat.rename("cnv_nope", "x")

    run(scenario())


def test_a_client_that_names_a_conversation_has_its_history_kept_here(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            gateway = under_test.gateway
            box = under_test.put(ScriptedProvider("box", say("a1"), say("a2")))
            import msgspec

            for number, text in enumerate(("q1", "q2")):
                request = msgspec.structs.replace(
                    ask(text, request_id=f"req_{number}"), conversation_id="mine"
                )
                await gateway.answer(request, LOCAL_OWNER)

            assert [message.text for message in box.calls[1].request.messages] == ["q1", "a1", "q2"]
            view = await gateway.chat.open("mine")
            assert [message.text for message in view.messages] == ["q1", "a1", "q2", "a2"]

    run(scenario())


def test_an_export_is_whole_and_inert(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            chat = under_test.gateway.chat
            under_test.put(ScriptedProvider("box", say("<script>alert(1)</script>")))
            turn = await chat.send(None, "x & y")
            await chat.finished(turn)

            page = await chat.export(turn.conversation_id, "html")
            assert "<script" not in page
            assert "&lt;script&gt;" in page
            assert "x & y" in await chat.export(turn.conversation_id, "md")
            assert '"text": "x & y"' in await chat.export(turn.conversation_id, "json")

    run(scenario())


def test_a_title_has_no_marks_and_no_full_stop_before_what_is_cut() -> None:
    assert title_from("## Fix `parse()` in **lexer**") == "Fix parse() in lexer"
    assert (
        title_from(f"Now accept the item broker in `buildManifestSession`. {'Always ' * 9}").count("`") == 0
    )
    assert title_from("word " * 11 + "end. " + "more " * 9).endswith("end…")


@given(st.text(max_size=300))
def test_a_title_is_one_short_line(text: str) -> None:
    title = title_from(text)

    assert len(title.splitlines()) <= 1
    assert len(title) <= 61
