"""Blocks and offline hold for everything that leaves, at once and after a restart, and everything says why."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from legion_core.kernel.contacts import CONTACTS
from legion_core.kernel.errors import InvalidInput, LegionError, NotFound
from legion_core.kernel.fetch.gate import GATE
from legion_core.node import open_node
from legion_core.testing.upstreams import Answer, Upstream, in_thread
from tests.contract.surfaces.nodes import write_config
from tests.support.aio import run


@pytest.fixture(autouse=True)
def nothing_counted() -> Iterator[None]:
    CONTACTS.take()
    yield
    assert GATE.is_open, "a node that ended left its blocks behind"


@pytest.fixture
def upstream(legion_home: Path) -> Iterator[Upstream]:
    with in_thread(Upstream("openai")) as serving:
        serving.will(Answer(("Hel", "lo")))
        write_config(legion_home, serving)
        yield serving


@pytest.mark.requirement("network.blocks")
def test_a_blocked_provider_is_not_asked_and_the_route_says_why(
    legion_home: Path, upstream: Upstream
) -> None:
    async def check() -> None:
        async with open_node(legion_home, env={}, serve=False) as node:
            legion = node.legion
            before = len(upstream.requests)
            state = await legion.network.block("127.0.0.1")
            assert state.blocked == ("127.0.0.1",)
            decision = await legion.llm.explain("hello")
            whys = {item.lane.instance: item.why for item in decision.left_out}
            assert whys["box-a"] == "127.0.0.1 is blocked on the Network page"
            assert all(lane.instance != "box-a" for lane in decision.candidates)
            tested = await legion.providers.test("box-a")
            assert not tested.is_ok
            assert "127.0.0.1 is blocked on the Network page" in tested.why
            assert len(upstream.requests) == before
        # After a restart it still holds, and is let go on demand.
        async with open_node(legion_home, env={}, serve=False) as node:
            legion = node.legion
            assert legion.network.state().blocked == ("127.0.0.1",)
            assert (await legion.llm.explain("hello")).left_out
            await legion.network.allow("127.0.0.1")
            assert any(lane.instance == "box-a" for lane in (await legion.llm.explain("hello")).candidates)
            kinds = [(row.kind, row.path, row.who) for row in await legion.audit.page(kind="network")]
            assert kinds == [
                ("network.allowed", "127.0.0.1", "owner"), ("network.blocked", "127.0.0.1", "owner"),
            ]  # fmt: skip

    run(check())


def test_the_record_outlives_the_process_and_adds_up(legion_home: Path, upstream: Upstream) -> None:
    async def once() -> tuple[int, int, int, str]:
        async with open_node(legion_home, env={}, serve=False) as node:
            await node.legion.providers.test("box-a")
        async with open_node(legion_home, env={}, serve=False) as node:
            rows = [row for row in await node.legion.network.hosts() if row.by == "box-a"]
            assert len(rows) == 1
            return rows[0].count, rows[0].sent_bytes, rows[0].received_bytes, rows[0].purpose

    async def check() -> None:
        first = await once()
        assert first[0] >= 1
        assert first[1] > 50
        assert first[2] > 50
        assert first[3] == "model provider"
        second = await once()
        assert second[0] > first[0]
        assert second[2] > first[2]

    run(check())


def test_offline_reaches_this_computer_alone_and_needs_no_look_up(
    legion_home: Path, upstream: Upstream
) -> None:
    async def check() -> None:
        async with open_node(legion_home, env={}, serve=False) as node:
            legion = node.legion
            await legion.network.set_offline(True)
            assert (await legion.providers.test("box-a")).is_ok
            order = await legion.tasks.submit(_get("https://elsewhere.example/"))
            done = await legion.tasks.wait(order.id, 90.0)
            assert "offline" in repr(done.reason)
            await legion.models.pull("https://models.example/toy.gguf", allow_private=True)
            with pytest.raises(LegionError, match="offline"):
                await legion.models.wait_pull("toy")
            rows = {row.host: (row.count, row.refused) for row in await legion.network.hosts()}
            assert rows["elsewhere.example"] == (0, 1)

    run(check())


def _get(url: str) -> object:
    from legion_core.api.task_types import Order

    return Order(task="http.request.get", args={"url": url})


@pytest.mark.parametrize(
    "word", ["", "https://a.example/x", "a b", "a/b", "*", "*.", "x" * 300, "a..b", "a\r\nb"]
)
def test_what_is_no_host_cannot_be_blocked(legion_home: Path, word: str) -> None:
    async def check() -> None:
        async with open_node(legion_home, env={}, serve=False) as node:
            with pytest.raises(InvalidInput):
                await node.legion.network.block(word)
            with pytest.raises(NotFound):
                await node.legion.network.allow("never.example")

    asyncio.run(check())


def test_what_is_blocked_is_listed_whether_it_was_contacted_or_not(legion_home: Path) -> None:
    async def check() -> None:
        async with open_node(legion_home, env={}, serve=False) as node:
            network = node.legion.network
            for word in ("never.example", "*.ads.example"):
                await network.block(word)
            found = [(row.host, row.blocked_by, row.contacts) for row in await network.rows()]
            assert found == [("never.example", "never.example", ()), ("*.ads.example", "*.ads.example", ())]
            assert network._blocker("a.ads.example") == "*.ads.example"

    run(check())
