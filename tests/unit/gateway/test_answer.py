"""An answer put together from its events, when it moved on the way."""

from legion_core.gateway.answer import Answer
from legion_core.gateway.types import (
    Joined,
    Lane,
    ModelOffer,
    Opened,
    Seam,
    StreamEvent,
    TextDelta,
    ThinkingBlock,
    ThinkingDelta,
    Tier,
)

LANE = Lane(tier=Tier.CLOUD, instance="one", kind="anthropic", offer=ModelOffer(id="m"))


def moved(*, thinks_anew: bool = False) -> Joined:
    return Joined(
        seam=Seam(
            at_char=3, from_lane="one/m", to_lane="two/m", to_tier="frontier", after_tokens=2, reason="",
            thinks_anew=thinks_anew,
        )
    )  # fmt: skip


def thinking_of(*events: StreamEvent) -> ThinkingBlock:
    answer = Answer("r").take(Opened(request_id="r", lane=LANE, attempts=1))
    for event in events:
        answer.take(event)
    block = answer.content[0]
    assert isinstance(block, ThinkingBlock)
    return block


def test_a_signature_goes_back_to_who_signed_though_another_went_on() -> None:
    block = thinking_of(
        ThinkingDelta(text="Hm."), ThinkingDelta(text="", signature="a"), TextDelta(text="Ten"), moved(), TextDelta(text="!")
    )  # fmt: skip

    assert (block.text, block.signature, block.origin) == ("Hm.", "a", "one")


def test_signatures_of_two_makers_are_never_mixed() -> None:
    block = thinking_of(
        ThinkingDelta(text="Hm.", signature="a"), moved(), ThinkingDelta(text="", signature="b")
    )

    assert (block.signature, block.origin) == ("b", "two")


def test_thinking_that_began_anew_is_the_only_one() -> None:
    block = thinking_of(
        ThinkingDelta(text="Half a th"), moved(thinks_anew=True), ThinkingDelta(text="Whole.", signature="b")
    )

    assert (block.text, block.signature, block.origin) == ("Whole.", "b", "two")
