"""Where a download may come from: the public internet; an address of this computer or network only at a person's word.

A link in a chat or on a web page must not make the workbench ask a router or a cloud's metadata service.
"""

import asyncio
import socket
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from legion_core.kernel.addresses import is_address, is_public
from legion_core.kernel.errors import ConnectionLost, InvalidInput

if TYPE_CHECKING:
    import httpx


class PrivateAddress(InvalidInput):
    """The URL leads to an address that is not on the public internet; `host` as written."""

    def __init__(self, host: str) -> None:
        super().__init__(
            f"{host} is an address of this computer or of your own network.",
            hint="If you mean it, say so: `legion model pull URL --private`, or confirm it in the window.",
        )
        self.host = host


async def check_reach(url: str) -> str:
    """The address to connect to. Raise PrivateAddress if the URL's host is, or resolves to, a private address; ConnectionLost if it is not found.

    One private address among many is enough: which one is used must not depend on luck.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if (written := _address(host)) is not None:
        if not is_public(written):
            raise PrivateAddress(host)
        return written
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ConnectionLost(f"The address of {host} was not found: {error}.") from error
    if not all(is_public(str(entry[4][0])) for entry in found):
        raise PrivateAddress(host)
    return str(found[0][4][0])


def pinned(url: str, address: str) -> "tuple[httpx.URL, dict[str, str], dict[str, str]]":
    """The request's URL at the address that was judged, with the headers and extensions that keep the host's name.

    A name could have another address when the client asks for it again. Through a proxy the name must stay: it looks
    it up by itself, and what it may ask is its own rule.
    """
    import httpx

    target = httpx.URL(url)
    if _has_proxy():
        return target, {}, {}
    named = {"Host": target.netloc.decode("ascii").rpartition("@")[2]}
    return target.copy_with(host=address), named, {"sni_hostname": target.host}


def _address(host: str) -> str | None:
    """The address that a host is already, also where it is written as a number or with fewer dots; None for a name."""
    if is_address(host):
        return host
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except (OSError, UnicodeError):
        return None


def check_peer(answer: "httpx.Response") -> None:
    """The same of the machine that really answered: a name may have changed its address since it was looked up.

    Where a proxy stands between, its address is what is seen, and what it may ask is its own rule.
    """
    if _has_proxy():
        return
    stream = answer.extensions.get("network_stream")
    peer = stream.get_extra_info("server_addr") if stream is not None else None
    if peer is not None and not is_public(str(cast("tuple[object, ...]", peer)[0])):
        raise PrivateAddress(str(answer.url.host))


def _has_proxy() -> bool:
    from urllib.request import getproxies

    found = getproxies()
    return bool(found.get("http") or found.get("https") or found.get("all"))
