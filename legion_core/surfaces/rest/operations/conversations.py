"""`/api/v1/conversations`: chats kept on this node."""

import base64
from typing import cast

import msgspec

from legion_core.api.types import Conversation, Turn
from legion_core.gateway.conversation_types import Damage, Imported, LogEntry, Verified
from legion_core.gateway.export import Format
from legion_core.gateway.spoken import Place
from legion_core.kernel.errors import InvalidInput, NotFound
from legion_core.surfaces.rest import examples
from legion_core.surfaces.rest.calls import Call, Client, Desk, Operation, Parameter, Raw, Reply, Streamed
from legion_core.surfaces.rest.feed import frame
from legion_core.surfaces.rest.operations.answers import EVENT_STREAM, KINDS, WAITING_MAX, follow
from legion_core.surfaces.rest.operations.models import Done
from legion_core.surfaces.rest.paging import PAGE_PARAMETERS, meta_of, page_of
from legion_core.surfaces.shapes import ConversationShape, MessageShape, PinsShape

FORMATS: tuple[Format, ...] = ("md", "json", "html")
MEDIA_TYPES = {"md": "text/markdown", "json": "application/json", "html": "text/html"}
PICTURE_TYPES = ("image/png", "image/jpeg", "image/gif", "image/webp")


class TitleBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A new conversation's title; empty lets the first question give it."""

    title: str = ""


class ChangeBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What to change; what is absent stays."""

    title: str | None = None
    is_pinned: bool | None = None


class SayBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A question; below `parent_id`, or at the conversation's end."""

    text: str
    parent_id: str | None = None
    pins: PinsShape | None = None


class TurnShape(msgspec.Struct, frozen=True, kw_only=True):
    """A question taken on; its answer streams by events that carry `answer_id`."""

    conversation_id: str
    question: MessageShape
    answer_id: str

    @classmethod
    def of(cls, turn: Turn) -> "TurnShape":
        """From the chat's own."""
        return cls(
            conversation_id=turn.conversation_id,
            question=MessageShape.of(turn.question),
            answer_id=turn.answer_id,
        )


class ImportBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The text of an export: ChatGPT's or Claude's `conversations.json`, one JSON message a line, or a JSON export."""

    text: str
    name: str = "the file"


class Stopped(msgspec.Struct, frozen=True, kw_only=True):
    """Whether an answer was running."""

    was_running: bool


class Resumed(msgspec.Struct, frozen=True, kw_only=True):
    """Whether an answer had been left unfinished and is being written on."""

    is_resumed: bool


async def list_conversations(desk: Desk, call: Call) -> Reply:
    """Pinned first, then the latest; with `q` those that hold its words."""
    limit, offset = page_of(call, desk.limits.page_max)
    rows = await desk.legion.chat.list(
        call.query.get("q", ""), limit=limit + 1, offset=offset, trashed=call.flag("trashed")
    )
    return Reply(rows[:limit], meta=meta_of(limit, offset, len(rows)))


async def create_conversation(desk: Desk, call: Call) -> Reply:
    """An empty one."""
    return Reply(await desk.legion.chat.create(call.read(TitleBody).title), status=201)


async def import_conversations(desk: Desk, call: Call) -> Reply:
    """A chat that is here already is not taken twice, only what is new of it; what cannot be read is told in `notes`."""
    body = call.read(ImportBody)
    data = body.text.encode("utf-8", "replace")
    return Reply(await desk.legion.chat.import_chats(data, body.name[:200]), status=201)


async def show_conversation(desk: Desk, call: Call) -> Reply:
    """Its active branch."""
    return Reply(ConversationShape.of(await desk.legion.chat.open(call.path["id"])))


async def change_conversation(desk: Desk, call: Call) -> Reply:
    """Title, pin."""
    body, chat, name = call.read(ChangeBody), desk.legion.chat, call.path["id"]
    if body.title is not None:
        await chat.rename(name, body.title)
    if body.is_pinned is not None:
        await chat.pin(name, body.is_pinned)
    return Reply(ConversationShape.of(await chat.open(name)))


async def trash_conversation(desk: Desk, call: Call) -> Reply:
    """Into the trash, from which it can be restored."""
    await desk.legion.chat.trash(call.path["id"])
    return Reply(Done(name=call.path["id"], done="trashed"))


async def restore_conversation(desk: Desk, call: Call) -> Reply:
    """Out of the trash."""
    await desk.legion.chat.restore(call.path["id"])
    return Reply(Done(name=call.path["id"], done="restored"))


async def show_log(desk: Desk, call: Call) -> Reply:
    """Everything that happened to it, in order."""
    return Reply(await desk.legion.chat.log(call.path["id"]))


async def undo_change(desk: Desk, call: Call) -> Reply:
    """Take back the last change: a title, a pin, the trash, a branch."""
    return Reply(await desk.legion.chat.undo(call.path["id"]))


async def verify_conversation(desk: Desk, call: Call) -> Reply:
    """Hold what is stored of it against its hashes."""
    return Reply(await desk.legion.chat.verify(call.path["id"]))


async def verify_conversations(desk: Desk, call: Call) -> Reply:
    """Of all of them."""
    del call
    return Reply(await desk.legion.chat.verify())


async def show_picture(desk: Desk, call: Call) -> Raw:
    """The bytes of a picture; one that is only named by an address is not fetched."""
    number = call.path["number"]
    pictures = await desk.legion.chat.pictures(call.path["message"])
    if not number.isdigit() or not 1 <= int(number) <= len(pictures):
        raise NotFound(f"There is no picture {number[:20]!r} in this message.", hint="They count from 1.")
    picture = pictures[int(number) - 1]
    if picture.media_type not in PICTURE_TYPES or not picture.data:
        raise NotFound("That picture is not kept here.", hint="Only its address is.")
    return Raw(base64.b64decode(picture.data), media_type=picture.media_type)


async def export_conversation(desk: Desk, call: Call) -> Raw:
    """A document complete without the workbench."""
    form = cast(Format, call.choice("format", FORMATS))
    text = await desk.legion.chat.export(call.path["id"], form)
    return Raw(text.encode(), media_type=f"{MEDIA_TYPES[form]}; charset=utf-8")


async def stop_answer(desk: Desk, call: Call) -> Reply:
    """What was said so far is kept."""
    return Reply(Stopped(was_running=await desk.legion.chat.stop(call.path["id"])))


async def resume_answer(desk: Desk, call: Call) -> Reply:
    """Where the node was killed in mid-answer. Calls that waited for a yes are asked for anew; none is made twice unasked."""
    desk.legion.ops.authorise(call.who, "gateway/chat", "use")
    return Reply(Resumed(is_resumed=await desk.legion.chat.resuming.go_on(call.path["id"], call.who)))


async def say(desk: Desk, call: Call) -> Reply | Streamed:
    """The answer is written whether or not the caller stays; with `accept: text/event-stream` it can be watched.

    Each event that adds something has an id; with the last one `watch_answer` goes on, after a restart too.
    """
    body, name = call.read(SayBody), call.path["id"]
    pins = body.pins.pins() if body.pins else None
    if not body.text.strip():
        raise InvalidInput("`text` is empty.")
    desk.legion.ops.authorise(call.who, "gateway/chat", "use")
    chat = desk.legion.chat
    if EVENT_STREAM not in call.headers.get("accept", ""):
        turn = await chat.send(name, body.text, parent_id=body.parent_id, pins=pins, who=call.who)
        return Reply(TurnShape.of(turn), status=201)

    async def write(client: Client) -> None:
        with desk.legion.events.subscribe(*KINDS, size_max=WAITING_MAX) as events:
            turn = await chat.send(name, body.text, parent_id=body.parent_id, pins=pins, who=call.who)
            await chat.resuming.note(turn.answer_id, call.who, pins)
            await client.start(200, EVENT_STREAM)
            client.say_when_quiet(lambda: b": still here\n\n")
            place = Place()
            await client.send(frame("Turn", TurnShape.of(turn), place.id_in(turn.answer_id)))
            await follow(client, aiter(events), turn.answer_id, place)
        await client.finish()

    return Streamed(write)


_READ, _WRITE = ("conversations", "read"), ("conversations", "write")
_ONE = "/api/v1/conversations/{id}"
_VERIFIED = Verified(
    conversations=12,
    messages=812,
    texts=640,
    stored_bytes=410_000,
    said_bytes=1_200_000,
    damaged=(
        Damage(
            conversation="cnv_01kkq", title="Greetings", message="msg_01kkr", what="A text of it is missing."
        ),
    ),
)
_ENTRY = LogEntry(at=examples.AT, what="titled", was="Hello", now="Greetings", number=7)

OPERATIONS = (
    Operation(
        method="GET",
        path="/api/v1/conversations",
        name="list_conversations",
        summary="Conversations, pinned first, then the latest",
        handler=list_conversations,
        right=_READ,
        answer=tuple[Conversation, ...],
        example=(examples.ROW,),
        query=(
            Parameter("q", "Words to find in titles and messages."),
            Parameter("trashed", "Those in the trash instead.", {"type": "boolean"}),
            *PAGE_PARAMETERS,
        ),
    ),
    Operation(
        method="POST",
        path="/api/v1/conversations",
        name="create_conversation",
        summary="Begin a conversation",
        handler=create_conversation,
        right=_WRITE,
        answer=Conversation,
        example=examples.ROW,
        status=201,
        body=TitleBody,
        body_example=TitleBody(title="Hello"),
    ),
    Operation(
        method="POST",
        path="/api/v1/conversations/import",
        name="import_conversations",
        summary="Take in an export of ChatGPT or Claude, or JSON lines",
        handler=import_conversations,
        right=_WRITE,
        answer=Imported,
        example=Imported(conversations=("imp_5f1c",), known=0),
        status=201,
        body=ImportBody,
        body_example=ImportBody(text='{"role": "user", "content": "Hello"}'),
    ),
    # Before any address with an id: the first that fits answers.
    Operation(
        method="GET",
        path="/api/v1/conversations/verify",
        name="verify_conversations",
        summary="Whether what is stored of all is what was written",
        handler=verify_conversations,
        right=_READ,
        answer=Verified,
        example=_VERIFIED,
    ),
    Operation(
        method="GET",
        path=_ONE,
        name="show_conversation",
        summary="Its messages from first to last",
        handler=show_conversation,
        right=_READ,
        answer=ConversationShape,
        example=examples.CONVERSATION,
    ),
    Operation(
        method="PATCH",
        path=_ONE,
        name="change_conversation",
        summary="Rename or pin it",
        handler=change_conversation,
        right=_WRITE,
        answer=ConversationShape,
        example=examples.CONVERSATION,
        body=ChangeBody,
        body_example=ChangeBody(title="Greetings", is_pinned=True),
    ),
    Operation(
        method="DELETE",
        path=_ONE,
        name="trash_conversation",
        summary="Move it to the trash",
        handler=trash_conversation,
        right=_WRITE,
        answer=Done,
        example=Done(name="conv_01kkq", done="trashed"),
    ),
    Operation(
        method="POST",
        path=f"{_ONE}/restore",
        name="restore_conversation",
        summary="Take it out of the trash",
        handler=restore_conversation,
        right=_WRITE,
        answer=Done,
        example=Done(name="conv_01kkq", done="restored"),
    ),
    Operation(
        method="GET",
        path=f"{_ONE}/verify",
        name="verify_conversation",
        summary="Whether what is stored is what was written",
        handler=verify_conversation,
        right=_READ,
        answer=Verified,
        example=_VERIFIED,
    ),
    Operation(
        method="GET",
        path=f"{_ONE}/log",
        name="show_conversation_log",
        summary="Everything that happened to it",
        handler=show_log,
        right=_READ,
        answer=tuple[LogEntry, ...],
        example=(_ENTRY,),
    ),
    Operation(
        method="POST",
        path=f"{_ONE}/undo",
        name="undo_conversation_change",
        summary="Take back the last change: a title, a pin, the trash, a branch",
        handler=undo_change,
        right=_WRITE,
        answer=LogEntry,
        example=_ENTRY,
    ),
    Operation(
        method="GET",
        path=f"{_ONE}/messages/{{message}}/pictures/{{number}}",
        name="show_picture",
        summary="A picture shown with a message, counted from 1",
        handler=show_picture,
        right=_READ,
        example="",
        media_type="image/png",
        media_types=("image/jpeg", "image/gif", "image/webp"),
        is_enveloped=False,
    ),
    Operation(
        method="GET",
        path=f"{_ONE}/export",
        name="export_conversation",
        summary="As a document",
        handler=export_conversation,
        right=_READ,
        example="You, 2026-03-14T09:26:53.589Z\n\nHello\n",
        query=(Parameter("format", "The kind of document.", {"type": "string", "enum": list(FORMATS)}),),
        media_type="text/markdown",
        media_types=("application/json", "text/html"),
        is_enveloped=False,
    ),
    Operation(
        method="POST",
        path=f"{_ONE}/messages",
        name="say",
        summary="Ask; with `accept: text/event-stream` the answer's events follow",
        handler=say,
        right=_WRITE,
        answer=TurnShape,
        example=TurnShape.of(examples.TURN),
        status=201,
        body=SayBody,
        body_example=SayBody(text="Hello"),
        query=(Parameter("accept", "`text/event-stream` to watch the answer.", place="header"),),
    ),
    Operation(
        method="POST",
        path=f"{_ONE}/stop",
        name="stop_answer",
        summary="End the running answer and keep what there is",
        handler=stop_answer,
        right=_WRITE,
        answer=Stopped,
        example=Stopped(was_running=True),
    ),
    Operation(
        method="POST",
        path=f"{_ONE}/resume",
        name="resume_answer",
        summary="Have an answer that a killed node left unfinished written on",
        handler=resume_answer,
        right=_WRITE,
        answer=Resumed,
        example=Resumed(is_resumed=True),
    ),
)
