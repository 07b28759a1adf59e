"""`POST /hooks/{name}`, where others deliver, and `/api/v1/hooks`, which says what a delivery starts."""

from typing import Annotated, Any

import msgspec

from legion_core.api.webhook_types import Delivery, HookAdded, HookRow, HookSpec, Scheme
from legion_core.kernel.errors import Denied
from legion_core.surfaces.rest.calls import Call, Desk, Operation, Parameter, Raw, Reply
from legion_core.surfaces.rest.examples import AT
from legion_core.surfaces.rest.failures import body_of, fault
from legion_core.surfaces.rest.paging import PAGE_PARAMETERS, limit_of


class HookBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A webhook: what a delivery starts, and how its sender signs. Without `secret`, a reference, one is made.

    `args` are rendered over `body`, `headers`, `query`, `delivery` and `hook`; without any, the body itself is what the
    target gets.
    """

    name: Annotated[str, msgspec.Meta(max_length=1000)]
    target: Annotated[str, msgspec.Meta(max_length=1000)]
    args: dict[str, Any] = {}
    scheme: Scheme = "any"
    secret: Annotated[str, msgspec.Meta(max_length=1000)] = ""
    window_s: float = 300.0


class RemovedHook(msgspec.Struct, frozen=True, kw_only=True):
    """What is gone."""

    removed: str


async def receive(desk: Desk, call: Call) -> Reply | Raw:
    """Whatever is wrong with the signature gets one answer."""
    try:
        delivery = await desk.legion.hooks.receive(call.path["name"], call.headers, call.query, call.body)
    except Denied as error:
        if error.public_code != "unsigned":
            raise
        return Raw(body_of(fault(401, error.public_code, error.message, error.hint)), status=401)
    return Reply(delivery, status=202)


async def list_hooks(desk: Desk, call: Call) -> Reply:
    """By name."""
    return Reply(await desk.legion.hooks.list())


async def add_hook(desk: Desk, call: Call) -> Reply:
    """The secret is shown this once."""
    spec = msgspec.convert(msgspec.structs.asdict(call.read(HookBody)), HookSpec)
    return Reply(await desk.legion.hooks.add(spec, call.who), status=201)


async def show_hook(desk: Desk, call: Call) -> Reply:
    """With its latest delivery."""
    return Reply(await desk.legion.hooks.get(call.path["name"]))


async def remove_hook(desk: Desk, call: Call) -> Reply:
    """With its deliveries and the secret that was made for it."""
    await desk.legion.hooks.remove(call.path["name"], call.who)
    return Reply(RemovedHook(removed=call.path["name"]))


async def pause_hook(desk: Desk, call: Call) -> Reply:
    """Its senders are told to try again."""
    return Reply(await desk.legion.hooks.pause(call.path["name"], call.who))


async def resume_hook(desk: Desk, call: Call) -> Reply:
    """From now on."""
    return Reply(await desk.legion.hooks.resume(call.path["name"], call.who))


async def list_deliveries(desk: Desk, call: Call) -> Reply:
    """Latest first."""
    limit = limit_of(desk, call)
    page = await desk.legion.hooks.deliveries(
        call.path["name"], limit=limit, cursor=call.query.get("cursor", "")
    )
    return Reply(page.deliveries, meta={"limit": limit, "next": page.next or None})


_READ, _WRITE = ("hooks", "read"), ("hooks", "write")
_ONE = "/api/v1/hooks/{name}"
_DELIVERY = Delivery(
    hook="deploy",
    delivery="msg_2KWPBgLlAfxdpx2AI54pPJ85f4W",
    at=AT,
    status="started",
    task="task_01kkq8e9x0fjz2m3a4b5c6d7e8",
    bytes=24,
)
_ARGS = {"message": "{{ body.event }}"}
_ROW = HookRow(
    name="deploy",
    path="/hooks/deploy",
    target="log.message.write",
    args=_ARGS,
    scheme="any",
    secret="keyring://hook-deploy",  # noqa: S106 - a reference
    window_s=300.0,
    state="active",
    last=_DELIVERY,
    created_at=AT,
    changed_at=AT,
)
_ADDED = HookAdded(
    name="deploy",
    path="/hooks/deploy",
    target="log.message.write",
    args=_ARGS,
    scheme="any",
    secret="keyring://hook-deploy",  # noqa: S106 - a reference
    window_s=300.0,
    state="active",
    created_at=AT,
    changed_at=AT,
    signing_secret="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",  # noqa: S106 - the example of the specification
)

OPERATIONS = (
    Operation(
        method="POST",
        path="/hooks/{name}",
        name="receive_hook",
        summary="Deliver to a webhook: signed by its secret, without a token",
        handler=receive,
        right=None,
        is_signed=True,
        answer=Delivery,
        example=_DELIVERY,
        status=202,
        body=dict,
        body_example={"event": "pushed"},
        query=(
            Parameter("webhook-id", "The delivery's id; the same one starts nothing twice.", place="header"),
            Parameter("webhook-timestamp", "When it was signed, in seconds.", place="header"),
            Parameter("webhook-signature", "`v1,` and the HMAC-SHA256 in base64.", place="header"),
        ),
    ),
    Operation(
        method="GET",
        path="/api/v1/hooks",
        name="list_hooks",
        summary="Webhooks, by name",
        handler=list_hooks,
        right=_READ,
        answer=tuple[HookRow, ...],
        example=(_ROW,),
    ),
    Operation(
        method="POST",
        path="/api/v1/hooks",
        name="add_hook",
        summary="Open an address for deliveries",
        handler=add_hook,
        right=_WRITE,
        answer=HookAdded,
        example=_ADDED,
        status=201,
        body=HookBody,
        body_example=HookBody(name="deploy", target="log.message.write", args=_ARGS),
    ),
    Operation(
        method="GET",
        path=_ONE,
        name="show_hook",
        summary="One webhook",
        handler=show_hook,
        right=_READ,
        answer=HookRow,
        example=_ROW,
    ),
    Operation(
        method="DELETE",
        path=_ONE,
        name="remove_hook",
        summary="Close the address",
        handler=remove_hook,
        right=_WRITE,
        answer=RemovedHook,
        example=RemovedHook(removed="deploy"),
    ),
    Operation(
        method="POST",
        path=f"{_ONE}/pause",
        name="pause_hook",
        summary="Take no deliveries",
        handler=pause_hook,
        right=_WRITE,
        answer=HookRow,
        example=_ROW,
    ),
    Operation(
        method="POST",
        path=f"{_ONE}/resume",
        name="resume_hook",
        summary="Take deliveries again",
        handler=resume_hook,
        right=_WRITE,
        answer=HookRow,
        example=_ROW,
    ),
    Operation(
        method="GET",
        path=f"{_ONE}/deliveries",
        name="list_deliveries",
        summary="What was delivered",
        handler=list_deliveries,
        right=_READ,
        answer=tuple[Delivery, ...],
        example=(_DELIVERY,),
        query=PAGE_PARAMETERS,
    ),
)
