"""One line's bytes in any pieces: compressed or not, with the end of the connection behind the last or in their middle."""

import asyncio
import gzip
import socket
from typing import Any, cast

import pytest

from legion_core.gateway.providers.line import Line, LineError, Tap, Undecodable
from tests.support.aio import run
from tests.unit.gateway.providers.test_lines import OK, says, soon, standing

BODY = "größer 🌊 ".encode() * 20
PLAIN = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(BODY) + BODY
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (
    33,
    BODY[:33],
    len(BODY) - 33,
    BODY[33:],
)
PACKED = gzip.compress(BODY, mtime=0)
ZIPPED = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(PACKED) + PACKED
ENDLESS = b"HTTP/1.1 200 OK\r\n\r\n" + BODY


class Wire:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.is_gone = False

    def get_extra_info(self, _: str) -> None:
        return None

    def write(self, _: bytes) -> None: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...

    def abort(self) -> None:
        self.is_gone = True

    def is_closing(self) -> bool:
        return self.is_gone


def _freed(line: Line, may_go_on: bool) -> None:
    """Nobody waits for it."""


async def body_of(pieces: list[bytes], *, ends: bool, taps: bool) -> tuple[bytes, LineError | None]:
    """What a reader gets that waits while all of it comes in one turn of the loop, and why no more."""
    line, got = Line(_freed), list[bytes]()
    line.connection_made(cast("Any", Wire()))

    def tap(piece: bytes) -> float:
        got.append(piece)
        return soon()

    async def read() -> LineError | None:
        takes: Tap | None = tap if taps else None
        try:
            await line.exchange(b"", b"", soon())
            while (piece := await line.next(soon(), takes)) is not None:
                got.append(piece)
        except LineError as error:
            return error
        return None

    reader = asyncio.create_task(read())
    await asyncio.sleep(0)
    for at, piece in enumerate(pieces):
        line.data_received(piece)
        if taps and at == 0:
            await asyncio.sleep(0)  # the reader has its head and waits for what it may be passed by
            await asyncio.sleep(0)
    if ends:
        line.connection_lost(None)
    error = await asyncio.wait_for(reader, 20)
    await line.aclose()
    return b"".join(got), error


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@pytest.mark.parametrize("taps", [False, True], ids=["read", "tapped"])
@pytest.mark.parametrize(
    "answer", [PLAIN, CHUNKED, ZIPPED, ENDLESS], ids=["length", "chunks", "gzip", "endless"]
)
def test_an_end_that_comes_with_the_last_bytes_takes_none_of_them_away(answer: bytes, taps: bool) -> None:
    for size in (1, 7, 64, len(answer)):
        assert run(body_of(cut(answer, size), ends=True, taps=taps)) == (BODY, None), size


@pytest.mark.parametrize("taps", [False, True], ids=["read", "tapped"])
@pytest.mark.parametrize("answer", [PLAIN, CHUNKED, ZIPPED], ids=["length", "chunks", "gzip"])
def test_an_end_in_the_middle_is_told_behind_what_came_and_never_as_a_whole(
    answer: bytes, taps: bool
) -> None:
    head = answer.index(b"\r\n\r\n") + 4
    for at in range(head, len(answer) - 1, 5):
        got, error = run(body_of([answer[:head], *cut(answer[head:at], 9)], ends=True, taps=taps))
        assert error is not None, at
        assert BODY.startswith(got), at
        if answer is PLAIN:
            assert got == answer[head:at]


def test_a_compressed_body_that_is_wrong_is_an_error_and_its_bytes_are_nobodys_text() -> None:
    wrong = ZIPPED[:-12] + b"x" * 12
    short = ZIPPED.replace(b"length: %d" % len(PACKED), b"length: %d" % (len(PACKED) - 9))[:-9]
    for answer in (wrong, short):
        for size in (5, len(answer)):
            got, error = run(body_of(cut(answer, size), ends=False, taps=False))
            assert isinstance(error, Undecodable)
            assert BODY.startswith(got)


def test_a_request_does_not_wait_for_the_acknowledgement_of_its_beginning() -> None:
    async def main() -> int:
        async with standing(says(OK)) as (lines, _):
            exchange = await lines.send("GET", "http://127.0.0.1/x", {}, b"", soon())
            (line,) = lines._busy
            assert line._transport is not None
            found = line._transport.get_extra_info("socket").getsockopt(
                socket.IPPROTO_TCP, socket.TCP_NODELAY
            )
            await exchange.aclose()
            return found

    assert run(main()) != 0
