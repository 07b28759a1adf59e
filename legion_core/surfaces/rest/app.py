"""The route table as an ASGI application; the one wall where handlers' failures become answers."""

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import msgspec

from legion_core.kernel.clock import iso
from legion_core.kernel.errors import LegionError
from legion_core.surfaces.rest.calls import Call, Client, Desk, Headers, Operation, Raw, Reply, Streamed
from legion_core.surfaces.rest.failures import body_of, fault, fault_of, retry_after, status_of, unexpected
from legion_core.surfaces.rest.guard import ABORT, WHO
from legion_core.surfaces.rest.methods import Methods, allow
from legion_core.surfaces.rest.once import Once
from legion_core.surfaces.rest.presence import ClientGone, ClientStuck, Presence

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import Receive, Scope, Send


def build(desk: Desk, operations: tuple[Operation, ...]) -> "Starlette":
    """The application behind the guard. Slashes are never redirected: a redirect is built from the Host header."""
    from starlette.applications import Starlette
    from starlette.responses import Response
    from starlette.routing import Route

    once = Once(desk.clock, desk.limits)
    methods = Methods(operations)
    routes = [
        Route(
            operation.path, Endpoint(desk, operation, once), methods=[operation.method], name=operation.name
        )
        for operation in operations
    ]

    async def unknown(request: "Request", error: Exception) -> "Response":
        status = int(getattr(error, "status_code", 404))
        what = (
            fault(405, "method_not_allowed", f"{request.method} is not used at this address.")
            if status == 405
            else fault(404, "not_found", "There is nothing at this address.", "/openapi.json lists them all.")
        )
        headers = {"allow": allow(methods.at(request.url.path))} if status == 405 else None
        return Response(body_of(what), status_code=status, media_type="application/json", headers=headers)

    application = Starlette(debug=False, routes=routes, exception_handlers={404: unknown, 405: unknown})
    application.router.redirect_slashes = False
    return application


