"""Pure: which IP addresses are on the public internet.

"Private" is everything that is not plainly so: this computer, the local network, link-local and multicast ranges, and
IPv6 forms that only wrap such an address.
"""

import ipaddress
from typing import TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def is_public(text: str) -> bool:
    """Whether this IP address is on the public internet; False for what is no address."""
    try:
        address: Address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    inner = _wrapped(address)
    if inner is not None and not is_public(str(inner)):
        return False
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and not address.is_unspecified
        and not address.is_loopback
        and not address.is_link_local
    ) or (inner is not None and address in _NAT64)


def is_address(text: str) -> bool:
    """Whether a host is an IP address already, in its plain form."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _wrapped(address: Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address inside an IPv6 one, if it carries one."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if address.teredo is not None:
        return address.teredo[1]
    return address.ipv4_mapped or address.sixtofour
