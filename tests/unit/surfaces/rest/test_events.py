"""The event stream: numbered, filtered, resumable, honest about what is lost."""

import asyncio
import json
from typing import Any

from legion_core.api.types import ModelChanged, ProviderChanged
from legion_core.surfaces.rest.limits import Limits
from tests.support.aio import run
from tests.unit.surfaces.raw import Answer, Serving, ask, request, serving


def publish(here: Serving, kind: Any, name: str) -> None:
    at_utc, at_mono_s = here.legion.events.stamp()
    here.legion.events.publish(kind(at_utc=at_utc, at_mono_s=at_mono_s, name=name))


class Reader:
    """Reads the frames of one stream."""

    def __init__(self, here: Serving) -> None:
        self.here = here
        self.left = b""

    async def open(self, target: str = "/api/v1/events", *headers: str) -> "Reader":
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.here.port)
        self.writer.write(request("GET", target, *headers, port=self.here.port))
        await self.reader.readuntil(b"retry: 2000\n\n\r\n")
        return self

    async def next(self) -> tuple[str, str, Any]:
        size = int(await self.reader.readuntil(b"\r\n"), 16)
        frame = (await self.reader.readexactly(size + 2)).decode()
        fields = dict(line.split(": ", 1) for line in frame.strip().split("\n"))
        return fields.get("id", ""), fields["event"], json.loads(fields["data"])

    def close(self) -> None:
        self.writer.close()


def test_events_arrive_numbered_and_filtered() -> None:
    async def work() -> list[tuple[str, str, Any]]:
        async with serving() as here:
            stream = await Reader(here).open("/api/v1/events?type=ModelChanged")
            for name in ("a", "b"):
                publish(here, ProviderChanged, name)
                publish(here, ModelChanged, name)
            seen = [await stream.next(), await stream.next()]
            stream.close()
            return seen

    seen = run(work())

    assert [(name, data["name"]) for _, name, data in seen] == [("ModelChanged", "a"), ("ModelChanged", "b")]
    assert [number.rpartition(".")[2] for number, _, _ in seen] == ["2", "4"]


def test_a_client_that_comes_back_goes_on_behind_the_last_event_it_saw() -> None:
    async def work() -> list[Any]:
        async with serving() as here:
            stream = await Reader(here).open()
            publish(here, ModelChanged, "a")
            last, _, _ = await stream.next()
            stream.close()
            publish(here, ModelChanged, "b")
            publish(here, ModelChanged, "c")
            again = await Reader(here).open("/api/v1/events", f"Last-Event-ID: {last}")
            seen = [(await again.next())[2]["name"] for _ in range(2)]
            again.close()
            return seen

    assert run(work()) == ["b", "c"]


def test_what_fell_out_of_the_ring_is_announced() -> None:
    async def work() -> list[tuple[str, str, Any]]:
        async with serving(limits=Limits(events_kept=3)) as here:
            stream = await Reader(here).open()
            publish(here, ModelChanged, "0")
            last, _, _ = await stream.next()
            stream.close()
            for number in range(1, 8):
                publish(here, ModelChanged, str(number))
                await asyncio.sleep(0)
            again = await Reader(here).open("/api/v1/events", f"Last-Event-ID: {last}")
            seen = [await again.next() for _ in range(4)]
            again.close()
            return seen

    seen = run(work())

    assert seen[0][1:] == ("Lost", {"count": 4})
    assert [data["name"] for _, _, data in seen[1:]] == ["5", "6", "7"]


def test_an_id_of_an_earlier_run_is_told_that_something_may_be_lost() -> None:
    async def work() -> list[tuple[str, str, Any]]:
        async with serving() as here:
            publish(here, ModelChanged, "a")
            await asyncio.sleep(0)
            stream = await Reader(here).open("/api/v1/events", "Last-Event-ID: run_other.7")
            seen = [await stream.next(), await stream.next()]
            stream.close()
            return seen

    seen = run(work())

    assert seen[0][1:] == ("Lost", {"count": None})
    assert seen[1][2]["name"] == "a"


def test_an_id_that_is_none_and_a_kind_that_is_none_are_refused() -> None:
    async def work() -> list[Answer]:
        async with serving() as here:
            return [
                await ask(here, "GET", "/api/v1/events", "Last-Event-ID: nonsense"),
                await ask(here, "GET", "/api/v1/events?type=Nonsense"),
            ]

    assert [answer.status for answer in run(work())] == [400, 400]


def test_the_number_of_streams_is_bounded_and_a_closed_one_makes_room() -> None:
    async def work() -> list[int]:
        async with serving(limits=Limits(event_streams_max=2)) as here:
            streams = [await Reader(here).open() for _ in range(2)]
            refused = (await ask(here, "GET", "/api/v1/events")).status
            streams[0].close()
            while here.server._desk.feed.readers == 2:
                await asyncio.sleep(0)
            again = await Reader(here).open()
            again.close()
            streams[1].close()
            return [refused]

    assert run(work()) == [429]


def test_stopping_ends_every_stream_properly() -> None:
    async def work() -> bytes:
        async with serving() as here:
            stream = await Reader(here).open()
            await here.server.stop(5.0)
            rest = await stream.reader.read()
            stream.close()
            return rest

    assert run(work()) == b"0\r\n\r\n"