class Endpoint:
    """One operation as an ASGI application."""

    def __init__(self, desk: Desk, operation: Operation, once: Once) -> None:
        self._desk = desk
        self._operation = operation
        self._once = once

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Read, authorise, handle, answer. Cancellation goes through: the client is gone or the server stops."""
        client = AsgiClient(send, self._desk)
        try:
            call = _call(scope, await _body(receive))
            if self._operation.right is not None:
                self._desk.legion.ops.authorise(call.who, *self._operation.right)
            outcome = await self._outcome(call)
            if isinstance(outcome, Raw):
                await client.whole(outcome)
                return
            async with Presence(receive, self._desk.supervisor) as presence:
                client.presence = presence
                await outcome.write(client)
        except ClientGone:
            return
        except Exception as error:  # noqa: BLE001  # the wall of this surface
            if client.has_started:
                if isinstance(error, ClientStuck):
                    scope[ABORT]()
                elif not isinstance(error, LegionError):
                    unexpected(error, self._desk.ids)
                return  # the body stays without its end, which is how the client learns of it
            await client.whole(failed(error, self._desk))
        finally:
            client.close()
            self._desk.tally.answer(self._operation.name, client.status)

    async def _outcome(self, call: Call) -> Raw | Streamed:
        key = call.headers.get("idempotency-key")
        if key is None or self._operation.method != "POST" or not self._operation.path.startswith("/api/v1/"):
            return await self._handled(call)

        async def work() -> Raw:
            outcome = await self._handled(call)
            if isinstance(outcome, Streamed):
                raise _NotWhole(outcome)
            return outcome

        try:
            route = f"{self._operation.name} {sorted(call.path.items())}"
            return await self._once.run(call.who.name, route, key, call.body, work)
        except _NotWhole as streamed:
            return streamed.outcome

    async def _handled(self, call: Call) -> Raw | Streamed:
        outcome = await self._operation.handler(self._desk, call)
        return enveloped(outcome, self._desk) if isinstance(outcome, Reply) else outcome


class _NotWhole(Exception):
    """A streamed answer cannot be kept for an Idempotency-Key."""

    def __init__(self, outcome: Streamed) -> None:
        super().__init__()
        self.outcome = outcome


def enveloped(reply: Reply, desk: Desk) -> Raw:
    """`{data, meta}`."""
    meta = {"at": iso(desk.clock.utc_now()), **reply.meta}
    return Raw(msgspec.json.encode({"data": reply.data, "meta": meta}), status=reply.status)


def failed(error: Exception, desk: Desk) -> Raw:
    """`{error, meta}`; what nobody foresaw is logged under an id and shown as that."""
    known = error if isinstance(error, LegionError) else unexpected(error, desk.ids)
    return Raw(body_of(fault_of(known)), status=status_of(known), headers=retry_after(known))


async def _body(receive: "Receive") -> bytes:
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


def _call(scope: "Scope", body: bytes) -> Call:
    from starlette.requests import Request

    request = Request(scope)
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        headers.setdefault(name, value)
    path: Mapping[str, str] = {name: str(value) for name, value in request.path_params.items()}
    return Call(who=scope[WHO], path=path, query=dict(request.query_params), headers=headers, body=body)


class AsgiClient(Client):
    """The far end of one request; see `calls.Client`."""

    def __init__(self, send: "Send", desk: Desk) -> None:
        self._send = send
        self._desk = desk
        self._is_finished = False
        self._last_sent_s = 0.0
        self._quiet: asyncio.Task[None] | None = None
        self.presence: Presence | None = None
        self.status = 0

    @property
    def has_started(self) -> bool:
        """Whether the head is out."""
        return self.status != 0

    async def whole(self, raw: Raw) -> None:
        """See `calls.Client`."""
        self.close()
        if self.presence is not None:
            self.presence.settle()
        await self._begin(raw.status, raw.media_type, raw.headers, len(raw.body))
        self._is_finished = True
        await self._write(raw.body, more=False)

    async def start(self, status: int, media_type: str, headers: Headers = ()) -> None:
        """See `calls.Client`."""
        await self._begin(status, media_type, headers, None)

    async def _begin(self, status: int, media_type: str, headers: Headers, length: int | None) -> None:
        pairs = [(b"content-type", media_type.encode())]
        if length is not None:
            pairs.append((b"content-length", str(length).encode()))
        pairs += [(name.encode("ascii"), _header_value(value)) for name, value in headers]
        self.status = status
        await self._send({"type": "http.response.start", "status": status, "headers": pairs})

    async def send(self, chunk: bytes) -> None:
        """See `calls.Client`; ClientStuck if the client stops reading."""
        self._last_sent_s = self._desk.clock.monotonic_s()
        await self._write(chunk, more=True)

    async def _write(self, chunk: bytes, *, more: bool) -> None:
        try:
            async with asyncio.timeout(self._desk.limits.write_s):
                await self._send({"type": "http.response.body", "body": chunk, "more_body": more})
        except TimeoutError as error:
            raise ClientStuck("The client stopped reading.") from error

    def say_when_quiet(self, comment: Callable[[], bytes]) -> None:
        """See `calls.Client`."""
        self._quiet = self._desk.supervisor.spawn("rest.quiet", self._say(comment))

    async def _say(self, comment: Callable[[], bytes]) -> None:
        quiet_s = self._desk.limits.quiet_s
        while True:
            waited_s = self._desk.clock.monotonic_s() - self._last_sent_s
            if waited_s >= quiet_s:
                await self.send(comment())
                waited_s = 0.0
            await asyncio.sleep(quiet_s - waited_s)

    async def finish(self, last: bytes = b"") -> None:
        """See `calls.Client`."""
        if self._is_finished:
            return
        self._is_finished = True
        self.close()
        if self.presence is not None:
            self.presence.settle()
        await self._write(last, more=False)

    def close(self) -> None:
        """End the comments; idempotent."""
        if self._quiet is not None:
            self._quiet.cancel()
            self._quiet = None


def _header_value(text: str) -> bytes:
    """Printable Latin-1 on one line: names of models and instances come from configuration files."""
    return "".join(char if char.isprintable() else "?" for char in text).encode("latin-1", "replace")
