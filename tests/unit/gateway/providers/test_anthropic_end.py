"""How an answer over Anthropic's wire ends: whole, broken, or with counts that mean nothing."""

import json
from typing import Any

import pytest

from legion_core.gateway.providers.anthropic_wire import MessagesReader
from legion_core.gateway.providers.sse import SseEvent
from legion_core.gateway.providers.toolnames import ToolNames
from legion_core.gateway.types import Chunk, Finished, Message, Request, TextBlock, TextDelta
from legion_core.kernel.errors import StreamBroken

START = {"type": "message_start", "message": {"usage": {"input_tokens": 9, "output_tokens": 1}}}
TEXT = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello"}}
STOP = {"type": "message_stop"}


def ended(counts: object) -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": counts}


def read(*events: dict[str, Any]) -> list[Chunk]:
    request = Request(id="r1", messages=(Message(role="user", content=(TextBlock(text="Hi"),)),))
    reader = MessagesReader("box-a", request, ToolNames(()), prefix="", secrets=())
    return [chunk for each in events for chunk in reader.read(SseEvent(json.dumps(each)))]


def test_the_counts_of_the_end_are_the_bill() -> None:
    *said, finished = read(START, TEXT, ended({"output_tokens": 4}), STOP)

    assert said == [TextDelta(text="Hello")]
    assert isinstance(finished, Finished)
    assert (finished.usage.input_tokens, finished.usage.output_tokens) == (9, 4)
    assert not finished.usage.is_estimated


@pytest.mark.parametrize(
    "counts", [{"output_tokens": 1.5}, {"output_tokens": "many"}, [], 7, {"output_tokens": -3}], ids=str
)
def test_counts_that_cannot_be_do_not_undo_an_answer(counts: object) -> None:
    *said, finished = read(START, TEXT, ended(counts), STOP)

    assert said == [TextDelta(text="Hello")]
    assert isinstance(finished, Finished)
    assert finished.stop_reason == "end_turn"
    assert finished.usage.is_estimated
    assert finished.usage.output_tokens >= 0


def test_an_answer_that_ends_without_a_word_and_a_reason_is_broken_and_another_model_is_asked() -> None:
    with pytest.raises(StreamBroken):
        read(START, STOP)


def test_an_answer_without_a_word_that_has_its_reason_is_whole() -> None:
    (finished,) = read(START, ended({"output_tokens": 0}), STOP)

    assert isinstance(finished, Finished)
