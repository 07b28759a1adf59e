"""The walls around every test: no network, no silent warnings, nothing left behind, a home of its own.

Each wall is a plugin in `tests/support/`; `tests/arch/test_guards.py` proves that each one fires.
"""

import gc
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Set before anything imports Qt or keyring, which read these once.
os.environ["QT_QPA_PLATFORM"] = "offscreen"
os.environ["QT_API"] = "pyside6"
os.environ["PYTHON_KEYRING_BACKEND"] = "keyring.backends.fail.Keyring"
os.environ["LC_ALL"] = "C.UTF-8"
for _name in ("QT_SCALE_FACTOR", "QT_STYLE_OVERRIDE", "QT_QPA_PLATFORMTHEME", "DISPLAY", "WAYLAND_DISPLAY"):
    os.environ.pop(_name, None)

SLOW_BOUND_S = 900.0

# Collecting tests makes half a million objects and next to no garbage; each test collects its own.
gc.disable()

pytest_plugins = (
    "tests.support.network",
    "tests.support.logs",
    "tests.support.leaks",
    "tests.support.xserver",
)

# `ci` repeats the same few examples on every run; `full` is what `make floors` runs.
settings.register_profile(
    "ci",
    max_examples=40,
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("full", max_examples=1000, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("LEGION_TEST_PROFILE", "ci"))


_homes = itertools.count()


@pytest.fixture(autouse=True)
def legion_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh data and config directory, made by whoever needs it; nothing of the user's own settings reaches a test."""
    for name in [
        name for name in os.environ if name.startswith("LEGION_") and not name.startswith("LEGION_TEST_")
    ]:
        monkeypatch.delenv(name)
    home = tmp_path_factory.getbasetemp() / f"legion-home-{next(_homes)}"
    monkeypatch.setenv("LEGION_HOME", str(home))
    return home


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is slow on a quiet machine is slower still on a busy one; a bound tells a hang and nothing else."""
    for item in items:
        if any(item.get_closest_marker(name) for name in ("slow", "model", "xvfb")):
            own = [float(mark.args[0]) for mark in item.iter_markers("timeout")]
            item.add_marker(pytest.mark.timeout(max([*own, SLOW_BOUND_S])), append=False)


def pytest_collection_finish() -> None:
    """What collecting made stays until the end: out of the collector's sight, so that each full collection is short."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def collected_on_the_main_thread(request: pytest.FixtureRequest) -> Iterator[None]:
    """The collector runs in whichever thread allocates; a Qt object in a cycle must not end in the journal's thread."""
    gc.disable()
    yield
    # What the test was given is done with; held any longer, a whole window would wait for the next full collection.
    request.node.funcargs.clear()
    # What is still held now ends with the guards, a moment later: `afterwards` looks at it once more.
    gc.collect(0)


@pytest.fixture(scope="session")
def count_factor() -> int:
    """1 in `make test`, 10 under `LEGION_TEST_PROFILE=full`: multiply the rounds of a counted test by it."""
    return 10 if os.environ.get("LEGION_TEST_PROFILE") == "full" else 1
