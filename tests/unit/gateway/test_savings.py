"""What curation saved: by the provider's own count, with its caches, and never a figure for a price nobody knows."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legion_core.api.activity import Activity
from legion_core.gateway.conversation_types import CurationChanged
from legion_core.gateway.curation.store import Mark
from legion_core.gateway.pipeline import CURATED_FROM
from legion_core.gateway.savings import CACHE_TTL_S, LeftOut, saved_tokens, saved_usd, since_asked_s
from legion_core.gateway.types import (
    Finished,
    Message,
    ModelOffer,
    Price,
    Request,
    TextBlock,
    TextDelta,
    Tier,
    ToolDefinition,
    Usage,
)
from legion_core.kernel.ports import LOCAL_OWNER
from legion_core.testing.gateway import GatewayUnderTest, open_gateway
from legion_core.testing.scripted import ScriptedProvider
from tests.support.aio import run
from tests.unit.gateway.curation.sessions import steps

PRICE = Price(input=3.0, output=15.0, cache_read=0.3, cache_write=3.75)
MILLION = 1_000_000
counts = st.integers(0, 200_000)


def test_without_a_cache_each_token_left_out_is_worth_its_price() -> None:
    usage = Usage(input_tokens=1_000, output_tokens=10)
    left_out = LeftOut(tokens=9_000, new_tokens=100, age_s=1.0)
    assert saved_usd(usage, left_out, PRICE, Tier.CLOUD) == pytest.approx(9_000 * 3.0 / MILLION)


def test_with_a_warm_cache_what_was_left_out_would_only_have_been_read() -> None:
    usage = Usage(cache_read_tokens=900, cache_write_tokens=100, output_tokens=10)
    left_out = LeftOut(tokens=9_000, new_tokens=100, age_s=10.0)
    assert saved_usd(usage, left_out, PRICE, Tier.CLOUD) == pytest.approx(9_000 * 0.3 / MILLION)


def test_after_a_pause_all_of_it_would_have_been_written_anew() -> None:
    usage = Usage(cache_write_tokens=1_000)
    left_out = LeftOut(tokens=9_000, new_tokens=100, age_s=CACHE_TTL_S + 1)
    assert saved_usd(usage, left_out, PRICE, Tier.CLOUD) == pytest.approx(9_000 * 3.75 / MILLION)


def test_a_view_made_in_a_pause_or_before_the_first_question_warmed_no_cache() -> None:
    asked, paused, undone = Mark(8, 10.0), Mark(8, 400.0, is_idle=True), Mark(8, 500.0, ("m3",))
    assert since_asked_s((asked, paused, undone), 510.0) == 500.0
    assert since_asked_s((paused,), 510.0) == float("inf")


def test_an_epoch_that_breaks_the_cache_may_cost_more_in_its_turn_and_says_so() -> None:
    usage = Usage(cache_write_tokens=5_000)  # all of the view is written anew
    left_out = LeftOut(tokens=1_000, new_tokens=100, age_s=1.0)
    saved = saved_usd(usage, left_out, PRICE, Tier.CLOUD)
    assert saved is not None
    assert saved < 0


@given(counts, counts, counts, counts, counts, st.floats(0, 1e4))
def test_an_unknown_price_stays_unknown_and_nothing_left_out_is_zero(
    fresh: int, read: int, write: int, tokens: int, new: int, age_s: float
) -> None:
    usage = Usage(input_tokens=fresh, cache_read_tokens=read, cache_write_tokens=write)
    left_out = LeftOut(tokens=tokens, new_tokens=new, age_s=age_s)
    unknown = saved_usd(usage, left_out, None, Tier.CLOUD)
    assert unknown is None or saved_tokens(usage, left_out) == 0
    assert saved_usd(usage, left_out, None, Tier.LOCAL) == 0.0
    assert saved_usd(usage, LeftOut(), PRICE, Tier.CLOUD) == 0.0
    if not read and not write:
        assert saved_usd(usage, left_out, PRICE, Tier.CLOUD) == pytest.approx(
            saved_tokens(usage, left_out) * 3.0 / MILLION
        )


def _put(under_test: GatewayUnderTest, price: Price | None) -> None:
    answer = [
        TextDelta(text="done", tokens=1),
        Finished(stop_reason="end_turn", usage=Usage(input_tokens=2_000, output_tokens=5)),
    ]
    offer = ModelOffer(
        id="m1", context=1_000_000, capabilities=frozenset({"streaming", "tools"}), price=price
    )
    under_test.put(ScriptedProvider("box", *[answer] * 60), Tier.CLOUD, offer=offer)


async def _play(under_test: GatewayUnderTest, turns: int) -> None:
    sent: list[Message] = []
    for turn, new in enumerate(steps(turns), 1):
        sent += new
        request = Request(id=f"req_{turn:03}", messages=tuple(sent), tools=(ToolDefinition(name="bash"),))
        with under_test.bus.subscribe(CurationChanged) as curated:
            await under_test.gateway.answer(request, LOCAL_OWNER)
            if len(sent) >= CURATED_FROM:
                await curated.take()
        if new[-1].role == "user":
            sent.append(Message(role="assistant", content=(TextBlock(text="done"),)))


@pytest.mark.requirement("curation.savings")
@pytest.mark.parametrize("price", [PRICE, None])
def test_the_ledger_and_the_activity_say_what_each_request_saved(tmp_path: Path, price: Price | None) -> None:
    async def scenario() -> None:
        async with open_gateway(tmp_path / "j.db") as under_test:
            _put(under_test, price)
            await _play(under_test, 40)
            ledger = under_test.gateway.ledger
            rows = {row.request: row for row in await ledger.rows(limit=1000)}

            assert (rows["req_001"].saved_tokens, rows["req_001"].saved_usd) == (0, 0.0)  # an honest zero
            late = rows["req_040"]
            assert late.saved_tokens > 1_000
            if price is None:
                assert late.saved_usd is None
            else:
                assert late.saved_usd == pytest.approx(late.saved_tokens * 3.0 / MILLION)
            (total,) = await ledger.summary("tier")
            assert total.saved_tokens == sum(row.saved_tokens for row in rows.values())
            assert total.saved_usd == pytest.approx(sum(row.saved_usd or 0.0 for row in rows.values()))
            assert total.saved_unpriced == sum(row.saved_usd is None for row in rows.values())
            lines = await Activity(under_test.database).rows(("rreq_001", "rreq_040"))
            assert [line.saved_tokens for line in lines] == [0, late.saved_tokens]
            assert [line.saved_usd for line in lines] == [0.0, late.saved_usd]

    run(scenario())
