"""OpenAI, and every server that speaks its chat completions wire."""

import base64
import binascii
import struct
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, cast

import msgspec

from legion_core.gateway.prices import context_of
from legion_core.gateway.providers.base import Embedded, ProbeResult
from legion_core.gateway.providers.beside import ASKED, told_beside
from legion_core.gateway.providers.completions_wire import CompletionReader, completion_body
from legion_core.gateway.providers.listed import CONTEXT_UNKNOWN, ListedModel, offer_of, rows_of
from legion_core.gateway.providers.openai_wire import (
    COMPATIBLE,
    LLAMA_SERVER,
    OPENAI,
    ChatReader,
    Flavour,
    WireUsage,
    body_of,
)
from legion_core.gateway.providers.sse import SseEvent, SseParser
from legion_core.gateway.providers.stated import filled
from legion_core.gateway.providers.toolnames import ToolNames
from legion_core.gateway.providers.wire import DEFAULT_LIMITS, Limits, Reader, Sign, Wire
from legion_core.gateway.types import Chunk, ModelOffer, Request, Usage
from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import LegionError, Malformed, Unsupported

EMBED_BATCH: Final = 256  # texts in one call


class _Models(msgspec.Struct):
    data: list[msgspec.Raw]


# Together tells the rows alone.
_Listing = cast("type[_Models | list[msgspec.Raw]]", _Models | list[msgspec.Raw])


class _Vector(msgspec.Struct):
    embedding: list[float] | str
    index: int = 0


class _Vectors(msgspec.Struct):
    data: list[_Vector]
    usage: WireUsage | None = None


class _EmbedBody(msgspec.Struct, omit_defaults=True):
    model: str
    input: list[str]
    encoding_format: str
    dimensions: int | None = None


