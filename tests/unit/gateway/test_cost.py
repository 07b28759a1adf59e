"""The price of an attempt."""

from legion_core.gateway.cost import cost_usd, most_usd
from legion_core.gateway.types import LongPrice, Price, Tier, Usage

USAGE = Usage(input_tokens=1_000, output_tokens=200, cache_read_tokens=10_000, cache_write_tokens=500)


def test_every_kind_of_token_is_billed_once_at_its_own_price() -> None:
    price = Price(input=3.0, output=15.0, cache_read=0.3, cache_write=3.75)

    assert cost_usd(USAGE, price, Tier.FRONTIER) == (3_000 + 3_000 + 3_000 + 1_875) / 1_000_000


def test_without_cache_prices_cached_tokens_cost_what_input_costs() -> None:
    assert cost_usd(USAGE, Price(input=1.0, output=0.0), Tier.CLOUD) == 11_500 / 1_000_000


def test_an_unknown_price_is_unknown_in_the_cloud_and_nothing_on_ones_own_machines() -> None:
    assert cost_usd(USAGE, None, Tier.CLOUD) is None
    assert cost_usd(USAGE, None, Tier.FRONTIER) is None
    assert cost_usd(USAGE, None, Tier.LOCAL) == 0.0


def test_a_prompt_over_the_bound_is_billed_whole_at_the_price_for_long_ones() -> None:
    long = LongPrice(over_tokens=11_499, input=2.0, output=4.0, cache_read=0.5)
    price = Price(input=1.0, output=2.0, cache_read=0.1, long=long)

    assert cost_usd(USAGE, price, Tier.CLOUD) == (2_000 + 5_000 + 1_000 + 800) / 1_000_000
    at_the_bound = Price(
        input=1.0, output=2.0, cache_read=0.1, long=LongPrice(over_tokens=11_500, input=9.0, output=9.0)
    )
    assert cost_usd(USAGE, at_the_bound, Tier.CLOUD) == (1_000 + 1_000 + 500 + 400) / 1_000_000


def test_the_most_a_request_can_cost_takes_nothing_from_a_cache_and_writes_all_to_one() -> None:
    price = Price(input=1.0, output=2.0, cache_read=0.1, cache_write=1.25)

    assert most_usd(price, Tier.CLOUD, 1_000, 500) == (1_250 + 1_000) / 1_000_000
    assert most_usd(None, Tier.CLOUD, 1, 1) is None
    assert most_usd(None, Tier.LOCAL, 1, 1) == 0.0
