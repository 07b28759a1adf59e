"""Every way an upstream can break, over real sockets on both sides of a real node.

Here a fair part of the grid; `python -m benchmarks.faultgrid` plays all of it.
"""

import os
from pathlib import Path

import pytest

from legion_core.testing.fault_grid import FAULTS, KINDS, cells, open_grid, sample
from legion_core.testing.grid_clients import DIALECTS, DialectName
from tests.support import aio

COUNT = 5_000 if os.environ.get("LEGION_TEST_PROFILE") == "full" else 500


def test_the_grid_holds_every_combination() -> None:
    grid = cells()

    assert len(grid) == len(set(grid)) >= 20_000
    assert {(cell.kind, cell.dialect, cell.fault) for cell in grid} == {
        (kind, dialect, fault) for kind in KINDS for dialect in DIALECTS for fault in FAULTS
    }
    part = sample(500)
    assert len(set(part)) == 500
    assert {(cell.kind, cell.fault) for cell in part} == {(kind, fault) for kind in KINDS for fault in FAULTS}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.requirement("gateway.mid-stream")
@pytest.mark.requirement("gateway.any-to-any")
def test_no_fault_of_an_upstream_is_seen_by_a_client_or_missing_on_the_bill(legion_home: Path) -> None:
    async def scenario() -> None:
        async with open_grid(legion_home) as grid:
            outcomes = await grid.run(sample(COUNT))

        assert [f"{each.cell}: {each.faults}" for each in outcomes if each.faults] == []
        assert len(outcomes) == COUNT
        assert all(each.is_exact for each in outcomes if each.cell.backup != "none")

    aio.run(scenario(), bound_s=850)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_upstream_is_left_when_its_client_goes(legion_home: Path, dialect: DialectName) -> None:
    async def scenario() -> None:
        async with open_grid(legion_home) as grid:
            for kind in KINDS:
                await grid.leave(
                    kind, dialect
                )  # returns once the upstream saw it; the benchmark takes the time

    aio.run(scenario(), bound_s=100)
