"""Two programs that read one request in two ways are how a second one is smuggled in: what can be read in two ways is refused."""

import json
from typing import Any

import pytest

from legion_core.surfaces.rest.calls import Call, Desk, Operation, Reply
from tests.support.aio import run
from tests.unit.surfaces.raw import TOKEN, exchange, serving

JSON = b"Content-Type: application/json\r\n"


def operations(seen: list[str]) -> tuple[Operation, ...]:
    async def take(desk: Desk, call: Call) -> Reply:
        seen.append(f"take {len(call.body)}")
        return Reply({"got": len(call.body)})

    async def victim(desk: Desk, call: Call) -> Reply:
        seen.append("victim")
        return Reply({})

    return (
        Operation(method="POST", path="/take", name="take", summary="-", handler=take, right=("x", "use")),
        Operation(
            method="POST", path="/victim", name="victim", summary="-", handler=victim, right=("x", "use")
        ),
    )


def heads(port: int, path: str, *lines: bytes) -> bytes:
    token = f"Authorization: Bearer {TOKEN}\r\n".encode()
    return (
        b"POST "
        + path.encode()
        + b" HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n" % port
        + token
        + JSON
        + b"".join(lines)
        + b"\r\n"
    )


def smuggled(port: int) -> bytes:
    """A whole request that would be the body's rest, or the next one, by who is asked."""
    return heads(port, "/victim", b"Content-Length: 2\r\n") + b"{}"


AMBIGUOUS: dict[str, tuple[bytes, ...]] = {
    "length and chunks": (b"Content-Length: 6\r\n", b"Transfer-Encoding: chunked\r\n"),
    "chunks and length": (b"Transfer-Encoding: chunked\r\n", b"Content-Length: 6\r\n"),
    "two lengths": (b"Content-Length: 0\r\n", b"Content-Length: 6\r\n"),
    "the same length twice": (b"Content-Length: 6\r\n", b"Content-Length: 6\r\n"),
    "a list of lengths": (b"Content-Length: 6, 0\r\n",),
    "a signed length": (b"Content-Length: +6\r\n",),
    "a negative length": (b"Content-Length: -1\r\n",),
    "a length in hex": (b"Content-Length: 0x6\r\n",),
    "a length beyond all numbers": (b"Content-Length: 99999999999999999999999\r\n",),
    "a length with a sign within": (b"Content-Length: 1_0\r\n",),
    "a coding nobody knows": (b"Transfer-Encoding: xchunked\r\n",),
    "chunked twice": (b"Transfer-Encoding: chunked, chunked\r\n",),
    "chunked and then none": (b"Transfer-Encoding: chunked, identity\r\n",),
    "two codings": (b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: x\r\n"),
    "a coding behind a tab": (b"Transfer-Encoding:\tchunked\r\n", b"Content-Length: 6\r\n"),
    "a space before the colon": (b"Transfer-Encoding : chunked\r\n", b"Content-Length: 6\r\n"),
    "a folded line": (b"X-Fold: a\r\n Transfer-Encoding: chunked\r\n", b"Content-Length: 6\r\n"),
    "a line that begins with a tab": (b"X-Fold: a\r\n\tContent-Length: 0\r\n", b"Content-Length: 6\r\n"),
    "a bare carriage return": (b"X-Cr: a\rTransfer-Encoding: chunked\r\n", b"Content-Length: 6\r\n"),
    "a name with a control character": (b"Content\x0b-Length: 6\r\n",),
    "an underscore for a hyphen": (b"Content_Length: 6\r\n", b"Transfer_Encoding: chunked\r\n"),
    "a length after an empty name": (b": x\r\n", b"Content-Length: 6\r\n"),
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_a_request_of_two_lengths_is_none_and_what_follows_it_is_not_read(name: str) -> None:
    seen: list[str] = []

    async def work() -> bytes:
        async with serving(*operations(seen)) as here:
            data = heads(here.port, "/take", *AMBIGUOUS[name]) + b"0\r\n\r\n" + smuggled(here.port)
            return await exchange(here.port, data)

    answer = run(work())
    assert "victim" not in seen, answer
    statuses = [line.split(b" ")[1] for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]
    assert len(statuses) == 1, answer
    assert statuses[0][:1] == b"4", answer
    assert b"connection: close" in answer.lower()


CHUNKS = {
    "a size with a sign": b"+6\r\nabcdef\r\n0\r\n\r\n",
    "a size in no base": b"zz\r\nabcdef\r\n0\r\n\r\n",
    "a size beyond all numbers": b"ffffffffffffffffffff\r\nabcdef\r\n0\r\n\r\n",
    "a size that lies": b"3\r\nabcdef\r\n0\r\n\r\n",
    "a size with a space": b"6 \nabcdef\r\n0\r\n\r\n",
    "line feeds alone": b"6\nabcdef\n0\n\n",
    "no end behind the data": b"6\r\nabcdef0\r\n\r\n",
}


@pytest.mark.parametrize("name", CHUNKS)
def test_chunks_that_can_be_read_in_two_ways_end_the_connection(name: str) -> None:
    seen: list[str] = []

    async def work() -> bytes:
        async with serving(*operations(seen)) as here:
            data = (
                heads(here.port, "/take", b"Transfer-Encoding: chunked\r\n")
                + CHUNKS[name]
                + smuggled(here.port)
            )
            return await exchange(here.port, data)

    answer = run(work())
    assert "victim" not in seen, answer


def test_a_request_hidden_in_a_body_stays_a_body() -> None:
    seen: list[str] = []

    async def work() -> bytes:
        async with serving(*operations(seen)) as here:
            inner = smuggled(here.port)
            close = b"Connection: close\r\n"
            data = heads(here.port, "/take", b"Content-Length: %d\r\n" % len(inner), close) + inner
            return await exchange(here.port, data)

    run(work())
    assert seen
    assert seen[0].startswith("take")
    assert "victim" not in seen


def bodies() -> dict[str, bytes]:
    deep = 200_000
    return {
        "lists within lists": b"[" * deep + b"]" * deep,
        "objects within objects": b'{"a":' * deep + b"1" + b"}" * deep,
        "a number of a million digits": b'{"a":' + b"9" * 1_000_000 + b"}",
        "a number beyond infinity": b'{"a":1e999999999}',
        "a million keys": b"{" + b",".join(b'"k%d":0' % n for n in range(200_000)) + b"}",
        "not a number": b'{"a":NaN}',
        "half a character": b'{"a":"\\ud800"}',
        "no text": b"\xff\xfe\x00",
    }


@pytest.mark.parametrize("name", bodies())
def test_a_body_made_to_hurt_is_the_callers_fault_and_the_server_lives(name: str) -> None:
    async def read(desk: Desk, call: Call) -> Reply:
        return Reply(repr(call.read(dict[str, Any]))[:10])

    operation = Operation(
        method="POST", path="/read", name="read", summary="-", handler=read, right=("x", "use")
    )
    body = bodies()[name]

    async def work() -> tuple[bytes, bytes]:
        async with serving(operation) as here:
            close = b"Connection: close\r\n"
            data = heads(here.port, "/read", b"Content-Length: %d\r\n" % len(body), close) + body
            first = await exchange(here.port, data)
            good = json.dumps({"a": 1}).encode()
            head = heads(here.port, "/read", b"Content-Length: %d\r\n" % len(good), close)
            return first, await exchange(here.port, head + good)

    first, second = run(work())
    assert first.split(b" ")[1] in (b"200", b"400", b"413", b"422"), first[:300]
    assert b"Traceback" not in first
    assert second.split(b" ")[1] == b"200"
