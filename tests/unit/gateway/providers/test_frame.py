"""Events that are alike but for their text: read without decoding, and never otherwise than decoding would."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legion_core.gateway.providers.frame import Frame
from legion_core.gateway.providers.openai_wire import ChatReader
from legion_core.gateway.providers.sse import SseParser
from legion_core.gateway.providers.toolnames import ToolNames
from legion_core.gateway.types import Chunk, Finished, Request

TEXTS = st.one_of(
    st.text(max_size=12), st.sampled_from(["a", '"', "\\", "\\u0041", "a\tb", "ü🌊", "stop", "null"])
)


def piece(text: str, *, ascii_only: bool = False, **fields: Any) -> bytes:
    """One event as servers write it."""
    choice = {"index": 0, "delta": {"content": text}, "logprobs": None, "finish_reason": None}
    chunk = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "model": "m",
        "choices": [choice],
        **fields,
    }
    told = json.dumps(chunk, ensure_ascii=ascii_only, separators=(",", ":"))
    return b"data: " + told.encode("utf-8", "surrogatepass") + b"\n\n"


def reader() -> ChatReader:
    return ChatReader("box-a", Request(id="r1", messages=()), ToolNames(()), prefix="", secrets=())


def slowly(each: ChatReader, data: bytes) -> list[Chunk]:
    return [chunk for event in SseParser().feed(data) for chunk in each.read(event)]


def quickly(each: ChatReader, data: bytes) -> list[Chunk]:
    found = each.quick(data)
    return slowly(each, data) if found is None else [found]


@given(
    texts=st.lists(TEXTS.filter(lambda text: text.isprintable() or text.isascii()), max_size=8),
    data=st.data(),
)
def test_an_answer_is_the_same_with_frames_and_without(texts: list[str], data: st.DataObject) -> None:
    ascii_only = data.draw(st.booleans())
    pieces = [piece(text, ascii_only=ascii_only) for text in texts]
    with_frames, without = reader(), reader()

    assert [quickly(with_frames, each) for each in pieces] == [slowly(without, each) for each in pieces]
    end = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    # What was said is counted alike, where the server counts nothing.
    assert slowly(with_frames, end) == slowly(without, end)


def test_the_third_of_three_plain_events_is_not_decoded() -> None:
    each = reader()
    for word in ("", "Hel", "lo"):
        quickly(each, piece(word))

    assert each.quick(piece(" there")) is not None
    assert each.quick(piece('a "quoted" word')) is None
    assert each.quick(piece("tor")[:-4]) is None


@pytest.mark.parametrize(
    "other",
    [
        piece("x", usage={"prompt_tokens": 3, "completion_tokens": 1}),
        piece("x", error={"message": "Too busy."}),
        piece("x").replace(b'"finish_reason":null', b'"finish_reason":"stop"'),
        piece("x").replace(b'"index":0', b'"index":1'),
        piece("x").replace(b'"content":"x"', b'"content":"x","tool_calls":[{"index":0,"id":"c"}]'),
        piece("x").replace(b'"content":"x"', b'"content":"x","refusal":"no"'),
        piece("x").replace(b'"content":"x"', b'"content":null'),
    ],
)
def test_an_event_that_says_more_than_text_is_no_frame_and_fits_none(other: bytes) -> None:
    each = reader()
    for word in ("Hel", "lo"):
        quickly(each, piece(word))
    assert each.quick(other) is None

    alone = reader()
    for _ in range(2):
        assert alone.quick(other) is None
        try:
            slowly(alone, other)
        except Exception:  # an error in band is raised, and is no frame either
            continue
    assert alone.quick(other) is None


def test_a_text_that_stands_in_its_event_twice_is_told_by_no_frame() -> None:
    each = reader()
    for _ in range(3):
        assert each.quick(piece("m")) is None  # the model's name too
        slowly(each, piece("m"))


@given(text=TEXTS, other=TEXTS)
def test_a_frame_gives_the_text_that_stands_there_or_nothing(text: str, other: str) -> None:
    def told_by(event: bytes) -> str | None:
        try:
            return json.loads(event)["text"]
        except ValueError:
            return None

    def event(said: str) -> bytes:
        return json.dumps({"text": said, "more": 1}, ensure_ascii=False).encode("utf-8", "surrogatepass")

    frame = Frame.learned(event(text), text, told_by) if text.isprintable() else None
    assert frame is None or frame.text_of(event(other)) in (None, other)


def test_finished_is_never_quick() -> None:
    each = reader()
    for word in ("Hel", "lo"):
        quickly(each, piece(word))

    assert each.quick(b"data: [DONE]\n\n") is None
    assert isinstance(slowly(each, b"data: [DONE]\n\n")[0], Finished)
