"""The Ollama dialect on our port: chats, completions, vectors, and what its clients ask before they ask."""

import hashlib
from typing import Annotated

import msgspec

from legion_core.api.types import Lane
from legion_core.gateway.dialects.ollama import CHAT, GENERATE, only_wakes
from legion_core.gateway.dialects.ollama_answer import dated, render_waking
from legion_core.kernel.errors import LegionError, NotFound
from legion_core.surfaces.rest.calls import Call, Desk, Handler, Operation, Raw, Streamed
from legion_core.surfaces.rest.operations.dialects import PINS, TEXTS_MAX, answered, check_headers, failed
from legion_core.surfaces.rest.operations.model_lists import BEGINNING, FREE

VERSION = "0.13.0"  # of the server whose protocol this is: clients ask for one that is new enough
_LATEST = ":latest"
_WORDS = {"streaming": "completion", "embeddings": "embedding", "tools": "tools"} | {
    "vision": "vision",
    "thinking": "thinking",
    "fim": "insert",
}


def answering(name: str) -> Handler:
    """The handler of one of the two questions; a call that asks nothing is answered without asking a model."""
    is_chat = name == CHAT

    async def handle(desk: Desk, call: Call) -> Raw | Streamed:
        woken = only_wakes(call.body, is_chat=is_chat)
        if woken is not None:
            try:
                check_headers(call.headers)
            except LegionError as error:
                return failed(desk.legion.llm.dialects[name], error, desk.ids.new("req"))
            return Raw(render_waking(*woken, created=desk.clock.utc_now(), is_chat=is_chat))
        return answered(desk, call, desk.legion.llm.dialects[name])

    return handle


class EmbedBody(msgspec.Struct, frozen=True, kw_only=True):
    """Fields not named here are ignored."""

    input: str | Annotated[tuple[str, ...], msgspec.Meta(min_length=1, max_length=TEXTS_MAX)]
    model: str = FREE
    dimensions: Annotated[int, msgspec.Meta(ge=0, le=65_536)] | None = None  # 0: as long as they are


class OldEmbedBody(msgspec.Struct, frozen=True, kw_only=True):
    """What one vector was asked for by, in former times."""

    prompt: str
    model: str = FREE


async def embed(desk: Desk, call: Call) -> Raw:
    """One vector per text, in order."""
    request_id, started_s = desk.ids.new("req"), desk.clock.monotonic_s()
    try:
        body = call.read(EmbedBody)
        texts = (body.input,) if isinstance(body.input, str) else body.input
        length = body.dimensions or None
        found = await desk.legion.llm.embed(_wish(body.model), texts, call.who, dimensions=length)
    except LegionError as error:
        return failed(desk.legion.llm.dialects[CHAT], error, request_id)
    answer = {
        "model": body.model,
        "embeddings": found.vectors,
        "total_duration": round((desk.clock.monotonic_s() - started_s) * 1e9),
        "load_duration": 0,
        "prompt_eval_count": found.usage.input_tokens,
    }
    return Raw(msgspec.json.encode(answer))


async def old_embed(desk: Desk, call: Call) -> Raw:
    """One vector, as clients asked before `/api/embed`."""
    request_id = desk.ids.new("req")
    try:
        body = call.read(OldEmbedBody)
        found = await desk.legion.llm.embed(_wish(body.model), (body.prompt,), call.who)
    except LegionError as error:
        return failed(desk.legion.llm.dialects[CHAT], error, request_id)
    return Raw(msgspec.json.encode({"embedding": found.vectors[0]}))


def _wish(model: str) -> str | None:
    return None if model.removesuffix(_LATEST) in ("", "auto", "legion") else model


class Details(msgspec.Struct, frozen=True, kw_only=True):
    """What a model is made of, as far as that is known here."""

    parent_model: str = ""
    format: str = ""
    family: str = ""
    families: tuple[str, ...] = ()
    parameter_size: str = ""
    quantization_level: str = ""


class Tag(msgspec.Struct, frozen=True, kw_only=True):
    """One model of the list. `size` is not known of models that run elsewhere; `digest` tells names apart."""

    name: str
    model: str
    digest: str
    details: Details
    modified_at: str = dated(BEGINNING)
    size: int = 0


async def tags(desk: Desk, call: Call) -> Raw:
    """`auto`, which lets the router choose, and every model there is."""
    listed = {FREE: _tag(FREE, "")}
    for lane in await desk.legion.llm.lanes():
        listed.setdefault(lane.offer.id, _tag(lane.offer.id, lane.kind))
    return Raw(msgspec.json.encode({"models": list(listed.values())}))


def _tag(name: str, kind: str) -> Tag:
    digest = hashlib.sha256(name.encode()).hexdigest()
    return Tag(name=name, model=name, digest=digest, details=_details(kind))


def _details(kind: str) -> Details:
    families = (kind,) if kind else ()
    return Details(format="gguf" if kind == "llamacpp" else "", family=kind, families=families)


