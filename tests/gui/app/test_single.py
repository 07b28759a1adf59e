import subprocess
import sys
from pathlib import Path

from pytestqt.qtbot import QtBot

from app.single import FirstWindow, raise_first, server_name


def test_a_second_start_hands_its_arguments_to_the_first(qtbot: QtBot, tmp_path: Path) -> None:
    first = FirstWindow(tmp_path)
    assert first.is_listening
    program = (
        "import sys; from pathlib import Path; from app.single import raise_first;"
        f"sys.exit(0 if raise_first(Path({str(tmp_path)!r}), ['desktop', 'x']) else 1)"
    )
    with qtbot.waitSignal(first.asked, timeout=20_000) as heard:
        second = subprocess.Popen([sys.executable, "-c", program])
    qtbot.waitUntil(lambda: second.poll() is not None, timeout=20_000)
    assert heard.args == [["desktop", "x"]]
    assert second.returncode == 0
    first.close()
    first.deleteLater()


def test_nobody_answers_where_no_window_runs(qtbot: QtBot, tmp_path: Path) -> None:
    assert not raise_first(tmp_path, [])


def test_what_a_killed_window_left_behind_does_not_keep_the_next_from_listening(
    qtbot: QtBot, tmp_path: Path
) -> None:
    left = FirstWindow(tmp_path)
    again = FirstWindow(tmp_path)
    assert again.is_listening
    for window in (again, left):
        window.close()
        window.deleteLater()


def test_each_directory_has_its_own_window(tmp_path: Path) -> None:
    assert server_name(tmp_path / "a") != server_name(tmp_path / "b")
