"""Thinking that another model begins anew, as the protocols with blocks tell it."""

import json
from typing import Any

from legion_core.gateway.dialects.anthropic_answer import MessagesWriter, unwrap_signature
from legion_core.gateway.dialects.openai_responses_answer import ResponsesWriter
from legion_core.gateway.types import (
    Closed,
    Joined,
    Lane,
    ModelOffer,
    Opened,
    Request,
    Seam,
    StreamEvent,
    TextDelta,
    ThinkingDelta,
    Tier,
    Usage,
)

LANE = Lane(tier=Tier.CLOUD, instance="one", kind="anthropic", offer=ModelOffer(id="m"))
SEAM = Seam(
    at_char=0,
    from_lane="one/m",
    to_lane="two/m",
    to_tier="cloud",
    after_tokens=2,
    reason="",
    thinks_anew=True,
)
CLOSED = Closed(
    stop_reason="end_turn", usage=Usage(), cost_usd=None, attempts=(), duration_s=1.0, first_token_s=0.1
)
EVENTS: tuple[StreamEvent, ...] = (
    Opened(request_id="r", lane=LANE, attempts=1),
    ThinkingDelta(text="Half a tho"),
    Joined(seam=SEAM),
    ThinkingDelta(text="A whole thought."),
    ThinkingDelta(text="", signature="sig"),
    TextDelta(text="Ten."),
    CLOSED,
)


def told(stream: bytes) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in stream.decode().splitlines() if line.startswith("data: ")]


def test_messages_end_the_broken_block_unsigned_and_sign_the_whole_one() -> None:
    writer = MessagesWriter(Request(id="r", messages=()))
    events = told(b"".join(writer.write(event) for event in EVENTS))

    starts = [event["index"] for event in events if event["type"] == "content_block_start"]
    stops = [event["index"] for event in events if event["type"] == "content_block_stop"]
    signed = [event for event in events if event.get("delta", {}).get("type") == "signature_delta"]
    assert starts == stops == [0, 1, 2]
    assert [event["index"] for event in signed] == [1]
    assert unwrap_signature(signed[0]["delta"]["signature"]) == ("two", "sig")


def test_responses_make_two_items_of_it() -> None:
    writer = ResponsesWriter(Request(id="r", messages=()), created_s=1)
    events = told(b"".join(writer.write(event) for event in EVENTS))

    output = events[-1]["response"]["output"]
    assert [item["type"] for item in output] == ["reasoning", "reasoning", "message"]
    assert output[1]["summary"][0]["text"] == "A whole thought."
