"""The end of an answer over OpenAI's wire: whole once a finish reason came, whatever is said behind it."""

import pytest

from legion_core.gateway.providers.openai_wire import ChatReader
from legion_core.gateway.providers.sse import SseEvent
from legion_core.gateway.providers.toolnames import ToolNames
from legion_core.gateway.types import Chunk, Finished, Message, Request, TextBlock, TextDelta
from legion_core.kernel.errors import Malformed

ASKED = Request(
    id="r1", messages=(Message(role="user", content=(TextBlock(text="Hello there"),)),), stream=True
)
TEXT = '{"choices":[{"index":0,"delta":{"content":"Hello"}}]}'
FINISH = '{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}'
COUNTS = '{"choices":[],"usage":{"prompt_tokens":%s,"completion_tokens":3}}'


def read(*events: str) -> list[Chunk]:
    reader = ChatReader("box", ASKED, ToolNames(()), prefix="", secrets=())
    return [chunk for event in events for chunk in reader.read(SseEvent(event))]


@pytest.mark.parametrize("count", ["NaN", "1e999", "7.5", '"7"', "[]", "true", "{}", "7}"])
def test_counts_that_cannot_be_read_are_estimated_and_the_answer_stays(count: str) -> None:
    *said, finished = read(TEXT, FINISH, COUNTS % count, "[DONE]")
    assert said == [TextDelta(text="Hello")]
    assert isinstance(finished, Finished)
    assert (finished.stop_reason, finished.usage.is_estimated) == ("end_turn", True)


def test_what_cannot_be_read_before_the_end_is_an_error() -> None:
    with pytest.raises(Malformed):
        read(TEXT, COUNTS % "NaN")


def test_a_refusal_beside_words_is_told() -> None:
    both = '{"choices":[{"index":0,"delta":{"content":"Well, ","refusal":"no."},"finish_reason":"stop"}]}'
    text, finished = read(both, "[DONE]")
    assert text == TextDelta(text="Well, no.")
    assert isinstance(finished, Finished)
    assert finished.stop_reason == "content_filter"
