"""`/api/v1/tasks`: what is to be run, and what became of it."""

from typing import Any

import msgspec

from legion_core.api.task_types import STATUSES, Accepted, Line, Order, Reason, TaskRow, TaskView
from legion_core.kernel.errors import InvalidInput
from legion_core.surfaces.rest.calls import Call, Desk, Operation, Parameter, Reply
from legion_core.surfaces.rest.examples import AT
from legion_core.surfaces.rest.paging import PAGE_PARAMETERS, WAIT_PARAMETER, chosen, limit_of, wait_of


class TaskBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A task to run: `extension.runner.function` and its arguments, now or in `delay_s` seconds.

    `expires_s`: it is not begun later than that; 0 is never too late.
    """

    task: str
    args: dict[str, Any] = {}
    delay_s: float = 0.0
    priority: int = 0
    idempotency_key: str = ""
    expires_s: float = 0.0
    timeout_s: float | None = None


class BatchBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Tasks that are accepted together or not at all."""

    tasks: tuple[TaskBody, ...]


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """The ids of accepted tasks, in the order given."""

    ids: tuple[str, ...]


async def submit_task(desk: Desk, call: Call) -> Reply:
    """Durable when this is answered; an Idempotency-Key also outlives the node."""
    body = call.read(TaskBody)
    key = body.idempotency_key or call.headers.get("idempotency-key", "")
    accepted = await desk.legion.tasks.submit(_order(body, key), call.who)
    return Reply(accepted, status=201)


async def submit_batch(desk: Desk, call: Call) -> Reply:
    """All or none."""
    orders = [_order(body, body.idempotency_key) for body in call.read(BatchBody).tasks]
    accepted = await desk.legion.tasks.submit_many(orders, call.who)
    return Reply(Batch(ids=tuple(each.id for each in accepted)), status=201)


async def list_tasks(desk: Desk, call: Call) -> Reply:
    """Newest first."""
    limit = limit_of(desk, call)
    page = await desk.legion.tasks.list(
        status=chosen(call, "status", STATUSES),
        task=call.query.get("task", ""),
        run=call.query.get("run", ""),
        limit=limit,
        cursor=call.query.get("cursor", ""),
    )
    return Reply(page.tasks, meta={"limit": limit, "next": page.next or None})


async def show_task(desk: Desk, call: Call) -> Reply:
    """With arguments and result; `wait_s` waits so long for its end, and answers with what there is then."""
    wait_s = wait_of(call)
    task_id = call.path["id"]
    if wait_s:
        return Reply(await desk.legion.tasks.wait_at_most(task_id, wait_s))
    return Reply(await desk.legion.tasks.get(task_id))


async def task_logs(desk: Desk, call: Call) -> Reply:
    """What it wrote, oldest first."""
    return Reply(await desk.legion.tasks.logs(call.path["id"]))


async def cancel_task(desk: Desk, call: Call) -> Reply:
    """A waiting task at once, a running one as soon as it stops."""
    return Reply(await desk.legion.tasks.cancel(call.path["id"], call.who))


async def retry_task(desk: Desk, call: Call) -> Reply:
    """What failed, died, was blocked, expired or is unknown."""
    return Reply(await desk.legion.tasks.retry(call.path["id"], call.who))


def _order(body: TaskBody, key: str) -> Order:
    if not isinstance(body.args, dict):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidInput("`args` is an object.")
    return Order(
        task=body.task,
        args=body.args,
        delay_s=body.delay_s,
        priority=body.priority,
        idempotency_key=key,
        expires_s=body.expires_s,
        timeout_s=body.timeout_s,
    )


_READ, _WRITE = ("tasks", "read"), ("tasks", "write")
_ONE = "/api/v1/tasks/{id}"
_ID = "task_01kkq8e9x0fjz2m3a4b5c6d7e8"
ROW = TaskRow(
    id=_ID,
    task="http.request.get",
    status="failed",
    legacy_status="task.exception",
    reason=Reason(
        code="task.address_refused",
        sentence="The address 127.0.0.1:9000 is private. Allow it with [engine.http] allow.",
        facts={"address": "127.0.0.1:9000"},
    ),
    attempt=1,
    root=_ID,
    created_at=AT,
    started_at=AT,
    ended_at=AT,
)
VIEW = TaskView(
    id=_ID,
    task="http.request.get",
    status="succeeded",
    legacy_status="task.completed",
    attempt=1,
    root=_ID,
    created_at=AT,
    started_at=AT,
    ended_at=AT,
    args={"url": "https://example.org"},
    result={"status": 200, "url": "https://example.org", "headers": {}, "body": "Hello"},
    effect="pure",
)
_BODY = TaskBody(task="http.request.get", args={"url": "https://example.org"})

OPERATIONS = (
    Operation(
        method="POST",
        path="/api/v1/tasks",
        name="submit_task",
        summary="Run a task",
        handler=submit_task,
        right=_WRITE,
        answer=Accepted,
        example=Accepted(id=_ID, status="running"),
        status=201,
        body=TaskBody,
        body_example=_BODY,
    ),
    Operation(
        method="POST",
        path="/api/v1/tasks/batch",
        name="submit_tasks",
        summary="Run tasks that are accepted together",
        handler=submit_batch,
        right=_WRITE,
        answer=Batch,
        example=Batch(ids=(_ID,)),
        status=201,
        body=BatchBody,
        body_example=BatchBody(tasks=(_BODY,)),
    ),
    Operation(
        method="GET",
        path="/api/v1/tasks",
        name="list_tasks",
        summary="Tasks, newest first",
        handler=list_tasks,
        right=_READ,
        answer=tuple[TaskRow, ...],
        example=(ROW,),
        query=(
            Parameter("status", "Only these.", {"type": "string", "enum": list(STATUSES)}),
            Parameter("task", "Only this function."),
            Parameter("run", "Only those of this run of a chain."),
            *PAGE_PARAMETERS,
        ),
    ),
    Operation(
        method="GET",
        path=_ONE,
        name="show_task",
        summary="A task with arguments and result",
        handler=show_task,
        right=_READ,
        answer=TaskView,
        example=VIEW,
        query=(WAIT_PARAMETER,),
    ),
    Operation(
        method="GET",
        path=f"{_ONE}/logs",
        name="task_logs",
        summary="What the task wrote",
        handler=task_logs,
        right=_READ,
        answer=tuple[Line, ...],
        example=(Line(task=_ID, number=10_001, at=AT, level="info", text="greeting Ada"),),
    ),
    Operation(
        method="POST",
        path=f"{_ONE}/cancel",
        name="cancel_task",
        summary="End it",
        handler=cancel_task,
        right=_WRITE,
        answer=TaskView,
        example=VIEW,
    ),
    Operation(
        method="POST",
        path=f"{_ONE}/retry",
        name="retry_task",
        summary="Queue it again",
        handler=retry_task,
        right=_WRITE,
        answer=TaskView,
        example=VIEW,
    ),
)
