"""What may leave this computer, and to which addresses."""

import asyncio
from collections.abc import Iterator

import pytest

from legion_core.kernel.addresses import is_public
from legion_core.kernel.clock import SystemClock
from legion_core.kernel.contacts import Contacts
from legion_core.kernel.errors import ConnectionLost, InvalidInput
from legion_core.kernel.fetch import reach
from legion_core.kernel.fetch.gate import GATE, Blocked, Gate, canonical
from legion_core.kernel.fetch.reach import ANYWHERE, PrivateAddress, Reach, find, resolved


@pytest.fixture(autouse=True)
def open_again() -> Iterator[None]:
    yield
    GATE.set()


def gate() -> tuple[Gate, Contacts]:
    contacts = Contacts(SystemClock())
    return Gate(contacts), contacts


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.8.9.1", "169.254.169.254",
        "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.168.1.1", "198.18.0.1", "224.0.0.1", "255.255.255.255",
        "168.63.129.16", "::", "::1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:8.8.8.8", "::127.0.0.1",
        "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "ff02::1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1", "2002:7f00:1::", "2002:808:808::", "2001:0:53aa:64c::1", "2001:db8::1", "3fff::1", "100::1",
        "2606:4700::5efe:7f00:1", "2606:4700::200:5efe:a00:1", "", "example.org", "127.1",
    ],
)  # fmt: skip
def test_no_way_to_write_a_private_address_is_taken_for_a_public_one(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "93.184.216.34", "172.32.0.1", "192.0.3.1", "2606:4700:4700::1111", "2001:4860:4860::8888",
     "64:ff9b::808:808"],
)  # fmt: skip
def test_what_is_on_the_internet_is_public(address: str) -> None:
    assert is_public(address)


def test_a_block_is_of_the_host_however_it_is_written() -> None:
    made, contacts = gate()
    made.set(blocked=("Evil.Example.", "*.tracker.example", "203.0.113.7", "bücher.example"))
    for host in ("evil.example", "EVIL.example.", "a.b.tracker.example", "tracker.example", "203.0.113.7",
                 "xn--bcher-kva.example", "bücher.example"):  # fmt: skip
        assert made.why_not(host) == "blocked", host
    for host in ("notevil.example", "evil.example.org", "nottracker.example", "127.0.0.1"):
        assert made.why_not(host) == "", host
    with pytest.raises(Blocked, match="blocked on the Network page"):
        made.check("evil.example", 443, "task", "http.request")
    (row,) = contacts.rows()
    assert (row.count, row.refused, row.by) == (0, 1, "http.request")


def test_offline_leaves_only_this_computer_by_its_plain_names() -> None:
    made, _ = gate()
    made.set(offline=True)
    for host in ("127.0.0.1", "127.8.8.8", "localhost", "LOCALHOST.", "[::1]", "::1", "::ffff:127.0.0.1"):
        assert made.why_not(host) == "", host
    for host in ("10.0.0.1", "192.168.1.2", "example.org", "localhost.evil.example", "127.0.0.1.evil.example",
                 "0.0.0.0", "2130706433"):  # fmt: skip
        assert made.why_not(host) == "offline", host


def test_whoever_holds_connections_hears_of_a_change_and_only_of_one() -> None:
    made, _ = gate()
    heard: list[bool] = []

    class Pool:
        def gate_changed(self) -> None:
            heard.append(made.is_offline)

    pool = Pool()
    made.watch(pool)
    made.set(offline=True)
    made.set(offline=True)
    made.set()
    del pool
    made.set(offline=True)
    assert heard == [True, False]


def asked(host: str, found: list[str], where: Reach = reach.PUBLIC) -> tuple[str, ...]:
    async def told(_: str, __: int) -> list[str]:
        return found

    return asyncio.run(find(host, 443, "task", "", where, told))


def test_one_private_address_among_public_ones_is_enough_to_refuse() -> None:
    assert asked("a.example", ["8.8.8.8", "2606:4700:4700::1111"]) == ("8.8.8.8", "2606:4700:4700::1111")
    with pytest.raises(PrivateAddress):
        asked("a.example", ["8.8.8.8", "10.0.0.1"])
    assert asked("nas.lan", ["10.0.0.1"], ANYWHERE) == ("10.0.0.1",)
    assert asked("nas.lan", ["10.0.0.1"], Reach(allow=("nas.lan:443",))) == ("10.0.0.1",)
    with pytest.raises(PrivateAddress):
        asked("nas.lan", ["10.0.0.1"], Reach(has_loopback=True))
    with pytest.raises(ConnectionLost):
        asked("none.example", [])


def test_a_blocked_address_cannot_be_reached_by_a_name_for_it() -> None:
    GATE.set(blocked=("93.184.216.34",))
    with pytest.raises(Blocked):
        asked("alias.example", ["93.184.216.34"])


def test_nothing_is_looked_up_for_a_host_that_may_not_be_asked() -> None:
    GATE.set(offline=True)

    async def never(_: str, __: int) -> list[str]:
        raise AssertionError("looked up")

    with pytest.raises(Blocked, match="only this computer"):
        asyncio.run(find("example.org", 443, "task", "", ANYWHERE, never))


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "017700000001", "127.1", "0x7f.1"])
def test_odd_spellings_of_an_address_become_it(host: str) -> None:
    assert asyncio.run(resolved(host, 80)) == ["127.0.0.1"]


@pytest.mark.parametrize("host", ["", "a" * 300, "a\0b", "a..b" + "c" * 80])
def test_what_can_be_no_hosts_name_is_never_looked_up(host: str) -> None:
    with pytest.raises(InvalidInput):
        asyncio.run(resolved(host, 80))


def test_hosts_are_compared_in_one_form() -> None:
    assert canonical(" [FE80::1%eth0] ") == "fe80::1"
    assert canonical("ExAmPle.Org.") == "example.org"
