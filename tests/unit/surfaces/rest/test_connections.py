"""The sockets of the HTTP surface."""

import asyncio
import socket

from tests.support.aio import run
from tests.unit.surfaces.raw import serving


def test_a_token_does_not_wait_for_the_next_one_to_fill_a_packet() -> None:
    async def work() -> int:
        async with serving() as here:
            reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % here.port)
            await reader.readuntil(b"\r\n\r\n")
            assert here.server._door is not None
            (connection,) = here.server._door.state.connections
            raw = connection.transport.get_extra_info("socket")
            found = raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            writer.close()
            return found

    assert run(work()) != 0
