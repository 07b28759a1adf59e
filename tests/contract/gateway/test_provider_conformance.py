"""Every provider passes the one conformance suite. Self-imposed: the failover relies on each of these."""

import asyncio

import pytest

from legion_core.testing.provider_conformance import CHECKS, Check, checks_for, stops_at_the_bound
from tests.contract.gateway.benches import BENCHES
from tests.support import aio

ALL = [check for check, _ in CHECKS] + [stops_at_the_bound]


@pytest.mark.parametrize("check", ALL, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", list(BENCHES))
def test_a_provider_keeps_the_contract(name: str, check: Check) -> None:
    async def main() -> bool:
        async with BENCHES[name]() as bench:
            if check not in checks_for(bench.powers):
                return False
            async with asyncio.timeout(25):
                await check(bench)
            return True

    if not aio.run(main()):
        pytest.skip("this bench has no power to arrange it")
