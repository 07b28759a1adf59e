"""`/api/v1/conversations/{id}/private`: whether a conversation may leave this machine."""

import msgspec

from legion_core.surfaces.rest.calls import Call, Desk, Operation, Reply


class PrivateBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The mark itself."""

    private: bool


class Marked(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation and its mark."""

    id: str
    private: bool


async def show_private(desk: Desk, call: Call) -> Reply:
    """Whether it is marked."""
    name = call.path["id"]
    return Reply(Marked(id=name, private=await desk.legion.llm.is_private(name)))


async def set_private(desk: Desk, call: Call) -> Reply:
    """Mark it, or take the mark away; 404 for one that does not exist."""
    name, body = call.path["id"], call.read(PrivateBody)
    await desk.legion.chat.open(name)
    await desk.legion.llm.keep_private(name, body.private)
    return Reply(Marked(id=name, private=body.private))


_PATH = "/api/v1/conversations/{id}/private"
_EXAMPLE = Marked(id="conv_01kkq", private=True)

OPERATIONS = (
    Operation(
        method="GET",
        path=_PATH,
        name="show_conversation_privacy",
        summary="Whether the conversation is marked private",
        handler=show_private,
        right=("conversations", "read"),
        answer=Marked,
        example=_EXAMPLE,
    ),
    Operation(
        method="PUT",
        path=_PATH,
        name="set_conversation_privacy",
        summary="Keep the conversation on this machine, whatever is pinned",
        handler=set_private,
        right=("conversations", "write"),
        answer=Marked,
        example=_EXAMPLE,
        body=PrivateBody,
        body_example=PrivateBody(private=True),
    ),
)
