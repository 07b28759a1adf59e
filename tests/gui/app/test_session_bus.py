"""A session without a bus is left without one; where there is one, the window is on it."""

import sys
from pathlib import Path

import pytest

from app.bootstrap import lacks_bus


def test_a_bus_is_known_by_its_address_or_by_its_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    runtime = {"XDG_RUNTIME_DIR": str(tmp_path)}
    assert lacks_bus({})
    assert lacks_bus(runtime)
    assert not lacks_bus({"DBUS_SESSION_BUS_ADDRESS": "unix:path=/run/user/1000/bus"})
    (tmp_path / "bus").touch()
    assert not lacks_bus(runtime)


def test_elsewhere_than_on_linux_nothing_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not lacks_bus({})
