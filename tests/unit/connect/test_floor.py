"""Connect's floor at a reduced count; `benchmarks/connect_files.py` runs all of it."""

import os

import pytest

from benchmarks.connect_files import run

FILES = 200 if os.environ.get("LEGION_TEST_PROFILE") == "full" else 12


@pytest.mark.slow
@pytest.mark.requirement("connect.byte-equal")
@pytest.mark.requirement("connect.never-invalid")
def test_files_as_they_are_in_the_world_come_back_byte_for_byte():
    told = run(FILES, is_fetching=False)
    assert told["connected"] > told["refused"]
    assert {name: told[name] for name in ("unequal", "invalid", "touched", "wrong")} == dict.fromkeys(
        ("unequal", "invalid", "touched", "wrong"), 0
    )
