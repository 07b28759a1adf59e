"""One answer and several who listen to it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from legion_core.gateway import dedupe
from legion_core.gateway.dedupe import InFlight, Running
from legion_core.gateway.types import Request, StreamEvent, TextDelta
from legion_core.kernel.errors import StreamBroken
from legion_core.kernel.supervise import Supervisor
from tests.support.aio import run

REQUEST = Request(id="r1", messages=())
KEY = ("me", "chat", "key", "k")


def events(count: int) -> list[StreamEvent]:
    return [TextDelta(text=f"{number} ") for number in range(count)]


@asynccontextmanager
async def told(
    what: list[StreamEvent], seen: list[int], error: Exception | None = None
) -> AsyncIterator[AsyncIterator[StreamEvent]]:
    async def each() -> AsyncIterator[StreamEvent]:
        for event in what:
            seen.append(1)
            yield event
        if error is not None:
            raise error

    yield each()


async def all_of(running: Running) -> str:
    return "".join([event.text async for event in running.listen() if isinstance(event, TextDelta)])


def test_everyone_hears_all_of_it_whenever_they_come() -> None:
    async def scenario() -> None:
        running = Running(REQUEST, b"")
        early = asyncio.create_task(all_of(running))
        await running.read(lambda _: told(events(50), []))

        assert await early == await all_of(running) == "".join(f"{number} " for number in range(50))

    run(scenario())


def test_a_failure_is_told_to_everyone_and_joined_by_nobody() -> None:
    async def scenario() -> None:
        running = Running(REQUEST, b"")
        await running.read(lambda _: told(events(2), [], StreamBroken("It broke off.")))

        assert not running.can_be_joined
        with pytest.raises(StreamBroken):
            await all_of(running)

    run(scenario())


def test_the_upstream_is_not_read_far_ahead_of_a_client_that_does_not_read() -> None:
    async def scenario() -> None:
        seen = list[int]()
        running = Running(REQUEST, b"")
        slow = running.listen()
        reading = asyncio.create_task(running.read(lambda _: told(events(5000), seen)))
        first = await anext(slow)
        for _ in range(20):
            await asyncio.sleep(0)

        assert isinstance(first, TextDelta)
        assert len(seen) <= dedupe.LAG_EVENTS_MAX + 3
        assert len([event async for event in slow]) == 4999
        await reading

    run(scenario())


def test_a_long_answer_is_heard_but_not_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dedupe, "KEPT_CHARS_MAX", 10)

    async def scenario() -> None:
        supervisor, shared = Supervisor(), InFlight()
        running = shared.start(supervisor, KEY, b"f", REQUEST, lambda _: told(events(50), []))
        assert running is not None
        async with shared.listen(running, KEY, is_kept=True) as heard:
            assert len([event async for event in heard]) == 50

        assert shared.find(KEY, b"f", is_retry=True) is None
        assert len(shared) == 0
        await supervisor.stop()

    run(scenario())


def test_no_more_than_a_bounded_number_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dedupe, "KEPT_MAX", 3)

    async def scenario() -> None:
        supervisor, shared = Supervisor(), InFlight()
        for number in range(10):
            key = (*KEY[:-1], str(number))
            running = shared.start(supervisor, key, b"f", REQUEST, lambda _: told(events(2), []))
            assert running is not None
            async with shared.listen(running, key, is_kept=True) as heard:
                assert len([event async for event in heard]) == 2
        assert shared.find(KEY, b"f", is_retry=True) is None

        assert len(shared) == 3
        await supervisor.stop()

    run(scenario())
