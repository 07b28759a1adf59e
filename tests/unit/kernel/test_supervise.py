"""Background tasks have names, come back after failures, and are gone after the stop."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator

import pytest

from legion_core.kernel.errors import Bug, LimitReached, Unavailable
from legion_core.kernel.supervise import BACKOFF_MAX_S, Supervisor
from legion_core.testing.loop import simulate
from tests.support.timeouts import old_timeouts  # noqa: F401


def test_the_census_names_what_runs_and_forgets_what_ended() -> None:
    async def story() -> None:
        supervisor = Supervisor()
        go = asyncio.Event()

        async def wait() -> str:
            await go.wait()
            return "done"

        second = supervisor.spawn("second", wait())
        first = supervisor.spawn("first", wait())
        assert supervisor.census == ("first", "second")
        go.set()
        assert await asyncio.gather(first, second) == ["done", "done"]
        await asyncio.sleep(0)
        assert supervisor.census == ()

    simulate(story())


@pytest.mark.allow_log("flaky failed; it starts again")
def test_a_loop_that_fails_comes_back_with_growing_pauses_and_ends_when_it_returns(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def story() -> list[float]:
        loop = asyncio.get_running_loop()
        started: list[float] = []

        async def flaky() -> None:
            started.append(loop.time())
            if len(started) < 12:
                raise OSError("again")

        await Supervisor().loop("flaky", flaky)
        return started

    started = simulate(story())
    pauses = [after - before for before, after in itertools.pairwise(started)]
    assert pauses[:4] == pytest.approx([0.2, 0.4, 0.8, 1.6])
    assert max(pauses) <= BACKOFF_MAX_S
    assert pauses[-1] == pytest.approx(BACKOFF_MAX_S)
    assert caplog.text.count("flaky failed") == 11


@pytest.mark.allow_log("ours failed|odd failed")
def test_a_failure_ends_only_its_own_task_and_is_told_by_whose_fault_it_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", logger="legion")

    async def story() -> None:
        supervisor = Supervisor()

        async def fail(error: Exception) -> None:
            raise error

        tasks = [
            supervisor.spawn("theirs", fail(Unavailable("The provider is away."))),
            supervisor.spawn("ours", fail(Bug("An invariant broke."))),
            supervisor.spawn("odd", fail(ValueError("hm"))),
        ]
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)
        assert supervisor.census == ()

    simulate(story())
    levels = {record.getMessage().split()[0]: record.levelname for record in caplog.records}
    assert levels == {"theirs": "INFO", "ours": "ERROR", "odd": "ERROR"}


def test_after_the_stop_nothing_is_left_and_nothing_new_begins() -> None:
    async def story() -> None:
        supervisor = Supervisor()
        cleaned: list[str] = []

        async def run(name: str) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(1)
                cleaned.append(name)

        for name in ("a", "b"):
            supervisor.spawn(name, run(name))

        async def again() -> None:
            raise AssertionError("not after the stop")

        supervisor.loop("sleeper", lambda: asyncio.sleep(3600))
        await asyncio.sleep(0)
        await supervisor.stop()
        assert sorted(cleaned) == ["a", "b"]
        await asyncio.sleep(0)
        assert supervisor.census == ()
        with pytest.raises(LimitReached):
            supervisor.spawn("late", again())
        await supervisor.stop()

    simulate(story())


@pytest.mark.allow_log("ignored their cancellation")
def test_a_task_that_ignores_its_end_is_named_and_does_not_hold_up_the_stop(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def story() -> float:
        loop = asyncio.get_running_loop()
        supervisor = Supervisor()
        enough = asyncio.Event()

        async def stubborn() -> None:
            while not enough.is_set():
                try:
                    await enough.wait()
                except asyncio.CancelledError:
                    continue

        task = supervisor.spawn("stubborn", stubborn())
        await asyncio.sleep(0)
        before_s = loop.time()
        stopping = asyncio.create_task(supervisor.stop(deadline_s=2.0))
        loop.call_later(10, enough.set)
        await stopping
        took_s = loop.time() - before_s
        enough.set()
        await task
        return took_s

    assert simulate(story()) == pytest.approx(2.0)
    assert "ignored their cancellation: stubborn" in caplog.text


@pytest.mark.usefixtures("old_timeouts")
@pytest.mark.allow_log("ignored their cancellation")
def test_whoever_was_cancelled_stops_all_in_order_too(caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> list[str]:
        supervisor = Supervisor()
        done: list[str] = []
        enough, is_there = asyncio.Event(), asyncio.Event()

        async def stubborn() -> None:
            while not enough.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await enough.wait()

        async def owner() -> None:
            try:
                is_there.set()
                await asyncio.Event().wait()
            finally:
                await supervisor.stop(deadline_s=2.0)
                done.append("what comes after it")

        task, owning = supervisor.spawn("stubborn", stubborn()), asyncio.create_task(owner())
        await is_there.wait()
        owning.cancel()
        await asyncio.gather(owning, return_exceptions=True)
        enough.set()
        await task
        return done

    assert simulate(story()) == ["what comes after it"]
    assert "ignored their cancellation: stubborn" in caplog.text


def test_a_task_may_stop_its_own_supervisor() -> None:
    async def story() -> None:
        supervisor = Supervisor()
        stopped = asyncio.Event()

        async def stopper() -> None:
            await supervisor.stop()
            stopped.set()

        supervisor.spawn("other", asyncio.sleep(3600))
        supervisor.spawn("stopper", stopper())
        await stopped.wait()
        await asyncio.sleep(0)
        assert supervisor.census == ()

    simulate(story())


def test_a_loop_is_ended_by_its_cancellation_and_not_restarted() -> None:
    async def story() -> None:
        starts = 0

        async def numbers() -> AsyncIterator[int]:
            while True:
                await asyncio.sleep(1)
                yield 1

        async def work() -> None:
            nonlocal starts
            starts += 1
            async for _ in numbers():
                pass

        supervisor = Supervisor()
        task = supervisor.loop("work", work)
        await asyncio.sleep(5)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.sleep(60)
        assert starts == 1

    simulate(story())
