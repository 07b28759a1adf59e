"""What is said where no model may answer: what waiting helps is 503 with the wait, what it never helps is the request's."""

from typing import Literal

import pytest

from legion_core.gateway.dialects.status import shape_of
from legion_core.gateway.types import Lane, LeftOut, ModelOffer, Tier
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
    assert "capabilities" in error.hint


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
