"""Money is exact: of one answer against the closed form in fractions, and of every sum against the rows it is made of."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from legion_core.gateway.cost import cost_usd
from legion_core.gateway.ledger_types import By
from legion_core.gateway.types import Attempt, LongPrice, Price, Request, Tier, Usage
from legion_core.testing.gateway import open_gateway
from tests.support.aio import run

USD = 1e-9
START = datetime(2026, 3, 14, 12, tzinfo=UTC)

rates = st.floats(0, 200)
maybe = st.none() | rates
tokens = st.integers(0, 2_000_000)
longs = st.builds(
    LongPrice, over_tokens=st.integers(1, 1_000_000), input=rates, output=rates, cache_read=maybe, cache_write=maybe
)  # fmt: skip
prices = st.builds(
    Price, input=rates, output=rates, cache_read=maybe, cache_write=maybe, long=st.none() | longs
)
usages = st.builds(
    Usage, input_tokens=tokens, output_tokens=tokens, cache_read_tokens=tokens, cache_write_tokens=tokens,
    thinking_tokens=tokens,
)  # fmt: skip


def closed_form(usage: Usage, price: Price) -> Fraction:
    """Each kind of token at its own rate; thinking is part of the output; above the bound all of it at the other rates."""
    prompt = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
    rate = price.long if price.long is not None and prompt > price.long.over_tokens else price
    read = rate.input if rate.cache_read is None else rate.cache_read
    write = rate.input if rate.cache_write is None else rate.cache_write
    parts = (
        (usage.input_tokens, rate.input),
        (usage.cache_read_tokens, read),
        (usage.cache_write_tokens, write),
        (usage.output_tokens, rate.output),
    )
    return sum((Fraction(count) * Fraction(each) for count, each in parts), Fraction(0)) / 1_000_000


@given(usages, prices)
def test_an_answer_costs_what_the_closed_form_says(usage: Usage, price: Price) -> None:
    told = cost_usd(usage, price, Tier.CLOUD)
    assert told is not None
    exact = closed_form(usage, price)
    assert abs(Fraction(told) - exact) <= Fraction(USD)


def test_every_sum_is_that_of_its_rows(tmp_path: Path) -> None:
    rng, exact, unpriced, bills = Random(7), Fraction(0), 0, 120
    of_conversation = dict[str, Fraction]()

    async def body() -> None:
        nonlocal exact, unpriced
        async with open_gateway(tmp_path / "journal.db") as under_test:
            ledger = under_test.gateway.ledger
            for number in range(bills):
                conversation = rng.choice(("", "conv_a", "conv_b", "conv_c"))
                attempts = list[Attempt]()
                for at in range(1, rng.randint(2, 4)):
                    usage = Usage(
                        input_tokens=rng.randrange(200_000), output_tokens=rng.randrange(9_000),
                        cache_read_tokens=rng.randrange(90_000), thinking_tokens=rng.randrange(900),
                    )  # fmt: skip
                    price = rng.choice(
                        (Price(input=0.1, output=0.7, cache_read=0.03), Price(input=3.0, output=15.0), None)
                    )
                    cost = cost_usd(usage, price, Tier.CLOUD)
                    unpriced += cost is None
                    paid = Fraction(0) if price is None else closed_form(usage, price)
                    exact += paid
                    if conversation:
                        of_conversation[conversation] = of_conversation.get(conversation, Fraction(0)) + paid
                    attempts.append(
                        Attempt(
                            number=at, tier=rng.choice(("cloud", "frontier")), instance=f"box-{rng.randrange(3)}",
                            model=f"m{rng.randrange(3)}", usage=usage, cost_usd=cost, duration_s=1.0,
                            started_at=START + timedelta(hours=number),
                            outcome=rng.choice(("succeeded", "stream_broken")),
                        )
                    )  # fmt: skip
                request = Request(id=f"req_{number:04d}", messages=(), conversation_id=conversation or None)
                await ledger.settle(request, tuple(attempts), outcome="succeeded", duration_s=1.0)
            listed = await ledger.rows(limit=1000)
            assert abs(Fraction(sum(row.cost_usd or 0.0 for row in listed)) - exact) <= Fraction(USD)
            for by in get_args(By):
                found = await ledger.summary(by)
                if by == "conversation":
                    assert {row.key for row in found} == of_conversation.keys()
                    for row in found:
                        assert abs(Fraction(row.cost_usd) - of_conversation[row.key]) <= Fraction(USD)
                else:
                    assert abs(Fraction(sum(row.cost_usd for row in found)) - exact) <= Fraction(USD)
                    assert sum(row.unpriced for row in found) == unpriced

    run(body())
