"""`legion mcp` beside a running node: carries frames from standard input to its `/mcp` and back, and knows little of them.

Standard library only: an editor starts this and waits for it. Standard output carries frames and nothing else.
"""

import base64
import contextlib
import http.client
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, cast

FRAME_BYTES_MAX = 4 << 20
AT_ONCE_MAX = 64
CONNECT_S = 15.0
PATH = "/mcp"
VERSION_KEY = "io.modelcontextprotocol/protocolVersion"
_PARSE_ERROR, _INVALID, _GONE = -32700, -32600, -32000
_NAMED = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}

Frame = dict[str, Any]


class Shim:
    """`run` until the input ends. `connect` makes a connection to the node; `token` proves who asks."""

    def __init__(
        self,
        connect: Callable[[], http.client.HTTPConnection],
        token: str,
        source: BinaryIO,
        sink: BinaryIO,
    ) -> None:
        self._connect = connect
        self._token = token
        self._source = source
        self._sink = sink
        self._writing = threading.Lock()
        self._session = ""
        self._version = ""
        self._opening: bytes = b""
        self._room = threading.BoundedSemaphore(AT_ONCE_MAX)
        self._open: dict[str, http.client.HTTPConnection] = {}
        self._listener: http.client.HTTPConnection | None = None
        self._is_over = False

    def run(self) -> None:
        """Carry frames until standard input ends; then the session is ended too."""
        try:
            for line in _lines(self._source):
                if line is None:
                    self._fail(None, _INVALID, f"A message is larger than {FRAME_BYTES_MAX >> 20} MB.")
                elif line.strip():
                    self._take(line.strip())
        finally:
            self._is_over = True
            self._leave()

    def _take(self, line: bytes) -> None:
        try:
            frame = json.loads(line)
        except (ValueError, RecursionError):
            self._fail(None, _PARSE_ERROR, "The line is not JSON.")
            return
        if not isinstance(frame, dict):
            self._fail(None, _INVALID, "A line is one message.")
            return
        told = cast("Frame", frame)
        method, params = told.get("method"), told.get("params")
        if method == "notifications/cancelled" and not self._session and isinstance(params, dict):
            self._hang_up(_key(cast("Frame", params).get("requestId")))
        elif method == "initialize":
            self._opening = line
            self._session = self._version = ""
            self._exchange(told, line)
            if self._session:
                threading.Thread(target=self._listen, name="mcp-listen", daemon=True).start()
        elif method is None or "id" not in told:
            self._exchange(told, line)  # in order: an answer or a notification is short
        elif self._room.acquire(blocking=False):
            threading.Thread(target=self._carried, args=(told, line), name="mcp-frame", daemon=True).start()
        else:
            self._fail(told["id"], _GONE, f"{AT_ONCE_MAX} requests are under way, which is the limit.")

    def _carried(self, frame: Frame, line: bytes) -> None:
        try:
            self._exchange(frame, line)
        finally:
            self._room.release()

    def _exchange(self, frame: Frame, line: bytes, *, is_again: bool = False) -> None:
        """Send one frame; write what comes back."""
        key = _key(frame.get("id"))
        connection = self._connect()
        if "method" in frame and "id" in frame:
            self._open[key] = connection
        try:
            connection.request("POST", PATH, body=line, headers=self._headers(frame))
            if connection.sock is not None and "id" in frame:
                connection.sock.settimeout(None)  # a tool may take as long as it takes; the node bounds it
            answer = connection.getresponse()
            if frame.get("method") == "initialize":
                self._session = answer.getheader("mcp-session-id") or ""
            if answer.status == 404 and self._session and not is_again and self._again():
                self._exchange(frame, line, is_again=True)
                return
            self._pass_on(frame, answer)
        except (OSError, http.client.HTTPException, ValueError) as error:
            if "id" in frame and "method" in frame and key in self._open and not self._is_over:
                self._fail(
                    frame["id"], _GONE, f"Legion Workbench cannot be reached: {error}. Is it still open?"
                )
        finally:
            self._open.pop(key, None)
            connection.close()

    def _pass_on(self, frame: Frame, answer: http.client.HTTPResponse) -> None:
        is_asked = "id" in frame and "method" in frame
        if (answer.getheader("content-type") or "").startswith("text/event-stream"):
            for data in _events(answer):
                self._note(frame, data)
                self._write(data)
            return
        body = answer.read(FRAME_BYTES_MAX * 4)
        if not is_asked:
            return
        told = _object(body)
        if "jsonrpc" in told:
            if told.get("id") is None:
                told["id"] = frame["id"]
            self._note(frame, body)
            self._write(json.dumps(told).encode())
        else:
            fault: Frame = told.get("error") or {}
            words = f"{fault.get('message', f'The node answered {answer.status}.')} {fault.get('hint', '')}".strip()
            self._fail(frame["id"], _GONE, words)

    def _note(self, frame: Frame, data: bytes) -> None:
        """The revision a handshake ended in goes with every later request."""
        if frame.get("method") == "initialize" and not self._version:
            result = _object(data).get("result")
            if isinstance(result, dict):
                self._version = str(cast("Frame", result).get("protocolVersion", ""))

    def _headers(self, frame: Frame) -> dict[str, str]:
        headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        params = frame.get("params")
        told = cast("Frame", params) if isinstance(params, dict) else {}
        meta = told.get("_meta")
        modern = str(cast("Frame", meta).get(VERSION_KEY, "")) if isinstance(meta, dict) else ""
        method = frame.get("method")
        if modern and method != "initialize":
            headers["MCP-Protocol-Version"] = _header(modern)
            headers["Mcp-Method"] = _header(str(method))
            if isinstance(name := told.get(_NAMED.get(str(method), "")), str):
                headers["Mcp-Name"] = _header(name)
        elif self._session:
            headers["Mcp-Session-Id"] = self._session
            headers["MCP-Protocol-Version"] = _header(self._version)
        elif not modern and method not in (None, "initialize"):
            headers["MCP-Protocol-Version"] = "2025-11-25"
        return headers

    def _again(self) -> bool:
        """The node was started anew and knows no session: shake hands again in the client's words."""
        if not self._opening:
            return False
        self._session = self._version = ""
        frame = _object(self._opening)
        sink, self._sink = self._sink, _Nowhere()  # the client has had its answer
        try:
            self._exchange(frame, self._opening)
        finally:
            self._sink = sink
        if not self._session:
            return False
        done = {"jsonrpc": "2.0", "method": "notifications/initialized"}
        self._exchange(done, json.dumps(done).encode())
        threading.Thread(target=self._listen, name="mcp-listen", daemon=True).start()
        return True

    def _listen(self) -> None:
        """What the server says unasked."""
        session = self._session
        connection = self._listener = self._connect()
        headers = {**self._headers({"method": ""}), "Accept": "text/event-stream"}
        del headers["Content-Type"]
        try:
            connection.request("GET", PATH, headers=headers)
            if connection.sock is not None:
                connection.sock.settimeout(None)
            answer = connection.getresponse()
            if answer.status == 200:
                for data in _events(answer):
                    if session == self._session:
                        self._write(data)
        except (OSError, http.client.HTTPException, ValueError, AttributeError):
            return  # the client asks on, and is told then
        finally:
            connection.close()

    def _hang_up(self, key: str) -> None:
        connection = self._open.pop(key, None)
        if connection is not None and connection.sock is not None:
            with contextlib.suppress(OSError):
                connection.sock.shutdown(2)

    def _leave(self) -> None:
        if not self._session:
            return
        connection = self._connect()
        with contextlib.suppress(OSError, http.client.HTTPException):
            headers = self._headers({"method": ""})
            del headers["Content-Type"]
            connection.request("DELETE", PATH, headers=headers)
            connection.getresponse().read()
        connection.close()

    def _fail(self, request_id: Any, code: int, words: str) -> None:
        error = {"code": code, "message": words}
        self._write(json.dumps({"jsonrpc": "2.0", "id": request_id, "error": error}).encode())

    def _write(self, data: bytes) -> None:
        with self._writing, contextlib.suppress(OSError, ValueError):
            self._sink.write(data.replace(b"\n", b" ") + b"\n")
            self._sink.flush()


