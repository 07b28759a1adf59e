"""What the next model is asked when an answer has begun elsewhere."""

import pytest

from legion_core.gateway.continuation import asked_of
from legion_core.gateway.types import (
    Continuation,
    Lane,
    Message,
    ModelOffer,
    Params,
    Request,
    TextBlock,
    Tier,
)

HELLO = Message(role="user", content=(TextBlock(text="Hi"),))


def lane(continuation: Continuation) -> Lane:
    offer = ModelOffer(id="m1", continuation=continuation)
    return Lane(tier=Tier.CLOUD, instance="box", kind="anthropic", offer=offer)


def request(**params: int) -> Request:
    return Request(id="r", messages=(HELLO,), params=Params(**params))


@pytest.mark.parametrize("continuation", ["prefill", "instruct"])
def test_begun_words_are_gone_on_with_without_a_budget_for_thinking(continuation: Continuation) -> None:
    """A client's budget may be all but one token of its allowance: it would not fit into what is left."""
    whole = request(max_tokens=32_000, thinking_budget_tokens=31_999)

    asked = asked_of(lane(continuation), whole, "Hel", tokens=5)

    assert asked.request.params.thinking_budget_tokens is None
    assert (asked.request.params.max_tokens or 0) >= 31_995


def test_an_answer_that_has_no_word_yet_is_asked_for_as_it_was() -> None:
    whole = request(max_tokens=32_000, thinking_budget_tokens=31_999)

    assert asked_of(lane("prefill"), whole, "", tokens=5).request == whole


@pytest.mark.parametrize("continuation", ["prefill", "instruct"])
def test_a_text_that_broke_off_is_the_same_text_grown_longer_wherever_it_goes_on(
    continuation: Continuation,
) -> None:
    prompt = Message(role="user", content=(TextBlock(text="def add(a, b):\n"),))
    whole = Request(id="r", messages=(prompt,), params=Params(max_tokens=32), is_raw=True, suffix="\n# end")

    asked = asked_of(lane(continuation), whole, "    return", tokens=5)

    assert asked.request.messages[0].text == "def add(a, b):\n    return"
    assert (asked.request.is_raw, asked.request.suffix, len(asked.request.messages)) == (True, "\n# end", 1)
    assert asked.request.params.max_tokens == 27
    assert (asked.prefix, asked.is_degraded) == ("", False)
