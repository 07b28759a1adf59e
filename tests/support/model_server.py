"""A server of one model file on loopback that can be told to stop after so many bytes, for tests of downloads."""

import asyncio
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from legion_core.testing.gguf_files import ToyFile, ToyTensor, toy_bytes

MODEL = toy_bytes(ToyFile(tensors=(ToyTensor("a", shape=(32, 40_000), size=32 * 40_000 * 4),)))
ETAG = '"v1"'


@dataclass(slots=True)
class ModelServer:
    """Serves `MODEL` with ranges. While `gate` is clear, an answer stops after `stop_at` bytes of the file."""

    port: int = 0
    stop_at: int = 2_200_000
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    starts: list[int] = field(default_factory=list[int])
    reached: threading.Event = field(default_factory=threading.Event)
    """Set each time an answer stands still at `stop_at`."""
    locations: list[str] = field(default_factory=list[str])
    """Redirects to give, before anything is served."""

    def url(self, name: str = "toy") -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}/{name}.gguf"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            if self.locations:
                target = self.locations.pop(0)
                writer.write(
                    f"HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode()
                )
                await writer.drain()
                return
            start = int(head.partition("range: bytes=")[2].partition("-")[0] or 0)
            self.starts.append(start)
            status = "206 Partial Content" if start else "200 OK"
            span = f"Content-Range: bytes {start}-{len(MODEL) - 1}/{len(MODEL)}\r\n" if start else ""
            writer.write(
                f"HTTP/1.1 {status}\r\nContent-Length: {len(MODEL) - start}\r\n{span}ETag: {ETAG}\r\n\r\n".encode()
            )
            if not self.gate.is_set():
                writer.write(MODEL[start : self.stop_at])
                await writer.drain()
                self.reached.set()
                left = asyncio.create_task(reader.read())
                opened = asyncio.create_task(self.gate.wait())
                try:
                    await asyncio.wait({left, opened}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    left.cancel()
                    opened.cancel()
                start = max(start, self.stop_at)
                if left.done() and not left.cancelled():
                    return
            writer.write(MODEL[start:])
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def model_server() -> AsyncGenerator[ModelServer]:
    """Serving until left."""
    made = ModelServer()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        made.gate.set()
        server.close()
        await server.wait_closed()