class OpenAICompatible:
    """One instance behind the OpenAI wire; see `Provider`."""

    def __init__(
        self,
        name: str,
        base_url: str,
        clock: Clock,
        *,
        api_key: str = "",
        kind: str = "openai",
        models: Sequence[ModelOffer] = (),
        limits: Limits = DEFAULT_LIMITS,
        flavour: Flavour | None = None,
        headers: Mapping[str, str] | None = None,
        sign: Sign | None = None,
    ) -> None:
        """`models` are the configured ones; what they say of continuation decides whether a `prefix` is taken.

        `headers` stand in for the usual one of the key; `sign` as in `Wire`.
        """
        self._name = name
        self._kind = kind
        self._offers = {offer.id: offer for offer in models}
        self._found = dict[str, ModelOffer]()
        self._clock = clock
        bearer = {"authorization": f"Bearer {api_key}"} if api_key else {}
        self._headers = bearer if headers is None else headers
        self._wire = Wire(
            name,
            base_url,
            clock,
            headers=self._headers,
            secrets=(api_key,) if api_key else (),
            limits=limits,
            sign=sign,
        )
        self._flavour = flavour or _flavour(self._wire.host)

    @property
    def name(self) -> str:
        """See `Provider`."""
        return self._name

    @property
    def kind(self) -> str:
        """See `Provider`."""
        return self._kind

    def stream(
        self, request: Request, model: str, *, prefix: str = ""
    ) -> AbstractAsyncContextManager[AsyncIterator[Chunk]]:
        """See `Provider`; a `prefix` needs a model that is configured, or was found by a probe, to take one."""
        offer = self._found.get(model) or self._offers.get(model)
        if prefix and (offer is None or offer.continuation not in ("prefill", "native")):
            raise Unsupported(
                f"{self._name} cannot go on behind a given beginning of an answer.", capability="continuation"
            )
        if request.is_raw:
            text = completion_body(request, model, self._flavour, prefix=prefix)
            gone_on = CompletionReader(self._name, request, prefix=prefix, secrets=self._wire.secrets)
            return self._wire.chunks(self._path(model, "/completions"), text, SseParser(), gone_on)
        names = ToolNames(tool.name for tool in request.tools)
        body = body_of(request, model, self._flavour, names, prefix=prefix)
        reader = self._reader(request, names, prefix)
        return self._wire.chunks(self._path(model, "/chat/completions"), body, SseParser(), reader)

    def _path(self, model: str, what: str) -> str:
        """Where `what` is asked of that model, behind the base address."""
        del model
        return what

    def _reader(self, request: Request, names: ToolNames, prefix: str) -> Reader[SseEvent]:
        return ChatReader(self._name, request, names, prefix=prefix, secrets=self._wire.secrets)

    async def embed(self, model: str, texts: tuple[str, ...], *, dimensions: int | None = None) -> Embedded:
        """See `Provider`."""
        vectors, input_tokens = list[tuple[float, ...]](), 0
        for at in range(0, len(texts), EMBED_BATCH):
            batch = list(texts[at : at + EMBED_BATCH])
            body = msgspec.json.encode(
                _EmbedBody(model=model, input=batch, encoding_format="float", dimensions=dimensions)
            )
            answer = await self._wire.post(self._path(model, "/embeddings"), body, _Vectors)
            if len(answer.data) != len(batch):
                raise Malformed(f"{self._name} gave {len(answer.data)} vectors for {len(batch)} texts.")
            vectors += [_vector(row, self._name) for row in sorted(answer.data, key=lambda row: row.index)]
            usage = answer.usage.canonical() if answer.usage else None
            input_tokens += usage.input_tokens if usage else 0
        if len({len(vector) for vector in vectors}) > 1:
            raise Malformed(f"{self._name} gave vectors of different lengths.")
        return Embedded(vectors=tuple(vectors), usage=Usage(input_tokens=input_tokens))

    async def probe(self) -> ProbeResult:
        """See `Provider`: lists the models, which costs nothing and needs the key."""
        started_s = self._wire.now_s()
        try:
            told = await self._wire.get("/models", _Listing)
        except LegionError as error:
            return ProbeResult(is_ok=False, why=error.sentence())
        latency_s = self._wire.now_s() - started_s
        listed = rows_of(told if isinstance(told, list) else told.data)
        found = tuple(offer for model in listed if (offer := self._offer(model)) is not None)
        found = await self._told_beside({model.owned_by or "" for model in listed}, found)
        # What is said wins. A model that is said to answer counts, whatever its name sounds like.
        known = {offer.id: offer for offer in found}
        taken = (filled(self._offers.get(model.id), known.get(model.id)) for model in listed)
        offers = tuple(offer for offer in taken if offer is not None)
        self._found = {offer.id: offer for offer in offers}
        if self._flavour is COMPATIBLE and any(model.owned_by == "llamacpp" for model in listed):
            self._flavour = LLAMA_SERVER
        missing = sorted(self._offers.keys() - {offer.id for offer in offers})
        why = f"It answers and offers {len(offers)} model{'s' * (len(offers) != 1)}."
        if missing:
            why += f" Configured but not listed: {', '.join(missing)}."
        return ProbeResult(is_ok=True, why=why, latency_s=latency_s, models=offers)

    async def _told_beside(self, owners: set[str], offers: tuple[ModelOffer, ...]) -> tuple[ModelOffer, ...]:
        if self._flavour is OPENAI or not owners & ASKED:
            return offers
        root = self._wire.base_url.removesuffix("/v1")
        wire = Wire(self._name, root, self._clock, headers=self._headers, secrets=self._wire.secrets)
        try:
            told = await told_beside(wire, owners, offers)
        finally:
            await wire.aclose()
        return told

    def _offer(self, model: ListedModel) -> ModelOffer | None:
        # A lab's own host may call itself anything: who made its models is not believed there.
        found = offer_of(
            model,
            host=self._wire.host,
            is_openai=_flavour(self._wire.host) is OPENAI,
            is_believed=self._flavour is not OPENAI,
        )
        if found is None or found.context != CONTEXT_UNKNOWN:
            return found
        return msgspec.structs.replace(
            found, context=context_of(self._wire.host, model.id) or CONTEXT_UNKNOWN
        )

    async def aclose(self) -> None:
        """See `Provider`."""
        await self._wire.aclose()


def _flavour(host: str) -> Flavour:
    return OPENAI if host == "api.openai.com" or host.endswith(".api.openai.com") else COMPATIBLE


def _vector(row: _Vector, who: str) -> tuple[float, ...]:
    if not isinstance(row.embedding, str):
        return tuple(row.embedding)
    try:
        raw = base64.b64decode(row.embedding, validate=True)
        return struct.unpack(f"<{len(raw) // 4}f", raw)
    except (binascii.Error, struct.error, ValueError) as error:
        raise Malformed(f"{who} gave a vector that cannot be read.") from error
