"""One window for a data directory: later starts find it, and nobody else is taken for it."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from app.handshake import encode
from app.single import PATH_MAX_BYTES, FirstWindow, address, may_answer, raise_first, server_name


def _is_hung_up(knocking: socket.socket) -> bool:
    try:
        return knocking.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionError:
        return True


@pytest.fixture
def first(qtbot: QtBot, tmp_path: Path) -> Iterator[FirstWindow]:
    window = FirstWindow(tmp_path)
    assert window.is_listening
    yield window
    window.close()
    window.deleteLater()


def test_a_second_start_hands_its_arguments_to_the_first(
    qtbot: QtBot, first: FirstWindow, tmp_path: Path
) -> None:
    program = (
        "import sys; from pathlib import Path; from app.single import raise_first;"
        f"sys.exit(0 if raise_first(Path({str(tmp_path)!r}), ['desktop', 'x']) else 1)"
    )
    with qtbot.waitSignal(first.asked, timeout=100_000) as heard:
        second = subprocess.Popen([sys.executable, "-c", program])
    qtbot.waitUntil(lambda: second.poll() is not None, timeout=100_000)
    assert heard.args == [["desktop", "x"]]
    assert second.returncode == 0


def test_a_start_that_arrives_in_pieces_is_heard_once_it_is_whole(
    qtbot: QtBot, first: FirstWindow, tmp_path: Path
) -> None:
    line = encode(["desktop", "ö" * 3000])
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as second:
        second.connect(str(address(tmp_path)))
        second.sendall(line[:7])
        qtbot.waitUntil(lambda: any(heard for _, heard in first._peers.values()), timeout=100_000)
        with qtbot.waitSignal(first.asked, timeout=100_000) as heard:
            second.sendall(line[7:])
        assert heard.args == [["desktop", "ö" * 3000]]


@pytest.mark.parametrize(
    "said", [b"\n", b"GET / HTTP/1.1\r\n\r\n", b'["a"]\n', b"x" * 200_000 + b"\n", b'{"argv']
)
def test_what_is_no_start_of_ours_is_hung_up_on(
    qtbot: QtBot, first: FirstWindow, tmp_path: Path, said: bytes
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other, qtbot.assertNotEmitted(first.asked):
        other.settimeout(10)
        other.connect(str(address(tmp_path)))
        other.setblocking(False)
        other.send(said)
        other.shutdown(socket.SHUT_WR)
        qtbot.waitUntil(lambda: _is_hung_up(other), timeout=100_000)
    assert first.is_listening


def test_nobody_answers_where_no_window_runs(tmp_path: Path) -> None:
    assert not may_answer(tmp_path)
    assert not raise_first(tmp_path, [])


def test_what_a_killed_window_left_behind_does_not_keep_the_next_from_listening(
    qtbot: QtBot, tmp_path: Path
) -> None:
    address(tmp_path).parent.mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as killed:
        killed.bind(str(address(tmp_path)))
    assert may_answer(tmp_path)
    assert not raise_first(tmp_path, [])
    again = FirstWindow(tmp_path)
    assert again.is_listening
    again.close()
    again.deleteLater()
    assert not may_answer(tmp_path)


def test_only_the_owner_may_knock(first: FirstWindow, tmp_path: Path) -> None:
    assert address(tmp_path).stat().st_mode & 0o777 == 0o600
    assert address(tmp_path).stat().st_uid == os.getuid()


def test_where_the_path_is_too_long_for_a_socket_the_temporary_folder_holds_it(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 120)
    assert len(os.fsencode(address(deep))) <= PATH_MAX_BYTES or address(deep).name == server_name(deep)
    assert address(deep) != address(tmp_path / ("e" * 120))


def test_each_directory_has_its_own_window(tmp_path: Path) -> None:
    assert server_name(tmp_path / "a") != server_name(tmp_path / "b")
    assert address(tmp_path / "a") != address(tmp_path / "b")
