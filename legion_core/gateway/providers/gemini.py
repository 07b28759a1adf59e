"""Gemini, over the Generative Language API. The key goes in a header, never in the address."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final
from urllib.parse import quote as percent

import msgspec

from legion_core.gateway.providers.base import Embedded, ProbeResult
from legion_core.gateway.providers.estimate import tokens_in
from legion_core.gateway.providers.gemini_wire import TOOL_NAME_MAX, ChunkReader, body_of
from legion_core.gateway.providers.sse import SseParser
from legion_core.gateway.providers.stated import filled
from legion_core.gateway.providers.toolnames import ToolNames
from legion_core.gateway.providers.wire import DEFAULT_LIMITS, Limits, Wire
from legion_core.gateway.types import Capability, Chunk, ModelOffer, Request, Usage
from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import LegionError, Malformed, Unsupported

EMBED_BATCH: Final = 100  # texts in one call; the wire's own bound
CONTEXT_UNKNOWN: Final = 32_768
CHAT: Final[frozenset[Capability]] = frozenset(
    {"streaming", "tools", "vision", "documents", "structured_output"}
)


class _Model(msgspec.Struct, rename="camel"):
    name: str
    input_token_limit: int | None = None
    supported_generation_methods: list[str] = msgspec.field(default_factory=list[str])
    thinking: bool = False


class _Models(msgspec.Struct):
    models: list[_Model]


class _Text(msgspec.Struct):
    text: str


class _Content(msgspec.Struct):
    parts: list[_Text]


class _EmbedOne(msgspec.Struct, rename="camel", omit_defaults=True):
    model: str
    content: _Content
    output_dimensionality: int | None = None


class _EmbedBody(msgspec.Struct):
    requests: list[_EmbedOne]


class _Vector(msgspec.Struct):
    values: list[float]


class _Vectors(msgspec.Struct):
    embeddings: list[_Vector]


class Gemini:
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
        """`base_url` ends with the API's version, such as `/v1beta`."""
        self._name = name
        self._offers = {offer.id: offer for offer in models}
        self._wire = Wire(
            name,
            base_url,
            clock,
            headers={"x-goog-api-key": api_key} if api_key else {},
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
        return "gemini"

    def stream(
        self, request: Request, model: str, *, prefix: str = ""
    ) -> AbstractAsyncContextManager[AsyncIterator[Chunk]]:
        """See `Provider`; a `prefix` needs a model configured with `continuation = "prefill"`."""
        offer = self._offers.get(model)
        return answer(self._wire, f"/{path_of(model)}", request, model, prefix=prefix, offer=offer)

    async def embed(self, model: str, texts: tuple[str, ...], *, dimensions: int | None = None) -> Embedded:
        """See `Provider`; the wire does not count these tokens, so they are estimated."""
        vectors, path = list[tuple[float, ...]](), path_of(model)
        for at in range(0, len(texts), EMBED_BATCH):
            batch = texts[at : at + EMBED_BATCH]
            body = _EmbedBody([_EmbedOne(path, _Content([_Text(text)]), dimensions) for text in batch])
            found = await self._wire.post(f"/{path}:batchEmbedContents", msgspec.json.encode(body), _Vectors)
            vectors += same_count(self._name, [tuple(row.values) for row in found.embeddings], len(batch))
        usage = Usage(input_tokens=sum(tokens_in(len(text)) for text in texts), is_estimated=True)
        return Embedded(vectors=same_width(self._name, vectors), usage=usage)

    async def probe(self) -> ProbeResult:
        """See `Provider`: lists the models, which costs nothing and needs the key."""
        started_s = self._wire.now_s()
        try:
            listed = await self._wire.get("/models?pageSize=1000", _Models)
        except LegionError as error:
            return ProbeResult(is_ok=False, why=error.sentence())
        latency_s = self._wire.now_s() - started_s
        offers = tuple(offer for model in listed.models if (offer := self._offer(model)) is not None)
        why = f"It answers and offers {len(offers)} model{'s' * (len(offers) != 1)}."
        return ProbeResult(is_ok=True, why=why, latency_s=latency_s, models=offers)

    def _offer(self, model: _Model) -> ModelOffer | None:
        """What was configured wins; models that make neither text nor vectors are left out."""
        name = model.name.removeprefix("models/")
        said = self._offers.get(name)
        found = set[Capability]()
        if "generateContent" in model.supported_generation_methods:
            # The open models behind the same door know neither tools nor schemas.
            found |= CHAT if name.startswith("gemini") else {"streaming"}
        if "embedContent" in model.supported_generation_methods:
            found.add("embeddings")
        if not found:
            return filled(said, None)
        if model.thinking:
            found.add("thinking")
        told = ModelOffer(
            id=name,
            context=model.input_token_limit or CONTEXT_UNKNOWN,
            capabilities=frozenset(found),
            continuation="instruct" if "streaming" in found else "none",
        )
        return filled(said, told)

    async def aclose(self) -> None:
        """See `Provider`."""
        await self._wire.aclose()


def path_of(model: str) -> str:
    """The resource a model's name stands for: `models/NAME`, or the path it is already (`tunedModels/NAME`)."""
    return percent(model if "/" in model else f"models/{model}", safe="/")


@asynccontextmanager
async def answer(
    wire: Wire, path: str, request: Request, model: str, *, prefix: str, offer: ModelOffer | None
) -> AsyncGenerator[AsyncIterator[Chunk], None]:
    """The streamed answer of the model at `path`; see `Provider.stream`. Shared with Vertex."""
    if prefix and (offer is None or offer.continuation not in ("prefill", "native")):
        raise Unsupported(
            f"{wire.name} cannot go on behind a given beginning of an answer.", capability="continuation"
        )
    names = ToolNames((tool.name for tool in request.tools), length_max=TOOL_NAME_MAX, starts_as_word=True)
    body = body_of(request, model, wire.name, names, prefix=prefix)
    reader = ChunkReader(wire.name, request, names, prefix=prefix, secrets=wire.secrets)
    async with wire.chunks(f"{path}:streamGenerateContent?alt=sse", body, SseParser(), reader) as chunks:
        yield chunks


def same_count(who: str, vectors: list[tuple[float, ...]], count: int) -> list[tuple[float, ...]]:
    """`vectors`, if there are as many as asked for; else Malformed."""
    if len(vectors) != count:
        raise Malformed(f"{who} gave {len(vectors)} vectors for {count} texts.")
    return vectors


def same_width(who: str, vectors: list[tuple[float, ...]]) -> tuple[tuple[float, ...], ...]:
    """`vectors`, if all are of one length; else Malformed."""
    if len({len(vector) for vector in vectors}) > 1:
        raise Malformed(f"{who} gave vectors of different lengths.")
    return tuple(vectors)
