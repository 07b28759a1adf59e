"""Days in which nobody takes tasks: what was accepted waits on the disk, the full disk refuses, and the oldest begins first."""

import asyncio
from pathlib import Path

import pytest

from legion_core.engine.dispatch import Places
from legion_core.engine.orders import Order
from legion_core.kernel import faults
from legion_core.kernel.ports import LOCAL_OWNER
from legion_core.storage.failures import DiskFull
from legion_core.testing.tasks import open_engine
from tests.support.aio import run
from tests.unit.engine_core.runners import Box

BATCHES, BATCH = 15, 100


@pytest.mark.allow_log("cannot be written")
def test_what_was_accepted_while_nobody_took_tasks_runs_in_order_and_what_was_not_was_told(
    tmp_path: Path,
) -> None:
    is_full = False

    def strike(site: str) -> None:
        if is_full and site == "storage.commit":
            raise DiskFull("There is no space left.")

    accepted: list[int] = []
    refused: list[int] = []

    async def produce() -> None:
        nonlocal is_full
        box = Box()
        async with open_engine(tmp_path, {"box.it": box}, places=Places(loop=1)) as here:
            await here.submit("box.it.hold")  # and the one place there is stays taken
            await box.entered.wait()
            for number in range(BATCHES):
                is_full = 5 <= number < 10  # the disk fills up half way, and somebody makes space
                values = range(number * BATCH, (number + 1) * BATCH)
                orders = [Order(task="box.it.echo", args={"value": value}) for value in values]
                try:
                    await here.engine.submit_many(LOCAL_OWNER, orders)
                except DiskFull:
                    refused.extend(values)
                else:
                    accepted.extend(values)
            assert await here.engine.counts() == {"running": 1, "queued": len(accepted)}

    async def drain() -> list[int]:
        box = Box()
        box.gate.set()
        async with open_engine(tmp_path, {"box.it": box}, places=Places(loop=1)) as here:
            while await here.engine.counts():
                await asyncio.sleep(0.02)
        return [call for call in box.calls if isinstance(call, int)]

    faults.arm(strike)
    try:
        run(produce())
        assert accepted == [*range(5 * BATCH), *range(10 * BATCH, 15 * BATCH)]
        assert refused == [*range(5 * BATCH, 10 * BATCH)]
        assert run(drain()) == accepted
    finally:
        faults.arm(None)
