"""A private X server with a window manager, for the few tests that need a real window."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator

import pytest


def _start_server() -> tuple[subprocess.Popen[bytes], str]:
    read_end, write_end = os.pipe()
    # The server picks a free number itself and writes it once it accepts clients, so nothing is polled.
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write_end), "-screen", "0", "1400x900x24", "-nolisten", "tcp"],
        pass_fds=[write_end],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(write_end)
    with os.fdopen(read_end) as answer:
        number = answer.readline().strip()
    assert number, "Xvfb ended before it was ready"
    return server, f":{number}"


def _wait_for_manager(environment: dict[str, str], manager: "subprocess.Popen[bytes]") -> None:
    """Windows shown before it manages are taken over later, and lose the focus then."""
    if shutil.which("xdotool") is None:
        return
    while manager.poll() is None:
        asked = subprocess.run(
            ["xdotool", "get_num_desktops"], env=environment, capture_output=True, check=False, timeout=100
        )
        if asked.returncode == 0:
            return
        time.sleep(0.02)


@pytest.fixture(scope="session")
def x_display() -> Iterator[str]:
    """The DISPLAY of a private server with openbox (where installed); mark the test `xvfb`."""
    server, display = _start_server()
    manager = None
    if shutil.which("openbox"):
        environment = {**os.environ, "DISPLAY": display}
        manager = subprocess.Popen(
            ["openbox"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        _wait_for_manager(environment, manager)
    yield display
    for process in (manager, server):
        if process is not None:
            process.terminate()
            process.wait(timeout=100)


@pytest.fixture
def x_environment(x_display: str) -> dict[str, str]:
    """An environment in which a child process draws on the private server."""
    environment = {**os.environ, "DISPLAY": x_display, "QT_QPA_PLATFORM": "xcb"}
    environment.pop("WAYLAND_DISPLAY", None)
    return environment
