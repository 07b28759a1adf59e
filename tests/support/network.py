"""No test reaches a network: only loopback addresses and Unix sockets may be connected to or looked up.

An audit hook sees every connection of this process, whatever library makes it. The attempt raises, and the test
fails even where the code under test swallows that.
"""

import ipaddress
import socket
import sys
from collections.abc import Iterator

import pytest

LOOPBACK_NAMES = frozenset({"", "localhost", "localhost.", "ip6-localhost"})
_attempts: list[str] = []


class NetworkBlocked(RuntimeError):
    """A test tried to leave this machine."""


def is_local(host: object) -> bool:
    """Whether a host as given to `connect` or `getaddrinfo` is this machine."""
    if host is None:
        return True
    name = host.decode("ascii", "replace") if isinstance(host, bytes | bytearray) else str(host)
    if name in LOOPBACK_NAMES:
        return True
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _watch(event: str, args: tuple[object, ...]) -> None:
    if not event.startswith("socket."):
        return
    match event:
        case "socket.connect" | "socket.sendto" | "socket.sendmsg":
            connection, address = args[0], args[1]
            if getattr(connection, "family", None) not in {socket.AF_INET, socket.AF_INET6}:
                return
            host = address[0] if isinstance(address, tuple) and address else None
        case "socket.getaddrinfo" | "socket.gethostbyname" | "socket.gethostbyaddr":
            host = args[0]
        case _:
            return
    if not is_local(host):
        _attempts.append(f"{event} to {host!r}")
        raise NetworkBlocked(f"tests stay on this machine, but something called {event} for {host!r}")


def pytest_configure() -> None:
    """Watch from now on; an audit hook cannot be removed, so one process sets one."""
    if not hasattr(sys, "_legion_network_watch"):
        sys._legion_network_watch = True
        sys.addaudithook(_watch)


@pytest.fixture(autouse=True)
def _network_lock() -> Iterator[None]:
    _attempts.clear()
    yield
    if _attempts:
        tried = "; ".join(_attempts)
        _attempts.clear()
        pytest.fail(f"the test left this machine: {tried}", pytrace=False)
