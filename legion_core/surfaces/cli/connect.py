"""Finds the running node of a home, or opens one for this command."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from legion_core.storage.home import Home, NodeRecord
from legion_core.surfaces.cli.http import PROBE_S, Wire

if TYPE_CHECKING:
    from legion_core.surfaces.cli.backend import Backend
    from legion_core.surfaces.cli.local import OpenNode
    from legion_core.surfaces.cli.remote import RemoteBackend

_EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1", "localhost": "127.0.0.1"}  # noqa: S104


def connect(home: Home, env: Mapping[str, str], open_node: "OpenNode") -> "Backend":
    """The running node if it answers, else one of our own."""
    found = running(home, env)
    if found is not None:
        return found
    from legion_core.surfaces.cli.local import LocalBackend

    return LocalBackend(open_node, home, env)


def running(home: Home, env: Mapping[str, str]) -> "RemoteBackend | None":
    """The running node, if there is one and it answers."""
    record = home.read_node()
    if record is None or record.port is None or not is_answering(record):
        return None
    from legion_core.surfaces.cli.remote import RemoteBackend

    return RemoteBackend(Wire(_host(record), record.port, token(home, env)))


def is_answering(record: NodeRecord) -> bool:
    """Whether it takes requests, asked with the token unsent."""
    if record.port is None:
        return False
    probe = Wire(_host(record), record.port, "", PROBE_S)
    try:
        return probe.is_there()
    finally:
        probe.close()


def token(home: Home, env: Mapping[str, str]) -> str:
    """The owner's token, if there is one yet."""
    if given := env.get("LEGION_TOKEN", "").strip():
        return given
    try:
        return home.token_path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def address(record: NodeRecord) -> str:
    """Where it serves, as a URL; empty if it does not."""
    if record.port is None:
        return ""
    host = _host(record)
    return f"http://[{host}]:{record.port}" if ":" in host else f"http://{host}:{record.port}"


def _host(record: NodeRecord) -> str:
    return _EVERY_ADDRESS.get(record.host, record.host or "127.0.0.1")
