"""The providers' servers of the tests: they leave nothing behind, whenever they are left."""

import asyncio
import socket

import pytest

from legion_core.testing.upstreams import Upstream
from tests.support import aio


@pytest.mark.parametrize("turns", range(8))
def test_a_client_that_has_just_come_leaves_nothing_behind(turns: int) -> None:
    async def work() -> None:
        async with Upstream() as upstream:
            with socket.create_connection(("127.0.0.1", upstream.port)):
                for _ in range(turns):
                    await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    aio.run(work())
