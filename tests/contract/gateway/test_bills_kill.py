"""Bills and kill -9: whoever was given the end of an answer finds it on the bill."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from legion_core.gateway.bills import HELD_MAX
from legion_core.testing.gateway import open_gateway
from tests.contract.gateway import biller_child
from tests.support.aio import run

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills with a POSIX signal")


@pytest.mark.requirement("ledger.behind")
@pytest.mark.parametrize("count", [1, 40, pytest.param(HELD_MAX + 40, marks=pytest.mark.slow)])
def test_a_killed_process_leaves_the_bill_of_every_answer_it_gave(tmp_path: Path, count: int) -> None:
    path = tmp_path / "j.db"
    child = subprocess.Popen(
        [sys.executable, str(Path(biller_child.__file__)), str(path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert child.stdout is not None
    with child.stdout:
        for _ in range(count):
            assert child.stdout.readline() == b"done\n"
        child.kill()
        given = count + child.stdout.read().count(b"done\n")
    child.wait()

    async def next_start() -> None:
        async with open_gateway(path) as under_test:
            told = {row.request: row for row in await under_test.gateway.ledger.rows(limit=10_000)}
            (summary,) = await under_test.gateway.ledger.summary("outcome")
        # One more may be billed whose end was on its way to the client.
        assert given <= len(told) <= given + 1
        assert {f"req_{number}" for number in range(given)} <= told.keys()
        assert {row.outcome for row in told.values()} == {"succeeded"}
        assert summary.attempts == len(told)
        assert summary.output_tokens == 2 * len(told)
        assert [each.name for each in tmp_path.iterdir()] == ["j.db"]

    run(next_start())
    run(next_start())  # and it is written once