class _Nowhere:
    """A sink for what nobody wants."""

    def write(self, data: bytes) -> int:
        """Gone."""
        return len(data)

    def flush(self) -> None:
        """Gone."""


def stdio() -> tuple[BinaryIO, BinaryIO]:
    """The frames' own way in and out; whatever else is printed from now on goes to standard error.

    Files of their own: at its end the interpreter takes the locks of `sys.stdin` and `sys.stdout`, and aborts where a
    thread that nobody waits for is just reading or writing there.
    """
    sys.stdout.flush()
    source = os.fdopen(os.dup(sys.stdin.fileno()), "rb")
    sink = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    sys.stdout = sys.stderr
    return source, sink


def _lines(source: BinaryIO) -> Iterator[bytes | None]:
    """Line by line; None in place of one over the bound."""
    is_skipping = False
    while line := source.readline(FRAME_BYTES_MAX):
        if line.endswith(b"\n") or len(line) < FRAME_BYTES_MAX:
            yield None if is_skipping else line
            is_skipping = False
        else:
            is_skipping = True


def _events(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    """The data of each server-sent event."""
    data: list[bytes] = []
    size = 0
    while line := answer.readline(FRAME_BYTES_MAX):
        text = line.rstrip(b"\r\n")
        if text.startswith(b"data:"):
            data.append(text[5:].lstrip(b" "))
            size += len(text)
            if size > FRAME_BYTES_MAX * 4:
                raise ValueError("an answer is larger than the bound")
        elif not text:
            if data and data != [b""]:
                yield b"\n".join(data)
            data, size = [], 0


def _object(data: bytes) -> Frame:
    try:
        found = json.loads(data)
    except ValueError:
        return {}
    return cast("Frame", found) if isinstance(found, dict) else {}


def _key(request_id: Any) -> str:
    return f"{type(request_id).__name__} {request_id}"


def _header(text: str) -> str:
    """A header's value; what no header can hold goes as the protocol says, in base 64."""
    if text.isascii() and text.isprintable() and text == text.strip() and not text.startswith("=?base64?"):
        return text
    return f"=?base64?{base64.b64encode(text.encode()).decode()}?="
