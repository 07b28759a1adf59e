"""Killed at every named point of its code, an engine loses nothing of its chains and does nothing twice."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.engine_points import POINTS

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_chains_outlive_a_kill_at_every_named_point(count_factor: int) -> None:
    visits = 1 if count_factor == 1 else 12
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.engine_points", "--visits", str(visits), "--runs", "1", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=850,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    found = json.loads(ran.stdout)
    assert found["kills"] >= len(POINTS)
    wrong = ("lost", "doubled", "unfinished", "joins", "corrupt", "unreached")
    assert {name: found[name] for name in wrong} == dict.fromkeys(wrong, 0)
