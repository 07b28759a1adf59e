"""Deltas that are written to the client's socket where they arrive, while whoever reads the answer sleeps on."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from legion_core.api.types import Principal, Request, StreamEvent, TextDelta
from legion_core.gateway.outlet import Outlet
from legion_core.kernel.errors import StreamBroken
from legion_core.surfaces.rest.limits import Limits
from tests.support.aio import run
from tests.unit.surfaces.fakes import CLOSED, OPENED, ScriptedLlm, legion, texts
from tests.unit.surfaces.raw import request, serving

JSON = "Content-Type: application/json"
CHAT = "/v1/chat/completions"
RETRIES = "x-stainless-retry-count: 0"  # of the labs' own libraries, whose answers may be joined


class Upstream(ScriptedLlm):
    """Gives its deltas by the short way wherever that is open, as an attempt does; counts which way they went."""

    def __init__(self, *script: Any) -> None:
        super().__init__(*script)
        self.given = self.yielded = 0
        self.outlet: Outlet | None = None

    @asynccontextmanager
    async def stream(
        self, request: Request, who: Principal, outlet: Outlet | None = None
    ) -> AsyncIterator[AsyncIterator[StreamEvent]]:
        self.outlet = outlet
        async with super().stream(request, who) as events:
            yield self._sorted(events, outlet)

    async def _sorted(
        self, events: AsyncIterator[StreamEvent], outlet: Outlet | None
    ) -> AsyncIterator[StreamEvent]:
        has_begun = False
        async for event in events:
            if has_begun and outlet is not None and isinstance(event, TextDelta) and outlet.is_open:
                outlet.give(event)
                self.given += 1
                continue
            if isinstance(event, TextDelta):
                has_begun = True
                self.yielded += 1
            yield event


async def turns() -> None:
    """Whoever was woken comes to its turn."""
    for _ in range(5):
        await asyncio.sleep(0)


def asking(port: int, *headers: str, stream: bool = True) -> bytes:
    body = json.dumps({"model": "auto", "stream": stream, "messages": [{"role": "user", "content": "Hi"}]})
    return request("POST", CHAT, JSON, *headers, body=body.encode(), port=port)


def unchunked(raw: bytes) -> bytes:
    """The body of a whole answer; fails if a chunk of it is not as long as it says."""
    data, out = raw.partition(b"\r\n\r\n")[2], bytearray()
    while True:
        size, _, data = data.partition(b"\r\n")
        count = int(size, 16)
        assert data[count : count + 2] == b"\r\n"
        out += data[:count]
        data = data[count + 2 :]
        if not count:
            assert data == b""
            return bytes(out)


def said(raw: bytes) -> str:
    events = [line[6:] for line in unchunked(raw).split(b"\n") if line.startswith(b"data: {")]
    return "".join(
        choice["delta"].get("content", "")
        for each in events
        for choice in json.loads(each).get("choices", ())
    )


@pytest.mark.parametrize("headers", [(), (RETRIES,)], ids=["alone", "may be joined"])
def test_a_streamed_answer_is_the_same_by_either_way(headers: tuple[str, ...]) -> None:
    words = [f"w{number} ü " for number in range(50)]
    # Between two words the reader gets its turn, so that it waits when the next one comes.
    script = [step for word in texts(*words) for step in (word, turns)]

    async def work() -> bytes:
        llm = Upstream(OPENED, *script, CLOSED)
        async with serving(legion=legion(llm)) as here:
            reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
            writer.write(asking(here.port, *headers))
            raw = await reader.read()
            writer.close()
        assert llm.given > llm.yielded
        return raw

    raw = run(work())
    assert said(raw) == "".join(words)
    assert raw.count(b"data: [DONE]") == raw.count(b'"finish_reason":"stop"') == 1


def test_a_whole_answer_is_gathered_by_the_short_way() -> None:
    async def work() -> bytes:
        llm = Upstream(OPENED, *texts("Hel", "lo ", "you"), CLOSED)
        async with serving(legion=legion(llm)) as here:
            reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
            writer.write(asking(here.port, stream=False))
            raw = await reader.read()
            writer.close()
        assert llm.given == 2
        return raw

    answer = json.loads(run(work()).partition(b"\r\n\r\n")[2])
    assert answer["choices"][0]["message"]["content"] == "Hello you"


def test_a_client_that_reads_slowly_closes_the_short_way_and_loses_nothing() -> None:
    piece = "x" * 20_000
    count = 350  # 7 MB: more than the sockets of a system hold

    async def work() -> tuple[bytes, Upstream, int]:
        llm = Upstream(OPENED, *texts(*[piece] * count), CLOSED)
        async with serving(legion=legion(llm), limits=Limits(write_s=25.0)) as here:
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
            client.connect(("127.0.0.1", here.port))
            reader, writer = await asyncio.open_connection(sock=client)
            writer.write(asking(here.port))
            while llm.outlet is None or llm.outlet.is_open or not llm.given:
                await asyncio.sleep(0)
            door = here.server._door
            assert door is not None
            (connection,) = door.state.connections
            held = connection.transport.get_write_buffer_size()
            raw = await reader.read()
            writer.close()
        return raw, llm, held

    raw, llm, held = run(work())
    assert len(said(raw)) == count * len(piece)
    assert llm.yielded > 1  # what came while it was closed went by the reader, who waits
    assert held < 64 * 1024 + 2 * len(piece)


@pytest.mark.parametrize("headers", [(), (RETRIES,)], ids=["alone", "may be joined"])
def test_a_client_that_goes_between_two_words_is_noticed_and_the_next_word_hurts_nobody(
    headers: tuple[str, ...],
) -> None:
    async def work() -> None:
        llm = Upstream(OPENED, *texts("Hel", "lo"), lambda: asyncio.Event().wait())
        async with serving(legion=legion(llm)) as here:
            reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
            writer.write(asking(here.port, *headers))
            await reader.readuntil(b'"lo"')
            writer.close()
            await llm.cancelled.wait()
            assert llm.outlet is not None
            llm.outlet.give(TextDelta(text="too late"))
            while here.supervisor.census:
                await asyncio.sleep(0)

    run(work())


def test_a_stream_that_breaks_behind_what_went_the_short_way_ends_in_the_dialects_own_error() -> None:
    async def work() -> bytes:
        llm = Upstream(OPENED, *texts("Hel", "lo"), StreamBroken("It broke."))
        async with serving(legion=legion(llm)) as here:
            reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
            writer.write(asking(here.port))
            raw = await reader.read()
            writer.close()
        assert llm.given == 1
        return raw

    raw = run(work())
    assert said(raw) == "Hello"
    assert b"It broke." in raw
    assert b"[DONE]" not in raw
