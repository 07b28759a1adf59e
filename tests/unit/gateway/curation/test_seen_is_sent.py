"""What the window shows as what the model will see is what the next request carries, word for word."""

from pathlib import Path

from legion_core.gateway.curation.service import _words as words
from legion_core.gateway.types import Message, TextBlock
from legion_core.kernel.ports import LOCAL_OWNER
from legion_core.storage.sqlite import row
from legion_core.testing.gateway import open_gateway
from tests.support.aio import run
from tests.unit.gateway.curation.sessions import steps
from tests.unit.gateway.curation.test_service import TURNS, idle, put, request


def test_what_is_shown_as_seen_by_the_model_is_what_it_is_sent(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            box, messages, shortened = put(under_test), list[Message](), 0
            for number, new in enumerate(steps(TURNS), 1):
                known = await under_test.database.read(lambda db: row(db, "SELECT id FROM curations"))
                name = str(known[0]) if known is not None else "nobody"
                ids = [str(place) for place in range(len(messages))]
                seen = await under_test.curation.seen(name, messages, ids)
                messages += new
                await under_test.gateway.answer(request(messages, number), LOCAL_OWNER)
                sent = [words(message) for message in box.calls[-1].request.messages]
                shown = [part.after for part in seen if part.state != "gone"]
                assert sent == [*shown, *(words(message) for message in new)]
                await idle(under_test)
                shortened += any(part.state != "same" for part in seen)
            assert shortened

    run(scenario())


def test_where_nothing_is_left_out_the_meter_says_that_nothing_was_saved(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            put(under_test)
            await under_test.gateway.conversations.ensure("short")
            asked = [Message(role="user", content=(TextBlock(text="Good morning."),))]
            await under_test.gateway.answer(request(asked, 1, conversation_id="short"), LOCAL_OWNER)
            await idle(under_test)
            meter = await under_test.curation.meter("short")
            assert meter.naive_tokens == meter.curated_tokens
            assert not [each for each in meter.by_strategy if each.tokens]

    run(scenario())
