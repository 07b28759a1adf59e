"""kill -9 in the middle of answers: what they had taken is on the bill, of every attempt."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from legion_core.gateway.budget import Limits
from legion_core.gateway.service import owner_of_this_process
from legion_core.testing.gateway import open_gateway
from tests.contract.gateway import streaming_child
from tests.support.aio import run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills with a POSIX signal")
COUNT = 12


@pytest.mark.requirement("ledger.killed")
@pytest.mark.parametrize("day_usd", [0.0, 100.0], ids=["without a limit", "with a budget"])
def test_answers_cut_by_a_kill_are_billed_as_far_as_they_had_come(tmp_path: Path, day_usd: float) -> None:
    path = tmp_path / "j.db"
    child = subprocess.Popen(
        [sys.executable, str(Path(streaming_child.__file__)), str(path), str(COUNT), str(day_usd)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert child.stdout is not None
    try:
        with child.stdout:
            assert child.stdout.readline() == b"told\n"
    finally:
        child.kill()
        child.wait()

    async def next_start() -> None:
        owner, limits = owner_of_this_process(), Limits(day_usd=day_usd)
        async with open_gateway(path, limits=limits, owner=owner) as under_test:
            told = await under_test.gateway.ledger.rows()
            budget = await under_test.gateway.budget.rows()
            (summary,) = [
                row for row in await under_test.gateway.ledger.summary("outcome") if row.key == "interrupted"
            ]
        assert {row.request for row in told} == {f"req_{number}" for number in range(COUNT)}
        per_request = {
            (row.attempt, row.instance, row.outcome, row.usage.output_tokens, row.cost_usd is not None)
            for row in told
        }
        assert per_request == {(1, "one", "stream_broken", 3, True), (2, "two", "interrupted", 2, True)}
        assert len(told) == 2 * COUNT
        assert summary.output_tokens == 2 * COUNT
        if day_usd:
            # What it may have spent beyond what was seen stays held, and nothing is counted twice.
            assert budget[0].held_usd > 0
            assert budget[0].spent_usd == pytest.approx(sum(row.cost_usd or 0.0 for row in told))
        assert [each.name for each in tmp_path.iterdir()] == ["j.db"]

    run(next_start())
    run(next_start())  # and it is billed once
