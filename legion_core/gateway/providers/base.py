"""What a provider is: something that turns a canonical request into a stream of chunks."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec

from legion_core.gateway.types import Capability, Chunk, ModelOffer, Request, Usage


class ProbeResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a test of an instance found. `why` is one sentence for a person; `models` are those it offers."""

    is_ok: bool
    why: str
    latency_s: float = 0.0
    models: tuple[ModelOffer, ...] = ()


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What asking a model showed of one capability; `is_able` None: nothing. `why` is a sentence for a person."""

    capability: Capability
    is_able: bool | None
    why: str


class Embedded(msgspec.Struct, frozen=True, kw_only=True):
    """One vector per text, all of the same length."""

    vectors: tuple[tuple[float, ...], ...]
    usage: Usage


# What a stream of chunks may carry as `counted`: the tokens its provider has counted before the end, where the wire
# tells so early; None if it has said nothing.
Counted = Callable[[], Usage | None]
# And as `ready`: what else has come already, so that it need not be waited for one by one.
ReadyNow = Callable[[], Sequence[Chunk]]
# Takes a chunk where it arrived, in a callback of the loop, or leaves it to whoever waits for it: False.
Take = Callable[[Chunk], bool]
# And as `pass_on`: from now on, what comes while the next chunk is waited for is offered to that first, in order.
PassOn = Callable[[Take], None]


class Provider(Protocol):
    """One configured instance. Errors are `ProviderError`s only; the wire's own errors never leave the adapter."""

    @property
    def name(self) -> str:
        """The instance's name in the configuration, unique within a node."""
        ...

    @property
    def kind(self) -> str:
        """Its family, such as `llamacpp`, `ollama`, `openai` or `anthropic`."""
        ...

    def stream(
        self, request: Request, model: str, *, prefix: str = ""
    ) -> AbstractAsyncContextManager[AsyncIterator[Chunk]]:
        """Open the answer; leaving the context cancels it upstream within a second.

        The iterator may have attributes `counted`, `ready` and `pass_on`; see `Counted`, `ReadyNow` and `PassOn`.
        `prefix` is answer text already given by another attempt: the stream goes on behind it and does not repeat
        it. Exactly one `Finished` ends the iterator; anything less raises `StreamBroken` or `WorkerDied`.
        """
        ...

    async def embed(self, model: str, texts: tuple[str, ...], *, dimensions: int | None = None) -> Embedded:
        """Vectors for `texts`, in order; `Unsupported` if the model has none.

        `dimensions` is how long they are to be: passed on where the wire has a word for it, and never cut here. Whoever
        asks looks whether they are.
        """
        ...

    async def probe(self) -> ProbeResult:
        """Is it there, does the key work, what does it offer? Costs no tokens where the provider allows."""
        ...

    async def aclose(self) -> None:
        """Free connections and children; idempotent."""
        ...
