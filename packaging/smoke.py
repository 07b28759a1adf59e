"""Tries the built application: its window offscreen, a chat with the starter model by its own command line, MCP, and known attacks.

    smoke.py dist/legion-workbench

Everything happens in a home of its own with nothing of this checkout on the path. Exit status 0 if all went well.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WINDOW_LIMIT_S = 60
ANSWER_LIMIT_S = 180
NAME = "legion-workbench"


def environment(home):
    """A bare one, so that nothing of the developer's own environment holds the application up."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in {"PATH", "LANG", "TMPDIR", "SSL_CERT_FILE"}
    }
    return {
        **kept,
        "HOME": str(home),
        "LEGION_HOME": str(home / "legion"),
        "LEGION_PORT": "0",
        "LC_ALL": "C.UTF-8",
        "QT_QPA_PLATFORM": "offscreen",
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
    }


def opens_its_window(program, home):
    """Start the window, wait until it takes input, ask it to end; the seconds it took."""
    settings = {**environment(home), "LEGION_MEASURE_START": "1"}
    begun = time.monotonic()
    window = subprocess.Popen([program], env=settings, cwd=home, stderr=subprocess.PIPE, text=True)
    said = []
    try:
        for line in window.stderr:
            said.append(line.rstrip())
            if "ready_ms" in line:
                break
            if time.monotonic() - begun > WINDOW_LIMIT_S:
                break
        took_s = time.monotonic() - begun
        assert any("ready_ms" in line for line in said), f"no window: {said[-10:]}"
        window.send_signal(signal.SIGTERM)
        _, rest = window.communicate(timeout=30)
        assert window.returncode == 0, f"the window ended with {window.returncode}: {rest[-2000:]}"
        return took_s
    finally:
        if window.poll() is None:
            window.kill()
            window.communicate()


def answers(program, home):
    """What the starter model says to one question, through the command line's JSON."""
    command = [
        program,
        "chat",
        "prompt",
        "What is the capital of France? Answer in one short sentence.",
        "--json",
    ]
    run = subprocess.run(
        command,
        env=environment(home),
        cwd=home,
        capture_output=True,
        text=True,
        timeout=ANSWER_LIMIT_S,
        check=False,
    )
    assert run.returncode == 0, f"chat ended with {run.returncode}: {run.stdout[-500:]} {run.stderr[-2000:]}"
    answer = json.loads(run.stdout)["data"]
    assert answer["text"].strip(), run.stdout
    assert answer["tier"] == "local", run.stdout
    return answer["text"].strip()


def serves_tools(program, home):
    """How many tools an editor sees that starts the application as its MCP server."""
    about = {"name": "smoke", "version": "1"}
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": about}
    spoken = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/list"},
    ]
    server = subprocess.Popen(
        [program, "mcp"],
        env=environment(home),
        cwd=home,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        server.stdin.write("".join(json.dumps(each) + "\n" for each in spoken))
        server.stdin.flush()
        for line in server.stdout:
            if (answer := json.loads(line)).get("id") == 2:
                return len(answer["result"]["tools"])
        raise AssertionError("the MCP server ended without an answer")
    finally:
        server.stdin.close()
        server.wait(timeout=30)


def refuses_attacks(program, home):
    """How many known attacks the built application was tried with, all refused: it is what people run."""
    run = subprocess.run(
        [program, "selftest", "--attacks", "--json"],
        env=environment(home),
        cwd=home,
        capture_output=True,
        text=True,
        timeout=ANSWER_LIMIT_S,
        check=False,
    )
    assert run.returncode == 0, f"an attack came through: {run.stdout[-2000:]} {run.stderr[-2000:]}"
    return len(json.loads(run.stdout)["data"]["attacks"])


def main(arguments):
    """Say what was seen; a failed assertion is the failure."""
    folder = Path(arguments[0] if arguments else "dist/legion-workbench").resolve()
    program = str(folder / NAME)
    with tempfile.TemporaryDirectory(prefix="legion smoke ", ignore_cleanup_errors=True) as place:
        home = Path(place)
        version = subprocess.run(
            [program, "--version"],
            env=environment(home),
            cwd=home,
            capture_output=True,
            text=True,
            check=True,
        )
        print(version.stdout.strip())
        print(f"window ready after {opens_its_window(program, home):.2f} s, ended with 0")
        print("the starter model says:", answers(program, home))
        tools = serves_tools(program, home)
        assert tools, "an editor that starts it sees no tool"
        print(f"an editor that starts it sees {tools} tools")
        print(f"{refuses_attacks(program, home)} attacks were refused")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
