"""Fault sites do nothing unless a test arms them; Null ports say honestly that nothing is there."""

import pytest

from legion_core.kernel import faults
from legion_core.kernel.errors import Denied
from legion_core.kernel.faults import SITES, arm, fault
from legion_core.kernel.ports import LOCAL_OWNER, NOBODY, OWNER, NoRetriever, OwnerOnly, Principal
from tests.support.aio import run


def test_a_site_does_nothing_until_armed_and_nothing_after() -> None:
    seen: list[str] = []
    for site in sorted(SITES):
        fault(site)
    arm(seen.append)
    try:
        for site in sorted(SITES):
            fault(site)
        with pytest.raises(AssertionError, match="unregistered"):
            fault("nowhere.at.all")
    finally:
        arm(None)
    fault("storage.commit")
    assert seen == sorted(SITES)
    assert faults._hook is None


def test_what_the_hook_raises_strikes_at_the_site() -> None:
    def strike(site: str) -> None:
        raise OSError(5, site)

    arm(strike)
    try:
        with pytest.raises(OSError, match=r"storage\.begin"):
            fault("storage.begin")
    finally:
        arm(None)


@pytest.mark.parametrize("who", [OWNER, LOCAL_OWNER])
def test_the_owner_may_do_everything(who: Principal) -> None:
    OwnerOnly().authorise(who, "gateway/chat", "use")


@pytest.mark.parametrize("who", [NOBODY, Principal(name="owner")])
def test_nobody_else_may_do_anything_whatever_the_name(who: Principal) -> None:
    with pytest.raises(Denied) as told:
        OwnerOnly().authorise(who, "gateway/chat", "use")
    assert "token" in told.value.hint


def test_without_a_store_nothing_is_found() -> None:
    assert run(NoRetriever().retrieve("anything", 5)) == ()
