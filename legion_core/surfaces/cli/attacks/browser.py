"""What a page in a browser, or a name that points at this computer, tries at a port on loopback."""

import asyncio
import re
import socket

from legion_core.surfaces.cli.attacks.stage import Attack, Stage, hold
from legion_core.surfaces.rest import routes

HOSTS = (
    "evil.example:{port}", "127.0.0.1.evil.example:{port}", "evil.example", "[::1]evil:{port}", "127.0.0.1:1", "127.0.0.1",
    "127.0.0.1:{port}@evil.example", "localhost.evil:{port}", "0.0.0.0:{port}", "[::ffff:127.0.0.1]:{port}", "127.1:{port}",
    "2130706433:{port}", "127.0.0.1:{port}/x", "127.0.0.1:{port} evil", "",
)  # fmt: skip
ORIGINS = (
    "http://evil.example", "null", "http://localhost.evil", "http://127.0.0.1:1", "https://127.0.0.1:{port}", "file://",
    "http://6.6.6.6:{port}", "",
)  # fmt: skip
OVERRIDES = (
    "X-HTTP-Method-Override",
    "X-HTTP-Method",
    "X-Method-Override",
    "x-original-url",
    "x-rewrite-url",
)
SPELLINGS = (
    "/API/V1/settings", "/api/v1//settings", "/api/v1/./settings", "/api/v1/x/../settings", "/api/v1/settings/",
    "/api/v1/settings%2f", "/api/v1/%73ettings", "/api%2fv1/settings", "/api/v1/settings;x=/healthz",
    "/healthz/../api/v1/settings", "/healthz%2f..%2fapi/v1/settings", "/api/v1/settings?x=/healthz",
    "/api/v1/settings#/healthz", "/hooks/../api/v1/settings", "/hooks/x/../../api/v1/settings",
)  # fmt: skip
OPEN = ("/healthz", "/readyz")


async def rebinding(stage: Stage) -> str:
    """DNS rebinding: the name is the attacker's, the address is ours."""
    for host in HOSTS:
        for secret in ("", None):
            status, _, _ = await stage.ask("GET", "/api/v1/settings", host=host, secret=secret)
            hold(status in (400, 421), f"Host {host!r}: {status}")
    return f"{len(HOSTS)} hosts, with and without a token: 421"


async def odd_requests(stage: Stage) -> str:
    """No Host, two of them, a whole address as the target."""
    status, _, _ = await stage.ask("GET", "/healthz", host=None)
    hold(status in (400, 421), f"no Host: {status}")
    status, _, _ = await stage.ask("GET", "/api/v1/settings", "Host: 127.0.0.1:{port}")
    hold(status in (400, 421), f"two: {status}")
    for target in (
        "http://evil.example/healthz",
        f"http://127.0.0.1:{stage.port}/healthz",
        "evil.example:80",
        "*",
    ):
        status, _, _ = await stage.ask("GET", target)
        hold(status in (400, 421), f"target {target}: {status}")
    return "400 or 421"


async def origins(stage: Stage) -> str:
    """A page elsewhere that knows the token."""
    for origin in ORIGINS:
        for target in ("/healthz", "/api/v1/settings"):
            status, head, _ = await stage.ask("GET", target, f"Origin: {origin}")
            hold(status == 403 and b"access-control" not in head, f"Origin {origin!r}: {status}")
    return f"{len(ORIGINS)} origins: 403"


async def every_route(stage: Stage) -> str:
    """Every route there is: by a form, a picture, another origin, a WebSocket, and without a token."""
    count = 0
    for each in routes.operations():
        path = re.sub(r"\{\w+\}", "x", each.path)
        body = b"{}" if each.method in ("POST", "PUT", "PATCH") else None
        tries = {
            "origin": stage.ask(each.method, path, "Origin: http://evil.example", body=body),
            "picture": stage.ask(each.method, path, "Sec-Fetch-Site: cross-site", body=body),
            "form": stage.ask(each.method, path, "Content-Type: text/plain", body=b"a=b", secret=None),
            "upgrade": stage.ask(each.method, path, "Upgrade: websocket"),
            "no token": stage.ask(each.method, path, secret=None, body=body),
            "wrong token": stage.ask(each.method, path, secret="lgn_" + "x" * 43, body=body),
        }
        found = await asyncio.gather(*tries.values())
        for name, (status, _, _) in zip(tries, found, strict=True):
            is_open = (path in OPEN or path.startswith("/hooks/")) and "token" in name
            hold(400 <= status < 500 or is_open, f"{each.method} {path} by {name}: {status}")
            count += 1
    return f"{count} requests to {len(routes.operations())} routes: 4xx"


async def spellings(stage: Stage) -> str:
    """A path spelled so that the check and the handler read it differently."""
    weak = await stage.token("speller", "chat")
    for target in SPELLINGS:
        status, _, _ = await stage.ask("GET", target, secret=weak)
        hold(status in (400, 403, 404), f"{target} with a narrow token: {status}")
        status, _, _ = await stage.ask("GET", target, secret="lgn_" + "x" * 43)
        hold(status in (400, 401), f"{target} with a wrong one: {status}")
    return f"{len(SPELLINGS)} spellings: 400, 401, 403 or 404"


async def overrides(stage: Stage) -> str:
    """A header that makes another method or path of a request."""
    reader = await stage.token("reader", "tokens:read", "rbac:read")
    await stage.token("victim", "chat")
    for header in OVERRIDES:
        for value in ("DELETE", "/api/v1/rbac/tokens/victim"):
            status, _, _ = await stage.ask("GET", "/api/v1/rbac/tokens", f"{header}: {value}", secret=reader)
            hold(status == 200, f"{header}: {status}")
    await stage.ask("GET", "/api/v1/rbac/tokens?_method=DELETE&method=DELETE", secret=reader)
    rows = {row.name: row.state for row in await stage.legion.tokens.list()}
    hold(rows["victim"] == "active", "the token was revoked")
    return "ignored; nothing changed"


async def listening(stage: Stage) -> str:
    """Another computer of the network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: it only asks which address would be used
            address = probe.getsockname()[0]
        except OSError:
            return "this computer has no other address"
    try:
        async with asyncio.timeout(5):
            _, writer = await asyncio.open_connection(address, stage.port)
    except (OSError, TimeoutError):
        return "no listener beyond loopback"
    writer.close()
    hold(address.startswith("127."), "it listens on an address of the network")
    return "this computer has no other address"


async def pre_flight(stage: Stage) -> str:
    """A browser asks whether a page may come in from a public network."""
    status, head, _ = await stage.ask(
        "OPTIONS", "/api/v1/settings", "Origin: http://evil.example", "Access-Control-Request-Method: PUT",
        "Access-Control-Request-Private-Network: true", secret=None,
    )  # fmt: skip
    hold(status in (403, 405) and b"access-control" not in head, f"{status}")
    return f"{status}, and no header that allows anything"


ATTACKS = (
    Attack("S1", "A name that is rebound to this computer", rebinding),
    Attack("S1", "No Host, two, or a whole address as the target", odd_requests),
    Attack("S1", "A page of another origin that knows the token", origins),
    Attack("S2", "Form, picture, script, WebSocket or no token, at every route", every_route),
    Attack("S3", "A path spelled so that a check reads it otherwise", spellings),
    Attack("S3", "A header that turns a request into another", overrides),
    Attack("S4", "Another computer of the network", listening),
    Attack("S5", "A pre-flight into the private network", pre_flight),
)
