"""Chains from the outside: the document of the manual by the command line and over HTTP, with a node and without."""

import threading
from collections.abc import Iterator
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.contract.surfaces.nodes import running_node
from tests.e2e.cli.command import inside, legion

CHAIN = """\
name: fetch-and-tell
nodes:
  get:   {task: http.request.get, args: {url: "{{ input.url }}"}}
  tell:  {task: log.message.write, transform: {engine: liquid, template: {message: "It said: {{ result.body }}"}}}
  lost:  {task: log.message.write, args: {message: "nothing there"}}
  alarm: {task: log.message.write, args: {message: "{{ error }}"}}
edges:
  - {from: get, to: tell, when: {all: [{fact: result.status, operator: equal, value: 200}]}}
  - {from: get, to: lost, when: {fact: result.status, operator: equal, value: 404}}
  - {from: get, to: alarm, on: failure}
"""


class Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"hello" if self.path == "/there" else b""
        self.send_response(200 if body else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server(legion_home: Path) -> Iterator[str]:
    here = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    thread = threading.Thread(target=here.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    host = f"127.0.0.1:{here.server_address[1]}"
    legion_home.mkdir(mode=0o700)
    (legion_home / "config.toml").write_text(f'[engine.http]\nallow = ["{host}"]\n', encoding="utf-8")
    (legion_home / "chain.yaml").write_text(CHAIN, encoding="utf-8")
    yield f"http://{host}"
    here.shutdown()
    thread.join()
    here.server_close()


@pytest.fixture(params=["alone", "node"])
def home(request: pytest.FixtureRequest, legion_home: Path, server: str) -> Iterator[Path]:
    """A home with a running node, and one without: commands cannot tell."""
    if request.param == "alone":
        yield legion_home
        return
    with running_node(legion_home, {}):
        yield legion_home


def told(view: Any) -> dict[str, str]:
    return {each["node"]: each["status"] for each in view["nodes"]}


@pytest.mark.slow
@pytest.mark.requirement("engine.chain")
@pytest.mark.requirement("engine.conditions")
@pytest.mark.requirement("engine.transforms")
def test_the_manuals_chain_runs_by_the_command_line(home: Path, server: str) -> None:
    path = str(home / "chain.yaml")
    applied = inside(home, "chain", "apply", path, "--json")
    assert (applied.status, applied.data["name"], applied.data["version"]) == (0, "fetch-and-tell", 1)
    assert inside(home, "chain", "apply", path, "--json").data["version"] == 1

    good = inside(home, "chain", "run", "fetch-and-tell", f"url:{server}/there", "--wait", "--json")
    assert (good.status, good.data["status"]) == (0, "succeeded")
    assert told(good.data) == {"get": "succeeded", "tell": "succeeded", "lost": "skipped", "alarm": "skipped"}
    assert good.data["result"]["message"] == "It said: hello"
    assert {"node", "task", "status", "reason"} <= set(good.data["nodes"][0])

    missing = inside(home, "chain", "run", "fetch-and-tell", f"url:{server}/gone", "--wait", "--json")
    assert told(missing.data) == {
        "get": "succeeded",
        "tell": "skipped",
        "lost": "succeeded",
        "alarm": "skipped",
    }
    skipped = next(each for each in missing.data["nodes"] if each["node"] == "tell")
    assert skipped["reason"]["code"] == "condition.false"
    why = inside(home, "chain", "run-show", missing.data["id"], "--edge", "0", "--json")
    assert (why.data["is_taken"], why.data["condition"]["rules"][0]["actual"]) == (False, 404)

    broken = inside(home, "chain", "run", "fetch-and-tell", "url:http://127.0.0.1:9/", "--wait", "--json")
    assert (broken.status, broken.data["status"]) == (0, "succeeded")
    assert told(broken.data)["alarm"] == "succeeded"

    runs = inside(home, "chain", "runs", "fetch-and-tell", "--json").data
    assert [each["status"] for each in runs] == ["succeeded"] * 3
    again = inside(home, "chain", "replay", good.data["id"], "--from", "tell", "--wait", "--json")
    assert (again.data["replay_of"], again.data["status"]) == (good.data["id"], "succeeded")
    assert again.data["nodes"][0]["reason"]["code"] == "run.reused"
    (row,) = inside(home, "chain", "list", "--json").data
    assert (row["name"], row["runs"]) == ("fetch-and-tell", 4)
    assert "tell:" in inside(home, "chain", "show", "fetch-and-tell").out
    dry = inside(
        home, "chain", "run", "fetch-and-tell", "--dry-run", "--pin", 'get={"status": 404}', "--json"
    )
    assert told(dry.data)["lost"] == "skipped"
    assert inside(home, "chain", "delete", "fetch-and-tell", "--json").data == {"deleted": "fetch-and-tell"}
    assert inside(home, "chain", "run", "fetch-and-tell", "--json").status == 1


@pytest.mark.slow
def test_a_mistyped_condition_refuses_with_its_line_and_nothing_is_kept(home: Path) -> None:
    path = home / "wrong.yaml"
    path.write_text(
        CHAIN.replace("operator: equal, value: 200", "operator: equals, value: 200"), encoding="utf-8"
    )
    refused = inside(home, "chain", "apply", str(path), "--json")
    assert refused.status == 1
    assert refused.error["code"] == "invalid_input"
    assert any("line 8" in each and "equals" in each for each in refused.error["faults"])
    assert inside(home, "chain", "list", "--json").data == []
    checked = inside(home, "chain", "check", str(path), "--json")
    assert (checked.status, len(checked.data)) == (1, 1)
    assert checked.data[0]["line"] == 8


@pytest.mark.slow
def test_the_command_itself_runs_a_chain_where_no_node_does(legion_home: Path, server: str) -> None:
    legion(legion_home, "chain", "apply", str(legion_home / "chain.yaml"))
    ran = legion(legion_home, "chain", "run", "fetch-and-tell", f"url:{server}/there", "--json")
    assert (ran.status, ran.data["status"]) == (0, "succeeded")


@pytest.mark.slow
def test_the_promised_shapes_over_http(legion_home: Path, server: str) -> None:
    with running_node(legion_home, {}) as url:
        token = (legion_home / "token").read_text(encoding="utf-8").strip()
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=f"{url}/api/v1", headers=headers, timeout=60, trust_env=False) as http:
            document = {
                "name": "two",
                "nodes": {
                    "a": {"task": "log.message.write", "args": {"message": "{{ input.word }}"}},
                    "b": {"task": "log.message.write", "args": {"message": "after {{ result.message }}"}},
                },
                "edges": [{"from": "a", "to": "b", "delay": 3600}],
            }
            made = http.post("/chains", json=document)
            assert (made.status_code, made.json()["data"]["name"]) == (201, "two")
            wrong = http.post("/chains", json={**document, "edges": [{"from": "a", "to": "c"}]})
            assert (wrong.status_code, len(wrong.json()["error"]["faults"])) == (400, 1)
            assert http.get("/chains/two").json()["data"]["document"] == document

            run = http.post("/chains/two/run", json={"input": {"word": "x"}}).json()["data"]["run"]
            while True:
                view = http.get(f"/runs/{run}").json()["data"]
                if told(view)["a"] == "succeeded":
                    break
            assert (view["chain"], view["version"], view["status"]) == ("two", 1, "running")
            assert told(view)["b"] == "delayed"
            cancelled = http.post(f"/runs/{run}/cancel").json()["data"]
            assert (cancelled["status"], told(cancelled)["b"]) == ("cancelled", "cancelled")
            assert http.post(f"/runs/{run}/cancel").status_code == 409
            again = http.post(f"/runs/{run}/replay", json={"from": "b"})
            assert again.status_code == 201
            fresh = again.json()["data"]["run"]
            view = http.get(f"/runs/{fresh}", params={"wait_s": 30}).json()["data"]
            assert view["status"] == "succeeded", view
            assert view["result"]["message"] == "after x"

            dry = http.post("/chains/two/run", json={"dry_run": True, "pins": {"a": {"message": "p"}}})
            view = http.get(f"/runs/{dry.json()['data']['run']}").json()["data"]
            assert (view["is_dry"], view["nodes"][0]["reason"]["code"]) == (True, "run.pinned")
            assert http.get(f"/runs/{fresh}/nodes/b").json()["data"]["args"]["message"] == "after x"
            edge = http.get(f"/runs/{fresh}/edges/0").json()["data"]
            assert (edge["from"], edge["to"], edge["is_taken"]) == ("a", "b", True)
            assert len(http.get("/chains/two/runs").json()["data"]) == 3
            assert http.get("/runs/nothing").status_code == 404
            assert http.get("/chains/nothing").status_code == 404
            assert http.post("/chains/preview", json={"chain": document}).json()["data"]["is_dry"] is True
            assert http.delete("/chains/two").status_code == 200
            assert http.post("/chains/two/run", json={}).status_code == 404


@pytest.mark.slow
@pytest.mark.parametrize("place", ["alone", "node"])
def test_a_chain_gets_another_name_with_its_runs_and_what_starts_it(place: str, legion_home: Path) -> None:
    legion_home.mkdir(mode=0o700)
    file = legion_home / "greet.yaml"
    file.write_text(
        'name: greet\nnodes: {say: {task: log.message.write, args: {message: "hi"}}}\n', encoding="utf-8"
    )
    with running_node(legion_home, {}) if place == "node" else nullcontext():
        assert legion(legion_home, "chain", "apply", str(file)).status == 0
        assert legion(legion_home, "chain", "run", "greet", "--wait").status == 0
        assert legion(legion_home, "schedule", "add", "daily", "--every", "86400", "chain:greet").status == 0

        renamed = legion(legion_home, "chain", "rename", "greet", "welcome")
        again = legion(legion_home, "chain", "rename", "greet", "welcome", "--json")

        assert (
            renamed.out.strip() == "greet is welcome from now on. Schedule daily starts it by its new name."
        )
        assert [each["name"] for each in legion(legion_home, "chain", "list", "--json").data] == ["welcome"]
        assert len(legion(legion_home, "chain", "runs", "welcome", "--json").data) == 1
        assert (again.status, again.error["code"]) == (1, "not_found")
