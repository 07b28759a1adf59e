"""What changes beside a running workbench: its file, written by hand, and the secrets its instances need."""

from pathlib import Path

from legion_core.api.types import ModelFacts, ModelPrice, ProviderRow, ProviderSpec, SettingChanged
from legion_core.node import Node, open_node
from legion_core.testing.upstreams import Served, Upstream
from tests.support.aio import run

WORDS = "correct horse battery"


def entry(base_url: str, more: str = "") -> str:
    return f'[[gateway.instances]]\nname = "box"\nkind = "openai"\nbase_url = "{base_url}"\n{more}'


async def rows(node: Node) -> dict[str, ProviderRow]:
    return {row.name: row for row in await node.legion.providers.list()}


def test_an_instance_written_into_the_file_is_in_force_once_somebody_looks(legion_home: Path) -> None:
    async def scenario() -> None:
        async with Upstream() as upstream, open_node(legion_home, env={}, serve=False) as node:
            settings = node.legion.settings
            assert not await settings.look_again()
            with node.legion.events.subscribe(SettingChanged) as facts:
                settings.path.write_text(entry(upstream.base_url), encoding="utf-8")
                assert await settings.look_again()
                assert not await settings.look_again(), "once is enough"
                assert (await anext(aiter(facts))).at_utc is not None
            assert [offer.id for offer in (await rows(node))["box"].models] == ["m1"]

            settings.path.write_text(entry(upstream.base_url, "base_ur = 1\n"), encoding="utf-8")
            assert await settings.look_again()
            assert settings.faults()
            assert "box" in await rows(node), "the last good one stays in force"

            settings.path.rename(settings.path.with_suffix(".bak"))  # as an editor does on its way
            assert not await settings.look_again()
            settings.path.write_text("[appearance]\n", encoding="utf-8")
            assert await settings.look_again()
            assert not settings.faults()
            assert "box" not in await rows(node)

    run(scenario())


def test_instances_come_back_when_their_secrets_are_unlocked_and_follow_a_new_key(legion_home: Path) -> None:
    async def scenario() -> None:
        async with Upstream(key="sk-1") as upstream:
            async with open_node(legion_home, env={}, serve=False) as node:
                await node.legion.secrets.unlock(WORDS)
                spec = ProviderSpec(name="box", kind="openai", base_url=upstream.base_url)
                await node.legion.providers.add(spec, "sk-1")
            async with open_node(legion_home, env={}, serve=False) as node:
                assert "locked" in (await rows(node))["box"].problem
                await node.legion.secrets.unlock(WORDS)
                assert not (await rows(node))["box"].problem
                assert (await node.legion.providers.test("box")).is_ok

                upstream.key = "sk-2"
                assert not (await node.legion.providers.test("box")).is_ok
                await node.legion.secrets.set("provider-box", "sk-2")
                assert (await node.legion.providers.test("box")).is_ok

    run(scenario())


def test_a_price_that_is_said_of_a_model_holds_at_once_and_leaves_what_its_server_tells(
    legion_home: Path,
) -> None:
    async def scenario() -> None:
        served = (Served("m1", context=16_384, owner="vllm"), Served("m2", owner="vllm"))
        async with (
            Upstream(models=served) as upstream,
            open_node(legion_home, env={}, serve=False) as node,
        ):
            spec = ProviderSpec(name="box", kind="vllm", base_url=upstream.base_url, tier="cloud")
            before = await node.legion.providers.add(spec)
            price = ModelPrice(input=0.15, output=0.6)
            await node.legion.providers.describe_model("box", ModelFacts(model="m1", price=price))
            priced, other = (await rows(node))["box"].models
            assert priced.price is not None
            assert (priced.price.input, priced.price.output) == (0.15, 0.6)
            assert (priced.context, priced.capabilities) == (
                before.models[0].context,
                before.models[0].capabilities,
            )
            assert (other.id, other.price) == ("m2", None)

    run(scenario())
