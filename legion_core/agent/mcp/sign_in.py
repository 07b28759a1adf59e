"""The user's sign-in at somebody's server: a listener on this computer that the browser comes back to, once.

It listens on 127.0.0.1 at a port nobody knows before, takes one GET at a path nobody can guess, answers with a fixed page
and is gone. What it is told it only hands on: that `state` is the one we sent, that `iss` is who we asked and that the
code is worth something is checked by whoever exchanges it.
"""

import asyncio
import hmac
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, urlsplit

from legion_core.agent.mcp.web import checked_url
from legion_core.kernel.addresses import is_loopback
from legion_core.kernel.errors import Denied, Refused, TimedOut
from legion_core.kernel.ids import system_rng

if TYPE_CHECKING:
    from mcp.client.auth import AuthorizationCodeResult

HEAD_BYTES_MAX: Final = 16 * 1024
HEAD_S: Final = 10.0
SIGN_IN_S: Final = 300.0
_PAGE: Final = (
    b"<!doctype html><meta charset=utf-8><title>Signed in</title>"
    b"<p style='font:16px system-ui;margin:3em'>You can close this page and go back to Legion Workbench.</p>"
)
_HEADERS: Final = (
    "content-type: text/html; charset=utf-8\r\ncache-control: no-store\r\nreferrer-policy: no-referrer\r\n"
    "content-security-policy: default-src 'none'; style-src 'unsafe-inline'\r\nx-content-type-options: nosniff\r\n"
    "connection: close\r\n"
)


class LoopbackSignIn:
    """See `agent.mcp.web.SignIn`. Made by `listening`; `on_address` is told where the user has to go."""

    def __init__(self, port: int, path: str, on_address: Callable[[str], None]) -> None:
        self._host = f"127.0.0.1:{port}"
        self._path = path
        self.redirect_uri = f"http://{self._host}{path}"
        self._on_address = on_address
        self._came: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()

    async def go(self, url: str) -> None:
        """See `SignIn`: whoever is told of it takes the user there."""
        parts = urlsplit(checked_url(url))
        if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
            raise Denied(
                f"{parts.hostname} wants you to sign in over plain http, where anybody on the way can read along."
            )
        self._on_address(url)

    async def back(self) -> "AuthorizationCodeResult":
        """See `SignIn`."""
        from mcp.client.auth import AuthorizationCodeResult

        try:
            async with asyncio.timeout(SIGN_IN_S):
                told = await self._came
        except TimeoutError as error:
            raise TimedOut(f"Nobody signed in within {SIGN_IN_S / 60:.0f} minutes.") from error
        if "error" in told or not told.get("code"):
            why = told.get("error", "it sent no code")[:80]
            raise Refused(f"The sign-in was refused: {''.join(c for c in why if c.isprintable())}.")
        return AuthorizationCodeResult(code=told["code"], state=told.get("state"), iss=told.get("iss"))

    async def take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection: the browser, or somebody who has no business here."""
        try:
            async with asyncio.timeout(HEAD_S):
                head = await reader.readuntil(b"\r\n\r\n")
            status = self._told(head)
            page = _PAGE if status.startswith("200") else b""
            writer.write(
                f"HTTP/1.1 {status}\r\n{_HEADERS}content-length: {len(page)}\r\n\r\n".encode() + page
            )
            await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    def _told(self, head: bytes) -> str:
        lines = head.decode("latin-1").split("\r\n")
        method, _, rest = lines[0].partition(" ")
        target = rest.partition(" ")[0]
        hosts = [line.partition(":")[2].strip() for line in lines[1:] if line.lower().startswith("host:")]
        path, _, query = target.partition("?")
        # A page elsewhere could only guess: the path is as secret as the state is.
        if hosts != [self._host] or not hmac.compare_digest(path.encode(), self._path.encode()):
            return "404 Not Found"
        if method != "GET":
            return "405 Method Not Allowed"
        found = parse_qs(query, keep_blank_values=True, max_num_fields=20)
        if any(len(values) > 1 for values in found.values()):
            return "400 Bad Request"
        if not self._came.done():
            self._came.set_result({name: values[0] for name, values in found.items()})
        return "200 OK"


@asynccontextmanager
async def listening(on_address: Callable[[str], None]) -> AsyncGenerator[LoopbackSignIn]:
    """A listener for one sign-in."""
    made: list[LoopbackSignIn] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await made[0].take(reader, writer)

    server = await asyncio.start_server(take, "127.0.0.1", 0, limit=HEAD_BYTES_MAX)
    try:
        port, word = server.sockets[0].getsockname()[1], f"{system_rng().getrandbits(192):048x}"
        made.append(LoopbackSignIn(port, f"/back/{word}", on_address))
        yield made[0]
    finally:
        server.close()
        await server.wait_closed()


class NotNow:
    """See `SignIn`: nobody is there to sign in, so nothing is opened."""

    redirect_uri = "http://127.0.0.1/back"

    def __init__(self, server: str, refused: Callable[[], None]) -> None:
        """`refused` is told, and may raise, that the server wants a sign-in."""
        self._server = server
        self._refused = refused

    async def go(self, url: str) -> None:
        """See `SignIn`."""
        self._refused()
        raise SignInNeeded(self._server)

    async def back(self) -> "AuthorizationCodeResult":
        """See `SignIn`."""
        raise SignInNeeded(self._server)


class SignInNeeded(Denied):
    """The server lets only those in who signed in, or the sign-in is over."""

    def __init__(self, server: str) -> None:
        super().__init__(
            f"{server} wants you to sign in.",
            hint=f"Sign in on Connect > Use, or by `legion mcp server login {server}`.",
        )
