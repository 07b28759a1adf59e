"""What runs here ends with the engine, whoever ends that."""

import asyncio
from pathlib import Path

import pytest

from legion_core.engine.extension import function
from legion_core.testing.tasks import open_engine
from tests.support.aio import run
from tests.support.timeouts import old_timeouts  # noqa: F401


class Stays:
    """Its function waits for ever, and says what became of that."""

    def __init__(self) -> None:
        self.is_there = asyncio.Event()
        self.is_over = False

    @function(timeout_s=600.0)
    async def stay(self) -> None:
        """Wait."""
        self.is_there.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.is_over = True


@pytest.mark.usefixtures("old_timeouts")
def test_a_task_past_the_deadline_is_ended_by_whoever_was_cancelled_too(tmp_path: Path) -> None:
    async def work() -> None:
        stays = Stays()
        over: list[bool] = []

        async def own() -> None:
            async with open_engine(tmp_path, {"box.it": stays}, stop_s=30.0) as here:
                await here.submit("box.it.stay")
                try:
                    await asyncio.Event().wait()
                finally:
                    await here.engine.stop(0.01)
                    over.append(stays.is_over)

        owning = asyncio.get_running_loop().create_task(own())
        await stays.is_there.wait()
        await asyncio.sleep(0)
        owning.cancel()
        await asyncio.gather(owning, return_exceptions=True)
        assert over == [True]

    run(work())
