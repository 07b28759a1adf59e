"""The frames between standard input and a node: what is carried, what is refused, and under which headers."""

import http.client
import io
import json
from typing import Any

import pytest

from legion_core.surfaces.mcp import shim
from legion_core.surfaces.mcp.shim import Shim


class Answer:
    """An answer of a node that was written down."""

    def __init__(self, status: int, kind: str, body: bytes, session: str = "") -> None:
        self.status = status
        self._headers = {"content-type": kind, "mcp-session-id": session}
        self._body = io.BytesIO(body)
        self.read, self.readline = self._body.read, self._body.readline

    def getheader(self, name: str) -> str:
        return self._headers[name]


class Node:
    """A connection that keeps what was asked and gives what a test wrote down."""

    sock = None

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, dict[str, str], bytes]] = []

    def request(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> None:
        assert path == "/mcp"
        self.asked.append((method, headers or {}, body))

    def getresponse(self) -> Answer:
        if not self.answers:
            raise http.client.RemoteDisconnected("gone")
        return self.answers.pop(0)

    def close(self) -> None: ...


def said(node: Node, *frames: Any, token: str = "t") -> list[dict[str, Any]]:
    """What comes out for these frames, each carried before the next."""
    sink = io.BytesIO()
    made = Shim(lambda: node, token, io.BytesIO(), sink)  # type: ignore[arg-type]
    for frame in frames:
        line = frame if isinstance(frame, bytes) else json.dumps(frame).encode()
        told = json.loads(line)
        made._exchange(told, line) if "id" in told else made._take(line)
    return [json.loads(line) for line in sink.getvalue().splitlines()]


def call(**params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params}


def test_a_frame_goes_with_the_token_and_the_answers_frames_come_out_one_a_line() -> None:
    stream = b'event: message\r\ndata: {"a": 1}\r\n\r\n: ping\r\n\r\ndata: {"b":\r\ndata: 2}\r\n\r\n'
    node = Node(Answer(200, "text/event-stream", stream))
    assert said(node, call(name="x")) == [{"a": 1}, {"b": 2}]
    ((method, headers, _),) = node.asked
    assert (method, headers["Authorization"]) == ("POST", "Bearer t")


def test_the_new_revisions_headers_are_made_of_the_frame() -> None:
    meta = {shim.VERSION_KEY: "2026-07-28"}
    node = Node(Answer(200, "application/json", b'{"jsonrpc": "2.0", "id": 7, "result": {}}'))
    said(node, call(name="größe", _meta=meta))
    headers = node.asked[0][1]
    assert headers["MCP-Protocol-Version"] == "2026-07-28"
    assert headers["Mcp-Method"] == "tools/call"
    assert headers["Mcp-Name"].startswith("=?base64?")


def test_a_refusal_of_the_door_comes_out_as_an_error_of_the_protocol() -> None:
    body = b'{"error": {"code": "denied", "message": "No valid token.", "hint": "Send it."}}'
    (told,) = said(Node(Answer(401, "application/json", body)), call(name="x"))
    assert told["id"] == 7
    assert told["error"]["message"] == "No valid token. Send it."


def test_a_node_that_is_gone_is_told_and_a_lost_notification_is_not() -> None:
    (told,) = said(Node(), call(name="x"))
    assert "cannot be reached" in told["error"]["message"]
    assert said(Node(), {"jsonrpc": "2.0", "method": "notifications/progress"}) == []


@pytest.mark.parametrize("text", ["plain", "a/b.c-d", "legion://chains/x"])
def test_a_plain_name_is_a_header_as_it_is(text: str) -> None:
    assert shim._header(text) == text


@pytest.mark.parametrize("text", ["two\r\nX-Evil: 1", " blank", "ä", "=?base64?x?=", "\x00"])
def test_a_name_no_header_can_hold_smuggles_nothing(text: str) -> None:
    assert shim._header(text).startswith("=?base64?")
    assert "\n" not in shim._header(text)


def test_a_line_over_the_bound_is_left_out_and_the_next_one_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shim, "FRAME_BYTES_MAX", 8)
    assert list(shim._lines(io.BytesIO(b"short\n" + b"x" * 30 + b"\nnext\n"))) == [
        b"short\n",
        None,
        b"next\n",
    ]
