"""The connections to a provider: kept, bounded, read in any shape the protocol allows, and told apart when they fail."""

import asyncio
import gzip
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from legion_core.gateway.providers.line import LineError, Undecodable
from legion_core.gateway.providers.lines import LINES_MAX, CannotConnect, Lines
from legion_core.gateway.providers.registry import make
from legion_core.gateway.types import Finished, Message, ModelOffer, Request, TextBlock, TextDelta
from legion_core.kernel.clock import SystemClock
from legion_core.kernel.errors import Overloaded
from legion_core.testing.upstreams import Answer, Say, Upstream
from tests.support.aio import run

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
Answering = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def says(*answers: bytes, then_closes: bool = False) -> Answering:
    """Gives the next of `answers` to each request of a connection."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            for each in answers:
                await reader.readuntil(b"\r\n\r\n")
                writer.write(each)
                await writer.drain()
            if not then_closes:
                await reader.read()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    return answer


@asynccontextmanager
async def standing(answer: Answering) -> AsyncGenerator[tuple[Lines, list[int]]]:
    """Lines to a server that answers so, and the number of connections it has taken so far."""
    taken, tasks = [0], list[asyncio.Task[None] | None]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken[0] += 1
        tasks.append(asyncio.current_task())
        await answer(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    lines = Lines(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", connect_s=10)
    try:
        yield lines, taken
    finally:
        await lines.aclose()
        server.close()
        await server.wait_closed()
        await asyncio.gather(*(task for task in tasks if task is not None), return_exceptions=True)


def soon() -> float:
    return asyncio.get_running_loop().time() + 20


async def whole(lines: Lines) -> tuple[int, bytes]:
    """Status and body of one GET."""
    exchange = await lines.send("GET", "http://127.0.0.1/x", {}, b"", soon())
    try:
        body = b""
        while (piece := await exchange.next(soon())) is not None:
            body += piece
        return exchange.status, body
    finally:
        await exchange.aclose()


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (OK, b"ok"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", b"ok"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-sum: 1\r\n\r\n", b"ok"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, b"ok"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (
            b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n%s"
            % (len(gzip.compress(b"ok", mtime=0)), gzip.compress(b"ok", mtime=0)),
            b"ok",
        ),
    ],
    ids=["length", "chunks", "trailer", "interim", "no content", "gzip"],
)
def test_every_shape_of_an_answer_is_read_and_leaves_its_line_for_the_next(
    answer: bytes, body: bytes
) -> None:
    async def main() -> None:
        async with standing(says(answer, answer, answer)) as (lines, taken):
            for _ in range(3):
                assert (await whole(lines))[1] == body
            assert taken == [1]

    run(main())


def test_an_answer_that_names_no_length_ends_with_its_connection() -> None:
    async def main() -> None:
        async with standing(says(b"HTTP/1.1 200 OK\r\n\r\nok", then_closes=True)) as (lines, taken):
            assert await whole(lines) == (200, b"ok")
            assert await whole(lines) == (200, b"ok")
            assert taken == [2]

    run(main())


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok", LineError),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nok", LineError),
        (b"", LineError),
        (b"SSH-2.0-OpenSSH_9.2\r\n", LineError),
        (b"HTTP/1.1 000 Odd\r\ncontent-length: 2\r\n\r\nok", LineError),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 300_000, LineError),
        (b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n", LineError),
        (b"HTTP/1.1 200 OK\r\ncontent-encoding: br\r\ncontent-length: 2\r\n\r\nok", Undecodable),
        (b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\nok", Undecodable),
    ],
    ids=[
        "short",
        "torn chunk",
        "nothing",
        "no http",
        "no status",
        "endless head",
        "upgrade",
        "unknown coding",
        "no gzip",
    ],
)
def test_what_is_no_whole_answer_is_an_error(answer: bytes, kind: type[LineError]) -> None:
    async def main() -> None:
        async with standing(says(answer, then_closes=True)) as (lines, _):
            with pytest.raises(kind):
                await whole(lines)

    run(main())


def test_a_line_that_was_closed_or_spoke_unasked_is_not_used_again() -> None:
    async def main() -> None:
        for rest in (says(OK, then_closes=True), says(OK + b"HTTP/1.1 200 OK\r\n")):
            async with standing(rest) as (lines, taken):
                for expected in (1, 2, 3):
                    assert await whole(lines) == (200, b"ok")
                    assert taken == [expected]
                    # Until our side has seen what the other end did.
                    while any(line.is_usable for line in lines._idle):
                        await asyncio.sleep(0.001)

    run(main())


def test_a_line_that_closes_as_it_is_used_again_costs_no_request_and_a_new_one_is_not_tried_twice() -> None:
    questions = list[int]()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number in (0, 1):
            try:
                await reader.readuntil(b"\r\n\r\n")
            except asyncio.IncompleteReadError:
                break
            questions.append(number)
            if number == is_closed_from[0]:
                break
            writer.write(OK)
            await writer.drain()
        writer.close()

    async def main() -> None:
        async with standing(answer) as (lines, taken):
            for _ in range(3):
                assert await whole(lines) == (200, b"ok")
            assert (questions, taken) == ([0, 1, 0, 1, 0], [3])
            await lines.aclose()
        is_closed_from[0] = 0
        async with standing(answer) as (lines, taken):
            with pytest.raises(LineError):
                await whole(lines)
            assert taken == [1]

    is_closed_from = [1]
    run(main())


def test_an_answer_that_is_left_early_closes_its_line_and_frees_its_place() -> None:
    async def main() -> None:
        endless = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n"
        async with standing(says(endless)) as (lines, taken):
            for count in range(1, LINES_MAX + 2):
                exchange = await lines.send("GET", "http://127.0.0.1/x", {}, b"", soon())
                assert await exchange.next(soon()) == b"ok"
                assert not exchange.is_whole
                await exchange.aclose()
                await exchange.aclose()
                assert taken == [count]
            assert not lines._busy
            assert not lines._idle

    run(main())


def test_a_silence_ends_at_the_moment_that_was_named() -> None:
    async def main() -> None:
        async with standing(says(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok")) as (lines, _):
            exchange = await lines.send("GET", "http://127.0.0.1/x", {}, b"", soon())
            assert await exchange.next(soon()) == b"ok"
            with pytest.raises(TimeoutError):
                await exchange.next(asyncio.get_running_loop().time() + 0.05)
            await exchange.aclose()

    run(main())


def test_nobody_there_cannot_be_connected_to() -> None:
    async def main() -> None:
        async with standing(says(OK)) as (lines, _):
            pass
        with pytest.raises(CannotConnect, match=r"^connection refused$"):
            await Lines(f"http://127.0.0.1:{lines._port}", connect_s=10).send(
                "GET", "http://127.0.0.1/x", {}, b"", soon()
            )

    run(main())


def test_a_provider_elsewhere_is_reached_through_the_proxy_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def main() -> None:
        async with Upstream("openai") as proxy:
            proxy.will(Answer(("a", "b")))
            monkeypatch.setenv("http_proxy", proxy.origin)
            offer = ModelOffer(id="m1")
            box = make(
                "box",
                "openai",
                SystemClock(),
                base_url="http://provider.example/v1",
                api_key="k",
                models=(offer,),
            )
            asked = Request(id="r", messages=(Message(role="user", content=(TextBlock(text="Hi"),)),))
            async with box.stream(asked, "m1") as chunks:
                got = [chunk async for chunk in chunks]
            await box.aclose()
            assert "".join(each.text for each in got if isinstance(each, TextDelta)) == "ab"
            assert isinstance(got[-1], Finished)
            assert proxy.requests[0].headers["host"] == "provider.example"

    run(main())


def test_what_came_before_an_error_in_the_same_piece_is_given_before_it() -> None:
    async def main() -> None:
        in_band = b'data: {"error": {"message": "too busy", "type": "overloaded_error"}}\n\n'
        async with Upstream("openai") as upstream:
            upstream.will(Answer(("a", "b", "c"), fault=Say(3, in_band)))
            offer = ModelOffer(id="m1")
            box = make(
                "box", "openai", SystemClock(), base_url=upstream.base_url, api_key="k", models=(offer,)
            )
            asked = Request(id="r", messages=(Message(role="user", content=(TextBlock(text="Hi"),)),))
            got = list[str]()

            async def read() -> None:
                async with box.stream(asked, "m1") as chunks:
                    async for chunk in chunks:
                        more = getattr(chunks, "ready")()  # noqa: B009  # no part of every stream
                        got.extend(each.text for each in (chunk, *more) if isinstance(each, TextDelta))

            with pytest.raises(Overloaded):
                await read()
            await box.aclose()
            assert got == ["a", "b"]

    run(main())
