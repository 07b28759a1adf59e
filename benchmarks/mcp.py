"""Our MCP server at work: `tools/list` with 500 tools beside the SDK's own server, and a hundred clients at once.

    python -m benchmarks.mcp list|talk [--json] [--rounds N] [--clients N] [--calls N]

`list`: the same 500 functions, once as an extension of a node, once as tools of the SDK's `MCPServer` under uvicorn;
both asked over HTTP by the same blocking client, in turns; from the request's first byte to the answer's last.
`talk`: every client opens a session and counts its requests from 1, so that all ids collide; each call says something
no other call says.
"""

import argparse
import asyncio
import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from legion_core.node import open_node

TOOLS = 500
PEER = '''
import sys
import uvicorn
from mcp.server.mcpserver import MCPServer

server = MCPServer("peer")
for number in range({tools}):
    def work(text: str, times: int = 1, colour: str = "red") -> dict[str, str]:
        """Say it back, so many times, in a colour."""
        return {{"text": text * times}}
    work.__name__ = f"echo_{{number}}"
    server.add_tool(work, name=f"echo_{{number}}")
uvicorn.run(server.streamable_http_app(), host="127.0.0.1", port=int(sys.argv[1]), log_level="error")
'''
FUNCTION = '''

@function(effect="pure")
async def echo_{number}(text: str, times: int = 1, colour: str = "red") -> dict[str, str]:
    """Say it back, so many times, in a colour."""
    return {{"text": text * times}}
'''
HEAD = '"""Functions to be listed."""\n\nfrom legion_core.engine.extension import function\n'
HELLO = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "benchmark", "version": "1"},
}
ACCEPT = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}


class Client:
    """A session over one kept connection."""

    def __init__(self, url: str, token: str = "") -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=60)
        self._headers = {**ACCEPT, **({"Authorization": f"Bearer {token}"} if token else {})}
        self._id = 0
        self.ask("initialize", HELLO)
        self._headers["MCP-Protocol-Version"] = "2025-11-25"
        self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def ask(self, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """The whole frame that answers."""
        self._id += 1
        body = self._send({"jsonrpc": "2.0", "id": self._id, "method": method, "params": params or {}})
        lines = [line[5:] for line in body.splitlines() if line.startswith(b"data:") and line[5:].strip()]
        return json.loads(lines[-1] if lines else body)

    def timed(self, method: str) -> tuple[float, int]:
        """Milliseconds, and the answer's bytes."""
        self._id += 1
        frame = {"jsonrpc": "2.0", "id": self._id, "method": method, "params": {}}
        began = time.perf_counter()
        body = self._send(frame)
        return (time.perf_counter() - began) * 1000, len(body)

    def _send(self, frame: dict[str, Any]) -> bytes:
        self._connection.request("POST", "/mcp", body=json.dumps(frame).encode(), headers=self._headers)
        answer = self._connection.getresponse()
        if session := answer.getheader("mcp-session-id"):
            self._headers["Mcp-Session-Id"] = session
        return answer.read()


def lay(home: Path) -> None:
    """The functions, as an extension."""
    folder = home / "extensions" / "many"
    folder.mkdir(parents=True, mode=0o700)
    home.chmod(0o700)
    text = HEAD + "".join(FUNCTION.format(number=number) for number in range(TOOLS))
    (folder / "runner.py").write_text(text, encoding="utf-8")


async def listed(rounds: int) -> dict[str, Any]:
    """Both servers, in turns."""
    with tempfile.TemporaryDirectory() as place:
        home = Path(place) / "home"
        lay(home)
        port = free_port()
        peer = subprocess.Popen(
            [sys.executable, "-c", PEER.format(tools=TOOLS), str(port)], stderr=subprocess.DEVNULL
        )
        try:
            async with open_node(home, env={}, serve=True, port=0) as node:
                token = (home / "token").read_text(encoding="utf-8").strip()
                return await asyncio.to_thread(in_turns, node.url, token, f"http://127.0.0.1:{port}", rounds)
        finally:
            peer.terminate()
            peer.wait()


def in_turns(url: str, token: str, peer_url: str, rounds: int) -> dict[str, Any]:
    """Twenty listings of each a round; the median of the rounds' medians."""
    ours, peer = Client(url, token), patiently(peer_url)
    count = len(ours.ask("tools/list")["result"]["tools"])
    assert count >= TOOLS, count
    assert len(peer.ask("tools/list")["result"]["tools"]) == TOOLS
    medians: dict[str, list[float]] = {"ours": [], "peer": []}
    worst: list[float] = []
    for _ in range(rounds):
        for name, client in (("ours", ours), ("peer", peer)):
            times = [client.timed("tools/list")[0] for _ in range(20)]
            medians[name].append(statistics.median(times))
            if name == "ours":
                worst.append(statistics.quantiles(times, n=20)[-1])
    mine, theirs = statistics.median(medians["ours"]), statistics.median(medians["peer"])
    return {
        "tools": count,
        "list_ms": round(mine, 2),
        "list_p95_ms": round(statistics.median(worst), 2),
        "peer_ms": round(theirs, 2),
        "times_peer": round(mine / theirs, 3),
        "rounds": rounds,
    }


def patiently(url: str) -> Client:
    """The peer takes a while to start."""
    for _ in range(300):
        try:
            return Client(url)
        except OSError:
            time.sleep(0.1)
    raise TimeoutError(url)


async def talk(clients: int, calls: int) -> dict[str, Any]:
    """Everybody at once; how many answers were another's."""
    import httpx2

    with tempfile.TemporaryDirectory() as place:
        home = Path(place) / "home"
        lay(home)
        async with open_node(home, env={"LEGION_LOG": "ERROR"}, serve=True, port=0) as node:
            token = (home / "token").read_text(encoding="utf-8").strip()
            url, limits = f"{node.url}/mcp", httpx2.Limits(max_connections=clients)
            headers = {"Authorization": f"Bearer {token}", **ACCEPT}
            wrong = done = 0
            async with httpx2.AsyncClient(headers=headers, timeout=120, limits=limits) as http:

                async def one(number: int) -> None:
                    nonlocal wrong, done
                    hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": HELLO}
                    answer = await http.post(url, json=hello)
                    session = {"Mcp-Session-Id": answer.headers["mcp-session-id"]}
                    await http.post(
                        url, json={"jsonrpc": "2.0", "method": "notifications/initialized"}, headers=session
                    )
                    for request_id in range(1, calls + 1):
                        said = f"{number}/{request_id}"
                        params = {"name": f"many-runner-echo_{number % TOOLS}", "arguments": {"text": said}}
                        body = {"jsonrpc": "2.0", "id": request_id, "method": "tools/call", "params": params}
                        text = (await http.post(url, json=body, headers=session)).text
                        frame = json.loads([line[5:] for line in text.splitlines() if line[5:].strip()][-1])
                        told = frame.get("result", {}).get("structuredContent")
                        wrong += frame.get("id") != request_id or told != {"text": said}
                        done += 1

                began = time.perf_counter()
                await asyncio.gather(*(one(number) for number in range(clients)))
                took_s = time.perf_counter() - began
    return {
        "clients": clients,
        "calls": done,
        "cross_talk": wrong,
        "calls_per_s": round(done / took_s, 1),
    }


def free_port() -> int:
    """A port nobody has."""
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("list", "talk"))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--calls", type=int, default=50)
    args = parser.parse_args()
    found = asyncio.run(listed(args.rounds) if args.what == "list" else talk(args.clients, args.calls))
    print(json.dumps(found) if args.json else "\n".join(f"{key}: {value}" for key, value in found.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
