"""`/api/v1/models`: model files on this computer. A name may hold slashes."""

import msgspec

from legion_core.api.types import ModelFit, ModelRow, PullProgressed
from legion_core.surfaces.rest import examples
from legion_core.surfaces.rest.calls import Call, Desk, Operation, Parameter, Reply

CONTEXT_MAX = 10_000_000
_CONTEXT = Parameter("context", "For how many tokens the fit is reckoned.", {"type": "integer", "minimum": 1})


class PullBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A name of the catalogue or the URL of a GGUF file; `allow_private` where it is in your own network."""

    name: str
    allow_private: bool = False


class ImportBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A GGUF file on this computer; it is copied."""

    path: str


class Pulling(msgspec.Struct, frozen=True, kw_only=True):
    """A download under way: its `PullProgressed` events carry this name."""

    name: str


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What was done, to what."""

    name: str
    done: str


async def list_models(desk: Desk, call: Call) -> Reply:
    """Every model file, with whether it fits."""
    context = call.number("context", default=0, maximum=CONTEXT_MAX)
    return Reply(await desk.legion.models.list(context=context or None))


async def list_catalogue(desk: Desk, call: Call) -> Reply:
    """What can be pulled by name."""
    return Reply(desk.legion.models.catalogue())


async def fit_model(desk: Desk, call: Call) -> Reply:
    """The arithmetic of whether it fits."""
    context = call.number("context", default=4096, maximum=CONTEXT_MAX)
    return Reply(await desk.legion.models.fit(call.path["name"], context))


async def pull_model(desk: Desk, call: Call) -> Reply:
    """Start a download; progress comes as events."""
    body = call.read(PullBody)
    name = await desk.legion.models.pull(body.name, allow_private=body.allow_private)
    return Reply(Pulling(name=name), status=202)


async def list_pulls(desk: Desk, call: Call) -> Reply:
    """Every download that runs, waits or was paused."""
    return Reply(await desk.legion.models.pulls())


async def pause_pull(desk: Desk, call: Call) -> Reply:
    """It stays paused over restarts."""
    await desk.legion.models.pause_pull(call.path["name"])
    return Reply(Done(name=call.path["name"], done="paused"))


async def resume_pull(desk: Desk, call: Call) -> Reply:
    """It goes on where it stopped."""
    await desk.legion.models.resume_pull(call.path["name"])
    return Reply(Done(name=call.path["name"], done="resumed"))


async def import_model(desk: Desk, call: Call) -> Reply:
    """Take in a file of this computer."""
    return Reply(await desk.legion.models.import_file(call.read(ImportBody).path), status=201)


async def measure_model(desk: Desk, call: Call) -> Reply:
    """A short run that measures tokens per second."""
    return Reply(await desk.legion.models.measure(call.path["name"]))


async def unload_model(desk: Desk, call: Call) -> Reply:
    """Free its memory."""
    await desk.legion.models.unload(call.path["name"])
    return Reply(Done(name=call.path["name"], done="unloaded"))


async def cancel_pull(desk: Desk, call: Call) -> Reply:
    """Stop a download; what arrived is kept for the next try."""
    await desk.legion.models.cancel_pull(call.path["name"])
    return Reply(Done(name=call.path["name"], done="cancelled"))


async def remove_model(desk: Desk, call: Call) -> Reply:
    """Delete the file."""
    await desk.legion.models.remove(call.path["name"])
    return Reply(Done(name=call.path["name"], done="removed"))


_READ, _MANAGE = ("models", "read"), ("models", "manage")
_NAME = "/api/v1/models/{name:path}"

OPERATIONS = (
    Operation(
        method="GET",
        path="/api/v1/models",
        name="list_models",
        summary="Model files on this computer",
        handler=list_models,
        right=_READ,
        answer=tuple[ModelRow, ...],
        example=(examples.MODEL,),
        query=(_CONTEXT,),
    ),
    Operation(
        method="GET",
        path="/api/v1/models/catalogue",
        name="list_catalogue",
        summary="Models that can be pulled by name",
        handler=list_catalogue,
        right=_READ,
        example=(),
    ),
    Operation(
        method="POST",
        path="/api/v1/models/pull",
        name="pull_model",
        summary="Download a model; progress comes as `PullProgressed` events",
        handler=pull_model,
        right=_MANAGE,
        answer=Pulling,
        example=Pulling(name="qwen2.5-0.5b"),
        status=202,
        body=PullBody,
        body_example=PullBody(name="qwen2.5-0.5b"),
    ),
    Operation(
        method="POST",
        path="/api/v1/models/import",
        name="import_model",
        summary="Take in a GGUF file of this computer",
        handler=import_model,
        right=_MANAGE,
        answer=ModelRow,
        example=examples.MODEL,
        status=201,
        body=ImportBody,
        body_example=ImportBody(path="/home/ada/Downloads/model.gguf"),
    ),
    Operation(
        method="GET",
        path=f"{_NAME}/fit",
        name="fit_model",
        summary="Whether it fits this computer, with the arithmetic",
        handler=fit_model,
        right=_READ,
        answer=ModelFit,
        example=examples.FIT,
        query=(_CONTEXT,),
    ),
    Operation(
        method="POST",
        path=f"{_NAME}/measure",
        name="measure_model",
        summary="Measure tokens per second in a short run",
        handler=measure_model,
        right=_MANAGE,
        answer=ModelRow,
        example=examples.MODEL,
    ),
    Operation(
        method="POST",
        path=f"{_NAME}/unload",
        name="unload_model",
        summary="Free its memory",
        handler=unload_model,
        right=_MANAGE,
        answer=Done,
        example=Done(name="smollm2-135m", done="unloaded"),
    ),
    Operation(
        method="GET",
        path="/api/v1/models/pulls",
        name="list_pulls",
        summary="Downloads that run, wait or were paused",
        handler=list_pulls,
        right=_READ,
        answer=tuple[PullProgressed, ...],
        example=(
            PullProgressed(
                at_utc=examples.AT,
                at_mono_s=12.5,
                name="qwen2.5-0.5b",
                state="downloading",
                done_bytes=1_000_000,
                total_bytes=4_000_000,
                bytes_per_s=250_000.0,
            ),
        ),
    ),
    Operation(
        method="POST",
        path=f"{_NAME}/pause",
        name="pause_pull",
        summary="Hold a download",
        handler=pause_pull,
        right=_MANAGE,
        answer=Done,
        example=Done(name="qwen2.5-0.5b", done="paused"),
    ),
    Operation(
        method="POST",
        path=f"{_NAME}/resume",
        name="resume_pull",
        summary="Go on with a download",
        handler=resume_pull,
        right=_MANAGE,
        answer=Done,
        example=Done(name="qwen2.5-0.5b", done="resumed"),
    ),
    Operation(
        method="POST",
        path=f"{_NAME}/cancel",
        name="cancel_pull",
        summary="Stop its download",
        handler=cancel_pull,
        right=_MANAGE,
        answer=Done,
        example=Done(name="qwen2.5-0.5b", done="cancelled"),
    ),
    Operation(
        method="DELETE",
        path=_NAME,
        name="remove_model",
        summary="Delete its file",
        handler=remove_model,
        right=_MANAGE,
        answer=Done,
        example=Done(name="qwen2.5-0.5b", done="removed"),
    ),
)
