"""A gateway whose answers a test writes down, for what the HTTP surface itself does with them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

from legion_core.api.types import (
    Closed,
    EventBus,
    Lane,
    ModelOffer,
    Opened,
    Principal,
    Request,
    StreamEvent,
    TextDelta,
    Tier,
    Usage,
)
from legion_core.gateway.answer import Answer
from legion_core.gateway.dialects.openai_chat import OpenAIChat
from legion_core.kernel.clock import SystemClock
from tests.unit.surfaces.raw import Ops

LANE = Lane(tier=Tier.DIRECT, instance="box-a", kind="openai", offer=ModelOffer(id="m1"))
CLOSED = Closed(
    stop_reason="end_turn",
    usage=Usage(input_tokens=3, output_tokens=2),
    cost_usd=None,
    attempts=(),
    duration_s=0.1,
    first_token_s=0.05,
)


class ScriptedLlm:
    """Gives `script` for every request: events, exceptions to raise, or awaitables to wait for."""

    def __init__(self, *script: Any, attempts: int = 2) -> None:
        self.script = script
        self.attempts = attempts
        self.dialects = {"openai_chat": OpenAIChat()}
        self.requests: list[Request] = []
        self.cancelled = asyncio.Event()
        self.left = 0

    @asynccontextmanager
    async def stream(
        self, request: Request, who: Principal, outlet: object = None
    ) -> AsyncIterator[AsyncIterator[StreamEvent]]:
        self.requests.append(request)
        try:
            yield self._events(request)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        finally:
            self.left += 1

    async def _events(self, request: Request) -> AsyncIterator[StreamEvent]:
        for step in self.script:
            if isinstance(step, BaseException):
                raise step
            if isinstance(step, Opened):
                yield Opened(request_id=request.id, lane=step.lane, attempts=self.attempts)
            elif hasattr(step, "__await__") or callable(step):
                await (step() if callable(step) else step)
            else:
                yield step

    async def answer(self, request: Request, who: Principal) -> Answer:
        answer = Answer(request.id)
        async with self.stream(request, who) as events:
            async for event in events:
                answer.take(event)
        return answer

    async def lanes(self) -> tuple[Lane, ...]:
        return (LANE,)


OPENED = Opened(request_id="", lane=LANE, attempts=2)


def texts(*words: str) -> tuple[TextDelta, ...]:
    return tuple(TextDelta(text=word, tokens=1) for word in words)


def legion(llm: ScriptedLlm) -> Any:
    return SimpleNamespace(events=EventBus(SystemClock()), ops=Ops(), llm=llm)
