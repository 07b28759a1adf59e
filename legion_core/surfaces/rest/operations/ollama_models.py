"""Models as Ollama's clients manage them: which are in memory, and fetching one."""

import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from legion_core.api.types import PullProgressed
from legion_core.gateway.dialects.ollama import CHAT
from legion_core.gateway.dialects.ollama_answer import dated
from legion_core.kernel.errors import LegionError
from legion_core.surfaces.rest.calls import Call, Client, Desk, Operation, Raw, Streamed
from legion_core.surfaces.rest.operations.dialects import failed
from legion_core.surfaces.rest.operations.ollama import Details

if TYPE_CHECKING:
    from legion_core.api.types import ModelRow

_LATEST = ":latest"
_ENDS = frozenset({"ready", "failed", "cancelled", "paused"})
_KEPT_FOR_EVER = timedelta(days=36_500)
_WORDS = {"queued": "pulling manifest", "verifying": "verifying sha256 digest"}


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """A model in memory; `expires_at` is when it would go if nobody asked it again."""

    name: str
    model: str
    size: int
    digest: str
    details: Details
    expires_at: str
    size_vram: int = 0
    context_length: int = 0


class PullBody(msgspec.Struct, frozen=True, kw_only=True):
    """What to fetch: a name of the catalogue or an address; `name` is the field's old name."""

    model: str = ""
    name: str = ""
    stream: bool = True


class Progress(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of a download."""

    status: str = ""
    digest: str = ""
    total: int = 0
    completed: int = 0
    error: str = ""


async def ps(desk: Desk, call: Call) -> Raw:
    """The models of this computer that are in memory."""
    kept_s = desk.legion.settings.config.models.idle_unload_s
    rows = [row for row in await desk.legion.models.list() if row.is_loaded]
    return Raw(msgspec.json.encode({"models": [_running(desk, row, kept_s) for row in rows]}))


def _running(desk: Desk, row: "ModelRow", kept_s: int) -> Running:
    until = desk.clock.utc_now() + (timedelta(seconds=kept_s) if kept_s else _KEPT_FOR_EVER)
    return Running(
        name=row.name,
        model=row.name,
        size=row.size_bytes,
        digest=row.sha256 or hashlib.sha256(row.name.encode()).hexdigest(),
        details=Details(format="gguf", family=row.architecture, quantization_level=row.quantisation),
        expires_at=dated(until),
        context_length=row.context_max,
    )


async def pull(desk: Desk, call: Call) -> Raw | Streamed:
    """Fetch a model, told as it goes. One that is here, or that another instance offers, is there at once."""
    request_id = desk.ids.new("req")
    try:
        body = call.read(PullBody)
        wanted = (body.model or body.name).strip()
        if await _is_here(desk, wanted):
            done = msgspec.json.encode(Progress(status="success"))
            return Raw(done + b"\n" if body.stream else done, media_type=_media_type(body.stream))
        watch = desk.legion.events.subscribe(PullProgressed, size_max=64)
        try:
            job = await desk.legion.models.pull(wanted.removesuffix(_LATEST))
        except BaseException:
            watch.close()
            raise
    except LegionError as error:
        return failed(desk.legion.llm.dialects[CHAT], error, request_id)

    async def write(client: Client) -> None:
        with watch:
            if body.stream:
                await client.start(200, _media_type(True))
            while True:
                for event in await watch.take():
                    if not isinstance(event, PullProgressed) or event.name != job:
                        continue
                    told = _progress(event)
                    if event.state in _ENDS:
                        await _end(client, told, is_stream=body.stream)
                        return
                    if body.stream:
                        await client.send(msgspec.json.encode(told) + b"\n")

    return Streamed(write)


async def _end(client: Client, told: Progress, *, is_stream: bool) -> None:
    last = msgspec.json.encode(told)
    if is_stream:
        await client.finish(last + b"\n")
    else:
        await client.whole(Raw(last, status=500 if told.error else 200))


def _media_type(is_stream: bool) -> str:
    return "application/x-ndjson" if is_stream else "application/json"


async def _is_here(desk: Desk, wanted: str) -> bool:
    names = {wanted, wanted.removesuffix(_LATEST)}
    return any(lane.offer.id in names for lane in await desk.legion.llm.lanes())


def _progress(event: PullProgressed) -> Progress:
    match event.state:
        case "ready":
            return Progress(status="success")
        case "failed":
            return Progress(error=event.problem or "The download failed.")
        case "cancelled" | "paused":
            return Progress(error=f"The download was {event.state}; asked again it goes on where it stopped.")
        case state:
            return Progress(
                status=_WORDS.get(state, f"pulling {event.name}"),
                digest=event.name if event.total_bytes else "",
                total=event.total_bytes,
                completed=event.done_bytes,
            )


OPERATIONS = (
    Operation(
        method="GET",
        path="/api/ps",
        name="ollama_ps",
        summary="Models in memory, as Ollama's clients list them",
        handler=ps,
        right=("gateway/chat", "use"),
        example={"models": []},
        is_enveloped=False,
    ),
    Operation(
        method="POST",
        path="/api/pull",
        name="ollama_pull",
        summary="Fetch a model, as Ollama's clients do",
        handler=pull,
        right=("models", "manage"),
        example={"status": "success"},
        body=PullBody,
        body_example=PullBody(model="smollm2-135m-instruct", stream=False),
        is_enveloped=False,
    ),
)
