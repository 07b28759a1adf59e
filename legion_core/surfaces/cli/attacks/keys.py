"""What a wrong, narrow, stolen or revoked key reaches, and where the keys of providers can be made to go."""

import asyncio
import json
from typing import Any

from legion_core.surfaces.cli.attacks.stage import MODEL, OK, PLANTED, Attack, Stage, Through, hold

KEYS = (
    "' OR 1=1 --", "lgn_' UNION SELECT secret FROM tokens --", "Bearer", "", "a" * 20_000, "é" * 40, "%00", "../../token", "null",
    "lgn_" + "0" * 43, "undefined", "true", "[]", "{}",
)  # fmt: skip
CARRIERS = ("Authorization: Bearer {}", "x-api-key: {}", "api-key: {}", "x-goog-api-key: {}")
LIES = (
    "X-Forwarded-For: 127.0.0.1", "X-Forwarded-User: owner", "X-Remote-User: owner", "X-Legion-Who: owner",
    "X-Legion-Roles: admin", "Cookie: token=owner; who=owner", "X-Real-Ip: 127.0.0.1", "Forwarded: for=127.0.0.1",
)  # fmt: skip
FIELDS = (
    "base_url", "api_base", "api_url", "endpoint", "host", "proxy", "proxies", "headers", "extra_headers", "default_headers",
    "api_key", "apiKey", "authorization", "token", "gatewayUrl", "gateway_url", "url", "uri", "server", "webhook", "callback",
    "callback_url", "provider", "provider_options", "custom_llm_provider", "litellm_params", "aws_endpoint", "azure_endpoint",
    "vertex_project", "region", "organization", "project", "timeout", "verify", "ssl_verify", "cert", "transport", "client",
    "n_discard", "__proto__",
)  # fmt: skip
SESSIONS, CALLS = 20, 5
# What of such a body must not be found in what a provider is sent.
NEVER_SENT = ("sk-evil", "x-evil", "n_discard", "gatewayUrl", "litellm_params", "__proto__")
HEAD = (
    "Content-Type: application/json",
    "Accept: application/json, text/event-stream",
    "MCP-Protocol-Version: 2025-11-25",
)
HI = {"model": MODEL, "messages": [{"role": "user", "content": "Hi"}]}


async def hostile_keys(stage: Stage) -> str:
    """SQL, megabytes and other scripts in place of a key."""
    for key in KEYS:
        for carrier in CARRIERS:
            status, _, body = await stage.ask("GET", "/api/v1/settings", carrier.format(key), secret=None)
            hold(status in (400, 401, 431), f"{key[:20]!r}: {status}")
            hold(b"Traceback" not in body and b"sqlite" not in body.lower(), body)
    status, _, _ = await stage.send(
        b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nx-api-key: a\x00b\r\n\r\n" % stage.port
    )
    hold(status in (0, 400), f"NUL: {status}")
    return f"{len(KEYS) * len(CARRIERS)} keys: 401"


async def carriers(stage: Stage) -> str:
    """A restriction on one carrier of a key, walked around by another; two keys in one request."""
    weak = await stage.token("carrier", "chat")
    for carrier in CARRIERS:
        status, _, _ = await stage.ask("GET", "/api/v1/settings", carrier.format(weak), secret=None)
        hold(status == 403, f"{carrier}: {status}")
        status, _, _ = await stage.ask("GET", "/api/v1/settings", carrier.format("another"), secret=weak)
        hold(status in (400, 403), f"two keys: {status}")
    for path in ("/api/v1/settings", "/v1/models", "/mcp"):
        status, _, _ = await stage.ask("GET", f"{path}?key={stage.owner}", secret=None)
        hold(status == 401, f"in the address of {path}: {status}")
    status, _, _ = await stage.ask("GET", f"/v1beta/models?key={weak}")
    hold(status == 400, f"two, one in the address: {status}")
    return "403 by each, 401 in an address; two keys: 400"


async def others_chats(stage: Stage) -> str:
    """Another's conversation, by its id."""
    kept = await stage.legion.chat.create("private matters")
    weak = await stage.token("reader-of-chats", "chat")
    for method, path, body in (
        ("GET", f"/api/v1/conversations/{kept.id}", None),
        ("DELETE", f"/api/v1/conversations/{kept.id}", None),
        ("POST", "/v1/chat/completions", json.dumps(HI).encode()),
    ):
        status, _, answer = await stage.ask(
            method, path, f"x-legion-conversation: {kept.id}", secret=weak, body=body
        )
        hold(status in (403, 404) and b"private matters" not in answer, f"{method} {path}: {status}")
    return "403"


async def who_it_is(stage: Stage) -> str:
    """A client that names its own role, user or address."""
    weak = await stage.token("liar", "tasks:write", "tasks/log/*:run")
    status, _, _ = await stage.ask("GET", "/api/v1/settings", *LIES, secret=weak)
    hold(status == 403, status)
    body = {"task": "shell.command.run", "args": {"argv": ["true"]}, "who": "owner", "roles": ["admin"]}
    status, _ = await stage.post("/api/v1/tasks", body, *LIES, secret=weak)
    hold(status in (400, 403), status)
    return "403"


