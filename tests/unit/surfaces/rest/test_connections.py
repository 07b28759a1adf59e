"""The sockets of the HTTP surface."""

import asyncio
import gc
import socket

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from tests.support.aio import run
from tests.unit.surfaces.fakes import ScriptedLlm, legion
from tests.unit.surfaces.raw import TOKEN, serving


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


def test_an_invitation_to_go_on_comes_before_the_answer_that_is_there_at_once() -> None:
    async def work() -> bytes:
        async with serving(legion=legion(ScriptedLlm())) as here:
            reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
            head = (
                f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{here.port}\r\n"
                f"Authorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
                "Expect: 100-continue\r\n\r\n{]"
            )
            writer.write(head.encode())
            said = await reader.readuntil(b"\r\n\r\n") + await reader.readuntil(b"\r\n\r\n")
            writer.close()
            return said

    first, second = [part for part in run(work()).split(b"\r\n\r\n") if part]
    assert first == b"HTTP/1.1 100 Continue"
    assert second.startswith(b"HTTP/1.1 400 ")


def test_a_request_is_freed_with_its_answer_and_not_by_the_collector() -> None:
    async def work() -> int:
        async with serving() as here:
            reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
            gc.collect()
            gc.disable()
            try:
                for target in (b"/healthz", b"/api/v1/nothing") * 4:
                    writer.write(b"GET %b HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % (target, here.port))
                    head = await reader.readuntil(b"\r\n\r\n")
                    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                    await reader.readexactly(length)
                    await asyncio.sleep(0)
                found = [each for each in gc.get_objects() if isinstance(each, RequestResponseCycle)]
            finally:
                gc.enable()
            writer.close()
            return len(found)

    assert run(work()) <= 1  # the connection keeps its last
