"""How long a stream may be silent: the judgement, and the wait itself on virtual time."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legion_core.gateway.patience import Patience
from legion_core.gateway.types import TextDelta
from legion_core.gateway.watchdog import (
    CEILING_S,
    FLOOR_S,
    FLOOR_TOOLS_S,
    LANES_MAX,
    SAMPLES_MIN,
    Pace,
    Paces,
    patience_s,
)
from legion_core.kernel.errors import TimedOut
from legion_core.testing.loop import simulate


def paced(*waits_s: float) -> Pace:
    pace = Pace()
    for wait_s in waits_s:
        pace.note(wait_s)
    return pace


def test_a_lane_nobody_measured_is_judged_by_the_wire_alone() -> None:
    assert patience_s(paced(*[0.1] * (SAMPLES_MIN - 1)).slow_s, has_tools=False) is None


def test_what_was_there_already_says_nothing_of_the_pace() -> None:
    assert paced(*[0.0] * 1000).slow_s is None


@pytest.mark.parametrize(
    ("slow_s", "has_tools", "limit_s"),
    [(0.02, False, FLOOR_S), (0.5, False, 4.0), (60.0, False, CEILING_S), (0.02, True, FLOOR_TOOLS_S)],
)
def test_the_limit_is_eight_times_the_slow_end_within_its_bounds(
    slow_s: float, has_tools: bool, limit_s: float
) -> None:
    assert patience_s(slow_s, has_tools=has_tools) == limit_s


@given(st.lists(st.floats(0.001, 100.0), min_size=SAMPLES_MIN, max_size=600))
def test_the_slow_end_is_a_wait_that_was_seen_and_few_were_longer(waits_s: list[float]) -> None:
    slow_s = paced(*waits_s).slow_s

    assert slow_s is not None
    assert slow_s in waits_s
    assert FLOOR_S <= (patience_s(slow_s, has_tools=False) or 0.0) <= CEILING_S


def test_the_lanes_remembered_are_bounded() -> None:
    paces = Paces()
    first = paces.of("lane-0")
    for number in range(LANES_MAX + 5):
        paces.of(f"lane-{number}")

    assert paces.of("lane-0") is not first
    assert paces.of(f"lane-{LANES_MAX}") is paces.of(f"lane-{LANES_MAX}")


async def tokens(count: int, every_s: float, then_s: float | None) -> AsyncIterator[TextDelta]:
    for _ in range(count):
        await asyncio.sleep(every_s)
        yield TextDelta(text="x")
    if then_s is None:
        await asyncio.Event().wait()
    else:
        await asyncio.sleep(then_s)
        yield TextDelta(text="y")


def sim(work: Coroutine[Any, Any, Any]) -> Any:
    return simulate(work, seed=1)


@pytest.mark.parametrize(("every_s", "limit_s"), [(0.02, 1.5), (0.5, 4.0)])
def test_a_lane_that_stops_is_given_up_at_its_own_limit(every_s: float, limit_s: float) -> None:
    async def scenario() -> None:
        patience = Patience("a/m", Pace(), has_tools=False, may_give_up=lambda: True)
        chunks = tokens(40, every_s, None)
        loop = asyncio.get_running_loop()
        for _ in range(40):
            assert await patience.next(chunks) is not None
        last_s = loop.time()
        with pytest.raises(TimedOut, match="a/m fell silent"):
            await patience.next(chunks)
        assert limit_s <= loop.time() - last_s <= limit_s * 1.5
        patience.close()

    sim(scenario())


def test_what_arrives_without_waking_who_waits_is_the_lanes_pace_too_and_ends_its_silence() -> None:
    async def scenario() -> None:
        pace, loop = Pace(), asyncio.get_running_loop()
        patience = Patience("a/m", pace, has_tools=False, may_give_up=lambda: True)
        assert await patience.next(tokens(1, 0.02, None)) is not None
        waiting = loop.create_task(patience.next(tokens(0, 0.0, None)))
        for _ in range(40):  # 20 s of them: more than any lane of this pace may be silent
            await asyncio.sleep(0.5)
            patience.arrived()
        last_s = loop.time()
        with pytest.raises(TimedOut, match="a/m fell silent"):
            await waiting
        assert 4.0 <= loop.time() - last_s <= 6.0
        assert pace.slow_s == pytest.approx(0.5)
        patience.close()

    sim(scenario())


def test_a_lane_that_nobody_could_replace_is_waited_for() -> None:
    async def scenario() -> None:
        patience = Patience("a/m", Pace(), has_tools=False, may_give_up=lambda: False)
        chunks = tokens(40, 0.02, 25.0)
        heard = 0
        while await patience.next(chunks) is not None:
            heard += 1
        patience.close()
        assert heard == 41

    sim(scenario())


def test_a_client_that_takes_its_time_is_no_silence_of_the_lane() -> None:
    async def scenario() -> None:
        patience = Patience("a/m", Pace(), has_tools=False, may_give_up=lambda: True)
        chunks = tokens(40, 0.02, 0.02)
        heard = 0
        while await patience.next(chunks) is not None:
            heard += 1
            if heard % 20 == 0:
                await asyncio.sleep(60.0)
        patience.close()
        assert heard == 41

    sim(scenario())


def test_who_waits_is_cancelled_as_ever() -> None:
    async def scenario() -> None:
        patience = Patience("a/m", Pace(), has_tools=False, may_give_up=lambda: True)
        chunks = tokens(30, 0.02, None)

        async def wait() -> None:
            while await patience.next(chunks) is not None:
                pass

        waiting = asyncio.get_running_loop().create_task(wait())
        await asyncio.sleep(1.0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        patience.close()

    sim(scenario())