async def cross_talk(stage: Stage) -> str:
    """Many clients whose request ids are the same: an answer that goes to another."""

    async def client(number: int) -> None:
        session = await _session(stage)
        for turn in range(CALLS):
            mine = f"goal-{number:04}-{turn:04}"
            asked = _rpc("prompts/get", {"name": "write-chain", "arguments": {"goal": mine}})
            _, _, answer = await stage.ask("POST", "/mcp", *HEAD, f"Mcp-Session-Id: {session}", body=asked)
            hold(mine.encode() in answer, "an answer was another's")

    await asyncio.gather(*(client(number) for number in range(SESSIONS)))
    return f"{SESSIONS * CALLS} answers, each to who asked"


async def _session(stage: Stage) -> str:
    """A session of MCP, opened with the stage's own token."""
    hello: dict[str, Any] = {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "attack", "version": "1"},
    }
    status, said, _ = await stage.ask("POST", "/mcp", *HEAD, body=_rpc("initialize", hello))
    session = said.partition(b"mcp-session-id:")[2].partition(b"\r\n")[0].strip().decode()
    if status != 200 or not session:
        raise RuntimeError(f"no session: {status}")
    return session


def _rpc(method: str, params: dict[str, Any]) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()


async def stolen_session(stage: Stage) -> str:
    """Another's session of MCP, with a token of one's own; and a session one chose oneself."""
    session = await _session(stage)
    other = await stage.token("other-editor", "mcp")
    for method in ("POST", "GET", "DELETE"):
        body = _rpc("tools/list", {}) if method == "POST" else None
        for named, secret in ((session, other), ("fixed" * 8, "")):
            status, _, _ = await stage.ask(
                method, "/mcp", *HEAD, f"Mcp-Session-Id: {named}", secret=secret, body=body
            )
            hold(status in (400, 404), f"{method}: {status}")
    return "404"


async def body_fields(stage: Stage) -> str:
    """Fields of a client's body that choose address, header or key, or reach a backend's memory."""
    evil: dict[str, Any] = {
        name: {"x-evil": "1"} if "headers" in name else stage.thief.url for name in FIELDS
    }
    evil |= {"n_discard": -1, "timeout": -1, "api_key": "sk-evil", "token": "sk-evil"}
    stage.box.heard.clear()
    for path in ("/v1/chat/completions", "/api/chat"):
        await stage.post(path, {**HI, **evil}, "x-legion-instance: box")
    sent = b"".join(stage.box.heard)
    hold(stage.thief.heard == [], "the thief was asked")
    if PLANTED.encode() not in sent:
        raise RuntimeError("the provider was never asked, so nothing was tried")
    for word in (*NEVER_SENT, stage.thief.url):
        hold(word.encode() not in sent, f"{word} reached the provider")
    return f"{len(FIELDS)} fields: dropped"


async def redirected(stage: Stage) -> str:
    """A provider that sends the request, and the key with it, elsewhere."""
    try:
        for code in (301, 302, 307, 308):
            where = f"HTTP/1.1 {code} Go\r\nLocation: {stage.thief.url}/v1/x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            stage.box.answer = where.encode()
            await stage.post("/v1/chat/completions", HI, "x-legion-instance: box")
        hold(PLANTED.encode() not in b"".join(stage.thief.heard), "the thief has the key")
        hold(stage.thief.heard == [], "the thief was asked")
    finally:
        stage.box.answer = OK
        stage.legion.providers.reset("box")
    return "not followed"


async def revoked(stage: Stage) -> str:
    """A key that was revoked: its next request, and the stream it holds open."""
    secret = await stage.token("gone", "*:read")
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.port)
    writer.write(
        f"GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1:{stage.port}\r\nAuthorization: Bearer {secret}\r\n\r\n".encode()
    )
    try:
        async with asyncio.timeout(20):
            head = await reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in head:
            raise RuntimeError(f"no stream: {head[:40]!r}")
        await stage.legion.tokens.revoke("gone")
        try:
            async with asyncio.timeout(5):
                while await reader.read(65_536):
                    pass
        except TimeoutError as error:
            raise Through("the stream goes on") from error
        except OSError:
            pass  # dropped, which is an end
    finally:
        writer.close()
    status, _, _ = await stage.ask("GET", "/api/v1/events", secret=secret)
    hold(status == 401, status)
    return "401, and the stream was cut"


ATTACKS = (
    Attack("S6", "SQL, megabytes and other scripts as a key", hostile_keys),
    Attack("S7", "A second way to carry a key; two keys", carriers),
    Attack("S8", "Another's conversation by its id", others_chats),
    Attack("S8", "A client that says who it is", who_it_is),
    Attack("S9", "Colliding request ids", cross_talk),
    Attack("S9", "A stolen or chosen session", stolen_session),
    Attack("S10-11", "Fields that choose address, header, key or memory", body_fields),
    Attack("S13", "A provider that redirects a request and its key", redirected),
    Attack("S12-14", "A revoked key, and what it holds open", revoked),
)
