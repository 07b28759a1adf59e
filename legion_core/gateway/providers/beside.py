"""What servers tell of their models beside the OpenAI wire, whose own listing says next to nothing.

llama-server, LM Studio, SGLang, Ollama behind its `/v1`, and LiteLLM's proxy, each at its own address.
"""

import asyncio
from collections.abc import Sequence, Set
from contextlib import suppress
from typing import Any, Final, TypeVar, cast

import msgspec

from legion_core.gateway.providers.listed import CONTEXT_MAX, MODELS_MAX
from legion_core.gateway.providers.wire import Wire
from legion_core.gateway.types import Capability, ModelOffer
from legion_core.kernel.errors import ProviderError

LLAMA_SERVER: Final = "llamacpp"
LM_STUDIO: Final = "organization_owner"
SGLANG: Final = "sglang"
OLLAMA: Final = "library"
PROXY: Final = "openai"  # whatever LiteLLM's proxy leads to, its listing says this
ASKED: Final = frozenset({LLAMA_SERVER, LM_STUDIO, SGLANG, OLLAMA, PROXY})
_SHOWN: Final[tuple[Capability, ...]] = ("tools", "vision", "thinking")
SHOWN_MAX: Final = 100  # models that are asked of one by one
SHOWN_AT_ONCE: Final = 4
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
    """A row of `GET /api/v0/models` of LM Studio; `type` is llm, vlm or embeddings. Only the expected form is read."""

    id: str
    type: Any = None
    capabilities: Any = None
    max_context_length: Any = None
    loaded_context_length: Any = None


class _Rows(msgspec.Struct):
    """A listing, row by row: one that cannot be read takes no other with it."""

    data: list[msgspec.Raw]


class _ServerInfo(msgspec.Struct):
    """`GET /get_server_info` of SGLang: how it was started."""

    tool_call_parser: str | None = None
    reasoning_parser: str | None = None


class _ModelInfo(msgspec.Struct):
    """`GET /get_model_info` of SGLang."""

    has_image_understanding: bool | None = None


class _Show(msgspec.Struct):
    """`POST /api/show` of Ollama."""

    capabilities: list[str] = msgspec.field(default_factory=list[str])


class _Known(msgspec.Struct):
    """What LiteLLM's table says of the model behind a name; null where it knows nothing."""

    mode: Any = None
    max_input_tokens: Any = None
    supports_function_calling: Any = None
    supports_vision: Any = None
    supports_pdf_input: Any = None
    supports_reasoning: Any = None
    supports_response_schema: Any = None


class _Deployment(msgspec.Struct):
    """A row of `GET /model/info` of LiteLLM: a name may stand for several."""

    model_name: str
    model_info: Any = None

    @property
    def known(self) -> _Known:
        """What is told of it; nothing where that is no object."""
        try:
            return msgspec.convert(self.model_info, _Known)
        except msgspec.ValidationError:
            return _Known()


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
        rows = {row.id: row for row in _read(listed.data, _Row)}
        return tuple(_of_row(offer, rows.get(offer.id)) for offer in offers)
    if SGLANG in owners:
        return await _of_sglang(wire, offers)
    if OLLAMA in owners:
        return await _of_ollama(wire, offers)
    if PROXY in owners and (table := await _asked(wire, "/model/info", _Rows)) is not None:
        deployments = _read(table.data, _Deployment)
        return tuple(_of_proxy(offer, deployments) for offer in offers)
    return offers


async def _of_sglang(wire: Wire, offers: tuple[ModelOffer, ...]) -> tuple[ModelOffer, ...]:
    server = await _asked(wire, "/get_server_info", _ServerInfo) or _ServerInfo()
    model = await _asked(wire, "/get_model_info", _ModelInfo) or _ModelInfo()
    found = set[Capability]()
    found |= {"tools"} if server.tool_call_parser else set[Capability]()
    found |= {"thinking"} if server.reasoning_parser else set[Capability]()
    found |= {"vision"} if model.has_image_understanding else set[Capability]()
    return tuple(_able(offer, found) for offer in offers)


async def _of_ollama(wire: Wire, offers: tuple[ModelOffer, ...]) -> tuple[ModelOffer, ...]:
    """Its `/v1` takes no context along, so what the model could hold is not what it holds there."""
    gate = asyncio.Semaphore(SHOWN_AT_ONCE)

    async def one(offer: ModelOffer) -> ModelOffer:
        async with gate:
            try:
                shown = await wire.post("/api/show", msgspec.json.encode({"model": offer.id}), _Show)
            except ProviderError:
                return offer
        found: set[Capability] = {word for word in _SHOWN if word in shown.capabilities}
        if "embedding" in shown.capabilities and "completion" not in shown.capabilities:
            return _vectors(offer)
        return _able(offer, _ALWAYS | found)

    shown = await asyncio.gather(*(one(offer) for offer in offers[:SHOWN_MAX]))
    return (*shown, *offers[SHOWN_MAX:])


def _of_proxy(offer: ModelOffer, table: list[_Deployment]) -> ModelOffer:
    """What every deployment behind the name can; which of them answers is the proxy's to choose."""
    known = [row.known for row in table if row.model_name == offer.id]
    if not known:
        return offer
    if all(row.mode == "embedding" for row in known):
        return _vectors(offer)
    words: tuple[tuple[Capability, str], ...] = (
        ("tools", "supports_function_calling"),
        ("vision", "supports_vision"),
        ("documents", "supports_pdf_input"),
        ("thinking", "supports_reasoning"),
        ("structured_output", "supports_response_schema"),
    )
    found: set[Capability] = {
        word for word, name in words if all(getattr(row, name) is True for row in known)
    }
    context = min(_context(row.max_input_tokens) for row in known) or offer.context
    return msgspec.structs.replace(_able(offer, found), context=context)


def _vectors(offer: ModelOffer) -> ModelOffer:
    return msgspec.structs.replace(offer, capabilities=frozenset({"embeddings"}), continuation="none")


def _of_row(offer: ModelOffer, row: _Row | None) -> ModelOffer:
    if row is None or "streaming" not in offer.capabilities:
        return offer
    if row.type == "embeddings":
        return _vectors(offer)
    found = set[Capability](_ALWAYS)
    able = cast("list[object]", row.capabilities) if isinstance(row.capabilities, list) else ()
    found |= {"tools"} if "tool_use" in able else set[Capability]()
    found |= {"vision"} if row.type == "vlm" else set[Capability]()
    context = _context(row.loaded_context_length) or _context(row.max_context_length) or offer.context
    return msgspec.structs.replace(_able(offer, found), context=context)


def _able(offer: ModelOffer, found: Set[Capability]) -> ModelOffer:
    if "streaming" not in offer.capabilities:  # it makes vectors
        return offer
    return msgspec.structs.replace(offer, capabilities=offer.capabilities | found)


def _context(told: object) -> int:
    """Tokens; 0 where that is no size a context can have."""
    if isinstance(told, int) and not isinstance(told, bool) and 0 < told <= CONTEXT_MAX:
        return told
    return 0


def _read(rows: Sequence[msgspec.Raw], kind: type[T]) -> list[T]:
    found = list[T]()
    for row in rows[:MODELS_MAX]:
        with suppress(msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            found.append(msgspec.json.decode(row, type=kind))
    return found


async def _asked(wire: Wire, path: str, kind: type[T]) -> T | None:
    try:
        return await wire.get(path, kind)
    except ProviderError:
        return None
