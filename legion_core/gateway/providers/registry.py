"""The families of providers: what each is called, where it answers, how near it is, and how one is made."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final, Literal, Protocol
from urllib.parse import urlsplit

import msgspec

from legion_core.gateway.providers.base import Provider
from legion_core.gateway.providers.wire import DEFAULT_LIMITS, Limits, is_loopback
from legion_core.gateway.types import ModelOffer, Tier
from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import ConfigError

Adapter = Literal[
    "openai", "anthropic", "ollama", "vllm", "mlx", "gemini", "vertex", "bedrock", "azure_foundry"
]


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """A family a person can add. `default_base_url` empty: there is none, it has to be entered.

    `tier` is where an instance belongs whose address says nothing: the word, `local` … `frontier`. `address_hint` shows
    the shape of an address, words to be replaced in capitals; `key_hint` says in a sentence what may stand for the key.
    """

    kind: str
    title: str
    default_base_url: str = ""
    needs_key: bool = False
    tier: str
    address_hint: str = ""
    key_hint: str = ""


@dataclass(frozen=True, slots=True)
class _Family:
    kind: Kind
    adapter: Adapter
    is_self_hosted: bool


def _family(
    kind: str,
    title: str,
    adapter: Adapter,
    tier: str,
    base_url: str = "",
    *,
    needs_key: bool = False,
    own: bool = False,
    address_hint: str = "",
    key_hint: str = "",
) -> _Family:
    row = Kind(
        kind=kind,
        title=title,
        default_base_url=base_url,
        needs_key=needs_key,
        tier=tier,
        address_hint=address_hint,
        key_hint=key_hint,
    )
    return _Family(row, adapter, own)


# In the order they are offered. Default tiers of the families: seed.
_FAMILIES: Final = {
    family.kind.kind: family
    for family in (
        _family("ollama", "Ollama", "ollama", "local", "http://127.0.0.1:11434", own=True),
        _family("vllm", "vLLM", "vllm", "fleet", "http://127.0.0.1:8000/v1", own=True),
        _family(
            "mlx",
            "MLX on this Mac, or its server",
            "mlx",
            "local",
            own=True,
            address_hint="empty, or http://127.0.0.1:8080/v1",
            key_hint="None; its models are folders on this computer.",
        ),
        _family(
            "anthropic", "Anthropic", "anthropic", "frontier", "https://api.anthropic.com", needs_key=True
        ),
        _family(
            "openai",
            "OpenAI, or a server that speaks its protocol",
            "openai",
            "frontier",
            "https://api.openai.com/v1",
            needs_key=True,
        ),
        _family(
            "gemini",
            "Google Gemini",
            "gemini",
            "cloud",
            "https://generativelanguage.googleapis.com/v1beta",
            needs_key=True,
        ),
        _family(
            "vertex",
            "Google Vertex AI",
            "vertex",
            "cloud",
            address_hint="https://REGION-aiplatform.googleapis.com/v1/projects/PROJECT/locations/REGION",
            key_hint="A service account's JSON file or an API key; empty takes this computer's Google login.",
        ),
        _family(
            "bedrock",
            "Amazon Bedrock",
            "bedrock",
            "cloud",
            "https://bedrock-runtime.us-east-1.amazonaws.com",
            address_hint="https://bedrock-runtime.REGION.amazonaws.com",
            key_hint="A Bedrock API key; empty takes this computer's AWS credentials.",
        ),
        _family(
            "azure_foundry",
            "Azure Foundry",
            "azure_foundry",
            "cloud",
            address_hint="https://RESOURCE.openai.azure.com/openai/v1",
            key_hint="The resource's key; empty takes this computer's Azure login.",
        ),
    )
}


def kinds() -> tuple[Kind, ...]:
    """The families an instance can be added of, in the order to offer them."""
    return tuple(family.kind for family in _FAMILIES.values())


def infer_tier(kind: str, base_url: str, explicit: str = "") -> Tier:
    """Where an instance belongs: what was configured, else by its address, else by its family. Source: seed.

    Loopback is local. Another host is direct if the family is self-hosted or the address is of a private network; a
    public host that speaks a lab's protocol is cloud, unless it is the lab's own: what goes there leaves the house. With
    no address to go by the family decides; an unknown family is frontier. KeyError if `explicit` is no tier.
    """
    if explicit:
        return Tier.parse(explicit)
    family = _FAMILIES.get(kind)
    if kind == "llamacpp":  # the model runs in a child of ours
        return Tier.LOCAL
    host = _host(base_url)
    if host and is_loopback(host):
        return Tier.LOCAL
    if not base_url or (family and not family.is_self_hosted and host == _host(family.kind.default_base_url)):
        return Tier.parse(family.kind.tier) if family else Tier.FRONTIER
    if family and family.is_self_hosted:
        return Tier.DIRECT
    return Tier.DIRECT if _is_private(host) else Tier.CLOUD


def host_of(kind: str, base_url: str) -> str:
    """The host an instance answers at, in lower case: that of its address, else of its family's; empty if none."""
    family = _FAMILIES.get(kind)
    return _host(base_url or (family.kind.default_base_url if family else ""))


