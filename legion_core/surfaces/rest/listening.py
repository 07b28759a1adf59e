"""Binds the listening sockets ourselves, so that a held port is one clear sentence and localhost means us twice over."""

import contextlib
import errno
import socket
import sys
from dataclasses import dataclass

from legion_core.kernel.errors import Conflict, InvalidInput, Unavailable
from legion_core.surfaces.rest.gate import LOOPBACK_HOSTS, OwnAddress
from legion_core.surfaces.rest.holder import holder_of

BACKLOG = 256
_FREE_PORT_TRIES = 20
_LOOPBACK_NAMES = frozenset({"", "localhost", "127.0.0.1", "::1", "[::1]"})
_REACHED_AT = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
_ABSENT = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})  # no such family or address on this machine


@dataclass(frozen=True, slots=True)
class Listening:
    """Bound sockets, not yet listening, and what they may be called."""

    sockets: tuple[socket.socket, ...]
    own: OwnAddress
    url: str

    def close(self) -> None:
        """Let go of the port."""
        for each in self.sockets:
            each.close()


class PortHeld(Conflict):
    """Another socket listens on `port`."""

    def __init__(self, port: int, holder: str = "another program") -> None:
        hint = "End it, or choose another port with --port or LEGION_PORT."
        super().__init__(f"Port {port} is held by {holder}.", hint=hint)
        self.port = port


def naming_the_holder(error: PortHeld) -> PortHeld:
    """The same, saying who it is, as far as this user may know. Blocks while it reads all of /proc."""
    return PortHeld(error.port, holder_of(error.port) or "another program")


def listen(host: str | None, port: int) -> Listening:
    """Bind `host`; None or a loopback name binds 127.0.0.1 and ::1, as far as they exist. Port 0 takes a free one.

    Both loopback addresses or none: a stranger on the other one would be sent our token by whoever says `localhost`.
    Raises PortHeld. A name that is not loopback is looked up, which blocks.
    """
    if not 0 <= port <= 65535:
        raise InvalidInput(f"{port} is not a port.", hint="Give a number from 1 to 65535.")
    if host is None or host.lower() in _LOOPBACK_NAMES:
        sockets = _bind_loopback(port)
        return _named(sockets, LOOPBACK_HOSTS, is_open=False)
    bare = host.strip("[]").lower()
    sockets = _bind_named(bare, port)
    shown = f"[{bare}]" if ":" in bare else bare
    names = (*LOOPBACK_HOSTS, shown, socket.gethostname().lower())
    return _named(sockets, tuple(dict.fromkeys(names)), is_open=True)


def _named(sockets: tuple[socket.socket, ...], hosts: tuple[str, ...], *, is_open: bool) -> Listening:
    bound_host, port = (sockets[0].getsockname())[:2]
    address = (str(bound_host), int(port))
    name = _REACHED_AT.get(address[0], address[0])
    shown = f"[{name}]" if ":" in name else name
    own = OwnAddress(port=address[1], hosts=hosts, any_ip=is_open)
    return Listening(sockets=sockets, own=own, url=f"http://{shown}:{address[1]}")


def _bind_loopback(port: int) -> tuple[socket.socket, ...]:
    for attempt in range(_FREE_PORT_TRIES):
        bound: list[socket.socket] = []
        try:
            for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
                number = port or (bound[0].getsockname()[1] if bound else 0)
                with contextlib.suppress(_NoSuchAddress):
                    bound.append(_bind(family, address, number))
        except Conflict:
            for each in bound:
                each.close()
            # A free port on 127.0.0.1 may be taken on ::1: only then is another try worth anything.
            if port or attempt == _FREE_PORT_TRIES - 1:
                raise
            continue
        if bound:
            return tuple(bound)
        break
    raise Unavailable("This machine has no loopback address.", hint="Bring up the interface `lo`.")


def _bind_named(host: str, port: int) -> tuple[socket.socket, ...]:
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return (_bind(family, str(address[0]), port),)
    except socket.gaierror as error:
        raise InvalidInput(f"{host!r} is not an address of this machine: {error.strerror}.") from error
    except _NoSuchAddress as error:
        raise InvalidInput(f"{host!r} is not an address of this machine.") from error


class _NoSuchAddress(Exception):
    """The machine has no such address or family."""


def _bind(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    try:
        made = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise _NoSuchAddress from error
    try:
        if sys.platform == "win32":
            # Elsewhere a second program could share the port under our feet.
            made.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((address, port))
        made.listen(BACKLOG)
    except OSError as error:
        made.close()
        if error.errno in _ABSENT:
            raise _NoSuchAddress from error
        raise _why(port, error) from error
    made.setblocking(False)
    return made


def _why(port: int, error: OSError) -> Conflict:
    if error.errno == errno.EADDRINUSE:
        return PortHeld(port)
    reason = error.strerror or str(error)
    return Conflict(f"Port {port} cannot be opened: {reason}.", hint="Choose another port with --port.")
