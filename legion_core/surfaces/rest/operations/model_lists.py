"""The models as each family of clients lists them: OpenAI's and Anthropic's in one shape, Gemini's in its own."""

from datetime import UTC, datetime
from typing import Final

import msgspec

from legion_core.api.types import Lane
from legion_core.gateway.dialects.gemini import NAME as GEMINI
from legion_core.kernel.errors import NotFound
from legion_core.surfaces.rest import examples
from legion_core.surfaces.rest.calls import Call, Desk, Operation, Raw
from legion_core.surfaces.rest.operations.dialects import failed

FREE: Final = "auto"  # lets the router choose
BEGINNING: Final = datetime(2024, 1, 1, tzinfo=UTC)  # models have no date of their own, clients insist on one
_PREFIX: Final = "models/"


class ModelEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A model as both OpenAI's and Anthropic's clients read it."""

    id: str
    object: str = "model"
    type: str = "model"
    created: int = int(BEGINNING.timestamp())
    created_at: str = BEGINNING.strftime("%Y-%m-%dT%H:%M:%SZ")
    owned_by: str = "legion"
    display_name: str = ""


async def list_models(desk: Desk, call: Call) -> Raw:
    """`auto`, which lets the router choose, and every model there is."""
    if _is_gemini(call):
        return await list_gemini_models(desk, call)
    # Anthropic's clients can do nothing with a model that makes vectors.
    entries = model_entries(
        await desk.legion.llm.lanes(), with_vectors="anthropic-version" not in call.headers
    )
    answer = {
        "object": "list",
        "data": entries,
        "has_more": False,
        "first_id": entries[0].id,
        "last_id": entries[-1].id,
    }
    return Raw(msgspec.json.encode(answer))


async def show_model(desk: Desk, call: Call) -> Raw:
    """One of them."""
    if _is_gemini(call):
        return await show_gemini_model(desk, call)
    name = call.path["name"]
    for entry in model_entries(await desk.legion.llm.lanes()):
        if entry.id == name:
            return Raw(msgspec.json.encode(entry))
    raise NotFound(f"There is no model {name[:80]!r}.", hint="GET /v1/models lists them.")


def model_entries(lanes: tuple[Lane, ...], *, with_vectors: bool = True) -> list[ModelEntry]:
    """Each model once: the router's choice first, those that only make vectors last."""
    entries = {"auto": ModelEntry(id="auto", display_name="Let the router choose")}
    chats = [lane for lane in lanes if "streaming" in lane.offer.capabilities]
    vectors = [lane for lane in lanes if "streaming" not in lane.offer.capabilities]
    for lane in (*chats, *(vectors if with_vectors else ())):
        entries.setdefault(
            lane.offer.id, ModelEntry(id=lane.offer.id, owned_by=lane.instance, display_name=lane.offer.id)
        )
    return list(entries.values())


class GeminiEntry(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A model as Gemini's clients read it."""

    name: str
    base_model_id: str
    version: str = "1"
    display_name: str
    description: str = ""
    input_token_limit: int
    output_token_limit: int
    supported_generation_methods: tuple[str, ...] = ("generateContent", "countTokens")
    thinking: bool = False


async def list_gemini_models(desk: Desk, call: Call) -> Raw:
    """`auto`, which lets the router choose, and every model that answers."""
    return Raw(msgspec.json.encode({"models": gemini_entries(await desk.legion.llm.lanes())}))


async def show_gemini_model(desk: Desk, call: Call) -> Raw:
    """One of them."""
    name = call.path["name"].removeprefix(_PREFIX)
    for entry in gemini_entries(await desk.legion.llm.lanes()):
        if entry.base_model_id == name:
            return Raw(msgspec.json.encode(entry))
    error = NotFound(f"There is no model {name[:80]!r}.", hint="GET /v1beta/models lists them.")
    return failed(desk.legion.llm.dialects[GEMINI], error, desk.ids.new("req"))


def gemini_entries(lanes: tuple[Lane, ...]) -> list[GeminiEntry]:
    """Each model once, the router's choice first."""
    chats = [lane.offer for lane in lanes if "streaming" in lane.offer.capabilities]
    most = max((offer.context for offer in chats), default=0)
    thinks = any("thinking" in offer.capabilities for offer in chats)
    found = {FREE: _entry(FREE, "Let the router choose", most, thinks)}
    for offer in chats:
        found.setdefault(
            offer.id, _entry(offer.id, offer.id, offer.context, "thinking" in offer.capabilities)
        )
    return list(found.values())


def _entry(name: str, title: str, context: int, thinks: bool) -> GeminiEntry:
    return GeminiEntry(
        name=_PREFIX + name,
        base_model_id=name,
        display_name=title,
        input_token_limit=context,
        output_token_limit=context,
        thinking=thinks,
    )


def _is_gemini(call: Call) -> bool:
    """Whether a client of Gemini's asks under the version that it shares with OpenAI's."""
    return "x-goog-api-client" in call.headers or "x-goog-api-key" in call.headers


_USE = ("gateway/chat", "use")

OPERATIONS = (
    Operation(
        method="GET",
        path="/v1/models",
        name="list_dialect_models",
        summary="Models, as the client lists them: OpenAI's and Anthropic's, or Gemini's",
        handler=list_models,
        right=_USE,
        example={"object": "list", "data": [ModelEntry(id=examples.LANE.offer.id)], "has_more": False},
        is_enveloped=False,
    ),
    Operation(
        method="GET",
        path="/v1/models/{name:path}",
        name="show_dialect_model",
        summary="One model",
        handler=show_model,
        right=_USE,
        answer=ModelEntry,
        example=ModelEntry(id=examples.LANE.offer.id),
        is_enveloped=False,
    ),
    Operation(
        method="GET",
        path="/v1beta/models",
        name="list_gemini_models",
        summary="Models, as Gemini's clients list them",
        handler=list_gemini_models,
        right=_USE,
        example={"models": gemini_entries((examples.LANE,))},
        is_enveloped=False,
    ),
    Operation(
        method="GET",
        path="/v1beta/models/{name:path}",
        name="show_gemini_model",
        summary="One model, as Gemini's clients read it",
        handler=show_gemini_model,
        right=_USE,
        answer=GeminiEntry,
        example=gemini_entries((examples.LANE,))[0],
        is_enveloped=False,
    ),
)
