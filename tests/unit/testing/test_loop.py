"""The simulated loop: time that jumps, an order that a seed decides, hangs that are seen."""

import asyncio
import subprocess
import sys
import time

import pytest

from legion_core.testing.clock import SimClock
from legion_core.testing.loop import Deadlock, simulate

PROGRAM = """
import asyncio
from legion_core.testing.loop import simulate
async def walker(name, trace):
    for step in range(5):
        trace.append((name, step, asyncio.get_running_loop().time()))
        await asyncio.sleep((hash(name) % 3) * 0 + (step % 2))
async def main():
    trace = []
    async with asyncio.TaskGroup() as group:
        for name in "abcdef":
            group.create_task(walker(name, trace))
    return trace
print(*(repr(simulate(main(), seed=seed)) for seed in range(20)), sep="\\n")
"""


async def _race(rounds: int = 5) -> list[tuple[str, int]]:
    trace: list[tuple[str, int]] = []

    async def walker(name: str) -> None:
        for step in range(rounds):
            trace.append((name, step))
            await asyncio.sleep(step % 2)

    async with asyncio.TaskGroup() as group:
        for name in "abcdef":
            group.create_task(walker(name))
    return trace


def test_one_seed_gives_one_order() -> None:
    assert len({tuple(simulate(_race(), seed=7)) for _ in range(50)}) == 1


def test_other_seeds_give_other_orders() -> None:
    assert len({tuple(simulate(_race(), seed=seed)) for seed in range(50)}) == 50


def test_the_order_does_not_hang_on_the_hash_seed() -> None:
    runs = [
        subprocess.run(
            [sys.executable, "-c", PROGRAM], capture_output=True, check=True, env={"PYTHONHASHSEED": seed}
        )
        for seed in ("1", "2")
    ]
    assert runs[0].stdout == runs[1].stdout
    assert len(set(runs[0].stdout.splitlines())) == 20


def test_a_long_sleep_costs_no_real_time() -> None:
    async def sleeps() -> float:
        await asyncio.sleep(3600 * 24 * 365)
        return asyncio.get_running_loop().time()

    begun = time.process_time()
    assert simulate(sleeps()) == 3600 * 24 * 365
    assert time.process_time() - begun < 5


def test_timers_keep_their_order_in_time() -> None:
    async def main() -> list[int]:
        seen: list[int] = []

        async def at(moment_s: int) -> None:
            await asyncio.sleep(moment_s)
            seen.append(moment_s)

        await asyncio.gather(*(at(moment) for moment in (5, 1, 4, 2, 3)))
        return seen

    for seed in range(20):
        assert simulate(main(), seed=seed) == [1, 2, 3, 4, 5]


def test_a_timeout_strikes_at_its_virtual_moment() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await asyncio.Event().wait()
        return asyncio.get_running_loop().time()

    assert simulate(main()) == 30


@pytest.mark.allow_leak("tasks", reason="a hang leaves its waiters waiting")
def test_a_hang_is_named_instead_of_waited_for() -> None:
    async def main() -> None:
        waiter = asyncio.get_running_loop().create_task(asyncio.Event().wait(), name="the forgotten waiter")
        await waiter

    with pytest.raises(Deadlock, match="the forgotten waiter"):
        simulate(main())


def test_a_cancelled_timer_does_not_move_the_clock() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        loop.call_later(1000, print).cancel()
        await asyncio.sleep(1)
        return loop.time()

    assert simulate(main()) == 1


def test_executor_work_runs_inline_and_reports_its_outcome() -> None:
    def fails() -> None:
        raise LookupError("no")

    async def main() -> int:
        with pytest.raises(LookupError):
            await asyncio.to_thread(fails)
        return await asyncio.to_thread(lambda: 6 * 7)

    assert simulate(main()) == 42


def test_a_clock_on_the_loop_reads_virtual_time() -> None:
    async def main() -> tuple[float, str]:
        clock = SimClock.on_loop()
        await asyncio.sleep(90)
        clock.step_date(-3600)
        return clock.monotonic_s(), clock.utc_now().isoformat()

    assert simulate(main()) == (90, "2025-12-31T23:01:30+00:00")


def test_a_clock_moved_by_hand_never_runs_backwards() -> None:
    clock = SimClock()
    clock.advance(5)
    assert clock.monotonic_s() == 5
    with pytest.raises(AssertionError):
        clock.advance(-1)
