"""`/api/v1/events`: facts about this node as they happen, as server-sent events."""

import asyncio

from legion_core.kernel.errors import InvalidInput, LimitReached
from legion_core.surfaces.rest.calls import Call, Client, Desk, Operation, Parameter, Streamed
from legion_core.surfaces.rest.feed import event_kinds, event_shape, frame

_EXAMPLE = (
    'id: run_01kkq.7\nevent: ModelChanged\ndata: {"at_utc":"…","at_mono_s":12.5,"name":"smollm2-135m"}\n\n'
)


FOR_S_MAX = 86_400


async def watch_events(desk: Desk, call: Call) -> Streamed:
    """From now on, or behind `Last-Event-ID`; what has fallen out of the ring is announced as `Lost`."""
    wanted = _wanted(call)
    for_s = call.number("for_s", default=0, minimum=0, maximum=FOR_S_MAX) if "for_s" in call.query else None
    feed = desk.feed
    after, lost = feed.last, 0
    if last_seen := call.headers.get("last-event-id", ""):
        number = feed.number_of(last_seen)
        # An id of an earlier run: how much was missed nobody knows, but everything still here is new.
        after, lost = (0, -1) if number is None else (number, 0)
    if feed.readers >= desk.limits.event_streams_max:
        raise LimitReached(
            f"{desk.limits.event_streams_max} event streams are open already, which is the limit."
        )

    async def write(client: Client) -> None:
        nonlocal after, lost
        until = None if for_s is None else asyncio.get_running_loop().time() + for_s
        with feed.reading():
            await client.start(200, "text/event-stream")
            await client.send(b"retry: 2000\n\n")
            client.say_when_quiet(lambda: b": still here\n\n")
            while True:
                if lost or (lost := feed.lost_since(after)):
                    await client.send(frame("Lost", {"count": lost if lost > 0 else None}))
                    after, lost = max(after, feed.first - 1), 0
                for kept in feed.after(after):
                    after = kept.number
                    if wanted is None or isinstance(kept.event, wanted):
                        name, payload = type(kept.event).__name__, event_shape(kept.event)
                        await client.send(frame(name, payload, feed.id_of(kept.number)))
                if not feed.is_open:
                    break
                try:
                    async with asyncio.timeout_at(until):
                        await feed.wait_past(after)
                except TimeoutError:
                    break
        await client.finish()

    return Streamed(write)


def _wanted(call: Call) -> tuple[type, ...] | None:
    names = [name.strip() for name in call.query.get("type", "").split(",") if name.strip()]
    kinds = event_kinds()
    for name in names:
        if name not in kinds:
            raise InvalidInput(
                f"There is no event {name[:80]!r}.", hint=f"There are {', '.join(sorted(kinds))}."
            )
    return tuple(kinds[name] for name in names) or None


OPERATIONS = (
    Operation(
        method="GET",
        path="/api/v1/events",
        name="watch_events",
        summary="Facts as they happen, as server-sent events",
        handler=watch_events,
        right=("events", "read"),
        example=_EXAMPLE,
        query=(
            Parameter("type", "Only these kinds, separated by commas."),
            Parameter(
                "for_s",
                "End after so many seconds, 0 with what there is; without it the stream goes on.",
                {"type": "integer", "minimum": 0, "maximum": FOR_S_MAX},
            ),
            Parameter("last-event-id", "Go on behind this event.", place="header"),
        ),
        media_type="text/event-stream",
        is_enveloped=False,
    ),
)
