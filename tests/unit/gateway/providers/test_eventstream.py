"""AWS event streams: the same messages from any split, nothing believed that is damaged, and the official reader agrees."""

import struct
import zlib

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from legion_core.gateway.providers.eventstream import EventStreamParser, HeaderValue, StreamMessage
from legion_core.kernel.errors import Malformed

NUMBERS = {2: ("b", 8), 3: ("h", 16), 4: ("i", 32), 5: ("q", 64), 8: ("q", 64)}


def packed(kind: int, value: HeaderValue) -> bytes:
    match kind:
        case 0 | 1:
            return b""
        case 6:
            assert isinstance(value, bytes)
            return struct.pack(">H", len(value)) + value
        case 7:
            assert isinstance(value, str)
            return struct.pack(">H", len(value.encode())) + value.encode()
        case 9:
            assert isinstance(value, bytes)
            return value
        case _:
            return struct.pack(f">{NUMBERS[kind][0]}", value)


def message(headers: list[tuple[str, int, HeaderValue]], payload: bytes) -> bytes:
    raw = b"".join(
        bytes([len(name.encode())]) + name.encode() + bytes([kind]) + packed(kind, value)
        for name, kind, value in headers
    )
    head = struct.pack(">II", 16 + len(raw) + len(payload), len(raw))
    head += struct.pack(">I", zlib.crc32(head))
    return head + raw + payload + struct.pack(">I", zlib.crc32(head + raw + payload))


def of_kind(kind: int) -> st.SearchStrategy[tuple[int, HeaderValue]]:
    if kind in (0, 1):
        return st.just((kind, kind == 0))
    if kind in (6, 9):
        size = 16 if kind == 9 else None
        return st.tuples(st.just(kind), st.binary(min_size=size or 0, max_size=size or 50))
    if kind == 7:
        return st.tuples(st.just(kind), st.text(max_size=30))
    bits = NUMBERS[kind][1]
    return st.tuples(st.just(kind), st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1))


headers = st.dictionaries(
    st.text(st.characters(codec="ascii"), min_size=1, max_size=20),
    st.integers(0, 9).flatmap(of_kind),
    max_size=6,
).map(lambda found: [(name, kind, value) for name, (kind, value) in found.items()])
messages = st.lists(st.tuples(headers, st.binary(max_size=200)), max_size=5)


def told(found: list[StreamMessage]) -> list[tuple[dict[str, HeaderValue], bytes]]:
    return [(dict(each.headers), each.payload) for each in found]


@given(messages, st.lists(st.integers(1, 40), min_size=1, max_size=8))
def test_messages_are_the_same_however_their_bytes_are_cut(
    sent: list[tuple[list[tuple[str, int, HeaderValue]], bytes]], sizes: list[int]
) -> None:
    stream = b"".join(message(*each) for each in sent)
    parser, found, at = EventStreamParser(), list[StreamMessage](), 0
    while at < len(stream):
        size = sizes[at % len(sizes)]
        found += parser.feed(stream[at : at + size])
        at += size
    assert parser.close() == []
    assert told(found) == [({name: value for name, _, value in fields}, payload) for fields, payload in sent]


@given(messages)
def test_the_official_reader_reads_the_same(
    sent: list[tuple[list[tuple[str, int, HeaderValue]], bytes]],
) -> None:
    stream = b"".join(message(*each) for each in sent)
    official = EventStreamBuffer()
    official.add_data(stream)
    theirs = [(each.headers, each.payload) for each in official]
    assert told(EventStreamParser().feed(stream)) == theirs


@given(headers, st.binary(max_size=60), st.data())
def test_no_damaged_byte_is_believed(
    fields: list[tuple[str, int, HeaderValue]], payload: bytes, data: st.DataObject
) -> None:
    frame = bytearray(message(fields, payload))
    at = data.draw(st.integers(0, len(frame) - 1))
    frame[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(Malformed):
        EventStreamParser().feed(bytes(frame))


@given(st.binary(max_size=400))
def test_no_bytes_do_worse_than_malformed(noise: bytes) -> None:
    try:
        EventStreamParser().feed(noise)
    except Malformed as error:
        assert error.message  # noqa: PT017 - either outcome is right


@given(st.binary(max_size=80))
def test_a_headers_block_with_good_checksums_and_bad_words_is_malformed_or_read(block: bytes) -> None:
    head = struct.pack(">II", 16 + len(block), len(block))
    head += struct.pack(">I", zlib.crc32(head))
    frame = head + block + struct.pack(">I", zlib.crc32(head + block))
    try:
        (found,) = EventStreamParser().feed(frame)
    except Malformed:
        return
    assert found.payload == b""


@pytest.mark.parametrize(
    ("total", "inner"), [(15, 0), (16, 1), (0, 0), (2**32 - 1, 0), (25 * 1024 * 1024, 4), (10**6, 200_000)]
)
def test_an_absurd_length_is_refused_before_any_of_it_has_come(total: int, inner: int) -> None:
    head = struct.pack(">II", total, inner)
    with pytest.raises(Malformed):
        EventStreamParser().feed(head + struct.pack(">I", zlib.crc32(head)))


def test_an_unfinished_message_is_no_message() -> None:
    whole = message([(":event-type", 7, "x")], b"{}")
    parser = EventStreamParser()
    assert parser.feed(whole[:-1]) == []
    assert parser.close() == []
