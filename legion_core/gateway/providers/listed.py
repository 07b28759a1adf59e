"""What a listing of the OpenAI wire tells of a model, which differs by who lists it. Pure.

OpenAI itself tells nothing but names, so for its own host the families are known here; elsewhere only what is told
counts. A model that makes pictures or hears speech is none of ours: None.
"""

import re
from collections.abc import Iterable
from typing import Any, Final, cast

import msgspec

from legion_core.gateway.types import Capability, ModelOffer, Price
from legion_core.kernel.unseen import has_unseen

CONTEXT_UNKNOWN: Final = 8192
CONTEXT_MAX: Final = 100_000_000
MODELS_MAX: Final = 10_000  # of one listing; the longest there are have some hundreds
NAME_MAX: Final = 256  # as in the dialects: no client could ask for a longer one
PLAIN: Final[frozenset[Capability]] = frozenset({"streaming"})
VECTORS: Final[frozenset[Capability]] = frozenset({"embeddings"})
COMPLETE: Final[frozenset[Capability]] = frozenset({"completions"})
# Makers whose servers go on behind a given beginning of an answer.
CONTINUE: Final = frozenset({"vllm", "sglang", "llamacpp", "organization_owner"})
# Makers whose servers hold any model's answer to a JSON Schema.
GUIDED: Final = frozenset({"vllm", "sglang"})

_NO_TEXT = re.compile(r"whisper|dall-e|stable-diffusion|(^|[-_/])(tts|rerank|transcribe|moderation)([-_]|$)")
_EMBEDS = re.compile(r"embed")
_NO_WORDS = ("embedding", "image", "audio", "video", "rerank", "moderation", "transcribe")
# At OpenAI's own host: what answers by chat completions. Source: platform.openai.com/docs/models, 2026.
_OPENAI_CHAT = re.compile(r"(ft:)?(gpt-|chatgpt-|o\d)")
_OPENAI_OTHER = re.compile(
    r"image|audio|realtime|transcribe|tts|instruct|search|deep-research|codex|-pro(-|$)|computer-use"
)
_OPENAI_BLIND = re.compile(
    r"(ft:)?(gpt-3\.5|gpt-4(-\d{4}|-32k)?(:|-|$)(?!turbo|o|\.)|o1-mini|o1-preview|o3-mini)"
)
_OPENAI_OLD = re.compile(r"(ft:)?(gpt-3\.5|gpt-4(-\d{4}|-32k|-turbo.*)?(:|$)|chatgpt-|o1-mini|o1-preview)")
_OPENAI_THINKS = re.compile(r"(ft:)?(o\d|gpt-5(?!.*chat)|gpt-[6-9])")


class _Meta(msgspec.Struct):
    n_ctx: int | None = None  # llama-server


class _Architecture(msgspec.Struct):
    input_modalities: list[str] = msgspec.field(default_factory=list[str])
    output_modalities: list[str] = msgspec.field(default_factory=list[str])


class ListedModel(msgspec.Struct):
    """One row of `GET /models`, with what some servers add to it."""

    id: str
    owned_by: str | None = None
    max_model_len: int | None = None  # vLLM
    context_length: int | None = None  # OpenRouter and several others
    context_window: int | None = None  # Groq
    max_context_length: int | None = None  # Mistral
    meta: _Meta | None = None
    supported_parameters: list[str] | None = None  # OpenRouter, as the next two
    architecture: _Architecture | None = None
    pricing: dict[str, Any] | None = None
    capabilities: Any = None  # Mistral; others have other things there
    # Of these only the expected form is read: what others put there must not make a listing unreadable.
    type: Any = None  # Together: chat, embedding, image, …; Vercel: language, …
    tags: Any = None  # Vercel: tool-use, vision, reasoning
    providers: Any = None  # Hugging Face: who may be asked behind it, each with what it can
    supports_chat: Any = None  # Fireworks, as the next two
    supports_tools: Any = None
    supports_image_input: Any = None
    supports_image_in: Any = None  # Moonshot, as the next
    supports_reasoning: Any = None


_fields: Final = frozenset(field.name for field in msgspec.structs.fields(ListedModel))
_row: Final = msgspec.json.Decoder(ListedModel)


def rows_of(listed: Iterable[msgspec.Raw]) -> list[ListedModel]:
    """The rows that name a model, each once; what else is in a row counts where it has the form it should have."""
    rows = dict[str, ListedModel]()
    for raw in listed:
        row = _read(raw)
        if row is not None and is_name(row.id):
            rows.setdefault(row.id, row)
        if len(rows) == MODELS_MAX:
            break
    return list(rows.values())


def is_name(name: str) -> bool:
    """Whether a model can go by that name: it is shown, written into files, and sent in headers."""
    return (
        bool(name.strip())
        and len(name) <= NAME_MAX
        and not has_unseen(name)
        and not set(name) & set("\n\r\t")
    )


def _read(raw: msgspec.Raw) -> ListedModel | None:
    try:
        return _row.decode(raw)
    except (msgspec.ValidationError, UnicodeDecodeError):
        pass
    except (msgspec.DecodeError, RecursionError):
        return None
    try:
        told = msgspec.json.decode(raw, type=dict[str, Any])
        name = msgspec.convert(told.get("id"), str)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    kept: dict[str, Any] = {"id": name}
    for field in _fields & told.keys():
        try:
            msgspec.convert({"id": name, field: told[field]}, ListedModel, strict=False)
        except msgspec.ValidationError:
            continue
        kept[field] = told[field]
    return msgspec.convert(kept, ListedModel, strict=False)


