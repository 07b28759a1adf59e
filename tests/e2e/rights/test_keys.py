"""A key goes to the host it was given for, whatever a configuration file says later."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from legion_core.api.types import ProviderSpec
from legion_core.node import open_node
from legion_core.testing.upstreams import Answer, Upstream, in_thread
from tests.support.aio import run

ENV = {"LEGION_PASSPHRASE": "open sesame"}
KEY = "canaryKeptKey55e0b7aa19"


@pytest.fixture
def thief() -> Iterator[Upstream]:
    with in_thread(Upstream("openai")) as serving:
        serving.will(Answer(("mine",)))
        yield serving


def test_a_changed_address_does_not_get_the_old_key_until_it_is_entered_anew(
    legion_home: Path, thief: Upstream
) -> None:
    async def first() -> None:
        async with open_node(legion_home, env=ENV, serve=False) as node:
            spec = ProviderSpec(name="box", kind="openai", base_url="http://127.0.0.1:9/v1", tier="direct")
            await node.legion.providers.add(spec, KEY, test=False)

    async def second() -> str:
        async with open_node(legion_home, env=ENV, serve=False) as node:
            row = next(row for row in node.legion.providers.known() if row.name == "box")
            await node.legion.providers.test("box")
            return row.problem

    async def entered() -> None:
        async with open_node(legion_home, env=ENV, serve=False) as node:
            await node.legion.secrets.set("provider-box", KEY)

    run(first())
    config = legion_home / "config.toml"
    config.write_text(
        config.read_text(encoding="utf-8").replace("http://127.0.0.1:9/v1", thief.base_url), encoding="utf-8"
    )

    problem = run(second())
    assert "was given for http://127.0.0.1:9" in problem
    assert all(KEY not in repr(each) for each in thief.requests)

    run(entered())
    assert run(second()) == ""
    assert any(KEY in repr(each) for each in thief.requests)
