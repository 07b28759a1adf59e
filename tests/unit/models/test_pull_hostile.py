"""Downloads from a server that does by chance whatever a server can do wrong: right bytes, or no file and a reason."""

import asyncio
import hashlib
import random
from pathlib import Path

import pytest

from legion_core.kernel.clock import SystemClock
from legion_core.kernel.errors import LegionError, NotFound
from legion_core.kernel.ids import Ids, system_rng
from legion_core.models.pull import Limits, Puller
from legion_core.models.store import ModelStore
from legion_core.testing.gguf_files import ToyFile, ToyTensor, toy_bytes
from tests.support import aio

RUNS = 40
MODEL = toy_bytes(ToyFile(tensors=(ToyTensor("a", shape=(32, 2_000), size=32 * 2_000 * 4),)))
OTHER = toy_bytes(ToyFile(tensors=(ToyTensor("b", shape=(32, 2_100), size=32 * 2_100 * 4),)))
SUM = hashlib.sha256(MODEL).hexdigest()
QUICK = Limits(tries_max=6, tries_begun_max=6, pause_first_s=0.001, pause_max_s=0.002, silence_s=5)
WAYS = (
    "honest",
    "honest",
    "drop",
    "drop",
    "reset",
    "wrong_range",
    "changed",
    "416",
    "503",
    "no_length",
    "corrupt",
    "html",
)


class Hostile:
    """One server with a mind of its own; `sent` is every byte of bodies it gave."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.body, self.etag = MODEL, '"v1"'
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            self._answer(self.chance.choice(WAYS), head, writer)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _answer(self, way: str, head: str, writer: asyncio.StreamWriter) -> None:
        if way == "503":
            writer.write(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
            return
        if way == "416":
            writer.write(b"HTTP/1.1 416 No\r\nContent-Range: bytes */7\r\nContent-Length: 0\r\n\r\n")
            return
        if way == "html":
            page = b"<!DOCTYPE html><html>log in first</html>" * 40
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(page) + page)
            return
        if way == "changed":
            self.body, self.etag = (OTHER, '"v2"') if self.body is MODEL else (MODEL, '"v1"')
        start = int(head.partition("range: bytes=")[2].partition("-")[0] or 0)
        is_same = f"if-range: {self.etag}" in head
        if start and is_same:
            said = start + 1000 if way == "wrong_range" else start
            lines = [
                "HTTP/1.1 206 Part", f"Content-Range: bytes {said}-{len(self.body) - 1}/{len(self.body)}",
                f"Content-Length: {len(self.body) - start}", f"ETag: {self.etag}",
            ]  # fmt: skip
            part = self.body[start:]
        else:
            lines = ["HTTP/1.1 200 OK", f"ETag: {self.etag}"]
            if way != "no_length":
                lines.append(f"Content-Length: {len(self.body)}")
            part = self.body
        if way == "corrupt" and len(part) > 10_000:
            at = len(part) - self.chance.randrange(1, 9_000)
            part = part[:at] + bytes([part[at] ^ 0xFF]) + part[at + 1 :]
        if way in ("drop", "reset"):
            part = part[: self.chance.randrange(len(part))]
        writer.write("\r\n".join((*lines, "Connection: close", "", "")).encode() + part)
        if way == "reset":
            writer.transport.abort()


@pytest.mark.slow
def test_every_end_is_the_right_bytes_or_a_reason_and_no_file(tmp_path: Path, count_factor: int) -> None:
    async def one(number: int) -> str:
        clock = SystemClock()
        store = ModelStore(clock, Ids(clock, system_rng()), tmp_path / f"m{number}")
        puller = Puller(clock, store, QUICK, allow_private=True)
        hostile = Hostile(random.Random(number))
        server = await asyncio.start_server(hostile.serve, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/toy.gguf"
        try:
            stored = await puller.pull(url, sha256=SUM)
        except LegionError as error:
            with pytest.raises(NotFound):
                await store.get("toy")
            return type(error).__name__
        finally:
            server.close()
            await server.wait_closed()
        assert hashlib.sha256(Path(stored.path).read_bytes()).hexdigest() == stored.sha256 == SUM
        return "ready"

    async def check() -> None:
        ends = [await one(number) for number in range(RUNS * count_factor)]
        assert ends.count("ready") > len(ends) / 4
        assert len(set(ends)) > 2

    aio.run(check(), 100.0)
