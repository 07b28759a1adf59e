"""What a slow, huge or greedy client can do to the others, which is nothing."""

import asyncio

import pytest

from legion_core.surfaces.rest.calls import Call, Desk, Operation, Reply
from legion_core.surfaces.rest.limits import Limits
from tests.support.aio import run
from tests.support.timeouts import old_timeouts  # noqa: F401
from tests.unit.surfaces.raw import Answer, Serving, ask, exchange, parse, request, serving

JSON = "Content-Type: application/json"


async def _take(desk: Desk, call: Call) -> Reply:
    return Reply({"got": len(call.body)})


TAKE = Operation(method="POST", path="/take", name="take", summary="-", handler=_take, right=("x", "use"))


def head(port: int, *headers: str) -> bytes:
    return request("POST", "/take", JSON, *headers, port=port)


def test_a_body_declared_larger_than_the_limit_is_refused_before_it_is_sent() -> None:
    async def work() -> Answer:
        async with serving(TAKE, limits=Limits(body_bytes_max=1000)) as here:
            return await ask(here, "POST", "/take", JSON, body=b" " * 1001)

    assert run(work()).status == 413


def test_a_body_at_the_limit_is_taken() -> None:
    async def work() -> Answer:
        async with serving(TAKE, limits=Limits(body_bytes_max=1000)) as here:
            return await ask(here, "POST", "/take", JSON, body=b" " * 1000)

    assert run(work()).status == 200


def test_a_chunked_body_is_counted_while_it_comes() -> None:
    async def work() -> Answer:
        async with serving(TAKE, limits=Limits(body_bytes_max=1000)) as here:
            data = head(here.port, "Transfer-Encoding: chunked") + b"3e9\r\n" + b" " * 1001 + b"\r\n0\r\n\r\n"
            return parse(await exchange(here.port, data))

    assert run(work()).status == 413


def test_what_comes_behind_a_body_is_no_header() -> None:
    async def names(desk: Desk, call: Call) -> Reply:
        return Reply(sorted({*call.headers, *(name.decode() for name, _ in call.raw_headers)}))

    operation = Operation(
        method="POST", path="/take", name="take", summary="-", handler=names, right=("x", "use")
    )

    async def work() -> Answer:
        async with serving(operation) as here:
            start = head(here.port, "Transfer-Encoding: chunked")
            return parse(await exchange(here.port, start + b"2\r\n{}\r\n0\r\nx-signature: good\r\n\r\n"))

    told = run(work())

    assert told.status == 200
    assert b"content-type" in told.body
    assert b"x-signature" not in told.body


@pytest.mark.parametrize(
    "behind",
    [b"".join(b"x-%d: 1\r\n" % number for number in range(200)), b"x-long: " + b"a" * 600_000],
    ids=["many", "one without an end"],
)
def test_what_comes_behind_a_body_is_bounded_as_headers_are(behind: bytes) -> None:
    async def work() -> Answer:
        async with serving(TAKE) as here:
            start = head(here.port, "Transfer-Encoding: chunked")
            return parse(await exchange(here.port, start + b"2\r\n{}\r\n0\r\n" + behind))

    assert run(work()).status == 431


def test_who_sends_two_hundred_megabytes_can_read_why_they_are_refused() -> None:
    async def work() -> tuple[bytes, int]:
        async with serving(TAKE) as here:
            reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
            size = 200 * 1024 * 1024
            data = head(here.port, f"Content-Length: {size}").replace(b"Connection: close\r\n", b"")
            writer.write(data)
            piece = b" " * (1 << 20)
            beside = 0
            for _ in range(200):
                writer.write(piece)
                await writer.drain()
                if beside == 0:
                    beside = (await ask(here, "GET", "/healthz")).status
            answer = await reader.readuntil(b"\r\n\r\n")
            writer.close()
            return answer, beside

    answer, beside = run(work())

    assert answer.startswith(b"HTTP/1.1 413")
    assert beside == 200


