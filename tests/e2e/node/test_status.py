"""What the node says of itself at a glance."""

from pathlib import Path

from legion_core.node import open_node
from tests.support.aio import run

TWO_BOXES = """\
[[gateway.instances]]
name = "box-a"
kind = "vllm"
base_url = "http://127.0.0.1:9/v1"
[[gateway.instances.models]]
id = "first"
[[gateway.instances]]
name = "box-b"
kind = "vllm"
base_url = "http://127.0.0.1:9/v1"
tier = "direct"
[[gateway.instances.models]]
id = "second"
"""


def test_before_the_first_answer_the_model_is_the_one_that_would_be_asked(legion_home: Path) -> None:
    """One that was tripped or drained by hand answers nothing: to name it would mislead."""
    legion_home.mkdir(mode=0o700, parents=True, exist_ok=True)
    (legion_home / "config.toml").write_text(TWO_BOXES, encoding="utf-8")

    async def scenario() -> None:
        async with open_node(legion_home, env={}, serve=False) as node:
            providers, ops = node.legion.providers, node.legion.ops
            if any(row.name == "local" for row in providers.known()):
                providers.trip("local")
            assert (await ops.status()).model == "first"
            providers.trip("box-a")
            status = await ops.status()
            assert (status.model, status.tier) == ("second", "direct")
            providers.drain("box-b")
            assert (await ops.status()).model  # nobody takes anything: the first of all is named
            providers.reset("box-a")
            assert (await ops.status()).model == "first"

    run(scenario())
