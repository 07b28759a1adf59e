"""A block holds for what is under way: an open connection is cut, and nothing new is begun."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress

import pytest

from legion_core.gateway.providers.line import LineError
from legion_core.gateway.providers.lines import CannotConnect, Lines
from legion_core.kernel.contacts import CONTACTS
from legion_core.kernel.fetch.gate import GATE
from tests.support.aio import run


@pytest.fixture(autouse=True)
def open_again() -> Iterator[None]:
    CONTACTS.take()
    yield
    GATE.set()


def test_an_answer_under_way_is_cut_and_the_next_is_not_begun() -> None:
    connections: list[asyncio.Event] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(ended := asyncio.Event())
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        with suppress(ConnectionError):
            await reader.read()
        writer.close()
        ended.set()

    async def check() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            lines, now_s = Lines(f"http://127.0.0.1:{port}/v1", 5.0, "box-a"), asyncio.get_running_loop().time
            exchange = await lines.send("GET", f"http://127.0.0.1:{port}/v1/x", {}, b"", now_s() + 30)
            assert await exchange.next(now_s() + 30) == b"first"
            GATE.set(blocked=("127.0.0.1",))
            with pytest.raises(LineError):
                await exchange.next(now_s() + 30)
            await exchange.aclose()
            with pytest.raises(CannotConnect, match="blocked on the Network page"):
                await lines.send("GET", f"http://127.0.0.1:{port}/v1/x", {}, b"", now_s() + 30)
            assert len(connections) == 1
            (row,) = CONTACTS.take()
            assert (row.by, row.count, row.refused) == ("box-a", 1, 1)
            assert row.received_bytes > 50
            assert row.sent_bytes > 20
            GATE.set()
            again = await lines.send("GET", f"http://127.0.0.1:{port}/v1/x", {}, b"", now_s() + 30)
            assert await again.next(now_s() + 30) == b"first"
            await again.aclose()
            await lines.aclose()
            for ended in connections:
                await ended.wait()

    run(check())
