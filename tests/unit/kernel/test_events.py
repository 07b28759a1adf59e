"""The bus tells watchers and is held up by none of them."""

import asyncio
import contextlib

import pytest

from legion_core.kernel.events import Event, EventBus
from legion_core.testing.clock import SimClock
from legion_core.testing.loop import simulate


class Ticked(Event, frozen=True, kw_only=True):
    """A test's own fact."""

    number: int


class Tocked(Event, frozen=True, kw_only=True):
    """Another."""


def bus_of() -> EventBus:
    return EventBus(SimClock())


def ticked(bus: EventBus, number: int) -> Ticked:
    at_utc, at_mono_s = bus.stamp()
    return Ticked(at_utc=at_utc, at_mono_s=at_mono_s, number=number)


def tocked(bus: EventBus) -> Tocked:
    at_utc, at_mono_s = bus.stamp()
    return Tocked(at_utc=at_utc, at_mono_s=at_mono_s)


def test_each_watcher_gets_the_kinds_it_asked_for_in_order() -> None:
    bus = bus_of()
    with bus.subscribe(Ticked) as some, bus.subscribe() as everything:
        for number in range(3):
            bus.publish(ticked(bus, number))
        bus.publish(tocked(bus))
        assert [event.number for event in some.take_nowait() if isinstance(event, Ticked)] == [0, 1, 2]
        assert len(everything.take_nowait()) == 4
        assert some.take_nowait() == []
    bus.publish(tocked(bus))
    assert everything.take_nowait() == []


def test_a_slow_watcher_loses_its_own_oldest_and_knows_how_many() -> None:
    bus = bus_of()
    with bus.subscribe(size_max=3) as slow, bus.subscribe() as quick:
        for number in range(10):
            bus.publish(ticked(bus, number))
        assert [event.number for event in slow.take_nowait() if isinstance(event, Ticked)] == [7, 8, 9]
        assert slow.lost == 7
        assert len(quick.take_nowait()) == 10
        assert quick.lost == 0


def test_a_newer_event_of_the_same_key_takes_the_place_of_the_waiting_one() -> None:
    bus = bus_of()
    key = lambda event: event.number % 2 if isinstance(event, Ticked) else "other"  # noqa: E731
    with bus.subscribe(size_max=2, coalesce=key) as watcher:
        for number in range(5):
            bus.publish(ticked(bus, number))
        taken = watcher.take_nowait()
        assert [event.number for event in taken if isinstance(event, Ticked)] == [4, 3]
        assert watcher.lost == 0
        for event in (ticked(bus, 0), ticked(bus, 1), tocked(bus)):
            bus.publish(event)
        assert watcher.lost == 1
        assert len(watcher.take_nowait()) == 2


def test_waiting_ends_with_what_came_or_with_the_closing() -> None:
    async def story() -> None:
        bus = bus_of()
        watcher = bus.subscribe(Ticked)
        waiting = asyncio.create_task(watcher.take())
        await asyncio.sleep(0)
        bus.publish(tocked(bus))
        await asyncio.sleep(0)
        assert not waiting.done()
        bus.publish(ticked(bus, 1))
        bus.publish(ticked(bus, 2))
        assert len(await waiting) == 2
        waiting = asyncio.create_task(watcher.take())
        await asyncio.sleep(0)
        watcher.close()
        assert await waiting == []
        assert await watcher.take() == []
        watcher.close()

    simulate(story())


@pytest.mark.parametrize("seed", range(5))
def test_iterating_gives_each_event_once_until_closed(seed: int) -> None:
    async def story() -> list[int]:
        bus = bus_of()
        seen: list[int] = []

        async def watch() -> None:
            with bus.subscribe(Ticked) as watcher:
                started.set()
                async with contextlib.aclosing(watcher.__aiter__()) as events:  # pyright: ignore[reportArgumentType]
                    async for event in events:
                        assert isinstance(event, Ticked)
                        seen.append(event.number)
                        if event.number == 9:
                            return

        started = asyncio.Event()
        task = asyncio.create_task(watch())
        await started.wait()
        for number in range(10):
            bus.publish(ticked(bus, number))
            if number % 3 == 0:
                await asyncio.sleep(0)
        await task
        return seen

    assert simulate(story(), seed=seed) == list(range(10))


def test_a_watcher_may_close_another_while_an_event_is_told() -> None:
    bus = bus_of()
    second = bus.subscribe()

    def closing(event: Event) -> int:
        second.close()
        return 0

    bus.subscribe(coalesce=closing)
    bus.publish(tocked(bus))
    bus.publish(tocked(bus))
    assert len(second.take_nowait()) <= 1
