"""A real node, a scripted upstream over real HTTP, and a real server over standard input and output."""

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from legion_core.agent.mcp import link
from legion_core.agent.mcp.types import ServerSpec
from legion_core.agent.tools.types import ChatCall, ChatCallChanged
from legion_core.api.facade import Legion
from legion_core.api.mcp_types import Approval, ApprovalAsked
from legion_core.api.types import LOCAL_OWNER, ConversationView
from legion_core.node import Node, open_node
from legion_core.testing.upstreams import Answer, Call, Plan, Upstream

SERVER = Path(__file__).with_name("server.py")
CONFIG = """
[chat]
model = "m1"
[[gateway.instances]]
name = "box"
kind = "{kind}"
base_url = "{url}"
tier = "direct"
[[gateway.instances.models]]
id = "m1"
context = 32768
capabilities = [{capabilities}]
"""


class Desk:
    """A node, its upstream, and a person who answers questions."""

    def __init__(self, node: Node, upstream: Upstream, home: Path) -> None:
        self.node = node
        self.home = home
        self.legion: Legion = node.legion
        self.upstream = upstream

    async def server(self, name: str = "notes", *words: str, **given: Any) -> None:
        """Register and approve the test's server."""
        command = (sys.executable, str(SERVER), *words)
        spec = ServerSpec(name=name, command=command, timeout_s=90.0, **given)
        servers = self.legion.mcp.servers
        await servers.add(spec, LOCAL_OWNER)
        row = await servers.look(name, LOCAL_OWNER)
        await servers.approve(name, row.fingerprint, LOCAL_OWNER)

    async def chat(self, *sources: str) -> str:
        """A chat with these sources switched on."""
        made = await self.legion.chat.create()
        for source in sources:
            await self.legion.mcp.chats.switch(made.id, source, True)
        return made.id

    async def say(self, conversation_id: str, text: str = "Do it.") -> ConversationView:
        """Ask, wait for the whole answer, give the chat as it is then."""
        turn = await self.legion.chat.send(conversation_id, text)
        await self.legion.chat.finished(turn)
        return await self.legion.chat.open(conversation_id)

    def will_call(self, *calls: Call, then: str = "Done.") -> None:
        """The model calls these, each in an answer of its own, then speaks."""
        plans: list[Plan] = [Answer(pieces=(), calls=(call,)) for call in calls]
        self.upstream.will(*plans, Answer((then,)))

    async def calls(self, conversation_id: str) -> tuple[ChatCall, ...]:
        return await self.legion.mcp.chats.calls(conversation_id)

    @asynccontextmanager
    async def person(self, decide: Callable[[Approval], dict[str, Any]]) -> AsyncGenerator[list[Approval]]:
        """Somebody at the window, who answers each question by `decide`; gives the questions asked."""
        asked: list[Approval] = []
        self.legion.mcp.watching(True)

        async def answer() -> None:
            with self.legion.events.subscribe(ApprovalAsked, size_max=64) as events:
                async for event in events:
                    asked.append(event.approval)
                    given = decide(event.approval)
                    if given:
                        self.legion.mcp.decide(event.approval.id, given.pop("allow"), LOCAL_OWNER, **given)

        task = asyncio.create_task(answer())
        await asyncio.sleep(0)
        try:
            yield asked
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self.legion.mcp.watching(False)

    async def until(self, conversation_id: str, state: str) -> ChatCall:
        """The first call of a chat that stands so."""
        with self.legion.events.subscribe(ChatCallChanged, size_max=256) as events:
            for call in await self.calls(conversation_id):
                if call.state == state:
                    return call
            async for event in events:
                if event.call.conversation_id == conversation_id and event.call.state == state:
                    return event.call
        raise AssertionError("unreachable")

    def asked(self) -> list[dict[str, Any]]:
        """The bodies the model's provider was sent."""
        return [each.json for each in self.upstream.requests if each.method == "POST"]


def once(_: Approval) -> dict[str, Any]:
    return {"allow": True}


def no(_: Approval) -> dict[str, Any]:
    return {"allow": False}


def config_of(upstream: Upstream, wire: str, capabilities: Sequence[str] = ("streaming", "tools")) -> str:
    """A configuration whose one model answers from this upstream."""
    listed = ", ".join(f'"{each}"' for each in capabilities)
    return CONFIG.format(kind=wire, url=upstream.base_url, capabilities=listed)


@asynccontextmanager
async def desk(
    home: Path,
    *,
    wire: Any = "openai",
    capabilities: Sequence[str] = ("streaming", "tools"),
    upstream: Upstream | None = None,
    is_served: bool = False,
    env: Mapping[str, str] | None = None,
) -> AsyncGenerator[Desk]:
    """Open all of it in `home`. A server's process may take its time to start: the machine may be busy."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(link, "START_S", 300.0)
        async with _desk(home, wire, capabilities, upstream, is_served=is_served, env=env) as made:
            yield made


@asynccontextmanager
async def _desk(
    home: Path,
    wire: Any,
    capabilities: Sequence[str],
    upstream: Upstream | None,
    *,
    is_served: bool,
    env: Mapping[str, str] | None,
) -> AsyncGenerator[Desk]:
    async with upstream or Upstream(wire) as up:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        (home / "config.toml").write_text(config_of(up, wire, capabilities), encoding="utf-8")
        async with open_node(home, env=dict(env or {}), serve=False) as node:
            node.supervisor.spawn("tasks", node.legion.tasks.work())
            if is_served:
                await node.serve(0)
            try:
                yield Desk(node, up, home)
            finally:
                await node.stop_serving()
