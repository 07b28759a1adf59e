"""An answer that breaks at any event of any wire goes on at another provider: every character once. App. B1."""

from pathlib import Path
from typing import Any

import pytest

from legion_core.gateway.inventory import Instance
from legion_core.gateway.providers.registry import make
from legion_core.gateway.types import (
    Closed,
    Joined,
    Message,
    ModelOffer,
    Opened,
    Request,
    StreamEvent,
    TextBlock,
    TextDelta,
    Tier,
)
from legion_core.kernel.clock import SystemClock
from legion_core.kernel.ports import OWNER
from legion_core.testing.gateway import open_gateway
from legion_core.testing.upstreams import Answer, Die, Recorded, Stall, Upstream, WireName, events_of
from tests.contract.gateway.benches import LIMITS
from tests.support import aio

WIRES: tuple[WireName, ...] = ("openai", "anthropic", "ollama", "gemini", "bedrock")
PIECES = ("Es ", "war ", "ein", "mal ", "ein 😀", " König.")
WHOLE = "".join(PIECES)


def rest_of(recorded: Recorded) -> Answer:
    """A model that continues what the last assistant message began."""
    asked = recorded.json
    last: Any = (asked.get("messages") or asked["contents"])[-1]
    if last["role"] not in ("assistant", "model"):
        return Answer(PIECES)
    said = last.get("content") or last["parts"]
    begun = said if isinstance(said, str) else said[0]["text"]
    assert WHOLE.startswith(begun)
    return Answer((WHOLE[len(begun) :],)) if begun != WHOLE else Answer(())


@pytest.mark.requirement("gateway.any-to-any")
@pytest.mark.requirement("gateway.mid-stream")
@pytest.mark.parametrize("second", WIRES)
@pytest.mark.parametrize("first", WIRES)
def test_a_stream_cut_at_any_event_goes_on_elsewhere_and_loses_nothing(
    first: WireName, second: WireName, tmp_path: Path
) -> None:
    async def main() -> None:
        cuts = len(events_of(first, Answer(PIECES)))
        async with (
            open_gateway(tmp_path / "journal.db") as under_test,
            Upstream(first) as dying,
            Upstream(second) as living,
        ):
            offer = ModelOffer(id="m1", context=32_768, continuation="prefill")
            for name, upstream, tier in (("one", dying, Tier.LOCAL), ("two", living, Tier.DIRECT)):
                provider = make(
                    name,
                    upstream.wire,
                    SystemClock(),
                    base_url=upstream.base_url,
                    api_key="any",
                    models=(offer,),
                    limits=LIMITS,
                )
                under_test.gateway.inventory.put(Instance(provider=provider, tier=tier, offers=(offer,)))
            living.will(rest_of)
            for cut in range(cuts):
                under_test.health.forget("one")
                dying.will(Answer(PIECES, fault=Die(cut)))
                request = Request(
                    id=f"r{cut}", messages=(Message(role="user", content=(TextBlock(text="Erzähl."),)),)
                )
                events: list[StreamEvent] = []
                async with under_test.gateway.stream(request, OWNER) as stream:
                    async for event in stream:
                        events.append(event)
                assert "".join(e.text for e in events if isinstance(e, TextDelta)) == WHOLE, cut
                assert isinstance(events[0], Opened)
                assert sum(isinstance(event, Opened) for event in events) == 1
                last = events[-1]
                assert isinstance(last, Closed)
                assert last.stop_reason == "end_turn"
                for event in events:
                    if isinstance(event, Joined):
                        assert WHOLE[: event.seam.at_char] == "".join(
                            e.text for e in events[: events.index(event)] if isinstance(e, TextDelta)
                        )
            for provider in under_test.gateway.inventory.providers.values():
                await provider.aclose()

    aio.run(main(), bound_s=100)


def test_a_stream_that_falls_silent_goes_on_elsewhere(tmp_path: Path) -> None:
    from legion_core.gateway.providers.wire import Limits

    async def main() -> None:
        async with (
            open_gateway(tmp_path / "journal.db") as under_test,
            Upstream("openai") as silent,
            Upstream("ollama") as living,
        ):
            offer = ModelOffer(id="m1", context=32_768, continuation="prefill")
            quick = Limits(connect_s=5, first_event_s=5, idle_s=0.2, answer_s=5)
            for name, upstream, tier in (("one", silent, Tier.LOCAL), ("two", living, Tier.DIRECT)):
                provider = make(
                    name,
                    upstream.wire,
                    SystemClock(),
                    base_url=upstream.base_url,
                    models=(offer,),
                    limits=quick,
                )
                under_test.gateway.inventory.put(Instance(provider=provider, tier=tier, offers=(offer,)))
            silent.will(Answer(PIECES, fault=Stall(4)))
            living.will(rest_of)
            request = Request(id="r", messages=(Message(role="user", content=(TextBlock(text="Erzähl."),)),))
            async with under_test.gateway.stream(request, OWNER) as stream:
                text = "".join([event.text async for event in stream if isinstance(event, TextDelta)])
            assert text == WHOLE
            assert silent.questions[0].was_left
            for provider in under_test.gateway.inventory.providers.values():
                await provider.aclose()

    aio.run(main())
