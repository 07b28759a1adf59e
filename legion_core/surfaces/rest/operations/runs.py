"""`/api/v1/runs`: how a run of a chain goes, and why each of its nodes and edges went as it did."""

from typing import Annotated, Any

import msgspec

from legion_core.api.chain_types import (
    RUN_STATUSES,
    EdgeExplained,
    EdgeView,
    NodePayload,
    NodeView,
    RunRow,
    RunView,
)
from legion_core.api.task_types import Reason
from legion_core.kernel.errors import InvalidInput
from legion_core.surfaces.rest.calls import Call, Desk, Operation, Parameter, Reply
from legion_core.surfaces.rest.examples import AT
from legion_core.surfaces.rest.paging import PAGE_PARAMETERS, WAIT_PARAMETER, chosen, limit_of, wait_of


class ReplayBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """From which node a run is done anew; `pins` None: those of the run."""

    from_: Annotated[str, msgspec.Meta(max_length=64)] = msgspec.field(name="from")
    pins: dict[str, Any] | None = None


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """The new run."""

    run: str


async def list_runs(desk: Desk, call: Call) -> Reply:
    """Newest first."""
    limit = limit_of(desk, call)
    page = await desk.legion.chains.runs(
        call.query.get("chain", ""),
        status=chosen(call, "status", RUN_STATUSES),
        limit=limit,
        cursor=call.query.get("cursor", ""),
    )
    return Reply(page.runs, meta={"limit": limit, "next": page.next or None})


async def show_run(desk: Desk, call: Call) -> Reply:
    """With its nodes and edges; `wait_s` waits so long for its end, and answers with what there is then."""
    wait_s = wait_of(call)
    run = call.path["id"]
    if wait_s:
        return Reply(await desk.legion.chains.wait_at_most(run, wait_s))
    return Reply(await desk.legion.chains.get_run(run))


async def cancel_run(desk: Desk, call: Call) -> Reply:
    """With all its sub-chains: what waits at once, what runs as soon as it stops."""
    return Reply(await desk.legion.chains.cancel(call.path["id"], call.who))


async def replay_run(desk: Desk, call: Call) -> Reply:
    """A new run, which takes over what came before that node."""
    body = call.read(ReplayBody)
    row = await desk.legion.chains.replay(call.path["id"], body.from_, pins=body.pins, who=call.who)
    return Reply(Replayed(run=row.id), status=201)


async def show_node(desk: Desk, call: Call) -> Reply:
    """By its key, or by its name for the last time it ran."""
    return Reply(await desk.legion.chains.payload(call.path["id"], call.path["node"]))


async def explain_edge(desk: Desk, call: Call) -> Reply:
    """The condition is held again against what it was decided on."""
    word = call.path["edge"]
    if not (word.isascii() and word.isdecimal() and len(word) < 8):
        raise InvalidInput("An edge is named by its place in the document, from 0.")
    return Reply(await desk.legion.chains.explain(call.path["id"], int(word), call.query.get("at", "")))


_READ, _WRITE = ("chains", "read"), ("chains", "write")
_ONE = "/api/v1/runs/{id}"
RUN = "run_01kkq8e9x0fjz2m3a4b5c6d7e8"
_TASK = "task_01kkq8e9x0fjz2m3a4b5c6d7e9"
RUN_ROW = RunRow(
    id=RUN, chain="fetch-and-tell", version=3, status="succeeded", who="owner", created_at=AT, ended_at=AT
)
_REASON = Reason(
    code="condition.false",
    sentence="The condition asks for result.status = 200, and result.status is 404.",
    facts={"wish": "result.status = 200", "fact": "result.status", "actual": "404"},
)
_RESULT: dict[str, Any] = {"status": 404, "url": "https://example.org", "headers": {}, "body": ""}
_FACTS: dict[str, Any] = {"input": {"url": "https://example.org"}, "results": {}}
RUN_VIEW = RunView(
    id=RUN,
    chain="fetch-and-tell",
    version=3,
    status="succeeded",
    who="owner",
    created_at=AT,
    ended_at=AT,
    input={"url": "https://example.org"},
    nodes=(
        NodeView(
            node="get", key="get", task="http.request.get", status="succeeded", legacy_status="task.completed",
            id=_TASK, attempt=1, started_at=AT, ended_at=AT,
        ),
        NodeView(
            node="tell", key="tell", task="log.message.write", status="skipped", legacy_status="conditioner.failed",
            id="task_01kkq8e9x0fjz2m3a4b5c6d7ea", reason=_REASON, ended_at=AT,
        ),
    ),
    edges=(EdgeView(edge=0, source="get", target="tell", refused=1, reason=_REASON),),
    summary={"get": {"succeeded": 1}, "tell": {"skipped": 1}},
)  # fmt: skip

OPERATIONS = (
    Operation(
        method="GET",
        path="/api/v1/runs",
        name="list_runs",
        summary="Runs of chains, newest first",
        handler=list_runs,
        right=_READ,
        answer=tuple[RunRow, ...],
        example=(RUN_ROW,),
        query=(
            Parameter("chain", "Only those of this chain."),
            Parameter("status", "Only these.", {"type": "string", "enum": list(RUN_STATUSES)}),
            *PAGE_PARAMETERS,
        ),
    ),
    Operation(
        method="GET",
        path=_ONE,
        name="show_run",
        summary="A run with its nodes and edges",
        handler=show_run,
        right=_READ,
        answer=RunView,
        example=RUN_VIEW,
        query=(WAIT_PARAMETER,),
    ),
    Operation(
        method="POST",
        path=f"{_ONE}/cancel",
        name="cancel_run",
        summary="End a run and its sub-chains",
        handler=cancel_run,
        right=_WRITE,
        answer=RunView,
        example=RUN_VIEW,
    ),
    Operation(
        method="POST",
        path=f"{_ONE}/replay",
        name="replay_run",
        summary="Do a run anew from one of its nodes",
        handler=replay_run,
        right=_WRITE,
        answer=Replayed,
        example=Replayed(run=RUN),
        status=201,
        body=ReplayBody,
        body_example=ReplayBody(from_="tell"),
    ),
    Operation(
        method="GET",
        path=f"{_ONE}/edges/{{edge}}",
        name="explain_edge",
        summary="Why an edge led on or not",
        handler=explain_edge,
        right=_READ,
        answer=EdgeExplained,
        example=EdgeExplained(
            run=RUN,
            edge=0,
            source="get",
            target="tell",
            key="get",
            on="success",
            status="succeeded",
            reason=_REASON,
            condition={
                "valid": False,
                "group": "all",
                "rules": [
                    {
                        "fact": "result.status",
                        "operator": "equal",
                        "value": 200,
                        "actual": 404,
                        "result": False,
                    }
                ],
            },
        ),
        query=(
            Parameter("at", "The key of the task before it, of which time is meant; the last if absent."),
        ),
    ),
    Operation(
        method="GET",
        path=f"{_ONE}/nodes/{{node:path}}",
        name="show_run_node",
        summary="What went into a node and what came out",
        handler=show_node,
        right=_READ,
        answer=NodePayload,
        example=NodePayload(
            run=RUN,
            node="get",
            key="get",
            task="http.request.get",
            status="succeeded",
            id=_TASK,
            payload=_FACTS,
            args={"url": "https://example.org"},
            result=_RESULT,
            facts={**_FACTS, "result": _RESULT, "status": "succeeded", "node": "get"},
        ),
    ),
)
