"""Frames survive the trip, and nothing else is taken for one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legion_core.workers import frames

texts = st.text(max_size=200)
ids = st.integers(min_value=0, max_value=2**31)
messages = st.builds(
    frames.Message,
    role=st.sampled_from(["system", "user", "assistant", "tool"]),
    content=texts,
    tool_calls=st.lists(st.builds(frames.ToolCall, id=texts, name=texts, arguments=texts), max_size=2).map(
        tuple
    ),
)
chats = st.builds(
    frames.Chat,
    id=ids,
    messages=st.lists(messages, max_size=4).map(tuple),
    json_schema=texts,
    continue_final=st.booleans(),
    tools=st.lists(st.builds(frames.Tool, name=texts, parameters=texts), max_size=2).map(tuple),
    params=st.builds(
        frames.Params,
        temperature=st.none() | st.floats(allow_nan=False, allow_infinity=False),
        seed=st.none() | st.integers(-(2**62), 2**62),
        stop=st.lists(texts, max_size=3).map(tuple),
    ),
)


@given(chats)
def test_a_chat_arrives_as_it_was_sent(chat: frames.Chat) -> None:
    data = frames.encode(chat)
    assert frames.body_bytes(data[:4]) == len(data) - 4
    assert frames.decode_to_child(data[4:]) == chat


@given(ids, texts, st.integers(1, 99))
def test_a_token_arrives_as_it_was_sent(id_: int, text: str, count: int) -> None:
    token = frames.Token(id=id_, text=text, count=count)
    assert frames.decode_to_parent(frames.encode(token)[4:]) == token


@given(st.binary(min_size=4, max_size=4))
def test_a_length_is_accepted_only_below_the_bound(head: bytes) -> None:
    size = int.from_bytes(head, "big")
    if 2 <= size <= frames.FRAME_BYTES_MAX:
        assert frames.body_bytes(head) == size
    else:
        with pytest.raises(frames.FrameError):
            frames.body_bytes(head)


@given(st.text(alphabet=st.characters(min_codepoint=9, max_codepoint=126), min_size=4, max_size=4))
def test_printed_text_is_never_the_start_of_a_frame(text: str) -> None:
    with pytest.raises(frames.FrameError):
        frames.body_bytes(text.encode())


@given(st.binary(max_size=200))
def test_garbage_is_refused_in_both_directions(body: bytes) -> None:
    for decode in (frames.decode_to_child, frames.decode_to_parent):
        with pytest.raises(frames.FrameError):
            decode(body)


def test_the_two_directions_are_not_mixed_up() -> None:
    with pytest.raises(frames.FrameError):
        frames.decode_to_child(frames.encode(frames.Pong(id=1))[4:])
    with pytest.raises(frames.FrameError):
        frames.decode_to_parent(frames.encode(frames.Ping(id=1))[4:])


def test_a_frame_over_the_bound_is_not_sent() -> None:
    with pytest.raises(frames.FrameError, match="bound"):
        frames.encode(frames.Token(id=1, text="x" * frames.FRAME_BYTES_MAX))
