"""`http.request.*` against a real server on loopback: what it fetches, what it refuses, where it stops."""

import asyncio
import json
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from legion_core.engine.builtin.http import BODY_BYTES_MAX, AddressRefused, HttpRequests
from legion_core.engine.types import Task
from legion_core.kernel.clock import SystemClock
from legion_core.kernel.errors import ConnectionLost, InvalidInput, LimitReached, TimedOut
from legion_core.testing.tasks import UnderTest, open_engine
from tests.support.aio import run


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    seen: list[tuple[str, str, dict[str, str], bytes]]
    gate: threading.Event

    def answer(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length)
        self.server.seen.append(
            (self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body)
        )  # type: ignore[attr-defined]
        match self.path.partition("?")[0]:
            case "/json":
                self.say(200, b'{"a": [1, 2]}', {"Content-Type": "application/json"})
            case "/bytes":
                self.say(200, b"\xff\xfe\x00", {"Content-Type": "application/octet-stream"})
            case "/big":
                self.say(200, b"x" * (BODY_BYTES_MAX + 1))
            case "/round":
                self.say(302, b"", {"Location": "/round"})
            case "/inside":
                self.say(302, b"", {"Location": "http://10.1.2.3/secret"})
            case "/file":
                self.say(302, b"", {"Location": "file:///etc/passwd"})
            case "/moved":
                self.say(303, b"", {"Location": "/json"})
            case "/other":
                port = self.server.server_address[1]  # type: ignore[attr-defined]
                self.say(307, b"", {"Location": f"http://localhost:{port}/json"})
            case "/slow":
                self.server.gate.wait(10)  # type: ignore[attr-defined]
            case "/broken":
                self.send_response(200)
                self.send_header("Content-Length", "100")
                self.end_headers()
                self.wfile.write(b"half")
                self.close_connection = True
            case _:
                self.say(404 if self.path == "/none" else 200, f"{self.command} grüße".encode())

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = answer

    def say(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    here = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    here.seen = []  # type: ignore[attr-defined]
    here.gate = threading.Event()  # type: ignore[attr-defined]
    thread = threading.Thread(target=here.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield here
    here.gate.set()  # type: ignore[attr-defined]
    here.shutdown()
    thread.join()
    here.server_close()


def port_of(server: ThreadingHTTPServer) -> int:
    return int(server.server_address[1])


def fetch(
    server: ThreadingHTTPServer,
    work: Callable[[HttpRequests, str], Awaitable[Any]],
    allow: tuple[str, ...] | None = None,
    resolve: Callable[[str, int], list[str]] | None = None,
) -> Any:
    port = port_of(server)

    async def inside() -> Any:
        listed = (f"127.0.0.1:{port}",) if allow is None else allow
        http = HttpRequests(SystemClock(), lambda: listed, resolve)
        try:
            return await work(http, f"http://127.0.0.1:{port}")
        finally:
            await http.aclose()

    return run(inside())


def test_text_json_and_bytes_come_back_as_what_they_are(server: ThreadingHTTPServer) -> None:
    async def work(http: HttpRequests, base: str) -> None:
        text = await http.get(f"{base}/plain", query={"q": "a b"})
        assert (text.status, text.body, text.json) == (200, "GET grüße", None)
        found = await http.get(f"{base}/json")
        assert found.json == {"a": [1, 2]}
        assert found.headers["content-type"] == "application/json"
        assert (await http.get(f"{base}/bytes")).body_base64 == "//4A"
        assert (await http.get(f"{base}/none")).status == 404
        assert (await http.head(f"{base}/json")).body == ""

    fetch(server, work)
    assert server.seen[0][1] in ("/plain?q=a+b", "/plain?q=a%20b")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "localhost", "[::1]", "0.0.0.0", "2130706433", "0x7f.1", "127.1", "[::ffff:127.0.0.1]"],
)
def test_this_computer_cannot_be_asked_unless_listed_however_it_is_written(
    server: ThreadingHTTPServer, address: str
) -> None:
    async def work(http: HttpRequests, _: str) -> None:
        with pytest.raises((AddressRefused, InvalidInput, ConnectionLost)) as raised:
            await http.get(f"http://{address}:{port_of(server)}/json")
        if isinstance(raised.value, AddressRefused):
            assert "[engine.http] allow" in raised.value.message

    # What the system makes of the odd forms; the plain ones are never looked up.
    fetch(server, work, allow=(), resolve=None if address[0] in "[l" else lambda host, port: ["127.0.0.1"])
    assert server.seen == []  # type: ignore[attr-defined]


def test_a_name_that_changes_its_mind_gains_nothing(server: ThreadingHTTPServer) -> None:
    asked: list[str] = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        # Public when judged; a second look-up would lead inside.
        return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.1"]

    async def work(http: HttpRequests, _: str) -> None:
        found = await http.get(f"http://rebind.example:{port_of(server)}/json")
        assert found.status == 200

    fetch(server, work, allow=(f"127.0.0.1:{port_of(server)}",), resolve=resolve)
    assert asked == ["rebind.example"]
    assert server.seen[0][2]["host"] == f"rebind.example:{port_of(server)}"  # type: ignore[attr-defined]


