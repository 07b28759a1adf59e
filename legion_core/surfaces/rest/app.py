"""The route table as an ASGI application; the one wall where handlers' failures become answers."""

from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import msgspec

from legion_core.kernel.clock import iso
from legion_core.kernel.errors import LegionError
from legion_core.surfaces.rest.beyond import beyond
from legion_core.surfaces.rest.calls import Call, Desk, Operation, Raw, Reply, Streamed
from legion_core.surfaces.rest.client import AsgiClient
from legion_core.surfaces.rest.failures import (
    Fault,
    body_of,
    fault,
    fault_of,
    retry_after,
    status_of,
    unexpected,
)
from legion_core.surfaces.rest.guard import HEAD, WHO
from legion_core.surfaces.rest.head import Head
from legion_core.surfaces.rest.methods import Methods, allow
from legion_core.surfaces.rest.once import Once
from legion_core.surfaces.rest.presence import ClientGone, ClientStuck, Presence

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import Receive, Scope, Send


PATH_SHOWN = 120  # characters of an address in what is said of it


def build(desk: Desk, operations: tuple[Operation, ...]) -> "Application":
    """The application behind the guard. Slashes are never redirected: a redirect is built from the Host header."""
    from starlette.applications import Starlette
    from starlette.responses import Response
    from starlette.routing import Route

    once = Once(desk.clock, desk.limits)
    methods = Methods(operations)
    routes = [
        Route(
            operation.path,
            Endpoint(desk, operation, once, methods),
            methods=[operation.method],
            name=operation.name,
        )
        for operation in operations
    ]

    async def unknown(request: "Request", error: Exception) -> "Response":
        status = int(getattr(error, "status_code", 404))
        if status == 405:
            raw = _unused(request.scope, methods)
            return Response(raw.body, status_code=405, media_type=raw.media_type, headers=dict(raw.headers))
        path = str(request.scope["path"])[:PATH_SHOWN]
        what = fault(404, "not_found", f"{path} is not offered here.", _offered(path))
        body = _shaped(request.scope, status, what)
        return Response(body, status_code=status, media_type="application/json")

    application = Starlette(debug=False, routes=routes, exception_handlers={404: unknown, 405: unknown})
    application.router.redirect_slashes = False
    # Where most of the traffic goes is found without walking the table.
    hot = {
        (operation.method, operation.path): Endpoint(desk, operation, once, methods)
        for operation in operations
        if operation.tag == "dialects" and "{" not in operation.path
    }
    return Application(application, hot)


class Application:
    """The route table as an ASGI application, with a short way to the routes most traffic goes to."""

    def __init__(self, table: "Starlette", hot: "Mapping[tuple[str, str], Endpoint]") -> None:
        self.routes = table.routes
        self._table = table
        self._hot = hot

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """See the module."""
        endpoint = self._hot.get((scope["method"], scope["path"]))
        await (self._table if endpoint is None else endpoint)(scope, receive, send)


def _offered(path: str) -> str:
    """Clients of a lab's library look for all of its doors: the ones there are, by the beginning of the address."""
    if path.startswith("/v1/"):
        doors = "chat/completions, responses, embeddings, messages and models"
        return f"Under /v1 there are {doors}; /openapi.json lists everything."
    return "/openapi.json lists everything."


def _unused(scope: "Scope", methods: Methods) -> Raw:
    path = str(scope["path"])[:PATH_SHOWN]
    what = fault(405, "method_not_allowed", f"{scope['method']} {path} is not offered here.")
    return Raw(_shaped(scope, 405, what), status=405, headers=(("allow", allow(methods.at(scope["path"]))),))


def _shaped(scope: "Scope", status: int, what: Fault) -> bytes:
    """The fault as the client that is asking reads one; ours is OpenAI's and Anthropic's too."""
    path, said = str(scope["path"]), f"{what.message} {what.hint}".rstrip()
    if path.startswith("/v1beta/") or any(name == b"x-goog-api-key" for name, _ in scope["headers"]):
        return msgspec.json.encode({"error": {"code": status, "message": said, "status": "NOT_FOUND"}})
    if path.startswith("/api/") and not path.startswith("/api/v1/"):
        return msgspec.json.encode({"error": said})
    return body_of(what)


class Endpoint:
    """One operation as an ASGI application."""

    def __init__(self, desk: Desk, operation: Operation, once: Once, methods: Methods) -> None:
        self._desk = desk
        self._operation = operation
        self._once = once
        self._methods = methods
        self._rivals = methods.rivals(operation)

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Read, authorise, handle, answer. Cancellation goes through: the client is gone or the server stops."""
        wire, client = beyond(scope), AsgiClient(scope, send, self._desk)
        if self._rivals and any(pattern.match(scope["path"]) for pattern in self._rivals):
            await client.whole(_unused(scope, self._methods))
            return
        try:
            body = wire.body() if wire is not None else None
            call = _call(scope, await _body(receive) if body is None else body)
            if self._operation.right is not None:
                self._desk.legion.ops.authorise(call.who, *self._operation.right)
            outcome = await self._outcome(call)
            if isinstance(outcome, Raw):
                await client.whole(outcome)
                return
            async with Presence(scope, receive, self._desk.supervisor) as presence:
                client.presence = presence
                await outcome.write(client)
        except ClientGone:
            return
        except Exception as error:  # noqa: BLE001  # the wall of this surface
            if client.has_started:
                if isinstance(error, ClientStuck) and wire is not None:
                    wire.abort()
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
    query: bytes = scope["query_string"]
    head: Head = scope[HEAD]
    found = scope.get("path_params")
    return Call(
        who=scope[WHO],
        path={name: str(value) for name, value in found.items()} if found else {},
        query=dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True)) if query else {},
        headers=head.texts,
        body=body,
        raw_headers=tuple(scope["headers"]),
        is_plain=head.is_plain,
    )
