"""Amazon Bedrock, over its Converse wire."""

import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final
from urllib.parse import quote as percent

import msgspec

from legion_core.gateway.providers.base import Embedded, ProbeResult
from legion_core.gateway.providers.bedrock_auth import AwsSign
from legion_core.gateway.providers.bedrock_request import body_of, canonical
from legion_core.gateway.providers.bedrock_wire import ConverseReader
from legion_core.gateway.providers.eventstream import EventStreamParser
from legion_core.gateway.providers.stated import filled
from legion_core.gateway.providers.toolnames import ToolNames
from legion_core.gateway.providers.wire import DEFAULT_LIMITS, Limits, Wire
from legion_core.gateway.types import Capability, Chunk, ModelOffer, Request
from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import LegionError, Unsupported

PAGES_MAX: Final = 20  # of profiles, a thousand each
# The listing does not say how much a model holds. Source: the makers' documents; the least of each family.
CONTEXTS: Final = (
    ("anthropic.", 200_000),
    ("amazon.nova-micro", 128_000),
    ("amazon.nova", 300_000),
    ("meta.llama3", 128_000),
    ("mistral.", 32_000),
)
CONTEXT_UNKNOWN: Final = 8192
_CLAUDE_THINKS = re.compile(r"anthropic\.claude-(?:3-7|[a-z]+-[4-9]|[4-9])")


class _Lifecycle(msgspec.Struct):
    status: str = "ACTIVE"


class _Model(msgspec.Struct, rename="camel"):
    model_id: str
    input_modalities: list[str] = msgspec.field(default_factory=list[str])
    output_modalities: list[str] = msgspec.field(default_factory=list[str])
    response_streaming_supported: bool | None = None
    inference_types_supported: list[str] = msgspec.field(default_factory=list[str])
    model_lifecycle: _Lifecycle = msgspec.field(default_factory=_Lifecycle)


class _Models(msgspec.Struct, rename="camel"):
    model_summaries: list[_Model]


class _Profile(msgspec.Struct, rename="camel"):
    inference_profile_id: str
    status: str = "ACTIVE"


class _Profiles(msgspec.Struct, rename="camel"):
    inference_profile_summaries: list[_Profile]
    next_token: str | None = None


class Bedrock:
    """One instance; see `Provider`.

    A model that answers only through a group of regions is offered by its profile's name (`eu.anthropic…`); asked for by
    its plain name, the profile found by the last probe is used.
    """

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
        """`api_key` is a Bedrock API key; without one the credentials of AWS tools sign. The address names the region."""
        self._name = name
        self._offers = {offer.id: offer for offer in models}
        self._profiles = dict[str, str]()  # a model's plain name → the profile it answers through

        def wire(url: str) -> Wire:
            return Wire(
                name,
                url,
                clock,
                headers={"authorization": f"Bearer {api_key}"} if api_key else {},
                secrets=(api_key,) if api_key else (),
                limits=limits,
                sign=None if api_key else AwsSign(name, url.partition("//")[2]),
            )

        self._wire = wire(base_url)
        # What there is, another host tells.
        self._listing = wire(base_url.replace("//bedrock-runtime", "//bedrock", 1))

    @property
    def name(self) -> str:
        """See `Provider`."""
        return self._name

    @property
    def kind(self) -> str:
        """See `Provider`."""
        return "bedrock"

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
        names = ToolNames(tool.name for tool in request.tools)
        body = body_of(request, model, self._name, names, prefix=prefix)
        reader = ConverseReader(self._name, request, names, prefix=prefix, secrets=self._wire.secrets)
        path = f"/model/{percent(self._profiles.get(model, model), safe='')}/converse-stream"
        async with self._wire.chunks(path, body, EventStreamParser(), reader) as chunks:
            yield chunks

    async def embed(self, model: str, texts: tuple[str, ...], *, dimensions: int | None = None) -> Embedded:
        """Unsupported: each maker's embeddings have a wire of their own here."""
        raise Unsupported(f"{self._name} makes no embeddings yet.", capability="embeddings")

    async def probe(self) -> ProbeResult:
        """See `Provider`: lists models and profiles, which costs nothing and needs the key."""
        started_s = self._wire.now_s()
        try:
            listed = await self._listing.get("/foundation-models?byOutputModality=TEXT", _Models)
            latency_s = self._wire.now_s() - started_s
            profiles = await self._listed_profiles()
        except LegionError as error:
            return ProbeResult(is_ok=False, why=error.sentence())
        by_model = {canonical(profile): profile for profile in reversed(profiles)}
        self._profiles = {
            model.model_id: by_model[model.model_id]
            for model in listed.model_summaries
            if "ON_DEMAND" not in model.inference_types_supported and model.model_id in by_model
        }
        offers = tuple(self._listed_offers(listed.model_summaries, profiles))
        why = f"It answers and offers {len(offers)} model{'s' * (len(offers) != 1)}."
        return ProbeResult(is_ok=True, why=why, latency_s=latency_s, models=offers)

    async def _listed_profiles(self) -> list[str]:
        found, token = list[str](), ""
        for _ in range(PAGES_MAX):
            more = f"&nextToken={percent(token, safe='')}" if token else ""
            page = await self._listing.get(f"/inference-profiles?maxResults=1000{more}", _Profiles)
            found += [row.inference_profile_id for row in page.inference_profile_summaries]
            if not (token := page.next_token or ""):
                break
        return found

    def _listed_offers(self, models: list[_Model], profiles: list[str]) -> list[ModelOffer]:
        offers = list[ModelOffer]()
        for model in models:
            if model.model_lifecycle.status != "ACTIVE" or model.response_streaming_supported is False:
                continue
            # Configured by the plain name it stays under that one, whichever way it answers.
            names = [model.model_id] if model.model_id in self._offers else []
            if "ON_DEMAND" in model.inference_types_supported:
                names.append(model.model_id)
            names += [profile for profile in profiles if canonical(profile) == model.model_id]
            offers += [self._offer(name, model) for name in dict.fromkeys(names)]
        return offers

    def _offer(self, name: str, model: _Model) -> ModelOffer:
        """What was configured wins; which models take a prefill is not told, so none is assumed to."""
        plain = canonical(name)
        found: set[Capability] = {"streaming"}
        if plain.startswith(("anthropic.", "amazon.nova")):
            found.add("tools")
        if "IMAGE" in model.input_modalities:
            found.add("vision")
            if "tools" in found:  # those who read pictures of pages
                found.add("documents")
        if _CLAUDE_THINKS.match(plain):
            found.add("thinking")
        context = next((size for start, size in CONTEXTS if plain.startswith(start)), CONTEXT_UNKNOWN)
        told = ModelOffer(id=name, context=context, capabilities=frozenset(found), continuation="instruct")
        return filled(self._offers.get(name), told)

    async def aclose(self) -> None:
        """See `Provider`."""
        await self._wire.aclose()
        await self._listing.aclose()
