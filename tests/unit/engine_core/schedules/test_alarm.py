"""An alarm rings once at its date, whatever it was set to before, and never after it was closed."""

import asyncio
import sys
import time
from collections.abc import Callable

import pytest

from legion_core.engine.schedule_alarm import Alarm, DateAlarm, LoopAlarm, system_alarm
from legion_core.kernel.clock import SystemClock
from tests.support.aio import run

Make = Callable[[Callable[[], None]], Alarm]
MAKES = [
    pytest.param(lambda ring: LoopAlarm(SystemClock(), ring), id="loop"),
    pytest.param(
        DateAlarm,
        id="date",
        marks=pytest.mark.skipif(sys.platform != "linux", reason="timers on the date are Linux's"),
    ),
    pytest.param(lambda ring: system_alarm(SystemClock(), ring), id="system"),
]


def now_ms() -> int:
    return int(time.time() * 1000)


@pytest.mark.parametrize("make", MAKES)
def test_it_rings_at_its_date_and_at_once_where_that_has_passed(make: Make) -> None:
    async def scenario() -> None:
        rung = asyncio.Event()
        alarm = make(rung.set)
        alarm.set(now_ms() + 30)
        await rung.wait()
        rung.clear()
        alarm.set(now_ms() - 10_000)
        await rung.wait()
        alarm.close()

    run(scenario())


@pytest.mark.parametrize("make", MAKES)
def test_the_last_date_counts_and_none_is_never(make: Make) -> None:
    async def scenario() -> None:
        rings: list[str] = []
        first, second = asyncio.Event(), asyncio.Event()
        silent = make(lambda: rings.append("silent"))
        silent.set(now_ms() + 20)
        silent.set(0)
        moved = make(lambda: (rings.append("moved"), first.set()))  # type: ignore[func-returns-value]
        moved.set(now_ms() + 3_600_000)
        moved.set(now_ms() + 10)
        closed = make(lambda: rings.append("closed"))
        closed.set(now_ms() + 20)
        closed.close()
        closed.close()
        closed.set(now_ms())
        closed.close()
        await first.wait()
        witness = make(second.set)
        witness.set(now_ms() + 40)  # later than all that must not ring
        await second.wait()
        assert rings == ["moved"]
        for alarm in (silent, moved, witness):
            alarm.close()

    run(scenario())


def test_without_a_timer_on_the_date_it_is_looked_at_again_now_and_then() -> None:
    async def scenario() -> None:
        rung = asyncio.Event()
        alarm = LoopAlarm(SystemClock(), rung.set, look_s=0.01)
        alarm.set(now_ms() + 3_600_000)
        await rung.wait()  # early: whoever is woken looks at the date, and sets it again
        alarm.close()

    run(scenario())
