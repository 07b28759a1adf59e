"""What is read of a request's headers, once for all requests of a connection that repeat them."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from legion_core.surfaces.rest.head import Head, Header, head_of
from tests.support.aio import run
from tests.unit.surfaces.raw import TOKEN, serving

NAMES = st.sampled_from(
    [b"authorization", b"content-length", b"content-type", b"host", b"origin", b"x-api-key", b"x-legion-tier"]
)
HEADERS = st.lists(
    st.tuples(NAMES, st.sampled_from([b"", b"Bearer a", b"application/json", b" 12 ", b"7", b"\xff"]))
)


def told(head: Head) -> tuple[object, ...]:
    return head.texts, head.fields, head.tokens, head.is_json


@given(HEADERS, HEADERS)
def test_what_was_read_before_is_used_only_for_the_same_headers(
    before: list[Header], now: list[Header]
) -> None:
    again = head_of(now, head_of(before)[0])[0]

    assert told(again) == told(head_of(now)[0])


def test_requests_that_differ_in_their_length_alone_share_what_was_read() -> None:
    first, _ = head_of([(b"host", b"a"), (b"content-length", b"12")])

    assert head_of([(b"content-length", b"7"), (b"host", b"a")], first) == (first, 7)
    assert "content-length" not in first.texts


def test_a_length_that_is_no_number_is_none() -> None:
    assert [head_of([(b"content-length", told)])[1] for told in (b"12", b"-1", b"x", b"9" * 5000, b"")] == [
        12, 0, 0, 0, 0,
    ]  # fmt: skip


def test_each_request_of_a_connection_is_judged_by_its_own_headers() -> None:
    async def work() -> list[bytes]:
        async with serving() as here:
            reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
            said = list[bytes]()
            for token in (TOKEN, TOKEN, "lgn_other", TOKEN):
                writer.write(
                    f"GET /api/v1/status HTTP/1.1\r\nHost: 127.0.0.1:{here.port}\r\n"
                    f"Authorization: Bearer {token}\r\n\r\n".encode()
                )
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                await reader.readexactly(length)
                said.append(head.split(b" ")[1])
            writer.close()
            return said

    first, second, foreign, last = run(work())
    assert first == second == last != b"401"
    assert foreign == b"401"
