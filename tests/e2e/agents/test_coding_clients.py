"""Claude Code, Codex and opencode write a file through the gateway, also when their upstream is killed on the way.

They run where `python -m benchmarks.agents --install` has brought them; that module also plays every case.
"""

import os

import pytest

from legion_core.testing.coding_clients import PROGRAMS, find
from legion_core.testing.coding_work import Work, all_work, do, some_work
from tests.support import aio

CASES = all_work() if os.environ.get("LEGION_TEST_PROFILE") == "full" else some_work()


def test_every_client_works_over_every_wire_it_can_and_loses_its_upstream_at_every_place() -> None:
    cases = all_work()

    assert len(cases) == len(set(cases))
    assert {work.client for work in cases} == {work.client for work in cases if work.killed == "in a call"}
    assert {work.wire for work in cases} == {"anthropic", "openai", "ollama", "gemini", "bedrock"}
    assert set(some_work()) <= set(cases)


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.skipif(
    not all(find(program) for program in PROGRAMS),
    reason="the coding clients are not in the cache: python -m benchmarks.agents --install",
)
@pytest.mark.requirement("gateway.coding-clients")
@pytest.mark.parametrize("work", CASES, ids=str)
def test_a_coding_client_writes_its_file_through_the_gateway(work: Work) -> None:
    done = aio.run(do(work), bound_s=800)

    assert done.faults == []
    assert bool(done.moved) == bool(work.killed)
