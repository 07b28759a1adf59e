"""Many events of an answer read as one: the same chunks as one by one, or none at all."""

import msgspec
import pytest

from legion_core.gateway.providers.openai_wire import ChatReader
from legion_core.gateway.providers.sse import SseEvent
from legion_core.gateway.providers.toolnames import ToolNames
from legion_core.gateway.reading import joined
from legion_core.gateway.types import Message, Request, TextBlock, TextDelta
from legion_core.kernel.errors import Malformed

ASKED = Request(id="req_1", messages=(Message(role="user", content=(TextBlock(text="Hi"),)),))


def reader() -> ChatReader:
    return ChatReader("box", ASKED, ToolNames(()), prefix="", secrets=())


def event(delta: str, more: str = "") -> SseEvent:
    return SseEvent(data=f'{{"choices":[{{"index":0,"delta":{delta}{more}}}]}}')


PLAIN = [
    event('{"content":"a"}'),
    event('{"content":"\\u00fc \\ud83c\\udf0a"}'),
    event('{"content":"\\"}, {"}'),
]


def test_plain_text_is_the_same_as_one_by_one() -> None:
    one, many = reader(), reader()
    singly = [chunk for each in PLAIN for chunk in one.read(each)]
    assert many.read_plain(PLAIN) == singly
    assert [chunk.text for chunk in singly if isinstance(chunk, TextDelta)] == ["a", "ü 🌊", '"}, {']
    for each in (one, many):
        each.read(event("{}", ',"finish_reason":"stop"'))
    assert one.at_end() == many.at_end()  # the count of what was written, too


@pytest.mark.parametrize(
    "other",
    [
        event('{"role":"assistant","content":""}'),
        event('{"reasoning_content":"hm"}'),
        event('{"refusal":"no"}'),
        event('{"content":"a","tool_calls":[{"index":0,"id":"c","function":{"name":"f","arguments":""}}]}'),
        event("{}", ',"finish_reason":"stop"'),
        SseEvent(data='{"choices":[],"usage":{"prompt_tokens":1}}'),
        SseEvent(data='{"error":{"message":"busy"}}'),
        SseEvent(data='{"choices":[{"index":1,"delta":{"content":"b"}}]}'),
        SseEvent(data="[DONE]"),
        SseEvent(data="{]"),
        SseEvent(data='{"choices":[{"delta":{"content":"b"}}]},{"choices":[{"delta":{"content":"c"}}]}'),
        SseEvent(data=""),
    ],
)
def test_with_anything_else_among_it_nothing_is_read(other: SseEvent) -> None:
    for told in ([*PLAIN, other], [other, *PLAIN], [PLAIN[0], other, PLAIN[1]]):
        under_test = reader()
        assert under_test.read_plain(told) is None
        untouched = reader()
        assert under_test.so_far() is None
        for each in (under_test, untouched):
            each.read(event("{}", ',"finish_reason":"stop"'))
        assert under_test.at_end() == untouched.at_end()


def test_what_is_malformed_by_itself_is_malformed() -> None:
    under_test = reader()
    bad = SseEvent(data="{]")
    assert under_test.read_plain([*PLAIN, bad]) is None
    with pytest.raises(Malformed):
        under_test.read(bad)


def test_for_a_client_that_is_told_the_whole_it_is_one_piece_of_as_many_tokens() -> None:
    asked = msgspec.structs.replace(ASKED, stream=False)
    under_test = ChatReader("box", asked, ToolNames(()), prefix="", secrets=())
    told = [*PLAIN, event('{"content":"a longer piece of text"}')]
    one = reader()
    singly = [chunk for each in told for chunk in one.read(each)]
    assert under_test.read_plain(told) == tuple(joined(singly))
    for each in (one, under_test):
        each.read(event("{}", ',"finish_reason":"stop"'))
    assert one.at_end() == under_test.at_end()
