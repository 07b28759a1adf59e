"""Azure Foundry: the OpenAI wire behind Azure's doors, where a model goes by the name of its deployment.

Three doors are known by their address: `…/openai/v1` (the default where no version is named), the older one with
`?api-version=…` and a path for each deployment, and `…/models`, which leads to models of other makers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs, urlsplit
from urllib.parse import quote as percent

import msgspec

from legion_core.gateway.providers.azure_auth import EntraSign
from legion_core.gateway.providers.base import ProbeResult
from legion_core.gateway.providers.openai import OpenAICompatible
from legion_core.gateway.providers.openai_wire import AZURE_MODELS, OPENAI
from legion_core.gateway.providers.stated import filled, settled
from legion_core.gateway.providers.wire import DEFAULT_LIMITS, Limits, Wire
from legion_core.gateway.types import Capability, ModelOffer
from legion_core.kernel.clock import Clock
from legion_core.kernel.errors import BadCredentials, LegionError, Refused

DEPLOYMENTS: Final = (
    "/openai/deployments?api-version=2023-03-15-preview"  # the last version that lists them to a key
)
MODELS_VERSION: Final = "2024-05-01-preview"
CONTEXT: Final = 128_000  # of the models deployed here, at least
CONTEXT_EMBEDDING: Final = 8192
CHAT: Final[frozenset[Capability]] = frozenset({"streaming", "tools", "vision", "structured_output"})


@dataclass(frozen=True, slots=True)
class Door:
    """What an address leads to. `version` is empty where the door wants none."""

    base_url: str
    version: str = ""
    by_deployment: bool = False  # the deployment is part of the path
    is_models: bool = False

    def path(self, deployment: str, what: str) -> str:
        """Where `what` is asked of that deployment, behind `base_url`."""
        start = f"/openai/deployments/{percent(deployment, safe='')}" if self.by_deployment else ""
        return f"{start}{what}{f'?api-version={self.version}' if self.version else ''}"


class _Deployment(msgspec.Struct):
    id: str
    model: str = ""
    status: str = "succeeded"


class _Deployments(msgspec.Struct):
    data: list[_Deployment]


class _Anything(msgspec.Struct):
    pass


def door(address: str) -> Door:
    """The door of an address as it is copied from the portal; what stands behind the resource may be left out."""
    parts = urlsplit(address)
    origin = f"{parts.scheme}://{parts.netloc}"
    path = parts.path.rstrip("/")
    version = parse_qs(parts.query).get("api-version", [""])[0]
    if path.endswith("/models"):
        return Door(f"{origin}{path}", version or MODELS_VERSION, is_models=True)
    if path.endswith("/openai/v1"):
        return Door(f"{origin}{path}", version)
    before, _, _ = path.partition("/openai")
    if version:
        return Door(f"{origin}{before}", version, by_deployment=True)
    return Door(f"{origin}{before}/openai/v1")


class AzureFoundry(OpenAICompatible):
    """One instance; see `Provider`. A `model` is a deployment's name."""

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
        """Without a key the account or the managed identity the Azure tools find is used."""
        self._door = door(base_url)
        self._entra = None if api_key else EntraSign(name)
        headers = {"api-key": api_key} if api_key else {}
        super().__init__(
            name,
            self._door.base_url,
            clock,
            api_key=api_key,
            kind="azure_foundry",
            models=models,
            limits=limits,
            flavour=AZURE_MODELS if self._door.is_models else OPENAI,
            headers=headers,
            sign=self._entra,
        )
        parts = urlsplit(self._door.base_url)
        self._root = Wire(
            name,
            f"{parts.scheme}://{parts.netloc}",
            clock,
            headers=headers,
            secrets=self._wire.secrets,
            limits=limits,
            sign=self._entra,
        )

    def _path(self, model: str, what: str) -> str:
        return self._door.path(model, what)

    async def probe(self) -> ProbeResult:
        """See `Provider`: lists the deployments where the resource tells them, else checks the key only."""
        started_s = self._wire.now_s()
        try:
            offers = await self._deployed()
            if offers is None:
                await self._knock()
        except LegionError as error:
            return ProbeResult(is_ok=False, why=error.sentence())
        latency_s = self._wire.now_s() - started_s
        if offers is None:
            offers = tuple(settled(offer) for offer in self._offers.values())
            why = "It answers, but does not tell its deployments"
            why += "." if offers else ": add their names as models."
        else:
            why = f"It answers and offers {len(offers)} deployment{'s' * (len(offers) != 1)}."
        return ProbeResult(is_ok=True, why=why, latency_s=latency_s, models=offers)

    async def _deployed(self) -> tuple[ModelOffer, ...] | None:
        """The deployments; None where the resource does not tell them."""
        if self._door.is_models:
            return None
        try:
            listed = await self._root.get(DEPLOYMENTS, _Deployments)
        except BadCredentials:
            raise
        except Refused:
            return None
        running = [row for row in listed.data if row.status == "succeeded"]
        return tuple(filled(self._offers.get(row.id), _offer(row)) for row in running)

    async def _knock(self) -> None:
        """Raises if the key is wrong or nobody is there."""
        start = "/openai" if self._door.by_deployment else ""
        version = f"?api-version={self._door.version}" if self._door.version else ""
        what = "/info" if self._door.is_models else "/models"
        await self._wire.get(f"{start}{what}{version}", _Anything)

    async def aclose(self) -> None:
        """See `Provider`."""
        await super().aclose()
        await self._root.aclose()
        if self._entra is not None:
            await self._entra.aclose()


def _offer(row: _Deployment) -> ModelOffer:
    if "embedding" in row.model:
        return ModelOffer(id=row.id, context=CONTEXT_EMBEDDING, capabilities=frozenset({"embeddings"}))
    found = set(CHAT)
    if row.model.startswith(("o1", "o3", "o4", "gpt-5")):
        found.add("thinking")
    return ModelOffer(id=row.id, context=CONTEXT, capabilities=frozenset(found), continuation="instruct")
