"""What llama-server and LM Studio tell of their models beside the OpenAI wire, whose own listing says next to nothing."""

from typing import Final, TypeVar

import msgspec

from legion_core.gateway.providers.wire import Wire
from legion_core.gateway.types import Capability, ModelOffer
from legion_core.kernel.errors import ProviderError

LLAMA_SERVER: Final = "llamacpp"
LM_STUDIO: Final = "organization_owner"
# Both hold an answer to a JSON Schema by a grammar, whatever the model.
_ALWAYS: Final[frozenset[Capability]] = frozenset({"structured_output"})

T = TypeVar("T")


class _Caps(msgspec.Struct):
    supports_tools: bool = False


class _Modalities(msgspec.Struct):
    vision: bool = False


class _Props(msgspec.Struct):
    """`GET /props` of llama-server."""

    chat_template_caps: _Caps = msgspec.field(default_factory=_Caps)
    modalities: _Modalities = msgspec.field(default_factory=_Modalities)


class _Row(msgspec.Struct):
    """A row of `GET /api/v0/models` of LM Studio; `type` is llm, vlm or embeddings."""

    id: str
    type: str = ""
    capabilities: list[str] = msgspec.field(default_factory=list[str])
    max_context_length: int = 0
    loaded_context_length: int = 0


class _Rows(msgspec.Struct):
    data: list[_Row]


async def told_beside(wire: Wire, owners: set[str], offers: tuple[ModelOffer, ...]) -> tuple[ModelOffer, ...]:
    """`offers` with what the server tells of them elsewhere; as they are where it tells nothing.

    `owners` are those its listing named; `wire` leads to its root, not to `/v1`.
    """
    if LLAMA_SERVER in owners and (props := await _asked(wire, "/props", _Props)) is not None:
        found = set[Capability](_ALWAYS)
        found |= {"tools"} if props.chat_template_caps.supports_tools else set[Capability]()
        found |= {"vision"} if props.modalities.vision else set[Capability]()
        return tuple(_able(offer, found) for offer in offers)
    if LM_STUDIO in owners and (listed := await _asked(wire, "/api/v0/models", _Rows)) is not None:
        rows = {row.id: row for row in listed.data}
        return tuple(_of_row(offer, rows.get(offer.id)) for offer in offers)
    return offers


def _of_row(offer: ModelOffer, row: _Row | None) -> ModelOffer:
    if row is None or "streaming" not in offer.capabilities:
        return offer
    if row.type == "embeddings":
        return msgspec.structs.replace(offer, capabilities=frozenset({"embeddings"}), continuation="none")
    found = set[Capability](_ALWAYS)
    found |= {"tools"} if "tool_use" in row.capabilities else set[Capability]()
    found |= {"vision"} if row.type == "vlm" else set[Capability]()
    context = row.loaded_context_length or row.max_context_length or offer.context
    return msgspec.structs.replace(_able(offer, found), context=context)


def _able(offer: ModelOffer, found: set[Capability]) -> ModelOffer:
    if "streaming" not in offer.capabilities:  # it makes vectors
        return offer
    return msgspec.structs.replace(offer, capabilities=offer.capabilities | found)


async def _asked(wire: Wire, path: str, kind: type[T]) -> T | None:
    try:
        return await wire.get(path, kind)
    except ProviderError:
        return None
