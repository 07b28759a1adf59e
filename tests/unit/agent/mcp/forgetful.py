"""An MCP server over HTTP that forgets its sessions, and tells how far a call is."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.unit.agent.mcp.oauth_servers import Handler, Served

TOOL = {"name": "echo", "description": "Says it back.", "inputSchema": {"type": "object"}}


class Forgetful(Served):
    """`status` and `error` are how it refuses an unknown session; `began` counts calls that it took up, `refused` the others."""

    def __init__(self, status: int, error: dict[str, Any] | None) -> None:
        super().__init__()
        self.status, self.error = status, error
        self.sessions: set[str] = set()
        self.opened = 0
        self.began = self.refused = 0
        self.refuses_all = False

    def answer(self, call: Handler, method: str, body: Any) -> None:
        if method == "GET":
            call.say(405)
            return
        frame = json.loads(body)
        if frame["method"] == "initialize":
            self.opened += 1
            self.sessions.add(session := f"s{self.opened}")
            info = {"name": "forgetful", "version": "1"}
            told = {"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": info}
            call.say(200, {"jsonrpc": "2.0", "id": frame["id"], "result": told}, {"Mcp-Session-Id": session})
        elif "id" not in frame:
            call.say(202)
        elif frame["method"] == "server/discover":
            call.say(400, {"jsonrpc": "2.0", "id": frame["id"], "error": {"code": -32601, "message": "no"}})
        elif call.headers["mcp-session-id"] not in self.sessions or (
            self.refuses_all and frame["method"] == "tools/call"
        ):
            self.refused += 1
            error = self.error and {"jsonrpc": "2.0", **self.error}
            if error and error.get("id") == "asked":
                error["id"] = frame["id"]
            call.say(self.status, error)
        elif frame["method"] == "tools/list":
            call.say(200, {"jsonrpc": "2.0", "id": frame["id"], "result": {"tools": [TOOL]}})
        else:
            self.began += 1
            self._progress(call, frame)

    def _progress(self, call: Handler, frame: dict[str, Any]) -> None:
        token = frame["params"].get("_meta", {}).get("progressToken")
        said = {"content": [{"type": "text", "text": frame["params"]["arguments"]["text"]}]}
        far = [
            {"progressToken": token, "progress": 1, "total": 2, "message": "half\x1b[31m"},
            {"progressToken": token, "progress": 2},
        ]
        frames = [{"jsonrpc": "2.0", "method": "notifications/progress", "params": each} for each in far]
        frames.append({"jsonrpc": "2.0", "id": frame["id"], "result": said})
        content = "".join(f"event: message\ndata: {json.dumps(each)}\n\n" for each in frames).encode()
        call.send_response(200)
        call.send_header("Content-Type", "text/event-stream")
        call.send_header("Content-Length", str(len(content)))
        call.end_headers()
        call.wfile.write(content)


@contextmanager
def forgetful(status: int, error: dict[str, Any] | None) -> Iterator[Forgetful]:
    """Serve on loopback."""
    server = Forgetful(status, error)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
