"""Every dialect passes the one conformance suite."""

from typing import Final

import pytest

from legion_core.testing.dialect_conformance import (
    CHECKS,
    Check,
    bounds_its_counts,
    pins_by_model_and_headers,
    renders_a_whole_answer,
    streams_whole_tool_calls,
)
from tests.contract.gateway.dialect_benches import BENCHES, CompletionsBench

# Text that goes on has no parts, no tools, no thoughts and no conversation.
FOR_TALKS: Final = {
    bounds_its_counts,
    pins_by_model_and_headers,
    renders_a_whole_answer,
    streams_whole_tool_calls,
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", list(BENCHES))
def test_a_dialect_keeps_the_contract(name: str, check: Check) -> None:
    check(BENCHES[name]())


@pytest.mark.parametrize(
    "check", [check for check in CHECKS if check not in FOR_TALKS], ids=lambda check: check.__name__
)
def test_the_dialect_without_talks_keeps_what_of_the_contract_is_its(check: Check) -> None:
    check(CompletionsBench())
