"""Ollama, over its own wire: discovery, context and grammars that its OpenAI face does not have."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Final

import msgspec

from legion_core.gateway.providers.base import Embedded, ProbeResult
from legion_core.gateway.providers.listed import is_name
from legion_core.gateway.providers.ollama_wire import ChatReader, body_of, completion_body
from legion_core.gateway.providers.ranges import believed
from legion_core.gateway.providers.sse import JsonLines
from legion_core.gateway.providers.stated import filled
from legion_core.gateway.providers.wire import DEFAULT_LIMITS, Limits, Wire
from legion_core.gateway.types import Capability, Chunk, ModelOffer, Request, Usage
from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import LegionError, Malformed, Refused, Unsupported

# A model says how much it can hold, not how much this computer can: more is taken only where it is configured.
CONTEXT_DISCOVERED_MAX: Final = 8192
MODELS_MAX: Final = 200
SHOWS_AT_ONCE: Final = 4
EMBED_BATCH: Final = 256  # texts in one call
CAPABILITIES: Final[dict[str, Capability]] = {
    "tools": "tools",
    "vision": "vision",
    "insert": "fim",
    "thinking": "thinking",
    "embedding": "embeddings",
}


class _Tag(msgspec.Struct):
    name: str


class _Tags(msgspec.Struct):
    models: list[_Tag]


class _Show(msgspec.Struct):
    model_info: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])
    capabilities: list[str] = msgspec.field(default_factory=list[str])


class _ShowBody(msgspec.Struct):
    model: str


class _EmbedBody(msgspec.Struct, omit_defaults=True):
    model: str
    input: list[str]
    truncate: bool  # never: a vector of half a text is not the text's vector
    dimensions: int | None = None


class _Vectors(msgspec.Struct):
    embeddings: list[tuple[float, ...]]
    prompt_eval_count: int = 0


class Ollama:
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
        """`base_url` is the server's root; an `/api` or `/v1` behind it is cut off."""
        self._name = name
        self._offers = {offer.id: offer for offer in models}
        self._found = dict[str, ModelOffer]()
        self._wire = Wire(
            name,
            base_url.rstrip("/").removesuffix("/api").removesuffix("/v1"),
            clock,
            headers={"authorization": f"Bearer {api_key}"} if api_key else {},
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
        return "ollama"

    def stream(
        self, request: Request, model: str, *, prefix: str = ""
    ) -> AbstractAsyncContextManager[AsyncIterator[Chunk]]:
        """See `Provider`; a `prefix` is a last assistant message, which this server continues."""
        return self._stream(request, model, prefix)

    @asynccontextmanager
    async def _stream(
        self, request: Request, model: str, prefix: str
    ) -> AsyncGenerator[AsyncIterator[Chunk], None]:
        offer = self._found.get(model) or self._offers.get(model)
        written, path = (completion_body, "/api/generate") if request.is_raw else (body_of, "/api/chat")
        body = written(request, model, context=(offer and offer.context) or None, prefix=prefix)
        reader = ChatReader(self._name, request, prefix=prefix)
        async with self._wire.chunks(path, body, JsonLines(), reader) as chunks:
            yield chunks

    async def embed(self, model: str, texts: tuple[str, ...], *, dimensions: int | None = None) -> Embedded:
        """See `Provider`."""
        vectors, tokens = list[tuple[float, ...]](), 0
        for at in range(0, len(texts), EMBED_BATCH):
            batch = list(texts[at : at + EMBED_BATCH])
            body = msgspec.json.encode(
                _EmbedBody(model=model, input=batch, truncate=False, dimensions=dimensions)
            )
            try:
                answer = await self._wire.post("/api/embed", body, _Vectors)
            except Refused as error:
                if "does not support embed" in error.message:
                    raise Unsupported(error.message, capability="embeddings") from error
                raise
            if len(answer.embeddings) != len(batch):
                raise Malformed(f"{self._name} gave {len(answer.embeddings)} vectors for {len(batch)} texts.")
            vectors += answer.embeddings
            tokens += answer.prompt_eval_count
        if len({len(vector) for vector in vectors}) > 1:
            raise Malformed(f"{self._name} gave vectors of different lengths.")
        return Embedded(
            vectors=tuple(vectors), usage=believed(Usage(input_tokens=tokens)) or Usage(is_estimated=True)
        )

    async def probe(self) -> ProbeResult:
        """See `Provider`: lists the models and asks each what it can do; nothing is loaded."""
        started_s = self._wire.now_s()
        try:
            listed = await self._wire.get("/api/tags", _Tags)
            latency_s = self._wire.now_s() - started_s
            names = list(dict.fromkeys(tag.name for tag in listed.models if is_name(tag.name)))
            offers = await self._offers_of(names[:MODELS_MAX])
        except LegionError as error:
            return ProbeResult(is_ok=False, why=error.sentence())
        self._found = {offer.id: offer for offer in offers}
        if not offers:
            return ProbeResult(
                is_ok=True, why="It answers, but no model is pulled: `ollama pull NAME`.", latency_s=latency_s
            )
        why = f"It answers and offers {len(offers)} model{'s' * (len(offers) != 1)}."
        return ProbeResult(is_ok=True, why=why, latency_s=latency_s, models=offers)

    async def _offers_of(self, names: list[str]) -> tuple[ModelOffer, ...]:
        gate = asyncio.Semaphore(SHOWS_AT_ONCE)

        async def one(name: str) -> ModelOffer:
            said = self._offers.get(name)
            if said is not None and said.context and said.capabilities:
                return said
            async with gate:
                try:
                    shown = await self._wire.post(
                        "/api/show", msgspec.json.encode(_ShowBody(model=name)), _Show
                    )
                except Refused:  # removed just now, or a version that cannot show it: the plain minimum
                    shown = _Show(capabilities=["completion"])
            told = _offer(name, shown)
            return filled(said, told)

        return tuple(await asyncio.gather(*(one(name) for name in names)))

    async def aclose(self) -> None:
        """See `Provider`."""
        await self._wire.aclose()


def _offer(name: str, shown: _Show) -> ModelOffer:
    context = next(
        (
            value
            for key, value in shown.model_info.items()
            if key.endswith(".context_length") and isinstance(value, int)
        ),
        CONTEXT_DISCOVERED_MAX,
    )
    found = set[Capability](CAPABILITIES[word] for word in shown.capabilities if word in CAPABILITIES)
    if "completion" in shown.capabilities or not shown.capabilities:
        found |= {"streaming", "structured_output", "completions"}
    return ModelOffer(
        id=name,
        context=max(1, min(context, CONTEXT_DISCOVERED_MAX)),
        capabilities=frozenset(found),
        continuation="prefill",
    )
