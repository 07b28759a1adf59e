"""`/api/v1/conversations/{id}/curation`: how much shorter a conversation is for the models, and taking it back."""

import msgspec

from legion_core.gateway.conversation_types import ContextShares
from legion_core.gateway.curation.told import CurationEdit, CurationMeter, SeenPart, StrategyCount
from legion_core.gateway.curation.types import Recalled
from legion_core.kernel.errors import InvalidInput
from legion_core.surfaces.rest.calls import Call, Desk, Operation, Parameter, Reply


class SwitchBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether the conversation is curated from its next request on."""

    on: bool


class UndoBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The edit to take back, or the epoch, all of whose edits are."""

    edit: int | None = None
    epoch: int | None = None


class KeepBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The message to give back and leave alone."""

    message: str


async def show_curation(desk: Desk, call: Call) -> Reply:
    """Tokens with nothing done and as sent, and what each strategy did."""
    return Reply(await desk.legion.curation.meter(call.path["id"]))


async def switch_curation(desk: Desk, call: Call) -> Reply:
    """Turn it on or off for this conversation."""
    name = call.path["id"]
    await desk.legion.curation.set_on(name, call.read(SwitchBody).on)
    return Reply(await desk.legion.curation.meter(name))


async def list_curation_edits(desk: Desk, call: Call) -> Reply:
    """Every edit, in order."""
    return Reply(await desk.legion.curation.edits(call.path["id"]))


async def show_curation_view(desk: Desk, call: Call) -> Reply:
    """Each message as it was said, and as the model will see it."""
    return Reply(await desk.legion.curation.seen(call.path["id"]))


async def undo_curation(desk: Desk, call: Call) -> Reply:
    """Take one edit back, or all of an epoch."""
    name = call.path["id"]
    body = call.read(UndoBody)
    if (body.edit is None) == (body.epoch is None):
        raise InvalidInput("Name either an `edit` or an `epoch`.")
    if body.edit is not None:
        await desk.legion.curation.undo(name, body.edit)
    elif body.epoch is not None:
        await desk.legion.curation.undo_epoch(name, body.epoch)
    return Reply(await desk.legion.curation.meter(name))


async def show_shares(desk: Desk, call: Call) -> Reply:
    """What the next request is made of, before anything is left out."""
    return Reply(await desk.legion.chat.shares(call.path["id"]))


async def keep_in_view(desk: Desk, call: Call) -> Reply:
    """Give a message back."""
    name = call.path["id"]
    await desk.legion.curation.keep(name, call.read(KeepBody).message)
    return Reply(await desk.legion.curation.meter(name))


async def recall_removed(desk: Desk, call: Call) -> Reply:
    """Removed texts by key, or by words."""
    query = call.query.get("query", "").strip()
    if not query:
        raise InvalidInput("`query` is missing.", hint="Give a key such as #12, a path, or words of it.")
    return Reply(await desk.legion.curation.recall(call.path["id"], query))


_READ, _WRITE = ("conversations", "read"), ("conversations", "write")
_PATH = "/api/v1/conversations/{id}/curation"
_METER = CurationMeter(
    conversation_id="cnv_01kkq",
    is_on=True,
    naive_tokens=41_200,
    curated_tokens=11_100,
    epoch=2,
    by_strategy=(StrategyCount(strategy="distill_tool_result", edits=9, tokens=18_400),),
)
_EDIT = CurationEdit(
    number=3,
    epoch=1,
    strategy="evict_superseded",
    ids=("m4", "m5"),
    tokens=2_150,
    note="read_file src/app.py",
    archive_key="#2",
)
_SEEN = SeenPart(
    message_id="msg_01kkr",
    role="tool",
    before="1: import sys\n2: ...",
    after="[212 lines; all of it: recall #2; of it:]\n1: import sys",
    state="changed",
)

OPERATIONS = (
    Operation(
        method="GET",
        path=_PATH,
        name="show_curation",
        summary="How much shorter the conversation is for the models",
        handler=show_curation,
        right=_READ,
        answer=CurationMeter,
        example=_METER,
    ),
    Operation(
        method="PUT",
        path=_PATH,
        name="switch_curation",
        summary="Turn curation on or off for the conversation",
        handler=switch_curation,
        right=_WRITE,
        answer=CurationMeter,
        example=_METER,
        body=SwitchBody,
        body_example=SwitchBody(on=False),
    ),
    Operation(
        method="GET",
        path=f"{_PATH}/shares",
        name="show_context_shares",
        summary="What the next request is made of, before anything is left out",
        handler=show_shares,
        right=_READ,
        answer=ContextShares,
        example=ContextShares(
            conversation_id="cnv_01kkq", system=1_200, tools=2_100, history=36_600, newest=1_300
        ),
    ),
    Operation(
        method="GET",
        path=f"{_PATH}/edits",
        name="list_curation_edits",
        summary="Every edit made to the view",
        handler=list_curation_edits,
        right=_READ,
        answer=tuple[CurationEdit, ...],
        example=(_EDIT,),
    ),
    Operation(
        method="GET",
        path=f"{_PATH}/view",
        name="show_curation_view",
        summary="What the model will see of each message",
        handler=show_curation_view,
        right=_READ,
        answer=tuple[SeenPart, ...],
        example=(_SEEN,),
    ),
    Operation(
        method="POST",
        path=f"{_PATH}/undo",
        name="undo_curation",
        summary="Take an edit back, or all of an epoch",
        handler=undo_curation,
        right=_WRITE,
        answer=CurationMeter,
        example=_METER,
        body=UndoBody,
        body_example=UndoBody(edit=3),
    ),
    Operation(
        method="POST",
        path=f"{_PATH}/keep",
        name="keep_in_view",
        summary="Give a message back to the view and leave it alone",
        handler=keep_in_view,
        right=_WRITE,
        answer=CurationMeter,
        example=_METER,
        body=KeepBody,
        body_example=KeepBody(message="msg_01kkr"),
    ),
    Operation(
        method="GET",
        path=f"{_PATH}/recall",
        name="recall_removed",
        summary="Text that was moved out of the view, word for word",
        handler=recall_removed,
        right=_READ,
        answer=tuple[Recalled, ...],
        example=(Recalled(key="#2", text="1: import sys", ids=("m5",), score=1.0),),
        query=(Parameter("query", "A key such as #12, a path, a quote, or words."),),
    ),
)
