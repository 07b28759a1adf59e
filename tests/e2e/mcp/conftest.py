"""A real node in the test's own loop, with an extension of its own, and the official SDK's client."""

import textwrap
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client

from legion_core.node import Node, open_node

EXTENSION = '''
"""Functions for tests of MCP."""

import asyncio
from typing import Annotated, Literal

import msgspec

from legion_core.engine.extension import Context, function


@function(effect="pure")
async def echo(text: str, times: int = 1) -> dict[str, str]:
    """Say it back.

    Args:
        text: what
        times: how often
    """
    return {"text": text * times}


@function(effect="pure")
async def slow(context: Context, text: str = "") -> str:
    """Tell of each step."""
    for step in ("one", "two"):
        context.log(step, "warning")
        await asyncio.sleep(0)
    return text


@function(effect="pure")
async def never(context: Context) -> None:
    """Never end."""
    await asyncio.sleep(3600)


@function(risk="write")
async def change(colour: Literal["red", "green"], size: Annotated[int, msgspec.Meta(ge=1, le=9)]) -> str:
    """Change something."""
    return colour


@function(risk="danger")
async def destroy() -> str:
    """Destroy everything."""
    return "gone"


@function(effect="pure")
async def fails() -> None:
    """Fail."""
    raise RuntimeError("no luck today")
'''

Connect = Callable[..., AbstractAsyncContextManager[Client]]


def lay_extension(home: Path, name: str = "testing", text: str = EXTENSION) -> None:
    """An extension of one runner, `NAME.mcp.FUNCTION`."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = home / "extensions" / name
    folder.mkdir(parents=True)
    (folder / "mcp.py").write_text(textwrap.dedent(text), encoding="utf-8")


class Served:
    """A running node and the way to it."""

    def __init__(self, node: Node, token: str) -> None:
        self.node = node
        self.legion = node.legion
        self.url = f"{node.url}/mcp"
        self.token = token

    @asynccontextmanager
    async def http(self, **headers: str) -> AsyncGenerator[httpx2.AsyncClient]:
        """A plain client with the owner's token."""
        given = {"Authorization": f"Bearer {self.token}", **headers}
        async with httpx2.AsyncClient(headers=given, timeout=60.0, trust_env=False) as client:
            yield client

    @asynccontextmanager
    async def client(self, mode: str = "auto", **given: Any) -> AsyncGenerator[Client]:
        """The SDK's client: `legacy` shakes hands, anything else is the newest revision."""
        async with (
            self.http() as http,
            Client(
                streamable_http_client(self.url, http_client=http), mode=mode, cache=None, **given
            ) as client,
        ):
            yield client


@asynccontextmanager
async def served(home: Path, **env: str) -> AsyncGenerator[Served]:
    """Open the node in `home`."""
    async with open_node(home, env=env, serve=True, port=0) as node:
        yield Served(node, (home / "token").read_text(encoding="utf-8").strip())


@pytest.fixture(params=["legacy", "auto"])
def mode(request: pytest.FixtureRequest) -> str:
    """Both revisions of the protocol: 2025-11-25 and 2026-07-28."""
    return str(request.param)