def test_one_private_address_among_public_ones_is_enough_to_refuse(server: ThreadingHTTPServer) -> None:
    async def work(http: HttpRequests, _: str) -> None:
        with pytest.raises(AddressRefused):
            await http.get("http://mixed.example/")

    fetch(server, work, allow=(), resolve=lambda host, port: ["93.184.216.34", "10.0.0.1"])


@pytest.mark.parametrize("path", ["/inside", "/file"])
def test_a_redirect_is_judged_anew(server: ThreadingHTTPServer, path: str) -> None:
    async def work(http: HttpRequests, base: str) -> None:
        with pytest.raises((AddressRefused, InvalidInput)):
            await http.get(f"{base}{path}")

    fetch(server, work)
    assert len(server.seen) == 1  # type: ignore[attr-defined]


def test_a_redirect_is_followed_as_the_standard_says(server: ThreadingHTTPServer) -> None:
    class Context:
        def key(self, number: int = 0) -> str:
            return "task_x-0"

    async def work(http: HttpRequests, base: str) -> None:
        found = await http.post(Context(), f"{base}/moved", json={"x": 1})  # type: ignore[arg-type]
        assert (found.status, found.json) == (200, {"a": [1, 2]})
        other = await http.get(f"{base}/other", headers={"Authorization": "Bearer abc", "X-Mine": "1"})
        assert other.status == 200
        with pytest.raises(LimitReached):
            await http.get(f"{base}/round")

    fetch(server, work, allow=("127.0.0.1", "localhost"))
    seen = server.seen  # type: ignore[attr-defined]
    assert [each[0] for each in seen[:2]] == ["POST", "GET"]
    assert (seen[0][2]["idempotency-key"], json.loads(seen[0][3])) == ("task_x-0", {"x": 1})
    assert "authorization" in seen[2][2]
    assert "authorization" not in seen[3][2]
    assert seen[2][2]["x-mine"] == "1"
    assert "x-mine" not in seen[3][2]  # it may be a key under a name of its own


@pytest.mark.parametrize(
    ("path", "error"), [("/big", LimitReached), ("/slow", TimedOut), ("/broken", ConnectionLost)]
)
def test_too_much_too_slow_and_broken_are_told_apart(
    server: ThreadingHTTPServer, path: str, error: type[Exception]
) -> None:
    async def work(http: HttpRequests, base: str) -> None:
        with pytest.raises(error):
            await http.get(f"{base}{path}", timeout_s=0.3)

    fetch(server, work)


@pytest.mark.parametrize(
    "url",
    ["", "ftp://x/", "file:///etc/passwd", "http://", "//x", "javascript:1", "http://[::1", "gopher://x"],
)
def test_what_is_no_web_address_is_refused(server: ThreadingHTTPServer, url: str) -> None:
    async def work(http: HttpRequests, _: str) -> None:
        with pytest.raises(InvalidInput):
            await http.get(url)

    fetch(server, work)


def test_nobody_there_is_a_lost_connection(server: ThreadingHTTPServer) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    async def work(http: HttpRequests, _: str) -> None:
        with pytest.raises(ConnectionLost):
            await http.get(f"http://127.0.0.1:{port}/")

    fetch(server, work, allow=("127.0.0.1",))


def test_as_a_task_a_refusal_is_a_failure_with_its_entry_of_the_catalogue(
    server: ThreadingHTTPServer, tmp_path: Path
) -> None:
    async def work() -> Task:
        http = HttpRequests(SystemClock(), lambda: ())
        async with open_engine(tmp_path, {"http.request": http}) as here:
            return await _run(here, f"http://127.0.0.1:{port_of(server)}/json")

    async def _run(here: UnderTest, url: str) -> Task:
        return await here.run("http.request.get", url=url)

    done = run(work())
    assert done.status == "failed"
    assert done.reason is not None
    assert done.reason.code == "task.address_refused"
    assert done.reason.facts == {"address": f"127.0.0.1:{port_of(server)}"}
    assert asyncio.iscoroutinefunction(HttpRequests.get)


@pytest.mark.parametrize(
    "host", ["a" * 64 + ".example", f"{'b' * 63}.{'a' * 64}", "x" * 300, "..", "a..b.example", "ü" * 70]
)
def test_a_name_no_host_can_have_is_refused_before_anything_is_asked(
    server: ThreadingHTTPServer, host: str
) -> None:
    with pytest.raises(InvalidInput):
        fetch(server, lambda http, _: http.get(f"http://{host}/"))
    assert server.seen == []  # type: ignore[attr-defined]


def test_no_connection_is_kept_from_one_task_to_the_next(server: ThreadingHTTPServer) -> None:
    came: list[Any] = []
    take = server.process_request

    def counted(request: Any, address: Any) -> None:
        came.append(address)
        take(request, address)

    server.process_request = counted  # type: ignore[method-assign]

    async def twice(http: HttpRequests, url: str) -> None:
        for _ in range(2):
            assert (await http.get(f"{url}/json")).status == 200
        kept = [inner._pool.connections for inner in http._fetcher._out._inner.values()]  # type: ignore[union-attr]
        assert kept == [[]]

    fetch(server, twice)
    assert len(came) == len(set(came)) == 2