def test_a_body_without_its_end_is_given_up() -> None:
    async def work() -> Answer:
        async with serving(TAKE, limits=Limits(body_s=0.05)) as here:
            return parse(await exchange(here.port, head(here.port, "Content-Length: 10") + b"{"))

    assert run(work()).status == 408


def test_headers_without_their_end_are_given_up() -> None:
    async def work() -> Answer:
        async with serving(TAKE, limits=Limits(head_s=0.05)) as here:
            return parse(await exchange(here.port, b"GET / HTTP/1.1\r\nHost: x"))

    assert run(work()).status == 408


def test_a_large_body_is_no_large_head_and_the_connection_serves_on() -> None:
    async def work() -> list[bytes]:
        async with serving(TAKE) as here:
            reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
            heads = []
            for _ in range(3):
                data = request("POST", "/take", JSON, body=b" " * 100_000, port=here.port)
                writer.write(data.replace(b"Connection: close\r\n", b""))
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(int(parse(head).header("content-length") or 0))
                heads.append(head[:12])
            writer.close()
            return heads

    assert run(work()) == [b"HTTP/1.1 200"] * 3


def test_the_second_request_on_a_connection_may_be_no_slower_than_the_first() -> None:
    async def work() -> bytes:
        async with serving(TAKE, limits=Limits(head_s=0.05)) as here:
            reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
            data = request("GET", "/healthz", port=here.port).replace(b"Connection: close\r\n", b"")
            writer.write(data + b"GET /healthz HTTP/1.1\r\nHost:")
            seen = await reader.read(-1)
            writer.close()
            return seen

    assert b"HTTP/1.1 408" in run(work())


def test_the_second_slow_request_in_a_packet_of_its_own_is_given_up_too() -> None:
    async def work() -> bytes:
        async with serving(TAKE, limits=Limits(head_s=0.05)) as here:
            reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
            data = request("GET", "/healthz", port=here.port).replace(b"Connection: close\r\n", b"")
            writer.write(data)
            await reader.readuntil(b"ok\n")
            writer.write(b"GET /healthz HTTP/1.1\r\nHost:")
            seen = await reader.read(-1)
            writer.close()
            return seen

    assert b"HTTP/1.1 408" in run(work())


@pytest.mark.parametrize("path", ["silent", "kept"])
def test_an_idle_connection_is_closed(path: str) -> None:
    async def work() -> bytes:
        async with serving(TAKE, limits=Limits(head_s=0.05, keep_alive_s=0.05)) as here:
            data = b""
            if path == "kept":
                data = request("GET", "/healthz", port=here.port).replace(b"Connection: close\r\n", b"")
            return await exchange(here.port, data)

    assert run(work()).count(b"HTTP/1.1") == (1 if path == "kept" else 0)


def test_endless_headers_are_refused_without_being_kept() -> None:
    async def work() -> Answer:
        async with serving(TAKE) as here:
            data = b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 200_000
            return parse(await exchange(here.port, data))

    assert run(work()).status == 431


def test_an_endless_address_is_refused() -> None:
    async def work() -> Answer:
        async with serving(TAKE) as here:
            return await ask(here, "GET", "/" + "a" * 30_000)

    assert run(work()).status == 414


def test_idle_connections_make_room_for_one_that_asks() -> None:
    async def work() -> tuple[int, bool]:
        async with serving(TAKE, limits=Limits(connections_max=20)) as here:
            await ask(here, "GET", "/healthz")  # the first knock loads what answers
            idle = [await asyncio.open_connection("127.0.0.1", here.port) for _ in range(60)]
            answer = await ask(here, "GET", "/healthz")
            door = here.server._door
            assert door is not None
            held = len(door.state.connections)
            for _, writer in idle:
                writer.close()
            return answer.status, held <= 20

    assert run(work()) == (200, True)


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\r\n\r\n",
        b"\r\n" * 100 + b"nonsense\r\n\r\n",
        b"POST /take HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /take HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"POST /take HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_what_is_no_http_is_400_and_the_server_lives(data: bytes) -> None:
    async def work() -> tuple[Answer, Answer]:
        async with serving(TAKE) as here:
            return parse(await exchange(here.port, data)), await ask(here, "GET", "/healthz")

    bad, good = run(work())

    assert bad.status in (400, 421)
    assert good.status == 200


