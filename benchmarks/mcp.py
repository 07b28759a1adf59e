"""Our MCP server at work: lists, calls and news of tools, and a hundred clients at once.

    python -m benchmarks.mcp list|talk|call|news [--json] [--rounds N] [--clients N] [--calls N]

`list`: the same 500 functions, once as an extension of a node, once as tools of the SDK's `MCPServer` under uvicorn;
both asked over HTTP by the same blocking client, in turns; from the request's first byte to the answer's last.
`talk`: every client opens a session and counts its requests from 1, so that all ids collide; each call says something
no other call says.
`call`: a function called as a tool, and by the REST interface as a task that is waited for (two requests), in turns; the
SDK's own server, which keeps nothing on disk, beside them. The client is a process of its own.
`news`: from an extension's last byte on disk to `tools/list_changed` at a client that listens, and until it is listed.
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
from collections.abc import Callable
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
        self.headers = {**ACCEPT, **({"Authorization": f"Bearer {token}"} if token else {})}
        self._id = 0
        self.ask("initialize", HELLO)
        self.headers["MCP-Protocol-Version"] = "2025-11-25"
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
        self._connection.request("POST", "/mcp", body=json.dumps(frame).encode(), headers=self.headers)
        answer = self._connection.getresponse()
        if session := answer.getheader("mcp-session-id"):
            self.headers["Mcp-Session-Id"] = session
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


async def called(rounds: int, calls: int) -> dict[str, Any]:
    """The medians of the rounds' medians, in milliseconds."""
    with tempfile.TemporaryDirectory() as place:
        home = Path(place) / "home"
        lay(home)
        port = free_port()
        words = [sys.executable, "-c", PEER.format(tools=5), str(port)]
        peer = subprocess.Popen(words, stderr=subprocess.DEVNULL)
        try:
            async with open_node(home, env={"LEGION_LOG": "ERROR"}, serve=True, port=0) as node:
                token = (home / "token").read_text(encoding="utf-8").strip()
                given = ["caller", node.url, token, f"http://127.0.0.1:{port}", str(rounds), str(calls)]
                client = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", "benchmarks.mcp", *given, stdout=subprocess.PIPE
                )
                out, _ = await client.communicate()
                return json.loads(out)
        finally:
            peer.terminate()
            peer.wait()


def calling(url: str, token: str, peer_url: str, rounds: int, calls: int) -> dict[str, Any]:
    """See `called`: the client's process."""
    ours, peer = Client(url, token), patiently(peer_url)
    plain = http.client.HTTPConnection("127.0.0.1", urlsplit(url).port, timeout=60)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def rest(method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        plain.request(method, f"/api/v1/tasks{path}", json.dumps(body) if body else None, headers)
        return json.loads(plain.getresponse().read())["data"]

    def as_task() -> bool:
        task = rest("POST", "", {"task": "many.runner.echo_1", "args": {"text": "x"}})["id"]
        return rest("GET", f"/{task}?wait_s=10")["result"] == {"text": "x"}

    def as_tool(client: Client, name: str) -> bool:
        told = client.ask("tools/call", {"name": name, "arguments": {"text": "x"}})
        return told["result"]["structuredContent"] == {"text": "x"}

    ways: dict[str, Callable[[], bool]] = {
        "task_ms": as_task,
        "call_ms": lambda: as_tool(ours, "many-runner-echo_1"),
        "ping_ms": lambda: ours.ask("ping")["result"] == {},
        "peer_call_ms": lambda: as_tool(peer, "echo_1"),
    }
    medians: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            times: list[float] = []
            for _ in range(calls):
                began = time.perf_counter()
                assert way()
                times.append((time.perf_counter() - began) * 1000)
            medians[name].append(statistics.median(times))
    found = {name: round(statistics.median(each), 2) for name, each in medians.items()}
    return {
        **found,
        "added_ms": round(found["call_ms"] - found["task_ms"], 2),
        "rounds": rounds,
        "calls": calls,
    }


async def told(rounds: int) -> dict[str, Any]:
    """Extensions that come, and one client that listens."""
    import httpx2

    with tempfile.TemporaryDirectory() as place:
        home = Path(place) / "home"
        lay(home)
        async with open_node(home, env={"LEGION_LOG": "ERROR"}, serve=True, port=0) as node:
            token = (home / "token").read_text(encoding="utf-8").strip()
            client = await asyncio.to_thread(Client, node.url, token)
            headers = {**client.headers, "Accept": "text/event-stream"}
            heard: list[float] = []
            listed: list[float] = []
            async with (
                httpx2.AsyncClient(headers=headers, timeout=60) as http_client,
                http_client.stream("GET", f"{node.url}/mcp") as stream,
            ):
                lines = stream.aiter_lines()
                for number in range(rounds):
                    folder = home / "extensions" / f"news{number}"
                    folder.mkdir(mode=0o700)
                    text = HEAD + FUNCTION.format(number=number)
                    (folder / "runner.py").write_text(text, encoding="utf-8")
                    began = time.perf_counter()
                    async with asyncio.timeout(60):
                        while "tools/list_changed" not in await anext(lines):
                            pass
                    heard.append((time.perf_counter() - began) * 1000)
                    answer = await asyncio.to_thread(client.ask, "tools/list")
                    listed.append((time.perf_counter() - began) * 1000)
                    names = {tool["name"] for tool in answer["result"]["tools"]}
                    assert f"news{number}-runner-echo_{number}" in names
    return {
        "news_ms": round(statistics.median(heard), 1),
        "news_worst_ms": round(max(heard), 1),
        "listed_ms": round(statistics.median(listed), 1),
        "rounds": rounds,
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
    parser.add_argument("what", choices=("list", "talk", "call", "news"))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--clients", type=int, default=100)
    parser.add_argument("--calls", type=int, default=50)
    if sys.argv[1:2] == ["caller"]:
        url, token, peer, rounds, calls = sys.argv[2:]
        print(json.dumps(calling(url, token, peer, int(rounds), int(calls))))
        return 0
    args = parser.parse_args()
    match args.what:
        case "list":
            found = asyncio.run(listed(args.rounds))
        case "talk":
            found = asyncio.run(talk(args.clients, args.calls))
        case "call":
            found = asyncio.run(called(args.rounds, args.calls))
        case _:
            found = asyncio.run(told(args.rounds))
    print(json.dumps(found) if args.json else "\n".join(f"{key}: {value}" for key, value in found.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
