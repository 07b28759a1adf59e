"""The outermost layer of the HTTP surface: nothing behind it sees a request that has not passed.

Order: address (Host, Origin), then who asks, then the body's bounds. It is one ASGI wrapper around the whole
application, so a route cannot be added outside of it.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from legion_core.api.types import NOBODY, Principal
from legion_core.kernel.ports import ACTING
from legion_core.surfaces.rest import gate
from legion_core.surfaces.rest.beyond import beyond
from legion_core.surfaces.rest.failures import BodyTooLarge, body_of, fault
from legion_core.surfaces.rest.gate import OwnAddress, Refusal
from legion_core.surfaces.rest.head import head_of
from legion_core.surfaces.rest.limits import Limits
from legion_core.surfaces.rest.tally import Tally

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("legion.rest")

WHO: Final = "legion.who"  # the principal, in the ASGI scope
HEAD: Final = "legion.head"  # what the headers say

# No CORS header is ever sent, nor an answer to a private-network pre-flight: browsers then keep pages away.
SECURITY_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class Guard:
    """Wraps an ASGI application. `principal` turns a token into who it stands for, in constant time."""

    def __init__(
        self,
        app: "ASGIApp",
        own: OwnAddress,
        principal: Callable[[str], Principal],
        limits: Limits,
        tally: Tally,
        methods_at: Callable[[str], frozenset[str]] | None = None,
        ends_in_s: Callable[[Principal], float | None] = lambda _: None,
    ) -> None:
        self._app = app
        self._methods_at = methods_at or _any_method
        self._own = own
        self._principal = principal
        self._body_bytes_max = limits.body_bytes_max
        self._tally = tally
        self._ends_in_s = ends_in_s
        self._open: dict[str, dict[asyncio.Task[Any], Scope]] = {}

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """See the module."""
        if scope["type"] != "http":
            return
        refusal, who = self._judge(scope)
        if refusal is not None:
            self._tally.refuse(refusal.status)
            await _refuse(send, refusal, self._methods_at(scope["path"]))
            return
        scope[WHO] = who
        read_bytes = 0
        bytes_max = gate.SIGNED_BODY_BYTES_MAX if _is_signed(scope) else self._body_bytes_max
        if (wire := beyond(scope)) is not None:
            wire.body_bytes_max = bytes_max

        async def bounded() -> "Message":
            nonlocal read_bytes
            message = await receive()
            read_bytes += len(message.get("body", b""))
            if read_bytes > bytes_max:
                raise BodyTooLarge(gate.too_large(bytes_max).message)
            return message

        async def hardened(message: "Message") -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *SECURITY_HEADERS]
            await send(message)

        ACTING.set(who)  # of this request's own context
        if who.carrier == "token":
            await self._held(scope, who, bounded, hardened)
        else:
            await self._app(scope, bounded, hardened)

    async def _held(self, scope: "Scope", who: Principal, receive: "Receive", send: "Send") -> None:
        """Answer a client's token while it is good: at its end, or once it is revoked, the connection is dropped."""
        task = asyncio.current_task()
        assert task is not None
        left_s = self._ends_in_s(who)
        timer = None
        if left_s is not None:
            timer = asyncio.get_running_loop().call_later(left_s, _end, task, scope)
        held = self._open.setdefault(who.token, {})
        held[task] = scope
        try:
            await self._app(scope, receive, send)
        finally:
            if timer is not None:
                timer.cancel()
            held.pop(task, None)
            if not held:
                self._open.pop(who.token, None)

    def drop(self, token: str) -> int:
        """End every request that is under way for a token; how many there were."""
        held = self._open.pop(token, {})
        for task, scope in held.items():
            _end(task, scope)
        return len(held)

    def _judge(self, scope: "Scope") -> tuple[Refusal | None, Principal]:
        method, wire, target = scope["method"], beyond(scope), b""
        if wire is not None:
            head, length, target = wire.head, wire.length, wire.target
        else:
            head, length = head_of(scope["headers"])
        scope[HEAD] = head
        refusal = gate.judge_head(method, target, head, self._own)
        if refusal is not None:
            return refusal, NOBODY
        if scope["path"] in gate.OPEN_PATHS and method in ("GET", "HEAD"):
            return gate.judge_body(method, head, length, 0), NOBODY
        if _is_signed(scope):
            bytes_max = gate.SIGNED_BODY_BYTES_MAX
            return gate.judge_body(method, head, length, bytes_max, any_type=True), NOBODY
        refusal, who = self._identify(gate.credentials(head, scope["path"], scope["query_string"]))
        if refusal is None:
            refusal = gate.judge_body(method, head, length, self._body_bytes_max)
            if refusal is not None and self._is_unused(method, scope["path"]):
                refusal = gate.unused_method(method)
        return refusal, who

    def _is_unused(self, method: str, path: str) -> bool:
        """Whether there is such an address, but not for this method."""
        used = self._methods_at(path)
        return bool(used) and method not in used

    def _identify(self, found: tuple[str, ...]) -> tuple[Refusal | None, Principal]:
        if len(found) > 1:
            # Choosing one of two is how a restriction on one of them is walked around.
            return Refusal(400, "invalid_input", "The request carries two different credentials."), NOBODY
        who = self._principal(found[0]) if found and found[0] else NOBODY
        if who.carrier == "none":
            return (
                Refusal(
                    401,
                    "denied",
                    "The request carries no valid token.",
                    "Send the token of LEGION_HOME/token, or one made by `legion token create`, as `Authorization: Bearer …`.",
                ),
                NOBODY,
            )
        return None, who


def _any_method(path: str) -> frozenset[str]:
    return gate.METHODS


def _end(task: "asyncio.Task[Any]", scope: "Scope") -> None:
    if (wire := beyond(scope)) is not None:
        wire.abort()
    task.cancel()


def _is_signed(scope: "Scope") -> bool:
    return scope["method"] == "POST" and scope["path"].startswith(gate.SIGNED_PATHS)


async def _refuse(send: "Send", refusal: Refusal, methods: frozenset[str]) -> None:
    body = body_of(fault(refusal.status, refusal.code, refusal.message, refusal.hint))
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        *SECURITY_HEADERS,
    ]
    if refusal.status == 401:
        headers.append((b"www-authenticate", b'Bearer realm="legion"'))
    if refusal.status == 405:
        headers.append((b"allow", ", ".join(sorted(methods)).encode()))
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
