"""The one fetch function against servers that want something of it."""

import gzip
import threading
import zlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from legion_core.kernel.contacts import CONTACTS
from legion_core.kernel.errors import ConnectionLost, InvalidInput, LimitReached
from legion_core.kernel.fetch.client import Fetched, Fetcher, Unpacked
from legion_core.kernel.fetch.gate import GATE, Blocked
from legion_core.kernel.fetch.reach import PrivateAddress, Reach
from legion_core.kernel.fetch.transport import Use
from tests.support.aio import run

BOMB = gzip.compress(bytes(64 << 20), 9)  # 64 MB in 64 kB
SECRETS = {"Authorization": "Bearer abc", "X-Api-Key": "k", "Cookie": "a=b", "Accept": "text/plain"}


class Handler(BaseHTTPRequestHandler):
    server: Any

    def do_GET(self) -> None:
        self.server.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
        other = self.server.other
        match self.path:
            case "/cookie":
                self.say(b"ok", {"Set-Cookie": "session=stolen; Path=/"})
            case "/elsewhere":
                self.say(b"", {"Location": f"http://127.0.0.1:{other}/landed"}, 302)
            case "/metadata":
                self.say(b"", {"Location": "http://169.254.169.254/latest/meta-data"}, 307)
            case "/scheme":
                self.say(b"", {"Location": "file:///etc/passwd"}, 302)
            case "/circle":
                self.say(b"", {"Location": "/circle"}, 302)
            case "/bomb":
                self.say(BOMB, {"Content-Encoding": "gzip"})
            case "/twice":
                self.say(gzip.compress(BOMB), {"Content-Encoding": "gzip, gzip"})
            case "/cut":
                self.say(gzip.compress(b"hello")[:-4], {"Content-Encoding": "gzip"})
            case "/deflate":
                self.say(zlib.compress(b"hello")[2:-4], {"Content-Encoding": "deflate"})
            case _:
                self.say(b"hello")

    def say(self, body: bytes, headers: dict[str, str] | None = None, status: int = 200) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def servers() -> Iterator[tuple[Any, Any]]:
    made: list[Any] = [ThreadingHTTPServer(("127.0.0.1", 0), Handler) for _ in range(2)]
    threads = [threading.Thread(target=each.serve_forever, kwargs={"poll_interval": 0.01}) for each in made]
    for each, thread in zip(made, threads, strict=True):
        each.seen, each.other = [], made[1].server_address[1]
        thread.start()
    yield made[0], made[1]
    for each, thread in zip(made, threads, strict=True):
        each.shutdown()
        thread.join()
        each.server_close()
    GATE.set()


def fetch(server: Any, *paths: str, allow: tuple[str, ...] = ("127.0.0.1",), **given: Any) -> Fetched:
    async def inside() -> Fetched:
        fetcher = Fetcher(Use(purpose="task", by="test", reach=lambda _: Reach(allow=allow)))
        try:
            for path in paths:
                found = await fetcher.send(
                    "GET", f"http://127.0.0.1:{server.server_address[1]}{path}", **given
                )
            return found
        finally:
            await fetcher.aclose()

    return run(inside())


def test_no_cookie_is_kept_from_one_request_to_the_next(servers: tuple[Any, Any]) -> None:
    assert fetch(servers[0], "/cookie", "/again").body == b"hello"
    assert "cookie" not in servers[0].seen[1][1]


def test_no_key_follows_a_redirect_to_another_port(servers: tuple[Any, Any]) -> None:
    fetch(servers[0], "/elsewhere", headers=SECRETS)
    here, there = servers[0].seen[0][1], servers[1].seen[0][1]
    assert (here["authorization"], here["x-api-key"], here["cookie"]) == ("Bearer abc", "k", "a=b")
    assert not {"authorization", "x-api-key", "cookie"} & set(there)
    assert there["accept"] == "text/plain"


def test_a_redirect_to_metadata_or_a_file_leads_nowhere(servers: tuple[Any, Any]) -> None:
    with pytest.raises(PrivateAddress):
        fetch(servers[0], "/metadata")
    with pytest.raises(InvalidInput):
        fetch(servers[0], "/scheme")
    with pytest.raises(LimitReached, match="leads on and on"):
        fetch(servers[0], "/circle")


def test_a_small_answer_that_stands_for_a_huge_one_is_refused_before_it_is_unpacked(
    servers: tuple[Any, Any],
) -> None:
    with pytest.raises(LimitReached, match="512 kB"):
        fetch(servers[0], "/bomb")
    with pytest.raises(ConnectionLost, match="not asked for"):
        fetch(servers[0], "/twice")
    with pytest.raises(ConnectionLost, match="ends too early"):
        fetch(servers[0], "/cut")
    assert fetch(servers[0], "/deflate").body == b"hello"


def test_a_bomb_costs_no_more_than_the_bound() -> None:
    unpacked = Unpacked("gzip", 1_000)
    with pytest.raises(LimitReached):
        unpacked.take(BOMB)
    assert len(unpacked._parts) == 1_001


@pytest.mark.parametrize(
    "url",
    ["http://good.example@127.0.0.1:{port}/", "http://127.0.0.1:{port}#@good.example/",
     "http://127.0.0.1:{port}\\@good.example/", "http://[::ffff:127.0.0.1]:{port}/", "http://0177.1:{port}/",
     "HTTP://LOCALHOST:{port}/", "http://127.0.0.1.:{port}/", "http:/127.0.0.1:{port}/", "//127.0.0.1:{port}/",
     "gopher://127.0.0.1:{port}/", "http://①②⑦.0.0.1:{port}/", "http://127。0。0。1:{port}/", "http://%31%32%37.0.0.1:{port}/"],
)  # fmt: skip
def test_however_this_computer_is_written_it_is_not_asked(servers: tuple[Any, Any], url: str) -> None:
    async def inside() -> None:
        fetcher = Fetcher(Use(purpose="task"))
        try:
            with pytest.raises((PrivateAddress, InvalidInput, ConnectionLost)):
                await fetcher.send("GET", url.format(port=servers[0].server_address[1]))
        finally:
            await fetcher.aclose()

    run(inside())
    assert servers[0].seen == []


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\0b"])
def test_a_header_cannot_bring_another_one_along(servers: tuple[Any, Any], value: str) -> None:
    with pytest.raises((InvalidInput, ConnectionLost)):
        fetch(servers[0], "/", headers={"X-Mine": value})
    assert all("x-evil" not in headers for _, headers in servers[0].seen)


def test_what_went_each_way_is_counted_and_a_block_counts_as_refused(servers: tuple[Any, Any]) -> None:
    CONTACTS.take()
    fetch(servers[0], "/", "/")
    row = next(each for each in CONTACTS.take() if each.by == "test")
    assert (row.host, row.count, row.refused) == ("127.0.0.1", 2, 0)
    assert row.received_bytes > 10
    assert row.sent_bytes > 100
    GATE.set(blocked=("127.0.0.1",))
    with pytest.raises(Blocked):
        fetch(servers[0], "/")
    assert [(each.count, each.refused) for each in CONTACTS.take()] == [(0, 1)]
    assert len(servers[0].seen) == 2
