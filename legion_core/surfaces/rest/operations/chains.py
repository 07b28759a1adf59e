"""`/api/v1/chains`: which task follows which, kept in versions, tried dry and run."""

from typing import Annotated, Any

import msgspec

from legion_core.api.chain_types import (
    RUN_STATUSES,
    ChainFault,
    ChainRow,
    ChainVersion,
    ChainView,
    Renamed,
    Rendering,
    RunRow,
    RunView,
)
from legion_core.kernel.errors import InvalidInput
from legion_core.surfaces.rest.calls import Call, Desk, Operation, Parameter, Reply
from legion_core.surfaces.rest.examples import AT
from legion_core.surfaces.rest.operations.runs import RUN, RUN_ROW, RUN_VIEW
from legion_core.surfaces.rest.paging import PAGE_PARAMETERS, chosen, limit_of

VERSION_MAX = 1_000_000_000
Text = Annotated[str, msgspec.Meta(max_length=8 << 20)]


class ChainBody(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A chain as a document; or, as `text` alone, the same as YAML 1.2, whose faults are told with their lines."""

    name: str = ""
    description: str = ""
    nodes: dict[str, Any] = {}
    edges: list[Any] = []
    budget: dict[str, Any] = {}
    text: Text = ""


class RunBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How to run a chain. `pins` are results given to nodes, which are then not run; `dry_run` calls nothing at all."""

    input: Any = None
    dry_run: bool = False
    pins: dict[str, Any] = {}
    version: Annotated[int, msgspec.Meta(ge=0, le=VERSION_MAX)] = 0


class DraftBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A chain that is not kept, as a document or as text, and what to try it with."""

    chain: dict[str, Any] | Text
    input: Any = None
    pins: dict[str, Any] = {}


class RenameBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The new name."""

    to: Annotated[str, msgspec.Meta(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class RenderBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A node as it stands in a chain, and what its templates see."""

    node: dict[str, Any]
    payload: dict[str, Any]


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """Every fault; none if the chain could be applied."""

    faults: tuple[ChainFault, ...]


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """A run that is on disk."""

    run: str


class Deleted(msgspec.Struct, frozen=True, kw_only=True):
    """What is gone."""

    deleted: str


async def apply_chain(desk: Desk, call: Call) -> Reply:
    """A version is kept only if nothing is wrong with it; the same document again gives the version there is."""
    body = call.read(dict[str, Any])
    if "text" in body:
        return Reply(await desk.legion.chains.apply(_text(body), call.who), status=201)
    return Reply(await desk.legion.chains.apply_value(body, call.who), status=201)


async def check_chain(desk: Desk, call: Call) -> Reply:
    """Nothing is kept."""
    body = call.read(dict[str, Any])
    text = _text(body) if "text" in body else msgspec.json.encode(body).decode()
    return Reply(Checked(faults=await desk.legion.chains.validate(text)))


async def preview_chain(desk: Desk, call: Call) -> Reply:
    """Nothing is called, nothing is kept."""
    body = call.read(DraftBody)
    return Reply(await desk.legion.chains.preview(body.chain, body.input, body.pins, call.who))


async def render_node(desk: Desk, call: Call) -> Reply:
    """No model is asked."""
    body = call.read(RenderBody)
    return Reply(await desk.legion.chains.render(body.node, body.payload))


async def list_chains(desk: Desk, call: Call) -> Reply:
    """By name."""
    return Reply(await desk.legion.chains.list())


async def show_chain(desk: Desk, call: Call) -> Reply:
    """With its document."""
    version = call.number("version", default=0, minimum=0, maximum=VERSION_MAX)
    return Reply(await desk.legion.chains.show(call.path["name"], version))


async def list_versions(desk: Desk, call: Call) -> Reply:
    """Newest first."""
    return Reply(await desk.legion.chains.versions(call.path["name"]))


async def rename_chain(desk: Desk, call: Call) -> Reply:
    """What starts it by name follows; runs under way keep the old name."""
    return Reply(await desk.legion.chains.rename(call.path["name"], call.read(RenameBody).to, call.who))


async def delete_chain(desk: Desk, call: Call) -> Reply:
    """Runs under way go on."""
    await desk.legion.chains.delete(call.path["name"], call.who)
    return Reply(Deleted(deleted=call.path["name"]))


async def run_chain(desk: Desk, call: Call) -> Reply:
    """Durable when this is answered."""
    body = call.read(RunBody)
    row = await desk.legion.chains.run(
        call.path["name"],
        body.input,
        dry_run=body.dry_run,
        pins=body.pins,
        version=body.version,
        who=call.who,
    )
    return Reply(Begun(run=row.id), status=201)


async def list_runs_of(desk: Desk, call: Call) -> Reply:
    """Newest first; of a chain that is gone too."""
    limit = limit_of(desk, call)
    page = await desk.legion.chains.runs(
        call.path["name"],
        status=chosen(call, "status", RUN_STATUSES),
        limit=limit,
        cursor=call.query.get("cursor", ""),
    )
    return Reply(page.runs, meta={"limit": limit, "next": page.next or None})


def _text(body: dict[str, Any]) -> str:
    text = body["text"]
    if not isinstance(text, str) or len(body) > 1:
        raise InvalidInput("`text` is the whole chain as YAML, and stands alone.")
    return text


_READ, _WRITE = ("chains", "read"), ("chains", "write")
_ONE = "/api/v1/chains/{name}"
_DOCUMENT: dict[str, Any] = {
    "name": "fetch-and-tell",
    "nodes": {
        "get": {"task": "http.request.get", "args": {"url": "{{ input.url }}"}},
        "tell": {
            "task": "log.message.write",
            "args": {"message": "It has {{ result.body | size }} letters."},
        },
    },
    "edges": [
        {
            "from": "get",
            "to": "tell",
            "when": {"all": [{"fact": "result.status", "operator": "equal", "value": 200}]},
        }
    ],
}
_BODY = ChainBody(name=_DOCUMENT["name"], nodes=_DOCUMENT["nodes"], edges=_DOCUMENT["edges"])
ROW = ChainRow(
    name="fetch-and-tell", version=3, nodes=2, edges=1, applied_at=AT, runs=12, last_run=RUN,
    last_status="succeeded", last_at=AT,
)  # fmt: skip
VIEW = ChainView(
    name="fetch-and-tell", version=3, nodes=2, edges=1, applied_at=AT, runs=12, last_run=RUN,
    last_status="succeeded", last_at=AT, document=_DOCUMENT, text="name: fetch-and-tell\n…",
)  # fmt: skip
_INPUT = {"url": "https://example.org"}

OPERATIONS = (
    Operation(
        method="POST",
        path="/api/v1/chains",
        name="apply_chain",
        summary="Keep a chain as the newest version of its name",
        handler=apply_chain,
        right=_WRITE,
        answer=ChainRow,
        example=ROW,
        status=201,
        body=ChainBody,
        body_example=_BODY,
    ),
    Operation(
        method="POST",
        path="/api/v1/chains/check",
        name="check_chain",
        summary="Everything wrong with a chain, before it is kept",
        handler=check_chain,
        right=_READ,
        answer=Checked,
        example=Checked(
            faults=(
                ChainFault(key="edges[0].to", message="there is no node 'tel'.", hint="Did you mean 'tell'?"),
            )
        ),
        body=ChainBody,
        body_example=_BODY,
    ),
    Operation(
        method="POST",
        path="/api/v1/chains/preview",
        name="preview_chain",
        summary="What a chain would do, decided on pinned and earlier results",
        handler=preview_chain,
        right=_READ,
        answer=RunView,
        example=RUN_VIEW,
        body=DraftBody,
        body_example=DraftBody(chain=_DOCUMENT, input=_INPUT, pins={"get": {"status": 200, "body": "Hello"}}),
    ),
    Operation(
        method="POST",
        path="/api/v1/chains/render",
        name="render_node",
        summary="What a node's arguments and transform give",
        handler=render_node,
        right=_READ,
        answer=Rendering,
        example=Rendering(args=_INPUT),
        body=RenderBody,
        body_example=RenderBody(node=_DOCUMENT["nodes"]["get"], payload={"input": _INPUT, "results": {}}),
    ),
    Operation(
        method="GET",
        path="/api/v1/chains",
        name="list_chains",
        summary="All chains, and how their latest runs went",
        handler=list_chains,
        right=_READ,
        answer=tuple[ChainRow, ...],
        example=(ROW,),
    ),
    Operation(
        method="GET",
        path=_ONE,
        name="show_chain",
        summary="A chain with its document",
        handler=show_chain,
        right=_READ,
        answer=ChainView,
        example=VIEW,
        query=(
            Parameter(
                "version",
                "Which; the newest for 0.",
                {"type": "integer", "minimum": 0, "maximum": VERSION_MAX, "default": 0},
            ),
        ),
    ),
    Operation(
        method="POST",
        path=f"{_ONE}/rename",
        name="rename_chain",
        summary="Give a chain another name",
        handler=rename_chain,
        right=_WRITE,
        answer=Renamed,
        example=Renamed(version=3, schedules=("morning",)),
        body=RenameBody,
        body_example=RenameBody(to="fetch-and-say"),
    ),
    Operation(
        method="DELETE",
        path=_ONE,
        name="delete_chain",
        summary="Take a chain away",
        handler=delete_chain,
        right=_WRITE,
        answer=Deleted,
        example=Deleted(deleted="fetch-and-tell"),
    ),
    Operation(
        method="GET",
        path=f"{_ONE}/versions",
        name="list_chain_versions",
        summary="What was kept under this name",
        handler=list_versions,
        right=_READ,
        answer=tuple[ChainVersion, ...],
        example=(
            ChainVersion(
                name="fetch-and-tell", version=3, applied_at=AT, who="owner", nodes=2, edges=1, runs=12
            ),
        ),
    ),
    Operation(
        method="POST",
        path=f"{_ONE}/run",
        name="run_chain",
        summary="Run a chain",
        handler=run_chain,
        right=_WRITE,
        answer=Begun,
        example=Begun(run=RUN),
        status=201,
        body=RunBody,
        body_example=RunBody(input=_INPUT),
    ),
    Operation(
        method="GET",
        path=f"{_ONE}/runs",
        name="list_runs_of_chain",
        summary="The runs of a chain, newest first",
        handler=list_runs_of,
        right=_READ,
        answer=tuple[RunRow, ...],
        example=(RUN_ROW,),
        query=(
            Parameter("status", "Only these.", {"type": "string", "enum": list(RUN_STATUSES)}),
            *PAGE_PARAMETERS,
        ),
    ),
)
