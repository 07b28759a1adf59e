"""What is private stays on this machine: by request, by conversation, in chat and through the dialects' door."""

from pathlib import Path

import msgspec
import pytest

from legion_core.gateway.types import Pins, Tier
from legion_core.kernel.errors import Unavailable
from legion_core.kernel.ports import LOCAL_OWNER
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
