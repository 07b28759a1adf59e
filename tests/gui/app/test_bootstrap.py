"""The desktop as a process: how it starts with a whole or a broken world, and that it ends in order."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[3]
DRIVE = Path(__file__).with_name("drive.py")


def environment(home: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LEGION_")}
    return {
        **kept, "QT_QPA_PLATFORM": "offscreen", "LEGION_HOME": str(home), "LEGION_PORT": "0",
        "PYTHONPATH": str(ROOT), "PYTHONFAULTHANDLER": "1", **more,
    }  # fmt: skip


def drive(scenario: str, home: Path, **more: str) -> Any:
    done = subprocess.run(
        [sys.executable, str(DRIVE), scenario], env=environment(home, **more), cwd=ROOT, capture_output=True,
        text=True, timeout=400, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return json.loads(done.stdout.strip().splitlines()[-1])


def desktop(home: Path, **more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "app", "desktop"], env=environment(home, **more), cwd=ROOT, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip


def ready(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith('{"ready_ms"'):
            return json.loads(line)
    raise AssertionError(f"it ended with {process.wait()} before it was ready")


def test_the_engine_runs_behind_the_window(tmp_path: Path) -> None:
    assert drive("running", tmp_path / "home") == {"engine": "Engine running", "title": "Legion Workbench"}


def test_it_ends_in_order_after_every_page_was_seen(tmp_path: Path) -> None:
    assert {"chat", "models", "settings"} <= set(drive("every_page", tmp_path / "home")["pages"])


def test_the_first_example_of_a_chain_runs_for_real_at_one_click(tmp_path: Path) -> None:
    said = drive("example_chain", tmp_path / "home")
    assert said == {
        "status": "succeeded",
        "nodes": {"save": "done", "open": "done", "item": "done", "done": "done", "alarm": "skipped"},
        "edges": ["done", "skipped", "done", "done"],
        "faults": [],
        "rows": ["save", "open", "item", "done", "alarm"],
        "written": "Saturday\nbread\noranges\nlamp oil",
        "rail": "shopping-list, done",
    }


@pytest.mark.model
def test_a_question_asked_before_the_engine_is_up_is_answered_by_the_starter_model(tmp_path: Path) -> None:
    said = drive("early_question", tmp_path / "home")
    assert said == {"status": "complete", "tier": "local", "has_text": True, "error": ""}


def test_a_broken_configuration_opens_the_window_and_names_the_line(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "config.toml").write_text('[server]\nport = "many"\n', encoding="utf-8")
    said = drive("banner", home)
    assert "2" in said["words"]
    assert "server.port" in said["words"]
    assert said["buttons"] == ["Show in Settings"]


def test_a_port_in_use_is_named_and_a_free_one_is_offered_and_taken(tmp_path: Path) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        port = held.getsockname()[1]
        home = tmp_path / "home"
        home.mkdir()
        (home / "config.toml").write_text(f"[server]\nport = {port}\n", encoding="utf-8")
        said = drive("banner", home, LEGION_PORT="")
        assert str(port) in said["words"]
        assert said["buttons"] == ["Use a free port"]
        taken = drive("free_port", home, LEGION_PORT="")
        assert taken["url"].startswith("http://127.0.0.1:")
        assert str(port) not in taken["url"]
        assert not taken["banner"]


def test_a_home_that_cannot_be_is_said_in_the_window(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.write_text("a file", encoding="utf-8")
    said = drive("no_engine", home)
    assert "is a file" in said["words"]
    assert said["strip"] == "Engine stopped"


def test_an_error_in_a_slot_is_said_once_and_the_window_lives_on(tmp_path: Path) -> None:
    said = drive("slot_error", tmp_path / "home")
    assert "Something went wrong" in said["toast"]


def test_without_a_display_it_says_so_and_how_to_run_headless(tmp_path: Path) -> None:
    env = environment(tmp_path / "home")
    del env["QT_QPA_PLATFORM"]
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        env.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-m", "app"],
        env=env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    if sys.platform.startswith("linux"):
        assert done.returncode == 1
        assert "no display" in done.stderr
        assert "legion start" in done.stderr


def test_a_second_start_ends_at_once_and_leaves_the_first_running(tmp_path: Path) -> None:
    home = tmp_path / "home"
    first = desktop(home, LEGION_MEASURE_START="1")
    ready(first)
    try:
        door = __import__("app.single", fromlist=["address"]).address(home)
        while not door.exists():
            assert first.poll() is None
            signal.sigtimedwait([], 0.01)
        second = subprocess.run(
            [sys.executable, "-m", "app", "desktop"], env=environment(home), cwd=ROOT, capture_output=True,
            timeout=400, check=False,
        )  # fmt: skip
        assert second.returncode == 0
        assert first.poll() is None
    finally:
        first.send_signal(signal.SIGTERM)
        assert first.wait(timeout=400) == 0
        assert first.stderr is not None
        first.stderr.close()


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_ends_it_in_order(tmp_path: Path, name: str) -> None:
    process = desktop(tmp_path / "home", LEGION_MEASURE_START="1")
    figures = ready(process)
    assert figures["modules"] > 0
    process.send_signal(getattr(signal, name))
    assert process.wait(timeout=400) == 0
    assert process.stderr is not None
    process.stderr.close()
    assert not (tmp_path / "home" / "run" / "node.json").exists()


def test_starting_and_quitting_again_and_again_never_crashes(tmp_path: Path, count_factor: int) -> None:
    """Unordered teardown crashed in up to 44 of 100 exits; ordered it must be none."""
    for _ in range(3 * count_factor):
        assert drive("immediately", tmp_path / "home") == {}
    for _ in range(2 * count_factor):
        assert drive("running", tmp_path / "home")["engine"] == "Engine running"
