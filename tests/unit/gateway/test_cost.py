"""The price of an attempt."""

from legion_core.gateway.failover import cost_usd
from legion_core.gateway.types import Price, Tier, Usage

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
