"""An authorization server and an MCP server behind it, on loopback, which check what they are sent."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit


class Handler(BaseHTTPRequestHandler):
    server: Any

    def do_GET(self) -> None:
        self.server.answer(self, "GET", {})

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length", "0"))
        self.server.answer(self, "POST", self.rfile.read(length))

    def do_DELETE(self) -> None:
        self.say(200, {})

    def say(self, status: int, body: Any = None, headers: dict[str, str] | None = None) -> None:
        content = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None: ...


class Served(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.asked: list[str] = []


class Signer(Served):
    """RFC 6749, 7636, 7591, 8414, 8707, 9207, 7009, as far as an honest one goes; every fault is noted."""

    def __init__(self) -> None:
        super().__init__()
        self.clients: dict[str, list[str]] = {}
        self.codes: dict[str, dict[str, str]] = {}
        self.live: dict[str, str] = {}  # access token: resource
        self.refresh: dict[str, str] = {}
        self.revoked: list[str] = []
        self.faults: list[str] = []
        self.metadata: dict[str, Any] = {}
        self.count = 0

    def answer(self, call: Handler, method: str, body: bytes) -> None:
        parts = urlsplit(call.path)
        self.asked.append(f"{method} {parts.path}")
        form = {name: values[0] for name, values in parse_qs(body.decode() if body else parts.query).items()}
        match method, parts.path:
            case "GET", "/.well-known/oauth-authorization-server":
                call.say(200, {
                    "issuer": self.url, "authorization_endpoint": f"{self.url}/authorize", "token_endpoint": f"{self.url}/token",
                    "registration_endpoint": f"{self.url}/register", "revocation_endpoint": f"{self.url}/revoke",
                    "response_types_supported": ["code"], "code_challenge_methods_supported": ["S256"],
                    "token_endpoint_auth_methods_supported": ["none"],
                    "authorization_response_iss_parameter_supported": True, **self.metadata,
                })  # fmt: skip
            case "POST", "/register":
                told = json.loads(body)
                name = f"client-{len(self.clients) + 1}"
                self.clients[name] = told["redirect_uris"]
                call.say(201, {**told, "client_id": name, "token_endpoint_auth_method": "none"})
            case "GET", "/authorize":
                self._authorize(call, form)
            case "POST", "/token":
                self._token(call, form)
            case "POST", "/revoke":
                self.revoked.append(form["token"])
                call.say(200)
            case _:
                call.say(404, {})

    def _authorize(self, call: Handler, form: dict[str, str]) -> None:
        if form.get("redirect_uri") not in self.clients.get(form.get("client_id", ""), []):
            self.faults.append("redirect_uri")
        for name in ("state", "code_challenge", "resource"):
            if not form.get(name):
                self.faults.append(f"no {name}")
        if form.get("code_challenge_method") != "S256":
            self.faults.append("no S256")
        self.count += 1
        code = f"code-{self.count}"
        self.codes[code] = form
        back = urlencode({"code": code, "state": form.get("state", ""), "iss": self.url})
        call.say(302, None, {"Location": f"{form['redirect_uri']}?{back}"})

    def _token(self, call: Handler, form: dict[str, str]) -> None:
        if form["grant_type"] == "refresh_token":
            resource = self.refresh.pop(form["refresh_token"], None)
            if resource is None:
                call.say(400, {"error": "invalid_grant"})
                return
        else:
            asked = self.codes.pop(form["code"])
            digest = hashlib.sha256(form["code_verifier"].encode()).digest()
            if base64.urlsafe_b64encode(digest).decode().rstrip("=") != asked["code_challenge"]:
                self.faults.append("PKCE")
            if form.get("resource") != asked.get("resource"):
                self.faults.append("resource")
            resource = asked["resource"]
        self.count += 1
        access, renewed = f"SECRETaccess{self.count:06d}", f"SECRETrefresh{self.count:06d}"
        self.live[access], self.refresh[renewed] = resource, resource
        call.say(
            200,
            {"access_token": access, "refresh_token": renewed, "token_type": "Bearer", "expires_in": 3600},
        )


class Guarded(Served):
    """An MCP server with one tool, for those who show a token that `signer` gave for it."""

    def __init__(self, signer: Signer) -> None:
        super().__init__()
        self.signer = signer
        self.shown: list[str] = []

    def answer(self, call: Handler, method: str, body: bytes) -> None:
        self.asked.append(f"{method} {call.path}")
        if call.path.startswith("/.well-known/oauth-protected-resource"):
            call.say(200, {"resource": f"{self.url}/mcp", "authorization_servers": [self.signer.url]})
            return
        token = call.headers.get("authorization", "").removeprefix("Bearer ")
        self.shown.append(token)
        if self.signer.live.get(token) != f"{self.url}/mcp":
            where = f"{self.url}/.well-known/oauth-protected-resource/mcp"
            call.say(401, {}, {"WWW-Authenticate": f'Bearer resource_metadata="{where}"'})
            return
        if method == "GET":
            call.say(405, {})
            return
        asked = json.loads(body)
        if "id" not in asked:
            call.say(202)
            return
        results = {
            "initialize": {
                "protocolVersion": "2025-11-25", "capabilities": {"tools": {}},
                "serverInfo": {"name": "guarded", "version": "1"},
            },
            "tools/list": {"tools": [{"name": "add", "description": "Adds.", "inputSchema": {"type": "object"}}]},
            "tools/call": {"content": [{"type": "text", "text": "3"}]},
        }  # fmt: skip
        result = results.get(asked["method"])
        answer = {"result": result} if result else {"error": {"code": -32601, "message": "no such method"}}
        call.say(200, {"jsonrpc": "2.0", "id": asked["id"], **answer})


@contextmanager
def serving() -> Iterator[tuple[Signer, Guarded]]:
    """Both of them."""
    signer = Signer()
    guarded = Guarded(signer)
    made = (signer, guarded)
    threads = [threading.Thread(target=each.serve_forever, kwargs={"poll_interval": 0.01}) for each in made]
    for thread in threads:
        thread.start()
    try:
        yield signer, guarded
    finally:
        for each, thread in zip(made, threads, strict=True):
            each.shutdown()
            thread.join()
            each.server_close()
