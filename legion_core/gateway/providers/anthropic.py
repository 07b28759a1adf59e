"""Anthropic, over its Messages wire."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

import msgspec

from legion_core.gateway.providers.anthropic_wire import TOOL_NAME_MAX, VERSION, MessagesReader, body_of
from legion_core.gateway.providers.base import Embedded, ProbeResult
from legion_core.gateway.providers.sse import SseParser
from legion_core.gateway.providers.stated import filled
from legion_core.gateway.providers.toolnames import ToolNames
from legion_core.gateway.providers.wire import DEFAULT_LIMITS, Limits, Wire
from legion_core.gateway.types import Capability, Chunk, ModelOffer, Request
from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import LegionError, Unsupported

CONTEXT: Final = 200_000  # where the listing does not say
CAPABILITIES: Final[frozenset[Capability]] = frozenset({"streaming", "tools", "vision", "documents"})


class _Support(msgspec.Struct):
    supported: bool = False


class _Capabilities(msgspec.Struct):
    thinking: _Support | None = None
    structured_outputs: _Support | None = None
    pdf_input: _Support | None = None


class _Model(msgspec.Struct):
    id: str
    max_input_tokens: int | None = None
    capabilities: _Capabilities | None = None


class _Models(msgspec.Struct):
    data: list[_Model]


class Anthropic:
    """One instance; see `Provider`."""

    def __init__(
        self,
        name: str,
        base_url: str,
        clock: Clock,
        *,
        api_key: str = "",
        models: Sequence[ModelOffer] = (),
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        """`base_url` with or without the trailing `/v1`: clients of this provider leave it out."""
        self._name = name
        self._offers = {offer.id: offer for offer in models}
        self._wire = Wire(
            name,
            base_url.rstrip("/").removesuffix("/v1"),
            clock,
            headers={"anthropic-version": VERSION, **({"x-api-key": api_key} if api_key else {})},
            secrets=(api_key,) if api_key else (),
            limits=limits,
        )

    @property
    def name(self) -> str:
        """See `Provider`."""
        return self._name

    @property
    def kind(self) -> str:
        """See `Provider`."""
        return "anthropic"

    def stream(
        self, request: Request, model: str, *, prefix: str = ""
    ) -> AbstractAsyncContextManager[AsyncIterator[Chunk]]:
        """See `Provider`; a `prefix` needs a model configured with `continuation = "prefill"`: the newest have none."""
        return self._stream(request, model, prefix)

    @asynccontextmanager
    async def _stream(
        self, request: Request, model: str, prefix: str
    ) -> AsyncGenerator[AsyncIterator[Chunk], None]:
        offer = self._offers.get(model)
        if prefix and (offer is None or offer.continuation not in ("prefill", "native")):
            raise Unsupported(
                f"{self._name} cannot go on behind a given beginning of an answer.", capability="continuation"
            )
        names = ToolNames((tool.name for tool in request.tools), length_max=TOOL_NAME_MAX)
        body = body_of(request, model, self._name, names, prefix=prefix)
        reader = MessagesReader(self._name, request, names, prefix=prefix, secrets=self._wire.secrets)
        async with self._wire.chunks("/v1/messages", body, SseParser(), reader) as chunks:
            yield chunks

    async def embed(self, model: str, texts: tuple[str, ...], *, dimensions: int | None = None) -> Embedded:
        """Unsupported: this provider has no embeddings."""
        raise Unsupported(f"{self._name} makes no embeddings.", capability="embeddings")

    async def probe(self) -> ProbeResult:
        """See `Provider`: lists the models, which costs nothing and needs the key."""
        started_s = self._wire.now_s()
        try:
            listed = await self._wire.get("/v1/models?limit=1000", _Models)
        except LegionError as error:
            return ProbeResult(is_ok=False, why=error.sentence())
        latency_s = self._wire.now_s() - started_s
        offers = tuple(self._offer(model) for model in listed.data)
        why = f"It answers and offers {len(offers)} model{'s' * (len(offers) != 1)}."
        return ProbeResult(is_ok=True, why=why, latency_s=latency_s, models=offers)

    def _offer(self, model: _Model) -> ModelOffer:
        """What was configured wins; which models take a prefill is not told, so none is assumed to."""
        found = set(CAPABILITIES)
        said = model.capabilities or _Capabilities()
        if said.thinking and said.thinking.supported:
            found.add("thinking")
        if said.structured_outputs and said.structured_outputs.supported:
            found.add("structured_output")
        if said.pdf_input and not said.pdf_input.supported:
            found.discard("documents")
        told = ModelOffer(
            id=model.id,
            context=model.max_input_tokens or CONTEXT,
            capabilities=frozenset(found),
            continuation="instruct",
        )
        return filled(self._offers.get(model.id), told)

    async def aclose(self) -> None:
        """See `Provider`."""
        await self._wire.aclose()
