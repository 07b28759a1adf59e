"""Tests that offend on purpose, one for each guard; `test_guards.py` runs this file and reads what is said of it."""

import asyncio
import contextlib
import logging
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import warnings

import pytest

STOP = threading.Event()
held = []


def teardown_module():
    STOP.set()
    for thing in held:
        if isinstance(thing, subprocess.Popen):
            thing.communicate(b"end\n")
        elif isinstance(thing, str):
            shutil.rmtree(thing) if os.path.isdir(thing) else os.unlink(thing)
    held.clear()


def test_leaves_by_a_connection():
    socket.create_connection(("192.0.2.1", 9), timeout=1)


def test_swallows_the_refusal():
    with contextlib.suppress(Exception):
        socket.getaddrinfo("example.org", 80)


def test_logs_a_warning():
    logging.getLogger("a.b").warning("odd %s", 1)


def test_leaves_a_thread():
    threading.Thread(target=STOP.wait, name="forgotten", daemon=True).start()


def test_leaves_a_process():
    held.append(subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE))


def test_leaves_a_task():
    async def main():
        held.append(asyncio.get_running_loop().create_task(asyncio.sleep(60), name="forgotten"))
        await asyncio.sleep(0)

    asyncio.run(main())


def test_warns():
    warnings.warn("old habit", DeprecationWarning, stacklevel=1)


def test_leaves_a_file_open(tmp_path):
    (tmp_path / "a").write_text("", encoding="utf-8")
    open(tmp_path / "a", encoding="utf-8")  # noqa: SIM115


def test_leaves_a_socket_open():
    socket.socket()


def test_leaves_a_file_open_in_a_circle(tmp_path):
    (tmp_path / "a").write_text("", encoding="utf-8")
    circle = [open(tmp_path / "a", encoding="utf-8")]  # noqa: SIM115
    circle.append(circle)


def test_leaves_a_variable():
    os.environ["LEGION_FORGOTTEN"] = "1"


def test_takes_a_variable_away():
    del os.environ["LC_ALL"]


def test_leaves_a_folder():
    held.append(tempfile.mkdtemp(prefix="forgotten-"))


def test_leaves_a_temporary_file():
    opened, path = tempfile.mkstemp(prefix="forgotten-")
    os.close(opened)
    held.append(path)


def test_honest_sets_a_variable_for_itself(monkeypatch):
    monkeypatch.setenv("LEGION_REMEMBERED", "1")


def test_honest_takes_its_folder_away():
    with tempfile.TemporaryDirectory() as folder:
        assert os.path.isdir(folder)


def test_honest_talks_to_itself():
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()


def test_honest_announces_its_warning(allow_log):
    allow_log("odd [0-9]")
    logging.getLogger("a.b").error("odd %s", 1)


@pytest.mark.allow_log("even [0-9]")
def test_honest_announces_by_a_marker():
    logging.getLogger("a.b").error("even %s", 2)


@pytest.mark.allow_leak("threads", reason="planted")
def test_honest_may_leave_a_thread():
    threading.Thread(target=STOP.wait, daemon=True).start()


def test_honest_ends_what_it_starts():
    async def main():
        task = asyncio.get_running_loop().create_task(asyncio.sleep(60))
        await asyncio.sleep(0)
        task.cancel()

    asyncio.run(main())


def test_honest_has_a_home_of_its_own(tmp_path_factory, legion_home):
    assert os.environ["LEGION_HOME"] == str(legion_home)
    assert legion_home.parent == tmp_path_factory.getbasetemp()
    assert not legion_home.exists()
    assert "LEGION_TOKEN" not in os.environ


def test_honest_finds_no_keyring():
    import keyring

    with pytest.raises(keyring.errors.NoKeyringError):
        keyring.get_password("a", "b")
