"""Curation in the gateway: after the turn, recognised by content, never in the way, never losing a byte."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from legion_core.gateway.curation import service
from legion_core.gateway.types import (
    Finished,
    Message,
    ModelOffer,
    Request,
    TextBlock,
    ToolDefinition,
    ToolUseBlock,
    Usage,
)
from legion_core.kernel.errors import NotFound
from legion_core.kernel.ports import LOCAL_OWNER
from legion_core.storage.sqlite import row
from legion_core.testing.faults import armed, failing
from legion_core.testing.gateway import GatewayUnderTest, open_gateway
from legion_core.testing.scripted import ScriptedProvider, call_tool, say
from tests.support.aio import run
from tests.unit.gateway.curation.sessions import history, said, steps
from tests.unit.gateway.curation.test_curator import faults

TURNS = 40
MORE = Message(role="user", content=(TextBlock(text="Go on."),))
CALLED = Finished(stop_reason="tool_use", usage=Usage(input_tokens=5, output_tokens=5))


def request(messages: Sequence[Message], number: int, **more: object) -> Request:
    made = Request(id=f"req_{number}", messages=tuple(messages))
    return msgspec.structs.replace(made, **more) if more else made


def put(under_test: GatewayUnderTest) -> ScriptedProvider:
    offer = ModelOffer(
        id="m1", context=400_000, capabilities=frozenset({"streaming", "tools"}), continuation="prefill"
    )
    return under_test.put(ScriptedProvider("box", say("ok"), models=(offer,)), offer=offer)


async def newest(under_test: GatewayUnderTest) -> str:
    found = await under_test.database.read(
        lambda connection: row(connection, "SELECT id FROM curations ORDER BY fed DESC LIMIT 1")
    )
    assert found is not None
    return str(found[0])


async def idle(under_test: GatewayUnderTest) -> None:
    """Wait until no curator is at work."""
    waited = ("curate", "pause") if service.CACHE_TTL_S == 0 else ("curate",)
    while any(name.startswith(waited) for name in under_test.supervisor.census):
        await asyncio.sleep(0)


async def play(under_test: GatewayUnderTest, turns: int = TURNS, **more: object) -> list[Message]:
    """A client that resends its whole history with each request."""
    messages = list[Message]()
    for number, new in enumerate(steps(turns), 1):
        messages += new
        await under_test.gateway.answer(request(messages, number, **more), LOCAL_OWNER)
        await idle(under_test)
    return messages


def tokens(messages: Sequence[Message]) -> int:
    return sum(
        len(block.arguments if isinstance(block, ToolUseBlock) else getattr(block, "text", "")) // 4
        for message in messages
        for block in message.content
    )


@pytest.mark.requirement("curation.off-path")
def test_a_client_that_resends_its_history_is_sent_shortened(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            box = put(under_test)
            messages = await play(under_test)

            sent = box.calls[-1].request
            assert tokens(sent.messages) < 0.5 * tokens(messages)
            assert faults(sent.messages) == []
            assert [tool.name for tool in sent.tools] == ["recall"]
            assert box.calls[5].request.tools == ()
            assert box.calls[5].request.messages == tuple(history(6))

    run(scenario())


def test_turned_off_by_its_header_a_request_goes_out_as_it_came(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            box = put(under_test)
            messages = await play(under_test, curate=False)

            assert box.calls[-1].request.messages == tuple(messages)
            assert box.calls[-1].request.tools == ()

    run(scenario())


def test_what_the_model_recalls_is_answered_here_and_the_client_sees_one_answer(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            box = put(under_test)
            messages = await play(under_test)
            box.then((*call_tool("recall", json.dumps({"query": "#4"})), CALLED), say("found it"))
            before = len(box.calls)

            answer = await under_test.gateway.answer(request([*messages, MORE], 900), LOCAL_OWNER)

            assert answer.text == "found it"
            assert answer.tool_calls == ()
            assert answer.closed.stop_reason == "end_turn"
            assert [attempt.number for attempt in answer.closed.attempts] == [1, 2]
            asked = box.calls[before + 1].request.messages
            assert "compute_file_4" in asked[-1].content[0].text  # type: ignore[union-attr]
            assert faults(asked) == []

    run(scenario())


def test_a_tool_of_the_client_is_given_out_and_not_taken_for_ours(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            box = put(under_test)
            own = (ToolDefinition(name="recall"),)
            messages = await play(under_test, tools=own)
            box.then((*call_tool("recall", "{}"), CALLED))

            answer = await under_test.gateway.answer(request([*messages, MORE], 900, tools=own), LOCAL_OWNER)

            assert [call.name for call in answer.tool_calls] == ["recall"]
            assert [tool.name for tool in box.calls[-1].request.tools] == ["recall", "legion_recall"]

    run(scenario())


def test_beside_long_definitions_recall_is_offered_from_the_first_request_on(tmp_path: Path) -> None:
    """So it never comes into a prefix that a provider has in its cache already."""

    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            box = put(under_test)
            own = (ToolDefinition(name="bash", description="Runs a command. " * 3_000),)
            await play(under_test, 12, tools=own)
            assert {tuple(tool.name for tool in call.request.tools) for call in box.calls} == {
                ("bash", "recall")
            }
            kept = await under_test.curation._store.of_conversation(await newest(under_test))
            assert kept is not None
            assert {mark.entering_tokens for mark in kept.marks} == {0}

            box.then((*call_tool("recall", json.dumps({"query": "#1"})), CALLED), say("nothing there"))
            first = request([MORE], 901, tools=own)
            assert (await under_test.gateway.answer(first, LOCAL_OWNER)).text == "nothing there"
            off = await under_test.gateway.answer(request([MORE], 902, tools=own, curate=False), LOCAL_OWNER)
            assert off.closed.stop_reason == "end_turn"
            assert [tool.name for tool in box.calls[-1].request.tools] == ["bash"]

    run(scenario())


def test_beside_short_definitions_recall_comes_with_the_first_edit_and_its_coming_is_counted(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            box = put(under_test)
            own = (ToolDefinition(name="bash", description="Runs a command. " * 100),)
            await play(under_test, tools=own)
            offered = [len(call.request.tools) for call in box.calls]
            assert offered == sorted(offered)
            assert set(offered) == {1, 2}
            kept = await under_test.curation._store.of_conversation(await newest(under_test))
            assert kept is not None
            assert {mark.entering_tokens for mark in kept.marks} == {491}

    run(scenario())


def test_after_a_restart_the_view_is_the_same_and_goes_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            box = put(under_test)
            messages = await play(under_test)
            more = [*messages, MORE]
            under_test.curation.after = lambda _: None  # type: ignore[method-assign]
            await under_test.gateway.answer(request(more, 900), LOCAL_OWNER)
            first = box.calls[-1].request.messages
        async with open_gateway(tmp_path / "j.db") as under_test:
            box = put(under_test)
            await under_test.gateway.answer(request(more, 901), LOCAL_OWNER)
            await idle(under_test)
            assert box.calls[-1].request.messages == first

            await under_test.gateway.answer(request([*more, said("Yes."), MORE], 902), LOCAL_OWNER)
            assert faults(box.calls[-1].request.messages) == []
            assert tokens(box.calls[-1].request.messages) < 0.5 * tokens(messages)

    run(scenario())


def test_in_a_pause_the_view_is_made_shorter_and_a_restart_makes_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        monkeypatch.setattr(service, "CACHE_TTL_S", 0.0)
        async with open_gateway(tmp_path / "j.db") as under_test:
            box = put(under_test)
            messages = await play(under_test, 20)
            assert faults(box.calls[-1].request.messages) == []
        async with open_gateway(tmp_path / "j.db") as under_test:
            kept = await under_test.curation._store.of_conversation(await newest(under_test))
            assert kept is not None
            assert any(mark.is_idle for mark in kept.marks)
            live = await under_test.curation._fed(kept, messages[: kept.fed])
            assert live.curator.view().messages == kept.view

    run(scenario())


def test_a_repeated_request_shows_its_last_results_whole(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            box = put(under_test)
            messages = await play(under_test)
            before = box.calls[-1].request.messages

            await under_test.gateway.answer(request(messages, 900), LOCAL_OWNER)
            await idle(under_test)

            assert box.calls[-1].request.messages == before

    run(scenario())


@pytest.mark.allow_log("curate|injected")
@pytest.mark.parametrize("site", ["curation.archive", "curation.view"])
@pytest.mark.parametrize("visit", [1, 3])
def test_a_curator_that_dies_midway_loses_nothing_and_harms_nothing(
    tmp_path: Path, site: str, visit: int
) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            box = put(under_test)
            with armed(failing(site, visit=visit)) as plan:
                messages = await play(under_test)
            assert plan.fired[site] == 1

            sent = box.calls[-1].request.messages
            assert faults(sent) == []
            everything = "\0".join(
                [piece.text for piece in await under_test.curation._store.removed(await newest(under_test))]
                + [getattr(b, "arguments", getattr(b, "text", "")) for m in sent for b in m.content]
            )
            for message in messages:
                for block in message.content:
                    assert getattr(block, "arguments", getattr(block, "text", "")) in everything

    run(scenario())


def test_a_kept_conversation_is_curated_shown_undone_and_kept(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            box = put(under_test)
            conversations, curation = under_test.gateway.conversations, under_test.curation
            none = await curation.meter("nobody")
            assert (none.naive_tokens, none.epoch) == (0, 0)
            await conversations.ensure("work")
            for number, new in enumerate(steps(TURNS), 1):
                await under_test.gateway.answer(
                    request(new if number == 1 else [*_last(new)], number, conversation_id="work"),
                    LOCAL_OWNER,
                )
                await idle(under_test)

            meter = await curation.meter("work")
            assert meter.curated_tokens <= meter.naive_tokens
            assert meter.is_on
            await curation.set_on("work", False)
            ids, messages = await conversations.named_history("work")
            seen = await curation.seen("work", messages, ids)
            assert len(seen) == len(messages)
            await under_test.gateway.answer(
                request(
                    [Message(role="user", content=(TextBlock(text="and?"),))], 900, conversation_id="work"
                ),
                LOCAL_OWNER,
            )
            assert len(box.calls[-1].request.messages) == len(messages) + 1

    run(scenario())


def _last(new: Sequence[Message]) -> Sequence[Message]:
    """What a client that keeps its conversation here says anew: no answers."""
    return [message for message in new if message.role != "assistant"] or new


def test_undo_gives_back_what_an_edit_took(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            box = put(under_test)
            messages = await play(under_test)
            curation = under_test.curation
            name = await newest(under_test)
            edit = next(edit for edit in await curation.edits(name) if edit.archive_key == "#4")

            await under_test.gateway.answer(request([*messages, MORE], 900), LOCAL_OWNER)
            await idle(under_test)
            sent = box.calls[-1].request.messages
            messages = [*messages, MORE]
            await curation.undo(name, edit.number, messages)

            assert (await curation.edits(name))[edit.number - 1].is_undone
            await under_test.gateway.answer(request([*messages, MORE], 901), LOCAL_OWNER)
            assert tokens(box.calls[-1].request.messages) > tokens(sent)
            with pytest.raises(NotFound):
                await curation.undo(name, 10_000, messages)
            parts = await curation.seen(name, messages, [str(n) for n in range(len(messages))])
            assert {part.state for part in parts} >= {"same", "gone"}

    run(scenario())


def test_an_edit_of_a_way_the_conversation_no_longer_goes_is_not_taken_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            put(under_test)
            messages = await play(under_test)
            curation = under_test.curation
            name = await newest(under_test)
            edit = next(edit for edit in await curation.edits(name) if edit.archive_key == "#4")
            elsewhere = [msgspec.structs.replace(messages[0], content=MORE.content), *messages[1:]]
            with pytest.raises(NotFound, match="another way"):
                await curation.undo(name, edit.number, elsewhere)
            assert not (await curation.edits(name))[edit.number - 1].is_undone

    run(scenario())


def test_the_archive_is_no_larger_than_what_it_holds(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            put(under_test)
            messages = await play(under_test, 90)
            found = await under_test.database.read(
                lambda connection: row(
                    connection,
                    "SELECT (SELECT sum(length(data) + 60) FROM texts)"
                    " + (SELECT sum(length(key) + length(ids) + length(label) + 40) FROM curation_archive)"
                    " + (SELECT sum(length(edit)) FROM curation_edits) + (SELECT sum(length(view) + length(marks)) FROM curations)",
                )
            )
            assert found is not None
            raw = sum(
                len(getattr(b, "arguments", getattr(b, "text", ""))) for m in messages for b in m.content
            )
            assert int(str(found[0])) <= 0.5 * raw

    run(scenario())


def test_what_a_client_never_came_back_to_is_forgotten_with_its_texts(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            put(under_test)
            await play(under_test, 20)
            store = under_test.curation._store

            assert await store.purge("2000-01-01", "2000-01-01") == 0
            assert await store.purge("9999-01-01", "9999-01-01") > 0
            for table in (
                "curations",
                "texts",
                "curation_archive",
                "curation_edits",
                "curated_requests",
            ):
                left = await under_test.database.read(
                    lambda connection, table=table: row(connection, f"SELECT count(*) FROM {table}")
                )
                assert left == (0,)

    run(scenario())
