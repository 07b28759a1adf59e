"""An answer of a kept conversation as server-sent events, and coming back to it behind the last one that was seen."""

from collections.abc import AsyncIterator

from legion_core.api.types import AnswerEnded, AnswerGrew, AnswerJoined, AnswerStarted, Event
from legion_core.gateway.spoken import Place
from legion_core.kernel.errors import Conflict
from legion_core.surfaces.rest.calls import Call, Client, Desk, Operation, Parameter, Streamed
from legion_core.surfaces.rest.feed import event_shape, frame

EVENT_STREAM = "text/event-stream"
WAITING_MAX = 8192  # events of all answers that a slow reader may be behind
KINDS: tuple[type[Event], ...] = (AnswerStarted, AnswerGrew, AnswerJoined, AnswerEnded)
_EXAMPLE = (
    'id: msg_01kkr.0.5\nevent: AnswerGrew\ndata: {"conversation_id":"cnv_01kkq","answer_id":"msg_01kkr",'
    '"at_char":0,"text":"Hello"}\n\n'
)


async def watch_answer(desk: Desk, call: Call) -> Streamed:
    """From its beginning, or behind `Last-Event-ID`; what a killed process left goes on from its exact text.

    Only the client that asked for it, by `say` with an event stream, may come back, and for a day.
    """
    conversation_id, answer_id = call.path["id"], call.path["message"]
    place = Place.read(call.headers.get("last-event-id", ""), answer_id)
    desk.legion.ops.authorise(call.who, "gateway/chat", "use")

    async def write(client: Client) -> None:
        with desk.legion.events.subscribe(*KINDS, size_max=WAITING_MAX) as events:
            telling, message = await desk.legion.chat.resuming.come_back(conversation_id, answer_id, call.who)
            events.take_nowait()  # what was told until now is in `telling`, or `message`
            thinking, text = (
                (message.thinking, message.text) if telling is None else (telling.thinking, telling.text)
            )
            if place.thinking > len(thinking) or place.text > len(text):
                raise Conflict(
                    "More of this answer was seen than was kept.", hint="Read it from its beginning."
                )
            await client.start(200, EVENT_STREAM)
            client.say_when_quiet(lambda: b": still here\n\n")
            here, (at_utc, at_mono_s) = Place(len(thinking), len(text)), desk.legion.events.stamp()
            if here != place:
                rest = AnswerGrew(
                    at_utc=at_utc,
                    at_mono_s=at_mono_s,
                    conversation_id=conversation_id,
                    answer_id=answer_id,
                    at_char=place.text,
                    thinking=thinking[place.thinking :],
                    text=text[place.text :],
                )
                await client.send(_framed(rest, here, answer_id))
            if telling is None:
                ended = AnswerEnded(at_utc=at_utc, at_mono_s=at_mono_s, message=message)
                await client.send(frame("AnswerEnded", event_shape(ended)))
            else:
                await follow(client, aiter(events), answer_id, here)
        await client.finish()

    return Streamed(write)


async def follow(client: Client, events: AsyncIterator[Event], answer_id: str, place: Place) -> None:
    """Tell what is said of one answer behind `place`, until its end; ends earlier where something was missed.

    Each piece carries as its id the place where it ends.
    """
    async for event in events:
        if answer_id not in (getattr(event, "answer_id", None), _message_id(event)):
            continue
        if isinstance(event, AnswerGrew):
            if event.at_char > place.text:
                return  # the client was too slow for what was kept for it: it comes back behind its last event
            place = Place(place.thinking + len(event.thinking), event.at_char + len(event.text))
            await client.send(_framed(event, place, answer_id))
            continue
        await client.send(frame(type(event).__name__, event_shape(event)))
        if isinstance(event, AnswerEnded):
            return


def _framed(event: AnswerGrew, place: Place, answer_id: str) -> bytes:
    return frame("AnswerGrew", event_shape(event), place.id_in(answer_id))


def _message_id(event: object) -> str:
    return event.message.id if isinstance(event, AnswerStarted | AnswerEnded) else ""


OPERATIONS = (
    Operation(
        method="GET",
        path="/api/v1/conversations/{id}/messages/{message}/events",
        name="watch_answer",
        summary="Come back to an answer whose events were watched",
        handler=watch_answer,
        right=("conversations", "write"),
        example=_EXAMPLE,
        query=(
            Parameter(
                "last-event-id", "Go on behind this event; without it from the beginning.", place="header"
            ),
        ),
        media_type=EVENT_STREAM,
        is_enveloped=False,
    ),
)
