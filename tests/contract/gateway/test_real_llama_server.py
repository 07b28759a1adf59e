"""Discovery and the provider behind it against llama.cpp's own server, with a real model."""

import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from msgspec.structs import replace

from legion_core.gateway.discovery import look_around
from legion_core.gateway.providers.registry import infer_tier, make
from legion_core.gateway.types import Finished, Message, Params, Request, TextBlock, TextDelta, Tier
from legion_core.kernel.clock import SystemClock
from legion_core.models.store import find_starter
from tests.support.aio import run

STARTER = find_starter()
CHILD = Path(__file__).with_name("llama_server_child.py")
pytestmark = [
    pytest.mark.model,
    pytest.mark.slow,
    pytest.mark.skipif(
        STARTER is None or find_spec("xllamacpp") is None, reason="needs the starter model and its engine"
    ),
]


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    with (tmp_path / "log").open("w") as log:
        child = subprocess.Popen(
            [sys.executable, str(CHILD), str(STARTER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        assert child.stdin is not None
        assert child.stdout is not None
        try:
            address = next(line for line in child.stdout if line.startswith("http://"))
            yield int(address.strip().rpartition(":")[2])
        finally:
            child.kill()
            child.wait()
            child.stdin.close()
            child.stdout.close()


def say(text: str) -> Message:
    return Message(role="user", content=(TextBlock(text=text),))


def test_a_real_llama_server_is_found_and_answers_as_it_was_proposed(port: int) -> None:
    async def scenario() -> None:
        clock = SystemClock()
        (found,) = await look_around(clock, {}, ports=[port])
        assert (found.title, found.name, found.kind) == ("llama-server", "llama-server", "openai")
        assert found.version
        assert infer_tier(found.kind, found.base_url) is Tier.LOCAL

        provider = make(found.name, found.kind, clock, base_url=found.base_url)
        told = await provider.probe()
        assert told.is_ok
        assert tuple(offer.id for offer in told.models) == found.models
        assert told.models[0].continuation == "prefill"
        # As it tells beside its listing: any model's answer can be held to a schema, this one's template has no tools.
        assert told.models[0].capabilities == {"streaming", "structured_output", "completions"}
        request = Request(
            id="req_1", messages=(say("Say hello."),), params=Params(max_tokens=8, temperature=0.0)
        )
        async with provider.stream(request, found.models[0]) as chunks:
            seen = [chunk async for chunk in chunks]
        assert any(isinstance(chunk, TextDelta) and chunk.text for chunk in seen)
        await provider.aclose()

        provider = make(found.name, found.kind, clock, base_url=found.base_url)
        text = replace(request, messages=(say("Once upon a time, in a land far"),), is_raw=True)
        async with provider.stream(text, found.models[0]) as chunks:
            onward = [chunk async for chunk in chunks]
        await provider.aclose()
        end = onward[-1]
        assert isinstance(end, Finished)
        # No template stands before it: what was counted is the text alone.
        assert 0 < end.usage.input_tokens + end.usage.cache_read_tokens < 12
        assert 0 < end.usage.output_tokens <= 8
        assert any(isinstance(chunk, TextDelta) and chunk.text for chunk in onward)

    run(scenario(), bound_s=400.0)
