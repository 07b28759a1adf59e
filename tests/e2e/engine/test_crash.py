"""Killed at any moment, no accepted task is lost and no declared effect happens twice."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_processes_killed_at_random_lose_and_double_nothing(count_factor: int) -> None:
    rounds = 6 * count_factor
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.engine_crash", "--rounds", str(rounds), "--seed", "7", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=850,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    found = json.loads(ran.stdout)
    assert found["kills"] >= rounds
    assert found["acknowledged"] > 0
    assert found["lost"] == found["doubled"] == found["unflagged"] == found["unfinished"] == 0
