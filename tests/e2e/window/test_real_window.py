"""The installed program on a real X server, driven by keys only, seen only from outside."""

import json
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
pytestmark = [
    pytest.mark.xvfb,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("xdotool") is None, reason="xdotool is not installed"),
]
BOUND_S = 150.0


class Screen:
    """A running workbench and the keyboard in front of it."""

    def __init__(self, env: dict[str, str], home: Path) -> None:
        self.env, self.home = env, home
        self.process = subprocess.Popen([sys.executable, "-m", "app"], env=env, cwd=ROOT)
        self.window = self.wait_for(
            lambda: self.xdotool("search", "--onlyvisible", "--name", "^Legion Workbench")
        )

    def xdotool(self, *words: str) -> str:
        return self.told(*words).strip().split("\n")[0]

    def told(self, *words: str) -> str:
        """All of its output. A window that goes away while it waits for one would hold it for ever."""
        try:
            return subprocess.run(
                ["xdotool", *words], env=self.env, capture_output=True, text=True, check=False, timeout=30
            ).stdout
        except subprocess.TimeoutExpired:
            return ""

    def wait_for(self, ask: Callable[[], str]) -> str:
        """Ask until there is an answer; the bound is a hang, not a speed."""
        end = time.monotonic() + BOUND_S
        while time.monotonic() < end:
            assert self.process.poll() is None, f"it ended with {self.process.returncode}"
            if answer := ask():
                return answer
            time.sleep(0.05)
        raise AssertionError("nothing came")

    def focus(self) -> None:
        self.xdotool("windowfocus", "--sync", self.window)

    def press(self, *keys: str) -> None:
        self.xdotool("key", "--clearmodifiers", *keys)

    def type(self, words: str) -> None:
        self.xdotool("type", "--delay", "15", words)

    @property
    def title(self) -> str:
        return self.xdotool("getwindowname", self.window)

    def node(self) -> dict[str, object]:
        path = self.home / "run" / "node.json"
        self.wait_for(
            lambda: "yes" if path.exists() and '"port":' in path.read_text(encoding="utf-8") else ""
        )
        return json.loads(path.read_text(encoding="utf-8"))

    def get(self, path: str) -> dict[str, object]:
        port = self.node()["port"]
        token = (self.home / "token").read_text(encoding="utf-8").strip()
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}{path}", headers={"Authorization": f"Bearer {token}"}
        )
        with urllib.request.urlopen(request, timeout=100) as answer:
            return json.load(answer)

    def quit(self) -> int:
        """Ctrl+Q, again where the busy server lost the key; the exit status."""
        end = time.monotonic() + BOUND_S
        while time.monotonic() < end:
            self.focus()
            self.press("ctrl+q")
            try:
                return self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                continue
        raise AssertionError(
            f"it did not quit; shown: {self.xdotool('search', '--onlyvisible', '--name', '.')}"
        )


@pytest.fixture
def screen(x_environment: dict[str, str], tmp_path: Path) -> Iterator[Screen]:
    home = tmp_path / "home"
    env = {
        **{name: value for name, value in x_environment.items() if not name.startswith("LEGION_")},
        "LEGION_HOME": str(home), "LEGION_PORT": "0", "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    made = Screen(env, home)
    yield made
    if made.process.poll() is None:
        made.process.send_signal(signal.SIGTERM)
        try:
            made.process.wait(timeout=400)
        except subprocess.TimeoutExpired:
            made.process.kill()
            made.process.wait(timeout=10)


@pytest.mark.model
def test_a_person_with_a_keyboard_gets_an_answer_from_the_starter_model(screen: Screen) -> None:
    screen.focus()
    screen.press("Escape")  # leaves the set-up of the first run
    screen.type("Say hello.")
    screen.press("Return")
    assert screen.wait_for(lambda: screen.title if "Say hello" in screen.title else "")

    def answered() -> str:
        listed = screen.get("/api/v1/conversations")["data"]
        assert isinstance(listed, list)
        for row in listed:
            shown = screen.get(f"/api/v1/conversations/{row['id']}")["data"]
            assert isinstance(shown, dict)
            match shown["messages"]:
                case [{"role": "user"}, {"role": "assistant", "status": "complete", "model": str(model)}]:
                    return model
                case _:
                    pass
        return ""

    assert "smollm2" in screen.wait_for(answered).lower()
    assert screen.quit() == 0
    assert not (screen.home / "run" / "node.json").exists()


def test_pages_settings_and_palette_by_keys_and_an_ordered_end(screen: Screen) -> None:
    screen.node()
    screen.focus()
    screen.press("Escape")
    screen.press("ctrl+2", "ctrl+comma", "ctrl+1", "ctrl+k", "Escape", "ctrl+n")
    assert screen.title.startswith("Legion Workbench")
    assert screen.process.poll() is None
    assert screen.quit() == 0


def test_typing_at_once_on_the_first_run_is_not_lost(screen: Screen) -> None:
    screen.node()
    screen.focus()
    screen.type("typed at once")
    screen.press("Return")
    assert screen.wait_for(lambda: screen.title if "typed at once" in screen.title else "")
    # An answer may be under way, and quitting by hand would ask about it; a signal does not.
    screen.process.send_signal(signal.SIGTERM)
    assert screen.process.wait(timeout=400) == 0


def test_the_place_of_the_window_is_found_again(screen: Screen) -> None:
    screen.node()
    screen.focus()
    screen.press("Escape")
    screen.xdotool("windowsize", "--sync", screen.window, "1000", "640")
    assert screen.quit() == 0
    again = Screen(screen.env, screen.home)
    try:

        def shape() -> str:
            said = again.told("getwindowgeometry", "--shell", again.window)
            return said if "WIDTH=1000" in said and "HEIGHT=640" in said else ""

        assert again.wait_for(shape)
    finally:
        again.process.send_signal(signal.SIGTERM)
        assert again.process.wait(timeout=400) == 0
