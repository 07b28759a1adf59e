"""What is said where no model may answer: what waiting helps is 503 with the wait, what it never helps is the request's."""

from typing import Literal

import msgspec
import pytest

from legion_core.gateway.dialects.status import shape_of
from legion_core.gateway.types import Lane, LeftOut, ModelOffer, Params, Tier, ToolDefinition
from legion_core.gateway.unanswered import no_candidate
from legion_core.kernel.errors import ContextTooLong, LegionError, Unavailable, Unsupported
from legion_core.testing.gateway import ask

Reason = Literal["pin", "capability", "context", "circuit", "policy", "operation", "unavailable", "price"]


def refused(*reasons: Reason) -> LegionError:
    return no_candidate(
        ask(),
        [
            LeftOut(
                lane=Lane(tier=Tier.LOCAL, instance=f"box-{at}", kind="openai", offer=ModelOffer(id="m")),
                reason=reason,
                why=f"No {reason}",
                retry_in_s=41.0 if reason == "circuit" else None,
            )
            for at, reason in enumerate(reasons)
        ],
    )


@pytest.mark.parametrize(
    "reasons",
    [
        ("capability",),
        ("pin", "capability"),
        ("capability", "context"),
        ("policy", "capability"),
        ("operation",),
    ],
)
def test_what_no_model_here_can_do_is_a_fault_of_the_request(reasons: tuple[Reason, ...]) -> None:
    error = refused(*reasons)
    assert isinstance(error, Unsupported)
    assert shape_of(error).status == 400
    assert f"no {reasons[0]}" in error.message or reasons[0] == "pin"
    assert error.hint


def test_a_capability_nobody_told_of_is_said_by_a_command_and_our_own_files_need_none() -> None:
    asked = msgspec.structs.replace(ask(), params=Params(json_mode=True), tools=(ToolDefinition(name="t"),))
    offer = ModelOffer(id="org/m", capabilities=frozenset({"streaming", "tools"}))

    def left(kind: str) -> LeftOut:
        lane = Lane(tier=Tier.LOCAL, instance=kind, kind=kind, offer=offer)
        return LeftOut(lane=lane, reason="capability", why="No structured output")

    told = no_candidate(asked, [left("llamacpp"), left("vllm")])
    assert "`legion provider model set vllm org/m --structured-output yes`" in told.hint
    assert no_candidate(asked, [left("llamacpp")]).hint == "Add a model that can."


@pytest.mark.parametrize(
    "reasons",
    [("capability", "circuit"), ("circuit",), ("capability", "unavailable"), ("price", "capability")],
)
def test_what_may_be_answered_later_is_not(reasons: tuple[Reason, ...]) -> None:
    error = refused(*reasons)
    assert isinstance(error, Unavailable)
    assert error.retry_after_s == (41.0 if "circuit" in reasons else None)


def test_what_is_too_long_for_all_says_so() -> None:
    assert isinstance(refused("pin", "context"), ContextTooLong)
