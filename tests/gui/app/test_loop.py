import asyncio
import signal
from collections.abc import Coroutine
from typing import Any

from PySide6.QtWidgets import QApplication

from app.loop import WorkbenchLoop


def run(work: Coroutine[Any, Any, Any]) -> Any:
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    with asyncio.Runner(loop_factory=lambda: WorkbenchLoop(app)) as runner:  # type: ignore[arg-type,return-value]
        return runner.run(work)


def test_ready_calls_run_in_the_order_they_were_made(qapp: QApplication) -> None:
    async def act() -> list[int]:
        seen: list[int] = []
        loop = asyncio.get_running_loop()
        for number in range(50):
            loop.call_soon(seen.append, number)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return seen

    assert run(act()) == list(range(50))


def test_a_cancelled_timer_is_gone_at_once(qapp: QApplication) -> None:
    async def act() -> tuple[int, int]:
        loop: Any = asyncio.get_running_loop()
        async with asyncio.timeout(300):
            inside = loop.timers.count
        return inside, loop.timers.count

    assert run(act()) == (1, 0)


def test_timers_fire_in_the_order_of_their_time_and_not_before(qapp: QApplication) -> None:
    async def act() -> list[str]:
        loop = asyncio.get_running_loop()
        seen: list[str] = []
        began = loop.time()
        early: list[bool] = []
        for name, delay in (("b", 0.02), ("a", 0.01), ("c", 0.03)):
            due = began + delay
            loop.call_later(delay, lambda n=name, d=due: (seen.append(n), early.append(loop.time() < d)))
        await asyncio.sleep(0.06)
        assert not any(early)
        return seen

    assert run(act()) == ["a", "b", "c"]


def test_nothing_waits_while_a_task_waits_for_an_event(qapp: QApplication) -> None:
    async def act() -> tuple[int, int]:
        loop: Any = asyncio.get_running_loop()
        event = asyncio.Event()
        waiting = asyncio.ensure_future(event.wait())
        for _ in range(3):
            await asyncio.sleep(0)
        figures = loop.timers.count, loop.timers.ready
        event.set()
        await waiting
        return figures

    assert run(act()) == (0, 0)


def test_a_signal_reaches_its_handler(qapp: QApplication) -> None:
    async def act() -> bool:
        got = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, got.set)
        signal.raise_signal(signal.SIGUSR1)
        async with asyncio.timeout(100):
            await got.wait()
        loop.remove_signal_handler(signal.SIGUSR1)
        return True

    assert run(act())


def test_threads_hand_their_results_over(qapp: QApplication) -> None:
    from concurrent.futures import ThreadPoolExecutor

    async def act() -> list[int]:
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(2))
        return await asyncio.gather(*(asyncio.to_thread(pow, number, 2) for number in range(5)))

    assert run(act()) == [0, 1, 4, 9, 16]


def test_a_hundred_loops_one_after_another_leave_no_timer(qapp: QApplication, count_factor: int) -> None:
    async def act() -> None:
        await asyncio.sleep(0)

    for _ in range(20 * count_factor):
        run(act())


def test_garbage_is_collected_on_the_loops_own_thread(qapp: QApplication) -> None:
    import gc
    import weakref

    class Node:
        """Holds itself, so that only a collection can end it."""

        def __init__(self) -> None:
            self.me = self

    async def act() -> int:
        loop: Any = asyncio.get_running_loop()
        loop.timers.collects_garbage = True
        gone: list[int] = []
        kept: list[object] = []
        for number in range(20_000):
            node = Node()
            kept.append(weakref.finalize(node, gone.append, number))
            del node
            if number % 1000 == 0:
                await asyncio.sleep(0)
        await asyncio.sleep(0)
        return len(gone)

    was_on = gc.isenabled()
    gc.disable()
    try:
        assert run(act()) > 5000
    finally:
        if was_on:
            gc.enable()
