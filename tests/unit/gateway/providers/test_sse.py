"""The readers of streamed bodies follow the WHATWG rules whatever the split. Protocol-imposed."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legion_core.gateway.providers import sse
from legion_core.gateway.providers.sse import JsonLines, SseEvent, SseParser
from legion_core.kernel.errors import Malformed


def events_of(*chunks: bytes) -> list[SseEvent]:
    parser = SseParser()
    events = [event for chunk in chunks for event in parser.feed(chunk)]
    return events + parser.close()


def data_of(*chunks: bytes) -> list[str]:
    return [event.data for event in events_of(*chunks)]


@pytest.mark.parametrize(
    ("stream", "data"),
    [
        (b"data: a\n\n", ["a"]),
        (b"data:a\n\n", ["a"]),
        (b"data:  a\n\n", [" a"]),
        (b"data: a\ndata: b\n\n", ["a\nb"]),
        (b"data\n\n", [""]),
        (b"data:\n\ndata\ndata\n\ndata:", ["", "\n"]),
        (b"data: a\r\n\r\ndata: b\r\rdata: c\n\n", ["a", "b", "c"]),
        (b"data: a\r\n\n", ["a"]),
        (b"\xef\xbb\xbfdata: a\n\n", ["a"]),
        (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\ndata: b\n\n", ["b"]),
        (b"data: a", []),
        (b"data: a\n", []),
        (b": comment\n\ndata: a\n\n:\n", ["a"]),
        (b"event: x\n\ndata: a\n\n", ["a"]),
        (b"nonsense: 1\nDATA: 2\n data: 3\ndata: a\n\n", ["a"]),
        (b"data: \xff\xe2\x82\n\n", ["��"]),
        (b"data: a\r\r", ["a"]),
        (b"", []),
        (b"\n\n\r\r\n", []),
    ],
)
def test_a_stream_gives_the_events_the_rules_say(stream: bytes, data: list[str]) -> None:
    assert data_of(stream) == data


def test_an_event_has_its_name_only_for_itself_and_keeps_the_last_id() -> None:
    stream = b"id: 7\nevent: ping\nretry: 10\ndata: a\n\nid: 8\x00\ndata: b\nretry: 1x\n\n"
    assert events_of(stream) == [
        SseEvent("a", event="ping", id="7", retry_ms=10),
        SseEvent("b", event="", id="7", retry_ms=None),
    ]


# Small alphabet: line ends, a multibyte letter, the BOM and field names are what can go wrong.
PIECES = st.sampled_from(
    [
        b"\n",
        b"\r",
        b"\r\n",
        b"data",
        b":",
        b" ",
        b"x",
        "é€😀".encode(),
        b"\xef\xbb\xbf",
        b"\xff",
        b"event",
        b"id",
        b"\0",
    ]
)


@given(st.lists(PIECES, max_size=40).map(b"".join), st.data())
def test_any_split_of_a_stream_gives_the_same_events(stream: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    edges = [0, *cuts, len(stream)]
    chunks = [stream[a:b] for a, b in pairwise(edges)]
    whole = events_of(stream)
    assert events_of(*chunks) == whole
    assert events_of(*(stream[at : at + 1] for at in range(len(stream)))) == whole


@given(
    st.lists(st.dictionaries(st.text(max_size=4), st.integers(), max_size=2), max_size=8),
    st.lists(st.integers(0, 200), max_size=8),
    st.booleans(),
)
def test_json_lines_come_out_whole_in_any_split(
    rows: list[dict[str, int]], cuts: list[int], ends: bool
) -> None:
    stream = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode() + (
        b"\n" if ends else b""
    )
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    reader = JsonLines()
    lines = [line for a, b in pairwise(edges) for line in reader.feed(stream[a:b])]
    assert [json.loads(line) for line in lines + reader.close()] == rows


def test_a_line_without_end_is_an_upstream_error_at_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "LINE_BYTES_MAX", 1000)
    parser = SseParser()
    for _ in range(100):
        parser.feed(b"0123456789")
    with pytest.raises(Malformed):
        parser.feed(b"0")


def test_an_event_of_endless_lines_is_an_upstream_error_at_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "LINE_BYTES_MAX", 1000)
    parser = SseParser()
    for _ in range(90):
        parser.feed(b"data: 0123456789\n")
    with pytest.raises(Malformed):
        parser.feed(b"data: 0123456789\n")


def test_a_line_feed_in_the_next_chunk_still_belongs_to_its_carriage_return() -> None:
    assert data_of(b"data: a\r", b"\ndata: b\r", b"\n\r", b"\n") == ["a\nb"]
    assert data_of(b"data: a\r", b"data: b\r", b"", b"\n\n") == ["a\nb"]


def test_every_split_of_a_stream_with_every_line_end_gives_the_same_events() -> None:
    stream = "\ufeffdata: é\r\ndata: b\n\r\nevent: x\rdata:c\r\r: no\r\n\ndata: d\n\n".encode()
    whole = events_of(stream)
    assert [event.data for event in whole] == ["é\nb", "c", "d"]
    for a in range(len(stream)):
        for b in range(a, len(stream)):
            assert events_of(stream[:a], stream[a:b], stream[b:]) == whole
