"""Deltas that go to an outlet while the reader of their answer sleeps: whatever breaks where, the whole of it, in order."""

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from legion_core.gateway.inventory import Instance
from legion_core.gateway.patience import Patience
from legion_core.gateway.providers.registry import make
from legion_core.gateway.reading import Ready
from legion_core.gateway.types import (
    Chunk,
    Closed,
    Joined,
    Message,
    ModelOffer,
    Opened,
    Request,
    TextBlock,
    TextDelta,
    Tier,
)
from legion_core.kernel.clock import SystemClock
from legion_core.kernel.ports import OWNER
from legion_core.testing.gateway import open_gateway
from legion_core.testing.upstreams import Answer, Die, Stall, Upstream, WireName, events_of
from tests.contract.gateway.benches import LIMITS
from tests.contract.gateway.test_failover_over_wires import PIECES, WHOLE, WIRES, rest_of
from tests.support import aio

OFFER = ModelOffer(id="m1", context=32_768, continuation="prefill")
DRIP_S = 0.0001


class Page:
    """What a client has on its page, whichever way it came; the short way is open now and then."""

    def __init__(self, seed: int | None = None) -> None:
        self.begun = asyncio.Event()
        self.text = ""
        self.given = 0
        self._rng = random.Random(seed) if seed is not None else None

    @property
    def is_open(self) -> bool:
        return self._rng is None or self._rng.random() < 0.7

    def give(self, delta: Ready) -> None:
        assert isinstance(delta, TextDelta)
        self.given += 1
        self.text += delta.text
        self.begun.set()


def asking(number: int = 0) -> Request:
    return Request(id=f"r{number}", messages=(Message(role="user", content=(TextBlock(text="Erzähl."),)),))


@asynccontextmanager
async def bench(tmp_path: Path, first: WireName, second: WireName) -> AsyncGenerator[tuple[Any, Upstream]]:
    """A gateway with two upstreams behind it, and the first of them."""
    async with (
        open_gateway(tmp_path / "journal.db") as under_test,
        Upstream(first) as dying,
        Upstream(second) as living,
    ):
        for name, upstream, tier in (("one", dying, Tier.LOCAL), ("two", living, Tier.DIRECT)):
            provider = make(
                name,
                upstream.wire,
                SystemClock(),
                base_url=upstream.base_url,
                api_key="any",
                models=(OFFER,),
                limits=LIMITS,
            )
            under_test.gateway.inventory.put(Instance(provider=provider, tier=tier, offers=(OFFER,)))
        living.will(rest_of)
        yield under_test, dying
        for provider in under_test.gateway.inventory.providers.values():
            await provider.aclose()


@pytest.mark.requirement("gateway.mid-stream")
@pytest.mark.parametrize("first", WIRES)
def test_a_stream_cut_at_any_event_is_whole_by_either_way(first: WireName, tmp_path: Path) -> None:
    async def main() -> None:
        given = 0
        async with bench(tmp_path, first, "openai") as (under_test, dying):
            for cut in range(len(events_of(first, Answer(PIECES)))):
                under_test.health.forget("one")
                dying.will(Answer(PIECES, fault=Die(cut), delay_s=DRIP_S))
                page, kinds = Page(cut), list[type]()
                async with under_test.gateway.stream(asking(cut), OWNER, page) as events:
                    async for event in events:
                        kinds.append(type(event))
                        if isinstance(event, TextDelta):
                            page.text += event.text
                        elif isinstance(event, Joined):
                            assert event.seam.at_char == len(page.text)
                        elif isinstance(event, Closed):
                            assert event.stop_reason == "end_turn"
                            assert event.first_token_s is not None
                assert page.text == WHOLE, cut
                assert kinds.count(Opened) == kinds.count(Closed) == 1
                assert kinds[-1] is Closed
                given += page.given
        assert given > 0

    aio.run(main(), bound_s=60)


@pytest.mark.parametrize("first", WIRES)
def test_the_reader_is_woken_for_the_first_word_and_the_end_only(
    first: WireName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken = [0]
    as_ever = Patience.next

    async def counted(self: Patience, chunks: AsyncIterator[Chunk]) -> Chunk | None:
        woken[0] += 1
        return await as_ever(self, chunks)

    monkeypatch.setattr(Patience, "next", counted)

    async def main() -> None:
        async with bench(tmp_path, first, "openai") as (under_test, dying):
            dying.will(Answer(("word ",) * 100, delay_s=DRIP_S))
            page = Page()
            async with under_test.gateway.stream(asking(), OWNER, page) as events:
                kinds = [type(event) async for event in events]
            assert page.text == "word " * 100
            assert kinds == [Opened, Closed]
            # A busy machine may bring several words in one piece; that does not wake it more often.
            assert woken[0] <= 5

    aio.run(main())


def test_a_provider_that_is_removed_in_its_answer_is_left_and_another_goes_on(tmp_path: Path) -> None:
    async def main() -> None:
        async with bench(tmp_path, "openai", "anthropic") as (under_test, dying):
            dying.will(Answer(PIECES, fault=Stall(4), delay_s=DRIP_S))
            page, seams = Page(), list[Joined]()

            async def remove() -> None:
                await page.begun.wait()
                await under_test.gateway.inventory.remove("one").aclose()

            removing = asyncio.ensure_future(remove())
            async with under_test.gateway.stream(asking(), OWNER, page) as events:
                async for event in events:
                    page.text += event.text if isinstance(event, TextDelta) else ""
                    seams += [event] if isinstance(event, Joined) else []
            await removing
            assert page.text == WHOLE
            assert [each.seam.to_lane for each in seams] == ["two/m1"]
            assert dying.questions[0].was_left

    aio.run(main())