def offer_of(
    model: ListedModel, *, host: str, is_openai: bool = False, is_believed: bool = True
) -> ModelOffer | None:
    """What the model can be asked for at `host`; None if nothing of ours.

    `is_openai`: it is the lab's own host. `is_believed`: what a server says made its models may be taken for true.
    """
    capabilities = _openai(model.id) if is_openai else _told(model)
    if capabilities is None:
        return None
    told = (
        model.max_model_len,
        model.context_length,
        model.context_window,
        model.max_context_length,
        model.meta and model.meta.n_ctx,
        _least_context(model),
    )
    goes_on = model.owned_by in CONTINUE and is_believed
    if goes_on and "streaming" in capabilities:  # the same servers go on with any text
        capabilities |= COMPLETE
    return ModelOffer(
        id=model.id,
        context=next((each for each in told if each and 0 < each <= CONTEXT_MAX), CONTEXT_UNKNOWN),
        capabilities=capabilities,
        continuation="prefill" if goes_on else "instruct" if "streaming" in capabilities else "none",
        price=_price(model.pricing, host),
    )


def _openai(name: str) -> frozenset[Capability] | None:
    if name.startswith("text-embedding-"):
        return VECTORS
    if not _OPENAI_CHAT.match(name) or _OPENAI_OTHER.search(name):
        return None
    found = set[Capability](PLAIN)
    if not _OPENAI_OLD.match(name):
        found |= {"tools", "structured_output"}
    elif not name.startswith(("chatgpt-", "o1-")):
        found.add("tools")
    if not _OPENAI_BLIND.match(name):
        found.add("vision")
        if not _OPENAI_OLD.match(name):
            found.add("documents")
    if _OPENAI_THINKS.match(name):
        found.add("thinking")
    return frozenset(found)


def _told(model: ListedModel) -> frozenset[Capability] | None:
    name, shape = model.id.lower(), model.architecture
    able = cast("dict[str, Any]", model.capabilities) if isinstance(model.capabilities, dict) else {}
    if shape is not None and shape.output_modalities and "text" not in shape.output_modalities:
        return VECTORS if "embeddings" in shape.output_modalities else None
    if able.get("completion_chat") is False or model.supports_chat is False or model.type in _NO_WORDS:
        return VECTORS if _EMBEDS.search(name) or model.type == "embedding" else None
    if _NO_TEXT.search(name):
        return None
    if _EMBEDS.search(name):
        return VECTORS
    found = set[Capability](PLAIN)
    parameters = set(model.supported_parameters or ())
    tags = cast("list[object]", model.tags) if isinstance(model.tags, list) else []
    if (
        "tools" in parameters
        or able.get("function_calling") is True
        or model.supports_tools is True
        or "tool-use" in tags
        or _all_can(model, "supports_tools")
    ):
        found.add("tools")
    if (
        "structured_outputs" in parameters
        or model.owned_by in GUIDED
        or _all_can(model, "supports_structured_output")
    ):
        found.add("structured_output")
    if "reasoning" in parameters or "reasoning" in tags or model.supports_reasoning is True:
        found.add("thinking")
    if (
        (shape is not None and "image" in shape.input_modalities)
        or able.get("vision") is True
        or model.supports_image_input is True
        or model.supports_image_in is True
        or "vision" in tags
    ):
        found.add("vision")
    if shape is not None and "file" in shape.input_modalities:
        found.add("documents")
    return frozenset(found)


def _behind(model: ListedModel) -> list[dict[str, Any]]:
    rows = cast("list[object]", model.providers) if isinstance(model.providers, list) else []
    return [cast("dict[str, Any]", row) for row in rows if isinstance(row, dict)]


def _all_can(model: ListedModel, word: str) -> bool:
    """Whether everybody who may be asked behind it can: which of them is, is not ours to say."""
    behind = _behind(model)
    return bool(behind) and all(row.get(word) is True for row in behind)


def _least_context(model: ListedModel) -> int | None:
    told = [row.get("context_length") for row in _behind(model)]
    return min((each for each in told if isinstance(each, int) and each > 0), default=None)


def _price(pricing: dict[str, Any] | None, host: str) -> Price | None:
    """USD a token as words, as OpenRouter tells them; None where it tells none, or that it depends."""
    if pricing is None:
        return None
    rates = {
        name: _rate(pricing.get(name))
        for name in ("prompt", "completion", "input_cache_read", "input_cache_write")
    }
    if rates["prompt"] is None or rates["completion"] is None:
        return None
    return Price(
        input=rates["prompt"],
        output=rates["completion"],
        cache_read=rates["input_cache_read"],
        cache_write=rates["input_cache_write"],
        source=f"told by {host}",
    )


def _rate(told: object) -> float | None:
    try:
        rate = round(float(told) * 1_000_000, 6) if isinstance(told, str | int | float) else None
    except ValueError:
        return None
    return rate if rate is not None and 0 <= rate < 1e6 else None
