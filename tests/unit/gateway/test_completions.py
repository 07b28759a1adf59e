"""Text to be gone on with, through the whole pipeline: failed over from its exact place, billed, and never a talk."""

from pathlib import Path

import pytest

from legion_core.gateway.types import Message, ModelOffer, Params, Request, TextBlock, Tier
from legion_core.kernel.errors import StreamBroken, Unsupported
from legion_core.kernel.ports import LOCAL_OWNER
from legion_core.testing.gateway import open_gateway
from legion_core.testing.scripted import ScriptedProvider, say
from tests.support.aio import run

GOES_ON = ModelOffer(
    id="m1",
    context=4096,
    capabilities=frozenset({"streaming", "completions", "fim"}),
    continuation="instruct",  # of talks: a text needs no such word
)
PROMPT = "def add(a, b):\n"


def asked(suffix: str = "") -> Request:
    told = (Message(role="user", content=(TextBlock(text=PROMPT),)),)
    return Request(id="req_1", messages=told, params=Params(max_tokens=16), is_raw=True, suffix=suffix)


@pytest.mark.parametrize("suffix", ["", "\n# end"])
def test_a_text_that_broke_off_goes_on_elsewhere_from_its_exact_place(tmp_path: Path, suffix: str) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            first = ScriptedProvider("first", [*say("    re", "turn")[:2], StreamBroken("It broke.")])
            second = ScriptedProvider("second", say(" a + b", "\n"))
            under_test.put(first, offer=GOES_ON)
            under_test.put(second, Tier.CLOUD, offer=GOES_ON)

            answer = await under_test.gateway.answer(asked(suffix), LOCAL_OWNER)

            assert answer.text == "    return a + b\n"
            (call,) = second.calls
            assert call.prefix == ""
            assert [message.text for message in call.request.messages] == [PROMPT + "    return"]
            assert (call.request.is_raw, call.request.suffix) == (True, suffix)
            assert [attempt.outcome for attempt in answer.closed.attempts] == ["stream_broken", "succeeded"]
            rows = await under_test.gateway.ledger.rows(request="req_1")
            assert sorted(row.instance for row in rows) == ["first", "second"]

    run(scenario())


def test_a_model_that_only_talks_hears_nothing_of_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            box = under_test.put(ScriptedProvider("box", say("Sure!")))

            with pytest.raises(Unsupported, match="completions"):
                await under_test.gateway.answer(asked(), LOCAL_OWNER)

            assert box.calls == []

    run(scenario())
