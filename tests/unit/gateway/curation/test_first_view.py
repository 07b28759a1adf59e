"""A long history that was never seen (a chat that was taken in, a session that is resumed) is curated before it goes out."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from legion_core.gateway.conversations import Conversations
from legion_core.gateway.curation import service
from legion_core.gateway.import_types import ImportedChat, Node
from legion_core.gateway.types import Message, ToolResultBlock, ToolUseBlock
from legion_core.kernel.ports import LOCAL_OWNER
from legion_core.storage.sqlite import row
from legion_core.testing.faults import armed, failing
from legion_core.testing.gateway import open_gateway
from tests.support.aio import run
from tests.unit.gateway.curation.sessions import history, said, user
from tests.unit.gateway.curation.test_curator import faults
from tests.unit.gateway.curation.test_service import idle, newest, put, request, tokens

LONG = 120


@pytest.fixture(autouse=True)
def _sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "FIRST_TOKENS_LEAST", 4_000)


def calls_in(messages: Sequence[Message]) -> int:
    return sum(
        isinstance(block, ToolUseBlock | ToolResultBlock) for message in messages for block in message.content
    )


async def taken_in(conversations: Conversations, messages: Sequence[Message]) -> str:
    """The id of a chat that another program kept."""
    nodes = [Node(message=each, parent=n - 1 if n else None) for n, each in enumerate(messages)]
    taken = await conversations.take_in([ImportedChat(nodes=nodes, head=len(nodes) - 1)])
    return taken.made[0]


@pytest.mark.requirement("curation.first-view")
def test_it_is_curated_before_it_goes_out_and_nothing_of_it_is_lost(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            box = put(under_test)
            messages = [*history(LONG), user("And now?")]
            await under_test.gateway.answer(request(messages, 1), LOCAL_OWNER)
            sent = box.calls[-1].request
            assert tokens(sent.messages) < 0.3 * tokens(messages)
            assert faults(sent.messages) == []
            assert [tool.name for tool in sent.tools] == ["recall"]
            name = await newest(under_test)
            found = await under_test.curation.recall(name, "#4")
            everything = {getattr(block, "text", "") for message in messages for block in message.content}
            assert found[0].text in everything

    run(scenario())


def test_the_results_that_came_last_are_whole(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            box = put(under_test)
            messages = history(LONG)
            while messages[-1].role != "tool":
                messages.pop()
            await under_test.gateway.answer(request(messages, 1), LOCAL_OWNER)
            sent = box.calls[-1].request.messages
            assert sent[-2:] == tuple(messages[-2:])
            assert tokens(sent) < 0.3 * tokens(messages)

    run(scenario())


def test_a_short_one_goes_out_as_it_came(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            box = put(under_test)
            messages = [*history(4), user("And now?")]
            await under_test.gateway.answer(request(messages, 1), LOCAL_OWNER)
            assert box.calls[-1].request.messages == tuple(messages)

    run(scenario())


def test_asked_twice_at_once_it_is_curated_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            box = put(under_test)
            messages = [*history(LONG), user("And now?")]
            await asyncio.gather(
                *(under_test.gateway.answer(request(messages, n), LOCAL_OWNER) for n in range(3))
            )
            await idle(under_test)
            assert len({tuple(call.request.messages) for call in box.calls}) == 1
            made = await under_test.database.read(
                lambda connection: row(connection, "SELECT count(*) FROM curations")
            )
            assert made == (1,)

    run(scenario())


def test_a_curator_that_fails_then_does_not_hold_the_request_up(
    tmp_path: Path,
) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            box = put(under_test)
            messages = [*history(LONG), user("And now?")]
            with armed(failing("curation.view")) as plan:
                await under_test.gateway.answer(request(messages, 1), LOCAL_OWNER)
            assert plan.fired["curation.view"] == 1
            assert box.calls[-1].request.messages == tuple(messages)
            await idle(under_test)

    run(scenario())


def test_after_a_restart_it_goes_on_and_a_request_that_is_repeated_stays_short(tmp_path: Path) -> None:
    messages = [*history(LONG), user("And now?")]

    async def ask(number: int, *more: Message) -> tuple[Message, ...]:
        async with open_gateway(tmp_path / "j.db") as under_test:
            box = put(under_test)
            await under_test.gateway.answer(request([*messages, *more], number), LOCAL_OWNER)
            await idle(under_test)
            return box.calls[-1].request.messages

    first = run(ask(1))
    repeated = run(ask(2))
    longer = run(ask(3, said("ok"), user("Go on.")))
    assert longer[-2:] == (said("ok"), user("Go on."))
    assert longer[: len(first) - 1] == first[:-1]  # the cached beginning stays
    for sent in (repeated, longer):
        assert faults(sent) == []
        assert tokens(sent) < 0.3 * tokens(messages)


def test_a_chat_that_was_taken_in_can_be_prepared_before_it_is_asked(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            box = put(under_test)
            conversations, curation = under_test.gateway.conversations, under_test.curation
            chat = await taken_in(conversations, history(LONG))
            ids, messages = await conversations.named_history(chat)
            assert (await curation.meter(chat)).naive_tokens == 0
            await curation.prepare(chat, messages)
            meter = await curation.meter(chat)
            assert meter.curated_tokens < 0.3 * meter.naive_tokens
            seen = await curation.seen(chat, messages, ids)
            assert {part.state for part in seen} >= {"same", "gone"}

            await under_test.gateway.answer(request([user("And now?")], 1, conversation_id=chat), LOCAL_OWNER)
            sent = box.calls[-1].request
            assert calls_in(messages)
            assert not calls_in(sent.messages)  # a chat without tools is sent words
            assert tokens(sent.messages) < 0.4 * tokens(messages)

    run(scenario())


def test_looked_at_again_it_is_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            put(under_test)
            chat = await taken_in(under_test.gateway.conversations, history(LONG))
            ids, messages = await under_test.gateway.conversations.named_history(chat)
            await under_test.curation.prepare(chat, messages)
            fed: list[int] = []
            add = service.Curator.add

            def counted(self: service.Curator, new: Sequence[Message]) -> None:
                fed.append(len(new))
                add(self, new)

            monkeypatch.setattr(service.Curator, "add", counted)
            first = await under_test.curation.seen(chat, messages, ids)
            assert await under_test.curation.seen(chat, messages, ids) == first
            assert fed == []

    run(scenario())
