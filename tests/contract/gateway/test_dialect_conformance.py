"""Every dialect passes the one conformance suite."""

import pytest

from legion_core.testing.dialect_conformance import CHECKS, Check
from tests.contract.gateway.dialect_benches import BENCHES


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", list(BENCHES))
def test_a_dialect_keeps_the_contract(name: str, check: Check) -> None:
    check(BENCHES[name]())
