"""A door that puts a token on what comes in, and changes nothing else."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import Awaitable, Callable

from legion_core.testing.mcp_bearer import with_bearer
from tests.support.aio import run

Serve = Callable[[StreamReader, StreamWriter], Awaitable[None]]


async def behind(serve: Serve, ask: Callable[[StreamReader, StreamWriter, str], Awaitable[None]]) -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, with_bearer(f"http://127.0.0.1:{port}", "lgn_x") as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        try:
            await ask(reader, writer, url)
        finally:
            writer.close()


def test_a_request_arrives_whole_with_the_token_and_under_the_right_name() -> None:
    heard: list[bytes] = []

    async def serve(reader: StreamReader, writer: StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        heard.extend([head, await reader.readexactly(5)])
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nyes")
        writer.close()

    async def ask(reader: StreamReader, writer: StreamWriter, url: str) -> None:
        host = url.removeprefix("http://").encode()
        head = (
            b"POST /mcp HTTP/1.1\r\nHost: %s\r\nOrigin: http://evil.example\r\nConnection: keep-alive\r\n"
            % host
        )
        writer.write(head + b"Content-Length: 5\r\n\r\nhello")
        assert (await reader.read()).endswith(b"yes")
        told = heard[0].lower()
        assert heard[1] == b"hello"
        assert b"authorization: bearer lgn_x\r\nconnection: close\r\n\r\n" in told
        assert b"evil.example" in told
        assert b"keep-alive" not in told
        assert host not in told

    run(behind(serve, ask))


def test_who_leaves_has_left_behind_the_door_too() -> None:
    async def work() -> None:
        left = asyncio.Event()

        async def serve(reader: StreamReader, writer: StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
            await reader.read()
            left.set()
            writer.close()

        async def ask(reader: StreamReader, writer: StreamWriter, url: str) -> None:
            writer.write(b"GET /mcp HTTP/1.1\r\nHost: x\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
            writer.close()
            await left.wait()

        await behind(serve, ask)

    run(work())
