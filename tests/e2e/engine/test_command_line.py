"""Tasks and extensions from the outside: the seed's own example, with a node and without."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.contract.surfaces.nodes import running_node
from tests.e2e.cli.command import inside, legion


class Hello(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"hello from the far end"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server(legion_home: Path) -> Iterator[str]:
    here = ThreadingHTTPServer(("127.0.0.1", 0), Hello)
    thread = threading.Thread(target=here.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    host = f"127.0.0.1:{here.server_address[1]}"
    legion_home.mkdir(mode=0o700)
    (legion_home / "config.toml").write_text(f'[engine.http]\nallow = ["{host}"]\n', encoding="utf-8")
    yield f"http://{host}/"
    here.shutdown()
    thread.join()
    here.server_close()


@pytest.fixture(params=["alone", "node"])
def home(request: pytest.FixtureRequest, legion_home: Path) -> Iterator[Path]:
    """A home with a running node, and one without: commands cannot tell."""
    if request.param == "alone":
        yield legion_home
        return
    with running_node(legion_home, {}):
        yield legion_home


@pytest.mark.requirement("engine.http-task")
def test_the_seeds_own_example_fetches_an_address(legion_home: Path, server: str) -> None:
    ran = legion(legion_home, "task", "run", "http.request.get", f"url:{server}", "--wait", "--json")

    assert ran.status == 0
    assert ran.data["status"] == "succeeded"
    assert (ran.data["result"]["status"], ran.data["result"]["body"]) == (200, "hello from the far end")


def test_the_same_through_a_running_node(legion_home: Path, server: str) -> None:
    with running_node(legion_home, {}):
        ran = inside(legion_home, "task", "run", "http.request.get", f"url:{server}", "--wait", "--json")
        assert ran.data["result"]["body"] == "hello from the far end"
        quick = inside(legion_home, "task", "run", "http.request.get", f"url:{server}", "--json")
        assert set(quick.data) >= {"id", "status"}


def test_an_address_that_is_not_listed_is_refused_with_the_key_to_change(home: Path) -> None:
    ran = inside(home, "task", "run", "http.request.get", "url:http://127.0.0.1:9/", "--wait", "--json")

    assert ran.status == 1
    assert ran.data["status"] == "failed"
    assert "[engine.http] allow" in ran.data["reason"]["sentence"]


def test_a_task_can_be_listed_shown_read_and_not_cancelled_twice(home: Path) -> None:
    made = inside(home, "task", "run", "log.message.write", "message:hello", "--wait", "--json").data

    (row,) = inside(home, "task", "list", "--json").data
    assert (row["id"], row["task"], row["status"]) == (made["id"], "log.message.write", "succeeded")
    assert inside(home, "task", "list", "--status", "failed", "--json").data == []
    shown = inside(home, "task", "show", made["id"], "--json").data
    assert shown["args"] == {"message": "hello", "level": "info", "data": None}
    (line,) = inside(home, "task", "logs", made["id"], "--json").data
    assert line["text"] == "hello"
    for action in ("cancel", "retry"):
        ran = inside(home, "task", action, made["id"], "--json")
        assert (ran.status, ran.error["code"]) == (1, "conflict")
    assert "log.message.write" in inside(home, "task", "list").out
    assert "succeeded" in inside(home, "task", "show", made["id"]).out


def test_a_delayed_task_waits_on_disk_and_can_be_cancelled(home: Path) -> None:
    made = inside(home, "task", "run", "log.message.write", "--delay", "3600", "--json").data

    assert made["status"] == "delayed"
    assert inside(home, "task", "show", made["id"], "--json").data["due_at"] is not None
    assert inside(home, "task", "cancel", made["id"], "--json").data["status"] == "cancelled"


def test_what_was_journaled_without_a_node_runs_when_one_starts(legion_home: Path) -> None:
    made = inside(legion_home, "task", "run", "log.message.write", "--delay", "0.01", "--json").data
    assert made["status"] == "delayed"

    with running_node(legion_home, {}):
        for _ in range(200):
            found = inside(legion_home, "task", "show", made["id"], "--json").data
            if found["status"] == "succeeded":
                return
    pytest.fail("the node did not run it")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("no.such.task",), "not_found"),
        (("nonsense",), "invalid_input"),
        (("log.message.write", "level:loud"), "invalid_input"),
        (("log.message.write", "message"), "invalid_input"),
        (("log.message.write", "a:1"), "invalid_input"),
        (("http.request.get",), "invalid_input"),
        (("http.request.get", "url:x", "timeout_s:soon"), "invalid_input"),
        (("log.message.write", "--delay", "-1"), "invalid_input"),
    ],
)
def test_a_task_that_cannot_be_run_is_an_error_in_plain_words(
    home: Path, words: tuple[str, ...], code: str
) -> None:
    ran = inside(home, "task", "run", *words, "--json")

    assert (ran.status, ran.error["code"]) == (1, code)
    assert inside(home, "task", "list", "--json").data == []


@pytest.mark.slow
def test_an_extension_is_created_runs_and_its_test_passes(home: Path) -> None:
    made = inside(home, "extension", "create", "mine", "--json").data

    assert made == {"path": str(home / "extensions" / "mine"), "functions": ["mine.runner.function"]}
    ran = inside(home, "task", "run", "mine.runner.function", "name:Ada", "times:2", "--wait", "--json")
    assert ran.data["result"] == {"greetings": ["Hello, Ada.", "Hello, Ada."]}
    info = inside(home, "extension", "info", "mine", "--json").data
    assert info["functions"][0]["arguments"]["properties"]["times"]["type"] == "integer"
    assert {"mine", "http", "log"} <= {
        row["name"] for row in inside(home, "extension", "list", "--json").data
    }
    assert inside(home, "extension", "create", "mine", "--json").error["code"] == "conflict"
    assert inside(home, "extension", "create", "Bad-Name", "--json").error["code"] == "invalid_input"
    tested = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--rootdir",
            made["path"],
            made["path"],
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=made["path"],
    )
    assert tested.returncode == 0, tested.stdout


@pytest.mark.slow
def test_an_edit_of_an_extension_is_in_force_at_the_next_call(home: Path) -> None:
    inside(home, "extension", "create", "mine")
    path = home / "extensions" / "mine" / "runner.py"
    path.write_text(path.read_text(encoding="utf-8").replace("Hello", "Goodbye"), encoding="utf-8")

    ran = inside(home, "task", "run", "mine.runner.function", "--wait", "--json")
    assert ran.data["result"] == {"greetings": ["Goodbye, world."]}
    path.write_text("def function(:\n", encoding="utf-8")
    ran = inside(home, "task", "run", "mine.runner.function", "--wait", "--json")
    assert ran.error["code"] == "unavailable"
    assert "SyntaxError" in ran.error["message"]


def ask(url: str, token: str, method: str, path: str, **more: Any) -> httpx.Response:
    return httpx.request(method, f"{url}{path}", headers={"Authorization": f"Bearer {token}"}, **more)


@pytest.mark.requirement("rest.tasks")
def test_tasks_over_http(legion_home: Path) -> None:
    with running_node(legion_home, {}) as url:
        token = (legion_home / "token").read_text(encoding="utf-8").strip()
        body = {"task": "log.message.write", "args": {"message": "a"}, "delay_s": 0}
        made = ask(url, token, "POST", "/api/v1/tasks", json=body)
        assert made.status_code == 201
        assert set(made.json()["data"]) >= {"id", "status"}
        batch = ask(
            url, token, "POST", "/api/v1/tasks/batch", json={"tasks": [{"task": "log.message.write"}] * 5}
        )
        assert batch.status_code == 201
        assert len(batch.json()["data"]["ids"]) == 5
        last = batch.json()["data"]["ids"][-1]
        done = ask(url, token, "GET", f"/api/v1/tasks/{last}?wait_s=20").json()["data"]
        assert done["status"] == "succeeded"
        seen: list[str] = []
        cursor = ""
        while True:
            page = ask(
                url, token, "GET", f"/api/v1/tasks?limit=4&task=log.message.write&cursor={cursor}"
            ).json()
            seen += [row["id"] for row in page["data"]]
            cursor = page["meta"]["next"]
            if cursor is None:
                break
        assert len(seen) == len(set(seen)) == 6
        assert ask(url, token, "GET", "/api/v1/tasks?status=nonsense").status_code == 400
        assert ask(url, token, "GET", "/api/v1/tasks?cursor=zzz").status_code == 400
        assert ask(url, token, "GET", "/api/v1/tasks/task_none").status_code == 404
        assert ask(url, token, "POST", "/api/v1/tasks", json={"task": "x"}).status_code == 400
        assert ask(url, "wrong", "GET", "/api/v1/tasks").status_code == 401
        keyed = {"headers": {"Authorization": f"Bearer {token}", "Idempotency-Key": "k1"}}
        twice = [httpx.post(f"{url}/api/v1/tasks", json=body, **keyed).json()["data"]["id"] for _ in range(2)]
        assert twice[0] == twice[1]
    with running_node(legion_home, {}) as url:  # the key outlives the node
        again = httpx.post(f"{url}/api/v1/tasks", json=body, **keyed).json()["data"]["id"]
        assert again == twice[0]
        listed = ask(url, token, "GET", "/api/v1/extensions").json()["data"]
        assert json.dumps(listed)
        shown = ask(url, token, "GET", "/api/v1/extensions/functions/http.request.get").json()["data"]
        assert shown["arguments"]["required"] == ["url"]