def _is_private(host: str) -> bool:
    """A private network's address, or a name that only such a network knows. Source: RFC 1918, 4193, 6762, 8375."""
    try:
        return ip_address(host.partition("%")[0]).is_private
    except ValueError:
        return "." not in host or host.endswith((".local", ".lan", ".internal", ".home.arpa"))


def _host(base_url: str) -> str:
    try:
        return (urlsplit(base_url).hostname or "").lower()
    except ValueError:
        return ""


def make(
    name: str,
    kind: str,
    clock: Clock,
    *,
    base_url: str = "",
    api_key: str = "",
    models: Sequence[ModelOffer] = (),
    limits: Limits = DEFAULT_LIMITS,
) -> Provider:
    """The provider of one configured instance; nothing is connected yet.

    `api_key` is the key itself, already resolved. ConfigError for an unknown kind or an address that is none. The
    native engine's own provider needs more than this: see `llamacpp.LlamaCpp`.
    """
    family = _FAMILIES.get(kind)
    if family is None:
        raise ConfigError(
            f"The kind {kind!r} of {name!r} has no adapter here.", hint=f"Known: {', '.join(_FAMILIES)}."
        )
    address = base_url or family.kind.default_base_url
    return _adapter(family.adapter)(name, address, clock, api_key=api_key, models=models, limits=limits)


class _Make(Protocol):
    """How every adapter of the table is made."""

    def __call__(
        self,
        name: str,
        base_url: str,
        clock: Clock,
        *,
        api_key: str,
        models: Sequence[ModelOffer],
        limits: Limits,
    ) -> Provider: ...


def _adapter(word: Adapter) -> _Make:
    """An adapter is imported when the first instance of it is made."""
    match word:
        case "openai":
            from legion_core.gateway.providers.openai import OpenAICompatible

            return OpenAICompatible
        case "anthropic":
            from legion_core.gateway.providers.anthropic import Anthropic

            return Anthropic
        case "ollama":
            from legion_core.gateway.providers.ollama import Ollama

            return Ollama
        case "vllm":
            from legion_core.gateway.providers.vllm import Vllm

            return Vllm
        case "mlx":
            from legion_core.gateway.providers.mlx import mlx

            return mlx
        case "gemini":
            from legion_core.gateway.providers.gemini import Gemini

            return Gemini
        case "vertex":
            from legion_core.gateway.providers.vertex import Vertex

            return Vertex
        case "bedrock":
            from legion_core.gateway.providers.bedrock import Bedrock

            return Bedrock
        case "azure_foundry":
            from legion_core.gateway.providers.azure_foundry import AzureFoundry

            return AzureFoundry
