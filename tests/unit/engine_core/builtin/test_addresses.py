"""Which addresses a task may ask: nothing that could be this computer or its network, however it is written."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from legion_core.kernel.addresses import is_allowed, is_public

PRIVATE = (
    "127.0.0.1", "127.8.9.1", "0.0.0.0", "10.0.0.1", "172.16.5.5", "192.168.1.1", "169.254.169.254",
    "100.64.0.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "192.0.2.1",
    "198.18.0.1", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "ff02::1", "2001:db8::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::",
    "2001:0:4136:e378:8000:63bf:f5ff:fffe", "not an address", "",
)  # fmt: skip
PUBLIC = ("1.1.1.1", "8.8.8.8", "93.184.216.34", "2606:4700:4700::1111", "64:ff9b::808:808")


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_address_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is(address: str) -> None:
    assert is_public(address)


@given(
    st.sampled_from([ipaddress.ip_network(n) for n in ("10.0.0.0/8", "127.0.0.0/8", "192.168.0.0/16")]),
    st.data(),
)
def test_no_wrapping_makes_a_private_address_public(
    network: ipaddress.IPv4Network, data: st.DataObject
) -> None:
    inner = network[data.draw(st.integers(0, network.num_addresses - 1))]
    assert not is_public(str(inner))
    assert not is_public(f"::ffff:{inner}")
    assert not is_public(str(ipaddress.IPv6Address((0x64FF9B << 96) | int(inner))))
    assert not is_public(str(ipaddress.IPv6Address((0x2002 << 112) | (int(inner) << 80))))


@pytest.mark.parametrize(
    ("host", "port", "addresses", "allow", "verdict"),
    [
        ("example.com", 443, ["93.184.216.34"], [], True),
        ("127.0.0.1", 9000, ["127.0.0.1"], [], False),
        ("127.0.0.1", 9000, ["127.0.0.1"], ["127.0.0.1:9000"], True),
        ("127.0.0.1", 9001, ["127.0.0.1"], ["127.0.0.1:9000"], False),
        ("127.0.0.1", 9001, ["127.0.0.1"], ["127.0.0.1"], True),
        ("localhost", 9000, ["127.0.0.1"], ["127.0.0.1:9000"], True),
        ("LOCALHOST", 9000, ["127.0.0.1"], ["localhost:9000"], True),
        ("::1", 80, ["::1"], ["[::1]:80"], True),
        ("::1", 81, ["::1"], ["[::1]:80"], False),
        ("::1", 81, ["::1"], ["::1"], True),
        ("mixed.example", 80, ["93.184.216.34", "10.0.0.1"], [], False),
        ("nowhere", 80, [], ["nowhere:80"], False),
        ("127.0.0.1", 80, ["127.0.0.1"], ["", ":", "127.0.0.1:x:y"], False),
    ],
)
def test_a_private_address_must_be_listed(
    host: str, port: int, addresses: list[str], allow: list[str], verdict: bool
) -> None:
    assert is_allowed(host, port, addresses, allow) is verdict
