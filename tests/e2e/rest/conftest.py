"""A real node whose one paid instance is an upstream that plays what a test wants."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from legion_core.testing.upstreams import Answer, Upstream, in_thread
from tests.contract.surfaces.nodes import running_node, write_config

ABLE = """
[[gateway.instances.models]]
id = "m2"
context = 32768
capabilities = ["streaming", "tools", "vision", "documents", "thinking", "structured_output", "completions", "fim"]
price = { input = 4.0, output = 16.0 }
"""


@pytest.fixture
def upstream(legion_home: Path) -> Iterator[Upstream]:
    with in_thread(Upstream("openai")) as serving:
        serving.will(Answer(("Hel", "lo ", "wörld")))
        write_config(legion_home, serving)
        with (legion_home / "config.toml").open("a", encoding="utf-8") as config:
            config.write(ABLE)
        yield serving


@pytest.fixture
def url(legion_home: Path, upstream: Upstream) -> Iterator[str]:
    with running_node(legion_home, {}) as address:
        yield address


@pytest.fixture
def token(legion_home: Path, url: str) -> str:
    return (legion_home / "token").read_text(encoding="utf-8").strip()
