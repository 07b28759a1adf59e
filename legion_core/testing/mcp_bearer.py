"""A door on loopback that puts a token on every request that comes in: for programs that take an address and no header."""

import asyncio
import re
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
_KEPT = re.compile(rb"(?i)\r\nconnection:[^\r]*")


@asynccontextmanager
async def with_bearer(url: str, token: str) -> AsyncGenerator[str]:
    """The address behind which `url` lies; what is answered is passed on as it comes, and who leaves has left there too."""
    port = urlsplit(url).port
    assert port is not None
    added = b"\r\nAuthorization: Bearer " + token.encode() + b"\r\nConnection: close\r\n\r\n"

    async def carry(reader: StreamReader, writer: StreamWriter) -> None:
        # Whoever leaves in the middle is no failure of this door.
        with suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            found = _LENGTH.search(head)
            body = await reader.readexactly(int(found[1])) if found else b""
            # The names Host and Origin give are of this door; a stranger's name stays one.
            head = _KEPT.sub(b"", head.removesuffix(b"\r\n\r\n")).replace(b":%d" % own, b":%d" % port)
            source, sink = await asyncio.open_connection("127.0.0.1", port)
            sink.write(head + added + body)
            leaving = asyncio.create_task(_until_left(reader, sink))
            try:
                while chunk := await source.read(1 << 16):
                    writer.write(chunk)
                    await writer.drain()
            finally:
                leaving.cancel()
                sink.close()
        writer.close()

    server = await asyncio.start_server(carry, "127.0.0.1", 0, limit=1 << 20)
    own: int = server.sockets[0].getsockname()[1]
    try:
        yield url.replace(f":{port}", f":{own}", 1)
    finally:
        server.close()


async def _until_left(reader: StreamReader, sink: StreamWriter) -> None:
    with suppress(OSError):
        await reader.read(1)
        sink.close()
