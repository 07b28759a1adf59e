"""Where attacks are tried: a node of its own in a home of its own, a provider that keeps what it is sent, and a thief.

Everything is on this computer. The thief is who gains by an attack: whatever reaches it has come through.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from legion_core.storage.calls import in_thread

if TYPE_CHECKING:
    from legion_core.api.facade import Legion
    from legion_core.surfaces.cli.local import OpenNode

ANSWER_S: Final = 60.0
PLANTED: Final = (
    "sk-planted-0123456789abcdefghijklmnopqrstuvwxyz"  # the provider's key: to be seen nowhere but there
)
MODEL: Final = "m1"
READ_BYTES: Final = 8 << 20


class Through(Exception):
    """An attack succeeded; the words say how."""


@dataclass(frozen=True, slots=True)
class Attack:
    """`number` is its place in the list of public attacks (S1 …), `act` gives how it was refused or raises Through."""

    number: str
    name: str
    act: "Callable[[Stage], Awaitable[str]]"


def hold(is_refused: bool, words: object) -> None:
    """Go on, or say that it came through."""
    if not is_refused:
        raise Through(str(words)[:300])


class Listener:
    """A server on loopback that keeps what it is sent. `answer` is the whole answer to each request."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.heard: list[bytes] = []
        self.url = ""

    async def took(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request."""
        self.heard.append(b"")
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                (
                    int(line.partition(b":")[2])
                    for line in head.lower().split(b"\r\n")
                    if line.startswith(b"content-length:")
                ),
                0,
            )
            self.heard.append(head + await reader.readexactly(length))
            writer.write(self.answer)
            await writer.drain()
        writer.close()


@dataclass(slots=True)
class Stage:
    """See the module. `owner` is the owner's token of the node under attack."""

    legion: "Legion"
    home: Path
    port: int
    owner: str
    box: Listener
    thief: Listener

    async def ask(
        self,
        method: str,
        target: str,
        *headers: str,
        secret: str | None = "",
        body: bytes | None = None,
        host: str | None = "127.0.0.1:{port}",
    ) -> tuple[int, bytes, bytes]:
        """Status, head and body of one request. `secret` empty is the owner's token, None is none; `{port}` is ours."""
        head = [f"{method} {target} HTTP/1.1", "Connection: close"]
        if host is not None:
            head.append(f"Host: {host}")
        if secret is not None:
            head.append(f"Authorization: Bearer {secret or self.owner}")
        if body is not None:
            head.append(f"Content-Length: {len(body)}")
            if not any(each.lower().startswith("content-type") for each in headers):
                head.append("Content-Type: application/json")
        whole = "\r\n".join((*head, *headers)).replace("{port}", str(self.port))
        return await self.send(whole.encode("utf-8", "surrogateescape") + b"\r\n\r\n" + (body or b""))

    async def send(self, request: bytes) -> tuple[int, bytes, bytes]:
        """The same, of bytes."""
        async with asyncio.timeout(ANSWER_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            answer = b""
            # A refused request may be cut off while it is still being sent; what was answered counts.
            with suppress(OSError):
                writer.write(request)
                answer = await reader.read(READ_BYTES)
                while more := await reader.read(READ_BYTES):
                    answer += more
            writer.close()
        head, _, content = answer.partition(b"\r\n\r\n")
        return int(head.split(None, 2)[1]) if head else 0, head.lower(), content

    async def post(self, target: str, document: Any, *headers: str, secret: str = "") -> tuple[int, bytes]:
        """A document as JSON; status and body."""
        status, _, content = await self.ask(
            "POST", target, *headers, secret=secret, body=json.dumps(document).encode()
        )
        return status, content

    async def token(self, name: str, *scopes: str) -> str:
        """A new client's token."""
        return (await self.legion.tokens.create(name, scopes)).secret


_SAID = json.dumps(
    {
        "id": "x", "object": "chat.completion", "created": 1, "model": MODEL,
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "ok"}}],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }
).encode()  # fmt: skip
OK: Final = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"
    % (len(_SAID), _SAID)
)


def _lay(home: Path, config: str) -> None:
    home.mkdir(mode=0o700, exist_ok=True)
    (home / "config.toml").write_text(config, encoding="utf-8")


@asynccontextmanager
async def staged(open_node: "OpenNode", home: Path) -> AsyncGenerator[Stage]:
    """A node in `home`, which is to be empty, with one provider."""
    box, thief = Listener(OK), Listener(OK)
    servers = [await asyncio.start_server(each.took, "127.0.0.1", 0) for each in (box, thief)]
    for each, server in zip((box, thief), servers, strict=True):
        each.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    config = (
        f"[[gateway.instances]]\nname = 'box'\nkind = 'openai'\nbase_url = '{box.url}/v1'\ntier = 'direct'\n"
        f"api_key = 'env://BOX'\n[[gateway.instances.models]]\nid = '{MODEL}'\ncapabilities = ['streaming', 'tools']\n"
    )
    await in_thread("attack", lambda: _lay(home, config))
    try:
        async with open_node(home, env={"BOX": PLANTED}, serve=True, port=0) as node:
            if node.problem is not None:
                raise node.problem
            owner = await in_thread("attack", lambda: (home / "token").read_text(encoding="utf-8").strip())
            port = int(node.url.rpartition(":")[2])
            yield Stage(node.legion, home, port, owner, box, thief)
    finally:
        for server in servers:
            server.close()
