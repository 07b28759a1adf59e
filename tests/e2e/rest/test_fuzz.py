"""The running node asked by its own description: every answer is one that stands there, and none is a failure."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.slow
@pytest.mark.requirement("rest.described")
def test_what_the_description_allows_and_forbids_is_answered_as_it_says(
    tmp_path: Path, count_factor: int
) -> None:
    """Hundreds of cases here, tens of thousands and sequences of them in `make floors`."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.fuzz_api",
        "--json",
        "--cases",
        "1",
        "--reports",
        str(tmp_path),
    ]
    command += ["--examples", str(3 * count_factor), "--phases", "examples,fuzzing"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr[-4000:]
    told = json.loads(done.stdout.splitlines()[-1])
    said = "".join(file.read_text(encoding="utf-8") for file in tmp_path.glob("*.txt"))
    assert told["kinds"] == {}, said[-20_000:]
    assert told["operations"] > 100
    assert told["cases"] > 300
