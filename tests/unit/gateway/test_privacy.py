"""What is private stays on this machine: by request, by conversation, in chat and through the dialects' door."""

from pathlib import Path

import msgspec
import pytest

from legion_core.gateway.types import Pins, Tier
from legion_core.kernel.errors import Unavailable
from legion_core.kernel.ports import LOCAL_OWNER
from legion_core.storage.sqlite import execute
from legion_core.testing.gateway import GatewayUnderTest, ask, open_gateway
from legion_core.testing.scripted import ScriptedProvider, say
from tests.support.aio import run


def cloud_only(under_test: GatewayUnderTest) -> ScriptedProvider:
    return under_test.put(ScriptedProvider("cloud", say("from afar")), Tier.CLOUD)


@pytest.mark.parametrize("pins", [Pins(), Pins(instance="cloud"), Pins(tier=Tier.CLOUD), Pins(model="m1")])
def test_a_private_request_is_not_answered_elsewhere_whatever_it_pins(tmp_path: Path, pins: Pins) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            cloud = cloud_only(under_test)
            request = msgspec.structs.replace(ask(pins=pins), is_private=True)

            with pytest.raises(Unavailable, match="marked private"):
                await under_test.gateway.answer(request, LOCAL_OWNER)

            assert cloud.calls == []

    run(scenario())


def test_a_marked_conversation_stays_here_until_the_mark_is_taken_away(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            cloud, chat = cloud_only(under_test), under_test.gateway.chat
            conversation = await chat.create()
            await under_test.gateway.privacy.mark(conversation.id, True)

            turn = await chat.send(conversation.id, "a secret", pins=Pins(instance="cloud"))
            await chat.finished(turn)
            assert cloud.calls == []

            under_test.put(ScriptedProvider("box", say("from here")))
            answer = await chat.finished(await chat.send(conversation.id, "another"))
            assert answer.text == "from here"

            await under_test.gateway.privacy.mark(conversation.id, False)
            await chat.finished(await chat.send(conversation.id, "no secret", pins=Pins(instance="cloud")))
            assert len(cloud.calls) == 1

    run(scenario())


def test_a_local_answer_that_breaks_off_is_not_continued_elsewhere(tmp_path: Path) -> None:
    async def scenario() -> None:
        from legion_core.gateway.types import TextDelta
        from legion_core.kernel.errors import StreamBroken

        async with open_gateway(tmp_path / "j.db") as under_test:
            under_test.put(ScriptedProvider("box", [TextDelta(text="The secret is "), StreamBroken("gone")]))
            cloud = cloud_only(under_test)

            answer = await under_test.gateway.answer(
                msgspec.structs.replace(ask(), is_private=True), LOCAL_OWNER
            )

            assert answer.closed.stop_reason == "error"
            assert cloud.calls == []

    run(scenario())


def test_the_list_tells_the_mark_and_a_conversation_deleted_for_good_takes_it_along(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            chat, privacy = under_test.gateway.chat, under_test.gateway.privacy
            kept, gone = await chat.create("kept"), await chat.create("gone")
            await privacy.mark(kept.id, True)
            await privacy.mark(gone.id, True)
            assert {row.title: row.is_private for row in await chat.list()} == {"kept": True, "gone": True}

            await chat.trash(gone.id)
            assert await privacy.is_private(gone.id), "it may still be taken back"
            await under_test.database.write(
                lambda connection: execute(
                    connection, "UPDATE conversations SET trashed_at = '2000' WHERE id = ?", [gone.id]
                )
            )
            assert await under_test.gateway.conversations.purge_trash() == 1

            assert not await privacy.is_private(gone.id)
            assert (await chat.open(kept.id)).conversation.is_private

    run(scenario())
