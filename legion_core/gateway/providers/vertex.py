"""Google Vertex AI: Gemini's wire, and for Claude Anthropic's, behind a project's address, with a login for a key."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final
from urllib.parse import quote as percent
from urllib.parse import urlsplit

import msgspec

from legion_core.gateway.providers.anthropic_wire import TOOL_NAME_MAX, MessagesReader, body_of
from legion_core.gateway.providers.base import Embedded, ProbeResult
from legion_core.gateway.providers.gemini import CHAT, answer, same_count, same_width
from legion_core.gateway.providers.ranges import believed
from legion_core.gateway.providers.sse import SseParser
from legion_core.gateway.providers.stated import filled
from legion_core.gateway.providers.toolnames import ToolNames
from legion_core.gateway.providers.vertex_auth import GoogleSign, is_account
from legion_core.gateway.providers.wire import DEFAULT_LIMITS, Limits, Wire
from legion_core.gateway.types import Capability, Chunk, ModelOffer, Request, Usage
from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import LegionError, Unsupported

CONTEXT: Final = 1_048_576  # of every Gemini model since 1.5
CONTEXT_EMBEDDING: Final = 2048
CLAUDE_VERSION: Final = "vertex-2023-10-16"
THINKS: Final[frozenset[Capability]] = CHAT | frozenset[Capability]({"thinking"})
EMBED_BATCH: Final = 5  # texts in one call, the least of what the models allow …
EMBED_BATCH_GEMINI: Final = 1  # … but for these, which take one


class _Listed(msgspec.Struct):
    name: str


class _Models(msgspec.Struct, rename="camel"):
    publisher_models: list[_Listed]


class _Instance(msgspec.Struct):
    content: str


class _Parameters(msgspec.Struct, rename="camel", omit_defaults=True):
    auto_truncate: bool  # never: a vector of half a text is not the text's vector
    output_dimensionality: int | None = None


class _PredictBody(msgspec.Struct):
    instances: list[_Instance]
    parameters: _Parameters


class _Statistics(msgspec.Struct):
    token_count: float = 0


class _Embedding(msgspec.Struct):
    values: list[float]
    statistics: _Statistics = msgspec.field(default_factory=_Statistics)


class _Prediction(msgspec.Struct):
    embeddings: _Embedding


class _Predictions(msgspec.Struct):
    predictions: list[_Prediction]


class Vertex:
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
        """`base_url` ends with a place: `…/v1/projects/PROJECT/locations/LOCATION`, or `…/v1` with an API key.

        `api_key` is a service account (its key or its file's path) or an API key; without one, the machine's login.
        """
        self._name = name
        self._offers = {offer.id: offer for offer in models}
        is_plain_key = bool(api_key) and not is_account(api_key)
        sign = None if is_plain_key else GoogleSign(name, api_key)
        parts = urlsplit(base_url)

        def wire(url: str) -> Wire:
            return Wire(
                name,
                url,
                clock,
                headers={"x-goog-api-key": api_key} if is_plain_key else {},
                secrets=(api_key,) if is_plain_key else (),
                limits=limits,
                sign=sign,
            )

        self._wire = wire(base_url)
        self._root = wire(f"{parts.scheme}://{parts.netloc}")

    @property
    def name(self) -> str:
        """See `Provider`."""
        return self._name

    @property
    def kind(self) -> str:
        """See `Provider`."""
        return "vertex"

    def stream(
        self, request: Request, model: str, *, prefix: str = ""
    ) -> AbstractAsyncContextManager[AsyncIterator[Chunk]]:
        """See `Provider`; a `prefix` needs a model configured with `continuation = "prefill"`."""
        offer = self._offers.get(model)
        if _is_claude(model):
            return self._claude(request, model, prefix, offer)
        return answer(self._wire, path_of(model), request, model, prefix=prefix, offer=offer)

    @asynccontextmanager
    async def _claude(
        self, request: Request, model: str, prefix: str, offer: ModelOffer | None
    ) -> AsyncGenerator[AsyncIterator[Chunk], None]:
        if prefix and (offer is None or offer.continuation not in ("prefill", "native")):
            raise Unsupported(
                f"{self._name} cannot go on behind a given beginning of an answer.", capability="continuation"
            )
        names = ToolNames((tool.name for tool in request.tools), length_max=TOOL_NAME_MAX)
        body = body_of(request, model, self._name, names, prefix=prefix, version=CLAUDE_VERSION)
        reader = MessagesReader(self._name, request, names, prefix=prefix, secrets=self._wire.secrets)
        path = f"{path_of(model)}:streamRawPredict"
        async with self._wire.chunks(path, body, SseParser(), reader) as chunks:
            yield chunks

    async def embed(self, model: str, texts: tuple[str, ...], *, dimensions: int | None = None) -> Embedded:
        """See `Provider`."""
        if _is_claude(model):
            raise Unsupported(f"{model} makes no embeddings.", capability="embeddings")
        vectors, tokens = list[tuple[float, ...]](), 0
        size = EMBED_BATCH_GEMINI if model.startswith("gemini") else EMBED_BATCH
        for at in range(0, len(texts), size):
            batch = texts[at : at + size]
            body = _PredictBody([_Instance(text) for text in batch], _Parameters(False, dimensions))
            found = await self._wire.post(
                f"{path_of(model)}:predict", msgspec.json.encode(body), _Predictions
            )
            rows = [row.embeddings for row in found.predictions]
            vectors += same_count(self._name, [tuple(row.values) for row in rows], len(batch))
            tokens += sum(int(row.statistics.token_count) for row in rows)
        return Embedded(
            vectors=same_width(self._name, vectors),
            usage=believed(Usage(input_tokens=tokens)) or Usage(is_estimated=True),
        )

    async def probe(self) -> ProbeResult:
        """See `Provider`: lists what Google publishes, which costs nothing and needs the login."""
        started_s = self._wire.now_s()
        try:
            listed = await self._root.get("/v1beta1/publishers/google/models?pageSize=500", _Models)
        except LegionError as error:
            return ProbeResult(is_ok=False, why=error.sentence())
        latency_s = self._wire.now_s() - started_s
        # What was configured may be an endpoint of one's own, which no publisher lists.
        found = {offer.id: offer for row in listed.publisher_models if (offer := _offer(row.name))}
        said = {name: filled(offer, found.get(name)) for name, offer in self._offers.items()}
        offers = tuple((found | said).values())
        why = f"It answers and offers {len(offers)} model{'s' * (len(offers) != 1)}."
        return ProbeResult(is_ok=True, why=why, latency_s=latency_s, models=offers)

    async def aclose(self) -> None:
        """See `Provider`."""
        await self._wire.aclose()
        await self._root.aclose()


def path_of(model: str) -> str:
    """Where a model lies: Gemini and Claude by their name, all others by their path (`publishers/…`, `endpoints/…`)."""
    publisher = "anthropic" if _is_claude(model) else "google"
    return "/" + percent(model if "/" in model else f"publishers/{publisher}/models/{model}", safe="/@")


def _is_claude(model: str) -> bool:
    return model.rpartition("/")[2].startswith("claude")


def _offer(resource: str) -> ModelOffer | None:
    """Models that make neither text nor vectors are left out."""
    name = resource.rpartition("/")[2]
    if "embedding" in name:
        return ModelOffer(id=name, context=CONTEXT_EMBEDDING, capabilities=frozenset({"embeddings"}))
    if not name.startswith("gemini"):
        return None
    return ModelOffer(id=name, context=CONTEXT, capabilities=THINKS, continuation="instruct")
