"""Pure: which IP addresses are on the public internet, and which may be asked.

"Private" is everything that is not plainly so: this computer, the local network, link-local and multicast ranges, and
IPv6 forms that only wrap such an address. The ranges are written out, so that they do not differ with the interpreter.
Source: IANA's registries of special-purpose addresses.
"""

import ipaddress
from collections.abc import Sequence
from typing import Final, TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_PUBLIC_V6: Final = ipaddress.IPv6Network("2000::/3")
_PRIVATE_V4: Final = tuple(
    ipaddress.IPv4Network(text)
    for text in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
        "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        "168.63.129.16/32",  # a cloud's own service for its machines, at a public-looking address
    )
)  # fmt: skip
_PRIVATE_V6: Final = tuple(
    ipaddress.IPv6Network(text)
    # Tunnels (2001::/32 Teredo, 2002::/16 6to4) reach whatever their inside says; nobody needs them.
    for text in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
)


def is_public(text: str) -> bool:
    """Whether this IP address is on the public internet; False for what is no address."""
    address = _read(text)
    if address is None:
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _PRIVATE_V4)
    if address in _NAT64:
        return is_public(str(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)))
    if address not in _PUBLIC_V6 or any(address in network for network in _PRIVATE_V6):
        return False
    inner = _isatap(address)
    return inner is None or is_public(str(inner))


def is_address(text: str) -> bool:
    """Whether a host is an IP address already, in its plain form."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether a host's name or address is this computer, without asking anybody."""
    if host.lower().rstrip(".") == "localhost":
        return True
    address = _read(host.strip("[]"))
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address is not None and address.is_loopback


def is_allowed(host: str, port: int, addresses: Sequence[str], allow: Sequence[str]) -> bool:
    """Whether `host` (as written) at `port` may be asked when it resolves to `addresses`.

    `allow` lists HOST:PORT or HOST, by name or address; `[::1]:80` for IPv6. One private address among many is
    enough to refuse: which one is used must not depend on luck.
    """
    if not addresses:
        return False
    rules = [_rule(word) for word in allow]
    if any(name == host.lower() and wanted in (None, port) for name, wanted in rules):
        return True
    return all(
        is_public(address) or any(name == address and wanted in (None, port) for name, wanted in rules)
        for address in addresses
    )


def _read(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None


def _isatap(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address inside an ISATAP one (RFC 5214)."""
    low = int(address) & 0xFFFFFFFFFFFFFFFF
    return ipaddress.IPv4Address(low & 0xFFFFFFFF) if (low >> 32) & 0xFCFFFFFF == 0x5EFE else None


def _rule(word: str) -> tuple[str, int | None]:
    text = word.strip().lower()
    if text.startswith("["):
        host, _, port = text[1:].partition("]")
        port = port.removeprefix(":")
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    else:
        host, port = text, ""
    return host, int(port) if port.isascii() and port.isdecimal() else None
