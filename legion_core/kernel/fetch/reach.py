"""From a host to the addresses that are connected to: looked up once, judged, and then used as they were judged.

A name that has another address when somebody asks again gains nothing (DNS rebinding).
"""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from legion_core.kernel.addresses import is_address, is_allowed, is_loopback, is_public
from legion_core.kernel.contacts import CONTACTS, Purpose
from legion_core.kernel.errors import ConnectionLost, Denied, InvalidInput
from legion_core.kernel.fetch.gate import GATE, Blocked, canonical

NAME_CHARS_MAX: Final = 253
ADDRESSES_MAX: Final = 8
_NAME: Final = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\Z")

Resolve = Callable[[str, int], Awaitable[list[str]]]


class PrivateAddress(Denied):
    """The host is, or stands for, an address that is not on the public internet; `host` as written."""

    def __init__(self, host: str, port: int) -> None:
        super().__init__(f"{host[:120]} is an address of this computer or of your own network.")
        self.host = host
        self.port = port


@dataclass(frozen=True, slots=True)
class Reach:
    """Where a request may go. Public addresses always; `allow` lists others (see `addresses.is_allowed`).

    `is_any`: the person named this host, so it may lie anywhere. `has_loopback`: this computer too.
    """

    allow: tuple[str, ...] = ()
    is_any: bool = False
    has_loopback: bool = False

    def admits(self, host: str, port: int, addresses: list[str]) -> bool:
        """Whether every one of `addresses`, which `host` stands for, may be connected to."""
        if self.is_any or is_allowed(host, port, addresses, self.allow):
            return bool(addresses)
        return self.has_loopback and all(is_public(each) or is_loopback(each) for each in addresses)


PUBLIC: Final = Reach()
ANYWHERE: Final = Reach(is_any=True)


async def find(
    host: str,
    port: int,
    purpose: Purpose,
    by: str = "",
    reach: Reach = PUBLIC,
    resolve: Resolve | None = None,
) -> tuple[str, ...]:
    """The addresses to connect to, in the order to try them; the contact is noted.

    Raises Blocked, PrivateAddress, InvalidInput (no host's name), ConnectionLost (not found).
    """
    GATE.check(host, port, purpose, by)
    found = await (resolve or resolved)(host, port)
    if not found:
        raise ConnectionLost(f"The address of {host[:120]} was not found.")
    if not reach.admits(host, port, found):
        raise PrivateAddress(host, port)
    for address in found if not GATE.is_open else ():
        if (why := GATE.why_not(address)) == "blocked":
            CONTACTS.note(host, port, purpose, by, is_refused=True)
            raise Blocked(host, why)
    CONTACTS.note(host, port, purpose, by)
    return tuple(found[:ADDRESSES_MAX])


async def resolved(host: str, port: int) -> list[str]:
    """What the system makes of a host: addresses as they are, odd spellings of one (`127.1`, `0x7f.1`), names."""
    name = canonical(host)
    if is_address(name):
        return [name]
    # Characters no name has are read in one way by us and in another by somebody behind us.
    if len(name) > NAME_CHARS_MAX or not _NAME.match(name):
        raise InvalidInput(f"{host[:80]!r} cannot be the name of a host.", hint="Check the address.")
    try:
        return [socket.inet_ntoa(socket.inet_aton(name))]
    except OSError:
        pass
    try:
        found = await asyncio.get_running_loop().getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise InvalidInput(
            f"{host[:80]!r} cannot be the name of a host.", hint="Check the address."
        ) from error
    except OSError as error:
        raise ConnectionLost(
            f"The address of {host[:120]} was not found: {error.strerror or error}."
        ) from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