class ShowBody(msgspec.Struct, frozen=True, kw_only=True):
    """A model's name, under its field's new name or its old one."""

    model: str = ""
    name: str = ""


async def show(desk: Desk, call: Call) -> Raw:
    """What a model can do; `auto` can do what any of them can."""
    request_id = desk.ids.new("req")
    try:
        body = call.read(ShowBody)
        wanted = body.model or body.name
        lanes = _lanes_of(wanted, await desk.legion.llm.lanes())
    except LegionError as error:
        return failed(desk.legion.llm.dialects[CHAT], error, request_id)
    kind = "legion" if _wish(wanted) is None else lanes[0].kind
    can = {word for lane in lanes for word in lane.offer.capabilities}
    answer = {
        "modelfile": "",
        "parameters": "",
        "template": "",
        "details": _details(kind),
        "model_info": {
            "general.architecture": kind,
            f"{kind}.context_length": max((lane.offer.context for lane in lanes), default=0),
        },
        "capabilities": [word for capability, word in _WORDS.items() if capability in can],
        "modified_at": dated(BEGINNING),
    }
    return Raw(msgspec.json.encode(answer))


def _lanes_of(name: str, lanes: tuple[Lane, ...]) -> tuple[Lane, ...]:
    if _wish(name) is None:
        return lanes
    found = tuple(lane for lane in lanes if lane.offer.id in (name, name.removesuffix(_LATEST)))
    if not found:
        raise NotFound(f"There is no model {name[:80]!r}.", hint="GET /api/tags lists them.")
    return found


async def version(desk: Desk, call: Call) -> Raw:
    """Which server's protocol this is."""
    return Raw(msgspec.json.encode({"version": VERSION}))


async def greet(desk: Desk, call: Call) -> Raw:
    """The words by which this protocol's clients know that somebody is there."""
    return Raw(b"Ollama is running", media_type="text/plain; charset=utf-8")


_USE = ("gateway/chat", "use")
_EMBED = ("gateway/embed", "use")
_DONE = {"done": True, "done_reason": "stop", "prompt_eval_count": 42, "eval_count": 118}
_HEAD = {"model": "smollm2-135m", "created_at": "2026-03-14T09:26:53Z"}

OPERATIONS = (
    Operation(
        method="POST",
        path="/api/chat",
        name="ollama_chat",
        summary="Ollama chat",
        handler=answering(CHAT),
        right=_USE,
        example={**_HEAD, "message": {"role": "assistant", "content": "Hello there."}, **_DONE},
        body=dict,
        body_example={"model": FREE, "messages": [{"role": "user", "content": "Hello"}], "stream": False},
        query=PINS,
        is_enveloped=False,
    ),
    Operation(
        method="POST",
        path="/api/generate",
        name="ollama_generate",
        summary="Ollama completion of one prompt",
        handler=answering(GENERATE),
        right=_USE,
        example={**_HEAD, "response": "Hello there.", **_DONE},
        body=dict,
        body_example={"model": FREE, "prompt": "Hello", "stream": False},
        query=PINS,
        is_enveloped=False,
    ),
    Operation(
        method="POST",
        path="/api/embed",
        name="ollama_embed",
        summary="Ollama embeddings",
        handler=embed,
        right=_EMBED,
        example={"model": FREE, "embeddings": [[0.1, -0.2]], "prompt_eval_count": 2},
        body=EmbedBody,
        body_example={"model": FREE, "input": ["Hello"]},
        is_enveloped=False,
    ),
    Operation(
        method="POST",
        path="/api/embeddings",
        name="ollama_embeddings",
        summary="One Ollama embedding, as older clients ask",
        handler=old_embed,
        right=_EMBED,
        example={"embedding": [0.1, -0.2]},
        body=OldEmbedBody,
        body_example={"model": FREE, "prompt": "Hello"},
        is_enveloped=False,
    ),
    Operation(
        method="GET",
        path="/api/tags",
        name="ollama_tags",
        summary="Models, as Ollama's clients list them",
        handler=tags,
        right=_USE,
        example={"models": [_tag("smollm2-135m", "llamacpp")]},
        is_enveloped=False,
    ),
    Operation(
        method="POST",
        path="/api/show",
        name="ollama_show",
        summary="What a model can do, as Ollama's clients ask",
        handler=show,
        right=_USE,
        example={"capabilities": ["completion"], "model_info": {"general.architecture": "llamacpp"}},
        body=ShowBody,
        body_example={"model": "smollm2-135m"},
        is_enveloped=False,
    ),
    Operation(
        method="GET",
        path="/api/version",
        name="ollama_version",
        summary="Which Ollama's protocol this is",
        handler=version,
        right=_USE,
        example={"version": VERSION},
        is_enveloped=False,
    ),
    Operation(
        method="GET",
        path="/",
        name="greeting",
        summary="Whether anybody is there, as clients probe with HEAD or GET",
        handler=greet,
        right=_USE,
        example="Ollama is running",
        media_type="text/plain",
        is_enveloped=False,
    ),
)
