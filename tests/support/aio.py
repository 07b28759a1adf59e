"""Runs a coroutine to its end in a fresh loop, with a bound on the wait: it tells a hang, never a busy machine."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
BOUND_S = 100.0


def run(work: Coroutine[Any, Any, T], bound_s: float = BOUND_S) -> T:
    """The result of `work`; raises TimeoutError past `bound_s` seconds."""

    async def bounded() -> T:
        async with asyncio.timeout(bound_s):
            return await work

    return asyncio.run(bounded())