def test_stopping_ends_idle_connections_and_answers_under_way() -> None:
    entered, leave = asyncio.Event(), asyncio.Event()

    async def slow(desk: Desk, call: Call) -> Reply:
        entered.set()
        await leave.wait()
        return Reply("whole")

    slow_one = Operation(
        method="GET", path="/slow", name="slow", summary="-", handler=slow, right=("x", "use")
    )

    async def work() -> tuple[Answer, bytes]:
        async with serving(slow_one) as here:
            _, idle_writer = idle = await asyncio.open_connection("127.0.0.1", here.port)
            asked = asyncio.ensure_future(ask(here, "GET", "/slow"))
            await entered.wait()
            stopping = asyncio.ensure_future(here.server.stop(5.0))
            asyncio.get_running_loop().call_later(0.05, leave.set)
            await stopping
            rest = await idle[0].read()
            idle_writer.close()
            return await asked, rest

    answer, rest = run(work())

    assert answer.status == 200
    assert b"whole" in answer.body
    assert rest == b""


def test_stopping_cuts_off_what_does_not_end() -> None:
    entered = asyncio.Event()
    seen: list[str] = []

    async def endless(desk: Desk, call: Call) -> Reply:
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("cancelled")
        return Reply(None)

    stuck = Operation(
        method="GET", path="/stuck", name="stuck", summary="-", handler=endless, right=("x", "use")
    )

    async def work() -> Answer:
        async with serving(stuck) as here:
            asked = asyncio.ensure_future(ask(here, "GET", "/stuck"))
            await entered.wait()
            await here.server.stop(0.05)
            return await asked

    run_answer = run(_parse_even_if_empty(work()))

    assert run_answer == 0
    assert seen == ["cancelled"]


@pytest.mark.usefixtures("old_timeouts")
def test_whoever_was_cancelled_cuts_off_what_does_not_end_too() -> None:
    entered = asyncio.Event()
    seen: list[str] = []

    async def endless(desk: Desk, call: Call) -> Reply:
        entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            seen.append("cancelled")
        return Reply(None)

    stuck = Operation(
        method="GET", path="/stuck", name="stuck", summary="-", handler=endless, right=("x", "use")
    )

    async def work() -> None:
        async with serving(stuck) as here:

            async def owner() -> None:
                try:
                    await asyncio.Event().wait()
                finally:
                    await here.server.stop(0.05)
                    seen.append("stopped")

            owning, asked = (
                asyncio.ensure_future(owner()),
                asyncio.ensure_future(ask(here, "GET", "/stuck")),
            )
            await entered.wait()
            owning.cancel()
            await asyncio.gather(owning, asked, return_exceptions=True)

    run(work())

    assert seen == ["cancelled", "stopped"]


async def _parse_even_if_empty(work: object) -> int:
    try:
        return (await work).status  # type: ignore[misc]
    except (IndexError, ValueError):
        return 0


def test_an_idle_server_has_no_timer_and_no_task_of_its_own() -> None:
    async def work() -> tuple[list[object], list[str]]:
        async with serving(TAKE) as here:
            await ask(here, "GET", "/healthz")
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            loop = asyncio.get_running_loop()
            timers = [
                handle
                for handle in loop._scheduled  # type: ignore[attr-defined]
                if not handle.cancelled() and "timeout" not in repr(handle).lower()
            ]
            return timers, _own_tasks(here)

    timers, tasks = run(work())

    assert timers == []
    assert tasks == []


def _own_tasks(here: Serving) -> list[str]:
    return list(here.supervisor.census)
