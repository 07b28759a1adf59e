"""A download as Ollama's clients follow it: line by line, to its end, whatever that is."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from legion_core.api.types import EventBus, PullProgressed
from legion_core.gateway.dialects.ollama import CHAT, OllamaChat
from legion_core.kernel.clock import SystemClock
from legion_core.kernel.errors import NotFound
from legion_core.kernel.ids import Ids, system_rng
from legion_core.surfaces.rest.calls import Raw, Streamed
from legion_core.surfaces.rest.operations.ollama_models import PullBody, pull
from tests.support.aio import run


class Heard:
    """The client's end."""

    def __init__(self) -> None:
        self.body = b""
        self.status = 0

    async def start(self, status: int, media_type: str, headers: Any = ()) -> None:
        assert media_type == "application/x-ndjson"
        self.status = status

    async def whole(self, raw: Raw) -> None:
        self.status, self.body = raw.status, raw.body

    async def send(self, chunk: bytes) -> None:
        self.body += chunk

    async def finish(self, last: bytes = b"") -> None:
        self.body += last

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.body.splitlines()]


async def pulled(*states: tuple[str, int, str], stream: bool = True) -> Heard:
    """What a client hears of a download that goes through `states`."""
    clock = SystemClock()
    bus = EventBus(clock)

    async def begin(name: str) -> str:
        if name == "unknown":
            raise NotFound("There is no such model.")
        for state, done, problem in states:
            at_utc, at_mono_s = bus.stamp()
            for job in ("another", name):
                bus.publish(
                    PullProgressed(
                        at_utc=at_utc, at_mono_s=at_mono_s, name=job, state=state, done_bytes=done,
                        total_bytes=100, problem=problem,
                    )
                )  # fmt: skip
        return name

    async def nothing() -> tuple[()]:
        return ()

    legion = SimpleNamespace(
        llm=SimpleNamespace(lanes=nothing, dialects={CHAT: OllamaChat(clock)}),
        models=SimpleNamespace(pull=begin),
        events=bus,
    )
    desk = SimpleNamespace(legion=legion, ids=Ids(clock, system_rng()), clock=clock)
    name = states[0][2] if states and states[0][0] == "name" else "tiny:latest"
    call = SimpleNamespace(read=lambda kind: PullBody(model=name, stream=stream))
    heard, answer = Heard(), await pull(desk, call)  # type: ignore[arg-type]
    if isinstance(answer, Raw):
        heard.status, heard.body = answer.status, answer.body
    else:
        assert isinstance(answer, Streamed)
        async with asyncio.timeout(60):
            await answer.write(heard)  # type: ignore[arg-type]
    return heard


def test_a_download_is_told_line_by_line_to_success() -> None:
    heard = run(
        pulled(("queued", 0, ""), ("downloading", 40, ""), ("verifying", 100, ""), ("ready", 100, ""))
    )

    assert [line["status"] for line in heard.lines] == [
        "pulling manifest",
        "pulling tiny",
        "verifying sha256 digest",
        "success",
    ]
    assert (heard.lines[1]["completed"], heard.lines[1]["total"]) == (40, 100)


@pytest.mark.parametrize("state", ["failed", "cancelled", "paused"])
def test_one_that_does_not_come_to_its_end_ends_with_its_reason(state: str) -> None:
    streamed = run(
        pulled(("downloading", 40, ""), (state, 40, "The disk is full." if state == "failed" else ""))
    )
    whole = run(pulled((state, 40, "The disk is full."), stream=False))

    assert streamed.lines[-1]["error"]
    assert whole.status == 500


def test_a_name_that_nobody_knows_is_refused_before_the_stream_begins() -> None:
    heard = run(pulled(("name", 0, "unknown")))

    assert heard.status == 404
    assert heard.lines[0]["error"].startswith("There is no such model.")
