"""The walls around window tests stand: each fails a test planted to offend against it."""

from pathlib import Path

import pytest

from tests.support import plants

PLANTS = Path(__file__).resolve().parents[1] / "arch" / "plants_windows.py"
SAID = {
    "leaves_a_timer": "active QTimer 'forgotten' every 1000 ms",
    "leaves_a_window": "open window QLabel 'forgotten'",
    "annoys_qt": "bad parent",
}


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return plants.reports(PLANTS, tmp_path_factory.mktemp("plants"))


@pytest.mark.slow
@pytest.mark.parametrize("name", SAID)
def test_the_guard_names_what_a_planted_window_test_did(reports: dict[str, str], name: str) -> None:
    assert SAID[name] in reports[name]


@pytest.mark.slow
@pytest.mark.parametrize("name", plants.honest(PLANTS))
def test_the_guards_let_an_honest_window_test_pass(reports: dict[str, str], name: str) -> None:
    assert reports[name] == ""
